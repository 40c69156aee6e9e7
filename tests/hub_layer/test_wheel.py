"""The wheel in bare environments: its checks, its README's example word for word, and what it says if it can't run."""

import re
import shutil
import sys
import zipfile

import environments
import pytest

pytestmark = pytest.mark.network
HUB_LAYER = environments.ROOT / "helpers" / "hub_layer.py"
# What Keras' own layers or TensorFlow alone can't do either: see the README of the wheel.
BEYOND = {"test_text_in_numpy_unicode_fitted", "test_tensorflow_1_simple_save_exported_again"}
BEYOND |= {"test_mirrored[text-True]", "test_mirrored[text-False]"}


def test_the_file_is_short_and_knows_nothing_of_the_course():
    text = HUB_LAYER.read_text()
    assert text.count("\n") <= 250
    imported = set(re.findall(r"^ *(?:import|from) ([a-z_]+)", text, re.MULTILINE))
    others = imported - set(sys.stdlib_module_names)
    assert others == {"keras", "numpy", "tensorflow", "tensorflow_text", "tensorflow_hub"}


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
        return environments.create(place / re.sub(r"\W", "-", " ".join(packages)), version, packages, built)
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
    assert built.stat().st_size < 50_000


def run_the_readme(python, folder):
    readme = (environments.ROOT / "hub_layer" / "README.md").read_text()
    example = re.search(r"## Example.*?```python\n(.*?)```\s+It prints `(.*?)`", readme, re.DOTALL)
    ran = environments.run([python, "-c", example[1]], cwd=folder)
    assert ran.stdout.strip() == example[2]
    environments.run([python, "-m", "doctest", HUB_LAYER], cwd=folder)


def test_the_readme_and_the_docstring_run_as_printed(newest, tmp_path):
    run_the_readme(newest, tmp_path)


def failed(python, folder):
    made = environments.modules(python, folder / "modules")
    results = environments.check(python, "HubLayer", made, folder / "HubLayer.jsonl")
    assert len(results) >= 105
    return {name for name, result in results.items() if result in ("failed", "died")}


@pytest.mark.long  # three of them fail there today: the README of the wheel names them
def test_the_checks_pass_on_the_newest_versions(newest, tmp_path):
    assert failed(newest, tmp_path) <= BEYOND


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in environments.ENVIRONMENTS if name != environments.ALTERNATIVES])
def test_the_checks_pass_on(name, place, built, tmp_path):
    python = bare(place, built, *environments.ENVIRONMENTS[name])
    # On TensorFlow 2.16 this takes the process with it, whatever the layer.
    beyond = BEYOND | ({"test_lite_from_keras_model"} if name.startswith("2.16") else set())
    assert failed(python, tmp_path) <= beyond
    run_the_readme(python, tmp_path)
    shutil.rmtree(python.parent.parent)


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        (["keras"], "ImportError: hub_layer needs TensorFlow: pip install tensorflow, or tensorflow-cpu"),
        (
            ["tensorflow-cpu==2.18.*", "keras==3.9.2"],
            "ImportError: hub_layer needs keras>=3.10 on tensorflow; got 3.9.2",
        ),
    ],
    ids=["without TensorFlow", "with an older Keras"],
)
def test_what_is_missing_is_said(packages, words, place, built):
    python = bare(place, built, "3.11", packages)
    with pytest.raises(AssertionError, match=re.escape(words)):
        environments.run([python, "-c", "import hub_layer"])


@pytest.mark.long  # a bare environment has no scipy, which Keras' numpy backend needs
def test_another_backend_is_refused(newest):
    with pytest.raises(AssertionError, match=r"hub_layer needs keras>=3.10 on tensorflow; got .*, numpy"):
        environments.run(["env", "KERAS_BACKEND=numpy", newest, "-c", "import hub_layer"])
