"""HubLayer: a TensorFlow Hub module (https://www.tensorflow.org/hub/reusable_saved_models) as a Keras 3 layer."""

import functools
import importlib.util
import inspect
import os
import warnings
from collections.abc import Callable
from typing import Any

if not importlib.util.find_spec("tensorflow"):
    raise ImportError("hub_layer needs TensorFlow: pip install tensorflow, or tensorflow-cpu.")
import keras
import numpy as np
import tensorflow as tf

if tuple(map(int, keras.__version__.split(".")[:2])) < (3, 10) or keras.backend.backend() != "tensorflow":
    raise ImportError(f"hub_layer needs keras>=3.10 on tensorflow; got {keras.__version__}, {keras.backend.backend()}")
from keras.src.saving import serialization_lib  # no public name tells whether Keras is loading in safe mode

_names: dict[Callable, tuple[Callable, Callable]] = {}  # what packages registered: (shorten, check) by resolve


def register_names(resolve: Callable, shorten: Callable = str, check: Callable = lambda handle, inputs: None) -> None:
    """Let HubLayer take a package's own names for modules.

    Args:
        resolve: Function from a handle to its folder, or None. What it knows, unless a URL, saved models may load.
        shorten: Function from a handle to what a saved model keeps of it, such as a name for a folder that may move.
        check: Function of a layer's handle and its inputs, called outside of graphs, that may warn or raise ValueError.
    """
    _names[resolve] = shorten, check


def load(handle: str | os.PathLike, tags: list[str] | None = None) -> Any:
    """Return the module behind a handle, as `tf.saved_model.load` returns it.

    Args:
        handle: The folder of a SavedModel, a URL that the package tensorflow-hub downloads, or a registered name.
        tags: Which of its graphs, if a TensorFlow 1 exporter wrote several.

    Raises:
        ValueError: There is no such module.
        RuntimeError: It can't be downloaded or read, or needs a package that can't be imported.
    """
    handle = str(handle)
    known = next((folder for resolve in _names if (folder := resolve(handle))), None)
    folder = known or (_download(handle) if "://" in handle else handle)
    if folder == handle and not tf.saved_model.contains_saved_model(folder):
        raise ValueError(f"{handle!r} is no module: no SavedModel folder or URL.")
    if tags is None and tf.io.gfile.exists(os.path.join(folder, "tfhub_module.pb")):
        tags = []  # TensorFlow 1's Hub format
    registry = tf.__internal__.saved_model.load
    if "optimizer" not in registry.registered_identifiers():  # tf_keras has its own
        kind = registry.VersionedTypeRegistration(lambda proto: _Optimizer(), 2, 1, 1, setter=setattr)
        registry.register_revived_type("optimizer", lambda thing: isinstance(thing, _Optimizer), [kind])
    try:
        return tf.saved_model.load(folder, tags)
    except Exception as error:  # damage raises whatever the first wrong byte leads to
        if "Op type not registered" in str(error):
            try:
                import tensorflow_text  # noqa: F401  has the operations of most text modules
            except (ImportError, tf.errors.OpError) as missing:
                cure = f'pip install "tensorflow-text=={".".join(tf.__version__.split(".")[:2])}.*"'
                raise RuntimeError(f"{folder} needs tensorflow_text ({missing}): {cure}.") from error
            return tf.saved_model.load(folder, tags)
        cure = "If the folder is damaged, delete it and get the module again; for a name or URL, just run again"
        cure = "Choose one of its graphs with tags" if "MetaGraph" in str(error) else cure
        raise RuntimeError(f"{folder} can't be read ({error}). {cure}.") from error


def _download(url):
    try:
        import tensorflow_hub

        return tensorflow_hub.resolve(url)
    except (ImportError, OSError, EOFError, ValueError, tf.errors.OpError) as error:  # HTTPError is an OSError
        cure = 'If a package is missing: pip install tensorflow-hub tf-keras "setuptools<82". Or give a folder'
        raise RuntimeError(f"{url} can't be downloaded ({error}). {cure}.") from error


def _fitted(spec, part):
    """Return a part of the inputs as an array or tensor; raise an error if it doesn't fit the spec."""
    if not any(tf.is_tensor(leaf) or keras.backend.is_keras_tensor(leaf) for leaf in keras.tree.flatten(part)):
        part = np.asarray(part)  # of a list, a tuple, a column of a table
        part = tf.constant(part.tolist(), tf.string) if part.dtype.kind in "OUS" else part
    dtype = tf.as_dtype(part.dtype)
    same = dtype == spec.dtype or (dtype.is_floating and spec.dtype.is_floating)  # Keras casts floats
    if not (same and spec.shape.is_compatible_with(part.shape)):
        raise ValueError(f"its input is {dtype.name} {part.shape}")
    return part


class _Optimizer(tf.__internal__.tracking.AutoTrackable):
    """Stands for the optimizer that Keras 2 saved with a model: TensorFlow can't load the model without."""

    def add_slot(self, var, slot_name, *args, **kwargs):
        return tf.Variable(tf.zeros_like(var), trainable=False)


class _Own(str):
    """A handle in the config of a layer of this process. JSON can't hold the mark: what comes from a file is a str."""


class _Declared(keras.regularizers.Regularizer, list):
    """Losses that a module declares on one variable. Keras counts them once, however often the layer is called."""

    def __call__(self, _):
        return tf.add_n([loss() for loss in self])


@keras.saving.register_keras_serializable(package="hub_layer")  # its name in files, and below it the first it had
@keras.saving.register_keras_serializable(package="helpers")
class HubLayer(keras.layers.Layer):
    """A Keras layer that computes what a module computes, and trains it if you ask.

    Example:
        >>> import keras, tensorflow as tf
        >>> from hub_layer import HubLayer
        >>> module = tf.train.Checkpoint(kernel=tf.Variable(tf.ones([3, 4])))
        >>> module.__call__ = tf.function(lambda x: x @ module.kernel, input_signature=[tf.TensorSpec([None, 3])])
        >>> tf.saved_model.save(module, "colours")
        >>> model = keras.Sequential([keras.Input((3,)), HubLayer("colours", trainable=True), keras.layers.Dense(2)])
        >>> [tuple(weight.shape) for weight in model.trainable_weights]
        [(3, 4), (4, 2), (2,)]

    Args:
        handle: As for `load`. A saved model keeps only it and the weights. If you trust it, load with safe_mode=False.
        trainable: Whether training changes the module. The batch norm of a frozen module runs in inference mode, too.
        signature: The signature to call in place of the module itself. It always computes as it was saved.
        output_key: Which output to return if there is a dict of them; by default the whole dict.
        arguments: The module's other arguments. {"training": False} trains, but with batch norm in inference mode.
        tags: As for `load`.
        output_shape: The shape of the one output without the batch, if the module doesn't say it.
        **kwargs: Keras' own, such as name; dtype has no effect, since the types inside a SavedModel are fixed.

    Raises:
        ValueError: An argument or an input doesn't fit the module. Other errors are those of `load`.
    """

    def __init__(
        self,
        handle: str | os.PathLike,
        trainable: bool = False,
        signature: str | None = None,
        output_key: str | None = None,
        arguments: dict[str, Any] | None = None,
        tags: list[str] | None = None,
        output_shape: tuple[int | None, ...] | None = None,
        **kwargs,
    ) -> None:
        super().__init__(trainable=trainable, **{**kwargs, "dtype": "float32"})
        self.handle, self.signature, self.output_key = str(handle), signature, output_key
        self.arguments, self.tags, self.output_shape = dict(arguments or {}), tags, output_shape
        for shorten, _ in _names.values():
            self.handle = shorten(self.handle)
        self.supports_jit = False  # XLA has no strings and no lookup tables
        self._module = load(self.handle, tags)  # TensorFlow tracks it: model.export() finds tables and assets here
        signatures = dict(sorted(getattr(self._module, "signatures", {}).items()))
        if signature not in signatures and (signature or not callable(self._module)):
            fault = f"signature {signature!r}" if signature else "function of its own to call"
            raise ValueError(f"{handle} has no {fault}; signature is one of: {', '.join(signatures)}.")
        self._function = signatures[signature] if signature else self._module.__call__
        traces = [self._function] if signature else self._function.concrete_functions
        if not traces:
            raise ValueError(f"{handle} was saved without a trace of its function: call it once before you save it.")
        keys = sorted(traces[0].structured_outputs) if isinstance(traces[0].structured_outputs, dict) else []
        if output_key not in [None, *keys]:
            gives = f"a dict with the keys {', '.join(keys)}" if keys else "one tensor, no dict"
            raise ValueError(f"{handle} gives {gives}; output_key is {output_key!r}.")
        takes = [kw if signature else args[0] for args, kw in (t.structured_input_signature for t in traces)]
        self._takes = lambda: takes  # Keras would track a list, and make other dicts of the dicts in it
        takes_training = not signature and "training" in inspect.signature(self._function).parameters
        self._has_modes = takes_training and "training" not in self.arguments
        self.arguments = {k: v for k, v in self.arguments.items() if takes_training or k != "training"}
        self._share_weights(list({id(v): v for trace in traces for v in trace.variables}.values()))
        self.built = True

    def _share_weights(self, used):
        """Make Keras track the module's own variables. Keras 3.10 and newer copy none: a step moves the module."""
        declares = hasattr(self._module, "variables")  # a tf.Module has such a list, but loses it when it is saved
        trainable = getattr(self._module, "trainable_variables", [] if declares else [v for v in used if v.trainable])
        own, losses = {id(v) for v in trainable}, {}
        for loss in getattr(self._module, "regularization_losses", []):
            reads = [id(v) for trace in getattr(loss, "concrete_functions", [loss]) for v in trace.variables]
            losses.setdefault(next((v for v in reads if v in own), None), _Declared()).append(loss)
        for n, v in enumerate(self._module.variables if declares and not self.signature else used):
            weight = keras.Variable(v, dtype=v.dtype.name, trainable=id(v) in own, autocast=False, name=f"weight_{n}")
            weight.regularizer = losses.get(id(v))
            self._track_variable(weight)
        if self.trainable and not self.trainable_weights:
            warnings.warn(f"{self.handle} declares no trainable variables: training won't change it.", stacklevel=3)

    def __call__(self, inputs, *args, **kwargs):
        """Check the inputs before Keras does: it would hide our message in its own."""
        inputs = self._checked(inputs)
        if tf.executing_eagerly() and not any(map(keras.backend.is_keras_tensor, keras.tree.flatten(inputs))):
            for _, check in _names.values():
                check(self.handle, inputs)
        return super().__call__(inputs, *args, **kwargs)

    def _checked(self, inputs):
        bare = self.signature and len(self._takes()[0]) == 1 and not isinstance(inputs, dict)  # its input has no name
        traces, faults = [next(iter(takes.values())) if bare else takes for takes in self._takes()], []
        for takes in traces:
            try:
                return keras.tree.map_structure_up_to(takes, _fitted, takes, inputs)
            except (AttributeError, TypeError, ValueError) as error:
                faults.append(error)
        told = keras.tree.map_structure(lambda spec: f"{spec.dtype.name} {spec.shape}", traces[0])
        told = dict(sorted(told.items())) if isinstance(told, dict) else told  # a SavedModel keeps no order
        spec = tf.nest.flatten(traces[0])[0]
        cure = f'Declare it as keras.Input(shape={spec.shape[1:]}, dtype="{spec.dtype.name}").'
        cure = f"{cure} Most modules take photos in [0, 1]." if spec.shape.rank == 4 else cure
        raise ValueError(f"{self.handle} takes {told}; {faults[0]}. {cure}")

    def call(self, inputs, training=False):
        training = self.trainable and training is not None and training
        args, named = ((), inputs) if self.signature and isinstance(inputs, dict) else ((inputs,), {})
        run = functools.partial(self._function, *args, **named, **self.arguments)
        if self._has_modes and tf.is_tensor(training):
            outputs = tf.cond(training, lambda: run(training=True), lambda: run(training=False))
        else:
            outputs = run(training=training) if self._has_modes else run()
        outputs = outputs if self.output_key is None else outputs[self.output_key]
        return outputs if self.output_shape is None else tf.ensure_shape(outputs, [None, *self.output_shape])

    def compute_output_spec(self, *args, **kwargs):
        outputs = keras.Operation.compute_output_spec(self, *args, **kwargs)  # a trace; Layer's knows shapes, no types
        if any("float" in out.dtype and out.shape[-1:] == (None,) for out in keras.tree.flatten(outputs)):
            warnings.warn(f"{self.handle} doesn't say how long its vectors are: pass output_shape=(n,).", stacklevel=3)
        return outputs

    def compute_output_shape(self, input_shape):
        specs = iter(tf.nest.flatten(self._takes()[0]))
        inputs = keras.tree.map_shape_structure(lambda s: keras.KerasTensor(s, next(specs).dtype.name), input_shape)
        return keras.tree.map_structure(lambda output: output.shape, self.compute_output_spec(inputs))

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("signature", "output_key", "tags", "output_shape")}
        return {**super().get_config(), **own, "handle": _Own(self.handle), "arguments": dict(self.arguments)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "HubLayer":
        handle = config["handle"]
        trusted = isinstance(handle, _Own) or ("://" not in handle and any(resolve(handle) for resolve in _names))
        if not trusted and serialization_lib.in_safe_mode() is not False:
            fault = f"the saved model needs the module {handle}, which comes from elsewhere and can do harm"
            raise ValueError(f"{fault}. If you trust it: keras.saving.load_model(..., safe_mode=False).")
        return cls(**config)
