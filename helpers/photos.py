"""Labelled photo sets: load one by name or from a folder, check it at the door, decode its photos."""

import contextlib
import csv
import dataclasses
import functools
import hashlib
import re
import tomllib
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from helpers import cache

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


class PhotoError(ValueError):
    """A photo or a photo folder can't be used. The message names it, says why, and what to do next."""


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


@functools.cache
def catalogue():
    """Return data/photos.toml as {name: dict}; the fields are explained at its top."""
    return tomllib.loads((cache.ROOT / "data" / "photos.toml").read_text())


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
        return _from_folder(folder, {"name": folder.name, "licence": "the reader's own", "show": False, "credit": ""})
    card = {"name": name, **catalogue()[name]}
    _check_target(target, card.get("targets", [card["target"]]))
    if "tfds" in card:
        from helpers import official

        folder = official.folder(card)
    else:
        folder = _packaged(card)
    if "table" in card:
        return _from_table(folder, card, card["targets"][target or card["target"]])
    found = _from_folder(folder, card)
    names = tuple(re.sub(r"^\d+ ", "", class_name) for class_name in found.class_names)
    return dataclasses.replace(found, class_names=names)


def _packaged(card):
    from helpers.packaged import photo_sets

    recipe = getattr(photo_sets, card["name"])
    key = hashlib.sha256("".join(origin["sha256"] for origin in card["origins"]).encode())
    if "table" in card:
        key.update((cache.ROOT / "data" / card["table"]).read_bytes())
    return cache.prepared(f"photos/{card['name']}-{key.hexdigest()[:10]}", lambda part: recipe(part, card))


def _check_target(target, targets):
    if target is not None and target not in targets:
        has = f"there is {', '.join(targets)}" if targets else "a folder's labels are its folders' names"
        raise PhotoError(f"there is no target {target!r} here: {has}.")


def _from_table(folder, card, column):
    """A set whose photos lie in one folder and whose labels, groups and notes stand in a table."""
    import pandas

    from helpers.packaged import photo_sets

    rows = photo_sets.table(card)
    class_names = tuple(sorted({row[column] for row in rows}))
    return PhotoSet(
        paths=tuple(folder / photo_sets.panel_name(row) for row in rows),
        labels=np.array([class_names.index(row[column]) for row in rows], np.int32),
        class_names=class_names,
        groups=np.array([row[card["groups"]] for row in rows], dtype=str),
        table=pandas.DataFrame(rows),
        card=card,
    )


def _from_folder(folder, card):
    if not folder.is_dir():
        raise PhotoError(
            f"{folder} is {'a file' if folder.exists() else 'not there'}; name a folder with one folder of "
            "photos per class."
        )
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    if len(classes) < 2:
        found = f"one class, {classes[0].name!r}" if classes else "no class folder"
        raise PhotoError(f"{folder} holds {found}; a classifier needs two folders of photos or more, one per class.")
    paths, labels = [], []
    for label, each in enumerate(classes):
        photos = sorted(path for path in each.iterdir() if _is_photo(path))
        if not photos:
            other = sorted({path.suffix or path.name for path in each.iterdir()})
            holds = f"it holds {some(other)}" if other else "it is empty"
            raise PhotoError(
                f"the class {each.name!r} in {folder} has no photo ({holds}); photos end in {', '.join(SUFFIXES)}."
            )
        paths += photos
        labels += [label] * len(photos)
    _check_headers(paths)
    keep = _without_duplicates(paths, labels)
    paths, labels = [paths[row] for row in keep], [labels[row] for row in keep]
    texts, table = _texts_and_table(folder, paths)
    return PhotoSet(
        paths=tuple(paths),
        labels=np.array(labels, np.int32),
        class_names=tuple(each.name for each in classes),
        groups=_groups(folder, paths),
        texts=texts,
        table=table,
        card=card,
    )


def _is_photo(path):
    """Tell a photo by its name; macOS leaves ._NAME files beside its own."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _check_headers(paths):
    bad = []
    for path in paths:
        try:
            with Image.open(path):
                pass
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
            bad.append(f"{path} ({'empty file' if path.stat().st_size == 0 else type(error).__name__})")
    if bad:
        raise PhotoError(
            f"{len(bad)} of {len(paths)} files are no readable photos: {some(bad)}. Remove or replace them."
        )


def some(names, most=5):
    """Return the first of many names, and how many more there are (str)."""
    return "; ".join(names[:most]) + (f"; and {len(names) - most} more" if len(names) > most else "")


def _without_duplicates(paths, labels):
    """Return the rows to keep. Only files of one size are compared, so that a large set is not read whole."""
    by_size = {}
    for row, path in enumerate(paths):
        by_size.setdefault(path.stat().st_size, []).append(row)
    first, dropped = {}, set()
    for rows in by_size.values():
        for row in rows if len(rows) > 1 else []:
            same = first.setdefault(cache.content_hash(paths[row]), row)
            if labels[same] != labels[row]:
                raise PhotoError(
                    f"one photo stands in two classes: {paths[same]} and {paths[row]}. Remove the wrong one."
                )
            if same != row:
                dropped.add(row)
    if dropped:
        warnings.warn(
            f"left out {len(dropped)} photos that stand twice in their class: "
            f"{some([str(paths[row]) for row in sorted(dropped)])}",
            stacklevel=4,
        )
    return [row for row in range(len(paths)) if row not in dropped]


def _groups(folder, paths):
    listing = folder / "groups.csv"
    if not listing.exists():
        return None
    rows = _rows(listing)
    if not rows or not {"file", "group"} <= set(rows[0]):
        raise PhotoError(f"{listing} needs the columns file and group.")
    group_of = {}
    for row in rows:
        if row["group"] and group_of.setdefault(row["file"], row["group"]) != row["group"]:
            raise PhotoError(f"{listing} names two groups for {row['file']}.")
    names = [path.relative_to(folder).as_posix() for path in paths]
    if missing := [name for name in names if name not in group_of]:
        raise PhotoError(f"{listing} names no group for {some(missing)}.")
    if unknown := [name for name in group_of if not (folder / name).exists()]:
        raise PhotoError(f"{listing} names photos that are not there: {some(unknown)}.")
    return np.array([group_of[name] for name in names], dtype=str)


def _rows(listing):
    try:
        with open(listing, newline="", encoding="utf-8-sig") as file:  # spreadsheets put a byte order mark first
            return list(csv.DictReader(file))
    except UnicodeDecodeError:
        raise PhotoError(f"{listing} is not UTF-8 text; save it as CSV in UTF-8.") from None


def _texts_and_table(folder, paths):
    """Return the texts (object [n]) and the numbers (DataFrame of float64) of table.csv, None for what it has not."""
    listing = folder / "table.csv"
    if not listing.exists():
        return None, None
    line_of, columns = {}, []
    for line, row in enumerate(_rows(listing), start=2):  # as a spreadsheet counts, with the header as row 1
        columns = columns or [name for name in row if name not in ("file", "text")]
        if "file" not in row or row["file"] in line_of:
            fault = "needs a column file" if "file" not in row else f"names {row['file']} twice, last in row {line}"
            raise PhotoError(f"{listing} {fault}; it has one row per photo.")
        if None in row:
            raise PhotoError(f"{listing}, row {line} has more cells than the header; put a text with commas in quotes.")
        line_of[row["file"]] = line, row
    names = [path.relative_to(folder).as_posix() for path in paths]
    if missing := [name for name in names if name not in line_of]:
        raise PhotoError(f"{listing} has no row for {some(missing)}.")
    if unknown := [f"row {line}: {name}" for name, (line, _) in line_of.items() if not (folder / name).exists()]:
        raise PhotoError(f"{listing} names photos that are not there: {some(unknown)}.")
    rows = [line_of[name] for name in names]
    return _texts(listing, rows), _table(listing, rows, columns)


def _texts(listing, rows):
    if "text" not in rows[0][1]:
        return None
    texts = [(row["text"] or "").strip() for _, row in rows]
    if empty := [f"row {line} ({row['file']})" for (line, row), text in zip(rows, texts, strict=True) if not text]:
        raise PhotoError(f"{listing} has no text in {some(empty)}. Write one, or remove the photo and its row.")
    return np.array(texts, dtype=object)


def _table(listing, rows, columns):
    import pandas

    bad, table = [], np.full((len(rows), len(columns)), np.nan)
    for place, (line, row) in enumerate(rows):
        for column, name in enumerate(columns):
            with contextlib.suppress(TypeError, ValueError):
                table[place, column] = float(row[name])
            if not np.isfinite(table[place, column]):
                bad.append(f"row {line}, column {name}: {row[name]!r}")
    if bad:
        raise PhotoError(f"{listing} holds what is no number: {some(bad)}. Columns but file and text are for numbers.")
    return pandas.DataFrame(table, columns=columns) if columns else None


def read(path, size=None):
    """Return a photo as uint8 RGB [h, w, 3], upright, or [size, size, 3] with size in pixels.

    Grey, palette, CMYK and 16-bit pictures become RGB; transparent ones are laid on white; a camera's rotation note
    (EXIF) is obeyed. Raises PhotoError for a file that can't be decoded whole.
    """
    try:
        with Image.open(path) as image:
            if size:
                image.draft("RGB", (size, size))  # lets a large JPEG be decoded at a fraction of its size
            ImageOps.exif_transpose(image, in_place=True)
            image = _rgb(image)
            return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR) if size else image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PhotoError(f"{path} can't be decoded ({error}). Remove it or get the file again.") from None


def pixels(photo_set, size):
    """Decode a whole set into memory: uint8 [n, size, size, 3]. A thousand photos of 128 pixels take 49 MB."""
    with ThreadPoolExecutor(2) as pool:
        return np.stack(list(pool.map(lambda path: read(path, size), photo_set.paths)))


def at_most(photo_set, per_class, seed=0):
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


def _rgb(image):
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def faults(photo_set):
    """Return {row: what is wrong} for the photos that can't be decoded; decodes the whole set."""
    found = {}
    for row, path in enumerate(photo_set.paths):
        try:
            read(path)
        except PhotoError as error:
            found[row] = str(error)
    return found


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
