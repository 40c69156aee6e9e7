"""Features are the module's own numbers, in the set's order, computed once and kept for as long as nothing changes."""

import shutil

import numpy as np
import pytest
from PIL import Image

from helpers import evaluation, features, modules, photos, training
from sources import cache, extraction, photo_files, saved_models

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
    runs, run = [], extraction.of_photos

    def counting(*arguments, **options):
        runs.append(arguments)
        return run(*arguments, **options)

    monkeypatch.setattr(extraction, "of_photos", counting)
    return runs


def kept():
    """Return the names of the results in the cache, whole or half."""
    return sorted(path.name for path in cache.root().glob("features/*") if path.suffix != ".lock")


def test_features_are_what_the_module_gives_for_each_photo_in_order(trees, mean_module):
    found = features.extract(trees, mean_module, image_size=SIZE)
    assert found.shape == (6, 3)
    assert found.dtype == np.float32
    pixels = np.stack([photo_files.read(path, SIZE) for path in trees.paths]).astype(np.float32) / 255
    np.testing.assert_allclose(found, pixels.mean(axis=(1, 2)), rtol=1e-5)
    backwards = features.extract(trees.take([5, 4, 3, 2, 1, 0]), mean_module, image_size=SIZE)
    np.testing.assert_allclose(backwards, found[::-1], rtol=1e-5)


def test_a_second_call_reads_the_result(trees, mean_module, monkeypatch):
    first = features.extract(trees, mean_module, image_size=SIZE)

    def fail(*_, **__):
        raise AssertionError("the module was run again")

    monkeypatch.setattr(extraction, "of_photos", fail)
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
    shutil.rmtree(cache.root() / "written")  # of these vectors nothing says that they were others
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


# Modules that do not fit


@pytest.fixture
def saved(tmp_path):
    """Give a function that saves a function of given inputs (TensorSpecs; none: untraced) and returns the folder."""
    import tensorflow as tf

    def write(call, *specs):
        module = tf.Module()
        module.__call__ = tf.function(call, input_signature=specs or None, autograph=False)
        tf.saved_model.save(module, str(tmp_path / "wrong"))
        return str(tmp_path / "wrong")

    return write


def spec(*shape, dtype="float32"):
    import tensorflow as tf

    return tf.TensorSpec(shape, dtype)


def mean_colour(batch):
    import tensorflow as tf

    return tf.reduce_mean(tf.cast(batch, tf.float32), [1, 2])


def as_numbers(texts):
    import tensorflow as tf

    return tf.strings.to_number(texts)[:, None]


def flattened(batch):  # made for 8 pixels, and says nothing of it
    import tensorflow as tf

    return tf.reshape(batch, [-1, 8 * 8 * 3])


PHOTO = (None, None, None, 3)
TAKES_SOMETHING_ELSE = {  # function, shape, type, what is told
    "text": (as_numbers, (None,), "string", r"string \(None,\)"),
    "bytes": (mean_colour, PHOTO, "uint8", r"uint8 \(None, None, None, 3\)"),
    "doubles": (mean_colour, PHOTO, "float64", r"float64 \(None, None, None, 3\)"),
    "another size": (
        mean_colour,
        (None, 8, 8, 3),
        "float32",
        r"float32 \(None, 8, 8, 3\)\. Set image_size to the size",
    ),
    "one photo": (mean_colour, (1, None, None, 3), "float32", r"float32 \(1, None, None, 3\)"),
    "channels first": (mean_colour, (None, 3, None, None), "float32", r"float32 \(None, 3, None, None\)"),
}


@pytest.fixture
def closed_photos(monkeypatch):
    """Let no photo be decoded."""

    def fail(*_):
        raise AssertionError("a photo was decoded")

    monkeypatch.setattr(photo_files, "read", fail)


@pytest.mark.usefixtures("closed_photos")
@pytest.mark.parametrize("kind", TAKES_SOMETHING_ELSE)
def test_a_module_that_takes_something_else_is_refused_before_a_photo_is_decoded(trees, saved, kind):
    call, shape, dtype, told = TAKES_SOMETHING_ELSE[kind]
    folder = saved(call, spec(*shape, dtype=dtype))
    for use in (features.extract, lambda _, module, image_size: features.cost(module, image_size)):
        wanted = r"can't be called on photos, float32 \[n, 16, 16, 3\] in \[0, 1\]"
        with pytest.raises(
            ValueError, match=f"^{folder} {wanted}; it takes {told}.* or export a function of such photos"
        ):
            use(trees, folder, image_size=SIZE)
    assert kept() == []
    assert not list(cache.root().glob("costs/*/*"))


@pytest.mark.usefixtures("closed_photos")
def test_a_module_whose_graph_fails_on_this_size_is_refused(trees, saved):
    with pytest.raises(ValueError, match=r"on photos, float32 \[n, 9, 9, 3\] .* Set image_size to the size that"):
        features.extract(trees, saved(flattened, spec(*PHOTO)), image_size=9)


@pytest.mark.usefixtures("closed_photos")
def test_a_module_of_several_inputs_is_refused(trees, saved):
    folder = saved(lambda batch, other: mean_colour(batch) + mean_colour(other), spec(*PHOTO), spec(*PHOTO))
    with pytest.raises(
        ValueError, match=r"it takes float32 \(.*\) and float32 \(.*\)\. .* export a function of such photos"
    ):
        features.extract(trees, folder, image_size=SIZE)


@pytest.mark.usefixtures("closed_photos")
def test_a_module_that_was_never_traced_is_refused(trees, saved):
    with pytest.raises(ValueError, match="it takes nothing: it holds no graph"):
        features.extract(trees, saved(mean_colour), image_size=SIZE)


@pytest.mark.usefixtures("closed_photos")
def test_a_saved_model_of_signatures_alone_is_refused_with_their_names(trees, tmp_path):
    import tensorflow as tf

    module = tf.Module()
    serve = tf.function(lambda batch: {"colour": mean_colour(batch)}, input_signature=[spec(*PHOTO)])
    tf.saved_model.save(module, str(tmp_path / "wrong"), signatures={"colours": serve})
    with pytest.raises(
        ValueError, match=r"no call, only signatures \(colours\); HubLayer\(folder, signature=...\) calls one"
    ):
        features.extract(trees, str(tmp_path / "wrong"), image_size=SIZE)


@pytest.mark.usefixtures("closed_photos")
def test_a_damaged_module_is_named(trees, export, tmp_path):
    folder = export(tmp_path / "damaged", mean_colour)
    (tmp_path / "damaged" / "saved_model.pb").write_bytes(b"cut off")
    with pytest.raises(RuntimeError, match="damaged can't be read"):
        features.extract(trees, folder, image_size=SIZE)


@pytest.mark.usefixtures("closed_photos")
@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda batch: batch * 2, r"float32 \[2, 16, 16, 3\] for .* the mean of the map over height and width"),
        (lambda batch: {"b": batch[:, 0, 0], "a": batch}, "a (dict|_DictWrapper) with the keys a, b for two photos"),
        (lambda batch: (batch[:, 0, 0], batch), "a (tuple|list|ListWrapper) for two photos"),
        (lambda batch: batch[:, 0, 0, 0], r"float32 \[2\] for two photos"),
        (lambda batch: batch[:1, 0, 0], r"float32 \[1, 3\] for two photos"),
        (lambda batch: batch[:, 0, 0] > 0.5, r"bool \[2, 3\] for two photos; a feature vector \[n, d\] of floats"),
    ],
    ids=["a feature map", "a dict", "a tuple", "one number", "one vector for all", "no floats"],
)
def test_a_module_that_gives_no_vector_is_refused_before_a_photo_is_decoded(trees, export, tmp_path, call, told):
    with pytest.raises(ValueError, match=f"module gives {told}") as refused:
        features.extract(trees, export(tmp_path / "module", call), image_size=SIZE)
    assert "a feature vector [n, d] of floats is needed" in str(refused.value)
    assert kept() == []


def test_a_module_of_a_fixed_size_fits_at_that_size(trees, saved):
    assert features.extract(trees, saved(mean_colour, spec(None, 8, 8, 3)), image_size=8).shape == (6, 3)


def test_features_are_float32_whatever_floats_a_module_gives(trees, export, tmp_path, mean_module):
    import tensorflow as tf

    halves = export(tmp_path / "halves", lambda batch: tf.cast(mean_colour(batch), tf.float16))
    found = features.extract(trees, halves, image_size=SIZE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, features.extract(trees, mean_module, image_size=SIZE), atol=1e-3)


def test_the_random_number_in_a_saved_model_is_no_part_of_what_it_is(trees, mean_module, counted, tmp_path):
    copy = shutil.copytree(mean_module, tmp_path / "mean")
    features.extract(trees, mean_module, image_size=SIZE)
    (copy / "fingerprint.pb").write_bytes(b"another export")
    features.extract(trees, str(copy), image_size=SIZE)
    assert len(counted) == 1


# What a module costs


def test_the_cost_of_a_small_network_is_what_a_hand_counts(saved, tmp_path):
    import tensorflow as tf

    draw = tf.random.Generator.from_seed(0)
    wide, deep, dense = (tf.Variable(draw.normal(shape)) for shape in ([3, 3, 3, 4], [5, 5, 4, 2], [8, 10]))

    def network(batch):
        batch = tf.nn.conv2d(batch, wide, strides=2, padding="SAME")  # 16 to 8 pixels
        batch = tf.nn.depthwise_conv2d(batch, deep, strides=[1, 1, 1, 1], padding="VALID")  # 4 pixels, 8 channels
        return tf.matmul(tf.reduce_mean(batch, [1, 2]), dense)

    module = tf.Module()
    module.weights = [wide, deep, dense]
    module.__call__ = tf.function(network, input_signature=[spec(*PHOTO)])
    tf.saved_model.save(module, str(tmp_path / "network"))
    found = features.cost(str(tmp_path / "network"), image_size=16)
    assert found["multiply_adds"] == (8 * 8 * 4) * (3 * 3 * 3) + (4 * 4 * 8) * (5 * 5) + 8 * 10
    assert found["parameters"] == 3 * 3 * 3 * 4 + 5 * 5 * 4 * 2 + 8 * 10
    on_disk = sum(path.stat().st_size for path in (tmp_path / "network").rglob("*") if path.is_file())
    assert found["megabytes"] == on_disk / 1e6


def test_products_of_attention_are_counted(saved):
    import tensorflow as tf

    def attention(batch):
        rows = tf.reshape(batch, [-1, 16, 48])
        scores = tf.einsum("nqd,nkd->nqk", rows, rows)  # 16 x 16 sums of 48
        mixed = tf.matmul(scores, rows) + tf.matmul(scores, rows, transpose_a=True)  # twice 16 x 48 sums of 16
        return tf.reduce_mean(tf.einsum("...d,de->...e", mixed, tf.ones([48, 5])), 1)  # 16 x 5 sums of 48

    found = features.cost(saved(attention, spec(*PHOTO)), image_size=16)
    assert found["multiply_adds"] == 16 * 16 * 48 + 2 * 16 * 48 * 16 + 16 * 5 * 48
    assert found["parameters"] == 0


def test_a_network_whose_work_depends_on_the_photo_is_not_counted_wrongly(saved):
    import tensorflow as tf

    def only_bright(batch):
        bright = tf.boolean_mask(batch, tf.reduce_mean(batch, 3) > 0.5)  # as many rows as there are bright pixels
        return mean_colour(batch) + tf.reduce_mean(tf.matmul(bright, tf.ones([3, 3])), 0)

    folder = saved(only_bright, spec(*PHOTO))
    with pytest.raises(ValueError, match=r"can't be counted: how large MatMul .* depends on what is in the photo"):
        features.cost(folder, image_size=SIZE)


def test_a_second_question_reads_the_cost(mean_module, monkeypatch):
    first = features.cost(mean_module, image_size=SIZE)
    assert first["multiply_adds"] == first["parameters"] == 0

    def fail(*_):
        raise AssertionError("it was counted again")

    monkeypatch.setattr(saved_models, "cost", fail)
    assert features.cost(mean_module, image_size=SIZE) == first


@pytest.fixture(scope="session")
def mobilenet():
    """Return the folder of mobilenet_v2, prepared outside the empty cache of each test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COURSE_SOURCE", raising=False)
        return modules.path("mobilenet_v2")


def test_the_cost_of_mobilenet_v2_is_that_of_its_paper(mobilenet):
    # Table 2 of Sandler et al. 2018: expansion, channels, repeats, stride of the first
    blocks = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    size, channels = 112, 32
    expected = size**2 * channels * 27
    for expansion, wanted, repeats, first in blocks:
        for stride in [first] + [1] * (repeats - 1):
            inner = channels * expansion
            expected += size**2 * channels * inner if expansion > 1 else 0
            size //= stride
            expected += size**2 * inner * 9 + size**2 * inner * wanted
            channels = wanted
    expected += size**2 * channels * 1280
    found = features.cost(mobilenet)
    assert found["multiply_adds"] == expected
    assert found["parameters"] == 2_257_984  # keras.applications' MobileNetV2 without its top
    assert features.cost(mobilenet, image_size=112)["multiply_adds"] < expected / 3.9


def test_a_text_module_has_no_cost_for_photos():
    with pytest.raises(ValueError, match=r"text_encoder reads text, not photos\. Image modules are mobilenet_v2, "):
        features.cost("text_encoder")


# What goes wrong with photos


def test_an_interrupt_leaves_nothing_and_the_next_run_is_right(trees, mean_module, monkeypatch):
    read = photo_files.read

    def interrupted(path, size=None):
        if path == trees.paths[4]:
            raise KeyboardInterrupt
        return read(path, size)

    monkeypatch.setattr(photo_files, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        features.extract(trees, mean_module, batch_size=2, image_size=SIZE)
    assert kept() == []
    monkeypatch.setattr(photo_files, "read", read)
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
    found = features.background_features(squares(pictures))
    assert found.shape == (3, 88)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, :24].reshape(3, 8, 3), (pictures[:, :8, 0] / 255).astype(np.float32))
    assert found[:, 24:].argmax(axis=1).tolist() == [0, 63, 3 * 16 + 0 * 4 + 1]
    np.testing.assert_array_equal(found[:, 24:].sum(axis=1), 1)


def test_the_centre_of_a_photo_changes_nothing_in_its_border(squares):
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    before = features.background_features(squares(pictures))
    pictures[:, 11:-11, 11:-11] = 0
    np.testing.assert_array_equal(features.background_features(squares(pictures, "changed")), before)


@pytest.mark.parametrize("place", [(0, 100), (10, 100), (100, 10), (213, 100), (100, 213), (223, 223)], ids=str)
def test_every_part_of_the_frame_tells_in_the_border(squares, place):
    pictures = np.zeros((2, 224, 224, 3), np.uint8)
    pictures[1][place] = 255
    black, dotted = features.background_features(squares(pictures))
    assert not np.array_equal(black, dotted)


@pytest.mark.parametrize(
    ("y", "x"), [(0, 0), (0, 112), (0, 223), (112, 0), (112, 223), (223, 0), (223, 112), (223, 223)]
)
def test_each_corner_and_each_side_has_its_mean_colour_in_the_border(squares, y, x):
    pictures = np.zeros((1, 224, 224, 3), np.uint8)
    pictures[0, max(0, y - 3) : y + 4, max(0, x - 3) : x + 4] = 255
    patches = features.background_features(squares(pictures))[0, :24].reshape(8, 3).mean(axis=1)
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
    names = features.near_duplicate_groups(near([0, 180, 20, 40, 200, 90]), threshold=np.cos(np.radians(21)))
    assert partners(names) == [[0, 2, 3], [1, 4], [0, 2, 3], [0, 2, 3], [1, 4], [5]]


def test_a_higher_threshold_joins_fewer():
    counts = [
        len(set(features.near_duplicate_groups(near([0, 10, 30, 70]), threshold)))
        for threshold in (0.7, 0.9, 0.97, 0.999)
    ]
    assert counts == [1, 2, 3, 4]


def test_groups_are_the_connected_parts_of_what_is_alike():
    vectors = np.random.default_rng(0).normal(size=(60, 3))
    names = features.near_duplicate_groups(vectors)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    joined = np.linalg.matrix_power((unit @ unit.T >= 0.92).astype(float), 60) > 0
    assert 3 < len(set(names)) < 50
    assert partners(names) == [np.flatnonzero(row).tolist() for row in joined]
