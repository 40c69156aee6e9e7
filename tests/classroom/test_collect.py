"""What is handed in: every file has a row, every student one name, every cell its place."""

import json
import os
import zipfile

import nbformat
import pytest
from sample_assignment import RIGHT, answered

from classroom import cells, collect, marks

v4 = nbformat.v4
EMPTY = nbformat.writes(v4.new_notebook())


class Found:
    def __init__(self):
        self.flags, self.notes = [], []


def collected(folder, release, **given):
    return collect.collect(folder, {"sample": nbformat.reads(release[0], 4)}, **given)


def restored(notebook, release):
    """Return the graded notebook's {grade_id: source}, its short answers, and what was found."""
    found, plain = Found(), collect.read_cells(nbformat.writes(notebook).encode())
    made = cells.restored(plain, nbformat.reads(release[0], 4), found)
    sources = {key: cell.source for key, cell in cells.wanted(made).items()}
    return sources, cells.short_answers(made), found


@pytest.mark.parametrize(
    "path",
    [
        "ann/sample/sample.ipynb",
        "ann/sample.ipynb",
        "ann/deep/down/anything.ipynb",
        "ann.ipynb",
        "ann_sample.ipynb",
        "sample_ann.ipynb",
        "ann-sample.ipynb",
        "sample/ann.ipynb",
        "sample/ann/sample.ipynb",
        "ann_sample (1).ipynb",
        "ann_sample-Copy1.ipynb",
        "ann_sample-1.ipynb",
        "ann_sample - Copy (2).ipynb",
        "ann_sample - Kopie.ipynb",
        "sample_ann (3).ipynb",
        "ann (1).ipynb",
        "ann (2)/sample.ipynb",
        "ann_sample/sample.ipynb",
        "ann_12345_678901_sample.ipynb",
        "ann_LATE_12345_678901_sample-2.ipynb",
        "ann_12345_assignsubmission_file_/sample.ipynb",
        "ann_12345_assignsubmission_file_sample.ipynb",
        "Week 1_ann_attempt_2026-11-26-10-00-00_sample.ipynb",
        "ann_sample.IPYNB",
        "ann.ipynb.txt",
        "ann_sample.json",
        "ann_SAMPLE.ipynb",
        "Sample/ann.ipynb",
        "Copy of ann_sample.ipynb",
        "Kopie von Kopie von ann_sample (1).ipynb",
        "123-456 - ann - Nov 26, 2026 1000 AM - sample.ipynb",
        "123-456 - ann- Nov 26, 2026 10:00 AM/sample.ipynb",
        ".ann_sample.ipynb",
    ],
)
def test_a_student_is_found_in_every_usual_shape(path, handed_in, release):
    (found,) = collected(handed_in({path: None}), release)
    assert (found.student, found.assignment) == ("ann", "sample")
    assert found.cells
    as_named = "sample" in path.rsplit("/", 1)[-1].lower() and path.endswith(".ipynb")
    assert ("renamed" in found.flags) == (not as_named)


@pytest.mark.parametrize("path", ["ann_sample_final.ipynb", "ann_sample_with bob.ipynb", "ann_sample v2.ipynb"])
def test_a_name_that_says_more_is_flagged(path, handed_in, release):
    (found,) = collected(handed_in({path: None}), release)
    assert (found.student, found.flags) == ("ann", ["renamed"])
    assert f"{path} is taken for ann's" in found.notes[0]


@pytest.mark.parametrize("path", ["sample.ipynb", "Sample (1).ipynb", "sample-Copy1.ipynb"])
def test_a_name_that_says_not_whose_it_is_is_flagged(path, handed_in, release):
    (found,) = collected(handed_in({path: None}), release)
    assert found.flags == ["renamed"]
    assert f"{path} does not say whose it is" in found.notes[0]


def test_names_that_differ_only_in_case_or_separators_are_flagged(handed_in, release):
    files = ["Ann Lee/sample.ipynb", "ann_lee_sample.ipynb", "bob_sample.ipynb"]
    upper, lower, bob = collected(handed_in(dict.fromkeys(files)), release)
    assert upper.flags == lower.flags == ["similar name"]
    assert "Perhaps one student: Ann Lee; ann_lee" in lower.notes[0]
    assert bob.flags == []


def test_copies_of_one_student_are_one_student(handed_in, release):
    names = ["ann_sample.ipynb", "ann_sample (1).ipynb", "ann_sample-Copy1.ipynb", "ann_99_1234_sample-1.ipynb"]
    (found,) = collected(handed_in(dict.fromkeys(names)), release)
    assert (found.student, found.flags) == ("ann", ["several files"])
    assert all(name in found.notes[0] for name in names)


def test_two_students_whom_canvas_calls_alike_stay_two(handed_in, release):
    files = ["leeann_11_901_sample.ipynb", "leeann_22_902_sample.ipynb", "leeann_22_903_sample-1.ipynb"]
    first, second = collected(handed_in(dict.fromkeys(files)), release)
    assert (first.student, first.flags) == ("leeann 11", ["same name"])
    assert second.student == "leeann 22"
    assert "several files" in second.flags


def test_what_systems_leave_beside_is_no_submission(handed_in, release):
    files = {
        "ann/sample.ipynb": None,
        "ann/.ipynb_checkpoints/sample-checkpoint.ipynb": None,
        ".DS_Store": "",
        "Thumbs.db": "",
        "__MACOSX/ann/._sample.ipynb": "",
    }
    (found,) = collected(handed_in(files), release)
    assert (found.student, found.flags) == ("ann", [])


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("carl.zip", "Unpack it"),
        ("carl.ipynb.zip", "Unpack it"),
        ("carl_sample.tgz", "Unpack it"),
        ("carl.tar.xz", "Unpack it"),
        ("carl.RAR", "Unpack it"),
        ("carl.url", "Ask for the .ipynb file"),
        ("carl.py", "Ask for the .ipynb file"),
        ("carl.html", "Ask for the .ipynb file"),
        ("carl_sample.pdf", "Ask for the .ipynb file"),
        ("carl.csv", "Ask for the .ipynb file"),
        ("carl", "Ask for the .ipynb file"),
        ("carl/answers.docx", "Ask for the .ipynb file"),
        ("carl/sample.zip", "Unpack it"),
        ("sample/carl.zip", "Unpack it"),
    ],
)
def test_whatever_is_handed_in_has_a_row_with_what_to_do(name, cure, handed_in, release):
    folder = handed_in({"ann/sample.ipynb": None, name: "print(1)"})
    _, found = collected(folder, release)
    assert (found.student, found.cells, found.flags) == ("carl", None, ["no notebook"])
    assert name.rsplit("/", 1)[-1] in found.notes[0]
    assert cure in found.notes[0]


def test_an_empty_folder_and_an_empty_file_have_rows(handed_in, release):
    folder = handed_in({"bob.ipynb": ""})
    (folder / "ann").mkdir()
    ann, bob = collected(folder, release)
    assert (ann.flags, bob.flags) == (["no notebook"], ["not a notebook"])
    assert "an empty folder" in ann.notes[0]


def test_what_lies_beside_a_notebook_is_named(handed_in, release):
    files = {"ann/sample.ipynb": None, "ann/photo.jpg": "", "ann/part 2.zip": ""}
    (found,) = collected(handed_in(files), release)
    assert found.flags == ["other files"]
    assert "part 2.zip, photo.jpg" in found.notes[0]


def test_a_name_that_is_not_utf8_is_read_as_windows_wrote_it(handed_in, release):
    folder = handed_in({"ann/sample.ipynb": None})
    os.rename(os.fsencode(folder / "ann"), os.fsencode(folder) + b"/Ren\xe9")
    (found,) = collected(folder, release)
    assert (found.student, found.assignment) == ("René", "sample")


def test_of_several_files_the_one_under_its_own_name_counts(handed_in, release):
    folder = handed_in({"ann/sample.ipynb": None, "ann/sample-Copy1.ipynb": EMPTY, "ann/old/sample.ipynb": "{"})
    (found,) = collected(folder, release)
    assert found.path == folder / "ann" / "sample.ipynb"
    assert found.cells
    assert found.flags == ["several files"]
    assert "3 files; graded sample.ipynb, not sample-Copy1.ipynb, old/sample.ipynb" in found.notes[0]


def test_a_link_is_not_followed(handed_in, release, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "sample.ipynb").write_text(nbformat.writes(answered(release[0])))
    folder = handed_in({"bob/sample.ipynb": None})
    (folder / "ann").mkdir()
    os.symlink(tmp_path / "elsewhere" / "sample.ipynb", folder / "ann" / "sample.ipynb")
    os.symlink(tmp_path / "elsewhere", folder / "carl")
    os.mkfifo(folder / "pipe.ipynb")
    ann, bob, carl, pipe = collected(folder, release)
    assert (ann.cells, ann.flags) == (None, ["not a notebook"])
    assert (carl.cells, carl.flags) == (None, ["no notebook"])
    assert (pipe.cells, pipe.flags) == (None, ["not a notebook"])
    assert bob.cells


def test_a_file_that_says_nothing_is_what_the_teacher_says(handed_in, release):
    folder = handed_in({"ann/homework.ipynb": EMPTY})
    assert collected(folder, release)[0].flags == ["not recognised"]
    (found,) = collected(folder, release, assignment="sample")
    assert (found.assignment, found.flags) == ("sample", ["empty", "renamed"])


def test_outputs_are_dropped_before_a_file_is_too_large(handed_in, release, monkeypatch):
    notebook = answered(release[0])
    notebook.cells[1].outputs = [v4.new_output("stream", text="x" * 100_000)]
    folder = handed_in({"ann/sample.ipynb": nbformat.writes(notebook)})
    monkeypatch.setattr(collect, "KEPT_LIMIT", 50_000)
    assert collected(folder, release)[0].flags == []
    monkeypatch.setattr(collect, "KEPT_LIMIT", 1_000)
    (found,) = collected(folder, release)
    assert (found.cells, found.flags) == (None, ["not a notebook"])
    assert "the limits are 300,000,000 and 1,000" in found.notes[0]
    assert "Clear Outputs of All Cells" in found.notes[0]
    monkeypatch.setattr(collect, "READ_LIMIT", 90_000)
    assert "it has 10" in collected(folder, release)[0].notes[0]


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_older_versions_and_other_encodings_are_read(version, encoding, release):
    text = nbformat.writes(answered(release[0]), version=version)
    read = collect.read_cells(text.replace("\n", "\r\n").encode(encoding))
    assert RIGHT["double"] in [cell["source"] for cell in read]


def test_half_a_character_becomes_a_question_mark():
    (cell,) = collect.read_cells(b'{"cells": [{"cell_type": "code", "source": ["a\\ud800", "b"]}]}')
    assert cell["source"] == "a?b"


# Cells in their places


def at(notebook, key):
    return next(n for n, cell in enumerate(notebook.cells) if cell.id == key)


def test_restoring_keeps_the_answers_and_puts_the_tests_back(release):
    handed = answered(release[0])
    handed.cells = [cell for cell in handed.cells if cell.id not in ("double-test", "spread")]
    handed.cells.insert(
        0, v4.new_code_cell("mine = 1", metadata={"tags": ["skip-execution"], "nbgrader": {"grade_id": "x"}})
    )
    sources, _, found = restored(handed, release)
    assert list(sources) == list(cells.wanted(nbformat.reads(release[0], 4)))
    assert sources["double"] == RIGHT["double"]
    assert "NotImplementedError" in sources["spread"]
    assert found.flags == ["cells missing"]


def test_cells_in_their_order_are_no_flag(release):
    _, answers, found = restored(answered(release[0]), release)
    assert (found.flags, answers) == ([], {"why": RIGHT["why"]})


@pytest.mark.parametrize(
    ("first", "second"), [("double", "double-test"), ("double", "spread-test"), ("setup", "why"), ("spread", "double")]
)
def test_cells_that_changed_places_are_named(first, second, release):
    handed = answered(release[0])
    m, n = at(handed, first), at(handed, second)
    handed.cells[m], handed.cells[n] = handed.cells[n], handed.cells[m]
    _, _, found = restored(handed, release)
    assert found.flags == ["cells moved"]
    assert f"(cell {m + 1})" in found.notes[0]
    assert first in found.notes[0]


def test_of_two_copies_the_one_that_was_written_in_counts(release):
    handed = answered(release[0])
    untouched = nbformat.reads(release[0], 4).cells[at(handed, "double")]
    untouched.id = "copy"
    handed.cells.insert(at(handed, "double") + 1, untouched)
    sources, _, found = restored(handed, release)
    assert sources["double"] == RIGHT["double"]
    assert found.flags == ["cells doubled"]
    assert "double (cells 4, 5; 4 counts)" in found.notes[0]


def changed_answer(kind, release):
    """Return a notebook whose short answer is somewhere near its cell."""
    handed = answered(release[0], {key: text for key, text in RIGHT.items() if key != "why"})
    place = at(handed, "why")
    original = handed.cells[place]
    text = "It ends in 2."
    if kind == "copy":
        handed.cells.insert(place, type(original)(original, id="copy", source=text))
    elif kind == "copy below":
        handed.cells.append(type(original)(original, id="copy", source=text))
    elif kind == "below":
        handed.cells.append(v4.new_markdown_cell(text))
    elif kind == "above":
        handed.cells.insert(place, v4.new_markdown_cell(text))
    elif kind == "raw":
        handed.cells.append(v4.new_raw_cell(text))
    elif kind == "code":
        handed.cells.append(v4.new_code_cell(text))
    elif kind == "elsewhere":
        handed.cells.insert(0, v4.new_markdown_cell(text))
    elif kind == "question":
        handed.cells[place - 1].source += f"\n\n{text}"
    elif kind == "emptied":
        original.source = "\n"
        handed.cells.append(v4.new_markdown_cell(text))
    elif kind == "instead":
        handed.cells[place] = v4.new_markdown_cell(text)
    elif kind == "see below":
        original.source = "See below."
        handed.cells.append(v4.new_markdown_cell(text))
    elif kind == "two parts":
        original.source = "It is even."
        handed.cells.append(type(original)(original, id="copy", source=text))
    return handed


KINDS = ["copy", "copy below", "below", "above", "raw", "code", "elsewhere", "question", "emptied", "instead"]


@pytest.mark.parametrize("kind", [*KINDS, "see below", "two parts"])
def test_an_answer_beside_its_cell_waits_for_a_person(kind, release):
    sources, answers, found = restored(changed_answer(kind, release), release)
    assert "It ends in 2." in answers["why"]
    assert sources["why"] == answers["why"]
    assert found.flags or kind == "instead"
    assert ("two" in kind or "see" in kind) == (
        "." in answers["why"].removesuffix("It ends in 2.").removeprefix("Why is 12 even?")
    )


def test_an_untouched_answer_beside_code_elsewhere_stays_untouched(release):
    handed = answered(release[0], {"double": RIGHT["double"]})
    handed.cells.insert(2, v4.new_code_cell("scratch = 1"))
    _, answers, found = restored(handed, release)
    assert answers["why"] == cells.wanted(nbformat.reads(release[0], 4))["why"].source
    assert found.flags == []


def test_a_picture_belongs_to_the_answer(release):
    def shown(data):
        handed = answered(release[0], RIGHT | {"why": "![a.png](attachment:a.png)"})
        handed.cells[-1].attachments = {"a.png": {"image/png": data}}
        return restored(handed, release)[1]["why"]

    assert shown("AAAA") != shown("BBBB")
    assert shown("AAAA").startswith("![a.png](attachment:a.png)")


# Whatever else may come


hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed: make check brings it")
st = hypothesis.strategies
VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.floats()
JSON = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
)
KEYS = ["cell_type", "source", "metadata", "nbgrader", "grade_id", "attachments", "outputs", "id", "cells", "nbformat"]


@st.composite
def damaged(draw, text):
    """A notebook of which one to four values, anywhere, are gone, doubled or something else."""
    notebook = json.loads(text)
    for _ in range(draw(st.integers(1, 4))):
        here, path = notebook, []
        while isinstance(here, dict | list) and here:
            path.append((here, draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))))
            here = path[-1][0][path[-1][1]]
        place, key = draw(st.sampled_from(path[-4:]))
        kind = draw(st.sampled_from(["gone", "other", "doubled"]))
        if kind == "gone":
            del place[key]
        elif kind == "other":
            place[key] = draw(JSON | st.sampled_from(KEYS))
        elif isinstance(place, list):
            place.insert(draw(st.integers(0, len(place))), place[key])
    return json.dumps(notebook)


def check_any(text, folder, release):
    for path in folder.iterdir():
        path.unlink()
    (folder / "ann_sample.ipynb").write_bytes(text)
    (found,) = collected(folder, release)
    assert found.student == "ann"
    if found.cells is None:
        assert found.flags
        assert found.notes
        return
    made = cells.restored(found.cells, nbformat.reads(release[0], 4), found)
    nbformat.validate(made)
    nbformat.writes(made).encode()
    assert set(cells.wanted(made)) == set(cells.wanted(nbformat.reads(release[0], 4)))
    assert all(marks.ids(found, cells.short_answers(made)).values())


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(data=st.data())
def test_a_damaged_notebook_is_restored_or_flagged(data, tmp_path_factory, release):
    folder = tmp_path_factory.mktemp("any")
    check_any(data.draw(damaged(nbformat.writes(answered(release[0])))).encode(), folder, release)


@pytest.mark.long
@hypothesis.settings(max_examples=2000, deadline=None)
@hypothesis.given(data=st.data())
def test_many_damaged_notebooks_are_restored_or_flagged(data, tmp_path_factory, release):
    folder = tmp_path_factory.mktemp("any")
    version = data.draw(st.sampled_from([3, 4]))
    text = data.draw(damaged(nbformat.writes(answered(release[0]), version=version))).encode()
    cut = data.draw(st.integers(0, len(text)) | st.just(len(text)))
    check_any(text[:cut] + data.draw(st.binary(max_size=3)) * (cut < len(text)), folder, release)


def test_a_zip_is_not_opened(handed_in, release):
    folder = handed_in({})
    with zipfile.ZipFile(folder / "carl.zip", "w") as file:
        file.writestr("carl/sample.ipynb", EMPTY)
    (found,) = collected(folder, release)
    assert "Unpack it into a folder called like the student" in found.notes[0]
