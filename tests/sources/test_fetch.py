"""Packages arrive whole and right, or not at all; what goes wrong is said in words. Most of it needs no network."""

import errno
import functools
import hashlib
import http.server
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from pathlib import Path

import pytest

from sources import cache, fetch

ROOT = Path(__file__).resolve().parents[2]
SHARED_CACHE = cache.root()
CONTENT = b"the right bytes"
ORIGIN = {
    "client": "pip",
    "package": "seed-catalogue",
    "version": "1.0",
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "size": len(CONTENT),
}
NPM_ORIGIN = ORIGIN | {"client": "npm", "package": "@garden/seeds"}
WRITES = "from pathlib import Path; Path('seed_catalogue-1.0.whl').write_bytes({!r})"


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    """Each test has a cache of its own and is allowed to fetch."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COURSE_OFFLINE", raising=False)


@pytest.fixture
def client(monkeypatch):
    """Give a function that puts a few lines of Python in the place of pip and npm."""

    def put(code):
        monkeypatch.setattr(fetch, "_pip", lambda origin, folder: [sys.executable, "-c", code])
        monkeypatch.setattr(fetch, "_npm", lambda origin: [sys.executable, "-c", code])

    return put


def in_cache():
    """Return the names of what looks finished, or half finished, in the cache; lock files are neither."""
    return sorted(path.name for path in cache.root().glob("downloads/*") if path.suffix != ".lock")


def test_a_package_with_the_right_hash_is_kept_alone(client):
    client(WRITES.format(CONTENT) + "; Path('scratch').mkdir(); Path('notes.txt').write_text('')")
    path = fetch.fetch(ORIGIN)
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]  # nothing of what the client left beside it


def test_a_package_in_the_cache_is_not_fetched_again(client):
    client(WRITES.format(CONTENT))
    first = fetch.fetch(ORIGIN)
    client("raise SystemExit('no client should run')")
    assert fetch.fetch(ORIGIN) == first


def test_a_package_with_another_hash_is_thrown_away_and_the_next_run_is_right(client):
    client(WRITES.format(b"other bytes"))
    with pytest.raises(fetch.FetchError, match=r"seed-catalogue-1\.0 arrived with sha256 .*catalogue names sha256"):
        fetch.fetch(ORIGIN)
    assert in_cache() == []
    client(WRITES.format(CONTENT))
    assert fetch.fetch(ORIGIN).read_bytes() == CONTENT


@pytest.mark.parametrize("said", ["THESE PACKAGES DO NOT MATCH THE HASHES", "npm error code EINTEGRITY"])
def test_a_client_that_finds_the_hash_wrong_itself_is_understood(client, said):
    client(f"raise SystemExit({said!r})")
    with pytest.raises(fetch.FetchError, match="mirror that changes packages"):
        fetch.fetch(ORIGIN)
    assert in_cache() == []


@pytest.mark.parametrize(
    ("origin", "said", "told"),
    [
        (ORIGIN, "ERROR: No matching distribution found for seed-catalogue==1.0", "pip knows no such package"),
        (NPM_ORIGIN, "npm error code E404", "npm knows no such package"),
        (ORIGIN, "NewConnectionError: Failed to establish a new connection", "pip reached no network"),
        (ORIGIN, "Temporary failure in name resolution\nERROR: No matching distribution", "pip reached no network"),
        (NPM_ORIGIN, "npm error code EAI_AGAIN", "npm reached no network"),
        (ORIGIN, "hm\nERROR: the disk is on fire\nbye", "pip says: ERROR: the disk is on fire"),
        (
            ORIGIN,
            "SSLError: certificate verify failed: not yet valid\nNo matching distribution",
            r"clock right\? It says",
        ),
        (NPM_ORIGIN, "npm error code CERT_NOT_YET_VALID", r"clock right\? It says"),
        (ORIGIN, "error: incomplete-download\nConnection", "the connection of pip was cut"),
        (NPM_ORIGIN, "npm error code ECONNRESET", "the connection of npm was cut"),
    ],
)
def test_what_the_client_says_is_told_and_the_cache_is_unchanged(client, origin, said, told):
    client(f"raise SystemExit({said!r})")
    with pytest.raises(fetch.FetchError, match=told):
        fetch.fetch(origin)
    assert in_cache() == []


def test_a_client_that_ends_well_but_brings_nothing_is_an_error(client):
    client("pass")
    with pytest.raises(fetch.FetchError, match=r"seed-catalogue-1\.0 could not be fetched"):
        fetch.fetch(ORIGIN)


@pytest.fixture
def empty_registry():
    """Give the address of a registry on this machine that has no package at all."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def closed_registry():
    """Give an address on this machine where nothing listens: what a client meets without a network."""
    with socket.socket() as taken:  # bound but not listening: nobody else gets the port, connections are refused
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"


@pytest.mark.parametrize(
    "origin",
    [
        ORIGIN,
        pytest.param(NPM_ORIGIN, marks=pytest.mark.skipif(not shutil.which("npm"), reason="this machine has no npm")),
    ],
    ids=["pip", "npm"],
)
@pytest.mark.parametrize(("registry", "told"), [("empty", "knows no such package"), ("closed", "reached no network")])
def test_the_real_clients_words_are_understood(monkeypatch, request, origin, registry, told):
    address = request.getfixturevalue(f"{registry}_registry")
    for name in [name for name in os.environ if name.lower().startswith(("pip_", "npm_config_", "http", "all_proxy"))]:
        monkeypatch.delenv(name)  # this machine's own mirror and proxies
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", address)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("npm_config_userconfig", os.devnull)
    monkeypatch.setenv("npm_config_registry", address)
    for wait in ("mintimeout", "maxtimeout"):  # npm waits ten seconds before it tries again
        monkeypatch.setenv(f"npm_config_fetch_retry_{wait}", "1")
    with pytest.raises(fetch.FetchError, match=f"{origin['client']} {told}"):
        fetch.fetch(origin)
    assert in_cache() == []


@pytest.mark.parametrize(("way", "told"), [("stalls", "nothing came for 1 seconds"), ("never ends", "more came than")])
def test_a_client_that_stalls_or_never_ends_is_ended_with_what_it_started(client, monkeypatch, way, told):
    monkeypatch.setattr(fetch, "PATIENCE", 1)
    monkeypatch.setattr(fetch, "_bytes_in", lambda folder: 10**9 * next(seen))
    seen = iter(range(1000)) if way == "never ends" else iter([0] * 1000)
    client("import time; time.sleep(60)")
    with pytest.raises(fetch.FetchError, match=told):
        fetch.fetch(ORIGIN)
    assert in_cache() == []


@pytest.mark.parametrize("backend", ["setuptools.build_meta", "hatchling.build", None])
def test_nothing_of_a_source_package_runs_when_pip_fetches_it(backend, tmp_path, monkeypatch):
    harm = f"open({str(tmp_path / 'harm')!r}, 'w').close()\n"
    files = {"seed-catalogue-1.0/setup.py": harm + "from setuptools import setup\nsetup(name='seed-catalogue')\n"}
    if backend:
        build = f'[build-system]\nrequires = ["seeds-of-evil"]\nbuild-backend = "{backend}"\n'
        files["seed-catalogue-1.0/pyproject.toml"] = build + '[project]\nname = "seed-catalogue"\nversion = "1.0"\n'
    package = archive(tmp_path / "seed_catalogue-1.0.tgz", {name: text.encode() for name, text in files.items()})
    package = package.rename(tmp_path / "seed_catalogue-1.0.tar.gz")
    for name, value in {"CONFIG_FILE": os.devnull, "NO_INDEX": "1", "FIND_LINKS": str(tmp_path)}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    origin = ORIGIN | {"source": True, "sha256": digest, "size": package.stat().st_size}
    assert fetch.fetch(origin).read_bytes() == package.read_bytes()
    assert not (tmp_path / "harm").exists()


def test_an_interrupt_stops_the_client_leaves_nothing_and_the_next_run_is_right(client, monkeypatch, tmp_path):
    pid, late = tmp_path / "pid", tmp_path / "late"
    half = WRITES.format(CONTENT[:5])
    says_pid = f"Path({str(pid)!r}).write_text(str(os.getpid()))"
    client(f"import os, time; {half}; {says_pid}; time.sleep(5); Path({str(late)!r}).touch()")

    def interrupted(folder):
        if pid.exists() and pid.read_text():  # the reader presses Ctrl-C once the download is under way
            raise KeyboardInterrupt
        return 0

    monkeypatch.setattr(fetch, "_bytes_in", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch.fetch(ORIGIN)
    assert in_cache() == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert not late.exists()  # it was stopped, not waited for
    pid.unlink()
    client(WRITES.format(CONTENT))
    assert fetch.fetch(ORIGIN).read_bytes() == CONTENT


def test_what_a_killed_process_left_is_cleared_away(client):
    left = cache.root() / "downloads" / ".seed-catalogue-1.0.part"
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(b"half")  # a second archive in the folder would be one too many
    client(WRITES.format(CONTENT))
    assert fetch.fetch(ORIGIN).read_bytes() == CONTENT
    assert in_cache() == ["seed-catalogue-1.0"]


def test_the_second_origin_is_used_where_the_first_fails(monkeypatch):
    said = "raise SystemExit('No matching distribution found')"
    good = WRITES.format(CONTENT)
    monkeypatch.setattr(
        fetch, "_pip", lambda origin, _: [sys.executable, "-c", said if origin["version"] == "1.0" else good]
    )
    second = ORIGIN | {"version": "2.0"}
    origin, path = fetch.fetch_any([ORIGIN, second])
    assert origin == second
    assert path.read_bytes() == CONTENT


def test_all_origins_are_named_where_none_can_be_had(client):
    client("raise SystemExit('No matching distribution found')")
    with pytest.raises(fetch.FetchError, match=r"(?s)seed-catalogue-1\.0.*seed-catalogue-2\.0"):
        fetch.fetch_any([ORIGIN, ORIGIN | {"version": "2.0"}])


def test_offline_no_client_is_run_but_the_cache_is_read(client, monkeypatch):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    client(WRITES.format(CONTENT))
    with pytest.raises(fetch.FetchError, match="COURSE_OFFLINE forbids"):
        fetch.fetch(ORIGIN)
    monkeypatch.delenv("COURSE_OFFLINE")
    fetched = fetch.fetch(ORIGIN)
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    assert fetch.fetch(ORIGIN) == fetched


def test_a_full_disk_is_said_before_the_download(client, monkeypatch):
    client(WRITES.format(CONTENT))
    with pytest.raises(fetch.FetchError, match=r"needs 3000000 MB of disk"):
        fetch.fetch(ORIGIN | {"size": 10**12})
    assert in_cache() == []


def test_pip_is_asked_for_exactly_the_pinned_bytes(tmp_path):
    command = fetch._pip(ORIGIN, tmp_path)
    assert (tmp_path / "pin.txt").read_text() == f"seed-catalogue==1.0 --hash=sha256:{ORIGIN['sha256']}\n"
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(command)


def test_npm_runs_nothing_of_the_package(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"bin/{name}")
    command = fetch._npm(NPM_ORIGIN)
    assert command[:2] == ["bin/npm", "pack"]
    assert "--ignore-scripts" in command
    assert command[-1] == "@garden/seeds@1.0"


def archive(path, members):
    """Write a zip or a tar (by the path's suffix) of {name: bytes} and return its path."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as file:
            for name, content in members.items():
                file.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz") as file:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("suffix", [".zip", ".tgz"])
def test_only_the_named_part_is_unpacked_and_it_is_gone_afterwards(tmp_path, suffix):
    package = archive(tmp_path / f"package{suffix}", {"model/a.bin": b"a", "model/deep/b.bin": b"b", "setup.py": b"!"})
    with fetch.unpacked(package, "model") as found:
        assert {path.relative_to(found).as_posix(): path.read_bytes() for path in found.rglob("*.*")} == {
            "a.bin": b"a",
            "deep/b.bin": b"b",
        }
        assert not (found.parent / "setup.py").exists()
    assert not found.exists()


@pytest.mark.parametrize("suffix", [".zip", ".tgz"])
def test_a_path_that_points_outside_is_refused(tmp_path, monkeypatch, suffix):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    package = archive(tmp_path / f"package{suffix}", {"model/../../outside.txt": b"gotcha"})
    with pytest.raises(fetch.FetchError, match="points outside"), fetch.unpacked(package, "model"):
        pass
    assert list(tmp_path.rglob("outside.txt")) == []


@pytest.mark.parametrize("suffix", [".zip", ".tgz"])
def test_a_bomb_stays_packed(tmp_path, monkeypatch, suffix):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    monkeypatch.setattr(fetch, "MOST", 10**6)
    package = archive(tmp_path / f"package{suffix}", {"model/a": bytes(6 * 10**5), "model/b": bytes(6 * 10**5)})
    with (
        pytest.raises(fetch.FetchError, match=r"holds more than .* \(model/b\); nothing"),
        fetch.unpacked(package, "model"),
    ):
        pass
    assert list((tmp_path / "scratch").iterdir()) == []


def test_links_and_devices_of_an_archive_are_left_in_it(tmp_path):
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as file:
        for name, kind in {"link": tarfile.SYMTYPE, "device": tarfile.CHRTYPE, "hard": tarfile.LNKTYPE}.items():
            info = tarfile.TarInfo(f"model/{name}")
            info.type, info.linkname = kind, str(tmp_path)
            file.addfile(info)
        file.addfile(tarfile.TarInfo("model/link/through"), io.BytesIO())
    with fetch.unpacked(tmp_path / "package.tgz", "model") as found:
        assert [path.relative_to(found).as_posix() for path in found.rglob("*")] == ["link", "link/through"]
        assert not (found / "link").is_symlink()
    assert [path.name for path in tmp_path.iterdir() if path.name != "package.tgz"] in ([], ["cache"])


def test_a_missing_member_is_named_with_its_package(tmp_path):
    package = archive(tmp_path / "package.zip", {"setup.py": b""})
    unpacked = fetch.unpacked(package, "model/weights.h5")
    with pytest.raises(fetch.FetchError, match=r"package\.zip holds no model/weights\.h5"), unpacked:
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_names_the_variable_to_set(client):
    client(WRITES.format(CONTENT))
    cache.root().mkdir()
    cache.root().chmod(0o555)
    with pytest.raises(PermissionError, match="COURSE_CACHE"):
        fetch.fetch(ORIGIN)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS], ids=["no permission", "mounted read-only"])
def test_a_cache_that_cannot_be_written_names_the_variable_to_set(monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OSError, match="COURSE_CACHE"):
        cache.prepared("photos/meadow", lambda part: None)


@pytest.mark.network
def test_without_npm_the_one_from_pypi_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(SHARED_CACHE))  # it is as large as a module: fetched once and kept
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    try:
        command = fetch._packaged_npm()
    except fetch.FetchError as error:
        pytest.skip(str(error))
    assert fetch._npm(NPM_ORIGIN)[: len(command)] == command
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert int(done.stdout.split(".")[0]) >= 10


def test_what_is_built_takes_its_name_only_when_it_is_whole():
    def build(part):
        (part / "first").write_text("1")
        assert not (cache.root() / "thing").exists()

    folder = cache.prepared("thing", build)
    assert folder == cache.root() / "thing"
    assert [path.name for path in folder.iterdir()] == ["first"]


@pytest.mark.parametrize("stop", [ValueError("broken"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_build_that_is_stopped_leaves_nothing(stop):
    def build(part):
        (part / "first").write_text("1")
        raise stop

    with pytest.raises(type(stop)):
        cache.prepared("thing", build)
    assert [path.name for path in cache.root().iterdir() if path.suffix != ".lock"] == []
    assert cache.prepared("thing", lambda part: (part / "second").write_text("2")).is_dir()
    assert (cache.root() / "thing" / "second").exists()


def test_what_was_built_is_listed_once(monkeypatch):
    monkeypatch.setattr(cache, "built", [])
    for _ in range(2):
        cache.prepared("thing", lambda part: None)
    assert cache.built == ["thing"]


def test_two_processes_at_once_build_once(tmp_path):
    # Each says that it is about to ask, and the builder does not end before both have said so.
    code = f"""
import os, sys, time
from pathlib import Path
from sources import cache
here = Path({str(tmp_path)!r})

def build(part):
    with open(here / "builds", "a") as log:
        log.write("built\\n")
    end = time.monotonic() + 30
    while len(list(here.glob("ready-*"))) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.2)
    (part / "whole").write_text("yes")

(here / f"ready-{{os.getpid()}}").touch()
print((cache.prepared("thing", build) / "whole").read_text())
"""
    start = functools.partial(
        subprocess.Popen, [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    both = [start(), start()]
    assert [process.communicate(timeout=60)[0].strip() for process in both] == ["yes", "yes"]
    assert (tmp_path / "builds").read_text() == "built\n"
