"""Measure what the course's way of working costs. bench/README.md says what is compared, and keeps the figures."""

import argparse
import concurrent.futures
import contextlib
import multiprocessing
import os
import platform
import re
import resource
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image, ImageOps

from helpers import features, modules, photos, training
from sources import cache

MODULE, SIZE, BATCH, EPOCHS = "mobilenet_v2", 224, 32, 10
README = cache.ROOT / "bench" / "README.md"


def main():
    """Measure everything, print the table, and put it into README.md where the photos are the packaged ones."""
    parser = argparse.ArgumentParser(prog="python -m bench.bench", description=__doc__)
    parser.add_argument("photos", nargs="?", default="flowers", help="a folder of photos, one folder per class")
    parser.add_argument("--quick", action="store_true", help="a fifth of the photos, one round: does the script run?")
    given = parser.parse_args()
    os.environ.update(COURSE_SOURCE="packaged", TQDM_DISABLE="1")  # the children inherit both
    load, start = os.getloadavg()[0], time.monotonic()
    part, rounds = (5, 1) if given.quick else (1, 2)
    small, middle, large = 500 // part, 1000 // part, 5000 // part
    module, tensorflow = apart(prepare)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            base = photos.load(given.photos)
            folders = {count: variants(base, Path(scratch, str(count)), count) for count in (small, large)}
            warm = variants(base, Path(scratch, "warm"), 2 * len(base.class_names))
        except photos.PhotoError as error:
            sys.exit(f"PhotoError: {error}")
        say("training")
        flows = apart(compare_flows, folders[small], warm, module, rounds)
        say("extraction")
        ways = apart(compare_ways, folders[large], module, middle, rounds)
        say("memory")
        peaks = {count: apart(peak_memory, folders[large], module, count) for count in (small, large)}
    named = given.photos if given.photos in photos.catalogue() else "a folder of your own"
    found = "\n".join(
        [
            f"{machine(tensorflow)}. Load before the run: {load:.1f}. Photos: variants of {named}. "
            f"Rounds: {rounds}. The run took {(time.monotonic() - start) / 60:.0f} minutes.",
            "",
            *rows_of(flows, ways, peaks, middle),
        ]
    )
    print(found)
    if given.photos == parser.get_default("photos") and not given.quick:
        publish(found)


def say(text):
    """Tell on stderr what is being measured, so that stdout holds nothing but the figures."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def apart(work, *arguments):
    """Call work in a fresh process: this one stays small, because a child's peak memory counts from its parent's."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as child:
        return child.submit(work, *arguments).result()


def prepare():
    """Return the module's SavedModel folder and TensorFlow's version."""
    import tensorflow as tf

    return modules.path(MODULE), tf.__version__


def variants(base, folder, count):
    """Write count 256 px JPEGs, one folder per class, no two alike: crops of a photo set, every other one mirrored."""
    base = base.take(np.linspace(0, len(base) - 1, min(count, len(base))).astype(int))
    rng = np.random.default_rng(0)
    for row, path in enumerate(base.paths):
        image = Image.fromarray(photos.read(path))
        target = folder / base.class_names[base.labels[row]]
        target.mkdir(parents=True, exist_ok=True)
        for number in range(row, count, len(base)):
            side = min(image.size) * rng.uniform(0.7, 1)
            left, top = rng.uniform(0, image.width - side), rng.uniform(0, image.height - side)
            box = (left, top, left + side, top + side)
            crop = image.resize((256, 256), Image.Resampling.BICUBIC, box)
            crop = ImageOps.mirror(crop) if number // len(base) % 2 else crop
            crop.save(target / f"{number:05}.jpg", quality=90)
    return folder


@contextlib.contextmanager
def empty_cache():
    """Let features.extract find nothing kept; the module lies in the course's own cache all the same."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, COURSE_CACHE=folder):
        yield


def cost(work, *arguments):
    """Return what a call costs, float [2]: wall seconds and the CPU seconds of all threads. And what it returned."""
    start = np.array([time.perf_counter(), time.process_time()])
    result = work(*arguments)
    return np.array([time.perf_counter(), time.process_time()]) - start, result


def compare_flows(folder, warm, module, rounds):
    """Return the costs [rounds, 2] of tutorial, ours and ours again (cached), and both training accuracies [rounds]."""
    found = {name: [] for name in ("tutorial", "ours", "again", "tutorial accuracy", "our accuracy")}
    tutorial(warm)
    with empty_cache():
        ours(warm, module)
    for _ in range(rounds):
        spent, (model, batches) = cost(tutorial, folder)
        found["tutorial"].append(spent)
        found["tutorial accuracy"].append(model.evaluate(batches, verbose=0)[1])
        del model, batches
        with empty_cache():
            spent, (head, vectors, photo_set) = cost(ours, folder, module)
            found["ours"].append(spent)
            found["our accuracy"].append(head.evaluate(vectors, photo_set.labels, verbose=0)[1])
            found["again"].append(cost(features.extract, photo_set, module)[0])
    return {name: np.array(values) for name, values in found.items()}


def tutorial(folder):
    """Train as most tutorials do: the frozen module inside fit, photos decoded once and cached."""
    import keras
    import tensorflow as tf

    from helpers import HubLayer

    keras.utils.set_random_seed(0)
    batches = keras.utils.image_dataset_from_directory(
        folder, image_size=(SIZE, SIZE), batch_size=BATCH, seed=0, verbose=False
    )
    classes = len(batches.class_names)
    batches = batches.map(lambda images, labels: (images / 255, labels)).cache().prefetch(tf.data.AUTOTUNE)
    head = keras.layers.Dense(classes, activation="softmax")
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), HubLayer(MODULE, trainable=False), head])
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(batches, epochs=EPOCHS, verbose=0)
    return model, batches


def ours(folder, module):
    """Train as the course does: features once, then the head on them."""
    photo_set = photos.load(folder)
    vectors = features.extract(photo_set, module, batch_size=BATCH)
    head = training.fit_head(vectors, photo_set.labels, epochs=EPOCHS, batch_size=BATCH)
    return head, vectors, photo_set


def compare_ways(folder, module, count, rounds):
    """Return, for each way to get features, its costs up to the first batch and for a photo after it: [rounds, 2, 2].

    A way is a function of how many photos to take. Each call loads and traces the module anew; what the first batch
    costs is taken off the rest, so that a way's rate does not depend on how many photos share the start.
    """
    import keras
    import tensorflow as tf

    from helpers import HubLayer

    photo_set = photos.load(folder).take(range(count))
    pixels = np.stack([photos.read(path, SIZE) for path in photo_set.paths])
    tensors = [tf.constant(pixels[start : start + BATCH]) for start in range(0, count, BATCH)]

    def extraction(count):
        with empty_cache():
            features.extract(photo_set.take(range(count)), module, batch_size=BATCH)

    def graph(count):
        loaded = tf.saved_model.load(module)
        signature = [tf.TensorSpec([None, SIZE, SIZE, 3], tf.uint8)]
        run = tf.function(lambda batch: loaded(tf.cast(batch, tf.float32) / 255), input_signature=signature)
        for batch in tensors[: -(-count // BATCH)]:
            run(batch).numpy()

    def predict(count):
        layers = [keras.Input((SIZE, SIZE, 3), dtype="uint8"), keras.layers.Rescaling(1 / 255), HubLayer(MODULE)]
        keras.Sequential(layers).predict(pixels[:count], batch_size=BATCH, verbose=0)

    def decoding(count):
        for path in photo_set.paths[:count]:
            photos.read(path, SIZE)

    ways = {way.__name__: way for way in (extraction, graph, predict, decoding)}
    for way in ways.values():
        way(BATCH)
    found = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            first, whole = cost(way, BATCH)[0], cost(way, count)[0]
            found[name].append([first, (whole - first) / (count - BATCH)])
    return {name: np.array(values) for name, values in found.items()}


def peak_memory(folder, module, count):
    """Return the peak memory, in MB, of this process, which extracts the features of count photos and ends."""
    with empty_cache():
        features.extract(photos.load(folder).take(range(count)), module, batch_size=BATCH)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def rows_of(flows, ways, peaks, count):
    """Return the table's lines. A ratio is the median of the rounds' ratios, its range beside it."""
    small, large = sorted(peaks)
    rate = {name: 1 / values[:, 1] for name, values in ways.items()}
    start = {name: values[:, 0] for name, values in ways.items()}
    share = ways["decoding"][:, 1] / ways["extraction"][:, 1]
    lines = ["| | ours | compared with | ratio | wanted |", "|---|---|---|---|---|"]
    for clock, name in enumerate(("wall", "CPU")):
        theirs, own = flows["tutorial"][:, clock], flows["ours"][:, clock]
        lines.append(
            f"| photos to trained head, {small} photos, {EPOCHS} epochs: {name} seconds, against the tutorial's flow | "
            f"{np.median(own):.1f} | {np.median(theirs):.1f} | {spread(theirs / own)} times faster | 6 or more |"
        )
    lines.append(
        f"| the accuracy that both reach on the photos they learnt from | {np.median(flows['our accuracy']):.3f} | "
        f"{np.median(flows['tutorial accuracy']):.3f} | | |"
    )
    for other, meant, wanted in (
        ("graph", "the bare graph on decoded photos", "0.85 or more"),
        ("predict", "Keras' predict on decoded photos", ""),
    ):
        for clock, name in enumerate(("wall", "CPU")):
            own, theirs = rate["extraction"][:, clock], rate[other][:, clock]
            lines.append(
                f"| extraction, {count:,} photos: photos per {name} second, against {meant} | {np.median(own):.0f} | "
                f"{np.median(theirs):.0f} | {spread(own / theirs)} | {wanted} |"
            )
    own, theirs = start["extraction"][:, 0], start["graph"][:, 0]
    lines += [
        f"| wall seconds until the first batch is done, against the bare graph | {np.median(own):.1f} | "
        f"{np.median(theirs):.1f} | {spread(own / theirs)} | |",
        f"| decoding's share of the CPU time of extraction | {spread(share[:, 1])} | | | |",
        f"| a second extraction of {small} photos: wall seconds | {spread(flows['again'][:, 0])} | | | below 0.3 |",
        f"| peak memory of extraction: MB for {large:,} photos, against {small} | {peaks[large]:.0f} | "
        f"{peaks[small]:.0f} | {peaks[large] / peaks[small]:.2f} | 1.15 or less |",
    ]
    return lines


def spread(values):
    """Return a median and the range (str), or the only value."""
    middle = f"{np.median(values):.2f}"
    return middle if len(values) == 1 else f"{middle} [{min(values):.2f} {max(values):.2f}]"


def machine(tensorflow):
    """Return what the figures depend on (str); nothing in it names the machine."""
    about = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", about.read_text()) if about.exists() else None
    name = found[1] if found else platform.processor() or platform.machine()
    system = f"{platform.system()} {platform.machine()}"
    return f"{name}, {os.cpu_count()} cores, {system}, Python {platform.python_version()}, TensorFlow {tensorflow}"


def publish(found):
    """Put the figures between README.md's markers."""
    before, rest = README.read_text().split("<!-- figures -->\n")
    after = rest.split("<!-- end of figures -->")[1]
    README.write_text(f"{before}<!-- figures -->\n{found}\n<!-- end of figures -->{after}")


if __name__ == "__main__":
    main()
