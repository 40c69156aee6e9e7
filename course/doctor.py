"""python -m course doctor: what this machine has, what is prepared, and the cure for what is missing.

It works before anything is installed, and where what is installed is broken.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from course.install import check_platform, digest, stamp
from course.paths import LOCKS, ROOT, CourseError

PING = "filelock"  # a small package of the lock: whether pip can see it tells whether pip reaches its registry


def doctor(deep=False):
    """Print what this machine has, line by line, then a cure for each fault; exit with 1 where there is one.

    Args:
        deep: read every file of the cache; otherwise those alone whose size or time of change is not as it was written.
    """
    venv = ROOT / ".venv" / "bin" / "python"
    if venv.exists() and sys.prefix == sys.base_prefix and _version("keras") is None:
        again = [venv, "-m", "course", "doctor", *(["--deep"] if deep else [])]
        sys.exit(subprocess.run(again, cwd=ROOT).returncode)
    cures = []
    for label, look in {**CHECKS, "Files": lambda: _files(deep)}.items():
        try:
            found, cure = look()
        except Exception as error:  # a broken install fails in ways of its own; the other lines are still of use
            found = f"{type(error).__name__}: {error}".splitlines()[0]
            cure = "Delete the folder .venv and run `make run`: it installs every package again."
        print(f"{label:<12}{found}")
        if cure:
            cures.append(f"{label}: {cure}")
    print("\n" + "\n".join(cures) if cures else "\nNothing is missing.")
    sys.exit(bool(cures))


def _python():
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    try:
        check_platform()
    except CourseError as error:
        return found, str(error)
    return found, None


def _clients():
    there = {name: shutil.which(name) is not None for name in ("make", "git", "npm")}
    found = ", ".join(f"{name} {'yes' if has else 'no'}" for name, has in there.items())
    return f"{found} (where npm is missing, it is fetched)", None


def _network():
    ask = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed", "--quiet"]
    ask += ["--disable-pip-version-check", "--retries", "0", "--timeout", "5", PING]
    if subprocess.run(ask, capture_output=True).returncode == 0:
        return "pip reaches its packages", None
    cure = "Connect, or set up your mirror (PIP_INDEX_URL). What is installed and prepared runs without a network."
    return "pip reaches no packages", cure


def _lock():
    """Compare what is installed with the lock that was installed, or with the one that fits best."""
    if _version("keras") is None:
        return "nothing is installed", "Run `make run`, or `python3 -m course install`."
    names = ["core", "gpu"]
    stale = [name for name in names if stamp(Path(sys.prefix), name).exists() and not _is_current(name)]
    faults = min((_differences(name) for name in names), key=len)
    if not faults:
        return "every package as locked", None
    cure = "Run `make run`: it installs what the lock names."
    if not stale:
        cure = "Delete the folder .venv and run `make run`: something was installed over the lock."
    return "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else ""), cure


def _is_current(name):
    return stamp(Path(sys.prefix), name).read_text() == digest(name)


def _differences(name):
    from packaging.markers import Marker

    wrong = []
    for line in (LOCKS / f"{name}.txt").read_text().splitlines():
        pin = re.match(r"([\w.-]+)==(\S+)(?: ; (.+?))? \\", line)
        if pin and (pin[3] is None or Marker(pin[3]).evaluate()) and _version(pin[1]) != pin[2]:
            wrong.append(f"{pin[1]} {_version(pin[1]) or 'missing'}, locked {pin[2]}")
    return wrong


def _tensorflow():
    if _version("keras") is None:
        return "not installed", None
    code = "import tensorflow as tf; print(tf.__version__, len(tf.config.list_physical_devices('GPU')))"
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=quiet)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        return f"can't be imported ({why})", "Delete the folder .venv and run `make run`."
    version, gpus = done.stdout.split()[-2:]
    gpu = f"{gpus} GPU" if gpus != "0" else "no GPU: every lesson is made for a CPU"
    return f"{version}, Keras {_version('keras')}, {gpu}", None


def _cache():
    from sources import cache, catalogues

    place = cache.root()
    free = shutil.disk_usage(next(each for each in (place, *place.parents) if each.exists())).free / 1e9
    cure = f"Make room in {place}, or set COURSE_CACHE to a folder that has it." if free < 4 else None
    return f"{place}, {free:.1f} GB free, source {catalogues.source()}", cure


def _modules():
    if _version("keras") is None:
        return "not asked: nothing is installed", None
    from helpers import modules
    from sources import catalogues

    ready = [name for name in modules.catalogue() if modules.is_ready(name)]
    sets = catalogues.entries("photos")
    packaged = [name for name, card in sets.items() if "size" not in card]
    official = [name for name, card in sets.items() if "tfds" in card]
    return (
        f"{len(ready)} of {len(modules.catalogue())} prepared; photo sets: {', '.join(packaged)}; "
        f"with COURSE_SOURCE=official also {', '.join(official)}"
    ), None


def _files(deep):
    from sources import cache

    faults = cache.verify(quick=not deep)
    if not faults:
        return "every file of the cache is as it was written" + ("" if deep else ", by size and time"), None
    return f"{len(faults)} damaged folders in the cache", " ".join(faults)


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


CHECKS = {
    "Python": _python,
    "Clients": _clients,
    "Network": _network,
    "Lock": _lock,
    "TensorFlow": _tensorflow,
    "Cache": _cache,
    "Modules": _modules,
}
