"""The photo sets at size, downloaded when they are first asked for: PlantVillage (laboratory) and PlantDoc (field) from
their authors' repositories, and flowers from the archive of TensorFlow's tutorials.
"""

import csv
import json
import os
import re
import tempfile
import warnings
from pathlib import PurePosixPath

from sources import cache, catalogues, class_folders, fetch, git, progress
from sources.photo_files import some

LEAF_MAP = PurePosixPath("leaf-map.json")
MEGABITS = 20  # a second: what announce reckons with


def folder(card):
    """Return the folder (Path) of a set, one numbered folder of photos per class, downloaded on first use.

    card: its entry in data/photos.toml, with its name. Photos are the bytes that the source has; what
    class_folders.write leaves out is counted in a warning and listed there. Raises PhotoError as git.opened does, and
    where the source lacks what the card names.
    """
    return cache.prepared(_place(card), lambda part: _RECIPES[card["recipe"]](part, card))


def announce(names):
    """Return what loading these sets (list of names) will download, and about how long that takes (str)."""
    cards = [{"name": name, **catalogues.entries("photos")[name]} for name in names]
    missing = [card for card in cards if "size" in card and not (cache.root() / _place(card)).exists()]
    total = sum(card["size"] for card in missing) / 1e6
    lines = [f"{card['name']}: {card['size'] / 1e6:.0f} MB, {card['credit']}" for card in missing]
    return "\n".join([*lines, f"{total:.0f} MB to download: {total * 8 / MEGABITS / 60:.0f} min at {MEGABITS} Mbit/s"])


def _place(card):
    if "tfds" in card:
        return f"photos/{card['tfds'].replace(':', '-')}"
    listed = (catalogues.DATA / card["list"]).read_bytes() if "list" in card else ""
    return f"photos/{card['name']}-{catalogues.fingerprint(card['origins'], card['classes'], listed)}"


def laboratory(part, card):
    """Write the PlantVillage photos that a list in data/sets names, with the list's groups."""
    with git.opened(card["origins"][0], part) as (ids, read):
        there = {(path.parent.name, _bare(path)): path for path in sorted(_class_photos(card, ids), reverse=True)}
        folders = dict(zip(card["classes"], card["folders"], strict=True))
        rows = catalogues.rows(card["list"])
        listed = [(folders[row["class"]], row["file"]) for row in rows]
        _check(card, ["/".join(each) for each in listed if each not in there])
        _write(part, card, read, [there[each] for each in listed], [row["group"] for row in rows])


def whole_laboratory(part, card):
    """Write all of PlantVillage's photos of a crop; a group is a leaf of the authors' map, if the card has groups."""
    with git.opened(card["origins"][0], part) as (ids, read):
        paths, groups = _in_folders(card, ids), None
        if card["groups"]:
            _check(card, sorted({LEAF_MAP.name} - {path.name for path in ids}))
            leaves = json.loads(next(read([LEAF_MAP], 2_500_000)))
            groups = [_leaf(path, leaves) or str(path) for path in paths]
            if alone := len(set(groups) & set(map(str, paths))):
                warnings.warn(
                    f"{card['name']}: the leaf map lacks {alone} of {len(paths)} photos. Each is a group of its own, "
                    "so photos of one leaf may be on both sides of a split.",
                    stacklevel=2,
                )
        _write(part, card, read, paths, groups)


def field(part, card):
    """Write PlantDoc's photos of a crop, train and test together, without those that it has for another crop too."""
    with git.opened(card["origins"][0], part) as (ids, read):
        other = {ids[path] for path in _class_photos(card, ids) if path.parent.name not in card["folders"]}
        paths = _in_folders(card, ids)
        elsewhere = [path for path in paths if ids[path] in other]
        _write(part, card, read, [path for path in paths if ids[path] not in other], elsewhere=elsewhere)


def flowers_by_name(part, card):
    """Write the flower photos that a list in data/sets names, and credits.csv with each one's photographer."""
    rows = catalogues.rows(card["list"])
    with tempfile.TemporaryDirectory(dir=part) as own, fetch.unpacked(_archive(card, own), "flower_photos") as found:
        names = [f"{row['class']}/{row['file']}" for row in rows]
        _check(card, [name for name in names if not (found / name).exists()])
        labels = [card["classes"].index(row["class"]) for row in rows]
        photos = ((found / name).read_bytes() for name in names)
        written = class_folders.write(part, zip(photos, labels, (row["file"] for row in rows), strict=True), card)
        licences = (found / "LICENSE.txt").read_text(encoding="utf-8", errors="replace")
    credits = {name: rest for name, *rest in re.findall(r"^(\S+) CC-BY by (.*) - (\S+)\s*$", licences, re.MULTILINE)}
    unnamed = ["not named in the archive's LICENSE.txt", ""]
    credited = {path: credits.get(names[row], unnamed) for row, path in written.items()}
    _table(part, "credits.csv", "photographer page", credited)


def _archive(card, into):
    """Return the path (str) of the archive once its sha256 is right."""
    import pooch

    (origin,) = card["origins"]
    if os.environ.get("COURSE_OFFLINE"):
        git.refuse(origin, *git.OFFLINE)
    try:
        bar = progress.bar(0, "photos.tgz", "B", unit_scale=True, delay=1)  # pooch knows the size
        return pooch.retrieve(origin["url"], f"sha256:{origin['sha256']}", "photos.tgz", into, progressbar=bar)
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; ValueError is another hash
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        git.refuse(origin, why, "Try again, with a network that reaches the host", error)


def _class_photos(card, ids):
    """Return the paths (list) of all files in class folders, of whichever crop."""
    return [path for path in ids if path.parent.parent.as_posix() in card["origins"][0]["under"]]


def _in_folders(card, ids):
    """Return the paths (sorted list) of all files in the card's folders, once they are compared with the card."""
    paths = sorted(path for path in _class_photos(card, ids) if path.parent.name in card["folders"])
    _check(card, sorted(set(card["folders"]) - {path.parent.name for path in paths}))
    if len(paths) != card["photos"]:
        warnings.warn(
            f"{card['name']}: {len(paths)} photos, where the card says {card['photos']}, a count that no run has "
            "seen. The commit is the right one, so the card is wrong: please report it.",
            stacklevel=2,
        )
    return paths


def _bare(path):
    """Return a PlantVillage photo's name (str) without its suffix, and without the UUID that some have in front."""
    return re.sub(r"^[0-9a-f-]{36}___", "", path.stem)


def _leaf(path, leaves):
    """Return the leaf (str) that the map names for a photo in the photo's own class, or None."""
    named = leaves.get(_bare(path).lower(), [])
    return next((leaf for leaf in named if leaf.startswith(f"{path.parent.name}:::")), None)


def _check(card, missing):
    if missing:
        lacks = f"{card['name']} lacks {len(missing)} that its card names: {some(missing)}"
        git.refuse(card["origins"][0], lacks, git.NEWER)


def _write(part, card, read, paths, groups=None, elsewhere=()):
    def named(path):  # train and test have names in common
        *_, side, place, name = path.parts
        return card["folders"].index(place), name if len(card["origins"][0]["under"]) == 1 else f"{side}_{name}"

    photos = ((content, *named(path)) for content, path in zip(read(paths, card["size"]), paths, strict=True))
    written = class_folders.write(part, photos, card, map(named, elsewhere))
    if groups:
        _table(part, "groups.csv", "group", {path: [groups[row]] for row, path in written.items()})


def _table(part, name, columns, rows):
    with open(part / name, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file", *columns.split()]])
        csv.writer(file).writerows([path.relative_to(part).as_posix(), *rest] for path, rest in rows.items())


_RECIPES = {each.__name__: each for each in (laboratory, whole_laboratory, field, flowers_by_name)}
