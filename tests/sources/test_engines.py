"""Whatever engine runs a module, its vectors are the module's own; where one can't, it is said once, in words."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers import features, modules, photos
from sources import cache, engines, extraction, photo_files

SIZE = 16
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """Each test has a cache and a memory of its own, and finds converting worth its while."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(engines, "WORTH_CONVERTING", 1)
    known, said = engines._litert, engines._say_once
    for each in (known, said):
        each.cache_clear()
    yield
    known.cache_clear()


@pytest.fixture
def trees(photo_folder):
    return photos.load(photo_folder(each=6))


@pytest.fixture
def network(export, tmp_path):
    """Return the folder of a module with a convolution."""
    import tensorflow as tf

    kernel = tf.constant(np.random.default_rng(0).normal(size=(3, 3, 3, 8)), tf.float32)
    return export(
        tmp_path / "network", lambda batch: tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(batch, kernel, 2, "SAME")), [1, 2])
    )


def truth(folder, photo_set, size=SIZE):
    """Return what TensorFlow gives."""
    import tensorflow as tf

    pixels = np.stack([photo_files.read(path, size) for path in photo_set.paths])
    return tf.saved_model.load(folder)(tf.cast(pixels, tf.float32) / 255).numpy()


def same(found, expected):
    return np.abs(found - expected).max() <= engines.AGREEMENT * np.abs(expected).max()


def engine_of(folder, count=10):
    label, folder, identity = modules.identified(folder)
    return engines.chosen(label, folder, identity, SIZE, count)[0]


def test_litert_gives_the_modules_own_vectors_without_a_word(trees, network, capfd):
    assert engine_of(network).startswith("LiteRT 2")
    capfd.readouterr()
    assert same(features.extract(trees, network, image_size=SIZE), truth(network, trees))
    assert "TensorFlow" not in capfd.readouterr().err


def test_few_photos_are_not_worth_a_conversion_but_take_one_that_is_there(network, monkeypatch):
    monkeypatch.setattr(engines, "WORTH_CONVERTING", 100)
    assert engine_of(network, 99).startswith("TensorFlow 2")
    assert engine_of(network, 100).startswith("LiteRT")
    assert engine_of(network, 1).startswith("LiteRT")


def test_without_litert_the_graph_runs_and_it_is_said_once(trees, network, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    for part in (trees, trees.take(range(6))):
        assert same(features.extract(part, network, image_size=SIZE), truth(network, part))
    assert (
        capfd.readouterr().err.count("network runs on TensorFlow's graph, with the same vectors, only slower: ai-") == 1
    )


def test_a_module_that_can_not_be_converted_runs_as_a_graph_and_it_is_said_once(trees, export, tmp_path, capfd):
    import tensorflow as tf

    def named(batch):  # no LiteRT file has TensorFlow's strings
        length = tf.strings.length(tf.strings.as_string(tf.cast(batch[:, 0, 0, 0] * 255, tf.int32)))
        return tf.reduce_mean(batch, [1, 2]) + tf.cast(length, tf.float32)[:, None]

    folder = export(tmp_path / "strings", named)
    for part in (trees, trees.take(range(6))):
        assert same(features.extract(part, folder, image_size=SIZE), truth(folder, part))
    assert (
        capfd.readouterr().err.count("strings runs on TensorFlow's graph, with the same vectors, only slower: Li") == 1
    )
    assert len(list(cache.root().glob("engines/strings-*/why_not.txt"))) == 1


def test_a_conversion_that_gives_other_vectors_is_not_used(trees, network, monkeypatch, capfd):
    monkeypatch.setattr(engines, "AGREEMENT", -1)
    assert engine_of(network).startswith("TensorFlow")
    assert "of the largest value away from the module's" in capfd.readouterr().err


@pytest.mark.parametrize("cut", ["model.tflite", "content"])
def test_a_converted_file_that_was_cut_is_made_again(trees, network, capfd, cut):
    engine_of(network)
    (file,) = cache.root().glob(f"engines/*/{cut}")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert same(features.extract(trees, network, image_size=SIZE), truth(network, trees))
    assert capfd.readouterr().err.count("is damaged: network is converted again") == 1


def test_what_another_version_left_is_neither_read_nor_in_the_way(trees, network, monkeypatch):
    old = features.extract(trees, network, image_size=SIZE)
    version, _ = engines._litert()
    monkeypatch.setattr(engines, "_litert", lambda: (version + ".1", ""))
    for file in cache.root().glob("*/network-*/*"):
        if file.suffix in (".npy", ".tflite"):
            file.write_bytes(b"of another version")
    np.testing.assert_array_equal(features.extract(trees, network, image_size=SIZE), old)


def test_another_precision_than_those_there_are_or_for_a_module_that_was_not_measured_is_refused(trees, network):
    for module, precision in ((network, "int8"), ("mobilenet_v2", "int4"), ("efficientnet_b0", "int8")):
        with pytest.raises(ValueError, match=r"precision is float32, or int8 for .*mobilenet_v2"):
            features.extract(trees, module, image_size=SIZE, precision=precision)


def test_int8_where_it_can_not_be_had_is_refused_and_not_replaced(network, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    label, folder, identity = modules.identified(network)
    with pytest.raises(ValueError, match="network can't be run with int8: ai-edge-litert can't be used here"):
        engines.chosen(label, folder, identity, SIZE, 10, lambda: np.zeros((1, SIZE, SIZE, 3), np.uint8))


# At size


def test_a_killed_extraction_goes_on_where_it_was(photo_folder, network, tmp_path, monkeypatch):
    folder = photo_folder(each=20)
    code = (
        "import os, time\nfrom helpers import features, photos\nfrom sources import extraction, photo_files\n"
        "extraction.SHARD, read = 8, photo_files.read\n"
        "def slowly(path, size):\n    time.sleep(0.2)\n    return read(path, size)\n"
        "photo_files.read = slowly\n"
        f"features.extract(photos.load({str(folder)!r}), {network!r}, batch_size=2, image_size={SIZE})\n"
    )
    there = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    child = subprocess.Popen([sys.executable, "-c", code], env=there, cwd=tmp_path, start_new_session=True)
    deadline = time.time() + 120
    while len(list(cache.root().glob("features/*.half/[0-9]*.npy"))) < 2 and time.time() < deadline:
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    whole = len(list(cache.root().glob("features/*.half/[0-9]*.npy")))
    assert 2 <= whole < 5
    read, again = photo_files.read, []
    monkeypatch.setattr(extraction, "SHARD", 8)
    # The child, too, found no conversion, and took TensorFlow's graph.
    monkeypatch.setattr(engines, "WORTH_CONVERTING", 500)
    monkeypatch.setattr(photo_files, "read", lambda path, size=None: again.append(path) or read(path, size))
    trees = photos.load(folder)
    found = features.extract(trees, network, batch_size=2, image_size=SIZE)
    assert sorted(again) == sorted(trees.paths[8 * whole :])
    assert same(found, truth(network, trees))
    assert not list(cache.root().glob("features/*.half"))


def test_shards_and_batches_change_nothing(trees, network, monkeypatch):
    monkeypatch.setattr(extraction, "SHARD", 5)
    monkeypatch.setattr(features, "LARGE", 0)  # the result stays on disk
    found = features.extract(trees, network, batch_size=2, image_size=SIZE)
    assert isinstance(found, np.memmap)
    assert same(found, truth(network, trees))
    found[0] = 0  # and can be changed without changing what is kept
    assert features.extract(trees, network, image_size=SIZE)[0].any()


def test_a_photo_that_was_cut_off_is_named_before_a_photo_is_run(trees, network, monkeypatch):
    def never(*_):
        raise AssertionError("the module was started")

    monkeypatch.setattr(engines, "_lite", never)
    monkeypatch.setattr(engines, "_tensorflow", never)
    monkeypatch.setattr(engines, "WORTH_CONVERTING", 500)
    trees.paths[7].write_bytes(trees.paths[7].read_bytes()[:-200])
    with pytest.raises(photos.PhotoError, match=r"1 of 12 photos can't be decoded: .*pine.1\.jpg"):
        features.extract(trees, network, image_size=SIZE)


def test_bytes_after_the_end_of_a_photo_are_no_fault(trees, network):
    whole = trees.paths[3].read_bytes()
    trees.paths[3].write_bytes(whole + b"a maker's notes" * 9)
    assert same(features.extract(trees, network, image_size=SIZE), truth(network, trees))


def test_of_many_photos_only_those_that_changed_are_read_again(trees, monkeypatch, capfd):
    monkeypatch.setattr(extraction, "MANY", 10)
    for path in trees.paths:
        os.utime(path, (1e9, 1e9))
    first = extraction.contents(trees.paths)
    assert first == b"".join(map(cache.content_hash, trees.paths))
    trees.paths[5].write_bytes(trees.paths[4].read_bytes())  # size or time is another
    read, again = cache.content_hash, []
    monkeypatch.setattr(cache, "content_hash", lambda path: again.append(path) or read(path))
    second = extraction.contents(trees.paths)
    assert again == [trees.paths[5]]
    assert second[5 * 16 : 6 * 16] == second[4 * 16 : 5 * 16]
    assert second[: 5 * 16] == first[: 5 * 16]
    assert "12 photos: 1 read, the others unchanged in size and time of change" in capfd.readouterr().err


def test_a_photo_that_changed_while_its_size_and_time_did_not_is_read_again(trees, monkeypatch):
    monkeypatch.setattr(extraction, "MANY", 10)
    for path in trees.paths:
        os.utime(path, (1e9, 1e9))
    first = extraction.contents(trees.paths)
    content = trees.paths[0].read_bytes()
    trees.paths[0].write_bytes(content[:-40] + bytes([content[-40] ^ 1]) + content[-39:])
    os.utime(trees.paths[0], (1e9, 1e9))  # as a backup does that restores it
    assert extraction.contents(trees.paths) == b"".join(map(cache.content_hash, trees.paths)) != first


def test_contents_are_read_where_the_cache_can_not_be_written(trees, monkeypatch):
    def refuse(path, content):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(extraction, "MANY", 10)
    monkeypatch.setattr(cache, "replace", refuse)
    assert extraction.contents(trees.paths) == b"".join(map(cache.content_hash, trees.paths))


def test_a_full_disk_is_not_remembered_as_a_fault_of_the_module(trees, network, monkeypatch):
    def full(*_):
        raise RuntimeError("graph.pb; No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(engines, "tflite", full)
        with pytest.raises(OSError, match="a disk is full"):
            features.extract(trees, network, image_size=SIZE)
    assert not list(cache.root().glob("engines/*/*"))
    assert same(features.extract(trees, network, image_size=SIZE), truth(network, trees))
    assert list(cache.root().glob("engines/*/model.tflite"))


def test_a_photo_that_changed_just_after_it_was_read_is_read_again(trees, monkeypatch):
    monkeypatch.setattr(extraction, "MANY", 10)
    before = os.stat(trees.paths[0])
    first = extraction.contents(trees.paths)
    other = bytearray(trees.paths[0].read_bytes())
    other[-40] ^= 1
    trees.paths[0].write_bytes(other)
    os.utime(trees.paths[0], ns=(before.st_atime_ns, before.st_mtime_ns))  # size and time are as before
    assert extraction.contents(trees.paths) != first
