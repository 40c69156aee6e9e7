"""Heads on top of features, and fine-tuning of what lies below them."""

import numpy as np


def fit_head(
    features, labels, hidden=None, epochs=30, learning_rate=1e-3, batch_size=32, balanced=False, validation=None, seed=0
):
    """Fit a softmax head on feature vectors and return it (compiled keras.Model, float32 [n, d] to [n, k]).

    features: float [n, d].  labels: int [n], 0 to k - 1.  hidden: units of a ReLU layer before the softmax, or None.
    balanced and validation are those of `fit`. Features are standardised inside the head, so it is used on raw ones.
    Raises ValueError for arrays that do not fit, for values that are no numbers.
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
    layers = [
        keras.Input((features.shape[1],)),
        keras.layers.Normalization(mean=features.mean(axis=0), variance=variance),
    ]
    layers += [keras.layers.Dense(hidden, activation="relu")] if hidden else []
    # From zeros, nothing stays in the directions that these few photos say nothing about.
    layers += [keras.layers.Dense(int(labels.max()) + 1, activation="softmax", kernel_initializer="zeros")]
    head = keras.Sequential(layers)
    return fit(head, features, labels, epochs, learning_rate, batch_size, balanced, validation)


def fit(model, inputs, labels, epochs, learning_rate=1e-3, batch_size=32, balanced=False, validation=None):
    """Fit a softmax model of one input with Adam and return it.

    The learning rate rises for a tenth of the steps, then falls to zero.
    inputs: [n, ...], in memory.  labels: int [n].  balanced: give every class the same say, however few photos it has.
    validation: (inputs, labels) to watch: fitting ends once their loss has not fallen for a fifth of the epochs, and
    the best weights are kept. Draw them from the training photos, whole groups where there are groups; never from the
    photos that the accuracy is measured on.
    """
    import keras

    weights = None
    if balanced:
        classes, counts = np.unique(labels, return_counts=True)
        weights = {int(each): len(labels) / len(classes) / count for each, count in zip(classes, counts, strict=True)}
    stop = keras.callbacks.EarlyStopping(patience=max(2, epochs // 5), restore_best_weights=True)
    steps = epochs * -(-len(labels) // batch_size)
    rise = steps // 10  # Adam's first steps are blind: at full rate they spoil what a module knows
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps - rise, warmup_target=learning_rate, warmup_steps=rise)
    # Compiling with XLA takes longer than these short fits gain from it.
    accuracy = keras.metrics.SparseCategoricalAccuracy("accuracy")
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(rate), loss, metrics=[accuracy], jit_compile=False)
    # With metric and optimizer built, TensorFlow need not trace the step once only to make their variables.
    model.optimizer.build(model.trainable_variables)
    model.fit(
        inputs,
        labels,
        epochs=epochs,
        batch_size=batch_size,
        class_weight=weights,
        validation_data=validation,
        callbacks=[stop] if validation else [],
        verbose=0,
    )
    return model


def augmentation(seed=0):
    """Return layers (keras.Sequential) that mirror and shift photos [n, h, w, 3] anew in each epoch.

    They do nothing in predict and evaluate. Called directly they do, unless with training=False: so says Keras.
    """
    import keras

    return keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal", seed=seed),
            keras.layers.RandomTranslation(0.1, 0.1, fill_mode="reflect", seed=seed),
        ],
        name="augmentation",
    )


def whole_model(module, head, image_size=224, augment=None):
    """Return one model (keras.Model) from pixels, uint8 [n, image_size, image_size, 3], to the head's probabilities.

    module: a catalogue name or a HubLayer.  head: as fit_head gives it; the model has a copy of it.
    augment: layers to put before the module, see `augmentation`.
    Raises ValueError where the head does not take what the module gives.
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
    module,
    head,
    pixels,
    labels,
    proportion=0.3,
    epochs=6,
    learning_rate=1e-4,
    batch_size=16,
    balanced=False,
    validation=None,
    augment=None,
):
    """Train a head and the top of the module under it together, and return the model (keras.Model, see whole_model).

    The second of two stages: `fit_head` on frozen features comes first, since a head that knows nothing would send
    large, random steps down into the module. Batch norm stays in inference mode: a batch of a few photos is a bad
    estimate of statistics that a million photos gave.
    pixels: uint8 [n, size, size, 3].  labels: int [n].
    proportion: how much of the module is trained, counted in weight arrays from its output down, in the order in which the module lists them: bottom to top for those of the catalogue.
    A saved model does not keep the proportion: load it with compile=False, and fine-tune anew rather than go on.
    learning_rate: low, so that what the module knows is bent and not broken.  validation: (pixels, labels) as in `fit`.
    """
    from helpers import HubLayer

    layer = HubLayer(module, trainable=True, arguments={"training": False})
    trainable = layer.trainable_weights
    for weight in trainable[: len(trainable) - round(proportion * len(trainable))]:
        weight.trainable = False
    model = whole_model(layer, head, pixels.shape[1], augment)
    fit(model, pixels, labels, epochs, learning_rate, batch_size, balanced, validation)
    return whole_model(layer, model.layers[-1], pixels.shape[1]) if augment else model  # no photo is changed in use
