"""Heads on top of features, and fine-tuning of what lies below them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sources import progress

if TYPE_CHECKING:
    import keras


def fit_head(
    features: np.ndarray, labels: np.ndarray, hidden: int | None = None, epochs: int = 30, seed: int = 0, **options
) -> keras.Model:
    """Fit a softmax head on feature vectors and return it, compiled: float32 [n, d] to [n, k].

    Features are standardised inside the head, so it is used on raw ones. labels: int [n], 0 to k - 1. hidden: units of
    a ReLU layer before the softmax. options: learning_rate, batch_size, balanced and validation, as in `fit`. Raises
    ValueError for arrays that do not fit and values that are no numbers.
    """
    import keras

    features, labels = np.asarray(features, np.float32), np.asarray(labels)
    if len(features) != len(labels) or features.ndim != 2:
        raise ValueError(f"features {features.shape} and labels {labels.shape} do not fit: [n, d] and [n] are needed.")
    if not np.isfinite(features).all():
        raise ValueError("some feature vectors hold NaN or infinity; a head can't be fitted on them.")
    keras.utils.set_random_seed(seed)
    variance = features.var(axis=0)
    variance[variance < 1e-6] = 1  # a feature that is constant here must not be blown up elsewhere
    standardised = keras.layers.Normalization(mean=features.mean(axis=0), variance=variance)
    between = [keras.layers.Dense(hidden, activation="relu")] if hidden else []
    # From zeros, nothing stays in the directions that these few photos say nothing about.
    last = keras.layers.Dense(int(labels.max()) + 1, activation="softmax", kernel_initializer="zeros")
    head = keras.Sequential([keras.Input((features.shape[1],)), standardised, *between, last])
    return fit(head, features, labels, epochs, **options)


def fit(
    model: keras.Model,
    inputs: np.ndarray,
    labels: np.ndarray,
    epochs: int,
    learning_rate: float = 1e-3,
    batch_size: int = 32,
    balanced: bool = False,
    validation: tuple | None = None,
) -> keras.Model:
    """Fit a softmax model of one input with Adam and return it.

    The learning rate rises for a tenth of the steps, then falls to zero. The photos are shuffled once, and every epoch
    has that order.

    Args:
        model: from [n, ...] to probabilities [n, k].
        inputs: [n, ...], in memory.
        labels: int [n].
        epochs: passes over the inputs.
        learning_rate: the highest.
        batch_size: inputs in a step.
        balanced: give every class the same say, however few photos it has.
        validation: (inputs, labels) to watch: fitting ends once their loss has not fallen for a fifth of the epochs,
            and the best weights are kept. Draw them from the training photos, whole groups where there are groups;
            never from the photos that the accuracy is measured on.

    Raises:
        ValueError: there are more inputs than labels, or fewer.
    """
    import keras

    if len(inputs) != len(labels):
        raise ValueError(f"{len(inputs)} inputs and {len(labels)} labels do not fit: each input needs its label.")
    classes, counts = np.unique(labels, return_counts=True)
    weights = dict(zip(classes.tolist(), len(labels) / len(classes) / counts, strict=True)) if balanced else None
    stop = keras.callbacks.EarlyStopping(patience=max(2, epochs // 5), restore_best_weights=True)
    in_epoch = -(-len(labels) // batch_size)
    steps = epochs * in_epoch
    rise = steps // 10  # Adam's first steps are blind: at full rate they spoil what a module knows
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps - rise, warmup_target=learning_rate, warmup_steps=rise)
    # Compiling with XLA takes longer than these short fits gain from it.
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        jit_compile=False,
    )
    # With metric and optimizer built, TensorFlow need not trace the step once only to make their variables.
    model.optimizer.build(model.trainable_variables)
    with progress.bar(epochs, "training", "epoch", delay=10) as bar:
        shown = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: bar.update())
        watched = {"validation_data": validation, "callbacks": [shown, stop] if validation else [shown]}
        watched |= {"validation_batch_size": batch_size, "class_weight": weights, "verbose": 0}
        batches = _batches(inputs, labels, batch_size)  # shuffled already
        model.fit(batches, epochs=epochs, steps_per_epoch=in_epoch, shuffle=False, **watched)
    return model


def _batches(inputs, labels, batch_size):
    """Return the batches of all epochs as a tf.data.Dataset.

    They are those that model.fit(inputs, labels) makes of arrays after keras.utils.set_random_seed, which lets Keras
    shuffle every epoch in the same way. So the order is drawn once, and no epoch needs an iterator of its own, which
    takes longer to make than a head's steps do.
    """
    import tensorflow as tf

    with tf.device("CPU"):  # which takes the batches out, also where a GPU trains on them
        inputs, labels = tf.constant(inputs), tf.constant(labels)
    orders = tf.data.Dataset.range(1).map(lambda _: tf.random.shuffle(tf.range(len(labels), dtype=tf.int64)))
    rows = tf.data.Dataset.from_tensor_slices(orders.get_single_element()).batch(batch_size).repeat()
    options = tf.data.Options()
    options.autotune.enabled = False  # its thread would let the end of a fit wait, up to ten seconds
    batches = rows.map(lambda batch: (tf.gather(inputs, batch), tf.gather(labels, batch)))
    return batches.prefetch(2).with_options(options)


def augmentation(seed: int = 0) -> keras.Sequential:
    """Return layers that mirror and shift photos [n, h, w, 3], differently in each epoch.

    They do nothing in predict and evaluate. Called directly they do, unless with training=False: so says Keras.
    """
    import keras

    mirror = keras.layers.RandomFlip("horizontal", seed=seed)
    shift = keras.layers.RandomTranslation(0.1, 0.1, fill_mode="reflect", seed=seed)
    return keras.Sequential([mirror, shift], name="augmentation")


def whole_model(module: str | keras.Layer, head: keras.Model, image_size: int = 224, augment=None) -> keras.Model:
    """Return one model from pixels, uint8 [n, image_size, image_size, 3], to the head's probabilities.

    module: a catalogue name or a HubLayer. head: as fit_head gives it; the model has a copy of it. augment: layers
    before the module, see `augmentation`. Raises ValueError where the head does not take what the module gives.
    """
    import keras
    import tensorflow as tf

    from helpers import HubLayer

    layer = HubLayer(module) if isinstance(module, str) else module
    own = keras.models.clone_model(head)
    own.set_weights(head.get_weights())
    pixels = keras.Input((image_size, image_size, 3), dtype="uint8")
    photos = keras.layers.Rescaling(1 / 255)(pixels)
    vectors = layer(augment(photos) if augment else photos)
    if not tf.TensorShape(vectors.shape).is_compatible_with(own.input_shape):
        fault = f"{layer.handle} gives {tuple(vectors.shape)}, and the head takes {own.input_shape}"
        raise ValueError(f"{fault}: fit it on features.extract(photo_set, module), of the same module.")
    return keras.Model(pixels, own(vectors))


def fine_tune(
    module: str,
    head: keras.Model,
    pixels: np.ndarray,
    labels: np.ndarray,
    proportion: float = 0.3,
    epochs: int = 6,
    learning_rate: float = 1e-4,
    augment: keras.Layer | None = None,
    **options,
) -> keras.Model:
    """Train a head and the top of the module under it together, and return the model, see whole_model.

    The second of two stages: `fit_head` on frozen features comes first, since a head that knows nothing would send
    large, random steps down into the module. Batch norm stays in inference mode: a batch of a few photos is a bad
    estimate of statistics that a million photos gave.

    pixels: uint8 [n, size, size, 3]. proportion: how much of the module is trained, counted in weight arrays from its
    output down, in the order in which the module lists them; a saved model does not keep it: load that with
    compile=False, and don't train on. learning_rate: low, so that what the module knows is bent and not broken.
    options: batch_size (16 by default), balanced and validation, as in `fit`.
    """
    from helpers import HubLayer

    layer = HubLayer(module, trainable=True, arguments={"training": False})
    trainable = layer.trainable_weights
    for weight in trainable[: len(trainable) - round(proportion * len(trainable))]:
        weight.trainable = False
    model = whole_model(layer, head, pixels.shape[1], augment)
    fit(model, pixels, labels, epochs, learning_rate, **{"batch_size": 16, **options})
    return whole_model(layer, model.layers[-1], pixels.shape[1]) if augment else model  # no photo is changed in use
