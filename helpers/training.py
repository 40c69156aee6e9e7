"""Heads on top of features."""

import numpy as np


def fit_head(features, labels, hidden=None, epochs=30, learning_rate=1e-3, batch_size=32, seed=0):
    """Fit a softmax head on feature vectors and return it (compiled keras.Model, float32 [n, d] to [n, k]).

    features: float [n, d].  labels: int [n], 0 to k - 1.  hidden: units of a ReLU layer before the softmax, or None.
    Features are standardised inside the head, so that it can be used on raw ones.
    """
    import keras

    features, labels = np.asarray(features, np.float32), np.asarray(labels)
    if len(features) != len(labels) or features.ndim != 2:
        raise ValueError(f"features {features.shape} and labels {labels.shape} do not fit: [n, d] and [n] are needed.")
    keras.utils.set_random_seed(seed)
    scale = keras.layers.Normalization()
    scale.adapt(features)
    layers = [keras.Input((features.shape[1],)), scale]
    layers += [keras.layers.Dense(hidden, activation="relu")] if hidden else []
    head = keras.Sequential([*layers, keras.layers.Dense(int(labels.max()) + 1, activation="softmax")])
    head.compile(keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    head.fit(features, labels, epochs=epochs, batch_size=batch_size, verbose=0)
    return head
