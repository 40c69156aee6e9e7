"""python -m course check FOLDER [OWN_PHOTO]: say what a folder of photos is, before a lesson spends minutes on it."""

from pathlib import Path

from course.paths import CourseError


def check(folder: str, own_photo: str | None = None) -> None:
    """Print one screen about a folder of photos, and whether a photo can be read.

    Raises:
        CourseError: something has to be cured first; the screen says what.
    """
    from helpers import photos

    faults = photos.report(folder)
    if own_photo:
        fault = _photo(Path(own_photo).expanduser())
        print(f"Your photo: {fault or f'{own_photo} can be read.'}")
        faults += [fault] if fault else []
    if faults:
        raise CourseError(f"{len(faults)} to cure first; the lines above say what and how.")


def parameters(values: dict) -> dict:
    """Check what the parameters of a run name (photo sets, a photo, a module), before anything starts.

    Args:
        values: {parameter: value}, as given on the command line.

    Returns:
        the same, with the whole path of each folder or file, since lessons run in another folder.

    Raises:
        CourseError: something is missing or can't be used. All faults are in one message.
    """
    from helpers import photos

    whole, faults = dict(values), []
    for name, look in LOOKS.items():
        given = str(values.get(name) or "")
        if not given or (look is _photo_set and given in photos.catalogue()):
            continue
        path = Path(given).expanduser().absolute()
        whole[name] = str(path)
        if fault := look(path):
            faults.append(f"-p {name} {given}: {fault}")
    if faults:
        raise CourseError("\n".join(faults))
    return whole


def _photo_set(folder):
    import numpy as np

    from helpers import photos
    from sources import photo_files

    if not folder.exists() and not folder.is_symlink():
        return f"no photo set and no folder is called so. The sets are {', '.join(photos.catalogue())}."
    try:
        found = photos.load(folder)
    except photos.PhotoError as error:
        return str(error)
    if broken := photos.faults(found):
        return str(photo_files.undecodable(broken, len(found)))
    alone = np.array(found.class_names)[np.bincount(found.labels) == 1]
    return f"a class needs two photos or more, and these have one: {', '.join(alone)}." if len(alone) else None


def _photo(path):
    from helpers import photos

    if not path.exists() and not path.is_symlink():
        return f"{path} is missing: there is no such file."
    if path.is_dir():
        return f"{path} is a folder; name one photo."
    try:
        photos.read(path)
    except photos.PhotoError as error:
        return str(error)
    return None


def _module(folder):
    return None if (folder / "saved_model.pb").is_file() else f"{folder} is no SavedModel folder: no saved_model.pb."


LOOKS = {
    "photo_set": _photo_set,
    "other_set": _photo_set,
    "field_set": _photo_set,
    "own_photo": _photo,
    "own_module": _module,
}
