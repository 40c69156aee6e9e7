"""What the drills disturb: one stage of the course's work in a scratch folder, in a process of its own.

    python -m tests.drills.stages STAGE FOLDER

A line is added to FOLDER/log/STAGE.jsonl when the stage has ended: what it made, or what a person would have read.
"""

import hashlib
import json
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
LABELS = ["daisy", "dahlia"]


def count_changes(folder: Path, last: int) -> list[int]:
    """Count each file that this process opens for writing, renames or removes in a folder, and die after the last.

    What kill -9 leaves differs at these points alone. A file that is opened last is empty then, as it is before Python
    has sent its first bytes.
    """
    seen = [0]

    def count(event, given):
        opened = event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR)
        if (opened or event in CHANGES) and os.fsdecode(given[0] if not isinstance(given[0], int) else "").startswith(
            str(folder)
        ):
            seen[0] += 1
            if seen[0] == last:
                if opened:
                    os.open(given[0], given[2], 0o666)
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    return seen


def made(folder: Path, *patterns: str) -> str:
    """Return one hash of the names and contents of all files below a folder that fit a pattern."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in folder.rglob(pattern) if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def install(folder):
    from course import install as installing

    installing.ROOT, installing.LOCKS = folder / "course", folder / "course" / "requirements"
    installing.install(folder / "course" / ".venv", "core")
    return made(folder / "course" / ".venv", "petal*/*.py", "petal*/METADATA", "*.installed")


def prepare(folder):
    from course import prepare as preparing
    from helpers import photos, texts
    from sources import module_folders

    one = {"mobilenet_v2": module_folders.catalogue()["mobilenet_v2"]}
    module_folders.catalogue, photos.catalogue, texts.catalogue = lambda: one, dict, dict
    preparing.prepare()
    return made(folder / "cache", "variables.data*", "model.tflite", "labels.json")


def extract(folder):
    from helpers import features, photos

    vectors = features.extract(photos.load(folder / "photos"), str(folder / "module"), image_size=16)
    return hashlib.sha256(vectors.tobytes()).hexdigest()


def fit(folder):
    import numpy as np

    from helpers import training

    features = np.random.default_rng(0).normal(size=(2000, 256)).astype(np.float32)
    head = training.fit_head(features, np.arange(2000) % 5, epochs=40)
    head.save(folder / "head.keras")
    return hashlib.sha256(b"".join(weight.tobytes() for weight in head.get_weights())).hexdigest()


def export(folder, version=2.0):
    import tensorflow as tf

    from helpers import saved_model

    weights = tf.Variable(tf.fill([4 * 4 * 3, 20_000], version))

    def call(photos, training=False):
        return tf.reshape(tf.image.resize(photos, [4, 4]), [-1, 48]) @ weights

    labels = [f"{name} {version}" for name in LABELS]
    saved_model.save(folder / "exported", call, saved_model.PHOTOS, [weights], [weights], labels=labels)
    return made(folder / "exported", "variables.data*", "saved_model.pb", "labels.json")


def refresh(folder):
    import nbformat

    from course import paths
    from course import refresh as refreshing

    paths.NOTEBOOKS, refreshing.ROOT, refreshing.prepare = folder / "notebooks", folder, lambda: None
    refreshing.refresh_all([])
    shown = [nbformat.read(path, 4).cells for path in paths.lessons()]
    return hashlib.sha256(json.dumps(shown).encode() + (folder / "docs" / "claims.md").read_bytes()).hexdigest()


def grade(folder):
    from classroom import grade as grading
    from classroom import release

    release.SOURCE = folder / "assignments"
    students, tests = (folder / "release.ipynb").read_text(), (folder / "tests.db").read_bytes()
    release.generated = lambda paths: ({"sample": students}, tests)
    held = bool(shutil.which("bwrap")) and sys.platform == "linux"
    grading.grade(folder / "handed in", timeout=30, memory=2000, out=folder / "grades", uncontained=not held)
    return made(folder / "grades", "grades.csv", "marks.csv")


def fetch(folder):
    from sources import fetch as fetching

    fetching.PATIENCE = 8
    return hashlib.sha256(fetching.fetch(json.loads(os.environ["ORIGIN"])).read_bytes()).hexdigest()


def check(folder):
    from course import check as checking

    checking.check(str(folder / "photos"))
    return "checked"


def make(folder):
    """Make once what the other stages start from: a module, its engine, an older export, an assignment, photos."""
    import nbformat
    import tensorflow as tf
    from making import notebook
    from sample_assignment import answered, sample

    from classroom import release
    from helpers import saved_model

    def call(photos, training=False):
        return tf.reshape(tf.image.resize(photos, [4, 4]), [-1, 48])

    saved_model.save(folder / "module", call, saved_model.PHOTOS, [], [])
    export(folder, 1.0)
    source = folder / "assignments" / "sample" / "sample.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(sample(), source)
    releases, tests = release.generated([source])
    (folder / "release.ipynb").write_text(releases["sample"])
    (folder / "tests.db").write_bytes(tests)
    for student in ("ann", "bob", "eve"):
        (folder / "handed in" / student).mkdir(parents=True)
        nbformat.write(answered(releases["sample"]), folder / "handed in" / student / "sample.ipynb")
    for number in range(2):
        (folder / "notebooks").mkdir(exist_ok=True)
        nbformat.write(notebook("print('ä')", f"list(range({number}, 9))"), folder / "notebooks" / f"0{number}_a.ipynb")
    (folder / "docs").mkdir()
    (folder / "docs" / "claims.md").write_text("<!-- claims -->\n<!-- end of claims -->\n")
    extract(folder)
    return "made"


def main(name, folder):
    """Run a stage as the command line does, and note how it went."""
    seen, start, note = count_changes(folder, int(os.environ.get("DRILL_AT", 0))), time.monotonic(), {}
    try:
        note["made"] = globals()[name](folder)
    except Exception as error:
        from course.paths import CourseError
        from sources import cache

        note["said"] = f"{type(error).__name__}: {error}"
        note["traceback"] = not isinstance(error, CourseError | OSError | ValueError | RuntimeError)
        note["faults"] = cache.verify()
    note |= {"seconds": time.monotonic() - start, "changes": seen[0]}
    note["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    with open(folder / "log" / f"{name}.jsonl", "a", encoding="utf-8") as log:
        log.write(json.dumps(note) + "\n")
    return "said" in note


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
