"""Features are the module's own numbers, in the set's order, computed once and kept for as long as nothing changes."""

import numpy as np
import pytest
from PIL import Image

from helpers import cache, evaluation, features, photos, training

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


def test_two_modules_in_folders_of_one_name_are_two_modules(trees, export, tmp_path):
    import tensorflow as tf

    first, second = (tmp_path / owner / "mobilenet_v2" for owner in ("yours", "mine"))
    export(first, lambda batch: tf.reduce_mean(batch, [1, 2]))
    export(second, lambda batch: tf.reduce_max(batch, [1, 2]))
    means, maxima = (features.extract(trees, str(folder), image_size=SIZE) for folder in (first, second))
    assert (maxima > means + 0.1).all()
    np.testing.assert_array_equal(features.extract(trees, str(first), image_size=SIZE), means)


def test_kept_features_that_hold_nan_are_refused_by_every_head(trees, mean_module):
    features.extract(trees, mean_module, image_size=SIZE)
    (file,) = cache.root().glob("features/*/features.npy")
    damaged = np.load(file)
    damaged[4, 1] = np.nan
    np.save(file, damaged)
    found = features.extract(trees, mean_module, image_size=SIZE)
    with pytest.raises(ValueError, match=r"1 of 6 feature vectors hold NaN or infinity \(first: row 4\)"):
        evaluation.cross_validate(found, trees.labels, folds=3)
    with pytest.raises(ValueError, match="hold NaN or infinity"):
        training.fit_head(found, trees.labels)


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


# What the border tells


@pytest.fixture
def squares(tmp_path):
    """Give a function that writes pictures, uint8 [n, h, w, 3], without loss, and returns them as a set."""

    def write(pictures, folder="squares"):
        (tmp_path / folder).mkdir()
        paths = [tmp_path / folder / f"{number}.png" for number in range(len(pictures))]
        for path, picture in zip(paths, pictures, strict=True):
            Image.fromarray(picture).save(path)
        return photos.PhotoSet(tuple(paths), np.zeros(len(paths), np.int32), ("square",))

    return write


def test_the_border_is_88_numbers_for_each_photo_in_order(squares):
    pictures = np.zeros((3, 224, 224, 3), np.uint8)
    pictures[1], pictures[2] = 255, [255, 0, 64]
    found = features.border(squares(pictures))
    assert found.shape == (3, 88)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, :24].reshape(3, 8, 3), (pictures[:, :8, 0] / 255).astype(np.float32))
    assert found[:, 24:].argmax(axis=1).tolist() == [0, 63, 3 * 16 + 0 * 4 + 1]
    np.testing.assert_array_equal(found[:, 24:].sum(axis=1), 1)


def test_the_centre_of_a_photo_changes_nothing_in_its_border(squares):
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    before = features.border(squares(pictures))
    pictures[:, 11:-11, 11:-11] = 0
    np.testing.assert_array_equal(features.border(squares(pictures, "changed")), before)


@pytest.mark.parametrize("place", [(0, 100), (10, 100), (100, 10), (213, 100), (100, 213), (223, 223)], ids=str)
def test_every_part_of_the_frame_tells_in_the_border(squares, place):
    pictures = np.zeros((2, 224, 224, 3), np.uint8)
    pictures[1][place] = 255
    black, dotted = features.border(squares(pictures))
    assert not np.array_equal(black, dotted)


@pytest.mark.parametrize(
    ("y", "x"), [(0, 0), (0, 112), (0, 223), (112, 0), (112, 223), (223, 0), (223, 112), (223, 223)]
)
def test_each_corner_and_each_side_has_its_mean_colour_in_the_border(squares, y, x):
    pictures = np.zeros((1, 224, 224, 3), np.uint8)
    pictures[0, max(0, y - 3) : y + 4, max(0, x - 3) : x + 4] = 255
    patches = features.border(squares(pictures))[0, :24].reshape(8, 3).mean(axis=1)
    assert sorted(patches) == [0] * 7 + [1]


# Photos that are alike


def near(angles):
    """Return unit vectors [n, 2] at some angles (degrees), and of many lengths."""
    angles = np.radians(angles)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.linspace(1, 9, len(angles))[:, None]


def partners(names):
    """Return for each photo those that share its group: a list of lists."""
    return [np.flatnonzero(names == name).tolist() for name in names]


def test_chains_of_alike_photos_are_one_group_and_lengths_count_for_nothing():
    names = features.group_alike(near([0, 180, 20, 40, 200, 90]), threshold=np.cos(np.radians(21)))
    assert partners(names) == [[0, 2, 3], [1, 4], [0, 2, 3], [0, 2, 3], [1, 4], [5]]


def test_a_higher_threshold_joins_fewer():
    counts = [len(set(features.group_alike(near([0, 10, 30, 70]), threshold))) for threshold in (0.7, 0.9, 0.97, 0.999)]
    assert counts == [1, 2, 3, 4]


@pytest.mark.parametrize("block", [1, 7, 60, 1000])
def test_the_block_size_changes_no_group(block):
    vectors = np.random.default_rng(0).normal(size=(60, 3))
    names = features.group_alike(vectors, block=block)
    assert 3 < len(set(names)) < 50
    assert partners(names) == partners(features.group_alike(vectors, block=11))
