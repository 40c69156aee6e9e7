"""python -m course install: a virtual environment with exactly the packages of a lock."""

import hashlib
import os
import platform
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from course.paths import LOCKS, ROOT, CourseError

PLATFORMS = {("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")}


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


def lock_files(name):
    """Return the files (list of Path) of a lock: its own, and the core that an extra builds on.

    Raises:
        CourseError: there is no such lock; the message lists those there are.
    """
    path = LOCKS / f"{name}.txt"
    if not path.is_file():
        tools = {"uv", "npm"}
        there = ", ".join(sorted(path.stem for path in LOCKS.glob("*.txt") if path.stem not in tools))
        raise CourseError(f"there is no lock {name!r}; there are {there}.")
    return [path, LOCKS / "core.txt"] if "-r core.txt" in path.read_text() else [path]


def digest(name):
    """Return the hash (str) of all that installing a lock depends on."""
    parts = [*lock_files(name), ROOT / "pyproject.toml"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()


def stamp(venv, name):
    """Return the file (Path) that says which version of a lock an environment has."""
    return venv / f"{name}.installed"


def install(venv, name):
    """Install a lock, hashes required, and the course itself; return at once where this was done before.

    Args:
        venv: the environment's folder (Path); it is made where there is none.
        name: the lock, a file name in requirements/ without its suffix.

    Raises:
        CourseError: there is no such lock, or the installer stopped.
    """
    wanted = digest(name)
    if _has(venv, name, wanted):
        return
    import fcntl  # not on Windows, which check_platform has refused by now

    with open(venv.with_name(f"{venv.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second install at the same time waits
        if not _has(venv, name, wanted):
            _install(venv, name, wanted)


def _has(venv, name, wanted):
    return stamp(venv, name).exists() and stamp(venv, name).read_text() == wanted


def _install(venv, name, wanted):
    start, uv, begun = time.monotonic(), _uv(), venv / "install.begun"
    if not (venv / "bin" / "python").exists() or not (venv / "pyvenv.cfg").exists():
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, venv])
    # An install that was killed leaves packages that look whole to uv, and are not.
    again = ["--reinstall"] if begun.exists() else []
    begun.touch()
    # The lock is complete, so nothing is resolved: --no-deps. A laptop gets tensorflow-cpu where there is one.
    into = [uv, "pip", "install", "--python", venv / "bin" / "python", "--no-deps"]
    _run([*into, *again, "--compile-bytecode", "--require-hashes", "-r", LOCKS / f"{name}.txt"])
    _run([*into, "--quiet", "--no-build-isolation", "--editable", ROOT])
    stamp(venv, name).write_text(wanted)
    begun.unlink()
    print(f"Installed {name} into {venv.name} in {time.monotonic() - start:.0f} s.")


def _uv():
    """Return the path of uv, fetched on first use; if pip is killed meanwhile, no half of it is left there."""
    uv = ROOT / ".uv" / "bin" / "uv"
    if not uv.exists():
        with tempfile.TemporaryDirectory(dir=ROOT, prefix=".uv-") as part:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            _run([*pip, "--no-deps", "--require-hashes", "--target", Path(part, "whole"), "-r", LOCKS / "uv.txt"])
            shutil.rmtree(ROOT / ".uv", ignore_errors=True)
            Path(part, "whole").rename(ROOT / ".uv")
    return uv


def _run(command):
    command = [str(part) for part in command]
    if subprocess.run(command, cwd=ROOT, env={**_certificates(), **_pip_settings(), **os.environ}).returncode:
        raise CourseError(
            "the install stopped; the lines above say why. Without a network, connect or set up your mirror "
            "(PIP_INDEX_URL), then run the same command: it goes on from here."
        )


def _certificates():
    """Let uv trust what this system trusts, as pip does, where it has a list: a company's own authority is there."""
    known = ssl.get_default_verify_paths()
    return {"UV_SYSTEM_CERTS": "1"} if platform.system() == "Darwin" or known.cafile or known.capath else {}


def _pip_settings():
    """The mirror and the certificates that pip is set up with, as environment for uv, which does not ask pip."""
    found = {}
    for name, setting in {"UV_DEFAULT_INDEX": "index-url", "SSL_CERT_FILE": "cert"}.items():
        ask = [sys.executable, "-m", "pip", "config", "get", f"global.{setting}"]
        told = subprocess.run(ask, capture_output=True, text=True).stdout.strip()
        if value := os.environ.get(f"PIP_{setting.replace('-', '_').upper()}", told):
            found[name] = value
    return found
