"""Submissions with code in common: copies lead the list whatever was renamed, honest answers do not, none accused."""

import copy
import re

import nbformat
import pytest
from sample_assignment import answered, assignment, code, given, prose, solution

from classroom import alike as comparing
from classroom import release as releasing
from classroom.collect import read_cells
from course.paths import CourseError

v4 = nbformat.v4
SETUP = "import numpy as np\n\nphotos = np.arange(24).reshape(4, 6)\nlabels = [0, 1, 1, 0]"
GIVEN = "def recall(labels, predicted):\n    " + '"""Return the recall of each class."""' + "\n    "
LOOP = """found = []
    for each in sorted(set(labels)):
        right = [p == each for p, label in zip(predicted, labels) if label == each]
        found.append(sum(right) / len(right))
    return np.array(found)"""
ARRAYS = """labels, predicted = np.asarray(labels), np.asarray(predicted)
    hits = np.bincount(labels[labels == predicted], minlength=labels.max() + 1)
    return hits / np.bincount(labels)"""
MATRIX = """table = np.zeros((max(labels) + 1, max(labels) + 1))
    np.add.at(table, (labels, predicted), 1)
    return np.diag(table) / table.sum(axis=1)"""
HELPER = "def shown(values, digits=2):\n    return ', '.join(f'{value:.{digits}f}' for value in values if value > 0)"
RELEASED = assignment(
    prose("title", "# Recall"),
    given("setup", SETUP),
    v4.new_code_cell(GIVEN + "raise NotImplementedError()", metadata=solution("recall", "").metadata, id="recall"),
)
NAMES = {"found": "result", "each": "c", "right": "ok", "label": "truth", "p": "guess", "values": "xs", "value": "x"}


def cells(body, helper="", first=False):
    """Return what collect reads of a student's notebook: the answer, and a cell of their own before or after it."""
    made = copy.deepcopy(RELEASED)
    made.cells[2].source = GIVEN + body
    if helper:
        made.cells.insert(2 if first else 3, code("own", helper))
    return read_cells(nbformat.writes(made).encode())


def renamed(text):
    for before, after in NAMES.items():
        text = re.sub(rf"\b{before}\b", after, text)
    return text.replace("\n    return", "\n    # the result\n    return")


def found(works):
    return [(pair[0], {pair[2][0], pair[3][0]}) for pair in comparing.compared(works, RELEASED)]


def test_a_copy_with_other_names_comments_and_order_is_above_all_honest_answers():
    works = {
        "loop": cells(LOOP, HELPER),
        "arrays": cells(ARRAYS),
        "matrix": cells(MATRIX, HELPER.replace("if value > 0", "")),
        "copy": cells(renamed(LOOP), renamed(HELPER), first=True),
    }
    (first, pair), *others = found(works)
    assert (first, pair) == (1.0, {"loop", "copy"})
    assert len(others) == 5
    assert max(common for common, _ in others) < comparing.FROM


def test_what_the_assignment_gave_is_not_in_common():
    assert found({"ann": cells("raise NotImplementedError()"), "bob": cells("raise NotImplementedError()")}) == []
    ((common, _),) = found({"ann": cells(ARRAYS), "bob": cells(MATRIX)})
    assert common < 0.1


@pytest.fixture
def handed(tmp_path, monkeypatch):
    """Give a function that hands in {student: cells' bodies}, graded as RELEASED, and returns the folder."""
    source = tmp_path / "source" / "recall" / "recall.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(RELEASED, source)
    monkeypatch.setattr(releasing, "SOURCE", tmp_path / "source")
    monkeypatch.setattr(releasing, "generated", lambda paths: ({"recall": nbformat.writes(RELEASED)}, b""))
    folder = tmp_path / "handed in"
    folder.mkdir()

    def write(bodies):
        for student, body in bodies.items():
            (folder / student).mkdir()
            made = answered(nbformat.writes(RELEASED), {"recall": GIVEN + body})
            nbformat.write(made, folder / student / "recall.ipynb")
        return folder

    return write


def test_the_page_shows_both_marks_what_they_share_and_escapes_what_students_chose(handed, tmp_path, capsys):
    name = "<script>alert('bob')<script>"
    folder = handed({"ann": LOOP + "  # <b>mine</b>", name: renamed(LOOP), "carl": MATRIX})
    comparing.alike(folder, out=tmp_path / "grades")
    page = (tmp_path / "grades" / "alike.html").read_text()
    assert "<script" not in page
    assert "<b>" not in page
    assert "100%: &lt;script&gt;alert(&#x27;bob&#x27;)&lt;script&gt; and ann" in page
    assert "<mark>    for each in sorted(set(labels)):</mark>" in page
    assert "<mark>    for c in sorted(set(labels)):</mark>" in page
    assert "np.add.at" not in page  # carl's is nobody's business
    assert "1 pairs to read, of 3 submissions" in capsys.readouterr().out


def test_it_accuses_nobody():
    for word in ("plagiar", "cheat", "copied", "copier", "stole", "suspect", "guilty", "fraud"):
        assert word not in comparing.PAGE.lower()
    assert "many causes" in comparing.PAGE


def test_a_class_without_much_in_common_is_said_so(handed, tmp_path):
    comparing.alike(handed({"ann": ARRAYS, "bob": MATRIX}), out=tmp_path / "grades")
    page = (tmp_path / "grades" / "alike.html").read_text()
    assert "1 pairs with enough code to compare" in page
    assert "None has 50% or more." in page


def test_an_empty_folder_is_one_message(handed, tmp_path):
    with pytest.raises(CourseError, match="holds no notebook"):
        comparing.alike(handed({}), out=tmp_path / "grades")
    assert not (tmp_path / "grades").exists()
