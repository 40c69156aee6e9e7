"""python -m classroom release: the students' notebooks, and a zip with all that they need."""

import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import nbformat

from classroom.one_submission import start
from course.paths import BUILD, NOTEBOOKS, ROOT, CourseError

ASSIGNMENTS = NOTEBOOKS / "assignments"
SOURCE, RELEASE = ASSIGNMENTS / "source", ASSIGNMENTS / "release"
KIT = ("helpers/*.py", "sources/*.py", "sources/*/*.py", "data/*.*")  # what an assignment may import and read
ZIP = (  # what students get beside the assignments
    *("README.md", "Makefile", "pyproject.toml", "environment.yml", "requirements/core.txt", "requirements/gpu.txt"),
    *("requirements/npm.txt", "requirements/uv.txt", "course/*.py", *KIT, "notebooks/*.ipynb", "notebooks/figures/*"),
)


def sources():
    """Return the assignments' sources, with their solutions and hidden tests: {name: path}, in order."""
    return {path.stem: path for path in sorted(SOURCE.glob("*/*.ipynb")) if path.stem == path.parent.name}


def generated(paths):
    """Return what nbgrader makes of sources (list of Path): ({name: students' notebook, str}, gradebook, bytes)."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

    # nbgrader asks a program of its own for the gradebook's version.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with tempfile.TemporaryDirectory() as folder:
        folder, made = Path(folder).resolve(), {}
        for path in paths:
            (folder / "source" / path.stem).mkdir(parents=True)
            shutil.copy(path, folder / "source" / path.stem)
            config = Config()
            config.CourseDirectory.root = str(folder)
            directory = CourseDirectory(config=config, assignment_id=path.stem)
            try:
                start(GenerateAssignment(coursedir=directory, config=config))
            except RuntimeError as error:
                raise CourseError(
                    f"nbgrader makes no release of {path.name}: {error} Check the cells' nbgrader metadata, and that "
                    "every BEGIN has its END."
                ) from error
            made[path.stem] = nbformat.writes(nbformat.read(folder / "release" / path.stem / path.name, 4)) + "\n"
        return made, (folder / "gradebook.db").read_bytes()


def release(target=None):
    """Write the students' notebooks beside the folders of their sources, and all that students need into a zip."""
    target = target or BUILD / "assignments.zip"
    if not sources():
        raise CourseError(f"no assignment in {SOURCE}: a source is NAME/NAME.ipynb.")
    releases = generated(sources().values())[0]
    for name, text in releases.items():
        (RELEASE / name).mkdir(parents=True, exist_ok=True)
        (RELEASE / name / f"{name}.ipynb").write_text(text)
    pack(releases, target)
    print(f"{len(releases)} assignments in {target} ({target.stat().st_size / 1e6:.1f} MB), without solutions.")


def pack(releases, target):
    """Write the students' zip: the course without sources and tests, with the released notebooks and SETUP.md."""
    packed = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in files(ZIP)}
    packed |= {f"notebooks/assignments/release/{name}/{name}.ipynb": text.encode() for name, text in releases.items()}
    packed["SETUP.md"] = (ASSIGNMENTS / "SETUP.md").read_bytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w") as file:
        for name, content in sorted(packed.items()):  # ZipInfo without a date: the same content makes the same zip
            file.writestr(zipfile.ZipInfo(f"course/{name}"), content, zipfile.ZIP_DEFLATED)
    part.rename(target)


def files(patterns):
    return [path for pattern in patterns for path in sorted(ROOT.glob(pattern)) if path.is_file()]
