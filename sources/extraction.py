"""Run a module over many photos or texts, in batches."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sources import photo_files


def of_photos(folder: str, paths: Sequence[Path], size: int, batch_size: int, label: str) -> np.ndarray:
    """Run the module in a folder over photo files: float32 [n, d].

    A batch is decoded while the function works on the one before it, so memory holds two of them.
    Raises PhotoError, with the names of all such files, where photos can't be decoded; ValueError for another module.
    """

    def decode(start):
        return pool.map(lambda path: photo_files.read(path, size), paths[start : start + batch_size])

    from sources import saved_models

    _, run = saved_models.of_pixels(folder, size)
    vectors, bar = [], tqdm(total=len(paths), desc=f"{label} features", unit="photo")
    with ThreadPoolExecutor(2) as pool, bar:
        ahead = decode(0)
        for start in range(0, len(paths), batch_size):
            photos, ahead = _decoded(ahead, paths), decode(start + batch_size)
            vectors.append(run(photos).numpy())
            bar.update(len(photos))
    return np.concatenate(vectors).astype(np.float32, copy=False)


def _decoded(photos, paths):
    try:
        return np.stack(list(photos))
    except photo_files.PhotoError:
        broken = photo_files.faults(paths)  # the reader hears of all of them at once
        raise photo_files.PhotoError(
            f"{len(broken)} of {len(paths)} photos can't be decoded: {photo_files.some(list(broken.values()))} "
            "photos.readable(photo_set) gives the set without them."
        ) from None


def of_texts(folder: str, texts: Sequence[str], batch_size: int, label: str) -> np.ndarray:
    """Run the module in a folder over texts: float32 [n, d].

    Short texts come first, since a batch is as wide as its longest text. Raises ValueError for a module that does not
    give a vector for each.
    """
    import tensorflow as tf

    from sources import saved_models

    module = saved_models.load(folder)
    order = np.argsort([len(text) for text in texts], kind="stable")
    parts, bar = [], tqdm(total=len(texts), desc=f"{label} vectors", unit="text")
    with bar:
        for start in range(0, len(texts), batch_size):
            rows = order[start : start + batch_size]
            output = module(tf.constant([texts[row] for row in rows]))
            if not (tf.is_tensor(output) and output.shape.rank == 2):
                raise ValueError(f"{folder} gives {output} for a batch of texts; a vector each, [n, d], is needed.")
            parts.append(output.numpy())
            bar.update(len(rows))
    return np.concatenate(parts)[np.argsort(order)]
