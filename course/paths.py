"""Where things are, and the error that ends a command."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS, BUILD, LOCKS = ROOT / "notebooks", ROOT / "build", ROOT / "requirements"


class CourseError(Exception):
    """A command can't go on. The message says why and what to do next."""


def lessons(names=()):
    """Return the lessons' paths, in order.

    Args:
        names: numbers or file names (list of str) of those wanted, such as "01" or "01_official_model"; empty for all.

    Returns:
        list of Path.

    Raises:
        CourseError: no lesson has one of these names.
    """
    every = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    wanted = {name: [path for path in every if path.name.startswith(Path(name).name)] for name in names}
    if missing := [name for name, found in wanted.items() if not found]:
        raise CourseError(
            f"no lesson is called {', '.join(missing)}; there are {', '.join(path.stem for path in every)}."
        )
    return [path for path in every if not names or any(path in found for found in wanted.values())]
