"""The official photo sets: TensorFlow Datasets downloads one on first use, and it is kept as a folder per class."""

import os
import shutil
import tempfile
from pathlib import Path

from sources import cache, catalogues, class_folders, photo_files


def folder(card: dict) -> Path:
    """Return the folder of an official set, one numbered folder of photos per class, downloaded on first use.

    All splits are merged. Photos are the bytes that the set has, never encoded again. What stops photo_folders.load is
    left out, since nobody can repair the set: a second copy within a class, a photo in two classes, a file that is
    none; a warning counts them, left_out.csv names them.

    Args:
        card: its entry in data/photos.toml, with its name.

    Raises:
        PhotoError: the source is packaged, tensorflow-datasets is missing, or the set can't be had.
    """
    if catalogues.source() != "official":
        raise photo_files.PhotoError(
            f"{card['name']} is no packaged set: it comes from TensorFlow Datasets. Set COURSE_SOURCE=official, which "
            f"downloads it ({card['size'] / 1e6:.0f} MB), or name a folder that holds it, one folder of photos per "
            f"class (a folder called {card['name']} beside the notebook is ./{card['name']})."
        )
    return cache.prepared(f"photos/{card['tfds'].replace(':', '-')}", lambda part: _build(part, card))


def _build(part, card):
    """Fill part. The library's own files, three times the photos, lie inside it for as long as they are needed."""
    with tempfile.TemporaryDirectory(dir=part) as own:
        photos = (
            (example["image"], example["label"], Path(example.get("image/filename", b"").decode()).name)
            for example in _examples(card, own)
        )
        class_folders.write(part, photos, card)


def _examples(card, own):
    """Return the set's examples (iterable of dict): image (bytes as encoded), label, image/filename if it has names."""
    if os.environ.get("COURSE_OFFLINE"):
        _refuse(card, f"it is not in {cache.root()}, and COURSE_OFFLINE forbids to fetch it", "Unset COURSE_OFFLINE")
    if shutil.disk_usage(own).free < 4 * card["size"]:
        needs = f"while it is built it needs {4 * card['size'] / 1e9:.1f} GB of disk in {cache.root()}; there is less"
        _refuse(card, needs, "Make room, or set COURSE_CACHE to a folder that has it")
    try:
        import tensorflow_datasets as tfds
        from tensorflow_datasets.core.download import downloader

        downloader.MAX_RETRIES = 5  # its own ten keep a reader without a network waiting for minutes
        builder = tfds.builder(card["tfds"], data_dir=own)
        builder.download_and_prepare()
        return tfds.as_numpy(builder.as_dataset(split="all", decoders={"image": tfds.decode.SkipDecoding()}))
    except ImportError as error:
        command = "`python3 -m course install --lock official`"
        cure = f"Run {command} in the course's folder, then the same"
        _refuse(card, f"the library is not whole here ({error})", cure, error)
    except Exception as error:  # a host, a checksum, an archive, a full disk: the library has no common error
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        _refuse(card, why, "Try again, with a network that reaches its host", error)


def _refuse(card, why, cure, error=None):
    raise photo_files.PhotoError(
        f"{card['name']} can't be had from TensorFlow Datasets: {why}. Nothing was left in the cache. {cure}; or get "
        "the photos by other means and name their folder, one folder of photos per class; or unset COURSE_SOURCE "
        "and take a packaged set."
    ) from error
