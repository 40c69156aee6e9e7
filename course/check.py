"""python -m course check FOLDER [OWN_PHOTO]: say what a folder of photos is, before a lesson spends minutes on it."""

from pathlib import Path

from course.paths import CourseError


def check(folder: str, own_photo: str | None = None) -> None:
    """Print one screen about a folder of photos, and whether a photo can be read.

    Raises:
        CourseError: something has to be fixed first; the screen says what.
    """
    from helpers import photos

    faults = photos.report(folder)
    if own_photo:
        fault = _photo(Path(own_photo).expanduser())
        print(f"Your photo: {fault or f'{own_photo} can be read.'}")
        faults += [fault] if fault else []
    if faults:
        raise CourseError(f"{len(faults)} to fix first; the lines above say what and how.")


def parameters(values: dict) -> dict:
    """Check what the parameters of a run name (photo sets, a photo, a module), before anything starts.

    Args:
        values: {parameter: value}, as given on the command line.

    Returns:
        the same, with the whole path of each folder or file, since lessons run in another folder.

    Raises:
        CourseError: something is missing or can't be used. All faults are in one message.
    """
    whole, faults = dict(values), []
    for name, (known, look) in LOOKS.items():
        given = values.get(name) or []
        paths = {each: Path(each).expanduser().absolute() for each in _texts(given) if each not in known()}
        faults += [f"-p {name} {each}: {fault}" for each, path in paths.items() if (fault := look(path))]
        if given:
            found = [str(paths.get(each, each)) for each in _texts(given)]
            whole[name] = found if isinstance(given, list) else found[0]
    if faults:
        raise CourseError("\n".join(faults))
    return whole


def _texts(given):
    return list(map(str, given if isinstance(given, list) else [given]))


def _sets():
    from helpers import photos

    return photos.catalogue()


def _modules():
    from helpers import modules

    return modules.catalogue()


def _photo_set(folder):
    import numpy as np

    from helpers import photos
    from sources import photo_files

    if not folder.exists() and not folder.is_symlink():
        return f"no photo set and no folder is called so. The sets are {', '.join(_sets())}."
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
    if (folder / "saved_model.pb").is_file():
        return None
    return f"{folder} is no SavedModel folder: no saved_model.pb. The course's modules are {', '.join(_modules())}."


LOOKS = {  # parameters that may name something of the reader's own: what else they may name, and how it is checked
    "photo_set": (_sets, _photo_set),
    "field_set": (_sets, _photo_set),
    "own_photo": (tuple, _photo),
    "own_module": (tuple, _module),
    "module": (_modules, _module),
    "candidates": (_modules, _module),
    "reference": (_modules, _module),
    "other_modules": (_modules, _module),
}
