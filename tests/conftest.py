"""What the tests share: photo folders made on the spot, prepared modules and photos, and nbval's two corrections."""

import functools
import os
import sys

import nbval.kernel
import nbval.plugin
import numpy as np
import pytest
from PIL import Image

from course import run
from helpers import modules, photos

if os.environ.get(
    "NO_TENSORFLOW"
):  # `make check`: files and marked tests that need it are left out, what else asks fails
    sys.modules["tensorflow"] = None
    names = (
        "features",
        "lite",
        "modules",
        "official",
        "saved_model",
        "texts",
        "training",
        "photos",
        "plant_foods",
        "untrusted",
    )
    collect_ignore_glob = [
        *(f"helpers/test_{name}.py" for name in names),
        *("hub_layer/*", "classroom/test_grading.py", "classroom/test_assignments.py", "notebooks/test_real_photos.py"),
        *("site/*", "scale/*"),
        *("sources/test_engines.py", "sources/test_official_photos.py", "sources/test_fuzzing.py"),
    ]


def pytest_collection_modifyitems(config, items):
    """Skip the cells of lessons that lack a package; leave what needs TensorFlow or a kernel out of `make check`."""
    for item in items:
        if item.path.suffix == ".ipynb" and (what := run.lacking(item.path.stem)):
            item.add_marker(pytest.mark.skip(reason=what))
    if os.environ.get("NO_TENSORFLOW"):
        slow = [item for item in items if item.get_closest_marker("tensorflow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


@pytest.fixture(autouse=True)
def packaged_source(monkeypatch):
    """These tests are about the packaged source, whatever the shell that starts them has set."""
    monkeypatch.delenv("COURSE_SOURCE", raising=False)


@pytest.fixture(scope="session")
def flowers():
    """Return the 210 flower photos."""
    with pytest.MonkeyPatch.context() as patch:  # a session's fixture is made before packaged_source
        patch.delenv("COURSE_SOURCE", raising=False)
        return photos.load("flowers")


@pytest.fixture(scope="session")
def loaded():
    """Give a function of a module's name that returns the loaded SavedModel; each is loaded once in a session."""
    import tensorflow as tf

    return functools.cache(lambda name: tf.saved_model.load(modules.path(name)))


@pytest.fixture
def photo_folder(tmp_path):
    """Give a function that writes small JPEGs, one folder per class, no two alike, and returns the folder."""

    def write(classes=("oak", "pine"), each=3):
        folder = tmp_path / "own photos"  # a reader's folder may well have a space in its name
        draw = np.random.default_rng(0)
        for name in classes:
            (folder / name).mkdir(parents=True)
            for number in range(each):
                pixels = draw.integers(0, 256, (20, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / name / f"{number}.jpg")
        return folder

    return write


def export_module(folder, call):
    """Write call, a function of photos [n, h, w, 3], as the smallest SavedModel that counts as a module."""
    import tensorflow as tf

    module = tf.Module()
    spec = tf.TensorSpec([None, None, None, 3], tf.float32)
    module.__call__ = tf.function(call, input_signature=[spec], autograph=False)
    tf.saved_model.save(module, str(folder))
    return str(folder)


@pytest.fixture(scope="session")
def export():
    """Give export_module to the tests."""
    return export_module


@pytest.fixture(scope="session")
def mean_module(tmp_path_factory):
    """Return the folder of a module whose feature vector is a photo's mean colour, float32 [n, 3]."""
    import tensorflow as tf

    return export_module(tmp_path_factory.mktemp("modules") / "mean", lambda batch: tf.reduce_mean(batch, [1, 2]))


def _correct_nbval():
    """Make nbval 0.11 compare what a reader sees. It offers no option for either point.

    stderr is compared like any output, but holds what differs from machine to machine: progress bars, the notes of
    TensorFlow and of drivers; and no notebook is committed with it.

    A semicolon that ends a cell hides its value. IPython looks for it in the history of inputs, which nbval switches
    off, so that under nbval such a cell shows a value that the stored notebook has not.
    """
    init = nbval.plugin.IPyNbFile.__init__

    def init_without_stderr(self, *args, **kwargs):
        init(self, *args, **kwargs)
        self.skip_compare = (*self.skip_compare, "stderr")

    def execute_with_history(self, cell_input, allow_stdin=None):
        return self.kc.execute(cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)

    nbval.plugin.IPyNbFile.__init__ = init_without_stderr
    nbval.kernel.RunningKernel.execute_cell_input = execute_with_history


_correct_nbval()
