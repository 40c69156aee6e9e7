"""A Keras model of photos as a reusable SavedModel, the format that TensorFlow Hub's modules have.

hub.load, hub.KerasLayer, tf.saved_model.load and HubLayer read it.
"""

from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from sources.saved_models import PHOTOS, TEXTS, save

__all__ = ["PHOTOS", "TEXTS", "save", "save_backbone"]


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
