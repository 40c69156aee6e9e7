"""Labelled photo sets: load one by name or from a folder."""

import dataclasses
import re
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from sources import catalogues, photo_files, photo_folders, tfds
from sources.photo_files import PhotoError, read, some
from sources.photo_report import report  # noqa: F401  and a folder by photos.report
from sources.recipes import large_sets, photo_sets


@dataclasses.dataclass(frozen=True, eq=False)
class PhotoSet:
    """A labelled photo set of n photos.

    paths: tuple of n Path.  labels: int32 [n].  class_names: tuple of str, in label order.
    groups: str array [n], or None; photos of one group are never on both sides of a split.
    texts: object array [n] of str, or None.  table: DataFrame of n rows, or None.
    card: dict, the set's catalogue entry (licence, show, credit ...), with its name.
    """

    paths: tuple
    labels: np.ndarray
    class_names: tuple
    groups: np.ndarray | None = None
    texts: np.ndarray | None = None
    table: object = None
    card: dict = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, rows: Sequence[int] | np.ndarray) -> "PhotoSet":
        """Return the set of some of its photos: rows is a list of positions or a boolean mask [n]."""
        rows = np.arange(len(self))[np.asarray(rows) if len(rows) else slice(0)]
        return dataclasses.replace(
            self,
            paths=tuple(self.paths[row] for row in rows),
            labels=self.labels[rows],
            groups=None if self.groups is None else self.groups[rows],
            texts=None if self.texts is None else self.texts[rows],
            table=None if self.table is None else self.table.iloc[rows],
        )


def catalogue() -> dict[str, dict]:
    """Return data/photos.toml as {name: dict}; the fields are explained at its top."""
    return catalogues.entries("photos")


def load(name_or_folder: str | Path, target: str | None = None) -> PhotoSet:
    """Return a photo set, prepared on first use. Reads names and headers, decodes nothing.

    Args:
        name_or_folder: a name in data/photos.toml, or a folder with one folder of photos per class. Beside these may be
            a groups.csv (columns file and group) where photos belong together, several of one leaf for instance, and a
            table.csv (a column file, one row per photo): its column text becomes PhotoSet.texts, and all others,
            numbers in every row, PhotoSet.table. tf_flowers, plant_village, beans and cassava come from TensorFlow
            Datasets, under COURSE_SOURCE=official alone.
        target: what the labels say, for a set that has several: leaves has health (default), condition and crop.

    Raises:
        PhotoError: the name is unknown, the set can't be had, or the folder has faults: all of them are named. What is
            left out of a folder, such as a second copy of a photo, is named in a warning.
    """
    name = str(name_or_folder)
    if name not in catalogue() or isinstance(name_or_folder, Path):
        folder = Path(name).expanduser()
        if not folder.exists() and not {"/", "\\"} & set(name):
            raise PhotoError(f"no photo set is called {name!r}: there are {', '.join(catalogue())}, or name a folder.")
        _check_target(target, [])
        own = {"name": folder.name, "licence": "the reader's own", "show": False, "credit": ""}
        return PhotoSet(**photo_folders.load(folder), card=own)
    card = {"name": name, **catalogue()[name]}
    _check_target(target, card.get("targets", [card["target"]]))
    if "tfds" in card:
        folder = tfds.folder(card)
    elif "recipe" in card:
        folder = large_sets.folder(card)
    else:
        folder = photo_sets.folder(card)
    if "table" in card:
        return PhotoSet(**photo_sets.of_table(folder, card, card["targets"][target or card["target"]]), card=card)
    found = PhotoSet(**photo_folders.load(folder), card=card)
    names = tuple(re.sub(r"^\d+ ", "", class_name) for class_name in found.class_names)  # numbered so that they sort
    return dataclasses.replace(found, class_names=names)


def _check_target(target, targets):
    if target is not None and target not in targets:
        has = f"there is {', '.join(targets)}" if targets else "a folder's labels are its folders' names"
        raise PhotoError(f"there is no target {target!r} here: {has}.")


def single(path: str | Path = "") -> PhotoSet:
    """Return a set of one photo to ask a model about: your own, or the dahlia that comes with scikit-learn.

    Raises:
        PhotoError: there is no such photo, or it can't be decoded.
    """
    card = {"name": "your photo", "show": False}
    if not path:
        card = {"name": "a dahlia", "show": True, "credit": "vultilion on Flickr, CC BY 2.0"}
        path = Path(find_spec("sklearn").origin).parent / "datasets" / "images" / "flower.jpg"
    path = Path(path).expanduser()
    read(path)
    return PhotoSet((path,), np.zeros(1, np.int32), (card["name"],), card=card)


def pixels(photo_set: PhotoSet, size: int) -> np.ndarray:
    """Decode a whole set into memory: uint8 [n, size, size, 3]. A thousand photos of 128 pixels take 49 MB.

    Raises:
        PhotoError: some photos can't be decoded; they are counted, the first five named.
    """
    return photo_files.read_all(photo_set.paths, size)


def subsample(photo_set: PhotoSet, per_class: int | None, seed: int = 0) -> PhotoSet:
    """Return the set with per_class photos of each class at most, drawn by seed; None: as it is.

    Where there are groups, whole groups are drawn, and a class stops before the one that would go over.
    """
    if per_class is None or np.bincount(photo_set.labels).max() <= per_class:
        return photo_set
    units = np.arange(len(photo_set)) if photo_set.groups is None else photo_set.groups
    _, member, sizes = np.unique(units, return_inverse=True, return_counts=True)
    rows_of = np.split(np.argsort(member, kind="stable"), np.cumsum(sizes)[:-1])
    keep, taken = [], np.zeros(len(photo_set.class_names), int)
    for unit in np.random.default_rng(seed).permutation(len(rows_of)):
        rows = rows_of[unit]
        adds = np.bincount(photo_set.labels[rows], minlength=len(taken))
        if (taken + adds <= per_class).all():
            keep, taken = [*keep, *rows], taken + adds
    if empty := [name for name, count in zip(photo_set.class_names, taken, strict=True) if not count]:
        raise PhotoError(f"no group fits into {per_class} photos per class: {some(empty)} would be left empty.")
    return photo_set.take(sorted(keep))


def faults(photo_set: PhotoSet) -> dict[int, str]:
    """Return {row: what is wrong} for the photos that can't be decoded; decodes the whole set."""
    return photo_files.faults(photo_set.paths)


def readable(photo_set: PhotoSet) -> PhotoSet:
    """Return the set without photos that can't be decoded, and warn of each; PhotoError where a class is left empty."""
    broken = faults(photo_set)
    if not broken:
        return photo_set
    warnings.warn(f"left out {len(broken)} of {len(photo_set)} photos: {some(list(broken.values()))}", stacklevel=2)
    left = photo_set.take([row for row in range(len(photo_set)) if row not in broken])
    if len(set(left.labels)) < len(photo_set.class_names):
        raise PhotoError("a class is left without a readable photo; replace the files named above.")
    return left
