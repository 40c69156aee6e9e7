"""The notebook that is graded: a student's cells, with nbgrader's cells as they were released."""

import copy
import hashlib
import itertools
from collections.abc import Mapping

import nbformat
from nbformat import NotebookNode


def wanted(release: NotebookNode) -> dict[str, NotebookNode]:
    """Return the cells of a released notebook that nbgrader knows, by grade_id, in order."""
    return {cell.metadata.nbgrader.grade_id: cell for cell in release.cells if "nbgrader" in cell.metadata}


def places(cells: list[Mapping], known: Mapping[str, NotebookNode]) -> dict[str, list[int]]:
    """Return where cells that nbgrader knows are among those handed in, every copy: {grade_id: [index, ...]}.

    A cell is known by its grade_id or, where a program dropped the metadata (Colab may), by its text.
    """
    found = {key: [n for n, cell in enumerate(cells) if cell["grade_id"] == key] for key in known}
    texts, used = [cell["source"].strip() for cell in cells], set(itertools.chain(*found.values()))
    for key, cell in known.items():
        if not found[key] and (text := cell.source.strip()):
            found[key] = [n for n, each in enumerate(texts) if each == text and n not in used]
            used.update(found[key])
    return {key: indexes for key, indexes in found.items() if indexes}


def restored(cells: list[Mapping], release: NotebookNode, found) -> NotebookNode:
    """Return the notebook that is graded.

    Tests and given cells come from the release, answers from the student, in the student's order. A cell that is
    missing is put back after the one that it followed. Of several copies the last one counts, of an answer the last
    one that was written in. A short answer that was written beside its cell is put into it, for a person to read.

    Args:
        cells: dicts of cell_type, source, grade_id (str or None) and attachments.
        release: the students' notebook.
        found: an object with the lists flags and notes, to which this function adds.
    """
    known, given = wanted(release), {cell.source.strip() for cell in release.cells} | {""}
    copies = places(cells, known)
    copies |= {key: [index] for key, index in _without_metadata(cells, release, copies).items()}
    written = {key: [n for n in indexes if _written(cells[n], known[key])] for key, indexes in copies.items()}
    where = {key: ((_is_answer(known[key]) and written[key]) or copies[key])[-1] for key in copies}
    counted, made, changed = {index: key for key, index in where.items()}, [], []
    for index, cell in enumerate(cells):
        key = counted.get(index)
        fresh = _plain(cell) if key is None else copy.deepcopy(known[key])
        if key is not None and _is_answer(fresh):
            fresh.source = cell["source"]
            _attach(fresh, cell["attachments"])
        elif key is not None and (_written(cell, fresh) or cell["cell_type"] != fresh.cell_type):
            changed.append(key)
        made.append((key, fresh))
    missing = [key for key in known if key not in where]
    for key in missing:
        earlier = list(known)[: list(known).index(key)]
        after = [index for index, (there, _) in enumerate(made) if there in earlier]
        made.insert(max(after, default=-1) + 1, (key, copy.deepcopy(known[key])))
    short = [(n, key, cell) for n, (key, cell) in enumerate(made) if key and _is_short_answer(cell)]
    texts = {key: [_plain(cells[n]) for n in written.get(key, [])] for _, key, _ in short}
    beside = [key for n, key, cell in short if _gather(cell, texts[key], made, n, given)]
    rank, order = list(known), [(key, index + 1) for index, key in sorted(counted.items())]
    pairs = [pair for pair in itertools.pairwise(order) if rank.index(pair[0][0]) > rank.index(pair[1][0])]
    moved = [f"{key} (cell {n}) is before {after} (cell {m})" for (key, n), (after, m) in pairs]
    double = {key: ", ".join(str(n + 1) for n in indexes) for key, indexes in copies.items() if len(indexes) > 1}
    doubled = [f"{key} (cells {numbers}; {where[key] + 1} counts)" for key, numbers in double.items()]
    lost = where and not any(cell["grade_id"] in known for cell in cells)
    for flag, keys, note in (
        ("cells changed", changed, "Given cells were changed and are graded as released: {}."),
        ("cells missing", missing, "Cells are missing and were put back as released: {}."),
        ("cells doubled", doubled, "Cells are there more than once, and each copy ran where it is: {}."),
        ("cells moved", moved, "Cells are out of order and ran so, a test perhaps before its answer: {}."),
        ("answer beside its cell", beside, "Read what was written beside the cell, or in copies of it: {}."),
        ("metadata lost", ["their text"] if lost else [], "No cell had nbgrader's metadata; found by {}."),
    ):
        if keys:
            found.flags.append(flag)
            found.notes.append(note.format(", ".join(keys)))
    return nbformat.v4.new_notebook(metadata=copy.deepcopy(release.metadata), cells=[cell for _, cell in made])


def short_answers(notebook: NotebookNode) -> dict[str, str]:
    """Return the answers that a person may have to read, and what pictures are in them: {grade_id: text}."""
    answers = {}
    for key, cell in wanted(notebook).items():
        if _is_short_answer(cell):
            pictures = {name: hashlib.md5(repr(data).encode()) for name, data in cell.get("attachments", {}).items()}
            added = [f"\n(picture {name}, {data.hexdigest()[:6]})" for name, data in pictures.items()]
            answers[key] = cell.source + "".join(added)
    return answers


def schemes(source: NotebookNode) -> dict[str, tuple[float, str]]:
    """Return the points of a source's short answers, and what is between BEGIN and END MARK SCHEME, by grade_id."""
    found = {}
    for before, cell in itertools.pairwise([nbformat.v4.new_raw_cell(), *source.cells]):
        if "nbgrader" in cell.metadata and _is_short_answer(cell):
            text = f"{before.source}\n{cell.source}".partition("BEGIN MARK SCHEME")[2].partition("END MARK SCHEME")[0]
            found[cell.metadata.nbgrader.grade_id] = cell.metadata.nbgrader.points, text.strip("=# \n")
    return found


def _is_answer(cell):
    return cell.metadata.nbgrader.get("solution")


def _is_short_answer(cell):
    return _is_answer(cell) and cell.metadata.nbgrader.get("grade")


def _written(cell, released):
    """Whether a student has written something into a cell, if only by deleting what was in it."""
    return cell["source"].strip() not in ("", released.source.strip())


def _plain(cell):
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    return _attach(make.get(cell["cell_type"], nbformat.v4.new_raw_cell)(cell["source"]), cell["attachments"])


def _attach(cell, attachments):
    if attachments and cell.cell_type != "code":
        cell.attachments = attachments
    return cell


def _gather(cell, written, made, position, given):
    """Put all that may be a short answer into its cell, and return whether there was more than the cell's own text.

    That is every copy that was written in (list of cells), and the student's own cells that touch it; where nothing
    was written into a copy, code counts, too, and the student's texts anywhere.
    """
    own = [key is None and each.source.strip() not in given for key, each in made]
    low, high = position, position + 1
    while low and own[low - 1]:
        low -= 1
    while high < len(own) and own[high]:
        high += 1
    near = [each for key, each in made[low:high] if key is None and not (written and each.cell_type == "code")]
    texts = [each for (_, each), mine in zip(made, own, strict=True) if mine and each.cell_type != "code"]
    parts = [*written, *(near or ([] if written else texts))]
    if {each.source for each in parts} <= {cell.source}:
        return False
    cell.source = "\n\n".join(dict.fromkeys(each.source for each in parts))
    _attach(cell, {name: data for each in parts for name, data in each.get("attachments", {}).items()})
    return True


def _without_metadata(cells, release, copies):
    """Answers whose metadata is lost: the cell that follows the same text as in the release."""
    texts, used = [cell["source"].strip() for cell in cells], {n for indexes in copies.values() for n in indexes}
    found = {}
    for before, cell in itertools.pairwise(release.cells):
        key = cell.metadata.get("nbgrader", {}).get("grade_id")
        if key is None or key in copies or before.source.strip() not in texts:
            continue
        index = texts.index(before.source.strip()) + 1
        if index < len(cells) and index not in used and cells[index]["grade_id"] is None:
            found[key] = index
            used.add(index)
    return found
