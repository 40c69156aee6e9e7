"""The command line: python -m helpers install | prepare | run | refresh | assignments | grade | doctor.

It starts on a bare Python, so only the standard library is imported up here.
"""

import argparse
import ast
import base64
import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import tomllib
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS, BUILD = ROOT / "notebooks", ROOT / "build"
METRICS = "application/vnd.plants.metrics+json"
_reported = {}  # the metrics that this process has displayed, by lesson
PLATFORMS = {("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")}


def main(arguments=None):
    """Run one command; a problem that a person can mend ends in one message, without a traceback."""
    parser = argparse.ArgumentParser(prog="python -m helpers", description="The course's commands.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = commands.add_parser("install", help="make a virtual environment and install the lock into it")
    add.add_argument("--venv", default=".venv", help="its folder (default: .venv)")
    add.add_argument("--lock", default="requirements.txt", help="the lock (default: requirements.txt)")
    add.set_defaults(call=lambda given: install(ROOT / given.venv, ROOT / given.lock))
    add = commands.add_parser("prepare", help="fetch and build every module and photo set")
    add.set_defaults(call=lambda given: prepare())
    add = commands.add_parser("run", help="run lessons with papermill into build/")
    add.add_argument(
        "notebooks", nargs="*", metavar="NOTEBOOK", help="for instance 01 or 01_official_model (default: all)"
    )
    add.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), dest="parameters")
    add.set_defaults(call=lambda given: run(given.notebooks, given.parameters))
    add = commands.add_parser(
        "refresh", help="run lessons in place, as they are committed (TIMINGS=1: timing cells too)"
    )
    add.add_argument("notebooks", nargs="*", metavar="NOTEBOOK")
    add.set_defaults(call=lambda given: refresh_all(given.notebooks))
    add = commands.add_parser(
        "assignments", help="write the students' notebooks, and build/assignments.zip with all they need"
    )
    add.set_defaults(call=lambda given: _classroom().release())
    add = commands.add_parser("grade", help="grade a folder of submissions into build/grades")
    add.add_argument("folder", help="STUDENT/NAME.ipynb, STUDENT_NAME.ipynb and the like")
    add.add_argument("--assignment", help="grade only this one (also what a file is that tells nothing of itself)")
    add.add_argument("--jobs", type=int, default=2, help="how many at a time (default: 2)")
    add.add_argument("--timeout", type=int, default=60, help="seconds for a cell; five times that for a notebook (60)")
    add.add_argument("--memory", type=int, default=4096, help="MB for a submission (default: 4096)")
    add.add_argument("--out", default=BUILD / "grades", help="where grades go (default: build/grades)")
    add.set_defaults(call=lambda given: _classroom().grade(**{k: v for k, v in vars(given).items() if k != "call"}))
    add = commands.add_parser("doctor", help="say what this machine has and what is prepared")
    add.set_defaults(call=lambda given: doctor())
    given = parser.parse_args(arguments)
    try:
        check_platform()
        given.call(given)
    except (CourseError, OSError, ValueError, RuntimeError) as error:
        if os.environ.get("COURSE_DEBUG"):
            raise
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. What was finished is kept; run the same command to go on.")


def _classroom():
    """The teacher's part; it needs the extra `grading`."""
    if _version("nbgrader") is None:
        raise CourseError(
            "this needs nbgrader, which is not installed. `make assignments` and `make grade` bring it, or "
            "`python3 -m helpers install --lock requirements-grading.txt`."
        )
    from helpers import classroom

    return classroom


class CourseError(Exception):
    """A command can't go on. The message says why and what to do next."""


def check_platform(system=None, machine=None):
    """Raise CourseError on a platform that TensorFlow 2.21 or tensorflow-text has no wheels for."""
    here = (system or platform.system(), machine or platform.machine())
    if here not in PLATFORMS:
        cure = {
            "Windows": "On Windows, install WSL2 (`wsl --install`) and run the course inside it.",
            "Darwin": "TensorFlow 2.21 has no wheels for Intel Macs; use a Linux machine or an Apple silicon Mac.",
        }
        raise CourseError(
            f"This course runs on Linux (x86-64, aarch64), Apple silicon and Windows through WSL2; this is "
            f"{' '.join(here)}. {cure.get(here[0], '')}"
        )


def install(venv, lock):
    """Install a lock, hashes required, into a virtual environment; nothing happens where it is installed already."""
    if not lock.is_file():
        there = ", ".join(sorted(path.name for path in ROOT.glob("requirements*.txt")))
        raise CourseError(f"there is no lock {lock.name}; there are {there}.")
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp = venv / f"{lock.name}.installed"
    if stamp.exists() and stamp.read_text() == digest:
        return
    start = time.monotonic()
    uv = ROOT / ".uv" / "bin" / "uv"
    if not uv.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _client([*pip, "--no-deps", "--require-hashes", "--target", ROOT / ".uv", "-r", ROOT / "requirements-uv.txt"])
    if not (venv / "bin" / "python").exists():
        _client([uv, "venv", "--quiet", "--python", sys.executable, venv])
    # The lock is complete, so nothing is resolved: --no-deps. A laptop gets tensorflow-cpu where there is one.
    into = ["--python", venv / "bin" / "python", "--compile-bytecode"]
    _client([uv, "pip", "install", *into, "--no-deps", "--require-hashes", "-r", lock])
    stamp.write_text(digest)
    print(f"Installed {lock.name} into {venv.name} in {time.monotonic() - start:.0f} s.")


def _client(command):
    command = [str(part) for part in command]
    if subprocess.run(command, cwd=ROOT, env={**_pip_settings(), **os.environ}).returncode:
        raise CourseError(
            "the install stopped; the lines above say why. Without a network, connect or set up your mirror "
            "(PIP_INDEX_URL), then run the same command: it goes on from here."
        )


def _pip_settings():
    """The mirror and the certificates that pip is set up with, as environment for uv, which does not ask pip."""
    found = {}
    for name, setting in {"UV_DEFAULT_INDEX": "index-url", "SSL_CERT_FILE": "cert"}.items():
        ask = [sys.executable, "-m", "pip", "config", "get", f"global.{setting}"]
        told = subprocess.run(ask, capture_output=True, text=True).stdout.strip()
        if value := os.environ.get(f"PIP_{setting.replace('-', '_').upper()}", told):
            found[name] = value
    return found


def prepare():
    """Fetch and build every module, photo set and text set of the catalogues that is not there yet; say what was done.

    The photo sets of TensorFlow Datasets, up to 1.4 GB each, wait until photos.load asks for one.
    """
    from helpers import cache, modules, photos, texts

    start = time.monotonic()
    for name, card in photos.catalogue().items():
        if "tfds" not in card:
            photos.load(name)
    for name in texts.catalogue():
        texts.load(name)
    for name in modules.catalogue():
        if not modules.is_ready(name):
            modules.path(name)
    done = ", ".join(cache.built) if cache.built else "nothing to download or build"
    print(f"Prepared in {time.monotonic() - start:.0f} s: {done}.", flush=True)


def lessons(names=()):
    """Return the lessons' paths (list of Path), all or those whose name starts with one of names."""
    every = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    found = [path for path in every if not names or any(path.name.startswith(Path(name).name) for name in names)]
    if missing := [name for name in names if not any(path.name.startswith(Path(name).name) for path in every)]:
        raise CourseError(
            f"no lesson is called {', '.join(missing)}; there are {', '.join(path.stem for path in every)}."
        )
    return found


def run(names=(), parameters=()):
    """Run lessons with papermill into build/, report every one, and end with a table and build/results.json."""
    paths = lessons(names)
    values = {name: _value(text) for name, text in parameters}
    _check_parameters(paths, values)
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
            "the cell; `python -m helpers doctor` checks this machine."
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
    metrics = metrics_of(json.loads(target.read_text())) if target.exists() else {}
    metrics = metrics and {**metrics, "seconds": round(seconds)}
    main = f"failed: {failed}" if failed else describe(metrics)
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


def report(lesson, photo_set, module, label, **metrics):
    """Display a lesson's metrics for machines and for people.

    label: what the main metric is, in a few words.  metrics: name=(value, low, high, n), one of them named main; low
    and high are None where there is no interval.
    """
    from IPython.display import display

    from helpers import modules

    named = {name: dict(zip(("value", "low", "high", "n"), row, strict=True)) for name, row in metrics.items()}
    payload = {"lesson": lesson, "source": modules.source(), "photo_set": photo_set, "module": module, "label": label}
    payload["metrics"] = named
    _reported[lesson] = payload
    display({METRICS: payload, "text/plain": f"main metric: {describe(payload)}"}, raw=True)


def metrics_of(notebook):
    """Return the metrics (dict) that a run lesson displays, {} where it has none; notebook is its JSON as a dict."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if METRICS in output.get("data", {}):
                return output["data"][METRICS]
    return {}


def describe(metrics):
    """Return a lesson's main metric in a few words (str)."""
    if "main" not in metrics.get("metrics", {}):
        return "none"
    main = metrics["metrics"]["main"]
    between = f" [{main['low']:.3f} {main['high']:.3f}]" if main["low"] is not None else ""
    return f"{main['value']:.3f}{between} {metrics.get('label', '')}, n = {main['n']}"


def show_claims():
    """Display the article's claims as a table: claim, the lesson that tests it, verdict, figure."""
    from IPython.display import display

    display({"text/markdown": claims(), "text/plain": claims()}, raw=True, metadata={"course": {"claims": True}})


def claims():
    """Return the table of the article's claims (str, Markdown).

    Figures come from the metrics of the lesson that runs, for other lessons from their committed outputs.
    """
    lines = ["| the article says | tested in | verdict | figure |", "|---|---|---|---|"]
    for row in tomllib.loads((ROOT / "data" / "claims.toml").read_text()).values():
        lesson = NOTEBOOKS / f"{row['lesson']}.ipynb"
        payload = _reported.get(lesson.stem)
        if payload is None and lesson.exists():
            payload = metrics_of(json.loads(lesson.read_text()))
        verdict, figure = "not tested yet", ""
        if payload:
            numbers = {name: types.SimpleNamespace(**found) for name, found in payload["metrics"].items()}
            verdict, figure = row["verdict"], row["figure"].format(**numbers)
        lines.append(f"| {row['claim']} | {lesson.stem[:2]} | {verdict} | {figure} |")
    return "\n".join(lines) + "\n"


def show_runs():
    """Display data/runs.json, the measured runs of lesson 05 on other photo sets, as a table."""
    from IPython.display import display

    display({"text/markdown": runs(), "text/plain": runs()}, raw=True)


def runs():
    """Return the table of measured runs (str, Markdown); bench/runs.py measures them."""
    lines = [
        "| set | photos | held out | module | accuracy | at random | background only | one split: frozen, tuned | s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in json.loads((ROOT / "data" / "runs.json").read_text()):
        found = {name: "{value:.3f} [{low:.3f} {high:.3f}]".format(**row[name]) for name in row if "accuracy" in name}
        lines.append(
            f"| {row['set']}: {row['what']} | {row['photos']} in {row['classes']} classes | {row['split']} | "
            f"{row['module']} | {found['accuracy']} | {found['accuracy_random']} | {found['accuracy_background']} | "
            f"{found['accuracy_frozen_split']}, {found['accuracy_fine_tuned']} | {row['seconds']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def with_tables(readme):
    """Return a README's text (str) with its tables of claims and of runs as they are now."""
    for name, table in {"claims": claims(), "runs": runs()}.items():
        before, rest = readme.split(f"<!-- {name} -->")
        after = rest.split(f"<!-- end of {name} -->")[1]
        readme = f"{before}<!-- {name} -->\n{table}<!-- end of {name} -->{after}"
    return readme


def refresh_all(names):
    """Run lessons in place, then renew what other lessons and the README take from them."""
    prepare()
    for path in lessons(names):
        refresh(path)
    for path in lessons():
        _renew_claims(path)
    readme = ROOT / "README.md"
    readme.write_text(with_tables(readme.read_text()))


def _renew_claims(path):
    """Bring a lesson's stored claims table up to date: a lesson that ran after it may have moved a figure."""
    import nbformat

    notebook = nbformat.read(path, 4)
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if output.get("metadata", {}).get("course", {}).get("claims"):
            output.data = nbformat.from_dict({"text/markdown": claims(), "text/plain": claims()})
    nbformat.write(notebook, path)


def refresh(path):
    """Run a lesson in place so that a second run on this machine gives the same file."""
    import nbformat
    from nbclient import NotebookClient

    stored = nbformat.read(path, 4)
    fresh = nbformat.from_dict(stored)
    print(path.stem, flush=True)
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(fresh, timeout=900, kernel_name="python3", record_timing=False, resources=where).execute()
    _save_figures(fresh, path.parent / "figures")
    nbformat.write(clean(fresh, stored), path)


def _save_figures(notebook, folder):
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if name := output.get("metadata", {}).get("course", {}).get("save"):
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(base64.b64decode(output.data["image/png"]))


def clean(fresh, stored):
    """Return a run notebook without what differs from run to run or may not be published."""
    import nbformat

    fresh.metadata = nbformat.from_dict(
        {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        }
    )
    before = {cell.id: cell.get("outputs") for cell in stored.cells}
    for cell in fresh.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        outputs = [_published(output) for output in cell.outputs if output.get("name") != "stderr"]
        if "timing" in cell.metadata.get("tags", []) and before.get(cell.id) and not os.environ.get("TIMINGS"):
            outputs = before[cell.id]
        cell.outputs = outputs
    return fresh


def _published(output):
    if output.output_type in {"display_data", "execute_result"}:
        output.data.pop("application/vnd.jupyter.widget-view+json", None)
        if output.metadata.get("course", {}).get("publish") is False and "image/png" in output.data:
            alt = output.data["text/plain"]
            output.data = {
                "text/plain": f"[Shown when you run this cell: {alt} Their licence does not let us publish them here.]"
            }
    return output


def doctor():
    """Print what this machine has, what is prepared, and what to do about what is missing."""
    import numpy  # noqa: F401  fails here, with a clear name, where the install is broken

    from helpers import cache, modules, photos

    print(f"Python      {platform.python_version()} on {platform.system()} {platform.machine()}")
    wrong = []
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        found = re.match(r"([\w.-]+)==(\S+)(?: ; (.+?))? \\", line)
        if found and _applies(found[3]):
            have = _version(found[1])
            if have != found[2]:
                wrong.append(f"{found[1]} {have or 'missing'}, locked {found[2]}")
    print(f"Lock        {'every package as locked' if not wrong else '; '.join(wrong)}")
    print(f"TensorFlow  {_version('tensorflow-cpu') or _version('tensorflow')}, Keras {_version('keras')}, {_gpus()}")
    print(f"Source      {modules.source()}")
    free = shutil.disk_usage(cache.root() if cache.root().exists() else ROOT).free / 1e9
    print(f"Cache       {cache.root()}, {free:.1f} GB free")
    ready = [name for name in modules.catalogue() if modules.is_ready(name)]
    official = [name for name, card in photos.catalogue().items() if "tfds" in card]
    packaged = [name for name in photos.catalogue() if name not in official]
    print(f"Modules     {len(ready)} of {len(modules.catalogue())} prepared; photo sets: {', '.join(packaged)}")
    print(f"            with COURSE_SOURCE=official also {', '.join(official)}")
    print(
        "Clients     " + ", ".join(f"{name} {'yes' if shutil.which(name) else 'no'}" for name in ("npm", "git", "make"))
    )
    if wrong:
        print("\nRun `make run` (or `python3 -m helpers install`) to mend the install.")


def _applies(marker):
    from packaging.markers import Marker

    return marker is None or Marker(marker).evaluate()


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gpus():
    import tensorflow as tf

    count = len(tf.config.list_physical_devices("GPU"))
    return f"{count} GPU" if count else "no GPU: every lesson is made for a CPU"
