"""Run a module once over a photo set and keep the result."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy import sparse
from tqdm import tqdm

from helpers import cache, modules, photos

PREPROCESSING = "upright RGB, square by bilinear resizing, divided by 255; 1"


def extract(photo_set, module, batch_size=32, image_size=None):
    """Return the feature vectors of a photo set: float32 [n, d], in its order.

    module: a catalogue name or the folder of a SavedModel that maps float32 RGB [n, h, w, 3] in [0, 1] to [n, d].
    image_size: height and width in pixels; by default what the module was trained on (224 for a folder).
    The result is kept on disk, keyed by the photos' contents, the module and the preprocessing: a second call reads it.
    Raises photos.PhotoError, with the names of the files, where photos can't be decoded; ValueError where the module
    takes no photos or gives something else than [n, d].
    """
    known = module in modules.catalogue()
    if known and not modules.entry(module)["input_size"]:
        raise ValueError(f"{module} reads text, not photos.")
    size = image_size or (modules.entry(module)["input_size"] if known else 224)
    folder = modules.path(module) if known else _saved_model(module)
    identity = Path(folder).name if known else _content(folder)
    key = hashlib.sha256(f"{identity} {size} {PREPROCESSING}".encode())
    for path in photo_set.paths:
        key.update(photos.content_hash(path))

    def build(part):
        np.save(part / "features.npy", _run(photo_set, folder, batch_size, size))

    label = module if known else Path(module).name
    return np.load(cache.prepared(f"features/{label}-{key.hexdigest()[:16]}", build) / "features.npy")


def border(photo_set, size=224, width=11):
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


def group_alike(features, threshold=0.92, block=1000):
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


def _run(photo_set, folder, batch_size, size):
    import tensorflow as tf

    module = tf.saved_model.load(folder)

    @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)])
    def run(batch):
        return module(tf.cast(batch, tf.float32) / 255)

    starts = range(0, len(photo_set), batch_size)
    batches = [photo_set.paths[start : start + batch_size] for start in starts]
    vectors, bar = [], tqdm(total=len(photo_set), desc=f"{Path(folder).name} features", unit="photo")
    with ThreadPoolExecutor(2) as pool, bar:
        ahead = _read_ahead(pool, batches[0], size)
        for following in [*batches[1:], ()]:
            decoded, ahead = _decoded(ahead, photo_set), _read_ahead(pool, following, size)
            output = run(decoded)
            if not (tf.is_tensor(output) and output.shape.rank == 2):
                raise ValueError(f"{folder} gives {output} for a batch of photos; a feature vector [n, d] is needed.")
            vectors.append(output.numpy())
            bar.update(len(decoded))
    return np.concatenate(vectors)


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


def _saved_model(folder):
    if not Path(folder, "saved_model.pb").is_file():
        raise ValueError(f"{folder} is no catalogue name ({', '.join(modules.catalogue())}) and no SavedModel folder.")
    return str(folder)


def _content(folder):
    """A SavedModel's content as a short name: a module that its owner exported again is another module."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            digest.update(photos.content_hash(path))
    return digest.hexdigest()
