"""The layer in every kind of model, saved, cloned, exported, and under every way to run it."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from layers import (
    LABELS,
    LEGACY,
    OURS,
    PAIRS,
    PHOTOS,
    STRINGS,
    TEXTS,
    K,
    close,
    compiled,
    export_trip,
    fitted,
    folder,
    load,
    make,
    moved,
    no,
    photo_model,
    round_trip,
    text_model,
    values,
)


@pytest.mark.parametrize("trainable", [False, True])
def test_saved_and_loaded(trainable, tmp_path):
    model, _ = photo_model(trainable)
    fitted(model)
    again = round_trip(model, PHOTOS, tmp_path)
    assert len(again.trainable_weights) == len(model.trainable_weights)
    again.fit(PHOTOS, LABELS, batch_size=6, verbose=0)


def test_text_saved_and_loaded(tmp_path):
    round_trip(fitted(text_model(True)[0], STRINGS), STRINGS, tmp_path)


def test_weights_saved_and_loaded(tmp_path):
    model, again = fitted(photo_model(True)[0]), photo_model(True)[0]
    model.save_weights(tmp_path / "model.weights.h5")
    again.load_weights(tmp_path / "model.weights.h5")
    close(again(PHOTOS), model(PHOTOS))


def test_the_best_epoch_is_kept(tmp_path):
    path = str(tmp_path / "best.keras")
    best = K.callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True)
    stop = K.callbacks.EarlyStopping(monitor="loss", patience=1, restore_best_weights=True)
    model, _ = photo_model(True)
    compiled(model).fit(PHOTOS, LABELS, batch_size=6, epochs=3, verbose=0, callbacks=[best, stop])
    load(path)


def test_exported(tmp_path):
    export_trip(fitted(photo_model(True)[0]), PHOTOS, tmp_path)


def test_text_exported_to_another_process(tmp_path):
    """Neither the module nor our code is there, and the vocabulary is an asset of its own."""
    model, _ = text_model()
    path = export_trip(model, STRINGS, tmp_path)
    np.save(tmp_path / "expected.npy", np.asarray(model(STRINGS)))
    code = f"""import numpy, tensorflow
module = tensorflow.saved_model.load({path!r})
outputs = module.serve(tensorflow.constant({TEXTS!r}))
assert abs(outputs.numpy() - numpy.load({str(tmp_path / "expected.npy")!r})).max() < 1e-6"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert ran.returncode == 0, ran.stderr


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


def test_an_unknown_length_is_said():
    if not OURS:
        no("a message of HubLayer")
    with pytest.warns(UserWarning, match=r"pass output_shape=\(n,\)"):
        make("unknown_length")(K.Input((2,)))


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


def run_lite(content, model):
    interpreter = tf.lite.Interpreter(model_content=content)
    entry = interpreter.get_input_details()[0]
    interpreter.resize_tensor_input(entry["index"], PHOTOS[:1].shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], PHOTOS[:1])
    interpreter.invoke()
    close(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), model(PHOTOS[:1]), 1e-4)


def test_lite_from_export(tmp_path):
    model, _ = photo_model()
    path = export_trip(model, PHOTOS, tmp_path)
    run_lite(tf.lite.TFLiteConverter.from_saved_model(path).convert(), model)


def test_lite_from_function():
    model, _ = photo_model()
    run = tf.function(lambda x: model(x), input_signature=[tf.TensorSpec([1, 4, 4, 3], tf.float32)])
    concrete = [run.get_concrete_function()]
    run_lite(tf.lite.TFLiteConverter.from_concrete_functions(concrete, run).convert(), model)


def test_lite_by_keras(tmp_path):
    if LEGACY or tuple(map(int, K.__version__.split(".")[:2])) < (3, 13):
        no("this Keras has no export(format='litert')")
    model, _ = photo_model()
    model.export(str(tmp_path / "model.tflite"), format="litert")
    run_lite((tmp_path / "model.tflite").read_bytes(), model)


def test_lite_from_keras_model():
    model, _ = photo_model()
    run_lite(tf.lite.TFLiteConverter.from_keras_model(model).convert(), model)


def test_a_file_from_elsewhere_is_refused_by_name(tmp_path):
    """A file names a graph outside of itself: unless its owner says so, nothing is loaded."""
    model, layer = photo_model()
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        with pytest.raises(Exception, match="safe_mode"):
            K.models.load_model(tmp_path / name)
    with pytest.raises(ValueError, match="safe_mode"):
        type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    with pytest.raises(ValueError, match="safe_mode"):
        K.models.model_from_json(model.to_json())


def test_a_hostile_module_does_nothing_unasked(tmp_path):
    """It writes one file when it is loaded and one when it is called."""
    harm = [folder("harm/loaded"), folder("harm/called")]
    done = lambda: [tf.io.gfile.exists(path) for path in harm]  # noqa: E731

    def forget():
        for path in harm:
            if tf.io.gfile.exists(path):
                tf.io.gfile.remove(path)

    model = K.Sequential([K.Input((2,)), make("hostile")])
    model(PAIRS)
    assert done() == [True, True]  # else the module would prove nothing
    forget()
    model.save(tmp_path / "model.keras")
    config, text = json.loads(json.dumps(model.get_config())), model.to_json()
    forget()
    attempts = [
        lambda: K.models.load_model(tmp_path / "model.keras"),
        lambda: K.models.model_from_json(text),
        lambda: K.Sequential.from_config(config),
    ]
    for attempt in attempts:
        with pytest.raises((ValueError, TypeError)):
            attempt()
        assert done() == [False, False]
    if OURS:
        load(tmp_path / "model.keras")(PAIRS)
        assert done() == [True, True]
    forget()
