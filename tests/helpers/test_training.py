"""Heads learn and stop in time; a fine-tuned module changes at its top alone; what was given stays as it was."""

import keras
import numpy as np
import pytest
from making import blobs

from helpers import HubLayer, features, photos, training

# Keras turns its variables into NumPy arrays in NumPy 1's way, which NumPy 2 remarks on each time.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SIZE = 64


def same(some, others, atol=1e-6):
    return all(np.allclose(one, other, rtol=0, atol=atol) for one, other in zip(some, others, strict=True))


# Heads


@pytest.mark.parametrize("hidden", [None, 8])
def test_a_head_learns_and_gives_probabilities(hidden):
    # A shift and a scale that no head could learn from, were features not standardised inside it.
    vectors, labels = blobs(apart=8)
    vectors = vectors * [1e-3, 1, 1, 1, 1e3] + 50
    head = training.fit_head(vectors, labels, hidden=hidden, learning_rate=0.02)
    shares = head.predict(vectors.astype(np.float32), verbose=0)
    assert shares.shape == (60, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert (shares.argmax(axis=1) == labels).mean() > 0.95
    assert len(head.trainable_variables) == (4 if hidden else 2)


def test_a_head_of_the_same_seed_is_the_same():
    first, second = (training.fit_head(*blobs(), epochs=2, seed=5) for _ in range(2))
    assert same(first.get_weights(), second.get_weights())


@pytest.mark.parametrize("rows", [slice(0, 59), (slice(None), 0)], ids=["too few", "one column"])
def test_a_head_is_not_fitted_on_what_does_not_fit(rows):
    vectors, labels = blobs()
    with pytest.raises(ValueError, match="do not fit"):
        training.fit_head(vectors[rows], labels)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_head_is_not_fitted_on_what_is_no_number(value):
    vectors, labels = blobs()
    vectors[7, 2] = value
    with pytest.raises(ValueError, match="NaN or infinity"):
        training.fit_head(vectors, labels)


@pytest.mark.parametrize("wobble", [0, 1e-5], ids=["constant", "nearly constant"])
def test_a_feature_that_is_constant_here_is_not_blown_up_elsewhere(wobble):
    vectors, labels = blobs(apart=4)
    vectors[:, 0] = 5 + wobble * np.random.default_rng(0).normal(size=60)
    head = training.fit_head(vectors, labels, hidden=8, epochs=3)
    elsewhere = vectors.copy()
    elsewhere[:, 0] = 5.5
    shift = np.abs(head(elsewhere) - head(vectors)).max()
    assert shift < 0.2


def test_features_that_are_all_constant_tell_nothing():
    head = training.fit_head(np.full((8, 3), 7.0), np.repeat([0, 1], 4), epochs=2)
    np.testing.assert_allclose(head(np.full((1, 3), 7.0)), [[0.5, 0.5]], atol=1e-3)


def test_a_balanced_head_gives_a_rare_class_its_say():
    labels = np.repeat([0, 1], [95, 5])
    vectors = np.random.default_rng(1).normal(size=(100, 1)) + 2.5 * labels[:, None]
    plain, balanced = (
        training.fit_head(vectors, labels, epochs=4, learning_rate=0.1, balanced=balanced)(vectors)
        for balanced in (False, True)
    )
    assert np.mean(balanced[:, 1]) > np.mean(plain[:, 1]) + 0.1
    assert np.mean(balanced[95:, 1]) > np.mean(plain[95:, 1]) + 0.15


def test_a_watched_head_stops_early_and_keeps_its_best_weights():
    # Labels that mean nothing: what is learned of them can only harm.
    vectors, labels = blobs(classes=2, apart=0)
    watched = blobs(classes=2, apart=0, seed=1)
    head = training.fit_head(vectors, labels, hidden=32, epochs=20, learning_rate=0.01, validation=watched)
    losses = head.history.history["val_loss"]
    assert len(losses) == np.argmin(losses) + 1 + 4 < 20  # a fifth of 20 epochs without a better one
    assert losses[-1] > min(losses) + 0.01
    assert head.evaluate(*watched, verbose=0)[0] == pytest.approx(min(losses), rel=1e-4)


def test_a_head_that_is_not_watched_is_fitted_to_the_last_epoch():
    head = training.fit_head(*blobs(classes=2, apart=0), epochs=6)
    assert len(head.history.history["loss"]) == 6


def test_any_model_of_one_input_is_fitted_at_a_rate_that_falls_to_zero():
    vectors, labels = blobs(apart=8)
    pictures = np.repeat(vectors, 4, axis=1).reshape(60, 2, 2, 5)
    layers = [keras.Input((2, 2, 5)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    model = keras.Sequential(layers)
    assert training.fit(model, pictures, labels, epochs=4, learning_rate=0.1, batch_size=25) is model
    assert (model.predict(pictures, verbose=0).argmax(axis=1) == labels).mean() > 0.95
    assert int(model.optimizer.iterations) == 4 * 3
    rate = keras.optimizers.schedules.deserialize(model.optimizer.get_config()["learning_rate"])
    rates = [float(rate(step)) for step in range(13)]
    assert max(rates) == pytest.approx(0.1)
    assert min(rates[1:12]) > 1e-4  # and no sooner than at the end
    assert rates[12] == pytest.approx(0, abs=1e-9)


def test_a_single_step_is_a_step():
    vectors, labels = blobs(classes=2)
    head = training.fit_head(vectors, labels, epochs=1, batch_size=100)
    assert np.abs(head.get_weights()[0]).max() > 0


def test_the_batches_are_those_that_keras_makes_of_arrays():
    class Recorder(keras.Model):
        def train_step(self, batch):
            seen.append([each.numpy() for each in batch])
            return {"loss": 0.0}

    inputs, labels, seen = np.arange(20, dtype=np.float32).reshape(10, 2), np.arange(10), []
    keras.utils.set_random_seed(3)
    recorder = Recorder()
    recorder.compile(run_eagerly=True)
    recorder.fit(inputs, labels, batch_size=4, epochs=3, verbose=0)
    keras.utils.set_random_seed(3)
    ours = list(training._batches(inputs, labels, 4).take(9).as_numpy_iterator())
    assert len(seen) == len(ours) == 9
    for theirs, mine in zip(seen, ours, strict=True):
        np.testing.assert_array_equal(theirs[0], mine[0])
        np.testing.assert_array_equal(theirs[1], mine[1])


@pytest.mark.parametrize("labels", [4, 12], ids=["fewer", "more"])
def test_every_input_needs_its_label(labels):
    head = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="softmax")])
    with pytest.raises(ValueError, match=f"10 inputs and {labels} labels"):
        training.fit(head, np.zeros((10, 2), np.float32), np.arange(labels) % 2, epochs=1)


# Augmentation


def test_augmentation_does_nothing_outside_training():
    pictures = np.random.default_rng(0).random((4, 16, 16, 3), np.float32)
    layers = training.augmentation()
    np.testing.assert_array_equal(layers(pictures, training=False), pictures)
    np.testing.assert_array_equal(layers.predict(pictures, verbose=0), pictures)


def test_augmentation_changes_every_photo_anew_and_keeps_it_a_photo():
    pictures = np.zeros((8, 16, 16, 3), np.float32)
    pictures[:, :8] = 1  # the darkest and the lightest that there is
    layers = training.augmentation()
    first, second = (np.asarray(layers(pictures, training=True)) for _ in range(2))
    for changed in (first, second):
        assert changed.shape == pictures.shape
        assert changed.dtype == np.float32
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert (np.abs(changed - pictures).max(axis=(1, 2, 3)) > 0.01).all()
        assert (np.abs(changed - pictures).mean(axis=(1, 2, 3)) < 0.5).all()  # and what it shows can still be told
    assert np.abs(first - second).max() > 0.01
    assert len(np.unique(first.reshape(8, -1), axis=0)) == 8  # each in its own way


# Whole models


@pytest.fixture(scope="module")
def blooms(flowers):
    """Return 16 photos of two species."""
    return flowers.take(np.r_[0:8, 21:29])


@pytest.fixture(scope="module")
def pixels(blooms):
    return photos.pixels(blooms, SIZE)


@pytest.fixture(scope="module")
def vectors(blooms):
    return features.extract(blooms, "mobilenet_v2", image_size=SIZE)


@pytest.fixture(scope="module")
def head(blooms, vectors):
    return training.fit_head(vectors, blooms.labels, epochs=3)


def test_a_whole_model_gives_what_its_head_gives_on_extracted_features(head, pixels, vectors):
    model = training.whole_model("mobilenet_v2", head, SIZE)
    shares = model.predict(pixels, verbose=0)
    np.testing.assert_allclose(shares, head.predict(vectors, verbose=0), atol=1e-4)
    assert np.ptp(shares[:, 0]) > 0.1
    assert (model.input_shape, model.input.dtype) == ((None, SIZE, SIZE, 3), "uint8")
    assert len(model.trainable_weights) == 2  # the module is frozen


@pytest.fixture
def colours(pixels, blooms):
    """Return a head on the mean colours that mean_module gives."""
    return training.fit_head(pixels.mean(axis=(1, 2)) / 255, blooms.labels, hidden=4, epochs=5, learning_rate=0.05)


def test_a_whole_model_may_be_made_of_a_layer_and_a_head_with_a_hidden_layer(mean_module, colours, pixels):
    model = training.whole_model(HubLayer(mean_module), colours, SIZE)
    np.testing.assert_allclose(model(pixels), colours(pixels.mean(axis=(1, 2)) / 255), atol=1e-5)
    before = colours.get_weights()
    model.layers[-1].set_weights([weight * 0 for weight in before])
    assert same(colours.get_weights(), before, atol=0)  # the model has a copy


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda batch: batch * 2, r"gives \(None, 64, 64, 3\), and the head takes \(None, 3\): fit it on"),
        (lambda batch: batch[:, 0, 0, :2], r"gives \(None, 2\), and the head takes \(None, 3\): fit it on"),
    ],
    ids=["a feature map", "features of another length"],
)
def test_a_head_is_not_put_on_what_it_was_not_fitted_on(export, colours, tmp_path, call, told):
    with pytest.raises(ValueError, match=told):
        training.whole_model(export(tmp_path / "module", call), colours, SIZE)


def test_an_augmented_whole_model_augments_in_training_alone(mean_module, colours, pixels, tmp_path):
    plain = training.whole_model(mean_module, colours, SIZE)
    model = training.whole_model(mean_module, colours, SIZE, training.augmentation())
    shares = plain.predict(pixels, verbose=0)
    np.testing.assert_allclose(model.predict(pixels, verbose=0), shares, atol=1e-6)
    assert np.abs(model(pixels, training=True) - shares).max() > 1e-4
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=False)  # its module is no catalogue name
    np.testing.assert_allclose(loaded.predict(pixels, verbose=0), shares, atol=1e-6)


# Fine-tuning


@pytest.fixture(scope="module")
def tuned(head, pixels, blooms):
    """Return a model fine-tuned for two steps at a low rate, and the head's weights before."""
    before = head.get_weights()
    options = {"proportion": 0.3, "epochs": 1, "learning_rate": 1e-6, "batch_size": 8}
    return training.fine_tune("mobilenet_v2", head, pixels, blooms.labels, **options), before


def test_fine_tuning_moves_the_top_share_of_the_modules_weights_and_nothing_below(tuned, loaded):
    (layer,) = (each for each in tuned[0].layers if isinstance(each, HubLayer))
    module = loaded("mobilenet_v2")  # as it was
    values = {variable.name: variable.numpy() for variable in module.variables}
    moved = [w.value.name for w in layer.weights if not np.array_equal(w.value.numpy(), values[w.value.name])]
    assert len(values) == 260  # 104 of them moving statistics
    assert moved == [variable.name for variable in module.trainable_variables][-47:]  # of 156
    assert len(tuned[0].trainable_weights) == 47 + 2


def test_fine_tuning_trains_a_copy_of_the_head_and_at_a_low_rate_stays_close_to_it(tuned, head, pixels, vectors):
    model, before = tuned
    assert same(head.get_weights(), before, atol=0)
    assert not same(model.layers[-1].get_weights(), before, atol=0)
    shift = np.abs(model.predict(pixels, verbose=0) - head.predict(vectors, verbose=0)).max()
    assert 1e-4 < shift < 0.05


def test_a_whole_model_that_was_fine_tuned_comes_back_from_its_file(tuned, pixels, tmp_path):
    tuned[0].save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(loaded.predict(pixels, verbose=0), tuned[0].predict(pixels, verbose=0), atol=1e-6)


def test_over_a_module_without_weights_or_training_argument_the_head_alone_is_tuned(
    mean_module, colours, pixels, blooms
):
    before = colours.get_weights()
    with pytest.warns(UserWarning, match="declares no trainable variables"):
        model = training.fine_tune(
            mean_module,
            colours,
            pixels,
            blooms.labels,
            epochs=2,
            learning_rate=0.01,
            balanced=True,
            validation=(pixels, blooms.labels),
            augment=training.augmentation(),
        )
    assert model.predict(pixels, verbose=0).shape == (16, 2)
    assert len(model.trainable_weights) == 4
    assert not same(model.layers[-1].get_weights(), before)
    assert same(colours.get_weights(), before, atol=0)
    np.testing.assert_allclose(model(pixels), model.predict(pixels, verbose=0), atol=1e-6)  # augmented no more
