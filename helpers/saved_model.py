"""A callable and its variables as a reusable SavedModel, the format that TensorFlow Hub's modules have.

hub.load, hub.KerasLayer, tf.saved_model.load and HubLayer read it. The interface (attributes `__call__`, `variables`,
`trainable_variables`, `regularization_losses`) is TensorFlow's: https://www.tensorflow.org/hub/reusable_saved_models
"""

import json
import logging
from pathlib import Path

import keras
import tensorflow as tf

PHOTOS = tf.TensorSpec([None, None, None, 3], tf.float32, name="inputs")  # RGB in [0, 1]
TEXTS = tf.TensorSpec([None], tf.string, name="inputs")
# TensorFlow says where it wrote a module's assets, of which there mostly are none, with the machine's own path.
logging.getLogger("tensorflow").addFilter(lambda record: "Assets written to" not in record.getMessage())


def save(folder, call, spec, variables, trainable, losses=(), signatures=None, keep=(), labels=None, extras=None):
    """Write a reusable SavedModel.

    call: function of (inputs, training) for photos, of (inputs) for texts, that returns one float32 tensor [n, d].
    spec: PHOTOS or TEXTS.
    variables, trainable: lists of tf.Variable.
    losses: functions without argument, each a regularisation loss.
    signatures: {name: function of inputs that returns a dict}, beside serving_default; a tf.function takes what its own
    input signature says.
    keep: what else the graph needs and must be tracked (a tokenizer, the variables of a head).
    labels: class names (list of str), kept in assets.extra/labels.json.
    extras: {file name: text}, kept in assets.extra beside it.
    Raises ValueError, before anything is written, where call gives something else than a feature vector.
    """
    module = tf.train.Checkpoint()  # a tf.Module would lose the list attributes on saving
    module.__call__ = tf.function(call)
    for training in (False, True) if spec is PHOTOS else (None,):
        trace = module.__call__.get_concrete_function(spec, **({} if training is None else {"training": training}))
        _check(trace.structured_outputs)
    module.variables, module.trainable_variables = list(variables), list(trainable)
    module.regularization_losses = [tf.function(loss, input_signature=[]) for loss in losses]
    module.keep = list(keep)

    @tf.function(input_signature=[spec])
    def serve(inputs):
        return {"default": call(inputs)}

    others = {
        name: run if hasattr(run, "input_signature") else tf.function(run, input_signature=[spec])
        for name, run in (signatures or {}).items()
    }
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve, **others})
    extras = {**(extras or {}), **({"labels.json": json.dumps(labels, indent=0)} if labels else {})}
    for name, text in extras.items():
        Path(folder, "assets.extra").mkdir(exist_ok=True)
        Path(folder, "assets.extra", name).write_text(text, encoding="utf-8")


def save_backbone(folder, backbone, prepare, l2=0.0):
    """Write a Keras model of photos, without its top, as a module: float32 RGB [n, h, w, 3] in [0, 1] to [n, d].

    backbone: keras.Model, such as keras.applications' with include_top=False and pooling="avg". What is not trainable
    in it is not trainable in the module either.
    prepare: function that turns photos in [0, 1] into what the backbone takes; it becomes part of the graph.
    l2: weight decay on the kernels of plain convolutions, declared as regularisation losses.
    Raises ValueError, before anything is written, for a backbone that gives a dict, several outputs or a map.
    """

    def call(inputs, training=False):
        return backbone(prepare(inputs), training=training)

    def decay(kernel):
        return lambda: l2 * tf.nn.l2_loss(kernel)

    kernels = [layer.kernel.value for layer in backbone.layers if type(layer) is keras.layers.Conv2D] if l2 else []
    save(
        folder,
        call,
        PHOTOS,
        [v.value for v in backbone.variables],
        [v.value for v in backbone.trainable_variables],
        losses=[decay(kernel) for kernel in kernels],
    )


def _check(output):
    """Meet what is no feature vector before it is written: whoever loads it could not use it."""
    wanted = "a module gives one float32 tensor [n, d]"
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
    raise ValueError(f"{wanted}; this call gives {fault}: {cure}. Nothing was written.")
