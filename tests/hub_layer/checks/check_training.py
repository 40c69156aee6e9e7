"""Weights, training, losses: what a layer of a module must do like any other."""

import numpy as np
import pytest
import tensorflow as tf
from layers import (
    LABELS,
    LAYER,
    LEGACY,
    PAIRS,
    PHOTOS,
    STRINGS,
    K,
    close,
    compiled,
    fitted,
    make,
    moved,
    photo_model,
    text_model,
    values,
)


@pytest.mark.parametrize("trainable", [False, True])
def test_weights_are_counted(trainable):
    model, layer = photo_model(trainable)
    assert (len(layer.trainable_weights), len(layer.non_trainable_weights)) == ((3, 2) if trainable else (0, 5))
    assert layer.count_params() == 108 + 16
    assert len(model.trainable_weights) == (5 if trainable else 2)


def test_trainable_can_be_switched():
    model, layer = photo_model()
    for trainable in (True, False, True):
        layer.trainable = trainable
        assert len(model.trainable_weights) == 2 + 3 * trainable
        before = values(layer)
        fitted(model)
        assert moved(layer, before) == [trainable] * 5


def test_a_step_moves_all_weights_and_what_is_computed():
    model, layer = photo_model(True)
    before, features = values(layer), np.asarray(layer(PHOTOS))
    fitted(model)
    assert moved(layer, before) == [True] * 5
    assert np.max(np.abs(np.asarray(layer(PHOTOS)) - features)) > 1e-4


def test_a_frozen_layer_moves_nothing_and_infers():
    model, layer = photo_model()
    before = values(layer)
    fitted(model)
    close(layer(PHOTOS, training=True), layer(PHOTOS, training=False), 0)
    assert not any(moved(layer, before))


def test_adam_on_a_batch():
    model, layer = photo_model(True)
    model.compile("adam", K.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = values(layer)
    model.train_on_batch(PHOTOS, LABELS)
    assert all(moved(layer, before))


def test_a_loop_of_ones_own():
    model, _ = photo_model(True)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(PHOTOS, training=True)) + sum(model.losses)
    weights = model.trainable_weights if LEGACY else [weight.value for weight in model.trainable_weights]
    assert all(gradient is not None for gradient in tape.gradient(loss, weights))


def test_fit_goes_on_and_again():
    model, layer = photo_model(True)
    compiled(model)
    for _ in range(2):
        before = values(layer)
        model.fit(PHOTOS, LABELS, batch_size=4, verbose=0)
        assert moved(layer, before) == [True] * 5
    before = values(layer)
    fitted(model)
    assert moved(layer, before) == [True] * 5


def expected_loss(layer):
    kernel = next(value for value in values(layer) if value.ndim == 4)
    return 0.01 * np.sum(kernel**2) / (1 if LAYER == "Keras" else 2)


def test_regularisation():
    model, layer = photo_model(True)
    model(PHOTOS)
    assert float(sum(model.losses)) == pytest.approx(expected_loss(layer), rel=1e-4)


def test_no_regularisation_of_a_frozen_layer():
    model, _ = photo_model()
    model(PHOTOS)
    assert sum(float(loss) for loss in model.losses) == 0


@pytest.mark.parametrize("calls", [2, 4])
def test_regularisation_once_however_often_the_layer_is_called(calls):
    layer = make("bn", True)
    inputs = [K.Input((4, 4, 3)) for _ in range(calls)]
    model = K.Model(inputs, K.layers.Add()([layer(each) for each in inputs]))
    model([PHOTOS] * calls)
    assert float(sum(model.losses)) == pytest.approx(expected_loss(layer), rel=1e-4)


def test_the_loss_of_a_step_has_the_regularisation_once():
    layer = make("bn", True)
    a, b = K.Input((4, 4, 3)), K.Input((4, 4, 3))
    model = K.Model([a, b], K.layers.Add()([layer(a), layer(b)]))
    model.compile("sgd", "mse")
    target = np.asarray(model([PHOTOS, PHOTOS], training=False))
    expected = expected_loss(layer)
    assert model.evaluate([PHOTOS, PHOTOS], target, verbose=0) == pytest.approx(expected, rel=1e-3)


def test_a_text_module_trains():
    model, layer = text_model(True)
    before = values(layer)
    fitted(model, STRINGS)
    assert moved(layer, before) == [True] * len(before)


def test_two_layers_share_no_weights():
    one, other = make("bn", True), make("bn", True)
    model = K.Sequential([K.Input((4, 4, 3)), one, K.layers.Dense(3)])
    before, features = values(other), np.asarray(other(PHOTOS))
    fitted(model)
    assert not any(moved(other, before))
    close(other(PHOTOS), features, 0)


def test_training_as_a_tensor_of_the_module():
    model, layer = photo_model(True, "bn_tensor_training")
    before = values(layer)
    fitted(model)
    assert moved(layer, before) == [True] * 5


def test_training_as_a_tensor_of_the_caller():
    layer = make("bn", True)
    before = values(layer)
    signature = [tf.TensorSpec([None, 4, 4, 3]), tf.TensorSpec([], tf.bool)]
    run = tf.function(lambda x, training: layer(x, training=training), input_signature=signature)
    close(run(PHOTOS, False), layer(PHOTOS, training=False), 1e-5)
    assert not any(moved(layer, before))
    run(PHOTOS, True)
    assert any(moved(layer, before))


def test_arguments_reach_the_module():
    fast = make("bn_momentum", True, arguments={"batch_norm_momentum": 0.5})
    slow = make("bn_momentum", True)
    start = values(fast)[3]
    steps = []
    for layer in (fast, slow):
        layer(PHOTOS, training=True)
        steps.append(np.abs(values(layer)[3] - start).max())
    assert steps[0] > 10 * steps[1] > 0


def test_update_ops_of_tensorflow_1():
    model, layer = photo_model(True, "update_ops")
    before = values(layer)
    fitted(model)
    assert moved(layer, before) == [True] * 5


def test_a_module_that_declares_nothing_is_trained():
    layer = make("signed", True)
    model = K.Sequential([K.Input((2,)), layer, K.layers.Dense(3)])
    before = values(layer)
    fitted(model, PAIRS)
    assert len(before) == 1
    assert moved(layer, before) == [True]


def test_a_signature_is_trained():
    """Asked for in tensorflow/hub#763."""
    layer = make("bn", True, signature="serving_default", output_key="default")
    model = K.Sequential([K.Input((4, 4, 3)), layer, K.layers.Dense(3)])
    before = [value for value in values(layer) if value.ndim == 4]
    fitted(model)
    after = [value for value in values(layer) if value.ndim == 4]
    assert len(layer.trainable_weights) == 3
    assert not np.array_equal(before[0], after[0])


def test_no_variables():
    for name in ("no_variables", "no_attributes"):
        fitted(K.Sequential([K.Input((2,)), make(name), K.layers.Dense(3)]), PAIRS)
