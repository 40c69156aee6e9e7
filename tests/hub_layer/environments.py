"""Bare environments for the wheel, the checks run in them, and the table of the results.

python tests/hub_layer/environments.py FOLDER [NAME ...] makes what it needs in FOLDER (about 1 GB each) and prints the
table of all environments or of those named. A result that is there already is not computed again.
"""

import collections
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CHECKS = HERE / "checks"
NEWEST = "2.21, newest Keras, Python 3.11"
ALTERNATIVES = "the alternatives on 2.21"
# tf-keras and tensorflow-text ask for tensorflow, which would lie over tensorflow-cpu.
HUB = ["tf-keras==2.21.*", "tensorflow-hub==0.16.1", "setuptools<82"]


def _environment(tensorflow, keras="keras", python="3.11"):
    return python, [f"tensorflow-cpu=={tensorflow}", keras]


ENVIRONMENTS = {
    "2.16, Keras 3.10, Python 3.11": _environment("2.16.2", "keras==3.10.0"),
    "2.16, newest Keras, Python 3.11": _environment("2.16.2"),
    "2.17, newest Keras, Python 3.11": _environment("2.17.1"),
    "2.18, newest Keras, Python 3.11": _environment("2.18.1"),
    "2.19, newest Keras, Python 3.11": _environment("2.19.1"),
    "2.20, Keras 3.10, Python 3.11": _environment("2.20.0", "keras==3.10.0"),
    "2.20, newest Keras, Python 3.11": _environment("2.20.0"),
    "2.21, Keras 3.12, Python 3.11": _environment("2.21.0", "keras==3.12.0"),  # the oldest that TensorFlow 2.21 takes
    NEWEST: _environment("2.21.*"),
    "2.21, newest Keras, Python 3.12": _environment("2.21.*", python="3.12"),
    "2.21, newest Keras, Python 3.13": _environment("2.21.*", python="3.13"),
    ALTERNATIVES: ("3.11", ["tensorflow-cpu==2.21.*", "keras", *HUB]),
}


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
            archive.extractall(folder, filter="data")
    return folder


def check(python, layer, folder, results):
    """Run the checks on a layer and return {check: "passed", "failed", "skipped" or "died"}."""
    environment = {**os.environ, "LAYER": layer, "MODULES": str(folder), "RESULTS": str(results)}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(CHECKS), "PYTHONDONTWRITEBYTECODE": "1"}
    if layer == "hub.KerasLayer":
        environment["TF_USE_LEGACY_KERAS"] = "1"
    for files in (["check_training.py", "check_models.py", "check_inputs.py"], ["check_distributed.py"]):
        environment["REPLICAS"] = "2" if files == ["check_distributed.py"] else "1"
        while True:  # a check that takes the process with it is left out of the next try
            done = _read(results)
            left_out = [f"--deselect={CHECKS / file}::{name}" for file in files for name in done]
            command = [python, "-m", "pytest", "-q", "--noconftest", "-p", "conftest", "-p", "no:cacheprovider"]
            command += ["-c", os.devnull, "--rootdir", CHECKS, *left_out, *(CHECKS / file for file in files)]
            ran = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
            with open(f"{results}.log", "a") as log:
                log.write(ran.stdout + ran.stderr)
            if ran.returncode in (0, 1, 5) or _read(results).keys() == done.keys():
                break
    return _read(results)


def _read(results):
    lines = Path(results).read_text().splitlines() if Path(results).exists() else []
    return dict(json.loads(line) for line in lines)


def main():
    """Print the table, a row for each environment and layer, with the names of what failed."""
    folder, names = Path(sys.argv[1]).resolve(), sys.argv[2:] or list(ENVIRONMENTS)
    folder.mkdir(parents=True, exist_ok=True)
    built = wheel(folder)
    print("| TensorFlow, Keras, Python | layer | passed | failed | not asked |\n|---|---|---|---|---|")
    failures = collections.defaultdict(list)
    for name in names:
        home = folder / name.replace(", ", "-").replace(" ", "_")
        python = create(home, *ENVIRONMENTS[name], built)
        made = modules(python, home / "modules")
        layers = ["HubLayer"]
        layers += ["Keras", "TFSMLayer"] if name == NEWEST else ["hub.KerasLayer"] if name == ALTERNATIVES else []
        for layer in layers[name == ALTERNATIVES :]:
            results = check(python, layer, made, home / f"{layer}.jsonl")
            count = collections.Counter(results.values())
            failed = count["failed"] + count["died"]
            print(f"| {name} | {layer} | {count['passed']} | {failed} | {count['skipped']} |", flush=True)
            for check_name, result in results.items():
                if result in ("failed", "died"):
                    failures[check_name].append(f"{layer} on {name}")
    for check_name, where in failures.items():
        print(f"{check_name}: {'; '.join(where)}")


if __name__ == "__main__":
    main()
