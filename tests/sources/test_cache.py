"""A waiting process says for whom it waits, and every file of the cache can be checked against what was written."""

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from course import doctor, run
from sources import cache, module_folders

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))


def build(part):
    (part / "variables").mkdir()
    (part / "variables" / "data").write_bytes(b"0123456789" * 100)
    (part / "saved_model.pb").write_bytes(b"graph")


def test_what_was_written_is_found_again():
    cache.prepared("modules/meadow", build)
    assert cache.verify() == []


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "a folder instead", "emptied"])
@pytest.mark.parametrize("name", ["saved_model.pb", "variables/data"])
def test_every_damage_is_found_with_the_folder_and_the_cure(damage, name):
    cache.prepared("modules/forest", build)
    path = cache.prepared("modules/meadow", build) / name
    content = path.read_bytes()
    path.unlink()
    if damage == "a folder instead":
        path.mkdir()
    elif damage != "gone":
        path.write_bytes({"cut": content[:-1], "changed": b"#" + content[1:], "emptied": b""}[damage])
    (fault,) = cache.verify()
    assert f"{cache.root() / 'modules' / 'meadow'} is damaged ({name}). Delete it and run again." == fault


def test_several_damaged_files_are_counted():
    folder = cache.prepared("modules/meadow", build)
    for path in (folder / "saved_model.pb", folder / "variables" / "data"):
        path.unlink()
    assert "(saved_model.pb and 1 more files)" in cache.verify()[0]


def test_what_was_deleted_is_no_fault_and_is_built_again():
    import shutil

    shutil.rmtree(cache.prepared("modules/meadow", build))
    assert cache.verify() == []
    cache.prepared("modules/meadow", build)
    assert cache.verify() == []


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"saved_model.pb": 3}', '{"saved_model.pb": [5]}', "null"])
def test_a_damaged_record_is_a_fault_and_no_traceback(content):
    cache.prepared("modules/meadow", build)
    record = cache.root() / "written" / "modules" / "meadow.json"
    record.write_text(content)
    (fault,) = cache.verify()
    assert "Delete it and run again" in fault


def test_a_waiting_process_says_for_whom_and_which_file_to_delete():
    entered, go = threading.Event(), threading.Event()

    def slow(part):
        entered.set()
        go.wait(60)

    builder = threading.Thread(target=cache.prepared, args=("photos/meadow", slow))
    builder.start()
    entered.wait(60)
    code = "from sources import cache; print(cache.prepared('photos/meadow', lambda part: None))"
    waiting = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    said = waiting.stderr.readline()
    go.set()
    builder.join()
    waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert f"photos/meadow: waiting for process {os.getpid()} on {socket.gethostname()}, since 2" in said
    assert f"If that process is gone, delete {cache.root() / 'photos' / '.meadow.lock'} and run again" in said
    assert sorted(path.name for path in (cache.root() / "photos").iterdir()) == [".meadow.lock", "meadow"]


def test_a_lock_that_a_killed_process_left_is_no_wait():
    code = """
import errno
import json
import os
from course import doctor, run
from sources import cache, module_folders
cache.prepared("photos/meadow", lambda part: os._exit(9))
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 9
    assert cache.prepared("photos/meadow", build).is_dir()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("leaf.example.org.4242.0a1b2c", "waiting for process 4242 on leaf.example.org, since 2"),
        ("", "waiting for process unknown on an unknown machine"),
    ],
)
def test_tensorflow_hub_s_lock_is_said(tmp_path, content, told):
    lock = tmp_path / "8e75887695ac632ead11c556d4a6d45194718ffb.lock"
    lock.write_text(content)
    said = cache.hub_lock(lock.with_suffix(""))
    assert told in said
    assert f"delete {lock} and run again" in said


def test_without_a_lock_nobody_is_waited_for(tmp_path):
    assert cache.hub_lock(tmp_path / "module") is None


DAMAGE = {"cut": lambda data: data[:-1], "changed": lambda data: b"#" + data[1:], "emptied": lambda data: b""}


@pytest.mark.parametrize("damage", [*DAMAGE, "gone"])
@pytest.mark.parametrize("name", ["saved_model.pb", "variables/data"])
def test_a_damaged_folder_is_refused_where_it_is_asked_for_in_the_words_of_verify(damage, name):
    path = cache.prepared("modules/meadow", build) / name
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(DAMAGE[damage](path.read_bytes()))
    with pytest.raises(cache.DamagedError) as raised:
        cache.prepared("modules/meadow", build)
    assert [str(raised.value)] == cache.verify() == cache.verify(quick=True)


def test_the_quick_look_reads_only_what_has_another_time(monkeypatch):
    folder = cache.prepared("modules/meadow", build)
    read, content_hash = [], cache.content_hash
    monkeypatch.setattr(cache, "content_hash", lambda path: read.append(path.name) or content_hash(path))
    assert cache.prepared("modules/meadow", build) == folder
    assert read == []
    os.utime(folder / "saved_model.pb")  # as a copy without its times
    for _ in range(2):
        cache.prepared("modules/meadow", build)
    assert read == ["saved_model.pb"]
    assert cache.verify() == []
    assert read == ["saved_model.pb", "saved_model.pb", "data"]


def test_a_record_without_times_and_a_folder_without_a_record_are_still_taken():
    folder = cache.prepared("modules/meadow", build)
    record = cache.root() / "written" / "modules" / "meadow.json"
    record.write_text(json.dumps({name: told[:2] for name, told in json.loads(record.read_text()).items()}))
    os.utime(folder / "saved_model.pb")
    assert cache.prepared("modules/meadow", build) == folder
    (folder / "saved_model.pb").write_bytes(b"cut")
    with pytest.raises(cache.DamagedError):
        cache.prepared("modules/meadow", build)
    record.unlink()
    assert cache.prepared("modules/meadow", build) == folder


def test_layer_features_doctor_and_prepare_say_the_same_of_a_damaged_module():
    folder = cache.prepared("modules/meadow", build)
    (folder / "saved_model.pb").unlink()
    said = f"{folder} is damaged (saved_model.pb). Delete it and run again."
    for look in (
        module_folders.folder_of,  # helpers.HubLayer
        lambda handle: module_folders.folder_of(module_folders.saved_as(handle)),
        module_folders.identified,  # helpers.features.extract
        lambda handle: run.prepare(),
    ):
        with pytest.raises(cache.DamagedError) as raised:
            look(str(folder))
        assert str(raised.value) == said
    assert doctor._files(deep=False)[1] == said


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("variables.data; No space left on device [Op:SaveV2]"),  # as TensorFlow says it
    ],
    ids=["disk", "quota", "TensorFlow"],
)
def test_a_full_disk_is_said_with_its_cure_and_leaves_nothing(error):
    def fill(part):
        (part / "half").write_bytes(b"0")
        raise error

    with pytest.raises(OSError, match=r"photos/meadow can't be prepared, because a disk is full .*COURSE_CACHE"):
        cache.prepared("photos/meadow", fill)
    assert [path.name for path in cache.root().rglob("*") if path.is_file() and path.suffix != ".lock"] == []
    assert cache.prepared("modules/meadow", build).is_dir()


WRITER = """
import sys
from pathlib import Path
from sources import cache
while True:
    cache.replace(Path(sys.argv[1]), sys.argv[2].encode() * 300_000)
"""


def test_a_file_is_whole_whoever_writes_it_and_whenever_they_are_killed(tmp_path):
    path = tmp_path / "lesson.ipynb"
    path.write_bytes(b"0" * 300_000)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), each], cwd=ROOT) for each in "12"]
    seen, end = set(), time.monotonic() + 120
    while not seen >= {b"1", b"2"} and time.monotonic() < end:
        content = path.read_bytes()
        assert content == content[:1] * 300_000
        seen.add(content[:1])
    for writer in writers:
        writer.kill()
        writer.wait()
    content = path.read_bytes()
    assert content == content[:1] * 300_000
    assert seen >= {b"1", b"2"}


def test_a_file_that_can_t_be_written_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "lesson.ipynb"
    path.write_bytes(b"older")

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        cache.replace(path, b"newer")
    assert [path] == list(tmp_path.iterdir())
    assert path.read_bytes() == b"older"
