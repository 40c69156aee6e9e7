"""The photo sets. Each writes one folder per class, numbered so that the folders sort as the catalogue's classes do;
leaves, which has several targets, writes one folder and keeps its labels in data/leaves.csv. plant_foods has a file of
its own.
"""

import csv
from pathlib import Path

import numpy as np
import pandas
from PIL import Image
from scipy import ndimage

from sources import cache, catalogues, fetch
from sources.recipes.plant_foods import plant_foods

CELL = 300  # pixels of a sheet's cell, a photo with its caption below
FRAME = 3  # pixels of the black frame around the photo


def folder(card: dict) -> Path:
    """Return the folder of a packaged set, built on first use."""
    table = [(catalogues.DATA / card["table"]).read_bytes()] if "table" in card else []
    key = catalogues.fingerprint(*(origin["sha256"] for origin in card["origins"]), *table)
    return cache.prepared(f"photos/{card['name']}-{key}", lambda part: RECIPES[card["name"]](part, card))


def of_table(folder: Path, card: dict, column: str) -> dict:
    """Return the parts of a helpers.photos.PhotoSet whose labels, groups and notes are in a table of data/."""
    rows = catalogues.rows(card["table"])
    class_names = tuple(sorted({row[column] for row in rows}))
    return {
        "paths": tuple(folder / panel_name(row) for row in rows),
        "labels": np.array([class_names.index(row[column]) for row in rows], np.int32),
        "class_names": class_names,
        "groups": np.array([row[card["groups"]] for row in rows], dtype=str),
        "table": pandas.DataFrame(rows),
    }


def flowers(folder: Path, entry: dict) -> None:
    """Write the ten flower species: 210 garden photos, PNG."""
    origin, archive = fetch.fetch_any(entry["origins"])
    with fetch.unpacked(archive, origin["file"]) as inner, fetch.unpacked(inner, "flower_images") as found:
        with open(found / "flower_labels.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            _copy(found / row["file"], folder, int(row["label"]), entry["classes"])


def bean_leaves(folder: Path, entry: dict) -> None:
    """Write six bean leaves, JPEG, 500 px: the carrier's training photos (its other splits repeat them)."""
    origin, archive = fetch.fetch_any(entry["origins"])
    with fetch.unpacked(archive, origin["file"]) as inner, fetch.unpacked(inner, "dummy_data/train.zip") as found:
        for label, name in enumerate(entry["classes"]):
            for photo in sorted((found / name.replace(" ", "_")).glob("*.jpg")):
                _copy(photo, folder, label, entry["classes"])


def leaves(folder: Path, entry: dict) -> None:
    """Write the leaf panels that data/leaves.csv names, PNG, cut out of captioned sheets of three columns."""
    origin, archive = fetch.fetch_any(entry["origins"])
    with fetch.unpacked(archive, origin["file"]) as sheets:
        rows = catalogues.rows(entry["table"])
        if missing := sorted({row["sheet"] for row in rows if not (sheets / f"{row['sheet']}_examples.png").exists()}):
            raise ValueError(
                f"data/{entry['table']} names sheets that {origin['package']} {origin['version']} does not hold: "
                f"{', '.join(missing)}. Correct these rows."
            )
        for row in rows:
            with Image.open(sheets / f"{row['sheet']}_examples.png") as sheet:
                left, top = int(row["column"]) * CELL, int(row["row"]) * CELL
                panel = _largest_picture(sheet.convert("RGB").crop((left, top, left + CELL, top + CELL)))
            panel.save(folder / panel_name(row))


def panel_name(row: dict) -> str:
    """Return the file name of the panel that a row of data/leaves.csv describes."""
    return f"{row['sheet']}_{row['index']}.png"


def _largest_picture(cell):
    """Cut the largest area that is not white out of a cell, without its frame."""
    parts, _ = ndimage.label(np.asarray(cell).min(axis=2) < 250)
    boxes = ndimage.find_objects(parts)
    y, x = max(boxes, key=lambda box: (box[0].stop - box[0].start) * (box[1].stop - box[1].start))
    return cell.crop((x.start + FRAME, y.start + FRAME, x.stop - FRAME, y.stop - FRAME))


def _copy(photo, folder, label, classes):
    target = folder / f"{label} {classes[label]}"
    target.mkdir(exist_ok=True)
    (target / photo.name).write_bytes(photo.read_bytes())


RECIPES = {"flowers": flowers, "bean_leaves": bean_leaves, "leaves": leaves, "plant_foods": plant_foods}
