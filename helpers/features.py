"""Run a module once over a photo set and keep the result; say what a module costs."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy import sparse
from tqdm import tqdm

from helpers import modules, photos
from sources import cache

PREPROCESSING = "upright RGB, square by bilinear resizing, divided by 255; 1"
SUMS_OF_PRODUCTS = {"Conv2D", "DepthwiseConv2dNative", "MatMul", "BatchMatMulV2", "Einsum"}


def extract(photo_set, module, batch_size=32, image_size=None):
    """Return the feature vectors of a photo set: float32 [n, d], in its order.

    module: a catalogue name or the folder of a SavedModel that maps float32 RGB [n, h, w, 3] in [0, 1] to [n, d].
    image_size: height and width in pixels; by default what the module was trained on (224 for a folder).
    The result is kept on disk, keyed by the photos' contents, the module and the preprocessing: a second call reads it.
    Raises ValueError, before a photo is decoded, for a module that does not turn photos into vectors; RuntimeError for
    one that can't be read; photos.PhotoError, with the names of the files, where photos can't be decoded.
    """
    label, identity, size = _identified(module, image_size)
    key = hashlib.sha256(f"{identity} {size} {PREPROCESSING}".encode())
    for path in photo_set.paths:
        key.update(cache.content_hash(path))

    def build(part):
        np.save(part / "features.npy", _run(photo_set, module, batch_size, size))

    return np.load(cache.prepared(f"features/{label}-{key.hexdigest()[:16]}", build) / "features.npy")


def cost(module, image_size=None):
    """Return what a module costs, in measures that are the same on every machine: a dict.

    multiply_adds: int, for one photo, in convolutions and matrix products, where nearly all of a network's work lies.
    parameters: int, the numbers in its variables.  megabytes: float, its folder on disk, whatever else lies in it.
    module and image_size are those of `extract`, and so are the errors. The result is kept on disk.
    """
    label, identity, size = _identified(module, image_size)
    key = hashlib.sha256(f"{identity} {size} 1".encode()).hexdigest()[:16]

    def build(part):
        (part / "cost.json").write_text(json.dumps(_counted(module, size)))

    return json.loads((cache.prepared(f"costs/{label}-{key}", build) / "cost.json").read_text())


def background_features(photo_set, size=224, width=11):
    """Return what the outermost pixels of each photo tell, and nothing else: float32 [n, 88].

    The mean colours of eight 3 by 3 patches (corners and middles of the sides), and a histogram of 4 x 4 x 4 colours
    over a frame of `width` pixels: a background-only baseline. What it gets right, a model may get right without
    looking at the plant. After Noyan 2022, arXiv:2206.04374.
    """
    middle, end = size // 2 - 1, size - 3
    corners = [(y, x) for y in (0, middle, end) for x in (0, middle, end) if (y, x) != (middle, middle)]
    frame = np.ones((size, size), bool)
    frame[width:-width, width:-width] = False
    rows = []
    for path in photo_set.paths:
        photo = photos.read(path, size)
        patches = [photo[y : y + 3, x : x + 3].mean(axis=(0, 1)) / 255 for y, x in corners]
        colours = np.bincount(photo[frame] // 64 @ [16, 4, 1], minlength=64) / frame.sum()
        rows.append(np.concatenate([*patches, colours]))
    return np.array(rows, np.float32)


def near_duplicate_groups(features, threshold=0.92, block=1000):
    """Return a group's name for each photo, str [n]: photos whose features are nearly the same share one.

    For a set that does not say which photos belong together. It finds copies (recompressed, lighter, mirrored), not two
    photos of one leaf, which differ as much as two leaves do.  features: float [n, d].  threshold: cosine similarity
    from which two photos count as alike; chains of alike photos become one group.
    """
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    alike = [
        sparse.csr_array(unit[start : start + block] @ unit.T >= threshold) for start in range(0, len(unit), block)
    ]
    return sparse.csgraph.connected_components(sparse.vstack(alike), directed=False)[1].astype(str)


def _identified(module, image_size):
    """Return a module's short name, what its content is known by, and the size of its photos; nothing is loaded."""
    trained_on = modules.catalogue().get(module, {"input_size": 224})["input_size"]
    if not trained_on:
        raise ValueError(f"{module} reads text, not photos. {_image_modules()}")
    label, _, identity = modules.identified(module)
    return label, identity, image_size or trained_on


def _image_modules():
    return f"Image modules are {', '.join(name for name, entry in modules.catalogue().items() if entry['input_size'])}."


def _run(photo_set, module, batch_size, size):
    run = _fitting(module, size)[1]
    starts = range(0, len(photo_set), batch_size)
    batches = [photo_set.paths[start : start + batch_size] for start in starts]
    vectors, bar = [], tqdm(total=len(photo_set), desc=f"{Path(module).name} features", unit="photo")
    with ThreadPoolExecutor(2) as pool, bar:
        ahead = _read_ahead(pool, batches[0], size)
        for following in [*batches[1:], ()]:
            decoded, ahead = _decoded(ahead, photo_set), _read_ahead(pool, following, size)
            vectors.append(run(decoded).numpy())
            bar.update(len(decoded))
    return np.concatenate(vectors).astype(np.float32, copy=False)


def _graph(module, size, batch=None):
    """Return a loaded module as a function of pixels, uint8 [batch, size, size, 3], that TensorFlow runs as a graph."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([batch, size, size, 3], tf.uint8)])
    def run(pixels):
        return module(tf.cast(pixels, tf.float32) / 255)

    return run


def _fitting(name, size):
    """Return a module, loaded, and its _graph; raise ValueError where it does not turn photos into vectors.

    Two photos of noise are sent through: a signature that takes photos of any size says nothing of the graph behind it.
    """
    import tensorflow as tf

    from helpers import hub_layer

    module = hub_layer.load(str(name))
    run = _graph(module, size)
    noise = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    try:
        given = run(noise)
    except (TypeError, ValueError, tf.errors.OpError) as error:
        raise ValueError(f"{name} {_input_fault(module, size)}") from error
    if fault := _output_fault(given):
        raise ValueError(f"{name} gives {fault}")
    return module, run


def _input_fault(module, size):
    """Say what a module takes that could not be called on photos, and what to do."""
    import tensorflow as tf

    if not callable(module):
        there = ", ".join(getattr(module, "signatures", [])) or "none"
        return f"can't be called; it has signatures alone: {there}. HubLayer(folder, signature=...) takes one."
    flat = [tf.nest.flatten(trace.structured_input_signature) for trace in module.__call__.concrete_functions]
    traces = [[spec for spec in specs if isinstance(spec, tf.TensorSpec)] for specs in flat]
    if not any(traces):
        return "holds no graph to call: it was saved without an input signature, and before its first call."
    takes = " or ".join(dict.fromkeys(" and ".join(map(_described, specs)) for specs in traces))
    photo = f"photos come as float32 [n, {size}, {size}, 3] in [0, 1]"
    return f"takes {takes}; {photo}. {_input_cure(traces[0], size)}"


def _input_cure(specs, size):
    kind, shape = specs[0].dtype.name, specs[0].shape.as_list() if specs[0].shape.rank else []
    if kind == "string":
        return f"It reads text. {_image_modules()}"
    if len(specs) > 1 or kind != "float32":
        return "Settle its other inputs, or cast, inside a function of photos alone, and export that."
    if len(shape) == 4 and shape[1] == shape[2] not in (None, size):
        return f"Ask for its own size, image_size={shape[1]}."
    if shape[1:] in ([size, size, 3], [None, None, None], [None, None, 3]) and shape[0] is None:
        return "It fails on photos of that size; ask for the size it was made for, image_size=..."
    return "Bring photos into that shape inside a function of photos, and export that."


def _output_fault(given):
    """Say what a module gave for two photos where it is not two feature vectors, and what to do; None where it is."""
    import tensorflow as tf

    needed = "for two photos; a feature vector [n, d] of floats is needed. Export it again"
    if isinstance(given, dict):
        return f"a dict with the keys {', '.join(sorted(map(str, given)))} {needed} with one of them as its output."
    if not tf.is_tensor(given):
        return f"a {type(given).__name__} {needed} with one tensor as its output."
    if given.shape.rank == 4 and len(given) == 2:
        pooled = "after tf.reduce_mean(features, [1, 2]), the average over height and width."
        return f"a feature map, {_described(given, batch=2)}, {needed} {pooled}"
    if given.shape.rank != 2 or len(given) != 2 or not given.dtype.is_floating:
        return f"{_described(given, batch=2)} {needed} so that each photo gets one."
    return None


def _described(tensor, batch=None):
    """A tensor's type and shape in words, such as float32 [n, any, any, 3]."""
    if tensor.shape.rank is None:
        return f"{tensor.dtype.name} of any shape"
    sizes = ["any" if size is None else str(size) for size in tensor.shape.as_list()]
    if sizes and tensor.shape[0] == batch:
        sizes[0] = "n"
    return f"{tensor.dtype.name} [{', '.join(sizes)}]"


def _counted(name, size):
    module, _ = _fitting(name, size)
    function = _graph(module, size, batch=1).get_concrete_function()
    variables = getattr(module, "variables", None) or function.variables
    _, folder, _ = modules.identified(name)
    return {
        "multiply_adds": sum(_multiply_adds(op, name) for op in _operations(function)),
        "parameters": sum(int(np.prod(variable.shape)) for variable in variables),
        "megabytes": sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6,
    }


def _operations(function):
    # No public name does this: every called function written out in full, so that all shapes follow from the input's.
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    operations = convert_variables_to_constants_v2(function).graph.get_operations()
    return [op for op in operations if op.type in SUMS_OF_PRODUCTS]


def _multiply_adds(op, name):
    if not all(tensor.shape.is_fully_defined() for tensor in [*op.inputs, *op.outputs]):
        raise ValueError(f"{name} can't be counted: how large {op.type} {op.name} is depends on what is in the photo.")
    return op.outputs[0].shape.num_elements() * _products(op)


def _products(op):
    """How many products are added up in each number that an operation gives."""
    first, second = (tensor.shape.as_list() for tensor in op.inputs)
    if op.type == "Conv2D":
        return int(np.prod(second[:3]))  # height, width and depth of the window
    if op.type == "DepthwiseConv2dNative":
        return int(np.prod(second[:2]))
    if op.type == "MatMul":
        return first[0 if op.get_attr("transpose_a") else 1]
    if op.type == "BatchMatMulV2":
        return first[-2 if op.get_attr("adj_x") else -1]
    equation, result = op.get_attr("equation").decode().split("->")
    sizes = {}
    for letters, shape in zip(equation.split(","), (first, second), strict=True):
        sizes |= dict(zip(reversed(letters), reversed(shape), strict=False))  # from the end: "..." may stand in front
    return int(np.prod([size for letter, size in sizes.items() if letter not in result]))


def _read_ahead(pool, paths, size):
    """Decode a batch while the module works on the one before it: memory holds two batches, however large the set."""
    return [pool.submit(photos.read, path, size) for path in paths]


def _decoded(ahead, photo_set):
    try:
        return np.stack([future.result() for future in ahead])
    except photos.PhotoError:
        broken = photos.faults(photo_set)  # the reader hears of all of them at once
        raise photos.PhotoError(
            f"{len(broken)} of {len(photo_set)} photos can't be decoded: {photos.some(list(broken.values()))} "
            "photos.readable(photo_set) gives the set without them."
        ) from None
