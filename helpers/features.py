"""Run a module once over a photo set and keep the result; say what a module costs."""

import hashlib
import json

import numpy as np
from sklearn.cluster import DBSCAN

from helpers import modules, photos
from sources import cache, engines, extraction, photo_files

LARGE = 100e6  # bytes; larger results stay on disk and are read as they are used
INT8_MOST = 2  # points of accuracy that int8 may cost
PREPROCESSING = "upright RGB, square by bilinear resizing, divided by 255; 1"


def extract(
    photo_set: photos.PhotoSet,
    module: str,
    batch_size: int = 32,
    image_size: int | None = None,
    precision: str = "float32",
) -> np.ndarray:
    """Return the feature vectors of a photo set: float32 [n, d], in its order.

    The result is kept on disk, keyed by the photos' contents, the module, the preprocessing and the engine that runs it
    (sources/engines.py): a second call reads it, and a call after an interruption goes on.

    Args:
        photo_set: n photos.
        module: a catalogue name or the folder of a SavedModel, of float32 RGB [n, h, w, 3] in [0, 1] to [n, d].
        batch_size: how many photos are decoded at a time, in each thread.
        image_size: height and width in pixels; by default what the module was trained on (224 for a folder).
        precision: "int8" computes in 8-bit whole numbers: faster, but not the module's own vectors. What that costs
            in accuracy is int8_cost in data/modules.toml.

    Raises:
        ValueError: the module does not turn photos into vectors, or int8 costs it too much. No photo is decoded.
        RuntimeError: the module can't be read.
        photos.PhotoError: photos can't be decoded; it names the files.
    """
    label, folder, identity, size = _identified(module, image_size)
    representative = None if precision == "float32" else _int8(module, precision, size)
    engine, start = engines.chosen(label, folder, identity, size, len(photo_set), representative)
    key = hashlib.sha256(f"{identity} {size} {PREPROCESSING} {engine}".encode() + extraction.contents(photo_set.paths))
    name = f"features/{label}-{key.hexdigest()[:16]}"
    options = {"title": f"{label} features, {engine}", "half": cache.root() / f"{name}.half"}

    def build(part):
        extraction.of_photos(start, photo_set.paths, size, batch_size, target=part / "features.npy", **options)

    kept = cache.prepared(name, build) / "features.npy"
    return np.load(kept, mmap_mode="c" if kept.stat().st_size > LARGE else None)


def _int8(module, precision, size):
    """Return what gives photos from which a converter sees a module's ranges of numbers, if int8 costs it little."""
    cost = modules.catalogue().get(module, {}).get("int8_cost", INT8_MOST + 1)
    if precision != "int8" or cost > INT8_MOST:
        good = [n for n, each in modules.catalogue().items() if each.get("int8_cost", INT8_MOST + 1) <= INT8_MOST]
        fault = f"precision is float32, or int8 for {', '.join(good)}"
        raise ValueError(f"{fault}: {module} loses more than {INT8_MOST} points of accuracy, or was not measured.")

    def representative():
        return photos.pixels(photos.subsample(photos.load("flowers"), 8), size)

    return representative


def cost(module: str, image_size: int | None = None) -> dict:
    """Return what a module costs, in measures that are the same on every machine; the result is kept on disk.

    multiply_adds: int, for one photo, in convolutions and matrix products, where nearly all of a network's work lies.
    parameters: int, the numbers in its variables.  megabytes: float, its folder on disk, whatever else lies in it.
    module and image_size are those of `extract`, and so are the errors.
    """
    label, folder, identity, size = _identified(module, image_size)
    key = hashlib.sha256(f"{identity} {size} 1".encode()).hexdigest()[:16]

    def build(part):
        from sources import saved_models

        (part / "cost.json").write_text(json.dumps(saved_models.cost(folder, size)))

    return json.loads((cache.prepared(f"costs/{label}-{key}", build) / "cost.json").read_text())


def background_features(photo_set: photos.PhotoSet, size: int = 224, width: int = 11) -> np.ndarray:
    """Return what the outermost pixels of each photo tell, and nothing else: float32 [n, 88].

    The mean colours of eight 3 by 3 patches (corners and middles of the sides), and a histogram of 4 x 4 x 4 colours
    over a frame of `width` pixels: a background-only baseline. What it gets right, a model may get right without
    looking at the plant. After Noyan 2022, arXiv:2206.04374.
    """
    places, frame = (0, size // 2 - 1, size - 3), np.ones((size, size), bool)
    patches = [(y, x) for y in places for x in places if (y, x) != (places[1], places[1])]
    frame[width:-width, width:-width] = False
    rows = []
    for path in photo_set.paths:
        photo = photo_files.read(path, size)
        colours = np.bincount(photo[frame] // 64 @ [16, 4, 1], minlength=64) / frame.sum()
        rows.append([*(photo[y : y + 3, x : x + 3].mean(axis=(0, 1)) / 255 for y, x in patches), colours])
    return np.array([np.concatenate(row) for row in rows], np.float32)


def near_duplicate_groups(features: np.ndarray, threshold: float = 0.92) -> np.ndarray:
    """Return a group's name for each photo, str [n]: photos whose features are nearly the same share one.

    For a set that does not say which photos belong together. It finds copies (recompressed, lighter, mirrored), not two
    photos of one leaf, which differ as much as two leaves do.  features: float [n, d].  threshold: cosine similarity
    from which two photos count as alike; chains of alike photos become one group.
    """
    return DBSCAN(eps=1 - threshold, min_samples=1, metric="cosine").fit(features).labels_.astype(str)


def _identified(module, image_size):
    """Return a module's short name, folder, what its content is known by, and its photos' size; nothing is loaded."""
    trained_on = modules.catalogue().get(module, {"input_size": 224})["input_size"]
    if not trained_on:
        names = ", ".join(name for name, entry in modules.catalogue().items() if entry["input_size"])
        raise ValueError(f"{module} reads text, not photos. Image modules are {names}.")
    return *modules.identified(module), image_size or trained_on
