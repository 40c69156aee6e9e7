"""What a folder of photos is, on one screen."""

import collections
import os
import textwrap
from pathlib import Path

import numpy as np

from sources import photo_files, photo_folders
from sources.photo_files import PhotoError, some


def report(folder: str | Path) -> list[str]:
    """Print one screen about a folder of photos: its classes, what was left out of it and why, and what to do.

    Every photo is decoded. Nothing is raised for what is wrong with the folder.

    Returns:
        what has to be fixed before the folder is a photo set; empty where it is one.
    """
    folder = Path(folder).expanduser()
    try:
        found, _ = photo_folders.survey(folder)
    except PhotoError as error:
        print(textwrap.fill(str(error), 100))
        return [str(error)]
    broken, single = photo_files.examine(found.paths)
    faults = found.faults + ([str(photo_files.undecodable(broken, len(found.paths)))] if broken else [])
    notes = found.notes + ([f"{some(single.values())}."] if single else [])
    counts = collections.Counter(found.labels)
    classes = some([f"{counts[label]} {name[:80]}" for label, name in enumerate(found.class_names)], 20)
    lines = [
        f"{len(found.paths)} photos in {len(found.class_names)} classes: {photo_files.shown(folder)}",
        f"Photos of each class: {classes}.",
    ]
    if found.sizes:
        low, middle, high = np.percentile([min(size) for size in found.sizes], [0, 50, 100]).astype(int)
        lines.append(f"Pixels of the shorter side: {low} to {high}, median {middle}.")
    for title, sentences in (("To fix first:", faults), ("Of note:", notes)):
        lines += [title, *(f"  - {each}" for each in sentences)] if sentences else []
    lines.append("It is not a photo set yet." if faults else "It can be used as a photo set.")
    for line in lines:
        print(textwrap.fill(line.replace(f"{found.folder}{os.sep}", ""), 100, subsequent_indent="    "))
    return faults
