"""The catalogue of pretrained modules: which there are, where they come from, and what each really is.

The catalogue itself is data/modules.toml. COURSE_SOURCE=packaged (the default) builds a module on first use out of a
pinned package; COURSE_SOURCE=official asks TensorFlow Hub for the handle and Keras for its own download.
"""

import hashlib
import json
import os
import warnings
from pathlib import Path

import numpy as np

from sources import cache, catalogues, engines
from sources.catalogues import source

RECIPE = 2  # raise it when what sources.recipes builds changes: every module is then built anew


def catalogue():
    """Return data/modules.toml as {name: dict}; the fields are explained at its top."""
    return catalogues.entries("modules")


def entry(name):
    """Return a module's catalogue entry (dict); ValueError, with the names there are, for an unknown one."""
    if name not in catalogue():
        raise ValueError(f"no module is called {name!r}; the catalogue has {', '.join(catalogue())}.")
    return catalogue()[name]


def path(name):
    """Return the SavedModel folder (str) of a module, prepared on first use.

    hub.load(path) gives a callable: float32 RGB [n, h, w, 3] in [0, 1], or strings [n] for text, to float32 [n, d].
    With the official source it is TensorFlow Hub's own answer to the handle; a module without one is built as ever.
    Raises ValueError for an unknown name, sources.fetch.FetchError where its package can't be had,
    RuntimeError where its handle can't be downloaded.
    """
    found = entry(name)
    if not found["input_size"]:
        import tensorflow_text  # noqa: F401  a text module's graph uses its operations
    if source() == "official" and found["handle"]:
        return resolve(found["handle"])
    return str(cache.prepared(f"modules/{name}-{fingerprint(name)}", lambda folder: _build(name, folder)))


def resolve(url):
    """Return the folder (str) that TensorFlow Hub keeps a module in, downloaded on first use, under the course's cache.

    Raises RuntimeError, with a cure, where the host can't be reached, refuses, or a download broke off.
    """
    import tensorflow as tf
    import tensorflow_hub

    os.environ.setdefault("TFHUB_CACHE_DIR", str(cache.root() / "tfhub"))
    names = [name for name, found in catalogue().items() if found["handle"] == url] or catalogue()
    cure = f"Without a download: COURSE_SOURCE=packaged and HubLayer(name), where name is {' or '.join(names)}."
    lock = _kept(url).with_suffix(".lock")
    if lock.exists():  # TensorFlow Hub waits for it in silence, ten minutes and more
        holder = lock.read_text().rpartition(".")[0]
        fault = f"{url} is being downloaded by {holder} (host and process), which we wait for"
        warnings.warn(f"{fault}. If that process no longer runs, stop, delete {lock} and run again.", stacklevel=2)
    try:
        folder = tensorflow_hub.resolve(url)
    except (OSError, EOFError, ValueError, tf.errors.OpError) as error:  # HTTPError and URLError are OSErrors
        raise RuntimeError(f"{url} can't be downloaded ({error}). {cure}") from error
    if not tf.saved_model.contains_saved_model(folder):
        fault = f"{folder}, where TensorFlow Hub keeps {url}, has neither saved_model.pb nor saved_model.pbtxt"
        raise RuntimeError(f"{fault}: a download broke off. Delete that folder and run again. {cure}")
    return folder


def is_ready(name):
    """Return whether a module is prepared (bool)."""
    handle = entry(name)["handle"]
    if source() == "official" and handle:
        return (_kept(handle) / "saved_model.pb").exists()
    return (cache.root() / "modules" / f"{name}-{fingerprint(name)}").exists()


def _kept(url):
    """Return the folder (Path) in which TensorFlow Hub keeps a module."""
    return Path(os.environ.get("TFHUB_CACHE_DIR", cache.root() / "tfhub"), hashlib.sha1(url.encode()).hexdigest())


# What HubLayer is told of the course's names: see hub_layer.register_names.


def folder_of(handle):
    """Return the folder (str) behind a handle that the course vouches for; None for the reader's own folder.

    handle: a catalogue name, a folder in the cache, cache:FOLDER, or a URL.
    Raises ValueError, with the names there are, for what is no module; for a URL, RuntimeError as `resolve` does.
    """
    if handle in catalogue():
        return path(handle)
    if "://" in handle:
        return resolve(handle)
    inside = _in_cache(handle)
    folder = cache.root() / inside if inside else Path(handle)
    if any((folder / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        return str(folder) if inside else None
    names = ", ".join(catalogue())
    raise ValueError(f"{handle!r} is no module: no name in the catalogue ({names}), SavedModel folder or URL.")


def saved_as(handle):
    """Return a handle as a saved model keeps it: a folder in the cache is cache:FOLDER, so that the cache can move."""
    inside = None if handle in catalogue() or "://" in handle else _in_cache(handle)
    return f"cache:{inside}" if inside else handle


def _in_cache(handle):
    """Return the path within the cache (str) of a folder there or of cache:FOLDER, None for what is elsewhere."""
    root = os.path.abspath(cache.root())
    # cache:../elsewhere leads out of the cache, unless abspath takes out every ..
    folder = os.path.abspath(os.path.join(root, handle.removeprefix("cache:")) if handle[:6] == "cache:" else handle)
    return os.path.relpath(folder, root) if folder.startswith(root + os.sep) else None


def check_range(handle, photos):
    """Warn of photos in 0..255 where a module of the catalogue takes [0, 1]."""
    if catalogue().get(handle, {}).get("input_size") and np.max(photos) > 2:
        warnings.warn(f"{handle} takes photos in [0, 1]; these go beyond: divide by 255.", stacklevel=4)


def identified(name_or_folder):
    """Return (label, folder, identity), str each, of a catalogue name or of the folder of a SavedModel.

    label: a short name.  identity: what its content is known by, so that results can be kept under it; a module that
    its owner exported again is another module.  Raises ValueError for what is neither, and as `path` does.
    """
    if name_or_folder in catalogue():
        folder = path(name_or_folder)
        return name_or_folder, folder, Path(folder).name
    folder = Path(name_or_folder)
    if not (folder / "saved_model.pb").is_file():
        raise ValueError(f"{folder} is no catalogue name ({', '.join(catalogue())}) and no SavedModel folder.")
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != "fingerprint.pb":  # it holds a random number
            digest.update(cache.content_hash(file))
    return folder.name, str(folder), digest.hexdigest()


def fingerprint(name):
    """Return a short name (str) for the exact bytes behind a module: its package's hash and how it was built."""
    hashes = [origin["sha256"] for origin in entry(name)["origins"]]
    return hashlib.sha256(" ".join([*hashes, str(RECIPE)]).encode()).hexdigest()[:10]


def _build(name, folder):
    from helpers import saved_model

    if entry(name)["input_size"]:
        from sources.recipes import image_modules as recipes

        spec = saved_model.PHOTOS
    else:
        from sources.recipes import text_modules as recipes

        spec = saved_model.TEXTS
    parts = getattr(recipes, name)(entry(name)["origins"])
    if "backbone" in parts:
        saved_model.save_backbone(folder, **parts)
    else:
        saved_model.save(folder, spec=spec, **parts)
    if size := entry(name)["input_size"]:
        engines.converted(name, str(folder), f"{name}-{fingerprint(name)}", size)  # too slow to be left to a lesson


def official_model(architecture, weights="imagenet", include_top=True, pooling=None, input_shape=None):
    """Return keras.applications.<architecture> with its real ImageNet weights (keras.Model).

    The arguments are Keras' own. The packaged source has ResNet50 whole, and MobileNetV2, InceptionV3 and DenseNet121
    without their 1000-class top. Raises ValueError for what it has not.
    """
    import keras

    if weights != "imagenet":
        raise ValueError(f'weights is {weights!r}; this function brings the ImageNet weights: weights="imagenet".')
    if source() == "official":
        build = getattr(keras.applications, architecture)
        return _downloaded(
            lambda: build(include_top=include_top, weights=weights, pooling=pooling, input_shape=input_shape)
        )
    from sources.recipes import image_modules

    found = {e["keras"]: e for e in catalogue().values() if e["keras"]}
    if architecture not in found or (include_top and architecture != "ResNet50"):
        raise ValueError(
            f"the packaged source has no {architecture} {'with its top' if include_top else ''}: it has ResNet50, and "
            f"with include_top=False {', '.join(found)}. COURSE_SOURCE=official has them all."
        )
    # Only the first carrier of ResNet50 has the 1000-class layer.
    origins = found[architecture]["origins"][: 1 if include_top else None]
    return image_modules.keras_model(architecture, origins, include_top, pooling, input_shape)


def _downloaded(call):
    """Run a call that downloads through Keras; turn its failure into words that name the cure."""
    try:
        return call()
    except Exception as error:  # Keras raises a plain Exception here
        raise RuntimeError(
            f"Keras could not download what it needs ({str(error).splitlines()[0]}). Check the network, or take the "
            "packaged source: unset COURSE_SOURCE."
        ) from error


def class_names(name):
    """Return the class names (list of str) of ImageNet (for "resnet_50") or of "plantvillage_inception_v3"."""
    if name == "resnet_50":
        if source() == "official":
            import keras

            decode = keras.applications.imagenet_utils.decode_predictions
            return [best[0][1] for best in _downloaded(lambda: decode(np.eye(1000), top=1))]
        from sources.recipes import image_modules

        return image_modules.imagenet_labels(entry(name)["origins"][0])
    labels = Path(path(name), "assets.extra", "labels.json")
    if not labels.exists():
        raise ValueError(f"{name} has no class names: it gives a feature vector.")
    return json.loads(labels.read_text())


def table():
    """Return the gallery of modules (pandas.DataFrame), a row each: what it is, its sizes, its licence, its origin."""
    import pandas

    rows = [
        {
            "module": name,
            "what it really is": e["identity"],
            "handle": e["handle"].removeprefix("https://tfhub.dev/") or "none",
            "input": f"{e['input_size']} px" if e["input_size"] else "text",
            "vector": e["output_dim"],
            "weights' licence": e["weights_licence"],
            "carried by": f"{e['origins'][0]['package']} {e['origins'][0]['version']}",
        }
        for name, e in catalogue().items()
    ]
    return pandas.DataFrame(rows).set_index("module")


def identity(name):
    """Return one sentence (str) that says what a module, or a keras.applications model, really is.

    name: a catalogue name, or an architecture such as "ResNet50". A lesson shows it above the first result that
    depends on it.
    """
    carriers = {e["keras"]: e["origins"][0] for e in catalogue().values() if e["keras"]}
    if name in carriers:
        carried = f"as {carriers[name]['package']} {carriers[name]['version']} carries them"
        where = "as Keras downloads them" if source() == "official" else carried
        return f"{name}: the ImageNet weights of keras.applications.{name}, {where}."
    found = entry(name)
    if source() == "official" and found["handle"]:
        return f"{name}: {found['handle']} itself."
    asked = found["handle"].removeprefix("https://tfhub.dev/") or "no TensorFlow Hub handle"
    return f"{name} ({asked}): {found['identity']}. {found['identity_proof']}"
