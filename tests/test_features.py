"""Features are the module's own numbers, in the set's order, computed once and kept for as long as nothing changes."""

import numpy as np
import pytest
from PIL import Image

from helpers import cache, features, photos

SIZE = 16


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    """Each test has a cache of its own."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def trees(photo_folder):
    """Return a set of two classes, three photos each."""
    return photos.load(photo_folder())


@pytest.fixture
def counted(monkeypatch):
    """Count how often a module is run over a set (a list that grows)."""
    runs, run = [], features._run

    def counting(*arguments):
        runs.append(arguments)
        return run(*arguments)

    monkeypatch.setattr(features, "_run", counting)
    return runs


def kept():
    """Return the names of the results in the cache, whole or half."""
    return sorted(path.name for path in cache.root().glob("features/*") if path.suffix != ".lock")


def test_features_are_what_the_module_gives_for_each_photo_in_order(trees, mean_module):
    found = features.extract(trees, mean_module, image_size=SIZE)
    assert found.shape == (6, 3)
    assert found.dtype == np.float32
    pixels = np.stack([photos.read(path, SIZE) for path in trees.paths]).astype(np.float32) / 255
    np.testing.assert_allclose(found, pixels.mean(axis=(1, 2)), rtol=1e-5)
    backwards = features.extract(trees.take([5, 4, 3, 2, 1, 0]), mean_module, image_size=SIZE)
    np.testing.assert_allclose(backwards, found[::-1], rtol=1e-5)


def test_a_second_call_reads_the_result(trees, mean_module, monkeypatch):
    first = features.extract(trees, mean_module, image_size=SIZE)

    def fail(*_):
        raise AssertionError("the module was run again")

    monkeypatch.setattr(features, "_run", fail)
    np.testing.assert_array_equal(features.extract(trees, mean_module, image_size=SIZE), first)


@pytest.mark.parametrize("batch_size", [1, 4, 6, 100])
def test_the_batch_size_changes_nothing(trees, mean_module, counted, batch_size, tmp_path, monkeypatch):
    first = features.extract(trees, mean_module, image_size=SIZE)
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "another cache"))
    second = features.extract(trees, mean_module, batch_size=batch_size, image_size=SIZE)
    assert len(counted) == 2
    np.testing.assert_allclose(second, first, rtol=1e-5)


def test_a_photo_that_changed_is_seen(trees, mean_module, counted):
    first = features.extract(trees, mean_module, image_size=SIZE)
    Image.new("RGB", (20, 20), "white").save(trees.paths[2])
    second = features.extract(trees, mean_module, image_size=SIZE)
    assert len(counted) == 2
    np.testing.assert_allclose(second[2], 1, rtol=1e-3)
    np.testing.assert_array_equal(np.delete(second, 2, axis=0), np.delete(first, 2, axis=0))


def test_the_photos_place_and_labels_are_no_part_of_the_result(trees, mean_module, counted):
    features.extract(trees, mean_module, image_size=SIZE)
    trees.paths[0].parent.rename(trees.paths[0].parent.with_name("ash"))
    moved = photos.load(trees.paths[0].parent.parent)
    assert moved.class_names == ("ash", "pine")
    features.extract(moved, mean_module, image_size=SIZE)
    assert len(counted) == 1


def test_another_size_is_another_result(trees, mean_module, counted):
    features.extract(trees, mean_module, image_size=SIZE)
    features.extract(trees, mean_module, image_size=SIZE * 2)
    assert len(counted) == len(kept()) == 2


def test_a_module_exported_again_is_another_module(trees, export, tmp_path):
    import tensorflow as tf

    folder = export(tmp_path / "mine", lambda batch: tf.reduce_mean(batch, [1, 2]))
    first = features.extract(trees, folder, image_size=SIZE)
    export(tmp_path / "mine", lambda batch: tf.reduce_mean(batch, [1, 2]) * 2)
    np.testing.assert_allclose(features.extract(trees, folder, image_size=SIZE), first * 2, rtol=1e-5)


def test_a_text_module_is_refused(trees):
    with pytest.raises(ValueError, match="text_encoder reads text, not photos"):
        features.extract(trees, "text_encoder")


@pytest.mark.parametrize("named", ["mobilnet_v2", "."])
def test_what_is_no_module_is_refused_with_the_names_there_are(trees, named):
    with pytest.raises(ValueError, match=r"no catalogue name .mobilenet_v2, .* and no SavedModel folder"):
        features.extract(trees, named)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda batch: batch * 2, r"a feature vector \[n, d\] is needed"),
        (lambda batch: {"default": batch[:, 0, 0]}, r"a feature vector \[n, d\] is needed"),
    ],
    ids=["a picture", "a dict"],
)
def test_a_module_that_gives_no_vector_is_refused(trees, export, tmp_path, call, told):
    with pytest.raises(ValueError, match=told):
        features.extract(trees, export(tmp_path / "module", call), image_size=SIZE)
    assert kept() == []


def test_an_interrupt_leaves_nothing_and_the_next_run_is_right(trees, mean_module, monkeypatch):
    read = photos.read

    def interrupted(path, size=None):
        if path == trees.paths[4]:
            raise KeyboardInterrupt
        return read(path, size)

    monkeypatch.setattr(photos, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        features.extract(trees, mean_module, batch_size=2, image_size=SIZE)
    assert kept() == []
    monkeypatch.setattr(photos, "read", read)
    assert features.extract(trees, mean_module, image_size=SIZE).shape == (6, 3)


def test_every_broken_photo_is_named_at_once(trees, mean_module):
    for row in (1, 4):
        trees.paths[row].write_bytes(trees.paths[row].read_bytes()[:-300])
    with pytest.raises(photos.PhotoError, match=r"2 of 6 photos .*oak.1\.jpg .*pine.1\.jpg"):
        features.extract(trees, mean_module, batch_size=2, image_size=SIZE)
    assert kept() == []
