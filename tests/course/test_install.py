"""A lock is installed once, whole, with its hashes; the course starts on a bare Python."""

import subprocess
import sys
import types

import pytest

from course import install, lock
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
    monkeypatch.setattr(install, "_uv", lambda: "uv")
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


def test_after_an_install_that_was_killed_every_package_is_installed_again(stamped, monkeypatch):
    (install.LOCKS / "core.txt").write_text("petal==2.0\n")
    commands = []

    def killed(command):
        commands.append(command)
        if "--require-hashes" in command:
            raise KeyboardInterrupt

    monkeypatch.setattr(install, "_run", killed)
    with pytest.raises(KeyboardInterrupt):
        install.install(stamped, "core")
    assert "--reinstall" not in commands[-1]
    monkeypatch.setattr(install, "_run", commands.append)
    for again in (True, False):
        install.stamp(stamped, "core").unlink()
        install.install(stamped, "core")
        assert ("--reinstall" in commands[-2]) == again  # what was half installed looks whole to uv, once


fetch_uv = install._uv


def test_uv_is_there_whole_or_not_at_all(monkeypatch, tmp_path):
    monkeypatch.setattr(install, "ROOT", tmp_path)

    def pip(command):
        if "pip" in command and "--target" in command:
            place = command[command.index("--target") + 1] / "bin"
            place.mkdir(parents=True)
            (place / "uv").write_text("half")
            raise KeyboardInterrupt

    monkeypatch.setattr(install, "_run", pip)
    with pytest.raises(KeyboardInterrupt):
        fetch_uv()
    assert not (tmp_path / ".uv").exists()


def test_an_environment_without_its_settings_is_made_again(stamped, monkeypatch):
    (stamped / "bin").mkdir()
    (stamped / "bin" / "python").touch()  # without pyvenv.cfg it is the system's Python, which would be installed into
    install.stamp(stamped, "core").unlink()
    commands = []
    monkeypatch.setattr(install, "_run", commands.append)
    install.install(stamped, "core")
    assert any("venv" in command and "--clear" in command for command in commands)


@pytest.mark.parametrize("oldest", [False, True])
def test_the_oldest_lock_takes_the_lowest_versions_and_leaves_the_tools(oldest, monkeypatch, tmp_path):
    compiled = {}
    monkeypatch.setattr(lock, "LOCKS", tmp_path)

    def compile_(wanted, target, *options):
        compiled[target.stem] = options
        target.write_text("petal==1.0 \\\n    --hash=sha256:0\n")

    monkeypatch.setattr(lock, "_compile", compile_)
    lock.lock(oldest)
    assert {"core", "gpu", "everything", *lock.EXTRAS} <= set(compiled)
    assert ({"uv", "npm"} <= set(compiled)) is not oldest
    assert all(("lowest-direct" in options) == oldest for options in compiled.values())


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


@pytest.mark.parametrize(("cafile", "expected"), [("/etc/own.pem", "1"), (None, None)], ids=["a list", "none"])
def test_uv_trusts_what_the_system_trusts_where_it_has_a_list(monkeypatch, cafile, expected):
    known = types.SimpleNamespace(cafile=cafile, capath=None)
    monkeypatch.setattr(install.ssl, "get_default_verify_paths", lambda: known)
    monkeypatch.setattr(install.platform, "system", lambda: "Linux")
    monkeypatch.setattr(install, "_pip_settings", dict)
    monkeypatch.delenv("UV_SYSTEM_CERTS", raising=False)
    seen = []
    done = types.SimpleNamespace(returncode=0)
    monkeypatch.setattr(install.subprocess, "run", lambda command, cwd, env: seen.append(env) or done)
    install._run(["uv"])
    assert seen[0].get("UV_SYSTEM_CERTS") == expected
    monkeypatch.setenv("UV_SYSTEM_CERTS", "0")
    install._run(["uv"])
    assert seen[1]["UV_SYSTEM_CERTS"] == "0"  # a setting of one's own wins
