"""What goes in and what comes out: text, several inputs, dicts, signatures."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from layers import (
    LABELS,
    OURS,
    PAIRS,
    STRINGS,
    TEXTS,
    K,
    bert_inputs,
    close,
    compiled,
    fitted,
    make,
    moved,
    round_trip,
    text_model,
    values,
)


def test_text_from_tf_data():
    data = tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(4)
    model, _ = text_model(True)
    compiled(model, metrics=["accuracy"]).fit(data, validation_data=data, epochs=2, verbose=0)
    model.evaluate(data, verbose=0)
    assert model.predict(data, verbose=0).shape == (6, 3)


@pytest.mark.parametrize("kind", [np.array(TEXTS), np.array(TEXTS, object)], ids=["unicode", "object"])
def test_text_in_numpy(kind):
    assert np.asarray(text_model()[0](kind)).shape == (6, 3)


def test_text_in_numpy_fitted():
    model, _ = text_model()
    fitted(model, np.array(TEXTS, object))
    assert model.predict(np.array(TEXTS, object), verbose=0).shape == (6, 3)


def test_text_in_numpy_unicode_fitted():
    fitted(text_model()[0], np.array(TEXTS))


@pytest.mark.parametrize("kind", [list, tuple], ids=["list", "tuple"])
def test_text_in_lists(kind):
    layer = make("text")
    close(layer(kind(TEXTS)), layer(STRINGS), 0)


def test_two_texts(tmp_path):
    layer = make("two_texts", True)
    inputs = [K.Input((), dtype="string", name=name) for name in ("question", "context")]
    model = K.Model(inputs, K.layers.Dense(3)(layer(inputs)))
    both = [STRINGS, STRINGS[::-1]]
    round_trip(fitted(model, both), both, tmp_path)


def test_two_texts_as_lists():
    layer = make("named_texts")
    strings = layer({"question": STRINGS, "context": STRINGS[::-1]})
    close(layer({"question": TEXTS, "context": TEXTS[::-1]}), strings, 0)


def test_whole_numbers():
    inputs = np.ones((6, 3), np.int32)
    model = K.Sequential([K.Input((3,), dtype="int32"), make("int_ids", True), K.layers.Dense(3)])
    fitted(model, inputs)


def test_a_dict_of_inputs(tmp_path):
    inputs = {name: K.Input((3,), dtype="int32", name=name) for name in bert_inputs()}
    model = K.Model(inputs, K.layers.Dense(3)(make("bert", True, output_key="pooled_output")(inputs)))
    round_trip(fitted(model, bert_inputs()), bert_inputs(), tmp_path)


def test_a_dict_of_outputs():
    outputs = make("bert")({name: K.Input((3,), dtype="int32", name=name) for name in bert_inputs()})
    assert sorted(outputs) == ["encoder_outputs", "pooled_output", "sequence_output"]
    assert tuple(outputs["pooled_output"].shape) == (None, 4)
    assert len(outputs["encoder_outputs"]) == 2


def test_a_list_of_outputs():
    outputs = make("list_out")(K.Input((2,)))
    assert [tuple(output.shape) for output in outputs] == [(None, 3)] * 2


def test_preprocessor_and_encoder_end_to_end(tmp_path):
    """As in TensorFlow's BERT tutorial: from strings to a class, trained, saved, loaded in another process."""
    text = K.Input((), dtype="string", name="text")
    encoder = make("bert", True)
    outputs = encoder(make("preprocessor")(text))
    model = K.Model(text, K.layers.Dense(3)(outputs["pooled_output"]))
    before = values(encoder)
    fitted(model, STRINGS)
    assert moved(encoder, before) == [True] * 5
    again = round_trip(model, STRINGS, tmp_path)
    close(again(STRINGS), model(STRINGS), 0)
    again.fit(STRINGS, LABELS, batch_size=6, verbose=0)
    np.save(tmp_path / "expected.npy", np.asarray(model(STRINGS)))
    if not OURS:
        return
    code = f"""import hub_layer, keras, numpy, tensorflow as tf
model = keras.saving.load_model({str(tmp_path / "model.keras")!r}, safe_mode=False)
numpy.testing.assert_array_equal(model(tf.constant({TEXTS!r})), numpy.load({str(tmp_path / "expected.npy")!r}))"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert ran.returncode == 0, ran.stderr


def test_a_signature_of_several_inputs(tmp_path):
    layer = make("pair", signature="score", output_key="sum")
    close(layer({"a": PAIRS, "b": PAIRS}), 2 * PAIRS @ values(layer)[0], 1e-5)
    inputs = {name: K.Input((2,), name=name) for name in "ab"}
    model = K.Model(inputs, K.layers.Dense(3)(layer(inputs)))
    batch = {"a": PAIRS, "b": PAIRS[::-1]}
    round_trip(fitted(model, batch), batch, tmp_path)


def test_the_outputs_of_a_signature():
    batch = {"a": PAIRS, "b": PAIRS}
    outputs = make("pair", signature="score")(batch)
    for key in ("sum", "product"):
        close(make("pair", signature="score", output_key=key)(batch), outputs[key], 0)


def test_two_traced_sizes():
    layer = make("two_sizes")
    assert np.asarray(layer(np.ones((1, 2), np.float32))).tolist() == [2]
    assert np.asarray(layer(np.ones((1, 3), np.float32))).tolist() == [3]
