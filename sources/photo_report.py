"""What a folder of photos is, on one screen."""

import collections
import textwrap
from pathlib import Path

import numpy as np

from sources import photo_files, photo_folders
from sources.photo_files import PhotoError, some


def report(folder: str | Path) -> list[str]:
    """Print one screen about a folder of photos: its classes, what was left out of it and why, and what to do.

    Every photo is decoded. Nothing is raised for what is wrong with the folder.

    Returns:
        what has to be cured before the folder is a photo set; empty where it is one.
    """
    folder = Path(folder).expanduser()
    try:
        found, _ = photo_folders.survey(folder)
    except PhotoError as error:
        print(textwrap.fill(str(error), 100))
        return [str(error)]
    broken, single = photo_files.examine(found.paths)
    faults = found.faults + ([str(photo_files.undecodable(broken, len(found.paths)))] if broken else [])
    notes = found.notes + ([f"nearly of one colour: {some(single.values())}."] if single else [])
    title = f"{len(found.paths)} photos in {len(found.class_names)} classes: {photo_files.shown(folder)}"
    print(textwrap.fill(title, 100))
    counts = collections.Counter(found.labels)
    for label, name in enumerate(found.class_names[:20]):
        print(f"  {counts[label]:6}  {name[:80]}")
    if len(found.class_names) > 20:
        print(f"          and {len(found.class_names) - 20} more classes")
    if found.sizes:
        low, middle, high = np.percentile([min(size) for size in found.sizes], [0, 50, 100]).astype(int)
        print(f"The shorter side has {low} to {high} pixels, in the middle {middle}.")
    for title, sentences in (("To cure first", faults), ("Of note", notes)):
        for sentence in sentences:
            print(textwrap.fill(f"{title}: {sentence}", 100, subsequent_indent="    "))
    print("It is not a photo set yet." if faults else "It can be used as a photo set.")
    return faults
