"""The course's support module. A lesson teaches in its cells; what would distract from it lives here.

    hub_layer   HubLayer: a Hub module as a Keras 3 layer; `from helpers import HubLayer`
    modules     the catalogue of pretrained modules: which there are, where they come from, what each really is
    photos      labelled photo sets: load, check, decode
    official    the photo sets that TensorFlow Datasets downloads, for COURSE_SOURCE=official
    features    run a module once over a photo set and keep the result
    texts       labelled text sets, and what a text module makes of texts
    training    heads on top of features, and fine-tuning of what lies below
    evaluation  cross-validation, intervals, fair comparisons
    saved_model a callable and its variables as a reusable SavedModel, the format of Hub's modules
    lite        a model as a LiteRT file, for phones
    figures     every figure, each with its alt text
    cache       where prepared things live, and how they get there whole or not at all
    course      the command line: python -m helpers install | prepare | run | refresh | assignments | grade | doctor
    classroom   for teachers: the students' release of the assignments, and grading what comes back
    submissions, sandbox, grading, guarded_kernel   its parts: files handed in, a place for each, nbgrader, the kernel
    packaged    building modules and photo sets out of packages from PyPI and npm

Imports run one way: notebooks -> helpers -> helpers.packaged; course stands on top. Importing helpers is quick and
loads no TensorFlow: a part is loaded when it is first named.
"""

import importlib
import logging
import os
import warnings

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up notes are no part of a lesson
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")  # tensorflow-hub's import says it
# Every new model is traced anew, as it has to be; TensorFlow warns of it in the middle of a lesson's output.
logging.getLogger("tensorflow").addFilter(lambda record: "triggered tf.function retracing" not in record.getMessage())

_PARTS = (
    "modules",
    "photos",
    "features",
    "texts",
    "training",
    "evaluation",
    "saved_model",
    "lite",
    "figures",
    "cache",
    "course",
)


def __getattr__(name):
    if name in ("HubLayer", "hub_layer"):  # the file is a package of its own, too, and knows no catalogue
        hub_layer, modules = (importlib.import_module(f"helpers.{part}") for part in ("hub_layer", "modules"))
        hub_layer.register_names(modules.folder_of, modules.saved_as, modules.check_range)
        return hub_layer.HubLayer if name == "HubLayer" else hub_layer
    if name in _PARTS:
        return importlib.import_module(f"helpers.{name}")
    raise AttributeError(f"helpers has no part {name!r}; it has HubLayer, {', '.join(_PARTS)}")
