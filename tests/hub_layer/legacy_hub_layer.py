"""What hub.KerasLayer computes, for test_hub_layer.py to compare with.

It is a layer of Keras 2 and needs a process of its own: TF_USE_LEGACY_KERAS=1 python tests/legacy_hub_layer.py FOLDER.
Reads FOLDER/inputs.npz (photos, labels, texts, kernel); writes FOLDER/arrays.npz and FOLDER/numbers.json.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_hub

from helpers import modules

folder = Path(sys.argv[1])
inputs = np.load(folder / "inputs.npz")
photos, texts = inputs["photos"], tf.constant(inputs["texts"].tolist())
module = tensorflow_hub.load(modules.path("mobilenet_v2"))
arrays, numbers = {}, {}

for mode in ("frozen", "trainable"):
    layer = tensorflow_hub.KerasLayer(module, trainable=mode == "trainable")
    arrays[f"{mode} features"] = layer(photos).numpy()
    numbers[mode] = {
        "trainable": len(layer.trainable_weights),
        "not trainable": len(layer.non_trainable_weights),
        "regularisation": float(sum(map(float, layer.losses))),
    }

head = tf.keras.layers.Dense(inputs["kernel"].shape[1])
model = tf.keras.Sequential([tf.keras.Input(photos.shape[1:]), layer, head])
head.set_weights([inputs["kernel"], np.zeros(inputs["kernel"].shape[1], np.float32)])
model.compile(tf.keras.optimizers.SGD(0.01), tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
numbers["loss"] = float(model.train_on_batch(photos, inputs["labels"]))
arrays["head"] = head.kernel.numpy()
arrays.update({weight.name: weight.numpy() for weight in layer.weights})

arrays["text features"] = tensorflow_hub.KerasLayer(modules.path("text_encoder"))(texts).numpy()
np.savez(folder / "arrays.npz", **arrays)
(folder / "numbers.json").write_text(json.dumps(numbers))
