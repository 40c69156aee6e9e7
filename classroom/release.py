"""python -m classroom release: the students' notebooks, and a zip with all that they need."""

import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import nbformat

from classroom.one_submission import start
from course.paths import BUILD, NOTEBOOKS, ROOT, CourseError

ASSIGNMENTS = NOTEBOOKS / "assignments"
SOURCE, RELEASE = ASSIGNMENTS / "source", ASSIGNMENTS / "release"
STUDENTS = ASSIGNMENTS / "students"  # the README and the Makefile of what they get
LINKED = ("full_size", "glossary", "intervals", "migrate", "sources", "spark", "try")  # the pages to which lessons link
ZIP = (  # beside these and the assignments
    *("pyproject.toml", "environment.yml", "LICENSE*", "THIRD_PARTY.md"),
    *(f"requirements/{name}.txt" for name in ("core", "gpu", "npm", "scale", "uv")),
    *("course/*.py", "helpers/*.py", "sources/*.py", "sources/*/*.py", "scale/*.*", "data/*.*", "data/sets/*.csv"),
    *("notebooks/*.ipynb", "notebooks/figures/*", "notebooks/full_size/*.ipynb", "hub_layer/README.md"),
    *("web/*", "docs/figures/*", *(f"docs/{name}.md" for name in LINKED)),
)


def sources() -> dict[str, Path]:
    """Return the assignments' sources, with their solutions and hidden tests, by name and in order."""
    return {path.stem: path for path in sorted(SOURCE.glob("*/*.ipynb")) if path.stem == path.parent.name}


def generated(paths: Iterable[Path]) -> tuple[dict[str, str], bytes]:
    """Return what nbgrader makes of sources: {name: students' notebook} and a gradebook, with the tests.

    Raises:
        CourseError: nbgrader refuses a source.
    """
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


def release(target: Path | None = None) -> None:
    """Write the students' notebooks, and all that students need into a zip (build/assignments.zip)."""
    target = target or BUILD / "assignments.zip"
    if not sources():
        raise CourseError(f"there is no assignment in {SOURCE}: a source is NAME/NAME.ipynb.")
    releases = generated(sources().values())[0]
    for name, text in releases.items():
        (RELEASE / name).mkdir(parents=True, exist_ok=True)
        (RELEASE / name / f"{name}.ipynb").write_text(text)
    pack(releases, target)
    print(f"{len(releases)} assignments in {target} ({target.stat().st_size / 1e6:.1f} MB), without solutions.")


def pack(releases: Mapping[str, str], target: Path) -> None:
    """Write the students' zip: the course without the classroom and its sources, with {name: released notebook}."""
    found = [path for pattern in ZIP for path in sorted(ROOT.glob(pattern)) if path.is_file()]
    packed = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in found}
    packed |= {path.name: path.read_bytes() for path in STUDENTS.iterdir()}
    packed |= {f"notebooks/assignments/release/{name}/{name}.ipynb": text.encode() for name, text in releases.items()}
    packed["pyproject.toml"] = packed["pyproject.toml"].replace(b'packages = ["classroom", ', b"packages = [")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w") as file:
        for name, content in sorted(packed.items()):  # ZipInfo without a date: the same content makes the same zip
            file.writestr(zipfile.ZipInfo(f"course/{name}"), content, zipfile.ZIP_DEFLATED)
    part.rename(target)
