"""The folder of each module: built from its package, downloaded from TensorFlow Hub, or the reader's own."""

import hashlib
import os
import warnings
from pathlib import Path

from sources import cache, catalogues, engines
from sources.catalogues import source

RECIPE = 4  # raise it when what sources.recipes builds changes: every module is then built again
RECIPES = {}  # such as {"sentence_encoder": ".1"}: raise one of these when a single module's recipe changes


def catalogue() -> dict:
    """Return data/modules.toml as {name: dict}; the fields are explained at its top."""
    return catalogues.entries("modules")


def entry(name: str) -> dict:
    """Return a module's catalogue entry (dict); ValueError, with the names there are, for an unknown one."""
    if name not in catalogue():
        raise ValueError(f"no module is called {name!r}; the catalogue has {', '.join(catalogue())}.")
    return catalogue()[name]


def path(name: str) -> str:
    """Return the SavedModel folder of a module, prepared on first use.

    hub.load(path) returns a callable: float32 RGB [n, h, w, 3] in [0, 1], or strings [n] for text, to float32 [n, d].
    With the official source it is TensorFlow Hub's own answer to the handle; a module without one is built as ever.

    Raises:
        ValueError: no module is called so.
        sources.fetch.FetchError: its package can't be had.
        RuntimeError: its handle can't be downloaded.
    """
    found = entry(name)
    if not found["input_size"]:
        import tensorflow_text  # noqa: F401  a text module's graph uses its operations
    if source() == "official" and found["handle"]:
        return resolve(found["handle"])
    return str(cache.prepared(f"modules/{name}-{fingerprint(name)}", lambda folder: _build(name, folder)))


def resolve(url: str) -> str:
    """Return the folder that TensorFlow Hub keeps a module in, downloaded on first use, under the course's cache.

    Raises:
        RuntimeError: the host can't be reached or refuses, or a download broke off; the message has the cure.
    """
    import tensorflow as tf
    import tensorflow_hub

    os.environ.setdefault("TFHUB_CACHE_DIR", str(cache.root() / "tfhub"))
    names = [name for name, found in catalogue().items() if found["handle"] == url] or catalogue()
    cure = f"Without a download: COURSE_SOURCE=packaged and HubLayer(name), where name is {' or '.join(names)}."
    if waiting := cache.hub_lock(_kept(url)):  # TensorFlow Hub waits for it in silence, ten minutes and more
        warnings.warn(waiting, stacklevel=2)
    try:
        folder = tensorflow_hub.resolve(url)
    except (OSError, EOFError, ValueError, tf.errors.OpError) as error:  # HTTPError and URLError are OSErrors
        raise RuntimeError(f"{url} can't be downloaded ({error}). {cure}") from error
    if not tf.saved_model.contains_saved_model(folder):
        fault = f"{folder}, where TensorFlow Hub keeps {url}, has neither saved_model.pb nor saved_model.pbtxt"
        raise RuntimeError(f"{fault}: a download broke off. Delete that folder and run again. {cure}")
    return folder


def is_ready(name: str) -> bool:
    """Return whether a module is prepared (bool), an image module also for the engine that is installed now."""
    handle, size = entry(name)["handle"], entry(name)["input_size"]
    if source() == "official" and handle:
        return (_kept(handle) / "saved_model.pb").exists()
    identity = f"{name}-{fingerprint(name)}"
    return (cache.root() / "modules" / identity).exists() and (not size or engines.is_ready(name, identity, size))


def prepare(name: str) -> None:
    """Build or download a module; where the engine is newer than the module, convert it again."""
    label, folder, identity = identified(name)
    if size := entry(name)["input_size"]:
        engines.converted(label, folder, identity, size)


def _kept(url):
    """Return the folder (Path) in which TensorFlow Hub keeps a module."""
    return Path(os.environ.get("TFHUB_CACHE_DIR", cache.root() / "tfhub"), hashlib.sha1(url.encode()).hexdigest())


def folder_of(handle: str) -> str | None:
    """Return the folder behind a handle that the course vouches for; None for the reader's own folder.

    Args:
        handle: a catalogue name, a folder in the cache, cache:FOLDER, or a URL.

    Raises:
        ValueError: it is no module; the message lists the names there are.
        RuntimeError: as for `resolve`, or a folder of the cache is damaged.
    """
    if handle in catalogue():
        return path(handle)
    if "://" in handle:
        return resolve(handle)
    inside = _in_cache(handle)
    folder = cache.root() / inside if inside else Path(handle)
    if inside:
        cache.check(folder)
    if any((folder / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        return str(folder) if inside else None
    names = ", ".join(catalogue())
    raise ValueError(f"{handle!r} is no module: no name in the catalogue ({names}), SavedModel folder or URL.")


def saved_as(handle: str) -> str:
    """Return a handle as a saved model keeps it: a folder in the cache is cache:FOLDER, so that the cache can move."""
    inside = None if handle in catalogue() or "://" in handle else _in_cache(handle)
    return f"cache:{inside}" if inside else handle


def _in_cache(handle):
    """Return the path within the cache (str) of a folder there or of cache:FOLDER, None for what is elsewhere."""
    root = os.path.abspath(cache.root())
    # cache:../elsewhere leads out of the cache, unless abspath takes out every ..
    folder = os.path.abspath(os.path.join(root, handle.removeprefix("cache:")) if handle[:6] == "cache:" else handle)
    return os.path.relpath(folder, root) if folder.startswith(root + os.sep) else None


def identified(name_or_folder: str | Path) -> tuple[str, str, str]:
    """Return a module's short name, its folder, and what its content is known by.

    Results are kept under the last: a module that its owner exported again is another module.

    Raises:
        ValueError: it is neither a catalogue name nor the folder of a SavedModel. Other errors are those of `path`.
    """
    if name_or_folder in catalogue():
        folder = path(name_or_folder)
        return name_or_folder, folder, Path(folder).name
    folder = Path(name_or_folder)
    if inside := _in_cache(str(folder)):
        cache.check(cache.root() / inside)
    if not (folder / "saved_model.pb").is_file():
        raise ValueError(f"{folder} is no catalogue name ({', '.join(catalogue())}) and no SavedModel folder.")
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != "fingerprint.pb":  # it holds a random number
            digest.update(cache.content_hash(file))
    return folder.name, str(folder), digest.hexdigest()


def fingerprint(name: str) -> str:
    """Return a short name (str) for the exact bytes behind a module: its package's hash and how it was built."""
    hashes = [origin["sha256"] for origin in entry(name)["origins"]]
    return hashlib.sha256(" ".join([*hashes, str(RECIPE) + RECIPES.get(name, "")]).encode()).hexdigest()[:10]


def _build(name, folder):
    from sources import saved_models

    size, origins = entry(name)["input_size"], entry(name)["origins"]
    if size:
        from sources.recipes import image_modules as recipes
    else:
        from sources.recipes import text_modules as recipes
    parts = getattr(recipes, name)(origins)
    if "backbone" in parts:
        saved_models.save_backbone(folder, **parts)
    else:
        saved_models.save(folder, spec=saved_models.PHOTOS if size else saved_models.TEXTS, **parts)
    if size:
        engines.converted(name, str(folder), f"{name}-{fingerprint(name)}", size)  # too slow to be left to a lesson
