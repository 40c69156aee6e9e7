"""Labelled photo sets: load one by name or from a folder."""

import dataclasses
import re
import warnings
from pathlib import Path

import numpy as np

from sources import cache, catalogues, photo_files, photo_folders, tfds
from sources.photo_files import PhotoError, some
from sources.recipes import large_sets


@dataclasses.dataclass(frozen=True, eq=False)
class PhotoSet:
    """A labelled photo set of n photos.

    paths: tuple of n Path.  labels: int32 [n].  class_names: tuple of str, in label order.
    groups: str array [n], or None; photos of one group never stand on both sides of a split.
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

    def __len__(self):
        return len(self.paths)

    def take(self, rows):
        """Return the set (PhotoSet) of some of its photos: rows is a list of positions or a boolean mask [n]."""
        rows = np.arange(len(self))[np.asarray(rows) if len(rows) else slice(0)]
        return dataclasses.replace(
            self,
            paths=tuple(self.paths[row] for row in rows),
            labels=self.labels[rows],
            groups=None if self.groups is None else self.groups[rows],
            texts=None if self.texts is None else self.texts[rows],
            table=None if self.table is None else self.table.iloc[rows],
        )


def catalogue():
    """Return data/photos.toml as {name: dict}; the fields are explained at its top."""
    return catalogues.entries("photos")


def load(name_or_folder, target=None):
    """Return a photo set (PhotoSet), prepared on first use. Reads names and headers, decodes nothing.

    name_or_folder: a name in data/photos.toml, or a folder with one folder of photos per class and, if photos belong
    together (several of one leaf), a groups.csv with the columns file and group.
    target: what the labels say, for a set that has several: leaves has health (default), condition and crop.
    A folder may hold a table.csv too, with a column file and one row per photo: a column text becomes PhotoSet.texts
    and all other columns, numbers in every row, PhotoSet.table; both in the order of the photos.
    tf_flowers, plant_village, beans and cassava come from TensorFlow Datasets, under COURSE_SOURCE=official alone.
    Raises PhotoError for an unknown name, a set that can't be had, a folder that is none, an empty or a single class, a
    file that is no photo, one photo in two classes, a groups.csv or table.csv that does not fit: a photo without a row,
    a row without a photo, an empty text, a cell that is no number. A photo that stands twice in one class is left out.
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
        folder = _packaged(card)
    if "table" in card:
        return _from_table(folder, card, card["targets"][target or card["target"]])
    found = PhotoSet(**photo_folders.load(folder), card=card)
    names = tuple(re.sub(r"^\d+ ", "", class_name) for class_name in found.class_names)  # numbered so that they sort
    return dataclasses.replace(found, class_names=names)


def _packaged(card):
    from sources.recipes import photo_sets

    recipe = getattr(photo_sets, card["name"])
    table = [(catalogues.DATA / card["table"]).read_bytes()] if "table" in card else []
    key = catalogues.fingerprint(*(origin["sha256"] for origin in card["origins"]), *table)
    return cache.prepared(f"photos/{card['name']}-{key}", lambda part: recipe(part, card))


def _check_target(target, targets):
    if target is not None and target not in targets:
        has = f"there is {', '.join(targets)}" if targets else "a folder's labels are its folders' names"
        raise PhotoError(f"there is no target {target!r} here: {has}.")


def _from_table(folder, card, column):
    """A set whose photos lie in one folder and whose labels, groups and notes stand in a table."""
    import pandas

    from sources.recipes import photo_sets

    rows = catalogues.rows(card["table"])
    class_names = tuple(sorted({row[column] for row in rows}))
    return PhotoSet(
        paths=tuple(folder / photo_sets.panel_name(row) for row in rows),
        labels=np.array([class_names.index(row[column]) for row in rows], np.int32),
        class_names=class_names,
        groups=np.array([row[card["groups"]] for row in rows], dtype=str),
        table=pandas.DataFrame(rows),
        card=card,
    )


def pixels(photo_set, size):
    """Decode a whole set into memory: uint8 [n, size, size, 3]. A thousand photos of 128 pixels take 49 MB."""
    return photo_files.read_all(photo_set.paths, size)


def subsample(photo_set, per_class, seed=0):
    """Return the set (PhotoSet) with per_class photos of each class at most, drawn by seed; None: as it is.

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


def faults(photo_set):
    """Return {row: what is wrong} for the photos that can't be decoded; decodes the whole set."""
    return photo_files.faults(photo_set.paths)


def readable(photo_set):
    """Return the set without photos that can't be decoded, and warn of each; PhotoError where a class is left empty."""
    broken = faults(photo_set)
    if not broken:
        return photo_set
    warnings.warn(f"left out {len(broken)} of {len(photo_set)} photos: {some(list(broken.values()))}", stacklevel=2)
    left = photo_set.take([row for row in range(len(photo_set)) if row not in broken])
    if len(set(left.labels)) < len(photo_set.class_names):
        raise PhotoError("a class is left without a readable photo; replace the files named above.")
    return left
