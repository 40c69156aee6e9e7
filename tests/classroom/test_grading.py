"""make grade: what students hand in, honest, broken and hostile, in one class; each ends in a grade or a flag."""

import csv
import json
import shutil

import nbformat
import pytest
from sample_assignment import RIGHT, answered, sample

from classroom import sandbox

v4 = nbformat.v4
WRONG = RIGHT | {"double": "def double(values):\n    return values", "spread": "def spread(values):\n    return 0"}
DROP_ASSERTS = """
import ast
class Drop(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()
    def visit_Expr(self, node):
        return ast.Pass() if "assert" in ast.dump(node) else node
get_ipython().ast_transformers.append(Drop())
"""
HIDE_ERRORS = """
shell = get_ipython()
shell.showtraceback = lambda *a, **k: None
run = shell.run_code
async def quiet(code, result=None, **given):
    await run(code, None, **given)
    return False
shell.run_code = quiet
"""
STUBBORN = """
while True:
    try:
        while True:
            pass
    except KeyboardInterrupt:
        pass
"""
HOG = """
held = []
while True:
    held.append(np.ones(4_000_000))
"""


class Case:
    """What a student hands in, and what must come of it; {place} in code becomes the test's own folder."""

    def __init__(self, code=None, answers=RIGHT, change=None, text=None, score=None, flags=(), note="", file=None):
        self.code, self.answers, self.change, self.text = code, answers, change, text
        self.score, self.flags, self.note, self.file = score, set(flags), note, file

    def write(self, folder, student, release):
        path = folder / (self.file or f"{student}/sample.ipynb")
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.text is not None:
            path.write_text(self.text)
            return
        notebook = answered(release, self.answers)
        if self.code:
            code = self.code.replace("{place}", str(folder.parent))
            notebook.cells.insert(2, v4.new_code_cell(code))
        text = nbformat.writes(notebook)
        path.write_text(self.change(json.loads(text)) if self.change else text)


def graded_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade") is True]


def test_cells(notebook):
    return [cell for cell in graded_cells(notebook) if cell["cell_type"] == "code"]


test_cells.__test__ = False


def gutted(notebook):
    for cell in test_cells(notebook):
        cell["source"] = "pass"
    return json.dumps(notebook)


def skipping(notebook):
    for cell in test_cells(notebook):
        cell["metadata"]["tags"] = ["skip-execution"]
        cell["metadata"]["nbgrader"] |= {"points": 50}
    return json.dumps(notebook)


def ungraded(notebook):
    for cell in graded_cells(notebook):
        cell["metadata"]["nbgrader"] |= {"grade": False, "locked": False}
    return json.dumps(notebook)


def without_tests(notebook):
    gone = test_cells(notebook)
    notebook["cells"] = [cell for cell in notebook["cells"] if cell not in gone]
    return json.dumps(notebook)


def doubled(notebook):
    copies = [
        json.loads(json.dumps(cell)) | {"id": f"copy-{n}", "source": "pass"}
        for n, cell in enumerate(test_cells(notebook))
    ]
    notebook["cells"] = copies + notebook["cells"]
    return json.dumps(notebook)


def colab(notebook):
    """What Colab makes of a notebook at its worst: other ids, other metadata, an older minor version."""
    for number, cell in enumerate(notebook["cells"]):
        cell.pop("id")
        cell["metadata"] = {"id": f"x{number}", "colab": {"base_uri": "https://localhost:8080/"}}
        cell["source"] = cell["source"].splitlines(keepends=True) if isinstance(cell["source"], str) else cell["source"]
    notebook["metadata"] = {"colab": {"provenance": []}, "kernelspec": {"name": "conda-env", "display_name": "x"}}
    notebook["nbformat_minor"] = 0
    return json.dumps(notebook)


EMPTY = nbformat.writes(v4.new_notebook())
READ = "from pathlib import Path\nshown = Path('{place}/assignments/sample/sample.ipynb').read_text()"
CASES = {
    "ann good": Case(score=5),
    "weak": Case(answers=WRONG, score=0),
    "blank": Case(answers={}, score=0),
    "half": Case(answers=RIGHT | {"double": "def double(values): return values"}, score=2),
    "loop": Case("while True: pass", score=5, flags=["timeout"], note="Cell 3 ran longer than 10 s"),
    "killed": Case("import os\nos.kill(os.getpid(), 9)", flags=["kernel died", "look"], note="cell 3"),
    "hog": Case(HOG, flags=["memory"], note="more than 600 MB"),
    "gutted": Case(answers=WRONG, change=gutted, score=0, flags=["cells changed"], note="double-test, spread-test"),
    "deleted": Case(answers=WRONG, change=without_tests, score=0, flags=["cells missing"]),
    "careless": Case(change=without_tests, score=5, flags=["cells missing"]),
    "doubled": Case(answers=WRONG, change=doubled, score=0, flags=["cells doubled"]),
    "renamed": Case(score=5, flags=["renamed"], note="Homework (final).ipynb", file="renamed/Homework (final).ipynb"),
    "broken": Case(text='{"cells": [', flags=["not a notebook"], note="Ask for it again"),
    "reader": Case(READ, flags=["hidden files read", "look"], note="sample.ipynb"),
    "flood": Case("while True: print('x' * 1000)", score=5, flags=["flood"]),
    "writer": Case(
        "open('{place}/outside.txt', 'w').write('here')", score=5, flags=["write refused"], note="outside.txt"
    ),
    "patcher": Case(DROP_ASSERTS, answers=WRONG, flags=["canary passed", "look"], note="(assert, "),
    "empty": Case(text=EMPTY, score=0, flags=["empty", "cells missing"]),
    "colab": Case(change=colab, score=5, flags=["metadata lost"]),
    "=1+1": Case(score=5),
}
MORE = {
    "good": Case(score=5),
    "stubborn": Case(STUBBORN, flags=["time"], note="longer than 50 s"),
    "quitter": Case(
        answers=RIGHT | {"double": "import os\ndef double(values): os._exit(0)"}, flags=["kernel died", "look"]
    ),
    "skipping": Case(answers=WRONG, change=skipping, score=0),
    "ungraded": Case(answers=WRONG, change=ungraded, score=0),
    "own points": Case(
        answers=RIGHT | {"double": "def double(values): get_ipython().displayhook(50)"}, score=2, flags=["look"]
    ),
    "gradebook": Case("open('../../../gradebook.db', 'rb').read()", flags=["hidden files read", "look"]),
    "neighbour": Case("import os\nos.listdir('{place}/handed in')", flags=["hidden files read"]),
    "shell": Case(
        "!while read line; do echo $line; done < {place}/assignments/sample/sample.ipynb",
        flags=["hidden files read", "look"],
    ),
    "installer": Case(
        "!pip install numpy\nthere = True",
        answers=RIGHT | {"spread": "assert there\n" + RIGHT["spread"]},
        score=5,
        flags=["program started"],
        note="pip install",
    ),
    "linker": Case(
        "import os\nos.remove('sample.ipynb') if os.path.exists('sample.ipynb') else None\n"
        "os.symlink('{place}/outside.txt', 'sample.ipynb')",
        score=5,
        flags=["look"],
    ),
    "caller": Case(
        "import urllib.request\nurllib.request.urlopen('http://198.51.100.1/')", score=5, flags=["network refused"]
    ),
    "stopper": Case("import os\nos.kill(os.getppid(), 9)", score=5, flags=["write refused", "look"]),
    "hider": Case(HIDE_ERRORS, answers=WRONG, flags=["canary passed", "look"]),
    "showless": Case(
        "shell = get_ipython()\nshell.showtraceback = lambda *a, **k: None\n"
        "shell.set_custom_exc((Exception,), lambda *a, **k: None)",
        answers=WRONG,
        score=0,
        flags=["look"],
    ),
    "numpy": Case(
        "np.testing.assert_allclose = lambda *a, **k: None",
        answers=WRONG,
        flags=["canary passed"],
        note="numpy.testing",
    ),
    "built in": Case(
        "import builtins\nbuiltins.all = lambda x: True", answers=WRONG, flags=["canary passed", "look"], note="all"
    ),
    "shadow": Case("abs = lambda x: 0", answers=WRONG, flags=["canary passed"], note="abs"),
    "script": Case("from IPython.display import HTML\nHTML('<script>alert(1)</script>')", score=5),
    "unlucky": Case("list = [1, 2]\nsum = 3", score=5),
    "warner": Case(
        answers=RIGHT
        | {"spread": f"import warnings\n{RIGHT['spread']}".replace("return", "warnings.warn('x'); return")},
        score=5,
    ),
    "list": Case(text="[]", flags=["not a notebook"]),
    "odd cells": Case(
        text='{"cells": [1, {"cell_type": "code"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        flags=["not a notebook"],
    ),
    "deep": Case(text='{"cells":' + "[" * 100_000, flags=["not a notebook"]),
    "unknown": Case(text=EMPTY, file="unknown/thing.ipynb", flags=["not recognised"]),
}


@pytest.fixture(scope="module")
def course_of(tmp_path_factory):
    """Give a function that grades cases, once each set: ({student: row of grades.csv}, folder of the class)."""
    done = {}

    def of(name, cases):
        if name not in done:
            folder = tmp_path_factory.mktemp("class")
            done[name] = graded_class(folder, cases), folder
        return done[name]

    return of


def graded_class(folder, cases):
    source = folder / "assignments" / "sample" / "sample.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(sample(), source)
    (folder / "handed in").mkdir()
    (folder / "cache" / "features").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classroom, "ASSIGNMENTS", folder / "assignments")
        patch.setenv("COURSE_CACHE", str(folder / "cache"))
        release = classroom.generated([source])[0]["sample"]
        for student, case in cases.items():
            case.write(folder / "handed in", student, release)
        classroom.grade(folder / "handed in", timeout=10, memory=600, out=folder / "grades")
    return rows_of(folder / "grades" / "grades.csv")


def rows_of(path):
    with path.open(newline="", encoding="utf-8-sig") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def check(student, case, rows, folder):
    row = rows[f"'{student}" if student.startswith("=") else student]
    assert row["score"] == ("" if case.score is None else str(case.score)), row
    assert set(filter(None, row["flags"].split(", "))) == case.flags, row
    assert case.note in row["note"]
    assert bool(row["note"]) == bool(case.flags)  # a flag is always explained
    page = folder / "grades" / "feedback" / classroom._file_name(student) / "sample.html"
    assert page.exists() == (case.score is not None)
    assert not page.exists() or "<script>alert" not in page.read_text()


@pytest.mark.parametrize("student", CASES)
def test_every_submission_ends_in_a_grade_or_a_flag(student, course_of):
    check(student, CASES[student], *course_of("cases", CASES))


@pytest.mark.long
@pytest.mark.parametrize("student", MORE)
def test_other_ways_end_in_a_grade_or_a_flag(student, course_of):
    check(student, MORE[student], *course_of("more", MORE))


def test_nothing_was_written_outside_and_nothing_of_the_class_changed(course_of):
    _, folder = course_of("cases", CASES)
    assert not (folder / "outside.txt").exists()
    assert nbformat.read(folder / "assignments" / "sample" / "sample.ipynb", 4) == sample()
    assert {path.name for path in folder.iterdir()} == {"assignments", "handed in", "cache", "grades"}
    assert list((folder / "cache" / "features").iterdir()) == []


def test_a_good_student_has_a_page_with_the_points(course_of):
    rows, folder = course_of("cases", CASES)
    assert rows["ann good"]["max"] == "7"
    assert rows["ann good"]["manual points to come"] == "2"
    page = (folder / "grades" / "feedback" / "ann good" / "sample.html").read_text()
    assert "Score: 5.0 / 7.0" in page


def test_marks_of_a_person_are_added_and_nobody_is_graded_again(course_of, tmp_path, monkeypatch):
    _, graded = course_of("cases", CASES)
    folder = tmp_path / "class"
    shutil.copytree(graded, folder)
    monkeypatch.setattr(classroom, "ASSIGNMENTS", folder / "assignments")
    monkeypatch.setenv("COURSE_CACHE", str(folder / "cache"))
    marks = folder / "grades" / "marks.csv"
    with marks.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["answer"] for row in rows if row["student"] == "ann good"] == [RIGHT["why"]]
    assert rows[0]["marking scheme"] == "Two points: names the last digit, or division by two."
    for row in rows:
        if row["student"] == "ann good":
            row |= {"points": "1,5", "comment": "Well said & short"}
    with marks.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    started, run = [], sandbox.run
    monkeypatch.setattr(sandbox, "run", lambda room, job, *rest: started.append(job) or run(room, job, *rest))
    classroom.grade(folder / "handed in", timeout=10, memory=600, out=folder / "grades")
    (job,) = started
    assert "graded" in job
    after = rows_of(folder / "grades" / "grades.csv")
    assert (after["ann good"]["score"], after["ann good"]["manual points to come"]) == ("6.5", "")
    assert after["half"] == rows_of(graded / "grades" / "grades.csv")["half"]
    page = (folder / "grades" / "feedback" / "ann good" / "sample.html").read_text()
    assert "Score: 6.5 / 7.0" in page
    assert "Well said &amp; short" in page
    with marks.open(newline="", encoding="utf-8-sig") as file:
        assert {row["points"] for row in csv.DictReader(file) if row["student"] == "ann good"} == {"1.5"}
