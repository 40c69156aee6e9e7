"""A folder of photos: its classes, its copies, and what is no photo."""

import collections
import dataclasses
import os
import re
import unicodedata
import warnings
from pathlib import Path

import numpy as np

from sources import cache, photo_files, photo_tables
from sources.photo_files import PhotoError, counted, some

NO_CLASSES = {"__macosx", "__pycache__", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
NO_PHOTOS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "licence", "license", "readme", "makefile"}
PLAIN = re.compile(
    r".*\.(txt|md|[ct]sv|json|xml|ya?ml|toml|log|ini|db|aae|xmp|py|ipynb|html?|url|\w+:zone\.identifier)", re.IGNORECASE
)
ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"}
PARTS = re.compile(  # a part of a split or of a data set, as a word of a folder's name
    "^(images?|imgs?|photos?|data)$|(?<![a-z])(train(ing|val)?|test(ing)?|valid(ation|ate)?|val|dev|eval(uation)?|"
    "hold.?out|split|fold|part|(un)?labell?ed|labels?|masks?|annotations?)(sets?|images?|imgs?|photos?|data)?(?![a-z])",
    re.IGNORECASE,
)
SAID = {  # kind of what is odd: whether it stops the folder from being a photo set, and the sentence about it
    "unnamed": ("faults", "name", "{number} not in UTF-8: {names}. Rename them, in a file manager or with convmv."),
    "closed": ("faults", "folder", "{number} can't be opened: {names}. Check their permissions."),
    "dead": ("faults", "link", "{number} to what is not there: {names}. Connect their drive, or remove them."),
    "unreadable": ("faults", "file", "{number} of {total} can't be read as photos: {names}. Replace or remove them."),
    "empty": ("faults", "class", "{names}. Add photos, or remove the folder."),
    "alone": ("notes", "class", "a single photo, so that none can be held out, is in {names}. Add more."),
    "other": ("notes", "file", "left out {number} of no photo format: {names}."),
    "table": ("notes", "table", "tables are read beside the class folders, not in them: {names}. Move them up."),
    "loose": (
        "notes",
        "photo",
        "left out {number} beside the class folders, of no class: {names}. Move each into one.",
    ),
}
CLASS_FOLDER = (
    "A class folder has the name of one class and holds all of its photos; lessons draw the splits themselves."
)


@dataclasses.dataclass
class Survey:
    """What a folder of photos holds, what stops it from being a photo set (faults), what else is of note (notes)."""

    folder: Path
    class_names: list[str] = dataclasses.field(default_factory=list)
    paths: list[Path] = dataclasses.field(default_factory=list)
    labels: list[int] = dataclasses.field(default_factory=list)
    sizes: list[tuple[int, int]] = dataclasses.field(default_factory=list)  # width and height in pixels
    copies: list[Path] = dataclasses.field(default_factory=list)
    faults: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def name(self, path: Path) -> str:
        """Return a path below the folder as text, as groups.csv and table.csv have it."""
        return photo_files.shown(os.path.relpath(path, self.folder)).replace(os.sep, "/")


def load(folder: Path) -> dict:
    """Read a folder of photos: one folder per class, and groups.csv and table.csv if they are there.

    Names and headers are read, no photo is decoded. What is left out is named in warnings.

    Returns:
        The parts of a helpers.photos.PhotoSet: paths, labels, class_names, groups, texts, table.

    Raises:
        PhotoError: the folder has faults, its tables included. One message names all of them.
    """
    found, tables = survey(folder)
    if found.faults:
        raise PhotoError(f"{photo_files.shown(folder)}: " + "\n".join(found.faults))
    for note in found.notes:
        warnings.warn(f"{photo_files.shown(folder)}: {note}", stacklevel=3)
    labels = np.array(found.labels, np.int32)
    return {"paths": tuple(found.paths), "labels": labels, "class_names": tuple(found.class_names), **tables}


def survey(folder: Path) -> tuple[Survey, dict]:
    """Look through a folder of class folders and all that is below them, and read its tables.

    Every entry is a photo, plainly none (Thumbs.db, notes.txt), or named in the survey's faults or notes.

    Returns:
        the survey, and the parts groups, texts and table of a helpers.photos.PhotoSet.

    Raises:
        PhotoError: this is no folder, or it holds fewer than two class folders.
    """
    if not folder.is_dir():
        why = "a file" if folder.exists() else "a link that leads nowhere" if folder.is_symlink() else "not there"
        raise PhotoError(f"{photo_files.shown(folder)} is {why}; name a folder with one folder of photos per class.")
    found, odd = Survey(folder), collections.defaultdict(list)
    entries = _entries(odd, folder)
    classes = [path for path in entries if path.is_dir() and not _is_system(path.name)]
    links = [path for path in entries if path.is_symlink() and not path.exists()]
    if len(classes) < 2 and not (odd or links):
        raise PhotoError(_too_few(folder, classes))
    for label, each in enumerate(classes):
        _look_into(found, odd, each, label)
    odd["dead"] += map(found.name, links)
    for path in entries:
        if path.is_file() and (kind := _kind(path, _header(path))) in ("photo", "unreadable", "other"):
            odd["other" if kind == "other" else "loose"].append(found.name(path))
    found.class_names = [unicodedata.normalize("NFC", each.name) for each in classes]
    _judge(found, odd)
    _without_copies(found)
    _look_for_splits(found)
    return found, photo_tables.read(found)


def _entries(odd, folder):
    """Return what is in a folder, sorted; names that are no text go to odd."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        odd["closed"].append(f"{photo_files.shown(folder)} ({error.strerror})")
        return []
    return [path for path in entries if _is_named(odd, path)]


def _is_named(odd, path):
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", path.name) and path.name.lower() not in NO_PHOTOS:
        odd["unnamed"].append(photo_files.shown(path))
        return False
    return True


def _is_system(name):
    return name.startswith(".") or name.lower() in NO_CLASSES


def _header(path):
    try:
        return photo_files.header(path)
    except PhotoError as error:
        return str(error)


def _look_into(found, odd, folder, label):
    """Sort all that is in a class folder and below it into photos and what is odd."""
    names, before = set(), len(found.paths)
    for path in sorted(_below(odd, folder)):
        names.add(path.suffix or path.name)
        said = _header(path)
        kind = _kind(path, said)
        if kind == "photo":
            found.paths.append(path)
            found.labels.append(label)
            found.sizes.append(said)
        elif kind in ("dead", "table"):
            odd[kind].append(found.name(path))
        elif kind:
            why = "hidden: its name starts with a dot" if kind == "hidden" else said
            odd["other" if kind == "hidden" else kind].append(f"{found.name(path)} ({why})")
    if len(found.paths) == before:
        holds = f"it holds {some(sorted(names))}" if names else "it is empty"
        odd["empty"].append(f"the class {folder.name!r} has no photo ({holds})")
    elif len(found.paths) == before + 1:
        odd["alone"].append(folder.name)


def _kind(path, said):
    """Return what a file is, of which photo_files.header said this; None for what is plainly no photo."""
    if path.is_symlink() and not path.exists():
        return "dead"
    if path.name.startswith(".") and path.suffix != ".icloud":
        return "hidden" if isinstance(said, tuple) else None
    if isinstance(said, tuple):
        return "photo"
    if photo_files.MEANT.fullmatch(path.name):
        return "unreadable"
    if photo_tables.MEANT.fullmatch(path.name):
        return "table"
    return None if path.name.lower() in NO_PHOTOS or PLAIN.fullmatch(path.name) else "other"


def _below(odd, folder):
    """Yield all files below a folder, and links that lead nowhere; a folder with several links to it counts once."""
    seen = set()
    closed = lambda error: odd["closed"].append(f"{photo_files.shown(error.filename)} ({error.strerror})")  # noqa: E731
    for here, folders, files in os.walk(folder, onerror=closed, followlinks=True):
        real = os.path.realpath(here)
        folders[:] = [
            name for name in folders if real not in seen and not _is_system(name) and _is_named(odd, Path(here, name))
        ]
        yield from (Path(here, name) for name in files if real not in seen and _is_named(odd, Path(here, name)))
        seen.add(real)


def _judge(found, odd):
    """Turn what is odd into sentences: how many, the first five, and what to do."""
    total = len(found.paths) + len(odd["unreadable"])
    for kind, (level, noun, sentence) in SAID.items():
        if odd[kind]:
            number = counted(len(odd[kind]), noun)
            getattr(found, level).append(sentence.format(number=number, total=total, names=some(odd[kind])))
    names = collections.Counter(map(str.strip, found.class_names))
    if twice := [name for name, count in names.items() if count > 1]:
        found.faults.append(f"two class folders have the same name: {some(twice)}. Put their photos into one.")
    cases = collections.Counter(map(str.casefold, names))
    if alike := [name for name in names if cases[name.casefold()] > 1]:
        found.notes.append(
            f"class folders differ only in case: {some(alike)}. If they are one class, put them into one."
        )


def _without_copies(found):
    """Take copies out of their class; only files of one size are compared, so that a large set is not read whole."""
    by_size = collections.defaultdict(list)
    for row, path in enumerate(found.paths):
        by_size[path.stat().st_size].append(row)
    first, dropped, across = {}, set(), []
    for row in (row for rows in by_size.values() if len(rows) > 1 for row in rows):
        same = first.setdefault(cache.content_hash(found.paths[row]), row)
        if found.labels[same] != found.labels[row]:
            across.append(f"{found.name(found.paths[same])} and {found.name(found.paths[row])}")
        elif same != row:
            dropped.add(row)
    if across:
        found.faults.append(f"{counted(len(across), 'photo')} in two classes: {some(across)}. Remove the wrong ones.")
    found.copies = [found.paths[row] for row in sorted(dropped)]
    if dropped:
        names = some([found.name(path) for path in found.copies])
        found.notes.append(f"left out {counted(len(dropped), 'photo')} that their class has twice: {names}.")
    keep = [row for row in range(len(found.paths)) if row not in dropped]
    found.paths, found.labels, found.sizes = (
        [values[row] for row in keep] for values in (found.paths, found.labels, found.sizes)
    )


def _look_for_splits(found):
    parents = collections.Counter(path.parent.parent for path in found.paths)
    deep = bool(parents) and found.folder not in parents
    below = {(path.parent.name, label) for path, label in zip(found.paths, found.labels, strict=True)}
    names = collections.Counter(name for name, _ in below if re.search(r"[^\W\d]", name))  # no class is called 2023
    shared = deep and max(names.values(), default=0) > 1
    if all(PARTS.search(re.sub("(?<=[a-z])(?=[A-Z])", " ", name)) for name in found.class_names):
        parts = ", ".join(found.class_names)
        said = f"every class is named like a part of a split or of a data set ({parts}). {CLASS_FOLDER}"
        if shared:
            where = parents.most_common(1)[0][0]
            found.faults.append(f"{said} The classes lie in {where}: name it, or merge these folders by class.")
        else:  # beside other faults, it may be their cause
            (found.faults if found.faults else found.notes).append(said)
    elif deep:
        found.notes.append(
            "all photos are in folders below the class folders, and count as photos of these "
            f"({', '.join(found.class_names[:5])}). If the folders below are your classes, move them up."
        )


def _too_few(folder, classes):
    """Return why a folder with fewer than two class folders is no photo set, and where its classes may be."""
    has = f"one class, {classes[0].name!r}" if classes else "no class folder"
    said = f"{folder} holds {has}; a classifier needs two folders of photos or more, one per class."
    lie = collections.Counter()  # folders, and how many folders with photos each has
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_system(name)] if here.count(os.sep) < 9 else []
        if any(isinstance(_header(Path(here, name)), tuple) for name in files[:9]):
            lie[Path(here).parent] += 1
    if classes_at := [str(place) for place, count in lie.items() if count > 1]:
        which = "that folder" if len(classes_at) == 1 else "one of them"
        return f"{said} The classes seem to lie in {some(classes_at)}: name {which}."
    if packed := [path.name for path in sorted(folder.iterdir()) if path.suffix.lower() in ARCHIVES]:
        return f"{said} Its photos may be in {some(packed)}: unpack it, and name the folder that comes out."
    if lie[folder.parent]:
        return f"{said} Its own photos belong to no class: sort them into folders, or name the folder above."
    return said
