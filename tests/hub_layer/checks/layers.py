"""What the checks share: the layer under test, the models around it, and a few comparisons.

LAYER says which layer is checked: HubLayer, hub.KerasLayer (under tf_keras, its home), TFSMLayer, or Keras, the
control: the same network out of Keras' own layers. MODULES is the folder that make_modules.py and old_modules.tar.xz
filled.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

replicas = [tf.config.LogicalDeviceConfiguration()] * int(os.environ["REPLICAS"])
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], replicas)
LAYER = os.environ["LAYER"]
MODULES = Path(os.environ["MODULES"])
OURS, LEGACY = LAYER == "HubLayer", LAYER == "hub.KerasLayer"
if LEGACY:
    import tensorflow_hub
    import tf_keras as K
else:
    import keras as K
if OURS:
    from hub_layer import HubLayer

PHOTOS = np.random.default_rng(1).random((6, 4, 4, 3)).astype(np.float32) * 3
PAIRS = np.random.default_rng(2).random((6, 2)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])
TEXTS = ["a red flower", "the leaf has spots", "red", "leaf", "a", "spots spots"]
STRINGS = tf.constant(TEXTS)


def bert_inputs():
    """Return a batch for an encoder in BERT's style."""
    ids = np.array([[1, 2, 3]] * 6, np.int32)
    return {"input_word_ids": ids, "input_mask": np.ones_like(ids), "input_type_ids": np.zeros_like(ids)}


def folder(name):
    return str(MODULES / name)


def no(reason):
    """Skip a check that asks for what this layer doesn't have by design."""
    pytest.skip(reason)


def make(name, trainable=False, signature=None, output_key=None, arguments=None, tags=None, **options):
    """Return the layer under test around a module."""
    if OURS:
        given = {"signature": signature, "output_key": output_key, "arguments": arguments, "tags": tags}
        return HubLayer(folder(name), trainable=trainable, **given, **options)
    if LEGACY:
        text = {"dtype": tf.string} if "text" in name or name == "preprocessor" else {}
        as_dict = {"signature_outputs_as_dict": True} if signature and not output_key else {}
        given = {"signature": signature, "output_key": output_key, "arguments": arguments, "tags": tags}
        return tensorflow_hub.KerasLayer(folder(name), trainable=trainable, **given, **as_dict, **text, **options)
    asked = [key for key, value in {"output_key": output_key, "arguments": arguments, "tags": tags}.items() if value]
    if LAYER == "TFSMLayer":
        if asked:
            no(f"TFSMLayer has no {' and no '.join(asked)}")
        return K.layers.TFSMLayer(folder(name), call_endpoint=signature or "__call__", trainable=trainable, **options)
    return control(name, trainable)


def control(name, trainable):
    """Return the network of a module in Keras' own layers."""
    if name == "text":
        words = K.layers.TextVectorization(output_sequence_length=4, vocabulary=["a", "red", "flower", "leaf"])
        layers = [K.Input((), dtype="string"), words, K.layers.Embedding(8, 5), K.layers.GlobalAveragePooling1D()]
    elif name == "bn":
        convolution = K.layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2", use_bias=False)
        rest = [K.layers.BatchNormalization(), K.layers.ReLU(), K.layers.GlobalAveragePooling2D()]
        layers = [K.Input((None, None, 3)), convolution, *rest]
    else:
        no("the control has the modules bn and text only")
    model = K.Sequential(layers)
    model.trainable = trainable
    return model


def numbers(weight):
    value = getattr(weight, "value", weight)
    return np.asarray(value() if callable(value) else value)


def values(layer):
    return [numbers(weight) for weight in layer.weights]


def moved(layer, before):
    return [not np.array_equal(now, old) for now, old in zip(values(layer), before, strict=True)]


def close(some, others, tolerance=1e-6):
    np.testing.assert_allclose(np.asarray(some), np.asarray(others), rtol=0, atol=tolerance)


def compiled(model, **options):
    loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(K.optimizers.SGD(0.1), loss, **options)
    return model


def fitted(model, inputs=PHOTOS, **options):
    compiled(model, **options).fit(inputs, LABELS, batch_size=6, verbose=0)
    return model


def photo_model(trainable=False, name="bn", **options):
    layer = make(name, trainable, **options)
    return K.Sequential([K.Input((4, 4, 3)), layer, K.layers.Dense(3)]), layer


def text_model(trainable=False, name="text"):
    layer = make(name, trainable)
    return K.Sequential([K.Input((), dtype="string"), layer, K.layers.Dense(3)]), layer


def load(path):
    """Load a model as its owner does, who trusts it."""
    if LEGACY:
        return K.models.load_model(path, custom_objects={"KerasLayer": tensorflow_hub.KerasLayer})
    return K.models.load_model(path, safe_mode=False)


def round_trip(model, inputs, tmp_path):
    """Save a model, load it, compare; return the loaded one."""
    path = tmp_path / "model.keras"
    model.save(path)
    again = load(path)
    close(again(inputs), model(inputs))
    return again


def export_trip(model, inputs, tmp_path):
    """Export a model, load it with TensorFlow alone, compare; return the folder."""
    path = str(tmp_path / "exported")
    model.export(path)
    module = tf.saved_model.load(path)  # kept until the call is done
    close(module.serve(inputs), model(inputs))
    return path
