"""How far something long has come: a bar on a terminal and in a notebook, anywhere else a line now and then."""

import sys

from tqdm import tqdm


class _Lines(tqdm):
    """Prints each state below the last one: a log has no way back to the start of a line."""

    @staticmethod
    def status_printer(file):
        return lambda text: print(text, file=file, flush=True)


def bar(total: int, title: str, unit: str, **more) -> tqdm:
    """Return a bar for `total` units, or what logs lines at most twice a minute; both write to stderr.

    more: options of tqdm, for instance delay, seconds in which it shows nothing.
    """
    drawn = sys.stderr.isatty() or "ipykernel.kernelapp" in sys.modules
    options = {"total": total, "desc": title, "unit": unit, **more}
    return tqdm(**options) if drawn else _Lines(**options, mininterval=30)
