"""The catalogue of pretrained modules: which there are, where they come from, and what each really is.

The catalogue itself is data/modules.toml. COURSE_SOURCE=packaged (the default) builds a module on first use out of a
pinned package; COURSE_SOURCE=official asks TensorFlow Hub for the handle and Keras for its own download.
"""

import json
import warnings
from pathlib import Path

import numpy as np

from sources.catalogues import source
from sources.module_folders import catalogue, entry, folder_of, identified, is_ready, path, resolve, saved_as

__all__ = ["catalogue", "entry", "folder_of", "identified", "is_ready", "path", "resolve", "saved_as"]


def check_range(handle, photos):
    """Warn of photos in 0..255 where a module of the catalogue takes [0, 1]."""
    if catalogue().get(handle, {}).get("input_size") and np.max(photos) > 2:
        warnings.warn(f"{handle} takes photos in [0, 1]; these go beyond: divide by 255.", stacklevel=4)


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
