"""A model of photos as a LiteRT file (.tflite), which phones and small computers run, and what such a file says."""

import contextlib
import logging
import warnings

import numpy as np
import tensorflow as tf


def convert(model, size, int8=False, representative=None):
    """Return a model as the bytes of a LiteRT file that takes one photo [1, size, size, 3] at a time.

    model: what maps float32 RGB [n, size, size, 3] in [0, 1] to [n, k]: a HubLayer, a keras.Model, a function.
    int8: weights and arithmetic in 8-bit whole numbers, pixels in and shares out as uint8; float32 otherwise.
    representative: float [n, size, size, 3] in [0, 1], photos such as the model will meet. int8 needs them: the
    converter runs them through the model to see which range of numbers each step has.
    Raises ValueError, before any work, where int8 has no such photos.
    """
    if int8:
        representative = _checked(representative, size)

    @tf.function(input_signature=[tf.TensorSpec([1, size, size, 3], tf.float32, name="photo")])
    def run(photo):
        return model(photo)

    with _quiet():
        # The converter folds the variables into constants; it needs the model only to keep them alive until then.
        converter = tf.lite.TFLiteConverter.from_concrete_functions([run.get_concrete_function()], run)
        if int8:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([photo[np.newaxis]] for photo in representative)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.uint8
        return converter.convert()


def predict(content, pixels, threads=2):
    """Return what a LiteRT file of `convert` says about photos: float32 [n, k].

    content: the file's bytes.  pixels: uint8 [n, size, size, 3].  Raises ValueError for photos of another kind or size.
    """
    run = interpreter(content, threads)
    taken, given = run.get_input_details()[0], run.get_output_details()[0]
    if pixels.dtype != np.uint8 or pixels.shape[1:] != tuple(taken["shape"][1:]):
        wanted = "x".join(str(side) for side in taken["shape"][1:])
        raise ValueError(f"this file takes uint8 photos of {wanted}; these are {pixels.dtype} {pixels.shape[1:]}.")
    shares = []
    for photo in pixels:
        run.set_tensor(taken["index"], _as_type(photo[np.newaxis] / 255, taken))
        run.invoke()
        shares.append(_as_float(run.get_tensor(given["index"]), given)[0])
    return np.array(shares, np.float32)


def interpreter(content, threads=2):
    """Return a tf.lite.Interpreter, ready to run, for a LiteRT file's bytes."""
    with _quiet():
        run = tf.lite.Interpreter(model_content=content, num_threads=threads)
    run.allocate_tensors()
    return run


def _as_type(photo, details):
    """Photos in [0, 1] as the file takes them: a whole number q stands for (q - zero point) * scale."""
    scale, zero = details["quantization"]
    if not scale:
        return photo.astype(np.float32)
    limits = np.iinfo(details["dtype"])
    return np.clip(np.round(photo / scale + zero), limits.min, limits.max).astype(details["dtype"])


def _as_float(values, details):
    scale, zero = details["quantization"]
    return (values.astype(np.float32) - zero) * scale if scale else values


def _checked(representative, size):
    if representative is None or not len(representative):
        raise ValueError(
            "int8 needs representative photos: the converter has to see which range of numbers each step of the model "
            "has. Give it some dozens of the training photos, representative=pixels[train] / 255."
        )
    photos = np.asarray(representative, np.float32)
    if photos.shape[1:] != (size, size, 3):
        raise ValueError(f"representative photos are [n, {size}, {size}, 3]; these are {photos.shape}.")
    if photos.min() < 0 or photos.max() > 1:
        raise ValueError("representative photos go beyond [0, 1]: divide pixels by 255.")
    return photos


@contextlib.contextmanager
def _quiet():
    """Without the notes that TensorFlow's copy of LiteRT is to move into a package of its own, ai-edge-litert."""
    log = logging.getLogger("tensorflow")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
