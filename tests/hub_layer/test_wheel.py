"""The wheel in bare environments: its checks, its README's example word for word, and what it says if it can't run."""

import json
import os
import re
import runpy
import shutil
import sys
import textwrap
import zipfile

import environments
import keras
import pytest

pytestmark = pytest.mark.network
HUB_LAYER = environments.ROOT / "helpers" / "hub_layer.py"
# What may fail, since Keras' own layers or TensorFlow alone fail it, too: see the README of the wheel.
BEYOND = {"check_inputs.py::test_text_in_numpy_unicode_fitted"}
BEYOND |= {"check_old_modules.py::test_tensorflow_1_simple_save_exported_again"}
BEYOND |= {f"check_distributed.py::test_mirrored[text-{trainable}]" for trainable in (True, False)}
LESSON = environments.ROOT / "notebooks" / "02_hub_feature_extractor.ipynb"


def test_the_file_is_short_and_knows_nothing_of_the_course():
    text = HUB_LAYER.read_text()
    assert text.count("\n") <= 250
    imported = set(re.findall(r"^ *(?:import|from) ([a-z_]+)", text, re.MULTILINE))
    others = imported - set(sys.stdlib_module_names)
    assert others == {"keras", "numpy", "tensorflow", "tensorflow_text", "tensorflow_hub"}


def test_the_readme_shows_the_last_results():
    rows, readme = environments.stored(), environments.README.read_text()
    assert {row["environment"] for row in rows} <= set(environments.ENVIRONMENTS)
    assert environments.insert(readme, rows) == readme
    assert all(table in readme for table in environments.tables(rows).values())


def beyond(name):
    # On TensorFlow 2.16 this takes the process with it, whatever the layer.
    return BEYOND | ({"check_saving.py::test_lite_from_keras_model"} if name.startswith("2.16") else set())


def test_what_fails_with_the_layer_fails_without_it():
    for row in environments.stored():
        if row["layer"] == "HubLayer":
            assert set(row["failed"]) <= beyond(row["environment"]) & environments.control(row["environment"])


def test_lesson_02_runs_the_readmes_example_word_for_word():
    example = re.search(r"```python\n.*?import HubLayer\n\n(.*?)```", environments.README.read_text(), re.DOTALL)[1]
    cells = ["".join(cell["source"]) for cell in json.loads(LESSON.read_text())["cells"]]
    assert any(cell.endswith(textwrap.indent(example, "    ").rstrip()) for cell in cells)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="module")
def built(place):
    try:
        return environments.wheel(place)
    except AssertionError as error:
        pytest.skip(f"the wheel can't be built here: {error}")


def bare(place, built, version, packages):
    try:
        return environments.create(
            place / re.sub(r"\W+", "-", " ".join([version, *packages])), version, packages, built
        )
    except AssertionError as error:
        pytest.skip(f"no such environment here: {error}")


@pytest.fixture(scope="module")
def newest(place, built):
    version, packages = environments.ENVIRONMENTS[environments.NEWEST]
    return bare(place, built, version, packages)


def test_the_wheel_holds_the_one_file(built):
    with zipfile.ZipFile(built) as archive:
        names = {name for name in archive.namelist() if not name.startswith("hub_layer-")}
        assert names == {"hub_layer/__init__.py", "hub_layer/py.typed"}
        assert archive.read("hub_layer/__init__.py") == HUB_LAYER.read_bytes()
        metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
        assert re.findall(r"Requires-Dist: (.*)", archive.read(metadata).decode()) == ["keras>=3.10"]
    lines, size = re.search(r"(\d+) lines.*?(\d+) kB", environments.README.read_text(), re.DOTALL).groups()
    assert int(lines) == HUB_LAYER.read_text().count("\n")
    assert abs(int(size) - built.stat().st_size / 1000) < 1


def assert_the_checks_pass(name, python, folder, files=tuple(environments.SUBJECTS)):
    """Nothing fails but what fails without the layer, too; and as many run as in the results that are stored."""
    made = environments.modules(python, folder / "modules")
    results = environments.check(python, "HubLayer", made, folder / "HubLayer.jsonl", files)
    assert set(environments.failed(results)) <= beyond(name)
    rows = [row for row in environments.stored() if (row["environment"], row["layer"]) == (name, "HubLayer")]
    assert len(rows) == 1, "run environments.py, so that the README has this row"
    asked = sum(rows[0]["counts"][file][1] for file in files)
    assert sum(result != "skipped" for result in results.values()) == asked


def test_the_example_and_a_core_of_the_checks_pass_on_the_newest_versions(newest, tmp_path):
    environments.example(newest, tmp_path)
    assert_the_checks_pass(environments.NEWEST, newest, tmp_path, ["check_training.py", "check_messages.py"])


@pytest.mark.long
@pytest.mark.parametrize("name", environments.ENVIRONMENTS)
def test_the_checks_pass_on(name, place, built, tmp_path):
    python = bare(place, built, *environments.ENVIRONMENTS[name])
    environments.example(python, tmp_path)
    assert_the_checks_pass(name, python, tmp_path)
    shutil.rmtree(python.parent.parent)


def assert_import_is_refused(python, words, **environment):
    with pytest.raises(AssertionError, match=re.escape(words)):
        environments.run([python, "-c", "import hub_layer"], env=os.environ | environment)


def test_a_missing_tensorflow_is_said(place, built):
    words = "ImportError: hub_layer needs TensorFlow: pip install tensorflow, or tensorflow-cpu"
    assert_import_is_refused(bare(place, built, "3.11", ["keras"]), words)


def test_an_older_keras_is_refused(newest, tmp_path):
    environments.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", tmp_path, "keras==3.9.2"])
    words = "ImportError: hub_layer needs keras>=3.10 on tensorflow; got 3.9.2"
    assert_import_is_refused(newest, words, PYTHONPATH=str(tmp_path))


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")  # the real one isn't installed here
    with pytest.raises(ImportError, match=r"hub_layer needs keras>=3.10 on tensorflow; got .*, jax"):
        runpy.run_path(str(HUB_LAYER))
