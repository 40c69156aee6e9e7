"""The layer in every kind of model, and under every way to run it."""

import copy
import sys

import numpy as np
import pytest
import tensorflow as tf
from layers import (
    LEGACY,
    OURS,
    PAIRS,
    PHOTOS,
    STRINGS,
    K,
    close,
    compiled,
    fitted,
    make,
    moved,
    no,
    photo_model,
    round_trip,
    text_model,
    values,
)


def test_text_needs_no_other_package():
    text_model()[0].predict(STRINGS, verbose=0)
    assert "tensorflow_text" not in sys.modules


def test_sequential_without_input():
    model = fitted(K.Sequential([make("bn", True), K.layers.Dense(3)]))
    assert model.predict(PHOTOS, verbose=0).shape == (6, 3)


def test_photo_and_text_in_a_functional_model(tmp_path):
    photo, text = K.Input((4, 4, 3), name="photo"), K.Input((), dtype="string", name="text")
    joined = K.layers.Concatenate()([make("bn", True)(photo), make("text")(text)])
    model = K.Model({"photo": photo, "text": text}, K.layers.Dense(3)(joined))
    batch = {"photo": tf.constant(PHOTOS), "text": STRINGS}
    round_trip(fitted(model, batch), batch, tmp_path)


def test_static_shapes_and_summary():
    assert tuple(make("bn")(K.Input((4, 4, 3))).shape) == (None, 4)
    assert tuple(make("text")(K.Input((), dtype="string")).shape) == (None, 5)
    lines = []
    photo_model(True)[0].summary(print_fn=lambda line, **_: lines.append(line))
    assert "124" in "\n".join(lines)


def test_subclassed_model(tmp_path):
    class Mine(K.Model):
        def __init__(self):
            super().__init__()
            self.features, self.head = make("bn", True), K.layers.Dense(3)

        def call(self, inputs, training=False):
            return self.head(self.features(inputs, training=training))

    model, again = fitted(Mine()), compiled(Mine())
    assert len(model.trainable_weights) == 5
    model.save_weights(tmp_path / "model.weights.h5")
    again(PHOTOS)
    again.load_weights(tmp_path / "model.weights.h5")
    close(again(PHOTOS), model(PHOTOS))
    model.export(str(tmp_path / "exported"))


def test_clone_model():
    model, layer = photo_model(True)
    fitted(model)
    before = values(layer)
    again = K.models.clone_model(model)
    again.set_weights(model.get_weights())
    close(again(PHOTOS), model(PHOTOS))
    fitted(again)
    assert not any(moved(layer, before))


def test_deepcopy():
    model, _ = photo_model(True)
    close(copy.deepcopy(model)(PHOTOS), model(PHOTOS))


def test_a_layer_from_its_own_config():
    layer = make("bn", True)
    assert len(type(layer).from_config(layer.get_config()).trainable_weights) == 3


def test_nested_model(tmp_path):
    inner, layer = photo_model(True)
    model = K.Sequential([K.Input((4, 4, 3)), inner, K.layers.Dense(3)])
    before = values(layer)
    fitted(model)
    assert moved(layer, before) == [True] * 5
    round_trip(model, PHOTOS, tmp_path)
    inner.trainable = False
    assert len(model.trainable_weights) == 2
    before = values(layer)
    fitted(model)
    assert not any(moved(layer, before))


def test_one_layer_in_two_models(tmp_path):
    layer = make("bn", True)
    models = [K.Sequential([K.Input((4, 4, 3)), layer, K.layers.Dense(3)]) for _ in range(2)]
    before = values(layer)
    for model in models:
        fitted(model)
    assert moved(layer, before) == [True] * 5
    round_trip(models[0], PHOTOS, tmp_path)


def test_one_layer_on_two_inputs(tmp_path):
    a, b, layer = K.Input((4, 4, 3)), K.Input((4, 4, 3)), make("bn", True)
    model = K.Model([a, b], K.layers.Dense(3)(K.layers.Concatenate()([layer(a), layer(b)])))
    fitted(model, [PHOTOS, PHOTOS])
    assert len(model.trainable_weights) == 5
    round_trip(model, [PHOTOS, PHOTOS], tmp_path)


def test_two_layers_of_one_module(tmp_path):
    a, b = K.Input((4, 4, 3)), K.Input((4, 4, 3))
    joined = K.layers.Concatenate()([make("bn", True)(a), make("bn", True)(b)])
    model = K.Model([a, b], K.layers.Dense(3)(joined))
    round_trip(fitted(model, [PHOTOS, PHOTOS]), [PHOTOS, PHOTOS], tmp_path)


def test_time_distributed(tmp_path):
    over_time = K.layers.TimeDistributed(make("bn", True))
    assert tuple(over_time(K.Input((2, 4, 4, 3))).shape) == (None, 2, 4)
    model = K.Sequential([K.Input((2, 4, 4, 3)), over_time, K.layers.GlobalAveragePooling1D(), K.layers.Dense(3)])
    films = np.stack([PHOTOS, PHOTOS], 1)
    round_trip(fitted(model, films), films, tmp_path)


def test_the_output_shape_is_told():
    shape = make("bn").compute_output_shape((None, 4, 4, 3))
    assert tuple(shape) == (None, 4)


def test_an_unknown_length_and_a_dense_layer():
    """hub.KerasLayer takes output_shape, too."""
    if not (OURS or LEGACY):
        no("no output_shape")
    model = K.Sequential([K.Input((2,)), make("unknown_length", output_shape=[3]), K.layers.Dense(3)])
    assert model.predict(PAIRS, verbose=0).shape == (6, 3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy, tmp_path):
    use = K.mixed_precision.set_global_policy if LEGACY else K.config.set_dtype_policy
    use(policy)
    try:
        layer = make("bn", True)
        head = [K.layers.Dense(3), K.layers.Activation("linear", dtype="float32")]
        model = K.Sequential([K.Input((4, 4, 3)), K.layers.Rescaling(1.0), layer, *head])
        before = values(layer)
        fitted(model)
        assert moved(layer, before) == [True] * 5
        assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in values(layer))
        round_trip(model, PHOTOS, tmp_path)
        model.export(str(tmp_path / "exported"))
        text_model()[0].predict(STRINGS, verbose=0)
    finally:
        use("float32")


@pytest.mark.parametrize("how", [{"jit_compile": True}, {"jit_compile": "auto"}, {"run_eagerly": True}], ids=str)
def test_ways_to_compile(how):
    if LEGACY and how == {"jit_compile": "auto"}:
        no("tf_keras has no jit_compile='auto'")
    model, layer = photo_model(True)
    before = values(layer)
    fitted(model, **how)
    assert all(moved(layer, before))
    model.predict(PHOTOS[:5], batch_size=2, verbose=0)


@pytest.mark.parametrize("how", [{"jit_compile": "auto"}, {"run_eagerly": True}], ids=str)
def test_ways_to_compile_text(how):
    if LEGACY and how == {"jit_compile": "auto"}:
        no("tf_keras has no jit_compile='auto'")
    fitted(text_model(True)[0], STRINGS, **how)


def test_partial_batches():
    model, _ = photo_model()
    close(model.predict(PHOTOS[:5], batch_size=2, verbose=0), model(PHOTOS[:5]), 1e-5)
