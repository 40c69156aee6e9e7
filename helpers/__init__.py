"""The course's support module. A lesson teaches in its cells; what would distract from it is here.

hub_layer    HubLayer: a Hub module as a Keras 3 layer; `from helpers import HubLayer`
modules      the catalogue of pretrained modules: which there are, where they come from, what each really is
photos       labelled photo sets
texts        labelled text sets, and what a text module makes of texts
features     run a module once over a photo set and keep the result
training     heads on top of features, and fine-tuning of what is below them
evaluation   cross-validation, confidence intervals, fair comparisons
figures      every figure, each with its alt text
saved_model  a callable and its variables as a reusable SavedModel, the format of Hub's modules
lite         a model as a LiteRT file, for phones
report       what a lesson reports: its metrics, the article's claims

Importing helpers loads no TensorFlow.
"""

import logging
import os
import re
import warnings

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up notes are no part of a lesson
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")  # tensorflow-hub's import says it
# Every new model has to be traced, and TensorFlow warns of it in the middle of a lesson's output. It also says where it
# wrote a module's assets, of which there mostly are none, with the machine's own path.
NOTES = re.compile("triggered tf.function retracing|Assets written to")
logging.getLogger("tensorflow").addFilter(lambda record: not NOTES.search(record.getMessage()))


def __getattr__(name):
    if name != "HubLayer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from helpers import hub_layer, modules  # hub_layer needs TensorFlow, which takes seconds to import

    hub_layer.register_names(modules.folder_of, modules.saved_as, modules.check_range)  # it knows no catalogue
    return hub_layer.HubLayer
