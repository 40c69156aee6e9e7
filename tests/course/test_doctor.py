"""Doctor says what is there and the cure for what is not, whatever state the machine is in."""

import os
import platform
import subprocess
import sys

import pytest

from course import doctor
from course.paths import ROOT
from sources import cache


def told(capsys):
    """Return what doctor prints, and whether it found a fault."""
    with pytest.raises(SystemExit) as stopped:
        doctor.doctor()
    return capsys.readouterr().out, stopped.value.code


@pytest.fixture
def online(monkeypatch):
    """Let pip reach its packages, whatever this machine can; TensorFlow, which takes long to import, is not asked."""
    monkeypatch.setitem(doctor.CHECKS, "Network", lambda: ("pip reaches its packages", None))
    monkeypatch.setitem(doctor.CHECKS, "TensorFlow", lambda: ("2.21.0, no GPU", None))


@pytest.mark.usefixtures("online")
def test_a_machine_that_has_everything_is_told_so_on_one_screen(capsys):
    said, code = told(capsys)
    assert f"Python      {platform.python_version()}" in said
    assert "Lock        every package as locked" in said
    assert "source packaged" in said
    assert "photo sets: flowers, bean_leaves" in said
    assert said.endswith("Nothing is missing.\n")
    assert code == 0
    assert len(said.splitlines()) < 25


@pytest.mark.usefixtures("online")
def test_a_file_that_is_not_as_it_was_written_is_found(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    folder = cache.prepared("features/roses", lambda part: (part / "features.npy").write_bytes(b"whole"))
    with pytest.raises(SystemExit):
        doctor.doctor(deep=True)
    assert "Files       every file of the cache is as it was written" in capsys.readouterr().out
    (folder / "features.npy").write_bytes(b"who")
    for deep in (True, False):
        with pytest.raises(SystemExit) as stopped:
            doctor.doctor(deep)
        assert f"{folder} is damaged (features.npy). Delete it and run again." in capsys.readouterr().out
        assert stopped.value.code == 1


def test_without_a_network_it_says_so_with_the_cure(capsys, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens there
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setitem(doctor.CHECKS, "TensorFlow", lambda: ("2.21.0, no GPU", None))
    said, code = told(capsys)
    assert "Network     pip reaches no packages" in said
    assert "PIP_INDEX_URL" in said
    assert code == 1


@pytest.mark.usefixtures("online")
def test_a_package_of_another_version_is_named_with_the_locked_one(capsys, monkeypatch):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: "0.1" if name == "keras" else real(name))
    said, code = told(capsys)
    assert "keras 0.1, locked 3." in said
    assert "Lock: " in said
    assert code == 1


@pytest.mark.usefixtures("online")
def test_the_gpu_lock_counts_as_well_as_the_core(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "_differences", lambda name: [] if name == "gpu" else ["tensorflow-cpu missing"])
    assert "Lock        every package as locked" in told(capsys)[0]


@pytest.mark.tensorflow
def test_tensorflow_is_asked_in_a_process_of_its_own():
    found, cure = doctor._tensorflow()
    assert found.startswith("2.21.")
    assert "GPU" in found
    assert cure is None


def test_a_tensorflow_that_cannot_be_imported_is_one_line_among_the_others(capsys, monkeypatch, tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise ImportError('libcudart.so is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(doctor.CHECKS, "Network", lambda: ("pip reaches its packages", None))
    said, code = told(capsys)
    assert "TensorFlow  can't be imported (ImportError: libcudart.so is missing)" in said
    assert "TensorFlow: Delete the folder .venv" in said
    assert "Modules     " in said
    assert code == 1


def test_on_a_bare_python_it_says_what_to_run(tmp_path):
    code = (
        "import sys; sys.path.insert(0, '.'); from course import doctor; from pathlib import Path; "
        f"doctor.ROOT = Path({str(tmp_path)!r}); doctor.doctor()"
    )
    done = subprocess.run([sys.executable, "-S", "-I", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""
    assert "Lock        nothing is installed" in done.stdout
    assert "Run `make run`" in done.stdout
    assert "GB free, source packaged" in done.stdout
    assert "Error" not in done.stdout
    assert done.returncode == 1
