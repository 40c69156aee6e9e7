"""What HubLayer says and the names that it keeps: other layers aren't asked for these."""

import importlib.util
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf
from layers import OURS, PAIRS, PHOTOS, TEXTS, K, bert_inputs, close, folder, make, no

pytestmark = pytest.mark.skipif(not OURS, reason="HubLayer's own")


def test_nothing_to_train_is_said():
    with pytest.warns(UserWarning, match="no trainable variables"):
        make("no_variables", True)


def test_an_unknown_length_is_said():
    with pytest.warns(UserWarning, match=r"pass output_shape=\(n,\)"):
        make("unknown_length")(K.Input((2,)))


def test_several_graphs_ask_for_tags():
    with pytest.raises(RuntimeError, match=r"'serve', 'train'.*Choose one of its graphs with tags"):
        make("tf1_tags", signature="serving_default")


def test_a_module_without_a_call_names_its_signatures():
    with pytest.raises(ValueError, match=r"no function of its own to call; signature is one of: serving_default"):
        make("tf1_simple")
    with pytest.raises(ValueError, match=r"no function of its own to call"):
        make("plain")


def test_a_module_without_a_trace_says_so():
    with pytest.raises(ValueError, match=r"without a trace of its function: call it once before you save it"):
        make("untraced")


def test_a_wrong_output_key_names_the_keys():
    with pytest.raises(ValueError, match=r"a dict with the keys encoder_outputs, pooled_output, sequence_output"):
        make("bert", output_key="pooled")
    with pytest.raises(ValueError, match=r"one tensor, no dict"):
        make("bn", output_key="default")


def test_inputs_that_do_not_fit_say_what_does():
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
    for name in ("harm", "nowhere"):
        with pytest.raises(ValueError, match="is no module: no SavedModel folder or URL"):
            make(name)


def test_damaged_folders_say_so(tmp_path):
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


def test_text_operations_are_imported_or_what_to_install_is_said():
    if importlib.util.find_spec("tensorflow_text"):
        assert make("text_operations")(["A", "B"]).numpy().tolist() == [b"a", b"b"]
    else:
        with pytest.raises(RuntimeError, match=r'needs tensorflow_text .*: pip install "tensorflow-text==2\.\d+\.\*"'):
            make("text_operations")


def test_a_url_without_tensorflow_hub_says_what_to_install():
    if "tensorflow_hub" in sys.modules:
        no("tensorflow_hub is there")
    with pytest.raises(RuntimeError, match=r"can't be downloaded .*pip install tensorflow-hub"):
        type(make("bn"))("https://example.org/module/1")


def test_a_file_under_the_first_name_loads():
    """The layer was saved as helpers>HubLayer before it had a package of its own."""
    layer = make("bn")
    config = {"class_name": "HubLayer", "module": "helpers.hub_layer", "registered_name": "helpers>HubLayer"}
    config["config"] = {"name": layer.name, "trainable": False, "dtype": "float32", "handle": folder("bn")}
    config["config"] |= {"signature": None, "output_key": None, "arguments": {}}
    again = K.saving.deserialize_keras_object(config, safe_mode=False)
    close(again(PHOTOS), layer(PHOTOS), 0)
    assert K.saving.serialize_keras_object(layer)["registered_name"] == "hub_layer>HubLayer"


def test_names_of_a_package_are_resolved_trusted_and_saved(tmp_path):
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
