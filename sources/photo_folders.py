"""A folder of photos: its classes, its copies, groups.csv and table.csv."""

import contextlib
import csv
import warnings

import numpy as np

from sources import cache, photo_files
from sources.photo_files import SUFFIXES, PhotoError, some


def load(folder):
    """Read a folder of photos: one folder per class, and groups.csv and table.csv if they are there.

    Names and headers are read, no photo is decoded. A photo that is twice in one class is left out, with a warning.

    Args:
        folder: Path.

    Returns:
        The parts (dict) of a helpers.photos.PhotoSet: paths, labels, class_names, groups, texts, table.

    Raises:
        PhotoError: no folder, fewer than two classes, a class without a photo, a file that is no photo, one photo in
            two classes, a groups.csv or table.csv that does not fit.

    """
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
    photo_files.check_headers(paths)
    keep = _without_duplicates(paths, labels)
    paths, labels = [paths[row] for row in keep], [labels[row] for row in keep]
    texts, table = _texts_and_table(folder, paths)
    return {
        "paths": tuple(paths),
        "labels": np.array(labels, np.int32),
        "class_names": tuple(each.name for each in classes),
        "groups": _groups(folder, paths),
        "texts": texts,
        "table": table,
    }


def _is_photo(path):
    """Tell a photo by its name; macOS leaves ._NAME files beside its own."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


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
