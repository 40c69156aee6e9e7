"""What goes in and what comes out: text, several inputs, dicts, signatures, shapes, and what a message says."""

import shutil
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
    fitted,
    folder,
    make,
    moved,
    no,
    photo_model,
    round_trip,
    text_model,
    values,
)


def ours():
    if not OURS:
        no("a message of HubLayer")


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


def bert_inputs():
    ids = np.array([[1, 2, 3]] * 6, np.int32)
    return {"input_word_ids": ids, "input_mask": np.ones_like(ids), "input_type_ids": np.zeros_like(ids)}


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


def tensorflow_1(name, tmp_path, **options):
    layer = make(name, signature="serving_default", output_key="features", **options)
    kernel = np.arange(6, dtype=np.float32).reshape(3, 2)
    close(layer(PHOTOS), PHOTOS.mean((1, 2)) @ kernel, 1e-5)
    model = fitted(K.Sequential([K.Input((4, 4, 3)), layer, K.layers.Dense(3)]))
    round_trip(model, PHOTOS, tmp_path)
    return model


def test_tensorflow_1_simple_save(tmp_path):
    tensorflow_1("tf1_simple", tmp_path)


def test_tensorflow_1_simple_save_exported_again(tmp_path):
    """TensorFlow alone can't write its reference variables again either."""
    tensorflow_1("tf1_simple", tmp_path).export(str(tmp_path / "exported"))
    module = tf.saved_model.load(str(tmp_path / "exported"))
    module.serve(PHOTOS)


def test_tensorflow_1_resource_variables(tmp_path):
    model = tensorflow_1("tf1_resource", tmp_path)
    model.export(str(tmp_path / "exported"))
    module = tf.saved_model.load(str(tmp_path / "exported"))
    close(module.serve(PHOTOS), model(PHOTOS))


@pytest.mark.parametrize("tags", [["serve"], ["serve", "train"]], ids="+".join)
def test_tensorflow_1_tags(tags, tmp_path):
    tensorflow_1("tf1_tags", tmp_path, tags=tags)


def test_tensorflow_1_only_train(tmp_path):
    tensorflow_1("tf1_train", tmp_path, **({"tags": ["train"]} if LEGACY else {}))


def test_old_hub_format(tmp_path):
    """hub.Module's format, which holds two graphs: without tags, the one without tags is meant."""
    options = {"signature": "default", "output_key": "default"}
    model = K.Sequential([K.Input((4, 4, 3)), make("tf1.15/hub_module", **options), K.layers.Dense(3)])
    round_trip(fitted(model), PHOTOS, tmp_path)


OLD = ["tf1.15/keras_save", "tf1.15/keras_tfsave", "tf1.15/reusable", "tf2.0/keras_save", "tf2.0/reusable"]
OLD += ["tf2.0/keras_optimizer", "tfkeras2.16/keras_save", "tfkeras2.16/keras_optimizer"]


@pytest.mark.parametrize("name", OLD)
def test_old_module_trained(name, tmp_path):
    model, layer = photo_model(True, name)
    before = values(layer)
    model(PHOTOS)
    assert len(before) == 5
    assert sum(float(loss) for loss in model.losses) > 0
    fitted(model)
    assert moved(layer, before) == [True] * 5
    round_trip(model, PHOTOS, tmp_path)


@pytest.mark.parametrize("name", ["tf1.15/text", "tf2.0/text"])
def test_old_text_trained(name, tmp_path):
    model, layer = text_model(True, name)
    before = values(layer)
    fitted(model, STRINGS)
    assert moved(layer, before) == [True]
    round_trip(model, STRINGS, tmp_path)


def test_old_text_graph():
    layer = make("tf1.15/simple_save_text", signature="serving_default", output_key="features")
    fitted(K.Sequential([K.Input((), dtype="string"), layer, K.layers.Dense(3)]), STRINGS)


# What a message says. hub.KerasLayer and TFSMLayer are not asked for our words.


def test_several_graphs_ask_for_tags():
    ours()
    with pytest.raises(RuntimeError, match=r"'serve', 'train'.*Choose one of its graphs with tags"):
        make("tf1_tags", signature="serving_default")


def test_a_module_without_a_call_names_its_signatures():
    ours()
    with pytest.raises(ValueError, match=r"no function of its own to call; signature is one of: serving_default"):
        make("tf1_simple")
    with pytest.raises(ValueError, match=r"no function of its own to call"):
        make("plain")


def test_a_module_without_a_trace_says_so():
    ours()
    with pytest.raises(ValueError, match=r"without a trace of its function: call it once before you save it"):
        make("untraced")


def test_a_wrong_output_key_names_the_keys():
    ours()
    with pytest.raises(ValueError, match=r"a dict with the keys encoder_outputs, pooled_output, sequence_output"):
        make("bert", output_key="pooled")
    with pytest.raises(ValueError, match=r"one tensor, no dict"):
        make("bn", output_key="default")


def test_inputs_that_do_not_fit_say_what_does():
    ours()
    photos, text, ids = make("bn"), make("text"), make("bert")
    wrong = [
        (photos, PHOTOS.astype(np.uint8), r"its input is uint8 \(6, 4, 4, 3\).*photos in \[0, 1\]"),
        (photos, PHOTOS[0], r"its input is float32 \(4, 4, 3\)"),
        (photos, TEXTS, r"its input is string \(6,\)"),
        (text, tf.constant([["a"]]), r'string \(None,\); its input is string \(1, 1\).*shape=\(\), dtype="string"'),
        (text, PHOTOS, r"its input is float32"),
        (ids, {**bert_inputs(), "input_mask": PAIRS}, r"'input_mask': 'int32 \(None, None\)'.*its input is float32"),
        (ids, {"ids": PAIRS}, r"takes \{'input_mask'.*'input_word_ids'"),
        (ids, PAIRS, r"takes \{'input_mask'"),
    ]
    for layer, inputs, words in wrong:
        with pytest.raises(ValueError, match=words):
            layer(inputs)


def test_no_module_is_said():
    ours()
    for name in ("harm", "nowhere"):
        with pytest.raises(ValueError, match="is no module: no SavedModel folder or URL"):
            make(name)


def test_damaged_folders_say_so(tmp_path):
    ours()
    from hub_layer import HubLayer

    def cut(path):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def remove(path):
        path.unlink()

    files = ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]
    faults = [(damage, file) for damage in (cut, remove) for file in files]
    faults.append((remove, "assets/vocabulary.txt"))
    for number, (damage, file) in enumerate(faults):
        copy = shutil.copytree(folder("text"), tmp_path / str(number))
        damage(copy / file)
        gone = damage is remove and file == "saved_model.pb"
        words = "is no module" if gone else r"can't be read .*If the folder is damaged, delete it"
        with pytest.raises(ValueError if gone else RuntimeError, match=r"(?s)" + words) as caught:
            HubLayer(copy)
        assert str(copy) in str(caught.value)


def test_a_url_without_tensorflow_hub_says_what_to_install():
    ours()
    if "tensorflow_hub" in sys.modules:
        no("tensorflow_hub is there")
    with pytest.raises(RuntimeError, match=r"can't be downloaded .*pip install tensorflow-hub"):
        type(make("bn"))("https://example.org/module/1")


def test_a_file_under_the_first_name_loads():
    """The layer was saved as helpers>HubLayer before it had a package of its own."""
    ours()
    layer = make("bn")
    config = {"class_name": "HubLayer", "module": "helpers.hub_layer", "registered_name": "helpers>HubLayer"}
    config["config"] = {"name": layer.name, "trainable": False, "dtype": "float32", "handle": folder("bn")}
    config["config"] |= {"signature": None, "output_key": None, "arguments": {}}
    again = K.saving.deserialize_keras_object(config, safe_mode=False)
    close(again(PHOTOS), layer(PHOTOS), 0)
    assert K.saving.serialize_keras_object(layer)["registered_name"] == "hub_layer>HubLayer"


def test_names_of_a_package_are_resolved_trusted_and_saved(tmp_path):
    ours()
    import hub_layer

    seen = []
    hub_layer.register_names(
        lambda handle: folder("bn") if handle == "our batch norm" else None,
        lambda handle: "our batch norm" if handle == folder("bn") else handle,
        lambda handle, inputs: seen.append(handle),
    )
    try:
        model = K.Sequential([K.Input((4, 4, 3)), hub_layer.HubLayer(folder("bn"))])
        model.save(tmp_path / "model.keras")
        again = K.models.load_model(tmp_path / "model.keras")
        close(again(PHOTOS), model(PHOTOS), 0)
        assert again.layers[0].handle == "our batch norm"
        assert set(seen) == {"our batch norm"}
    finally:
        hub_layer._names.clear()
