"""What runs a module over photos: LiteRT, or TensorFlow's own graph where LiteRT can't.

LiteRT (ai-edge-litert, Apache-2.0) gives the module's own vectors for a fraction of TensorFlow's CPU time;
bench/README.md has the figures. It needs the module converted for one size of photos. That takes many seconds, so it
happens once, when the module is prepared, and is kept in the cache under engines/.
"""

import contextlib
import functools
import os
import shutil
import sys
import threading
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np

from sources import cache, catalogues

AGREEMENT = 1e-4  # how far a converted module's numbers may be from the module's, as a part of its largest
WORTH_CONVERTING = 500  # photos from which on it pays to convert a module that was not prepared
RECIPE = 1  # raise it when what `convert` does changes
Run = Callable[[np.ndarray], np.ndarray]  # uint8 [n, size, size, 3] to float32 [n, d]


def chosen(
    label: str, folder: str, identity: str, size: int, photos: int, representative: Callable | None = None
) -> tuple[str, Callable[[], Run]]:
    """Return the engine for a module: its name with its version, and a function that starts it.

    Args:
        label: the module's short name.
        folder: its SavedModel.
        identity: what its content is known by.
        size: height and width of the photos, in pixels.
        photos: how many there are to run.
        representative: returns photos, uint8 [n, size, size, 3], for arithmetic in 8-bit whole numbers (int8).

    Raises:
        ValueError: the module is none of such photos; int8 is asked for where LiteRT can't run the module.
        RuntimeError: the module can't be read.
    """
    version, why = _litert()
    entry = _entry(label, identity, size, representative, version)
    if version and (representative or photos >= WORTH_CONVERTING or (cache.root() / entry).exists()):
        model, why = converted(label, folder, identity, size, representative)
        if not why:
            return f"LiteRT {version}{' int8' if representative else ''}", functools.partial(_lite, model)
    if why and representative:
        raise ValueError(f"{label} can't be run with int8: {why}.")
    if why:
        _say_once(f"{label} runs on TensorFlow's graph, with the same vectors, only slower: {why}.")
    return tensorflow(), functools.partial(_tensorflow, folder, size)


def converted(
    label: str, folder: str, identity: str, size: int, representative: Callable | None = None
) -> tuple[Path, str]:
    """Return a module's LiteRT file and "", or why there is none (str); it is made on first use, which takes long.

    A file that is not as it was written is made again.
    """
    version, why = _litert()
    if why:
        return Path(), why
    entry = _entry(label, identity, size, representative, version)
    for _ in range(2):
        made = cache.prepared(entry, lambda part: _convert(part, folder, size, representative))
        if (made / "why_not.txt").exists():
            return made, (made / "why_not.txt").read_text()
        model, content = made / "model.tflite", made / "content"
        if model.exists() and content.exists() and content.read_bytes() == cache.content_hash(model):
            return model, ""
        _say_once(f"{made} is damaged: {label} is converted again.")
        shutil.rmtree(made, ignore_errors=True)  # a cache that can't be written leaves it as it is
    return made, f"{made} is damaged each time that it is written"


def is_ready(label: str, identity: str, size: int) -> bool:
    """Return whether a module need not be converted any more."""
    version, why = _litert()
    return bool(why) or (cache.root() / _entry(label, identity, size, None, version)).exists()


def _entry(label, identity, size, representative, version):
    key = catalogues.fingerprint(identity, size, bool(representative), version, RECIPE)
    return f"engines/{label}-{key}"


@functools.cache
def _litert():
    """Return LiteRT's version and "", or "" and why it can't be used."""
    try:
        from ai_edge_litert import interpreter  # noqa: F401

        return metadata.version("ai-edge-litert"), ""
    except (ImportError, OSError) as error:  # OSError: its library does not load on this system
        return "", f"ai-edge-litert can't be used here ({error})"


@functools.cache
def tensorflow() -> str:
    """Return TensorFlow's name and version; it is not loaded."""
    names = [name for name in ("tensorflow-cpu", "tensorflow") if list(metadata.Distribution.discover(name=name))]
    return f"TensorFlow {metadata.version(names[0])}"


@functools.cache
def _say_once(text):
    print(text, file=sys.stderr)


def _convert(part, folder, size, representative):
    """Fill part with a converted module whose vectors are the module's, or with the reason why there is none."""
    from sources import saved_models

    module, run = saved_models.of_pixels(folder, size)
    try:
        content = tflite(saved_models.graph(module, size, batch=1), representative() if representative else None)
        (part / "model.tflite").write_bytes(content)
        pixels = np.random.default_rng(1).integers(0, 256, (2, size, size, 3), np.uint8)
        expected, found = run(pixels).numpy(), _lite(part / "model.tflite")(pixels)
        apart = np.abs(found - expected).max() / np.abs(expected).max()
        if not representative and not apart <= AGREEMENT:
            raise ArithmeticError(f"its vectors are {apart:.0e} of the largest value away from the module's")
        (part / "content").write_bytes(cache.content_hash(part / "model.tflite"))
    except Exception as error:  # the converter has no common error
        if isinstance(error, MemoryError) or cache.is_full(error):
            raise  # that is no property of the module, so it must not be remembered as one
        (part / "model.tflite").unlink(missing_ok=True)
        (part / "why_not.txt").write_text(f"LiteRT can't take it ({str(error).strip().splitlines()[0][:200]})")


def tflite(function, representative: np.ndarray | None = None, types=None) -> bytes:
    """Return a tf.function of one fixed input as the content of a LiteRT file.

    representative: inputs [n, ...] for int8, through which the converter sees which range of numbers each step has.
    types: the TensorFlow type of inputs and outputs under int8, by default the function's own.
    """
    import tensorflow as tf

    from sources import saved_models

    with saved_models.quiet():
        # The converter folds the variables into constants; it needs the function only to keep them alive until then.
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], function)
        if representative is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([each[np.newaxis]] for each in representative)
            if types:
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
                converter.inference_input_type = converter.inference_output_type = types
        return converter.convert()


def interpreter(threads: int, **model):
    """Return a LiteRT interpreter, ready to run, for model_path= or model_content=."""
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(num_threads=threads, **model)
    run.allocate_tensors()
    return run


def _lite(model):
    """Run photos one by one, which is LiteRT's fastest, with an interpreter of its own for each thread that calls."""
    mine = threading.local()
    with silent():  # LiteRT greets once in a process, from C, and would stand in red in the middle of a lesson
        mine.run = interpreter(1, model_path=str(model))

    def run(pixels):
        if not hasattr(mine, "run"):
            mine.run = interpreter(1, model_path=str(model))
        taken, given = mine.run.get_input_details()[0]["index"], mine.run.get_output_details()[0]["index"]
        vectors = []
        for photo in pixels:
            mine.run.set_tensor(taken, photo[np.newaxis])
            mine.run.invoke()
            vectors.append(mine.run.get_tensor(given)[0])
        return np.array(vectors, np.float32)

    return run


@contextlib.contextmanager
def silent():
    """Drop what is written to the file descriptor of stderr, also from C."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _tensorflow(folder, size):
    """Run photos in batches, one batch at a time: TensorFlow takes all cores for one."""
    from sources import saved_models

    _, graph = saved_models.of_pixels(folder, size)
    one_at_a_time = threading.Lock()

    def run(pixels):
        with one_at_a_time:
            return graph(pixels).numpy().astype(np.float32, copy=False)

    return run


def threads() -> int:
    """Return how many threads decode photos and run them."""
    return min(os.cpu_count() or 1, 8)
