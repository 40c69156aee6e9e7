"""HubLayer does what hub.KerasLayer does, in Keras 3, and says plainly what it can't do."""

import contextlib
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.saving import serialization_lib

from helpers import HubLayer, modules, saved_model
from sources import cache

# Keras turns its variables into NumPy arrays in NumPy 1's way, which NumPy 2 remarks on each time.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TEXTS = ["a red flower", "the leaf has brown spots", "roots"]
CLASSES = 5


def difference(some, others):
    return float(np.max(np.abs(np.asarray(some, np.float64) - np.asarray(others, np.float64))))


def mobilenet(**options):
    """A classifier on 96 px photos, small enough for a test."""
    layer = HubLayer("mobilenet_v2", **options)
    return keras.Sequential([keras.Input((96, 96, 3)), layer, keras.layers.Dense(CLASSES)])


def compiled(model):
    model.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def values(layer):
    return [weight.value.numpy() for weight in layer.weights]


def moved(layer, before):
    """Which weights differ from what they were: a list of bools."""
    return [not np.array_equal(value, old) for value, old in zip(values(layer), before, strict=True)]


def python(code, **environment):
    """Run code in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.run([sys.executable, *code], env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def inputs():
    random = np.random.default_rng(0)
    return {
        "photos": random.random((4, 96, 96, 3), np.float32),
        "labels": np.array([0, 1, 2, 3]),
        "texts": np.array(TEXTS),
        "kernel": random.normal(0, 0.02, (1280, CLASSES)).astype(np.float32),
    }


@pytest.fixture(scope="module")
def legacy(inputs, tmp_path_factory):
    """What hub.KerasLayer computes: arrays by name, and counts and losses by mode."""
    folder = tmp_path_factory.mktemp("legacy")
    np.savez(folder / "inputs.npz", **inputs)
    ran = python([HERE / "legacy_hub_layer.py", folder], TF_USE_LEGACY_KERAS="1")
    assert ran.returncode == 0, ran.stderr
    return np.load(folder / "arrays.npz"), json.loads((folder / "numbers.json").read_text())


def one_step(inputs, trainable):
    """A model after one SGD step, and what it was before."""
    model = compiled(mobilenet(trainable=trainable))
    layer, head = model.layers
    head.set_weights([inputs["kernel"], np.zeros(CLASSES)])
    before = {"weights": values(layer), "features": layer(inputs["photos"]).numpy()}
    before["regularisation"] = float(sum(map(float, layer.losses)))
    # Shuffled photos would give the same sums in another order, and so another rounding.
    fitted = model.fit(inputs["photos"], inputs["labels"], batch_size=4, shuffle=False, verbose=0)
    return model, {**before, "loss": fitted.history["loss"][0]}


@pytest.fixture(scope="module")
def trained(inputs):
    return one_step(inputs, trainable=True)


@pytest.fixture(scope="module")
def frozen(inputs):
    return one_step(inputs, trainable=False)


@pytest.fixture(scope="module")
def text_model():
    layers = [keras.Input((), dtype="string"), HubLayer("text_encoder"), keras.layers.Dense(2)]
    return keras.Sequential(layers)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A module of six weights: the photos' mean colour times a kernel, less a moving mean; and two signatures."""
    folder = tmp_path_factory.mktemp("modules") / "tiny"
    kernel = tf.Variable([[1.0, 0], [0, 1], [1, 1]])
    moving_mean = tf.Variable([0.0, 0], trainable=False)

    def call(photos, training=False):
        features = tf.reduce_mean(photos, [1, 2]) @ kernel
        if training:
            moving_mean.assign(moving_mean * 0.9 + tf.reduce_mean(features, 0) * 0.1)
        return features - moving_mean

    def classify(photos):
        return {"probabilities": tf.nn.softmax(call(photos)), "logits": call(photos)}

    def decay():
        return 0.1 * tf.nn.l2_loss(kernel)

    saved_model.save(
        folder, call, saved_model.PHOTOS, [kernel, moving_mean], [kernel], [decay], {"image_classification": classify}
    )
    return str(folder)


@pytest.fixture
def tiny_in_cache(tiny, tmp_path, monkeypatch):
    """The tiny module in a cache of its own, which a test may move."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    return shutil.copytree(tiny, tmp_path / "cache" / "exports" / "tiny")


def export(folder, call, *specs, **attributes):
    """Write a module that helpers.packaged would not write."""
    module = tf.train.Checkpoint()
    module.__call__ = tf.function(call)
    module.__call__.get_concrete_function(*specs)
    for name, value in attributes.items():
        setattr(module, name, value)
    tf.saved_model.save(module, str(folder))
    return str(folder)


PHOTOS = np.full([2, 4, 4, 3], [0.25, 0.5, 0.75], np.float32)
FEATURES = [[1.0, 1.25]] * 2  # of PHOTOS, by the tiny module


# The same as hub.KerasLayer


def test_features_are_those_of_hub_keras_layer(legacy, frozen, trained):
    assert difference(frozen[1]["features"], legacy[0]["frozen features"]) < 1e-5
    assert difference(trained[1]["features"], legacy[0]["trainable features"]) < 1e-5


def test_text_features_are_those_of_hub_keras_layer(legacy, text_model):
    assert difference(text_model.layers[0](tf.constant(TEXTS)), legacy[0]["text features"]) < 1e-5


def test_weight_counts_are_those_of_hub_keras_layer(legacy, frozen, trained):
    counted = {
        mode: {"trainable": len(layer.trainable_weights), "not trainable": len(layer.non_trainable_weights)}
        for mode, layer in (("frozen", frozen[0].layers[0]), ("trainable", trained[0].layers[0]))
    }
    assert counted == {mode: {kind: legacy[1][mode][kind] for kind in counts} for mode, counts in counted.items()}
    assert counted["frozen"] == {"trainable": 0, "not trainable": 260}
    assert counted["trainable"] == {"trainable": 156, "not trainable": 104}


def test_losses_are_those_of_hub_keras_layer(legacy, frozen, trained):
    assert frozen[1]["regularisation"] == legacy[1]["frozen"]["regularisation"] == 0
    assert trained[1]["regularisation"] == pytest.approx(legacy[1]["trainable"]["regularisation"], abs=1e-5)
    assert trained[1]["regularisation"] > 0.05
    assert trained[1]["loss"] == pytest.approx(legacy[1]["loss"], abs=1e-5)


def test_weights_after_one_step_are_those_of_hub_keras_layer(legacy, trained):
    layer, head = trained[0].layers
    differences = {w.value.name: difference(w.value, legacy[0][w.value.name]) for w in layer.weights}
    assert len(differences) == 260
    assert max(differences.values()) < 1e-5
    assert difference(head.kernel.value, legacy[0]["head"]) < 1e-5


# Training


def test_one_step_moves_all_weights_of_a_trainable_module(trained):
    # 156 kernels, gammas and betas move by their gradient; 104 moving statistics have none: batch norm itself moves
    # them towards the batch's mean and variance, because it is called with training=True.
    model, before = trained
    assert moved(model.layers[0], before["weights"]) == [True] * 260


def test_a_step_moves_the_modules_own_variables(trained, inputs):
    # Not copies of them: else training would look fine and the module would go on computing the same.
    layer = trained[0].layers[0]
    own = {variable.name: variable for variable in layer._module.variables}
    assert all(own[weight.value.name] is weight.value for weight in layer.weights)
    assert difference(layer(inputs["photos"]), trained[1]["features"]) > 1e-3


def test_one_step_moves_nothing_in_a_frozen_module(frozen, inputs):
    model, before = frozen
    assert moved(model.layers[0], before["weights"]) == [False] * 260
    assert difference(model.layers[1].kernel.value, inputs["kernel"]) > 0
    assert len(model.trainable_weights) == 2  # the model's own list, from which fit takes its weights


def test_trainable_can_be_switched_later(tiny):
    layer = HubLayer(tiny)
    model = keras.Sequential([keras.Input((4, 4, 3)), layer, keras.layers.Dense(2)])
    for trainable in (True, False, True):
        layer.trainable = trainable
        assert len(layer.trainable_weights) == trainable
        assert len(model.trainable_weights) == 2 + trainable
        before = values(layer)
        compiled(model).fit(PHOTOS, np.array([0, 1]), verbose=0)
        assert moved(layer, before) == [trainable, trainable]


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_trains_only_in_a_trainable_layer(tiny, trainable, training):
    layer = HubLayer(tiny, trainable=trainable)
    features = layer(PHOTOS, training=training)
    moves = trainable and training
    assert difference(values(layer)[1], [0.1, 0.125] if moves else [0, 0]) < 1e-6
    assert difference(features, np.multiply(FEATURES, 0.9 if moves else 1)) < 1e-6


def test_batch_norm_can_be_kept_in_inference_mode_while_the_weights_train(tiny):
    layer = HubLayer(tiny, trainable=True, arguments={"training": False})
    model = compiled(keras.Sequential([keras.Input((4, 4, 3)), layer, keras.layers.Dense(2)]))
    assert difference(layer(PHOTOS, training=True), FEATURES) < 1e-6
    before = values(layer)
    model.fit(PHOTOS, np.array([0, 1]), verbose=0)
    assert moved(layer, before) == [True, False]


def test_a_training_argument_does_no_harm_where_the_module_takes_none(mean_module, tiny):
    for options in ({}, {"arguments": {"training": False}}):
        assert difference(HubLayer(mean_module, **options)(PHOTOS, training=True), PHOTOS[:, 0, 0]) < 1e-6
    options = {"signature": "image_classification", "output_key": "logits", "arguments": {"training": False}}
    assert difference(HubLayer(tiny, **options)(PHOTOS), FEATURES) < 1e-6


@pytest.mark.parametrize("trainable", [False, True])
def test_regularisation_is_added_when_trainable(tiny, trainable):
    layer = HubLayer(tiny, trainable=trainable)
    model = keras.Sequential([keras.Input((4, 4, 3)), layer])
    model(PHOTOS)
    assert [float(loss) for loss in model.losses] == ([pytest.approx(0.2)] if trainable else [])


def test_a_module_without_trainable_variables_says_so(tmp_path):
    folder = export(tmp_path / "double", lambda x: 2 * x, tf.TensorSpec([None, 2]))
    with pytest.warns(UserWarning, match="declares no trainable variables"):
        HubLayer(folder, trainable=True)


# In models


@pytest.mark.parametrize("trainable", [False, True])
def test_summary_counts_the_parameters(frozen, trained, trainable):
    base, head = 2_257_984, 1280 * CLASSES + CLASSES
    learns = head + 2_223_872 * trainable
    lines = []
    (trained if trainable else frozen)[0].summary(print_fn=lambda line, **_: lines.append(line))
    text = "\n".join(lines)
    assert re.search(rf"HubLayer.* {base:,} │", text)
    assert f"Trainable params: {learns:,} " in text
    assert f"Non-trainable params: {base + head - learns:,} " in text


def test_the_output_shape_is_known(text_model, frozen):
    assert frozen[0].layers[0].output.shape == (None, 1280)
    assert text_model.layers[0].output.shape == (None, 512)


def test_photo_and_text_meet_in_a_functional_model(tiny):
    photo, text = keras.Input((4, 4, 3), name="photo"), keras.Input((), dtype="string", name="text")
    joined = keras.layers.Concatenate()([HubLayer(tiny)(photo), HubLayer("text_encoder")(text)])
    model = compiled(keras.Model({"photo": photo, "text": text}, keras.layers.Dense(3)(joined)))
    batch = {"photo": PHOTOS, "text": tf.constant(TEXTS[:2])}
    model.fit(batch, np.array([0, 1]), verbose=0)
    assert model.predict(batch, verbose=0).shape == (2, 3)


def test_a_trainable_text_module_learns():
    layer = HubLayer("text_encoder", trainable=True)
    model = compiled(keras.Sequential([keras.Input((), dtype="string"), layer, keras.layers.Dense(3)]))
    before = values(layer)
    model.fit(tf.constant(TEXTS), np.array([0, 1, 2]), verbose=0)
    assert len(layer.trainable_weights) == 30
    assert sum(moved(layer, before)) > 20


def test_a_signature_gives_the_chosen_output(tiny):
    logits = HubLayer(tiny, signature="image_classification", output_key="logits")
    probabilities = HubLayer(tiny, signature="image_classification", output_key="probabilities")
    model = keras.Sequential([keras.Input((4, 4, 3)), probabilities])
    assert difference(logits(PHOTOS), FEATURES) < 1e-6
    assert difference(logits({"inputs": PHOTOS}), FEATURES) < 1e-6
    assert difference(model.predict(PHOTOS, verbose=0), tf.nn.softmax(FEATURES)) < 1e-6


def test_further_arguments_reach_the_module(tmp_path):
    specs = tf.TensorSpec([None, 2]), tf.TensorSpec([], name="factor")
    folder = export(tmp_path / "times", lambda x, factor: x * factor, *specs)
    layer = HubLayer(folder, arguments={"factor": 3.0})
    assert layer(np.ones([1, 2])).numpy().tolist() == [[3, 3]]
    assert layer.get_config()["arguments"] == {"factor": 3.0}


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_leaves_the_module_in_its_own_type(tiny, policy):
    keras.config.set_dtype_policy(policy)
    try:
        layer = HubLayer(tiny, trainable=True)
        before = [keras.Input((4, 4, 3)), keras.layers.Rescaling(1.0)]
        model = compiled(keras.Sequential([*before, layer, keras.layers.Dense(2)]))
        model.fit(PHOTOS, np.array([0, 1]), verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.layers[0].output.dtype == policy.removeprefix("mixed_")
    assert layer.output.dtype == "float32"
    assert {weight.dtype for weight in layer.weights} == {"float32"}
    assert moved(layer, [[[1, 0], [0, 1], [1, 1]], [0, 0]]) == [True, True]
    assert np.isfinite(values(layer)[0]).all()


# Saving


def test_a_trained_model_comes_back_from_its_file(trained, inputs, tmp_path):
    # It was trained: weights that came from the module and not from the file would show.
    trained[0].save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert difference(loaded(inputs["photos"]), trained[0](inputs["photos"])) < 1e-6
    assert len(loaded.layers[0].trainable_weights) == 156


def test_a_text_model_comes_back_from_its_file(text_model, tmp_path):
    text_model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert difference(loaded(tf.constant(TEXTS)), text_model(tf.constant(TEXTS))) < 1e-6


def test_every_option_comes_back_from_the_file(tiny_in_cache, tmp_path):
    layer = HubLayer(tiny_in_cache, signature="image_classification", output_key="logits", name="colours")
    keras.Sequential([keras.Input((4, 4, 3)), layer]).save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").layers[0].get_config() == layer.get_config()


def test_an_exported_model_is_exact(tiny, tmp_path):
    layer = HubLayer(tiny, trainable=True)
    model = compiled(keras.Sequential([keras.Input((4, 4, 3)), layer, keras.layers.Dense(2)]))
    model.fit(PHOTOS, np.array([0, 1]), verbose=0)
    model.export(tmp_path / "model", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "model"))
    assert difference(exported.serve(PHOTOS), model(PHOTOS)) < 1e-6


def test_an_exported_text_model_is_exact(text_model, tmp_path):
    # Its tokenizer is a resource that is no variable: export must find it through the layer.
    text_model.export(tmp_path / "model", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "model"))
    assert difference(exported.serve(tf.constant(TEXTS)), text_model(tf.constant(TEXTS))) < 1e-6


def test_a_file_holds_the_name_and_no_path(frozen, tmp_path):
    frozen[0].save(tmp_path / "model.keras")
    config = zipfile.ZipFile(tmp_path / "model.keras").read("config.json").decode()
    assert '"handle": "mobilenet_v2"' in config
    assert str(cache.root()) not in config


def test_a_file_loads_on_a_machine_with_another_cache(frozen, inputs, tmp_path):
    prepared = Path(modules.path("mobilenet_v2"))
    (tmp_path / "other" / "modules").mkdir(parents=True)
    (tmp_path / "other" / "modules" / prepared.name).symlink_to(prepared)
    frozen[0].save(tmp_path / "model.keras")
    np.save(tmp_path / "photos.npy", inputs["photos"])
    code = (
        "import keras, numpy\n"
        "from helpers import HubLayer, modules\n"
        "model = keras.saving.load_model('model.keras')\n"
        "numpy.save('outputs.npy', model(numpy.load('photos.npy')))\n"
        "print(modules.path('mobilenet_v2'))"
    )
    ran = python(["-c", f"import os; os.chdir({str(tmp_path)!r})\n{code}"], COURSE_CACHE=str(tmp_path / "other"))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip().startswith(str(tmp_path / "other"))
    assert difference(np.load(tmp_path / "outputs.npy"), frozen[0](inputs["photos"])) < 1e-6


def test_a_folder_in_the_cache_is_saved_relative_to_it(tiny_in_cache, tmp_path, monkeypatch):
    model = keras.Sequential([keras.Input((4, 4, 3)), HubLayer(tiny_in_cache)])
    model.save(tmp_path / "model.keras")
    assert model.layers[0].handle == "cache:exports/tiny"
    (tmp_path / "cache").rename(tmp_path / "moved")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "moved"))
    assert difference(keras.saving.load_model(tmp_path / "model.keras")(PHOTOS), FEATURES) < 1e-6


def test_a_folder_outside_the_cache_needs_safe_mode_off(tiny, tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 3)), HubLayer(tiny)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"needs the module .*elsewhere.*safe_mode=False"):
        keras.saving.load_model(tmp_path / "model.keras")
    assert difference(keras.saving.load_model(tmp_path / "model.keras", safe_mode=False)(PHOTOS), FEATURES) < 1e-6
    with serialization_lib.SafeModeScope(None):  # which brings safe mode back at its end
        keras.config.enable_unsafe_deserialization()
        assert difference(keras.saving.load_model(tmp_path / "model.keras")(PHOTOS), FEATURES) < 1e-6


@pytest.mark.parametrize("handle", ["https://example.org/module/1", "cache:../tiny", "cache:/etc", "{cache}/../tiny"])
def test_no_way_out_of_the_cache(handle, tiny_in_cache, tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "tiny")
    config = HubLayer(tiny_in_cache).get_config()
    handle = handle.format(cache=tmp_path / "cache")
    with pytest.raises(ValueError, match="is no module" if handle.startswith("cache:") else "safe_mode=False"):
        HubLayer.from_config({**config, "handle": handle})


# Handles and addresses that are none


def test_an_unknown_handle_names_the_catalogue(tmp_path):
    for handle in ("mobilnet_v2", tmp_path, None):
        with pytest.raises(ValueError, match=r"is no module: .*mobilenet_v2, resnet_50") as caught:
            HubLayer(handle)
        assert repr(str(handle)) in str(caught.value)


def test_a_damaged_folder_is_named(tiny, tmp_path):
    for number, name in enumerate(["saved_model.pb", "variables/variables.index"]):
        folder = shutil.copytree(tiny, tmp_path / str(number))
        (folder / name).write_bytes(b"\x0a\x01")
        with pytest.raises(RuntimeError, match=r"can't be read .*delete it and get the module again") as caught:
            HubLayer(folder)
        assert str(folder) in str(caught.value)


class Site(http.server.BaseHTTPRequestHandler):
    """TensorFlow Hub's answers: a module, a refusal, a page that is no module."""

    archive = b""

    def do_GET(self):
        self.send_response(403 if self.path.startswith("/forbidden") else 200)
        self.end_headers()
        self.wfile.write(self.archive if self.path.startswith("/module") else b"<html>Sign in</html>")

    def log_message(self, *_):
        pass


@pytest.fixture
def site(tiny, tmp_path, monkeypatch):
    """The address of a small TensorFlow Hub on this machine, whose cache is tmp_path/hub."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "*")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(tiny, arcname=".")
    handler = type("Packed", (Site,), {"archive": packed.getvalue()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_address_is_downloaded_once(site, tmp_path):
    layer = HubLayer(f"{site}/module/1")
    assert difference(layer(PHOTOS), FEATURES) < 1e-6
    assert modules.resolve(f"{site}/module/1").startswith(str(tmp_path / "hub"))
    model = keras.Sequential([keras.Input((4, 4, 3)), layer])
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="safe_mode=False"):
        keras.saving.load_model(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras", safe_mode=False).layers[0].handle == f"{site}/module/1"


def test_a_refused_download_names_the_cure(site):
    with pytest.raises(RuntimeError, match=r"HTTP Error 403.*COURSE_SOURCE=packaged.*mobilenet_v2"):
        HubLayer(f"{site}/forbidden/1")


def test_an_answer_that_is_no_module_names_the_cure(site):
    with pytest.raises(RuntimeError, match=r"can't be downloaded.*COURSE_SOURCE=packaged"):
        HubLayer(f"{site}/page/1")


def test_an_unreachable_host_names_the_cure(site):
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        with pytest.raises(RuntimeError, match=r"can't be downloaded.*COURSE_SOURCE=packaged"):
            HubLayer(f"http://127.0.0.1:{taken.getsockname()[1]}/module/1")


def test_a_download_that_broke_off_names_its_folder(site, tmp_path):
    url = modules.catalogue()["mobilenet_v2"]["handle"]
    folder = tmp_path / "hub" / hashlib.sha1(url.encode()).hexdigest()
    (folder / "variables").mkdir(parents=True)
    expected = r"neither saved_model.pb nor saved_model.pbtxt.*Delete that folder.*where name is mobilenet_v2\."
    with pytest.raises(RuntimeError, match=expected) as caught:
        HubLayer(url)
    assert str(folder) in str(caught.value)


def test_a_lock_left_behind_is_named(site, tmp_path, tiny, monkeypatch):
    import tensorflow_hub

    monkeypatch.setattr(tensorflow_hub, "resolve", lambda url: tiny)  # which would wait for ten minutes
    lock = tmp_path / "hub" / (hashlib.sha1(f"{site}/module/1".encode()).hexdigest() + ".lock")
    lock.parent.mkdir()
    lock.write_text("a-host.4711.0123456789abcdef")
    with pytest.warns(UserWarning, match=r"process 4711 on a-host.*process is gone, delete .*\.lock") as caught:
        HubLayer(f"{site}/module/1")
    assert str(lock) in str(caught[0].message)


def test_a_damaged_module_of_the_catalogue_is_named(tmp_path, monkeypatch):
    prepared = Path(modules.path("mobilenet_v2"))
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    copy = shutil.copytree(prepared, tmp_path / "modules" / prepared.name)
    data = next((copy / "variables").glob("*.data*"))
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(RuntimeError, match=r"can't be read .*for a name or URL, just run again") as caught:
        HubLayer("mobilenet_v2")
    assert str(copy) in str(caught.value)


def test_the_file_under_its_own_name_knows_no_catalogue():
    # Whoever imports the file itself gets what the wheel is: the course's names come with helpers.HubLayer.
    code = "import helpers.hub_layer as h; h.HubLayer('mobilenet_v2')"
    assert "'mobilenet_v2' is no module: no SavedModel folder or URL." in python(["-c", code]).stderr


# Inputs and outputs that do not fit


def test_photos_in_0_255_are_warned_of(frozen, inputs):
    with pytest.warns(UserWarning, match=r"mobilenet_v2 takes photos in \[0, 1\].*divide by 255"):
        frozen[0](inputs["photos"] * 255)
    with pytest.warns(UserWarning, match="divide by 255"):
        frozen[0].layers[0](tf.constant(inputs["photos"] * 255))


def test_other_inputs_are_not_warned_of(frozen, inputs, tiny):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frozen[0](inputs["photos"])
        HubLayer(tiny)(PHOTOS * 255)  # nobody knows what a module of the reader's own expects


@pytest.mark.parametrize(
    "photos", [np.zeros([1, 96, 96, 3], np.uint8), np.zeros([96, 96, 3]), np.zeros([1, 96, 96, 1]), np.array(["a"])]
)
def test_other_things_than_photos_are_refused(frozen, photos):
    with pytest.raises(
        ValueError, match=r"mobilenet_v2 takes float32 \(None, None, None, 3\); its input is .*\[0, 1\]"
    ):
        frozen[0].layers[0](photos)


@pytest.mark.parametrize(
    "text",
    [tf.constant([["a"]]), np.array([["a"]], object), keras.KerasTensor((None, 1), "string"), tf.constant("a"), "a"],
)
def test_text_of_another_rank_is_refused(text_model, text):
    with pytest.raises(ValueError, match=r"text_encoder takes string \(None,\); its input is string .*shape=\(\)"):
        text_model.layers[0](text)


def test_a_text_model_without_an_input_is_told_to_declare_it():
    model = keras.Sequential([HubLayer("text_encoder"), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r'its input is float32 .*keras.Input\(shape=\(\), dtype="string"\)'):
        model(tf.constant(TEXTS))


@pytest.mark.parametrize("texts", [np.array(TEXTS), np.array(TEXTS, object), TEXTS, tuple(TEXTS)], ids=str)
def test_any_batch_of_strings_is_text(text_model, texts):
    layer = text_model.layers[0]
    assert difference(layer(texts), layer(tf.constant(TEXTS))) == 0


def test_numpy_strings_go_through_a_model(text_model):
    assert difference(text_model(np.array(TEXTS)), text_model(tf.constant(TEXTS))) == 0


def test_a_dict_of_outputs_comes_whole_or_by_key(tmp_path):
    folder = export(tmp_path / "two", lambda x: {"sum": x + x, "product": x * x}, tf.TensorSpec([None, 2]))
    outputs = HubLayer(folder)(np.full([1, 2], 3.0))
    assert {key: value.numpy().tolist() for key, value in outputs.items()} == {"sum": [[6, 6]], "product": [[9, 9]]}
    assert HubLayer(folder, output_key="product")(np.full([1, 2], 3.0)).numpy().tolist() == [[9, 9]]
    with pytest.raises(ValueError, match=r"gives a dict with the keys product, sum; output_key is 'difference'"):
        HubLayer(folder, output_key="difference")


def test_one_output_needs_no_key(tiny):
    with pytest.raises(ValueError, match="gives one tensor, no dict; output_key is 'default'"):
        HubLayer(tiny, output_key="default")


def test_an_unknown_signature_names_the_known_ones(tiny):
    with pytest.raises(ValueError, match=r"no signature 'classify'; .*image_classification, serving_default"):
        HubLayer(tiny, signature="classify")


def test_a_module_without_a_call_names_its_signatures(tmp_path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).export(tmp_path / "exported", verbose=False)
    with pytest.raises(ValueError, match=r"no function of its own to call; signature is one of: .*serving_default"):
        HubLayer(tmp_path / "exported")
    layer = HubLayer(tmp_path / "exported", signature="serving_default", output_key="output_0")
    assert layer(np.ones([1, 2])).shape == (1, 1)


def test_a_signature_is_trained_in_inference_mode(tiny):
    layer = HubLayer(tiny, signature="image_classification", output_key="logits", trainable=True)
    model = compiled(keras.Sequential([keras.Input((4, 4, 3)), layer, keras.layers.Dense(2)]))
    before = values(layer)
    assert [float(loss) for loss in model.losses] == [pytest.approx(0.2)]
    model.fit(PHOTOS, np.array([0, 1]), verbose=0)
    assert moved(layer, before) == [True, False]
