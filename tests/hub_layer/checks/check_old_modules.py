"""Modules as TensorFlow 1 and Keras 2 wrote them."""

import numpy as np
import pytest
import tensorflow as tf
from layers import (
    LAYER,
    LEGACY,
    PHOTOS,
    STRINGS,
    K,
    close,
    fitted,
    folder,
    make,
    moved,
    photo_model,
    round_trip,
    text_model,
    values,
)


def tensorflow_1(name, tmp_path, **options):
    layer = make(name, signature="serving_default", output_key="features", **options)
    kernel = np.arange(6, dtype=np.float32).reshape(3, 2)
    close(layer(PHOTOS), PHOTOS.mean((1, 2)) @ kernel, 1e-5)
    model = fitted(K.Sequential([K.Input((4, 4, 3)), layer, K.layers.Dense(3)]))
    round_trip(model, PHOTOS, tmp_path)
    return model


def test_tensorflow_1_simple_save(tmp_path):
    tensorflow_1("tf1_simple", tmp_path)


def test_tensorflow_1_simple_save_exported_again(tmp_path):
    """The control is TensorFlow alone, which can't write its reference variables again either."""
    if LAYER == "Keras":
        module = tf.saved_model.load(folder("tf1_simple"))
        tf.saved_model.save(module, str(tmp_path / "exported"), module.signatures)
    else:
        tensorflow_1("tf1_simple", tmp_path).export(str(tmp_path / "exported"))
    module = tf.saved_model.load(str(tmp_path / "exported"))
    (module.signatures["serving_default"] if LAYER == "Keras" else module.serve)(tf.constant(PHOTOS))


def test_tensorflow_1_resource_variables(tmp_path):
    model = tensorflow_1("tf1_resource", tmp_path)
    model.export(str(tmp_path / "exported"))
    module = tf.saved_model.load(str(tmp_path / "exported"))
    close(module.serve(PHOTOS), model(PHOTOS))


@pytest.mark.parametrize("tags", [["serve"], ["serve", "train"]], ids="+".join)
def test_tensorflow_1_tags(tags, tmp_path):
    tensorflow_1("tf1_tags", tmp_path, tags=tags)


def test_tensorflow_1_only_train(tmp_path):
    tensorflow_1("tf1_train", tmp_path, **({"tags": ["train"]} if LEGACY else {}))


def test_old_hub_format(tmp_path):
    """hub.Module's format, which holds two graphs: without tags, the one without tags is meant."""
    options = {"signature": "default", "output_key": "default"}
    model = K.Sequential([K.Input((4, 4, 3)), make("tf1.15/hub_module", **options), K.layers.Dense(3)])
    round_trip(fitted(model), PHOTOS, tmp_path)


OLD = ["tf1.15/keras_save", "tf1.15/keras_tfsave", "tf1.15/reusable", "tf2.0/keras_save", "tf2.0/reusable"]
OLD += ["tf2.0/keras_optimizer", "tfkeras2.16/keras_save", "tfkeras2.16/keras_optimizer"]


@pytest.mark.parametrize("name", OLD)
def test_old_module_trained(name, tmp_path):
    model, layer = photo_model(True, name)
    before = values(layer)
    model(PHOTOS)
    assert len(before) == 5
    assert sum(float(loss) for loss in model.losses) > 0
    fitted(model)
    assert moved(layer, before) == [True] * 5
    round_trip(model, PHOTOS, tmp_path)


@pytest.mark.parametrize("name", ["tf1.15/text", "tf2.0/text"])
def test_old_text_trained(name, tmp_path):
    model, layer = text_model(True, name)
    before = values(layer)
    fitted(model, STRINGS)
    assert moved(layer, before) == [True]
    round_trip(model, STRINGS, tmp_path)


def test_old_text_graph():
    layer = make("tf1.15/simple_save_text", signature="serving_default", output_key="features")
    fitted(K.Sequential([K.Input((), dtype="string"), layer, K.layers.Dense(3)]), STRINGS)
