"""A lock is installed once, whole, with its hashes; the course starts on a bare Python."""

import subprocess
import sys

import pytest

from course import install
from course.paths import ROOT, CourseError


@pytest.fixture
def no_process(monkeypatch):
    """Let no process start."""

    def fail(*arguments, **_):
        raise AssertionError(f"a process was started: {arguments}")

    monkeypatch.setattr(subprocess, "run", fail)


@pytest.mark.usefixtures("no_process")
def test_an_unknown_lock_is_answered_with_those_there_are(tmp_path):
    with pytest.raises(CourseError, match=r"no lock 'gpus'; there are core, dev, gpu, grading, official"):
        install.install(tmp_path / "venv", "gpus")
    assert not (tmp_path / "venv").exists()


@pytest.fixture
def stamped(tmp_path, monkeypatch):
    """Put a small core and an extra in the place of the locks; return an environment that has both."""
    venv, locks = tmp_path / "venv", tmp_path / "requirements"
    venv.mkdir()
    locks.mkdir()
    (locks / "core.txt").write_text("petal==1.0\n")
    (locks / "dev.txt").write_text("-r core.txt\nthorn==1.0\n")
    monkeypatch.setattr(install, "LOCKS", locks)
    for name in ("core", "dev"):
        install.stamp(venv, name).write_text(install.digest(name))
    return venv


@pytest.mark.usefixtures("no_process")
@pytest.mark.parametrize("name", ["core", "dev"])
def test_what_is_installed_is_not_installed_again(stamped, name, capsys):
    install.install(stamped, name)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("name", "changed"), [("core", "core"), ("dev", "dev"), ("dev", "core")])
def test_a_lock_that_changed_is_installed_with_its_hashes_and_stamped(stamped, name, changed, monkeypatch):
    with open(install.LOCKS / f"{changed}.txt", "a") as lock:
        lock.write("leaf==2.0\n")
    commands = []
    monkeypatch.setattr(install, "_run", commands.append)
    install.install(stamped, name)
    packages, course = commands[-2:]
    assert "--require-hashes" in packages
    assert packages[-1] == install.LOCKS / f"{name}.txt"
    assert course[-2:] == ["--editable", ROOT]
    count = len(commands)
    install.install(stamped, name)
    assert len(commands) == count


def test_an_install_that_stopped_is_not_stamped(stamped, monkeypatch):
    (install.LOCKS / "core.txt").write_text("petal==2.0\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, stdout=""))
    for _ in range(2):
        with pytest.raises(CourseError, match="PIP_INDEX_URL"):
            install.install(stamped, "core")


def bare(*arguments):
    """Run python -m course as `make` does before anything is installed: -S leaves site-packages out."""
    return subprocess.run([sys.executable, "-S", "-m", "course", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_the_commands_start_on_a_bare_python():
    assert "doctor" in bare("--help").stdout
    done = bare("install", "--lock", "gpus")
    assert done.stderr.startswith("CourseError: there is no lock 'gpus'")
    assert "Traceback" not in done.stderr


def test_uv_gets_the_mirror_that_pip_is_set_up_with(monkeypatch, tmp_path):
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nindex-url = https://mirror.example/simple\ncert = /etc/own.pem\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    monkeypatch.delenv("PIP_CERT", raising=False)
    expected = {"UV_DEFAULT_INDEX": "https://mirror.example/simple", "SSL_CERT_FILE": "/etc/own.pem"}
    assert install._pip_settings() == expected
    monkeypatch.setenv("PIP_INDEX_URL", "https://other.example/simple")
    assert install._pip_settings()["UV_DEFAULT_INDEX"] == "https://other.example/simple"
