"""Measure one thing in this process and print it as JSON; bench/bench.py starts a fresh process for each figure.

    python -m bench.measure KIND ARGUMENT ...

Costs are CPU milliseconds of all threads and wall milliseconds, for one photo or text, once the engine has started.
"""

import contextlib
import functools
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image, JpegImagePlugin

from helpers import features, modules, photos
from sources import engines, extraction, photo_files


def cost(work, count):
    """Return what a call costs for each of count: CPU and wall milliseconds."""
    start = time.process_time(), time.perf_counter()
    work()
    return {
        "cpu": 1e3 * (time.process_time() - start[0]) / count,
        "wall": 1e3 * (time.perf_counter() - start[1]) / count,
    }


def engine(name, module, count):
    """Files to vectors: TensorFlow's graph, LiteRT, LiteRT int8, or OpenVINO where it is installed."""
    label, folder, identity, size = features._identified(module, None)
    paths = (photos.load("flowers").paths * (int(count) // 200 + 1))[: int(count)]
    if name == "TensorFlow":
        start = functools.partial(engines._tensorflow, folder, size)
    elif name == "OpenVINO":
        start = functools.partial(openvino, folder, size)
    else:
        sample = (lambda: photos.pixels(photos.subsample(photos.load("flowers"), 8), size)) if "int8" in name else None
        model, why = engines.converted(label, folder, identity, size, sample)
        if why:
            raise SystemExit(why)
        start = functools.partial(engines._lite, model)
    run = start()
    with tempfile.TemporaryDirectory() as scratch:
        half, target = Path(scratch, "half"), Path(scratch, "features.npy")
        extraction.of_photos(lambda: run, paths[:32], size, 8, "", target, half)
        return cost(lambda: extraction.of_photos(lambda: run, paths, size, 32, "", target, half), len(paths))


def openvino(folder, size):
    """A peer: two streams, one photo each, which is its fastest for these."""
    import openvino as ov

    model = ov.convert_model(folder, input=[1, size, size, 3])
    options = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.Core().compile_model(model, "CPU", options)

    def run(pixels):
        request, vectors = compiled.create_infer_request(), []
        for photo in pixels:
            vectors.append(request.infer({0: np.float32(photo[np.newaxis]) / np.float32(255)})[0][0].copy())
        return np.array(vectors)

    return run


def texts(module):
    """The 2,818 plant glosses through a text encoder; CPU and wall seconds are 2.818 times these."""
    from helpers import texts

    glosses = texts.load("plant_glosses")
    _, folder, _ = modules.identified(module)
    extraction.of_texts(folder, glosses.texts[:64], 64, "")
    return cost(lambda: extraction.of_texts(folder, list(glosses.texts), 64, ""), len(glosses))


def decode(width, height, draft):
    """Decode and resize one JPEG of a size; draft: at a fraction of its size, as the course does."""
    with tempfile.TemporaryDirectory() as scratch:
        path, flower = Path(scratch, "photo.jpg"), photos.load("flowers").paths[0]
        Image.open(flower).convert("RGB").resize((int(width), int(height))).save(path, quality=90)
        count = max(3, int(2e8) // (int(width) * int(height)))
        whole = mock.patch.object(JpegImagePlugin.JpegImageFile, "draft", return_value=None)
        with whole if draft == "whole" else contextlib.nullcontext():
            return cost(lambda: [photo_files.read(path, 224) for _ in range(count)], count)


def peak(module, count):
    """Extract features of links to the flowers into an empty cache; peak memory in MB."""
    label, folder, identity, size = features._identified(module, None)
    _, start = engines.chosen(label, folder, identity, size, 500)
    paths = (photos.load("flowers").paths * (int(count) // 200 + 1))[: int(count)]
    with tempfile.TemporaryDirectory() as scratch:
        extraction.of_photos(start, paths, size, 32, "", Path(scratch, "features.npy"), Path(scratch, "half"))
    return {"MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)}


def floor(module):
    """The least that a photo can cost: its arithmetic at the peak that a matrix product reaches here."""
    from threadpoolctl import threadpool_limits

    left = np.ones((2048, 2048), np.float32)
    with threadpool_limits(1):
        left @ left
        spent = cost(lambda: [left @ left for _ in range(4)], 4)["cpu"] / 1e3
    return {
        "cpu": 1e3 * 2 * features.cost(module)["multiply_adds"] / (2 * 2048**3 / spent),
        "peak": 2 * 2048**3 / spent,
    }


def int8_accuracy(module):
    """How many points of accuracy int8 costs on the flowers: paired folds, with the interval of the difference."""
    from helpers import evaluation

    flowers, (label, folder, identity, size) = photos.load("flowers"), features._identified(module, None)
    sample, results = photos.subsample(flowers, 8), []
    for representative in (None, lambda: photos.pixels(sample, size)):
        model, why = engines.converted(label, folder, identity, size, representative)
        if why:
            raise SystemExit(why)
        with tempfile.TemporaryDirectory() as scratch:
            target = Path(scratch, "features.npy")
            start = functools.partial(engines._lite, model)
            extraction.of_photos(start, flowers.paths, size, 32, "", target, Path(scratch, "half"))
            results.append(evaluation.cross_validate(np.load(target), flowers.labels))
    lost, low, high = (100 * each for each in evaluation.compare(*results))
    macro = 100 * (results[0].macro_f1 - results[1].macro_f1)
    return {
        "float32": results[0].accuracy,
        "int8": results[1].accuracy,
        "lost": lost,
        "low": low,
        "high": high,
        "f1": macro,
    }


def flow(which, count):
    """Photos to trained head, 10 epochs: the tutorial's frozen module inside fit, or features once, then the head."""
    import keras

    from helpers import HubLayer, training

    flowers = photos.load("flowers")
    chosen = flowers.take(np.arange(int(count)) % len(flowers))

    def tutorial():
        head = keras.layers.Dense(len(flowers.class_names), activation="softmax")
        rescaled = keras.layers.Rescaling(1 / 255)
        layers = [keras.Input((224, 224, 3), dtype="uint8"), rescaled, HubLayer("mobilenet_v2"), head]
        model = keras.Sequential(layers)
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(photos.pixels(chosen, 224), chosen.labels, epochs=10, verbose=0)

    def ours():
        label, folder, identity, size = features._identified("mobilenet_v2", None)
        _, start = engines.chosen(label, folder, identity, size, 500)
        with tempfile.TemporaryDirectory() as scratch:
            target = Path(scratch, "features.npy")
            extraction.of_photos(start, chosen.paths, size, 32, "", target, Path(scratch, "half"))
            training.fit_head(np.load(target), chosen.labels, epochs=10)

    return cost(tutorial if which == "tutorial" else ours, len(chosen))


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
