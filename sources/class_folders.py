"""A public set's photos become one numbered folder per class; what would stop photo_folders.load is left out."""

import collections
import csv
import hashlib
import io
import warnings

from PIL import Image

from sources import photo_files

COPY, TWO_CLASSES, NO_PHOTO = "again in its class", "in two classes", "not readable"


def write(part, photos, card, elsewhere=()):
    """Write photos as they are into one numbered folder per class of the card.

    Nobody can fix a public set, so what would stop photo_folders.load is left out: a second copy within a class, a
    photo in two classes, a file that is no photo. A warning counts them, left_out.csv names them.

    Args:
        part: the set's folder (Path).
        photos: iterable of (content as bytes, label, file name or ""). A name that is no photo's or is taken already
            gives way to a number.
        card: the set's entry in data/photos.toml, with its name.
        elsewhere: (label, file name) of photos that the set's source has in another class too, outside this set.

    Returns:
        {position in photos: Path} of the photos written.
    """
    classes = [part / f"{label:02d} {name}" for label, name in enumerate(card["classes"])]
    for each in classes:
        each.mkdir()
    left_out = [(classes[label] / name, TWO_CLASSES) for label, name in elsewhere]
    written, places = {}, {}  # places: the paths at which one content is; the first is written
    for number, (content, label, name) in enumerate(photos):
        path = classes[label] / _free(name, content, number, classes[label])
        if not _is_readable(content):
            left_out.append((path, NO_PHOTO))
            continue
        same = places.setdefault(hashlib.blake2b(content).digest(), [])
        same.append(path)
        if len(same) == 1:
            path.write_bytes(content)
            written[number] = path
    for same in places.values():
        if len({path.parent for path in same}) > 1:
            same[0].unlink()
            left_out += [(path, TWO_CLASSES) for path in same]
        else:
            left_out += [(path, COPY) for path in same[1:]]
    if left_out:
        _tell(part, left_out, card)
    return {number: path for number, path in written.items() if path.exists()}


def _free(name, content, number, into):
    """Return a photo's file name (str): its own where it is a photo's and free, else a number."""
    if photo_files.MEANT.fullmatch(name) and not (into / name).exists():
        return name
    return f"{number:05d}" + (".png" if content.startswith(b"\x89PNG") else ".jpg")


def _is_readable(content):
    try:
        with Image.open(io.BytesIO(content)):
            return True
    except (OSError, Image.DecompressionBombError):  # UnidentifiedImageError is an OSError
        return False


def _tell(part, left_out, card):
    with open(part / "left_out.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "why"), *((path.relative_to(part), why) for path, why in left_out)])
    counts = collections.Counter(why for _, why in left_out)
    warnings.warn(
        f"{card['name']}: left out {len(left_out)} photos "
        f"({', '.join(f'{count} {why}' for why, count in counts.items())}); left_out.csv in its folder names them.",
        stacklevel=2,
    )
