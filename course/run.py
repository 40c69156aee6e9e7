"""python -m course run: run lessons with papermill, end with a table."""

import ast
import contextlib
import json
import os
import sys
import textwrap
import time
from importlib.util import find_spec
from pathlib import Path

from course import check
from course.paths import BUILD, NOTEBOOKS, CourseError, lessons
from course.prepare import prepare
from sources import cache

CROPS = ("maize", "apple", "grape", "pepper", "potato", "tomato")
FULL = {  # lessons that have a run at full size: its parameters
    "04_species": {
        "photo_set": "flowers_3000",
        "image_size": 128,
        "epochs": 30,
        "tuning_epochs": 3,
        "sizes": [10, 50, 200],
    },
    "05_disease": {"crop": "all", "image_size": 128, "tuning_epochs": 3},
}
FULL_MINUTES = {"04_species": 24, "05_disease": 24}  # measured on two CPU cores

NEEDS = {"11_beyond_one_machine": ("ray", "scale")}  # lessons that need more than the core lock: a package, its lock


def lacking(stem):
    """Return what a lesson lacks here and the command that installs it (str); "" where it lacks nothing."""
    package, lock = NEEDS.get(stem, ("course", "core"))
    if find_spec(package):
        return ""
    return f"needs {package}, which `python -m course install --lock {lock}` installs"


def run(names=(), parameters=(), full=False, resume=False):
    """Run lessons with papermill into build/, report every one, and end with a table and build/results.json.

    What all lessons need is prepared beforehand; a lesson that is named prepares only what it uses.

    Args:
        names: of lessons, for instance 01 or 01_official_model; all if there is none.
        parameters: (name, value as text) of parameters that every one of them has.
        full: run those of FULL on their photo sets at size, and say before what that downloads and how long it takes.
        resume: go on with the last run, as it was asked: only lessons that failed, or were never reached, run.

    Raises:
        CourseError: no such lesson or parameter, or a lesson failed. All others have run. A lesson that is named lacks
            a package; where all are run, the table lists it with the command that installs it.
    """
    asked, rows = {"names": list(names), "parameters": list(parameters), "full": full}, []
    if resume:
        asked, rows = _last(asked)
    paths = lessons(asked["names"])
    values = {name: _value(name, text) for name, text in asked["parameters"]}
    _check_parameters(paths, values)
    values = check.parameters(values)
    done = {row["lesson"] for row in rows}
    lacks = {path.stem: lacking(path.stem) for path in paths if lacking(path.stem)}
    if lacks and asked["names"]:
        raise CourseError("; ".join(f"{stem} {what}" for stem, what in lacks.items()) + ".")
    paths = [path for path in paths if path.stem not in done | set(lacks)]
    large = {path.stem: FULL[path.stem] for path in paths if asked["full"] and path.stem in FULL}
    if large:
        print(_announced(large), flush=True)
    BUILD.mkdir(exist_ok=True)
    _keep(asked, rows)  # from here on, an interrupted run is the one to go on with
    if not asked["names"]:
        prepare()
    for path in paths:
        rows.append(_run_one(path, large.get(path.stem, {}) | values))
        _keep(asked, rows)
    rows.sort(key=lambda row: row["lesson"])
    results = json.dumps([row["metrics"] for row in rows if row["metrics"]], indent=1) + "\n"
    cache.replace(BUILD / "results.json", results.encode())
    absent = [{"lesson": stem, "seconds": 0, "main": f"not run: {what}"} for stem, what in lacks.items()]
    print(_table(sorted([*rows, *absent], key=lambda row: row["lesson"])))
    if failed := [row["lesson"] for row in rows if row["failed"]]:
        raise CourseError(
            f"{len(failed)} of {len(rows)} lessons failed: {', '.join(failed)}. The notebook in build/ shows "
            "the cell; `python -m course doctor` checks this machine, and `python -m course run --resume` goes on here."
        )


def _keep(asked, rows):
    cache.replace(BUILD / "run.json", json.dumps({"asked": asked, "rows": rows}).encode())


def _last(asked):
    """Return what the last run was asked, and its lessons that are done."""
    if any(asked.values()):
        raise CourseError("--resume goes on with the last run as it was asked: leave out lessons, -p and --full.")
    if not (BUILD / "run.json").exists():
        raise CourseError("build/ has no run to go on with; `python -m course run` starts one.")
    last = json.loads((BUILD / "run.json").read_text())
    return last["asked"], [row for row in last["rows"] if not row["failed"]]


def _table(rows):
    """Return seconds and main result of each lesson, in at most 100 columns, and what to open next."""
    width = max(len(row["lesson"]) for row in rows)
    lines = [f"\n{'lesson':{width}}  seconds  main result"]
    for row in rows:
        start = f"{row['lesson']:{width}}  {row['seconds']:7.0f}  "
        lines.append(textwrap.fill(row["main"], 100, initial_indent=start, subsequent_indent=" " * len(start)))
    lines.append(f"{'all':{width}}  {sum(row['seconds'] for row in rows):7.0f}")
    return "\n".join(
        [*lines, f"\nOpen build/{rows[0]['lesson']}.ipynb to see a lesson as it ran, or `make lab` to change one."]
    )


def _announced(large):
    from sources.recipes import large_sets

    crops = CROPS if "05_disease" in large else ()
    names = [*(f"{crop}_{side}" for crop in crops for side in ("lab", "field"))]
    names += [values["photo_set"] for values in large.values() if "photo_set" in values]
    minutes = sum(FULL_MINUTES[stem] for stem in large)
    return f"{large_sets.announce(names)}\nThen {', '.join(large)} at full size: about {minutes} min on two CPU cores."


def _value(name, text):
    """Read a parameter as Python or as plain text; a path gets its whole length, since lessons run in notebooks/."""
    if name in check.LOOKS and not text.startswith(("[", '"', "'")):  # a folder called 2023_10 is no number
        return text
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
                progress_bar={"file": sys.stdout} if sys.stdout.isatty() else False,
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
