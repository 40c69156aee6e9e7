"""python -m course prepare and run: fetch what lessons need, run them with papermill, end with a table."""

import ast
import contextlib
import json
import os
import sys
import time
from pathlib import Path

from course import check
from course.paths import BUILD, NOTEBOOKS, CourseError, lessons


def prepare():
    """Fetch and build every module, photo set and text set of the catalogues that is not there yet; say what was done.

    The photo sets of TensorFlow Datasets, up to 1.4 GB each, wait until photos.load asks for one.

    Raises:
        DamagedError: folders of the cache are not as they were written; all of them are named.
    """
    from helpers import modules, photos, texts
    from sources import cache

    start = time.monotonic()
    if faults := cache.verify(quick=True):
        raise cache.DamagedError("\n".join(faults))
    for name, card in photos.catalogue().items():
        if "size" not in card:
            photos.load(name)
    for name in texts.catalogue():
        texts.load(name)
    for name in modules.catalogue():
        if not modules.is_ready(name):
            modules.path(name)
    done = ", ".join(cache.built) if cache.built else "nothing to download or build"
    print(f"Prepared in {time.monotonic() - start:.0f} s: {done}.", flush=True)


def run(names=(), parameters=()):
    """Run lessons with papermill into build/, report every one, and end with a table and build/results.json."""
    paths = lessons(names)
    values = {}
    for name, text in parameters:
        names = name in check.LOOKS and text[:1] not in tuple("[\"'")  # a folder may be called 2023_10
        values[name] = text if names else _value(text)
    _check_parameters(paths, values)
    values = check.parameters(values)
    prepare()
    BUILD.mkdir(exist_ok=True)
    rows = [_run_one(path, values) for path in paths]
    (BUILD / "results.json").write_text(json.dumps([row["metrics"] for row in rows if row["metrics"]], indent=1) + "\n")
    width, wide = max(len(row["lesson"]) for row in rows), max(len(row["main"]) for row in rows)
    print(f"\n{'lesson':{width}}  seconds  {'main metric':{wide}}  look at")
    for row in rows:
        print(f"{row['lesson']:{width}}  {row['seconds']:7.0f}  {row['main']:{wide}}  build/{row['lesson']}.ipynb")
    print(f"{'all lessons':{width}}  {sum(row['seconds'] for row in rows):7.0f}")
    if failed := [row["lesson"] for row in rows if row["failed"]]:
        raise CourseError(
            f"{len(failed)} of {len(rows)} lessons failed: {', '.join(failed)}. The notebook in build/ shows "
            "the cell; `python -m course doctor` checks this machine."
        )


def _value(text):
    """Read a parameter as Python or as plain text; a path gets its whole length, since lessons run in notebooks/."""
    if ("/" in text or text in {".", ".."}) and Path(text).expanduser().exists():
        return str(Path(text).expanduser().resolve())
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _check_parameters(paths, values):
    import papermill

    for path in paths:
        known = papermill.inspect_notebook(str(path))
        if unknown := sorted(set(values) - set(known)):
            raise CourseError(
                f"{path.stem} has no parameter {', '.join(unknown)}; it has {', '.join(known) or 'none'}."
            )


def _run_one(path, values):
    import papermill

    from helpers import report

    start, failed = time.monotonic(), False
    target = BUILD / path.name
    target.unlink(missing_ok=True)  # a run that fails early must not pass off an older one as its own
    print(f"{path.stem}", flush=True)
    try:
        with _noise_to(BUILD / f"{path.stem}.log"):
            papermill.execute_notebook(
                str(path),
                str(target),
                values,
                cwd=str(NOTEBOOKS),
                kernel_name="python3",
                progress_bar={"file": sys.stdout},
            )
    except papermill.exceptions.PapermillExecutionError as error:
        failed = f"{error.ename}: {error.evalue}".splitlines()[0]
    except RuntimeError as error:  # the kernel did not start, or died
        failed = str(error).splitlines()[0]
    seconds = time.monotonic() - start
    metrics = report.metrics_of(json.loads(target.read_text())) if target.exists() else {}
    metrics = metrics and {**metrics, "seconds": round(seconds)}
    main = f"failed: {failed}" if failed else report.describe(metrics)
    return {"lesson": path.stem, "seconds": seconds, "main": main, "metrics": metrics, "failed": failed}


@contextlib.contextmanager
def _noise_to(log):
    """Send what kernels write to the terminal's stderr (TensorFlow's start-up notes) into a file."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with open(log, "w") as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
