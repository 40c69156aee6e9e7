"""Weights out of .h5 and TensorFlow.js files, as {"layer/variable": array} with the names keras.applications uses."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
from safetensors.numpy import load_file

from sources.readers import FormatError, reads

from_safetensors = reads(load_file)


@reads
def from_h5(path: Path) -> dict[str, np.ndarray]:
    """Read a Keras 2 weights file: {"layer/variable": array}, for instance "Conv1/kernel"."""
    return {
        "/".join(name.split("/")[-2:]).split(":")[0].replace("depthwise_kernel", "kernel"): array
        for name, array in _arrays(path).items()
    }


@reads
def mobilenet_v2_from_hub_h5(path: Path) -> dict[str, np.ndarray]:
    """Read MobileNetV2 as a model with hub.KerasLayer saved it, under keras.applications' names (260 arrays).

    The module's own names (MobilenetV2/expanded_conv_3/depthwise/BatchNorm/gamma) are those of TF-Slim.
    """
    arrays = {}
    for name, array in _arrays(path).items():
        if found := re.match(r"keras_layer/MobilenetV2/(.+)/(?:(?:depthwise_)?(weights)|BatchNorm/(\w+)):0$", name):
            place, kernel, statistic = found.groups()
            arrays[f"{_slim_to_keras(place, bool(statistic))}/{'kernel' if kernel else statistic}"] = array
    return arrays


def _arrays(path):
    """Return {name: array} of a Keras 2 file, of a model or of its weights alone."""
    arrays = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            if item.nbytes > path.stat().st_size:  # weights are stored as they are; HDF5 would make up what is missing
                raise FormatError(f"{path}: {name} says that it is larger than the file.")
            arrays[name] = np.array(item)

    with h5py.File(path) as file:
        file.get("model_weights", file).visititems(visit)
    return arrays


def _slim_to_keras(place, normalisation):
    if "/" not in place:  # the first and the last convolution
        return {"Conv": ("Conv1", "bn_Conv1"), "Conv_1": ("Conv_1", "Conv_1_bn")}[place][normalisation]
    block, part = place.split("/")
    number = block.removeprefix("expanded_conv").strip("_")
    return (f"block_{number}_" if number else "expanded_conv_") + part + ("_BN" if normalisation else "")


@reads
def from_tfjs(folder: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Read a TensorFlow.js model folder: model.json, {weight name: array}."""
    model = json.loads((folder / "model.json").read_text())
    arrays = {}
    for group in model["weightsManifest"]:
        data, offset = b"".join((folder / shard).read_bytes() for shard in group["paths"]), 0
        for weight in group["weights"]:
            if "quantization" in weight:
                raise FormatError(f"{folder}: {weight['name']} is quantised; this course uses float32 weights only.")
            dtype, count = np.dtype(weight["dtype"]), int(np.prod(weight["shape"], dtype=int))
            arrays[weight["name"]] = np.frombuffer(data, dtype, count, offset).reshape(weight["shape"])
            offset += count * dtype.itemsize
        if offset != len(data):
            raise FormatError(f"{folder}: the shards hold {len(data)} bytes, the manifest describes {offset}.")
    return model, arrays


def resnet_50_from_tfjs(folder: Path) -> dict[str, np.ndarray]:
    """Read ResNet50 saved under either generation of Keras' layer names, under today's."""
    _, arrays = from_tfjs(folder)
    split = {name: name.rsplit("/", 1) for name in arrays}
    return {f"{_resnet_today(layer)}/{variable}": arrays[name] for name, (layer, variable) in split.items()}


def _resnet_today(layer):
    if layer in (first := {"conv1": "conv1_conv", "bn_conv1": "conv1_bn", "fc1000": "predictions"}):
        return first[layer]
    if found := re.match(r"(res|bn)(\d)([a-f])_branch(1|2[abc])$", layer):
        kind, stage, block, branch = found.groups()
        place = {"1": 0, "2a": 1, "2b": 2, "2c": 3}[branch]
        return f"conv{stage}_block{'abcdef'.index(block) + 1}_{place}_{'conv' if kind == 'res' else 'bn'}"
    return layer


def load_into(model, arrays: dict[str, np.ndarray]):
    """Set every weight of a Keras model from {"layer/variable": array}, and return the model.

    Raises:
        FormatError: an array is missing, or has another shape.
    """
    for layer in model.layers:
        names = [f"{layer.name}/{weight.path.rsplit('/', 1)[-1]}" for weight in layer.weights]
        for name, weight in zip(names, layer.weights, strict=True):
            if name not in arrays or arrays[name].shape != tuple(weight.shape):
                found = f"shape {arrays[name].shape}" if name in arrays else "nothing"
                raise FormatError(
                    f"{model.name}: {name} should have shape {tuple(weight.shape)}; the file holds {found}."
                )
        layer.set_weights([arrays[name] for name in names])
    return model
