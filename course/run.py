"""python -m course run: run lessons with papermill, end with a table."""

import ast
import contextlib
import itertools
import json
import multiprocessing
import os
import sys
import textwrap
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from pathlib import Path

from course import check
from course.paths import BUILD, CourseError, lessons
from course.prepare import end_with_parent, prepare
from sources import cache
from sources.catalogues import source

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

    What all lessons need is prepared beforehand; a lesson that is named prepares only what it uses. Two run at a time,
    see _at_a_time.

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
    start = time.monotonic()
    jobs = [(path, BUILD / path.name, large.get(path.stem, {}) | values) for path in paths]
    for row in _run_all(jobs, _at_a_time(asked)):
        print(f"{row['lesson']} {'failed' if row['failed'] else 'ran'}, {row['seconds']:.0f} s", flush=True)
        rows.append(row)
        _keep(asked, rows)
    seconds = time.monotonic() - start
    rows.sort(key=lambda row: row["lesson"])
    results = json.dumps([row["metrics"] for row in rows if row["metrics"]], indent=1) + "\n"
    cache.replace(BUILD / "results.json", results.encode())
    absent = [{"lesson": stem, "seconds": 0, "main": f"not run: {what}"} for stem, what in lacks.items()]
    print(_table(sorted([*rows, *absent], key=lambda row: row["lesson"]), seconds))
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


def _table(rows, seconds):
    """Return seconds and main result of each lesson, in at most 100 columns, and what to open next."""
    width = max(len(row["lesson"]) for row in rows)
    lines = [f"\n{'lesson':{width}}  seconds  main result"]
    for row in rows:
        start = f"{row['lesson']:{width}}  {row['seconds']:7.0f}  "
        lines.append(textwrap.fill(row["main"], 100, initial_indent=start, subsequent_indent=" " * len(start)))
    lines.append(f"{'this run':{width}}  {seconds:7.0f}")
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


def _at_a_time(asked):
    """Return how many lessons run at a time (int): two, since one keeps little more than a core busy.

    But one where there is one core, or less memory than two take; at full size, where one keeps two cores busy; with
    parameters, since two lessons could be told to write to one folder; and where Keras downloads, which has no lock.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    alone = asked["full"] or asked["parameters"] or source() == "official"
    return 1 if alone or os.cpu_count() == 1 or memory < 6e9 else 2


def _run_all(jobs, at_a_time):
    """Run lessons, each given as the arguments of _run_one; yield their rows as they end."""
    if min(at_a_time, len(jobs)) < 2:
        yield from (_run_one(*job) for job in jobs)
        return
    waiting = iter(jobs)  # a lesson that a process had been given beforehand would still run after Ctrl-C
    with ProcessPoolExecutor(at_a_time, multiprocessing.get_context("spawn"), _start) as pool:
        running = {pool.submit(_run_one, *job) for job in itertools.islice(waiting, at_a_time)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(_run_one, *job) for job in itertools.islice(waiting, len(done))}
                yield from (row.result() for row in done)
        except BrokenProcessPool:
            raise CourseError(
                "the process that ran a lesson was ended from outside; where memory is short, the system does so. "
                "`python -m course run --resume` goes on here."
            ) from None
        except BaseException:
            with contextlib.suppress(KeyboardInterrupt):  # a second one ends the wait
                wait(running, timeout=10)  # Ctrl-C reaches the processes, too, and they end their kernels
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _start():
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # or the first lesson takes the whole of a GPU
    end_with_parent()


def _run_one(path, target, values):
    import papermill

    from helpers import report

    start, failed = time.monotonic(), False
    target.unlink(missing_ok=True)  # a run that fails early must not pass off an older one as its own
    print(f"{path.stem}", flush=True)
    bar = sys.stdout.isatty() and multiprocessing.parent_process() is None  # those of two would overwrite each other
    try:
        with _noise_to(target.with_suffix(".log")):
            papermill.execute_notebook(
                str(path),
                str(target),
                values,
                cwd=str(path.parent),
                kernel_name="python3",
                progress_bar={"file": sys.stdout} if bar else False,
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
