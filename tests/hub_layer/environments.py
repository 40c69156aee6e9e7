"""Bare environments for the wheel, the checks run in them, and the tables of the results in the wheel's README.

python tests/hub_layer/environments.py FOLDER [NAME ...] makes what it needs in FOLDER (about 1 GB each), runs the
checks in all environments or in those named, and writes results.json and the README. A result that is in FOLDER
already is not computed again.
"""

import collections
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CHECKS = HERE / "checks"
RESULTS = HERE / "results.json"
README = ROOT / "hub_layer" / "README.md"
SUBJECTS = {  # what a file of checks is about
    "check_training.py": "training, freezing, losses",
    "check_models.py": "kinds of model, ways to run one",
    "check_saving.py": "saving, exporting, LiteRT, safe mode",
    "check_inputs.py": "text, several inputs and outputs",
    "check_old_modules.py": "modules from TensorFlow 1 and Keras 2",
    "check_distributed.py": "`MirroredStrategy`",
    "check_messages.py": "its own messages and names",
}


def _environments():
    for tensorflow in ("2.16.2", "2.17.1", "2.18.1", "2.19.1", "2.20.0", "2.21.*"):
        oldest = "3.12" if tensorflow == "2.21.*" else "3.10"  # TensorFlow 2.21 takes no older Keras
        for keras, package in ((f"Keras {oldest}", f"keras=={oldest}.0"), ("newest Keras", "keras")):
            yield f"{tensorflow[:4]}, {keras}, Python 3.11", ("3.11", [f"tensorflow-cpu=={tensorflow}", package])
    for python in ("3.12", "3.13"):
        yield f"2.21, newest Keras, Python {python}", (python, ["tensorflow-cpu==2.21.*", "keras"])


NEWEST = "2.21, newest Keras, Python 3.11"
ALTERNATIVES = "2.21, newest Keras, tf-keras and tensorflow-text, Python 3.11"
HUB = ["tf-keras==2.21.*", "tensorflow-text==2.21.*", "tensorflow-hub==0.16.1", "setuptools<82"]
ENVIRONMENTS = dict(_environments())
ENVIRONMENTS[ALTERNATIVES] = ("3.11", [*ENVIRONMENTS[NEWEST][1], *HUB])
CONTROL = "Keras"  # its own layers, or TensorFlow alone
OTHERS = {NEWEST: [CONTROL, "TFSMLayer"], ALTERNATIVES: ["hub.KerasLayer"]}
OTHERS |= {name: [CONTROL] for name in ENVIRONMENTS if name.startswith("2.16")}


def run(command, **options):
    """Run a command and return it; AssertionError with its last lines where it fails."""
    ran = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert ran.returncode == 0, f"{command[:3]}: {ran.stdout[-1500:]}\n{ran.stderr[-3000:]}"
    return ran


def wheel(folder):
    """Return the wheel, built into the folder."""
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT / "hub_layer"])
    return next(Path(folder).glob("hub_layer-*.whl"))


def create(folder, python, packages, built):
    """Make a bare environment of packages, pytest and the wheel; return its Python."""
    uv = Path(folder).parent / "uv" / "bin" / "uv"
    if not uv.exists():
        run([sys.executable, "-m", "venv", uv.parent.parent])
        run([uv.with_name("python"), "-m", "pip", "install", "--quiet", "uv"])
    version, python = python, Path(folder, "bin", "python")
    if not python.exists():
        run([uv, "venv", "--quiet", "--python", version, folder])
        no_tensorflow = Path(folder, "override.txt")
        # tf-keras and tensorflow-text ask for tensorflow, which would lie over tensorflow-cpu.
        no_tensorflow.write_text("tensorflow; sys_platform == 'never'\n")
        install = [uv, "pip", "install", "--quiet", "--python", python]
        run([*install, "--override", no_tensorflow, "pytest", *packages])
    run([uv, "pip", "install", "--quiet", "--no-deps", "--reinstall", "--python", python, built])
    return python


def modules(python, folder):
    """Write the modules of the checks with an environment's TensorFlow, and beside them the old ones."""
    if not Path(folder, "update_ops").exists():
        run([python, CHECKS / "make_modules.py", folder])
        with tarfile.open(CHECKS / "old_modules.tar.xz") as archive:
            archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python before 3.11.4 has none
            archive.extractall(folder)
    return folder


def example(python, folder):
    """Run the README's example word for word, and then the docstring's."""
    code, prints = re.search(r"## Example.*?```python\n(.*?)```\s+It prints `(.*?)`", README.read_text(), re.S).groups()
    code += "import doctest, hub_layer\nprint(doctest.testmod(hub_layer))"
    printed = run([python, "-c", code], cwd=folder).stdout.splitlines()
    assert printed[-2:] == [prints, "TestResults(failed=0, attempted=7)"]


def check(python, layer, folder, results, files=tuple(SUBJECTS)):
    """Run the checks on a layer and return {check: "passed", "failed", "skipped" or "died"}."""
    environment = {**os.environ, "LAYER": layer, "MODULES": str(folder), "RESULTS": str(results)}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(CHECKS), "PYTHONDONTWRITEBYTECODE": "1"}
    if layer == "hub.KerasLayer":
        environment["TF_USE_LEGACY_KERAS"] = "1"
    command = [python, "-m", "pytest", "-q", "--noconftest", "-p", "keep_results", "-p", "no:cacheprovider"]
    command += ["-c", os.devnull, "--rootdir", CHECKS]
    for replicas in (1, 2):
        environment["REPLICAS"] = str(replicas)
        paths = [str(CHECKS / file) for file in files if (file == "check_distributed.py") == (replicas == 2)]
        code = None if paths else 0
        while code not in (0, 1, 5):  # a check that takes the process with it is left out of the next try
            done = _read(results)
            ran = subprocess.run([*map(str, command), *paths], capture_output=True, text=True, env=environment)
            code = ran.returncode
            with open(f"{results}.log", "a") as log:
                log.write(ran.stdout + ran.stderr)
            assert code in (0, 1, 5) or _read(results).keys() != done.keys(), ran.stderr[-3000:]
    return _read(results)


def _read(results):
    lines = Path(results).read_text().splitlines() if Path(results).exists() else []
    return dict(json.loads(line) for line in lines)


def failed(results):
    """Return the names of the checks that failed."""
    return sorted(name for name, result in results.items() if result in ("failed", "died"))


def control(environment):
    """Return what Keras' own layers or TensorFlow alone failed in an environment or, if never run there, the newest."""
    fails = {row["environment"]: row["failed"] for row in stored() if row["layer"] == CONTROL}
    return set(fails.get(environment, fails[NEWEST]))


def stored():
    """Return the last results, one row for each layer in each environment."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def _row(name, python, layer, results):
    """Return one row of results.json: versions, [passed, asked] by file of checks, and what failed."""
    code = (
        "import importlib.metadata as m, platform as p; print(m.version('tensorflow-cpu'), m.version('keras'), end=' ')"
    )
    versions = run([python, "-c", f"{code}; print(p.python_version())"]).stdout.split()
    counts = collections.defaultdict(lambda: [0, 0])
    for check_name, result in results.items():
        counts[check_name.partition("::")[0]][0] += result == "passed"
        counts[check_name.partition("::")[0]][1] += result != "skipped"
    return {"environment": name, "layer": layer, "versions": versions, "counts": counts, "failed": failed(results)}


def tables(rows):
    """Return the README's tables by the names of their places."""
    newest = {row["layer"]: row["counts"] for row in rows if row["environment"] == ALTERNATIVES}
    newest |= {row["layer"]: row["counts"] for row in rows if row["environment"] == NEWEST}
    heads = [layer for layer in ("HubLayer", "hub.KerasLayer", "TFSMLayer") if layer in newest]
    layers = [f"| checks | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for file, subject in SUBJECTS.items():
        counts = [newest[layer][file] for layer in heads]
        cells = [f"{passed} of {asked}" if asked else "" for passed, asked in counts]
        layers.append(f"| {subject} | {' | '.join(cells)} |")
    ours = [row for row in rows if row["layer"] == "HubLayer" and row["environment"] != ALTERNATIVES]
    versions = ["| TensorFlow | Keras | Python | HubLayer passes |", "|---|---|---|---|"]
    for row in ours:
        passed, asked = map(sum, zip(*row["counts"].values(), strict=True))
        versions.append(f"| {' | '.join(row['versions'])} | {passed} of {asked} |")
    failures = ["| check | fails with HubLayer on | fails without on |", "|---|---|---|"]
    for name in sorted({name for row in ours for name in row["failed"]}):
        cells = []
        for group in (ours, [row for row in rows if row["layer"] == CONTROL]):
            fails = {row["versions"][0] for row in group if name in row["failed"]}
            everywhere = fails == {row["versions"][0] for row in group}
            cells.append("every version" if everywhere else ", ".join(sorted(fails)))
        failures.append(f"| `{name.partition('::')[2]}` | {' | '.join(cells)} |")
    return {"layers": "\n".join(layers), "versions": "\n".join(versions), "failures": "\n".join(failures)}


def insert(readme, rows):
    """Return the README with the tables in their places."""
    for name, table in tables(rows).items():
        readme = re.sub(rf"<!-- {name} -->\n\n(\|.*\n)*", lambda _, n=name, t=table: f"<!-- {n} -->\n\n{t}\n", readme)
    return readme


def main():
    """Run the checks and write results.json and the README's tables."""
    folder, names = Path(sys.argv[1]).resolve(), sys.argv[2:] or list(ENVIRONMENTS)
    folder.mkdir(parents=True, exist_ok=True)
    built = wheel(folder)
    for name in names:
        home = folder / re.sub(r"\W+", "-", name)
        python = create(home, *ENVIRONMENTS[name], built)
        example(python, home)
        made = modules(python, home / "modules")
        for layer in ["HubLayer", *OTHERS.get(name, [])]:
            new = _row(name, python, layer, check(python, layer, made, home / f"{layer}.jsonl"))
            rows = {(row["environment"], row["layer"]): row for row in [*stored(), new]}
            kept = sorted(rows.values(), key=lambda row: list(ENVIRONMENTS).index(row["environment"]))
            RESULTS.write_text("".join(json.dumps(row) + "\n" for row in kept))
            README.write_text(insert(README.read_text(), kept))
            print(name, layer, new["failed"], flush=True)


if __name__ == "__main__":
    main()
