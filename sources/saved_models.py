"""Reusable SavedModels, the format of TensorFlow Hub's modules: write one, load one, say what it costs.

The interface (attributes `__call__`, `variables`, `trainable_variables`, `regularization_losses`) is TensorFlow's:
https://www.tensorflow.org/hub/reusable_saved_models
"""

import contextlib
import json
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

PHOTOS = tf.TensorSpec([None, None, None, 3], tf.float32, name="inputs")  # RGB in [0, 1]
TEXTS = tf.TensorSpec([None], tf.string, name="inputs")
PROFILED = ["Conv2D", "DepthwiseConv2dNative", "MatMul"]  # what TensorFlow's profiler counts right


def save(
    folder: Path | str,
    call: Callable,
    spec: tf.TensorSpec,
    variables: Sequence[tf.Variable],
    trainable: Sequence[tf.Variable],
    losses: Sequence[Callable] = (),
    signatures: dict[str, Callable] | None = None,
    keep: Sequence = (),
    labels: list[str] | None = None,
    extras: dict[str, str] | None = None,
) -> None:
    """Write a reusable SavedModel.

    Args:
        folder: where to.
        call: function of (inputs, training) for photos, of (inputs) for texts, that returns one float32 tensor [n, d].
            The module's own parameters are called so, too, whatever call's are; without training it is False.
        spec: PHOTOS or TEXTS.
        variables: all of the module's.
        trainable: those of them that training changes.
        losses: functions without argument, each a regularisation loss.
        signatures: functions of inputs that return a dict, beside serving_default, by name; a tf.function takes what
            its own input signature says.
        keep: what else the graph needs and must be tracked (a tokenizer, the variables of a head).
        labels: class names, kept in assets.extra/labels.json.
        extras: {file name: text}, kept in assets.extra beside it.

    Raises:
        ValueError: call gives something else than a feature vector. Nothing is written.
    """

    mirrored = any(isinstance(variable, tf.distribute.DistributedValues) for variable in variables)

    def traced(**training):
        run = tf.function(lambda inputs: call(inputs, **training), input_signature=[spec])
        trace = run.get_concrete_function()
        _check(trace.structured_outputs)
        # What is traced here is only called from then on: saving would trace it over and over. It has to where
        # variables lie on several devices, and are saved as one.
        return run if mirrored else trace

    module = tf.train.Checkpoint()  # a tf.Module would lose the list attributes on saving
    if spec is PHOTOS:
        at_rest, in_training = traced(training=False), traced(training=True)
        module.__call__ = tf.function(lambda inputs, training=False: (in_training if training else at_rest)(inputs))
        for training in (False, True):
            module.__call__.get_concrete_function(spec, training=training)
    else:
        at_rest = traced()
        module.__call__ = tf.function(lambda inputs: at_rest(inputs))
        module.__call__.get_concrete_function(spec)
    module.variables, module.trainable_variables = list(variables), list(trainable)
    module.regularization_losses = [tf.function(loss, input_signature=[]) for loss in losses]
    module.keep = list(keep)

    @tf.function(input_signature=[spec])
    def serve(inputs):
        return {"default": at_rest(inputs)}

    others = {
        name: run if hasattr(run, "input_signature") else tf.function(run, input_signature=[spec])
        for name, run in (signatures or {}).items()
    }
    # TensorFlow writes it last and at once: a folder whose writer was killed is no module then, not a mixed one.
    Path(folder, "saved_model.pb").unlink(missing_ok=True)
    for name, text in {**(extras or {}), **({"labels.json": json.dumps(labels, indent=0)} if labels else {})}.items():
        Path(folder, "assets.extra").mkdir(parents=True, exist_ok=True)
        Path(folder, "assets.extra", name).write_text(text, encoding="utf-8")
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve, **others})


def save_backbone(folder: Path | str, backbone: keras.Model, prepare: Callable, l2: float = 0.0) -> None:
    """Write a Keras model of photos, without its top, as a module: float32 RGB [n, h, w, 3] in [0, 1] to [n, d].

    Args:
        folder: where to.
        backbone: such as keras.applications' with include_top=False and pooling="avg". What is not trainable in it is
            not trainable in the module either.
        prepare: function that turns photos in [0, 1] into what the backbone takes; it becomes part of the graph.
        l2: weight decay on the kernels of plain convolutions, declared as regularisation losses.

    Raises:
        ValueError: the backbone gives a dict, several outputs or a map. Nothing is written.
    """

    def decay(kernel):
        return lambda: l2 * tf.nn.l2_loss(kernel)

    kernels = [layer.kernel.value for layer in backbone.layers if type(layer) is keras.layers.Conv2D] if l2 else []
    save(
        folder,
        lambda inputs, training=False: backbone(prepare(inputs), training=training),
        PHOTOS,
        [v.value for v in backbone.variables],
        [v.value for v in backbone.trainable_variables],
        losses=[decay(kernel) for kernel in kernels],
    )


def _check(output):
    """Refuse what is no feature vector before it is written: no one who loads it could use it."""
    if isinstance(output, dict):
        fault, cure = f"a dict with the keys {', '.join(sorted(output))}", "return one of them"
    elif not isinstance(output, tf.Tensor | tf.TensorSpec):
        fault, cure = f"a {type(output).__name__} of {len(tf.nest.flatten(output))}", "return one tensor"
    elif output.shape.rank == 4:
        fault, cure = f"a map {output.shape}", 'pool it, with pooling="avg" in keras.applications'
    elif output.shape.rank not in (2, None) or output.dtype != tf.float32:
        fault, cure = f"{output.dtype.name} {output.shape}", "give each input one row of float32"
    else:
        return
    raise ValueError(f"a module gives one float32 tensor [n, d]; this call gives {fault}: {cure}. Nothing was written.")


def load(folder: str):
    """Return the module in a folder; RuntimeError, with a cure, where it can't be read."""
    import tensorflow_text  # noqa: F401  most text modules use its operations

    try:
        return tf.saved_model.load(folder)
    except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
        raise RuntimeError(
            f"{folder} can't be read ({error}). If it is damaged, delete it and get it again."
        ) from error


def graph(module: Callable, size: int, batch: int | None = None):
    """Return a module as a tf.function of pixels, uint8 [batch, size, size, 3]."""
    spec = tf.TensorSpec([batch, size, size, 3], tf.uint8)
    return tf.function(lambda pixels: module(tf.cast(pixels, tf.float32) / 255), input_signature=[spec])


def of_pixels(folder: str, size: int) -> tuple:
    """Return the module in a folder, and the same as a graph of pixels, uint8 [n, size, size, 3].

    Two photos of noise are sent through: a signature that takes photos of any size says nothing of the graph behind it.
    Raises ValueError, with what it takes or gives, for a module that does not turn photos of this size into vectors.
    """
    module = load(folder)
    run = graph(module, size)
    try:
        given = run(np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8))
    except (TypeError, ValueError, tf.errors.OpError) as error:
        raise ValueError(
            f"{folder} can't be called on photos, float32 [n, {size}, {size}, 3] in [0, 1]; it takes {_taken(module)}. "
            "Set image_size to the size that it was made for, or export a function of such photos that calls it."
        ) from error
    if not tf.is_tensor(given) or given.shape.rank != 2 or len(given) != 2 or not given.dtype.is_floating:
        what = f"{given.dtype.name} {given.shape.as_list()}" if tf.is_tensor(given) else f"a {type(given).__name__}"
        what += f" with the keys {', '.join(sorted(map(str, given)))}" if isinstance(given, dict) else ""
        pooled = ", the mean of the map over height and width" if getattr(given, "ndim", 0) == 4 else ""
        raise ValueError(
            f"{folder} gives {what} for two photos; a feature vector [n, d] of floats is needed. Export it again with "
            f"one as its output{pooled}."
        )
    return module, run


def _taken(module):
    """Say what a module takes, such as float32 (None, 8, 8, 3)."""
    if not callable(module):
        return f"no call, only signatures ({', '.join(module.signatures)}); HubLayer(folder, signature=...) calls one"
    traces = [tf.nest.flatten(trace.structured_input_signature) for trace in module.__call__.concrete_functions]
    specs = [[f"{s.dtype.name} {s.shape}" for s in each if isinstance(s, tf.TensorSpec)] for each in traces]
    return " or ".join(dict.fromkeys(" and ".join(each) for each in specs if each)) or "nothing: it holds no graph"


def cost(folder: str, size: int) -> dict:
    """Return what the module in a folder costs for photos of a size: multiply_adds, parameters, megabytes on disk.

    Raises ValueError as of_pixels does, and for a graph in which the size of a product depends on what is in the photo.
    """
    # No public name does this: every called function written out in full, so that all shapes follow from the input's.
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    module, _ = of_pixels(folder, size)
    function = graph(module, size, 1).get_concrete_function()
    variables = getattr(module, "variables", None) or function.variables
    return {
        "multiply_adds": _multiply_adds(convert_variables_to_constants_v2(function).graph),
        "parameters": sum(int(np.prod(variable.shape)) for variable in variables),
        "megabytes": sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6,
    }


def _multiply_adds(graph):
    """Return how many products a graph adds up, in convolutions and matrix products."""
    by_hand = 0
    for op in graph.get_operations():
        if op.type in {*PROFILED, "BatchMatMulV2", "Einsum"}:
            if not all(tensor.shape.is_fully_defined() for tensor in [*op.inputs, *op.outputs]):
                fault = f"how large {op.type} {op.name} is depends on what is in the photo"
                raise ValueError(f"the module's cost can't be counted: {fault}.")
            by_hand += 0 if op.type in PROFILED else op.outputs[0].shape.num_elements() * _products(op)
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation())
    with quiet():
        counted = profiler.profile(graph, options=options.with_accounted_types(PROFILED).with_empty_output().build())
    return counted.total_float_ops // 2 + by_hand


def _products(op):
    """Return how many products each number of a batch of matrix products sums up.

    TensorFlow's profiler does not know Einsum and overlooks that BatchMatMulV2 may transpose its first matrix.
    """
    first, second = (tensor.shape.as_list() for tensor in op.inputs)
    if op.type == "BatchMatMulV2":
        return first[-2 if op.get_attr("adj_x") else -1]
    equation, result = op.get_attr("equation").decode().split("->")
    sizes = {}
    for letters, shape in zip(equation.split(","), (first, second), strict=True):
        sizes |= dict(zip(reversed(letters), reversed(shape), strict=False))  # from the end: "..." may be in front
    return int(np.prod([size for letter, size in sizes.items() if letter not in result]))


@contextlib.contextmanager
def quiet():
    """Without TensorFlow's notes on what it is to replace one day."""
    log = logging.getLogger("tensorflow")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
