"""The locks, pyproject.toml and environment.yml say the same, and importing the course's helpers is light."""

import functools
import importlib.metadata
import platform
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from course.install import check_platform
from course.paths import LOCKS, ROOT, CourseError

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
NAMES = sorted(path.stem for path in LOCKS.glob("*.txt"))
COURSE_NAMES = ["core", *EXTRAS]
PLATFORMS = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")]
PYTHONS = ["3.11", "3.12", "3.13"]
PIN = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)(\[[a-z0-9,-]+\])?==(?P<version>[^\s;]+)"
    r"( ; (?P<marker>.+?))?( --hash=sha256:[0-9a-f]{64})+"
)


def lines_of(lock):
    """Return a lock's lines with their continuations joined (list of str), those of the core it builds on first."""
    joined = re.sub(r"\s*\\\n\s*", " ", (LOCKS / f"{lock}.txt").read_text())
    lines = [line for line in joined.splitlines() if line.strip()]
    return list(dict.fromkeys(lines_of("core") + lines[1:])) if lines[0] == "-r core.txt" else lines


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
            found.setdefault(canonicalize_name(pin["name"]), set()).add(pin["version"])
    return found


def required_of(lock):
    """Return the requirements (list of Requirement) of pyproject.toml that a lock has to satisfy."""
    lines = PROJECT["dependencies"] + EXTRAS.get(lock, [])
    if lock == "dev":  # which takes others whole
        lines = [*lines[:], *EXTRAS["grading"], *EXTRAS["official"], *EXTRAS["scale"]]
    required = [Requirement(line) for line in lines if not line.startswith(PROJECT["name"])]
    # The full TensorFlow comes instead of the CPU build: side by side they would overwrite one another.
    return [each for each in required if lock != "gpu" or each.name != "tensorflow-cpu"]


def test_every_extra_has_its_lock():
    assert set(COURSE_NAMES) | {"uv", "npm"} == set(NAMES)


@pytest.mark.parametrize("lock", NAMES)
def test_every_line_of_a_lock_is_a_pin_with_hashes_and_nothing_else(lock):
    lines = lines_of(lock)
    assert lines
    assert [line for line in lines if not PIN.fullmatch(line)] == []  # an index option or an address is no pin
    assert "://" not in (LOCKS / f"{lock}.txt").read_text()


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("platform", PLATFORMS, ids="-".join)
@pytest.mark.parametrize("lock", COURSE_NAMES)
def test_a_lock_pins_what_pyproject_asks_for(lock, platform, python):
    pins = selected(lock, platform, python)
    for required in required_of(lock):
        if required.marker and not required.marker.evaluate(machine(platform, python)):
            continue
        (version,) = pins.get(canonicalize_name(required.name), {"none"})
        assert version != "none", f"{required.name} is in no line of {lock}.txt"
        assert required.specifier.contains(version), f"{lock} has {required.name} {version}"


@pytest.mark.parametrize("platform", PLATFORMS, ids="-".join)
@pytest.mark.parametrize("lock", NAMES)
def test_a_lock_names_each_package_once_per_machine(lock, platform):
    for python in PYTHONS:
        twice = {name: pins for name, pins in selected(lock, platform, python).items() if len(pins) > 1}
        assert twice == {}


@pytest.mark.parametrize("platform", PLATFORMS, ids="-".join)
@pytest.mark.parametrize("lock", COURSE_NAMES)
def test_a_machine_gets_one_tensorflow_and_never_both_builds(lock, platform):
    for python in PYTHONS:
        assert len({"tensorflow", "tensorflow-cpu"} & set(selected(lock, platform, python))) == 1


def test_a_laptop_gets_the_small_build_and_a_gpu_machine_the_full_one_with_its_libraries():
    laptop, gpu = (selected(lock, ("linux", "x86_64"), "3.12") for lock in ("core", "gpu"))
    assert "tensorflow-cpu" in laptop
    assert "tensorflow" in gpu
    assert not [name for name in laptop if name.startswith("nvidia-")]
    assert [name for name in gpu if name.startswith("nvidia-cudnn")]


@pytest.mark.parametrize("lock", ["dev", "grading", "official"])
def test_an_extra_is_the_core_and_what_it_adds(lock):
    assert (LOCKS / f"{lock}.txt").read_text().startswith("-r core.txt\n")
    core = lines_of("core")
    names = {PIN.fullmatch(line)["name"] for line in core}
    again = {PIN.fullmatch(line)["name"] for line in lines_of(lock)[len(core) :]} & names
    assert again <= {"psutil"}  # which the core does not want everywhere, and the extra does


def test_what_the_installed_packages_ask_for_is_in_the_lock():
    # The lock is installed with --no-deps, so that a package it forgets is nowhere.
    pins = selected("dev", (sys.platform, platform.machine()), "{}.{}".format(*sys.version_info))
    pins = {name: next(iter(versions)) for name, versions in pins.items()}
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
    assert pip == ["-r requirements/core.txt"]
    assert "pip" in plain
    (python,) = [line.partition("=")[2] for line in plain if line.startswith("python=")]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.strip("=").removesuffix(".*"))


@pytest.mark.parametrize("python", ["3.10.14", "3.14.0"])
def test_a_python_without_tensorflow_wheels_is_not_allowed(python):
    assert not SpecifierSet(PROJECT["requires-python"]).contains(python)


@pytest.mark.parametrize("here", [("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")], ids="-".join)
def test_the_three_platforms_are_accepted(here):
    assert check_platform(*here) is None


@pytest.mark.parametrize(
    ("here", "cure"),
    [(("Windows", "AMD64"), "install WSL2"), (("Darwin", "x86_64"), "Intel Macs"), (("Linux", "armv7l"), "aarch64")],
)
def test_another_platform_is_refused_with_what_to_do(here, cure):
    with pytest.raises(CourseError, match=cure):
        check_platform(*here)


def test_importing_the_helpers_loads_no_tensorflow():
    code = (
        "import sys, helpers; from helpers import modules, photos, features, evaluation, training\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'tensorflow', 'keras', 'tf_keras', 'torch'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
