"""Saved, exported, and loaded: by its owner, by another process, by a phone, and by a stranger."""

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
    no,
    photo_model,
    round_trip,
    text_model,
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
