"""Train a head on several devices, each way a process of its own: python -m scale.devices FILE mirrored | in_step.

FILE is an .npz of vectors and labels. The head's weights are written beside it. `workers` starts the processes that
train in step.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from sources.cache import ROOT

BATCH, EPOCHS = 32, 5


def new_head(vectors: np.ndarray, labels: np.ndarray) -> keras.Model:
    """Return a head of zeros, so that every way of training starts from the same numbers."""
    layer = keras.layers.Dense(int(labels.max()) + 1, activation="softmax", kernel_initializer="zeros")
    return keras.Sequential([keras.Input(vectors.shape[1:]), layer])


def fit(head, vectors, labels):
    """Train as Keras does, in the given order; compiling belongs to it, since it makes the optimizer's variables."""
    head.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    head.fit(vectors, labels, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)


def mirrored(vectors, labels):
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        head = new_head(vectors, labels)
        fit(head, vectors, labels)
    return head


def in_step(vectors, labels):
    strategy = tf.distribute.MultiWorkerMirroredStrategy()  # finds the other processes in TF_CONFIG
    batches = tf.data.Dataset.from_tensor_slices((vectors, labels)).batch(BATCH)
    with strategy.scope():
        head, optimizer = new_head(vectors, labels), keras.optimizers.SGD(0.1)
        optimizer.build(head.trainable_variables)

    def on_one_device(some_vectors, some_labels):
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(some_labels, head(some_vectors))
            loss = tf.reduce_sum(losses) / BATCH  # of the whole batch, so that the devices' gradients add up
        optimizer.apply(tape.gradient(loss, head.trainable_variables))

    @tf.function
    def step(part):
        strategy.run(on_one_device, part)

    for _ in range(EPOCHS):
        for part in strategy.experimental_distribute_dataset(batches):
            step(part)
    return head


def workers(file: Path, count: int = 2) -> None:
    """Start processes that train in step over loopback; each is told where all listen, and which of them it is.

    Raises:
        RuntimeError: one of them failed.
    """
    addresses, started = [f"127.0.0.1:{free_port()}" for _ in range(count)], []
    for index in range(count):
        told = json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})
        command = [sys.executable, "-m", "scale.devices", str(file.resolve()), "in_step"]
        started.append(subprocess.Popen(command, cwd=ROOT, env=os.environ | {"TF_CONFIG": told}))
    codes = [each.wait() for each in started]
    if any(codes):
        raise RuntimeError("a worker failed; the log says why")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


if __name__ == "__main__":
    file, way = Path(sys.argv[1]), {"mirrored": mirrored, "in_step": in_step}[sys.argv[2]]
    with np.load(file) as data:
        head = way(data["vectors"], data["labels"])
    if json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {}).get("index", 0) == 0:
        np.save(file.with_name(f"{sys.argv[2]}.npy"), head.get_weights()[0])
