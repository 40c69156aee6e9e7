"""The locks, pyproject.toml and environment.yml say the same, and importing the course's helpers is light."""

import functools
import importlib.metadata
import platform
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.txt"))
COURSE_LOCKS = ["requirements.txt", *(f"requirements-{extra}.txt" for extra in EXTRAS)]
PLATFORMS = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")]
PYTHONS = ["3.11", "3.12", "3.13"]
PIN = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)(\[[a-z0-9,-]+\])?==(?P<version>[^\s;]+)"
    r"( ; (?P<marker>.+?))?( --hash=sha256:[0-9a-f]{64})+"
)


def lines_of(lock):
    """Return a lock's lines with their continuations joined (list of str)."""
    joined = re.sub(r"\s*\\\n\s*", " ", (ROOT / lock).read_text())
    return [line for line in joined.splitlines() if line.strip()]


def machine(platform, python):
    """Return what markers are evaluated against on a platform (dict)."""
    system, processor = platform
    return default_environment() | {
        "sys_platform": system,
        "platform_system": system.capitalize(),
        "platform_machine": processor,
        "python_version": python,
        "python_full_version": f"{python}.5",
        "extra": "",
    }


@functools.cache
def selected(lock, platform, python):
    """Return what a lock installs on a machine: {name: versions}, more than one version where pins overlap."""
    here, found = machine(platform, python), {}
    for line in lines_of(lock):
        pin = PIN.fullmatch(line)
        if pin and (not pin["marker"] or Marker(pin["marker"]).evaluate(here)):
            found.setdefault(canonicalize_name(pin["name"]), []).append(pin["version"])
    return found


def required_of(lock):
    """Return the requirements (list of Requirement) of pyproject.toml that a lock has to satisfy."""
    extra = lock.removeprefix("requirements").removesuffix(".txt").lstrip("-")
    required = [Requirement(line) for line in PROJECT["dependencies"] + (EXTRAS[extra] if extra else [])]
    # The full TensorFlow comes instead of the CPU build: side by side they would overwrite one another.
    return [each for each in required if extra != "gpu" or each.name != "tensorflow-cpu"]


def test_every_extra_has_its_lock():
    assert set(COURSE_LOCKS) <= set(LOCKS)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_a_pin_with_hashes_and_nothing_else(lock):
    lines = lines_of(lock)
    assert lines
    assert [line for line in lines if not PIN.fullmatch(line)] == []  # an index option or an address is no pin
    assert "://" not in (ROOT / lock).read_text()


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("platform", PLATFORMS, ids="-".join)
@pytest.mark.parametrize("lock", COURSE_LOCKS)
def test_a_lock_pins_what_pyproject_asks_for(lock, platform, python):
    pins = selected(lock, platform, python)
    for required in required_of(lock):
        if required.marker and not required.marker.evaluate(machine(platform, python)):
            continue
        (version,) = pins.get(canonicalize_name(required.name), ["none"])
        assert version != "none", f"{required.name} is in no line of {lock}"
        assert required.specifier.contains(version), f"{lock} has {required.name} {version}"


@pytest.mark.parametrize("platform", PLATFORMS, ids="-".join)
@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_each_package_once_per_machine(lock, platform):
    for python in PYTHONS:
        twice = {name: pins for name, pins in selected(lock, platform, python).items() if len(pins) > 1}
        assert twice == {}


@pytest.mark.parametrize("platform", PLATFORMS, ids="-".join)
@pytest.mark.parametrize("lock", COURSE_LOCKS)
def test_a_machine_gets_one_tensorflow_and_never_both_builds(lock, platform):
    for python in PYTHONS:
        assert len({"tensorflow", "tensorflow-cpu"} & set(selected(lock, platform, python))) == 1


def test_a_laptop_gets_the_small_build_and_a_gpu_machine_the_full_one_with_its_libraries():
    laptop, gpu = (selected(lock, ("linux", "x86_64"), "3.12") for lock in ("requirements.txt", "requirements-gpu.txt"))
    assert "tensorflow-cpu" in laptop
    assert "tensorflow" in gpu
    assert not [name for name in laptop if name.startswith("nvidia-")]
    assert [name for name in gpu if name.startswith("nvidia-cudnn")]


@pytest.mark.parametrize(
    "lock", [lock for lock in COURSE_LOCKS if lock not in {"requirements.txt", "requirements-gpu.txt"}]
)
def test_the_core_is_pinned_alike_in_every_lock(lock):
    # A marker may be wider there: one extra wants everywhere what the core wants on some platforms.
    core, there = ({re.sub(r" ; .+?(?= --hash)", "", line) for line in lines_of(n)} for n in ("requirements.txt", lock))
    assert core - there == set()


def test_what_the_installed_packages_ask_for_is_in_the_lock():
    # The lock is installed with --no-deps, so that a package it forgets is nowhere.
    pins = selected("requirements-dev.txt", (sys.platform, platform.machine()), "{}.{}".format(*sys.version_info))
    pins = {name: versions[0] for name, versions in pins.items()}
    pins.setdefault("tensorflow", pins.get("tensorflow-cpu"))  # pyproject.toml's override: the CPU build stands for it
    missing = []
    for name in pins:
        try:
            asked = importlib.metadata.distribution(name).requires or []
        except importlib.metadata.PackageNotFoundError:
            continue  # this environment was made of another lock
        for required in map(Requirement, asked):
            if required.marker and not required.marker.evaluate({"extra": ""}):
                continue
            version = pins.get(canonicalize_name(required.name))
            if not version or not required.specifier.contains(version, prereleases=True):
                missing.append(f"{name} asks for {required}, the lock has {version}")
    assert missing == []


def test_environment_yml_reads_the_same_lock_with_a_python_that_the_course_has():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge"]
    plain = [line for line in environment["dependencies"] if isinstance(line, str)]
    (pip,) = [line["pip"] for line in environment["dependencies"] if isinstance(line, dict)]
    assert pip == ["-r requirements.txt"]
    assert "pip" in plain
    (python,) = [line.partition("=")[2] for line in plain if line.startswith("python=")]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.strip("=").removesuffix(".*"))


@pytest.mark.parametrize("python", ["3.10.14", "3.14.0"])
def test_a_python_without_tensorflow_wheels_is_not_allowed(python):
    assert not SpecifierSet(PROJECT["requires-python"]).contains(python)


@pytest.mark.parametrize("here", [("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")], ids="-".join)
def test_the_three_platforms_are_accepted(here):
    assert course.check_platform(*here) is None


@pytest.mark.parametrize(
    ("here", "cure"),
    [(("Windows", "AMD64"), "install WSL2"), (("Darwin", "x86_64"), "Intel Macs"), (("Linux", "armv7l"), "aarch64")],
)
def test_another_platform_is_refused_with_what_to_do(here, cure):
    with pytest.raises(course.CourseError, match=cure):
        course.check_platform(*here)


def test_importing_the_helpers_loads_no_tensorflow():
    code = (
        "import sys, helpers; from helpers import modules, photos, features, evaluation, training\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'tensorflow', 'keras', 'tf_keras', 'torch'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_part_that_helpers_has_not_is_named_with_those_it_has():
    import helpers

    with pytest.raises(AttributeError, match=r"no part 'modell'.*modules, photos"):
        _ = helpers.modell
