"""A model of photos as a LiteRT file (.tflite), which phones and small computers run, and what such a file predicts."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from sources import engines

HEAD = {"SOFTMAX", "FULLY_CONNECTED", "RELU", "SUB", "ADD", "MUL", "DIV"}  # a head's operations, standardising included


def convert(model: Callable, size: int, int8: bool = False, representative: np.ndarray | None = None) -> bytes:
    """Return a model as the content of a LiteRT file that takes one photo [1, size, size, 3] at a time.

    model: a HubLayer, a keras.Model or a function, of float32 RGB [n, size, size, 3] in [0, 1] to [n, k]. int8: weights
    and arithmetic in 8-bit whole numbers, uint8 in and out; it needs representative photos, float [n, size, size, 3] in
    [0, 1], which the converter runs through the model to see which range of numbers each step has. Raises ValueError,
    before any work, without such photos.
    """
    photos = _checked(representative, size) if int8 else None

    @tf.function(input_signature=[tf.TensorSpec([1, size, size, 3], tf.float32, name="photo")])
    def run(photo):
        return model(photo)

    return engines.tflite(run, photos, tf.uint8)


def with_vector(content: bytes) -> bytes:
    """Return a LiteRT file with a second output: the feature vector [1, d] that its head of dense layers is given.

    Raises ValueError for a file whose probabilities don't come from such a head.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(content)
    graph = model.subgraphs[0]
    maker = {operator.outputs[0]: operator for operator in graph.operators}
    vector, passed = graph.outputs[0], set()
    while vector in maker:  # from the probabilities back to where the head begins
        kind = flatbuffer_utils.opcode_to_name(model, maker[vector].opcodeIndex)
        if kind not in HEAD or any(other in maker for other in maker[vector].inputs[1:]):
            break
        vector, passed = maker[vector].inputs[0], passed | {kind}
    if "FULLY_CONNECTED" not in passed or len(graph.tensors[vector].shape) != 2:
        raise ValueError("the model does not end in dense layers on a feature vector [n, d], as a head does.")
    graph.outputs = [*graph.outputs, vector]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def predict(content: bytes, pixels: np.ndarray, threads: int = 2, output: int = 0) -> np.ndarray:
    """Return what a LiteRT file of `convert` predicts for photos, uint8 [n, size, size, 3]: float32 [n, k].

    output: 1 returns the feature vectors of a file of `with_vector`. Raises ValueError for photos of another kind or
    size.
    """
    run = interpreter(content, threads)
    taken, given = run.get_input_details()[0], run.get_output_details()[output]
    if pixels.dtype != np.uint8 or pixels.shape[1:] != tuple(taken["shape"][1:]):
        size = "x".join(map(str, taken["shape"][1:]))
        raise ValueError(f"this file takes uint8 photos of {size}; these are {pixels.dtype} {pixels.shape[1:]}.")
    (scale, zero), (scale_out, zero_out) = taken["quantization"], given["quantization"]
    rows = []
    for photo in pixels:
        taken_in = photo[np.newaxis] / 255
        if scale:  # a whole number q stands for (q - zero) * scale
            taken_in = np.clip(np.round(taken_in / scale + zero), 0, 255)
        run.set_tensor(taken["index"], taken_in.astype(taken["dtype"]))
        run.invoke()
        said = run.get_tensor(given["index"])[0].astype(np.float32)
        rows.append((said - zero_out) * scale_out if scale_out else said)
    return np.array(rows, np.float32)


def interpreter(content: bytes, threads: int = 2):
    """Return a LiteRT interpreter (ai_edge_litert), ready to run, for a file's content."""
    return engines.interpreter(threads, model_content=content)


def _checked(representative, size):
    if representative is None or not len(representative):
        needs = "int8 needs representative photos: the converter has to see which range of numbers each step has"
        raise ValueError(f"{needs}. Give it some dozens of the training photos, representative=pixels[train] / 255.")
    photos = np.asarray(representative, np.float32)
    if photos.shape[1:] != (size, size, 3):
        raise ValueError(f"representative photos are [n, {size}, {size}, 3]; these are {photos.shape}.")
    if photos.min() < 0 or photos.max() > 1:
        raise ValueError("representative photos go beyond [0, 1]: divide pixels by 255.")
    return photos
