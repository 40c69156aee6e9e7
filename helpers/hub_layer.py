"""HubLayer: a TensorFlow Hub module (https://www.tensorflow.org/hub/reusable_saved_models) as a Keras 3 layer."""

import inspect
import os
import warnings

import keras
import tensorflow as tf
from keras.src.saving import serialization_lib  # no public name tells whether Keras is loading in safe mode

from helpers import modules
from sources import cache


def load(handle):
    """Return the module behind a handle. ValueError: there is none. RuntimeError: it can't be downloaded or read."""
    if handle in modules.catalogue():
        return tf.saved_model.load(modules.path(handle))
    folder = modules.resolve(handle) if "://" in handle else _local(handle)
    if not tf.saved_model.contains_saved_model(folder):
        names = ", ".join(modules.catalogue())
        raise ValueError(f"{handle!r} is no module: no name in the catalogue ({names}), SavedModel folder or URL.")
    import tensorflow_text  # noqa: F401  most text modules use its operations

    try:
        return tf.saved_model.load(folder)
    except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
        raise RuntimeError(f"{folder} can't be read ({error}). If it is damaged, delete it and get it anew.") from error


def _local(handle):
    return os.path.join(cache.root(), handle.removeprefix("cache:")) if handle.startswith("cache:") else handle


def _portable(handle):
    """A handle as it is saved: a folder in the cache becomes cache:FOLDER, so that the cache can move."""
    handle = _local(handle)
    root, folder = os.path.abspath(cache.root()), os.path.abspath(handle)  # abspath takes out every ..
    outside = handle in modules.catalogue() or "://" in handle or not folder.startswith(root + os.sep)
    return handle if outside else "cache:" + os.path.relpath(folder, root)


@keras.saving.register_keras_serializable(package="helpers")
class HubLayer(keras.layers.Layer):
    """A layer that computes what a module computes: float32 [n, h, w, 3], or strings [n] for text, to float32 [n, d].

    handle: a catalogue name, the folder of a SavedModel, or a URL.
    trainable: whether training changes the module; a frozen module's batch norm runs in inference mode, too.
    signature: the signature to call in place of the module itself; for inference only.
    output_key: which output to return, where there is a dict of them.
    arguments: dict of further keyword arguments of the module; it must fit into JSON. {"training": False} keeps batch
    norm in inference mode while the weights are trained.
    kwargs: Keras' own, such as name. dtype is float32 whatever is asked: the types inside a SavedModel are fixed.

    A saved model holds the weights and the handle, not the module's graph. keras.saving.load_model takes a catalogue
    name or a folder in the cache; another handle needs safe_mode=False, because a graph from elsewhere can do harm.
    Raises ValueError for a handle, signature, output_key or input that does not fit, RuntimeError as `load` does.
    """

    def __init__(self, handle, trainable=False, signature=None, output_key=None, arguments=None, **kwargs):
        super().__init__(trainable=trainable, **{**kwargs, "dtype": "float32"})
        self.handle, self.signature, self.output_key = _portable(str(handle)), signature, output_key
        self.arguments = dict(arguments or {})
        self.supports_jit = False  # XLA has no strings and no lookup tables
        self._module = load(self.handle)  # TensorFlow tracks it: model.export() finds tables and assets here
        signatures = dict(sorted(getattr(self._module, "signatures", {}).items()))
        if signature not in signatures and (signature or not callable(self._module)):
            fault = f"signature {signature!r}" if signature else "function of its own to call"
            raise ValueError(f"{handle} has no {fault}; signature is one of: {', '.join(signatures)}.")
        self._function = signatures[signature] if signature else self._module.__call__
        traces = [self._function] if signature else self._function.concrete_functions
        keys = sorted(traces[0].structured_outputs) if isinstance(traces[0].structured_outputs, dict) else [None]
        if output_key not in keys:
            gives = "one tensor, no dict" if keys == [None] else f"a dict with the keys {', '.join(keys)}"
            raise ValueError(f"{handle} gives {gives}; output_key is {output_key!r}.")
        self._specs = [tf.nest.flatten(trace.structured_input_signature)[0] for trace in traces]
        self._takes_training = not signature and "training" in inspect.signature(self._function).parameters
        self._share_weights(traces[0].variables)
        self.built = True

    def _share_weights(self, used):
        """Make Keras track the module's own variables. Nothing is copied: an optimizer's step moves the module."""
        variables = used if self.signature else getattr(self._module, "variables", used)
        own = [] if self.signature else [id(v) for v in getattr(self._module, "trainable_variables", [])]
        for number, v in enumerate(variables):  # autocast=False: the module's graph reads each in its own type
            options = {"trainable": id(v) in own, "autocast": False, "name": f"weight_{number}"}
            self._track_variable(keras.Variable(v, dtype=v.dtype.name, **options))
        if self.trainable and not self.signature and not own:
            warnings.warn(f"{self.handle} declares no trainable variables: training won't change it.", stacklevel=3)

    def __call__(self, inputs, *args, **kwargs):
        """Check the inputs before Keras does: it would hide our message in its own."""
        return super().__call__(self._checked(inputs), *args, **kwargs)

    def _checked(self, inputs):
        if self.trainable and self.signature:
            raise ValueError(f"signature {self.signature!r} is for inference only: set trainable=False on {self.name}.")
        wanted, size = self._specs[0], modules.catalogue().get(self.handle, {}).get("input_size")
        if wanted.dtype == tf.string and isinstance(inputs, str | list | tuple):
            inputs = tf.constant(inputs)
        if not hasattr(inputs, "dtype"):
            return inputs  # several inputs: their check is left to TensorFlow
        dtype = tf.as_dtype(inputs.dtype)
        fits = dtype == wanted.dtype or (dtype.is_floating and wanted.dtype.is_floating)  # Keras casts floats
        if not fits or not any(spec.shape.is_compatible_with(inputs.shape) for spec in self._specs):
            cure = "Photos are one batch [n, h, w, 3] of floats in [0, 1]." if size else ""
            cure = 'Declare text as keras.Input(shape=(), dtype="string").' if wanted.dtype == tf.string else cure
            takes = f"{self.handle} takes {wanted.dtype.name} {wanted.shape}"
            raise ValueError(f"{takes}; its input is {dtype.name} {inputs.shape}. {cure}")
        if size and tf.executing_eagerly() and not keras.backend.is_keras_tensor(inputs) and tf.reduce_max(inputs) > 2:
            warnings.warn(f"{self.handle} takes photos in [0, 1]; these go beyond: divide by 255.", stacklevel=3)
        return inputs

    def call(self, inputs, training=False):
        kwargs = {"training": bool(training and self.trainable), **self.arguments}
        if not self._takes_training:
            del kwargs["training"]
        by_name = self.signature and isinstance(inputs, dict)
        outputs = self._function(**inputs, **kwargs) if by_name else self._function(inputs, **kwargs)
        for loss in getattr(self._module, "regularization_losses", []) if self.trainable else []:
            self.add_loss(loss())
        return outputs if self.output_key is None else outputs[self.output_key]

    def get_config(self):
        own = {"signature": self.signature, "output_key": self.output_key, "arguments": dict(self.arguments)}
        return {**super().get_config(), "handle": self.handle, **own}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        handle = _portable(config["handle"])
        known = handle in modules.catalogue() or handle.startswith("cache:")
        if not known and serialization_lib.in_safe_mode() is not False:
            fault = f"the saved model needs {handle}, which is neither in the catalogue nor in the cache"
            raise ValueError(f"{fault}. If you trust that module: keras.saving.load_model(..., safe_mode=False).")
        return cls(**{**config, "handle": handle})
