"""A callable and its variables as a reusable SavedModel, the format that TensorFlow Hub's modules have.

hub.load, hub.KerasLayer and tf.saved_model.load read it. The interface (attributes `__call__`, `variables`,
`trainable_variables`, `regularization_losses`) is TensorFlow's: https://www.tensorflow.org/hub/reusable_saved_models
"""

import json
from pathlib import Path

import tensorflow as tf

PHOTOS = tf.TensorSpec([None, None, None, 3], tf.float32, name="inputs")  # RGB in [0, 1]
TEXTS = tf.TensorSpec([None], tf.string, name="inputs")


def save(folder, call, spec, variables, trainable, losses=(), signatures=None, keep=(), labels=None):
    """Write a reusable SavedModel.

    call: function of (inputs, training) for photos, of (inputs) for texts, that returns one float32 tensor [n, d].
    spec: PHOTOS or TEXTS.
    variables, trainable: lists of tf.Variable.
    losses: functions without argument, each a regularisation loss.
    signatures: {name: function of inputs that returns a dict}, beside serving_default.
    keep: what else the graph needs and must be tracked (a tokenizer, the variables of a head).
    labels: class names (list of str), kept in assets.extra/labels.json.
    """
    module = tf.train.Checkpoint()  # a tf.Module would lose the list attributes on saving
    module.__call__ = tf.function(call)
    for training in (False, True) if spec is PHOTOS else (None,):
        module.__call__.get_concrete_function(spec, **({} if training is None else {"training": training}))
    module.variables, module.trainable_variables = list(variables), list(trainable)
    module.regularization_losses = [tf.function(loss, input_signature=[]) for loss in losses]
    module.keep = list(keep)

    @tf.function(input_signature=[spec])
    def serve(inputs):
        return {"default": call(inputs)}

    others = {name: tf.function(run, input_signature=[spec]) for name, run in (signatures or {}).items()}
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve, **others})
    if labels:
        extra = Path(folder, "assets.extra")
        extra.mkdir(exist_ok=True)
        (extra / "labels.json").write_text(json.dumps(labels, indent=0))
