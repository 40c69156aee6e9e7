"""What students hand in: found in a folder, recognised by its cells, and mended before it is graded."""

import copy
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

SIZE_LIMIT = 20_000_000  # bytes; a notebook with its figures has a few hundred thousand


@dataclass
class Submission:
    """A student's notebook of one assignment; assignment is "" and notebook is None where none was recognised."""

    student: str
    assignment: str = ""
    path: Path | None = None
    notebook: str | None = None
    flags: list = field(default_factory=list)
    notes: list = field(default_factory=list)


def collect(folder, releases, assignment=None):
    """Return the submissions (list of Submission) in a folder, by student and assignment.

    folder: STUDENT/NAME/NAME.ipynb, STUDENT/NAME.ipynb, STUDENT.ipynb, STUDENT_NAME.ipynb or NAME/STUDENT.ipynb, mixed
    as they come.  releases: {name: the students' notebook}.  assignment: what a file is that tells nothing of itself.
    """
    found = {}
    for top in sorted(folder.iterdir()):
        if top.name.startswith((".", "_")):
            continue
        paths = [top] if top.is_file() else sorted(top.rglob("*"))
        paths = [path for path in paths if path.suffix == ".ipynb" and not _hidden(path.relative_to(folder))]
        if top.is_dir() and not paths:
            given = [path.name for path in sorted(top.rglob("*")) if path.is_file()][:5]
            note = f"No notebook in {top.name}; it holds {', '.join(given) or 'nothing'}."
            found[top.name, ""] = [Submission(top.name, flags=["no notebook"], notes=[note])]
        for path in paths:
            read = _read(path, _student(path.relative_to(folder), releases), releases, assignment)
            found.setdefault((read.student, read.assignment), []).append(read)
    return [_chosen(several) for _, several in sorted(found.items())]


def _hidden(path):
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _student(path, releases):
    if len(path.parts) > 1 and path.parts[0] not in releases:
        return path.parts[0]
    stem = path.stem if len(path.parts) < 3 else path.parts[1]
    for name in releases:
        stem = stem.removesuffix(f"_{name}").removeprefix(f"{name}_")
    return stem


def _read(path, student, releases, assignment):
    read = Submission(student, path=path)
    named = [name for name in sorted(releases, key=len, reverse=True) if name in (path.stem, *path.parts[-3:-1])]
    named += [name for name in sorted(releases, key=len, reverse=True) if name in path.stem and name not in named]
    read.assignment = (named or [assignment or ""])[0]
    if path.is_symlink() or not path.is_file():
        read.flags, read.notes = ["not a notebook"], [f"{path.name} is a link, which is not followed."]
        return read
    if path.stat().st_size > SIZE_LIMIT:
        read.flags, read.notes = ["not a notebook"], [f"{path.name} has {path.stat().st_size:,} bytes."]
        return read
    try:
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), 4)
        cells = [cell for cell in notebook.cells if isinstance(cell, dict)]
        known = {
            name: sum(key in places(cells, wanted(each)) for key in wanted(each)) for name, each in releases.items()
        }
    except Exception as error:  # nbformat raises whatever the broken part made it raise
        first = (str(error).splitlines() or [""])[0][:120]
        note = f"{path.name} can't be read as a notebook ({type(error).__name__}: {first}). Ask for it again."
        read.flags, read.notes = ["not a notebook"], [note]
        return read
    read.notebook = nbformat.writes(notebook)
    best = max(known, key=lambda name: (known[name], name == read.assignment), default="")
    if best and known[best]:
        read.assignment = best
    elif read.assignment:
        read.flags, read.notes = ["empty"], ["None of the assignment's cells is in it."]
    else:
        read.flags, read.notes = ["not recognised"], ["No cell of any assignment is in it; name one: --assignment."]
        read.notebook = None
    if read.assignment and read.assignment not in path.stem:
        read.flags.append("renamed")
        read.notes.append(f"Recognised by its cells; the file is called {path.name}.")
    return read


def _chosen(several):
    """One of a student's files of one assignment: what can be read, has its own name, is newest."""
    named = lambda each: each.path is not None and each.path.stem == each.assignment  # noqa: E731
    newest = lambda each: each.path.lstat().st_mtime_ns if each.path else 0  # noqa: E731
    best = max(several, key=lambda each: (each.notebook is not None, named(each), newest(each)))
    if len(several) > 1:
        best.flags.append("several files")
        best.notes.append(f"{len(several)} files; graded {best.path.name}. Others are not looked at.")
    return best


def wanted(release):
    """Return the cells of a released notebook that nbgrader knows: {grade_id: cell}, in order."""
    return {cell.metadata.nbgrader.grade_id: cell for cell in release.cells if "nbgrader" in cell.metadata}


def text(cell):
    """Return a cell's source (str), whatever a student's program has made of it."""
    source = cell.get("source", "")
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def grade_id(cell):
    """Return a cell's grade_id, None where it has none."""
    metadata = cell.get("metadata", {})
    nbgrader = metadata.get("nbgrader", {}) if isinstance(metadata, dict) else {}
    key = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    return key if isinstance(key, str) else None


def places(cells, known):
    """Return where known cells ({grade_id: cell}) are among submitted cells: {grade_id: index}.

    A cell is known by its grade_id, the last of several; where a program dropped the metadata (Colab may), by its text.
    """
    found = {grade_id(cell): index for index, cell in enumerate(cells) if grade_id(cell) in known}
    texts = [text(cell).strip() for cell in cells]
    for key, cell in known.items():
        if key not in found:
            same = [index for index, each in enumerate(texts) if each == cell.source.strip() and each]
            free = [index for index in same if index not in found.values()]
            if free:
                found[key] = free[-1]
    return found


def mended(submitted, release, found):
    """Return the notebook that is graded: the student's cells, with nbgrader's cells as they were released.

    Tests come from the release, answers from the student. A test that is missing is put back after the cell that it
    followed; of several with one grade_id the last counts; tags and other metadata of a student's cells are dropped
    (nbclient would skip a test that is tagged so).  found: flags and notes (lists) are added to it.
    """
    known = wanted(release)
    cells = [cell for cell in submitted.cells if isinstance(cell, dict)]
    where = places(cells, known)
    where |= _answers_without_metadata(cells, release, where)
    changed, missing = [], [key for key in known if key not in where]
    at = {index: key for key, index in where.items()}
    made = []
    for index, cell in enumerate(cells):
        key, cell_type = at.get(index), cell.get("cell_type")
        if key is None:
            made.append((None, _plain(text(cell), cell_type)))
            continue
        fresh = copy.deepcopy(known[key])
        if fresh.metadata.nbgrader.get("solution"):
            fresh.source = text(cell)
        elif text(cell).strip() != fresh.source.strip() or cell_type != fresh.cell_type:
            changed.append(key)
        made.append((key, fresh))
    for key in missing:
        earlier = list(known)[: list(known).index(key)]
        after = [index for index, (there, _) in enumerate(made) if there in earlier]
        made.insert(max(after, default=-1) + 1, (key, copy.deepcopy(known[key])))
    ids = [grade_id(cell) for cell in cells if grade_id(cell) in known]
    double = sorted({key for key in ids if ids.count(key) > 1})
    for flag, keys, note in (
        ("cells changed", changed, "Given cells were changed and are graded as released: {}."),
        ("cells missing", missing, "Cells were deleted and are graded as released: {}."),
        ("cells doubled", double, "Cells are there more than once, the last counts: {}."),
        ("metadata lost", [] if ids or not where else ["all"], "No cell had nbgrader's metadata; found by their text."),
    ):
        if keys:
            found["flags"].append(flag)
            found["notes"].append(note.format(", ".join(keys)))
    return nbformat.v4.new_notebook(metadata=copy.deepcopy(release.metadata), cells=[cell for _, cell in made])


def _plain(source, cell_type):
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    return make.get(cell_type, nbformat.v4.new_raw_cell)(source)


def _answers_without_metadata(cells, release, where):
    """Answers whose metadata is lost: the cell that follows the same text as in the release."""
    texts, found = [text(cell).strip() for cell in cells], {}
    for before, cell in zip(release.cells, release.cells[1:], strict=False):
        key = grade_id(cell)
        if key is None or key in where or before.source.strip() not in texts:
            continue
        index = texts.index(before.source.strip()) + 1
        if index < len(cells) and index not in where.values() and grade_id(cells[index]) is None:
            found[key] = index
    return found
