"""groups.csv and table.csv beside the class folders: which photos belong together, their texts and their numbers."""

import collections
import contextlib
import difflib
import os
import re
import unicodedata

import numpy as np

from sources import photo_files, tables
from sources.photo_files import PhotoError, some

MEANT = re.compile(r"(groups|table)\.(csv|csv\.txt|tsv|txt)", re.IGNORECASE)
SUFFIXES = {".csv", ".tsv", ".xls", ".xlsx", ".ods", ".numbers"}


def read(found) -> dict:
    """Return the parts groups, texts and table of a helpers.photos.PhotoSet; what does not fit goes to found.faults.

    Args:
        found: a sources.photo_folders.Survey.
    """
    parts = {"groups": None, "texts": None, "table": None}
    names = [_plain(found.name(path)) for path in found.paths]
    known = {name: name for name in [*names, *(_plain(found.name(path)) for path in found.copies)]}
    counts = collections.Counter(name.casefold() for name in known)
    known |= {name.casefold(): name for name in known.copy() if counts[name.casefold()] == 1}
    for kind, parse in (("groups", _groups), ("table", _texts_and_table)):
        try:
            if listing := _listing(found, kind):
                parts |= parse(found, listing, names, known)
        except (PhotoError, tables.TableError, OSError) as error:
            found.faults.append(str(error).replace(f"{found.folder}{os.sep}", ""))
    return parts


def _plain(name):
    return unicodedata.normalize("NFC", name).strip()


def _listing(found, kind):
    """Return the path of groups.csv or table.csv, whatever its case; a file that is nearly called so is an error."""
    word = f"{kind.removesuffix('s')}s?"
    there = [path for path in sorted(found.folder.iterdir()) if not path.is_dir() and not path.name.startswith(".")]
    exact = [path for path in there if MEANT.fullmatch(path.name) and path.name.lower().startswith(kind)]
    near = []
    for path in (path for path in there if path not in exact and not photo_files.MEANT.fullmatch(path.name)):
        stem = path.name.lower().partition(".")[0]
        alike = difflib.SequenceMatcher(None, stem, kind).ratio() > 0.8 or re.search(
            rf"(?<![a-z]){word}(?![a-z])", stem
        )
        if alike if path.suffix.lower() in SUFFIXES else re.fullmatch(word, stem):
            near.append(path.name)
    if len(exact) > 1 or (near and not exact):
        names = some([*(path.name for path in exact), *near])
        raise PhotoError(f"{names}: only {kind}.csv is read. Save the right one under this name and remove the others.")
    if near:
        found.notes.append(f"{some(near)} not read: {exact[0].name} is.")
    return exact[0] if exact else None


def _rows(listing, names, known, keep_case=False):
    """Return {photo's name: (line, row)} for the rows of a table, as they name the photos."""
    needed = ("file",) if keep_case else ("file", "group")
    of, unknown = collections.defaultdict(list), []
    for line, row in tables.rows(listing, needed, keep_case):
        parts = [part for part in row["file"].replace("\\", "/").split("/") if part not in ("", ".")]
        ends = ["/".join(parts[start:]) for start in range(max(1, len(parts) - 1))]  # of an absolute path, its end
        match = next((known[name] for end in ends for name in (end, end.casefold()) if name in known), None)
        if match:
            of[match].append((line, row))
        elif not (row["file"] and (listing.parent / row["file"]).exists()):
            unknown.append(f"line {line}: {row['file']}")
    if missing := [name for name in names if name not in of]:
        raise PhotoError(f"{listing} has no row for {some(missing)}.{_nearest(missing, unknown)}")
    if unknown:
        raise PhotoError(f"{listing} names photos that are not there: {some(unknown)}.{_nearest(unknown, known)}")
    return of


def _nearest(wanted, there):
    near = difflib.get_close_matches(wanted[0].removeprefix("line"), list(there), 1, 0.4)
    return f" The nearest to {wanted[0]} is {near[0]}; a file is CLASS/NAME, as in rose/1.jpg." if near else ""


def _groups(found, listing, names, known):
    rows = _rows(listing, names, known)
    groups = {name: {row["group"] for _, row in rows[name]} - {""} for name in rows}
    if two := [f"{name} ({', '.join(sorted(told))})" for name, told in groups.items() if len(told) > 1]:
        raise PhotoError(f"{listing} names two groups for {some(two)}.")
    if none := [name for name in names if not groups[name]]:
        raise PhotoError(f"{listing} names no group for {some(none)}.")
    own = np.array([groups[name].pop() for name in names], dtype=str)
    alike = collections.Counter(" ".join(group.split()).casefold() for group in set(own))
    if twice := [group for group, count in alike.items() if count > 1]:
        found.notes.append(
            f"{listing.name} has groups that differ only in case or blanks: {some(twice)}. Spell them alike."
        )
    return {"groups": own}


def _texts_and_table(found, listing, names, known):
    import pandas

    of = _rows(listing, names, known, keep_case=True)
    if twice := [f"{name} twice, last in line {told[-1][0]}" for name, told in of.items() if len(told) > 1]:
        raise PhotoError(f"{listing} names {some(twice)}; it has one row per photo.")
    rows = [of[name][0] for name in names]
    columns = list(rows[0][1]) if rows else []
    text = next((column for column in columns if column.lower() == "text"), None)
    if empty := [f"line {line} ({row['file']})" for line, row in rows if text and not row[text]]:
        raise PhotoError(f"{listing} has no text in {some(empty)}. Write one, or remove the photo and its row.")
    columns = [column for column in columns if column not in ("file", text)]
    bad, table = [], np.full((len(rows), len(columns)), np.nan)
    for place, (line, row) in enumerate(rows):
        for column, name in enumerate(columns):
            with contextlib.suppress(ValueError):
                table[place, column] = float(row[name])
            if not np.isfinite(table[place, column]):
                bad.append(f"line {line}, column {name}: {row[name]!r}")
    if bad:
        cure = "Columns other than file and text are for numbers, with a point for decimals."
        raise PhotoError(f"{listing} holds what is no number: {some(bad)}. {cure}")
    return {
        "texts": np.array([row[text] for _, row in rows], dtype=object) if text else None,
        "table": pandas.DataFrame(table, columns=columns) if columns else None,
    }
