"""The page that names photos in the browser (web/), built with a model of the reader's own."""

import functools
import json
import shutil
import tempfile
from pathlib import Path

from course.paths import BUILD, ROOT, CourseError

WEB, DEMO = ROOT / "web", BUILD / "demo"
OTHERS = ("bean_leaves", "plant_foods", "leaves")  # photo sets by which "none of these" is measured
MOST = 200  # photos of a class that the rule is made of; more take minutes and change little


def build(model: Path, photo_set: str | None = None) -> Path:
    """Write the page with a model into build/demo, whole or not at all; return that folder."""
    from sources import lite_files

    names, size, content = _read(model)
    content = lite_files.with_vector(content)
    about = {"class_names": names, "input_size": size}
    if trained_on := _trained_on(names, photo_set):
        credits = trained_on.paths[0].parent.parent / "credits.csv"  # a row for each photo and its photographer
        about["photos"] = {key: trained_on.card[key] for key in ("name", "licence", "credit")}
        about["photos"]["credits"] = credits.exists()
        about["rule"] = _rule(content, size, trained_on)
    BUILD.mkdir(exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=BUILD, prefix=".demo-"))
    try:
        shutil.copytree(WEB, part, dirs_exist_ok=True)
        (part / "model.tflite").write_bytes(content)
        (part / "model.json").write_text(json.dumps(about), encoding="utf-8")
        if about.get("photos", {}).get("credits"):
            shutil.copy(credits, part)
        _copy_runtime(part / "litert")
        part.chmod(0o755)
        shutil.rmtree(DEMO, ignore_errors=True)
        part.rename(DEMO)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return DEMO


def _read(model):
    """Return a model's class names, the height and width of its photos, and its content as a LiteRT file."""
    from sources import lite_files

    file = model / "model.tflite" if model.is_dir() else model
    try:
        if (model / "saved_model.pb").exists():
            about = json.loads((model / "assets.extra" / "about.json").read_text(encoding="utf-8"))
            names, size = about["class_names"], about["input_size"]
            content = _converted(model, size)
        else:
            content = file.read_bytes()
            names = (file.parent / "names.txt").read_text(encoding="utf-8").splitlines()
        run = lite_files.interpreter(content)
    except FileNotFoundError as error:
        raise CourseError(
            f"{model} is no model that a page can show: {error.filename} is missing. It takes the folder that lesson "
            "04 exports, or the .tflite file of lesson 09 with names.txt beside it."
        ) from None
    except (KeyError, ValueError) as error:
        raise CourseError(f"{model} can't be read as a model of lesson 04 or 09: {error}") from None
    taken, given = run.get_input_details()[0], run.get_output_details()[0]
    if taken["dtype"].__name__ != "float32" or len(taken["shape"]) != 4:
        raise CourseError(f"{model} takes {taken['dtype'].__name__}; the page needs the float32 file of lesson 09.")
    if given["shape"][-1] != len(names):
        raise CourseError(f"{model} gives {given['shape'][-1]} probabilities for {len(names)} class names.")
    return names, int(taken["shape"][1]), content


def _converted(folder, size):
    """Return a SavedModel of uint8 photos as a LiteRT file of photos in [0, 1], which is what lesson 09 writes."""
    import tensorflow as tf

    from sources import lite_files

    model = tf.saved_model.load(str(folder))
    if not hasattr(model, "serve"):
        raise ValueError("it has no endpoint `serve`, which keras.Model.export writes.")
    return lite_files.convert(lambda photo: model.serve(tf.cast(tf.round(photo * 255), tf.uint8)), size)


def _trained_on(names, photo_set):
    """Return the PhotoSet that a model of these classes was trained on, or None where nothing says which."""
    from helpers import photos

    if photo_set is None:
        packaged = {name: card["classes"] for name, card in photos.catalogue().items() if "size" not in card}
        photo_set = next((name for name, classes in packaged.items() if classes == names), None)
    if photo_set is None:
        print('The page can\'t say "none of these": which photos was it trained on? Add --photos SET_OR_FOLDER.')
        return None
    found = photos.load(photo_set)
    if list(found.class_names) != names:
        raise CourseError(
            f"--photos {photo_set} has the classes {', '.join(found.class_names)}; the model has {', '.join(names)}."
        )
    return found


def _rule(content, size, trained_on):
    """Return the rule for "none of these", measured with the model's own feature vectors."""
    from course import none_of_these
    from helpers import photos

    some = photos.subsample(trained_on, MOST)
    sets = {name: photos.load(name) for name in OTHERS if name != trained_on.card["name"]}
    others = {name: (_vectors(content, found, size), found.groups) for name, found in sets.items()}
    return none_of_these.measured(_vectors(content, some, size), some.labels, some.groups, others)


def _vectors(content, photo_set, size):
    """Return the model's own feature vectors of a photo set, float32 [n, d], kept in the cache."""
    import numpy as np

    from sources import cache, catalogues, extraction, lite_files

    name = f"features/page-{catalogues.fingerprint(content, extraction.contents(photo_set.paths))}"
    run = functools.partial(lite_files.predict, content, threads=1, output=1)
    title = f"{photo_set.card['name']}: feature vectors"
    options = {"title": title, "half": cache.root() / f"{name}.half"}

    def fill(part):
        extraction.of_photos(lambda: run, photo_set.paths, size, 32, target=part / "features.npy", **options)

    return np.load(cache.prepared(name, fill) / "features.npy")


def _copy_runtime(target):
    """Copy LiteRT.js out of its packages: core/ and wasm-utils/."""
    from sources import catalogues, fetch

    for origin in catalogues.entries("web")["litert"]["origins"]:
        with fetch.unpacked(fetch.fetch(origin), "package") as package:
            for name in origin["files"]:
                file = target / Path(origin["package"]).name / name
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(package / name, file)
