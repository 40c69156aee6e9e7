"""Files from other people: what Keras' and our guards stop, and what a reader allows by naming a folder."""

import pickle
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import features, photos
from sources import cache
from sources.readers import weights

pytestmark = pytest.mark.tensorflow


class Harm:
    """Writes a file as soon as it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_lambda_in_a_keras_file_is_refused_though_helpers_are_imported(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: 2 * x)])
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        with pytest.raises(Exception, match="unsafe"):
            keras.saving.load_model(tmp_path / name)


def test_a_keras_file_that_names_any_function_of_python_is_refused(tmp_path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        parts = {name: file.read(name) for name in file.namelist()}
    harm = b'"module": "os", "class_name": "system"'
    parts["config.json"] = parts["config.json"].replace(b'"module": "keras.layers", "class_name": "Dense"', harm)
    assert harm in parts["config.json"]
    with zipfile.ZipFile(tmp_path / "hostile.keras", "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    with pytest.raises((TypeError, ValueError), match=r"could not be deserialized|Could not"):
        keras.saving.load_model(tmp_path / "hostile.keras")


def test_a_pickle_in_the_place_of_vectors_or_weights_is_not_opened(tmp_path, mean_module, photo_folder, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    trees = photos.load(photo_folder())
    features.extract(trees, mean_module)
    (kept,) = cache.root().glob("features/*/features.npy")
    np.save(kept, np.array([Harm(tmp_path / "harm")], dtype=object), allow_pickle=True)
    for record in cache.root().glob("written/features/*"):  # else the course would refuse it as damaged
        record.unlink()
    with pytest.raises(ValueError, match="allow_pickle"):
        features.extract(trees, mean_module)
    (tmp_path / "weights.h5").write_bytes(pickle.dumps(Harm(tmp_path / "harm")))
    with pytest.raises(Exception, match=r"weights\.h5"):
        weights.from_h5(tmp_path / "weights.h5")
    assert not (tmp_path / "harm").exists()


def test_a_saved_model_that_is_named_runs_what_its_graph_says(tmp_path, photo_folder, export, monkeypatch):
    """So docs/sources.md says. Should TensorFlow forbid it one day, that page can say so."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))

    def call(batch):
        with tf.control_dependencies([tf.io.write_file(str(tmp_path / "harm"), "harm")]):
            return tf.reduce_mean(batch, [1, 2])

    folder = export(tmp_path / "hostile", call)
    assert not (tmp_path / "harm").exists()
    features.extract(photos.load(photo_folder()), folder)
    assert (tmp_path / "harm").exists()
