"""make grade: what students hand in, honest, broken and hostile, in one class; each ends in a grade or a flag."""

import csv
import http.server
import json
import os
import shutil
import sys
import threading
from pathlib import Path

import nbformat
import pytest
from sample_assignment import RIGHT, answered, sample

from classroom import release as releasing
from classroom import sandbox
from classroom.grade import file_name, grade
from course.paths import ROOT

CONTAINED = sys.platform == "linux" and shutil.which("bwrap")
pytestmark = pytest.mark.tensorflow  # kernels: too slow for make check
contained = pytest.mark.skipif(not CONTAINED, reason="bubblewrap holds submissions, and is not installed here")

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


SERVER = http.server.HTTPServer(("localhost", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=SERVER.serve_forever, daemon=True).start()
PLACES = {"root": ROOT, "home": Path.home(), "port": SERVER.server_port, "pid": os.getpid()}


class Case:
    """What a student hands in, and what must come of it; {place} and PLACES in its text are filled in."""

    def __init__(
        self,
        code=None,
        answers=RIGHT,
        change=None,
        text=None,
        score=None,
        manual=None,
        flags=(),
        note="",
        file=None,
        page=True,
    ):
        self.code, self.answers, self.change, self.text = code, answers, change, text
        self.score, self.manual, self.flags, self.note = score, manual, set(flags), note
        self.file, self.page = file, page

    def write(self, folder, student, release):
        path = folder / (self.file or f"{student}/sample.ipynb")
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.text is not None:
            path.write_text(self.text)
            return
        notebook = answered(release, self.answers)
        if self.code:
            notebook.cells.insert(2, v4.new_code_cell(self.code))
        text = nbformat.writes(notebook)
        text = self.change(json.loads(text)) if self.change else text
        for name, value in {"place": folder.parent, **PLACES}.items():
            text = text.replace("{" + name + "}", str(value))
        path.write_text(text)


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


def bare(notebook):
    """A code cell without outputs, a picture pasted into a cell, and 30 MB of outputs."""
    for cell in notebook["cells"]:
        cell.pop("outputs", None)
    notebook["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 30_000_000}]
    return json.dumps(notebook)


def pictured(notebook):
    """A picture pasted into the short answer, and one whose data was lost on the way."""
    why = notebook["cells"][-1]
    why["source"] = "Look: ![image.png](attachment:image.png)"
    why["attachments"] = {"image.png": {"image/png": PIXEL}}
    return json.dumps(notebook)


def pictured_no_more(notebook):
    notebook["cells"][-1]["source"] = "Look: ![image.png](attachment:image.png)"
    return json.dumps(notebook)


def below_its_test(notebook):
    """The right solution of `double` is moved below its test."""
    cells = notebook["cells"]
    cells[3], cells[4] = cells[4], cells[3]
    return json.dumps(notebook)


def copied_below(notebook):
    """Two copies of `double`: a wrong one, and the right one after the test."""
    right = notebook["cells"][3]
    wrong = json.loads(json.dumps(right)) | {"id": "wrong", "source": "def double(values): return values"}
    notebook["cells"][3:5] = [wrong, notebook["cells"][4], right]
    return json.dumps(notebook)


def with_answer(*texts, cell_type="markdown"):
    """The short answer is as released; texts are in cells below it."""

    def change(notebook):
        for text in texts:
            new = v4.new_markdown_cell(text) if cell_type == "markdown" else v4.new_code_cell(text)
            notebook["cells"].append(json.loads(json.dumps(new)))
        return json.dumps(notebook)

    return change


def ends(code, at=99, last=None):
    def change(notebook):
        for text, place in [(code, at), (last, 99)][: 1 + bool(last)]:
            notebook["cells"].insert(place, json.loads(json.dumps(v4.new_code_cell(text))))
        return json.dumps(notebook)

    return change


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
NO_WHY = {key: text for key, text in RIGHT.items() if key != "why"}
EMPTY = nbformat.writes(v4.new_notebook())
READ = "from pathlib import Path\nshown = Path('{place}/assignments/sample/sample.ipynb').read_text()"
CASES = {
    "ann good": Case(score=5),
    "blank": Case(answers={}, score=0),
    "half": Case(answers=RIGHT | {"double": "def double(values): return values"}, score=2),
    "loop": Case("while True: pass", score=5, flags=["timeout"], note="Cell 3 ran longer than 10 s"),
    "killed": Case(
        "import os\nos.kill(os.getpid(), 9)",
        flags=["kernel died"],
        note="while cell 3 ran. Cells that may have ended it: 3.",
    ),
    "hog": Case(HOG, flags=["memory"], note="more than 600 MB"),
    "gutted": Case(answers=WRONG, change=gutted, score=0, flags=["cells changed"], note="double-test, spread-test"),
    "deleted": Case(answers=WRONG, change=without_tests, score=0, flags=["cells missing"]),
    "careless": Case(change=without_tests, score=5, flags=["cells missing"]),
    "doubled": Case(answers=WRONG, change=doubled, score=0, flags=["cells doubled"]),
    "renamed": Case(
        change=bare, score=5, flags=["renamed"], note="Homework (final).ipynb", file="renamed/Homework (final).ipynb"
    ),
    "broken": Case(text='{"cells": [', flags=["not a notebook"], note="Ask for it again"),
    "reader": Case(READ, score=5, flags=["look"], note="names files beyond its own"),
    "flood": Case("while True: print('x' * 1000)", score=5, flags=["flood"]),
    "patcher": Case(DROP_ASSERTS, answers=WRONG, flags=["canary passed", "look"], note="(assert, "),
    "empty": Case(text=EMPTY, score=0, flags=["empty", "cells missing"]),
    "=1+1": Case(change=colab, score=5, flags=["metadata lost"]),
    "pictured": Case(change=pictured, score=5, manual=2),
    "pictured no more": Case(
        change=pictured_no_more, score=5, manual=2, flags=["no page"], note="The score stands", page=False
    ),
    "mover": Case(
        change=below_its_test, score=2, flags=["cells moved"], note="double-test (cell 4) is before double (cell 5)"
    ),
    "copier": Case(
        change=copied_below, score=2, flags=["cells doubled", "cells moved"], note="double (cells 4, 6; 6 counts)"
    ),
    "beside": Case(
        answers=NO_WHY, change=with_answer("Its last digit is 2."), score=5, manual=2, flags=["answer beside its cell"]
    ),
    "leaver": Case(change=ends("quit()", at=2, last="exit()"), score=5, manual=2),
}
MORE = {
    "good": Case(score=5),
    "weak": Case(answers=WRONG, score=0),
    "stubborn": Case(STUBBORN, flags=["time"], note="longer than 50 s"),
    "in a function": Case(
        answers=RIGHT | {"double": "import os\ndef double(values): os._exit(0)"},
        flags=["kernel died"],
        note="ended it: 4",
    ),
    "later": Case(
        change=ends(
            "import os\nends = lambda info: os._exit(0) if 'RuntimeError' in info.raw_cell else None\n"
            "get_ipython().events.register('pre_run_cell', ends)"
        ),
        flags=["kernel died", "look"],
        note="after the last cell. Cells that may have ended it: 11",
    ),
    "restarter": Case(
        change=ends("import IPython\nIPython.Application.instance().kernel.do_shutdown(True)", at=2),
        flags=["kernel died"],
        note="Cells that may have ended it: 3",
    ),
    "sys exit": Case(change=ends("import sys\nsys.exit()", at=2), score=5),
    "exit in a function": Case(
        answers=RIGHT | {"spread": RIGHT["spread"].replace("return", "exit(); return")}, score=5
    ),
    "skipping": Case(answers=WRONG, change=skipping, score=0),
    "ungraded": Case(answers=WRONG, change=ungraded, score=0),
    "own points": Case(
        answers=RIGHT | {"double": "def double(values): get_ipython().displayhook(50)"}, score=2, flags=["look"]
    ),
    "shell": Case("!cat {place}/assignments/sample/sample.ipynb > seen.txt", score=5, flags=["look"]),
    "installer": Case("!pip install never-heard-of", score=5),
    "linker": Case("import os\nos.symlink('{place}/outside.txt', 'sample.ipynb')", score=5, flags=["look"]),
    "stopper": Case(
        "import os\nown = {os.getppid(), *map(int, os.listdir('/proc/self/task'))}\n"
        "for pid in {*range(1, 40000)} - own:\n    try:\n        os.kill(pid, 9)\n    except OSError:\n        pass",
        score=5,
        flags=["look"],
    ),
    "bomb": Case(
        "import subprocess\nwhile True:\n    subprocess.Popen(['sleep', '99'])",
        flags=["processes"],
        note="more than 50 processes",
    ),
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
    "swapped": Case("import builtins\nbuiltins.all = any", answers=WRONG, flags=["canary passed", "look"], note="all"),
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


HOSTILE = {  # code: the error that it must meet
    "open('{place}/assignments/sample/sample.ipynb').read()": "FileNotFoundError",
    "open('{place}/handed in/ann/sample.ipynb').read()": "FileNotFoundError",
    "open('{place}/grades/marks.csv').read()": "FileNotFoundError",
    "open('../../gradebook.db', 'rb').read()": "FileNotFoundError",
    "open('{root}/tests/classroom/test_grading.py').read()": "FileNotFoundError",
    "open('{root}/pyproject.toml').read()": "FileNotFoundError",
    "open('/etc/shadow').read()": "FileNotFoundError",
    "import os\nassert len(os.listdir('{home}') if os.path.exists('{home}') else []) > 3": "AssertionError",
    "import os\nos.makedirs('{place}', exist_ok=True)\nopen('{place}/outside.txt', 'w')\n1 / 0": "ZeroDivisionError",
    "open('{place}/cache/features/mine', 'w')": "OSError",
    "open('{root}/helpers/mine.py', 'w')": "OSError",
    "open('/usr/mine', 'w')": "OSError",
    "open('/mine', 'w')": "OSError",
    "import os\nos.remove('{root}/helpers/photos.py')": "OSError",
    "import socket\nsocket.create_connection(('198.51.100.1', 80), 3)": "OSError",
    "import urllib.request\nurllib.request.urlopen('http://localhost:{port}/')": "URLError",
    "import os\nos.kill({pid}, 9)": "ProcessLookupError",
    "import os\nos.environ['A_TOKEN']": "KeyError",
    "import ctypes\nassert ctypes.CDLL(None).open(b'{place}/grades/marks.csv', 0) >= 0": "AssertionError",
    "import subprocess\nsubprocess.run(['cat', '{place}/grades/marks.csv'], check=True)": "CalledProcessError",
    "import subprocess\nsubprocess.run(['umount', '{root}/data'], check=True)": "CalledProcessError",
    "from sources import cache\ncache.prepared('features/mine', lambda part: (part / 'a').touch())\n"
    "1 / 0": "ZeroDivisionError",
    "open('kept.txt', 'w')\nopen('/tmp/kept.txt', 'w')\nopen('/dev/shm/kept', 'w')\n1 / 0": "ZeroDivisionError",
}


def hostile(notebook):
    notebook["cells"] += [json.loads(json.dumps(v4.new_code_cell(code))) for code in HOSTILE]
    return json.dumps(notebook)


if CONTAINED:
    CASES["eve"] = Case(change=hostile, score=5, flags=["look"])


@pytest.fixture(scope="module")
def course_of(tmp_path_factory, release):
    """Give a function that grades cases, once each set: ({student: row of grades.csv}, folder of the class)."""
    done = {}

    def of(name, cases):
        if name not in done:
            folder = tmp_path_factory.mktemp("class")
            done[name] = graded_class(folder, cases, release), folder
        return done[name]

    return of


def graded_class(folder, cases, made):
    """Grade cases; made is what nbgrader makes of the sample. Return the rows of grades.csv, by student."""
    (folder / "handed in").mkdir()
    for name in ("features", "written/features"):
        (folder / "cache" / name).mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        sample_in(folder, patch, made)
        patch.setenv("A_TOKEN", "of the teacher")
        patch.setattr(sandbox, "PROCESSES", 50)
        for student, case in cases.items():
            case.write(folder / "handed in", student, made[0])
        grade(folder / "handed in", timeout=10, memory=600, out=folder / "grades", uncontained=not CONTAINED)
    return rows_of(folder / "grades" / "grades.csv")


def sample_in(folder, patch, made):
    """Put the sample into a folder, and in the place of the course's assignments."""
    source = folder / "assignments" / "sample" / "sample.ipynb"
    source.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(sample(), source)
    patch.setattr(releasing, "SOURCE", folder / "assignments")
    patch.setattr(releasing, "generated", lambda paths: ({"sample": made[0]}, made[1]))
    patch.setenv("COURSE_CACHE", str(folder / "cache"))


def rows_of(path):
    with path.open(newline="", encoding="utf-8-sig") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def graded_notebook(folder, student):
    return nbformat.read(folder / "grades" / "results" / file_name(student) / "sample" / "graded.ipynb", 4)


def check(student, case, rows, folder):
    row = rows[f"'{student}" if student.startswith("=") else student]
    assert row["score"] == ("" if case.score is None else str(case.score)), row
    assert set(filter(None, row["flags"].split(", "))) == case.flags, row
    assert case.note in row["note"]
    assert case.manual is None or row["manual points to come"] == str(case.manual)
    assert bool(row["note"]) == bool(case.flags)  # a flag is always explained
    page = folder / "grades" / "feedback" / file_name(student) / "sample.html"
    assert page.exists() == (case.score is not None and case.page)
    assert not page.exists() or "<script>alert" not in page.read_text()


@pytest.mark.parametrize("student", CASES)
def test_every_submission_ends_in_a_grade_or_a_flag(student, course_of):
    check(student, CASES[student], *course_of("cases", CASES))


@contained
@pytest.mark.long
@pytest.mark.parametrize("student", MORE)
def test_other_ways_end_in_a_grade_or_a_flag(student, course_of):
    check(student, MORE[student], *course_of("more", MORE))


def test_nothing_of_the_class_changed(course_of):
    _, folder = course_of("cases", CASES)
    assert nbformat.read(folder / "assignments" / "sample" / "sample.ipynb", 4) == sample()
    assert {path.name for path in folder.iterdir()} == {"assignments", "handed in", "cache", "grades"}
    assert list((folder / "cache" / "features").iterdir()) == []


@contained
def test_a_hostile_submission_gets_nothing(course_of):
    rows, folder = course_of("cases", CASES)
    met = [cell.outputs[-1].get("ename") for cell in graded_notebook(folder, "eve").cells[-len(HOSTILE) :]]
    assert dict(zip(HOSTILE, met, strict=True)) == HOSTILE
    assert (rows["eve"]["score"], rows["ann good"]["score"]) == ("5", "5")
    assert not (folder / "outside.txt").exists()
    assert not (ROOT / "helpers" / "mine.py").exists()
    assert (ROOT / "helpers" / "photos.py").exists()
    assert list((folder / "cache" / "features").iterdir()) == []


def test_without_a_container_the_environment_is_still_not_the_teachers(tmp_path, capsys, monkeypatch, release):
    monkeypatch.setattr(sys.modules[__name__], "CONTAINED", None)
    code = "import os\nprint(os.environ.get('A_TOKEN'), os.environ['HOME'])"
    rows = graded_class(tmp_path, {"ann": Case(code, score=5)}, release)
    assert rows["ann"]["score"] == "5"
    said = graded_notebook(tmp_path, "ann").cells[2].outputs[0].text
    assert said.startswith("None /")
    assert "grading-" in said
    assert capsys.readouterr().out.startswith("Students' code runs uncontained, with all your rights")


def test_a_good_student_has_a_page_with_the_points(course_of):
    rows, folder = course_of("cases", CASES)
    assert rows["ann good"]["max"] == "7"
    assert rows["ann good"]["manual points to come"] == "2"
    page = (folder / "grades" / "feedback" / "ann good" / "sample.html").read_text()
    assert "Score: 5.0 / 7.0" in page


def test_a_pasted_picture_is_in_the_page_and_a_cut_answer_in_the_table(course_of):
    _, folder = course_of("cases", CASES)
    assert PIXEL in (folder / "grades" / "feedback" / "pictured" / "sample.html").read_text()
    with (folder / "grades" / "marks.csv").open(newline="", encoding="utf-8-sig") as file:
        answers = {row["student"]: row["answer"] for row in csv.DictReader(file)}
    assert answers["beside"] == "Its last digit is 2."
    assert "blank" not in answers


def test_marks_of_a_person_are_added_and_nobody_is_graded_again(course_of, tmp_path, monkeypatch, release):
    _, graded = course_of("cases", CASES)
    folder = tmp_path / "class"
    shutil.copytree(graded, folder)
    sample_in(folder, monkeypatch, release)
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
    grade(folder / "handed in", timeout=10, memory=600, out=folder / "grades", uncontained=not CONTAINED)
    (job,) = started
    assert job["graded"]
    after = rows_of(folder / "grades" / "grades.csv")
    assert (after["ann good"]["score"], after["ann good"]["manual points to come"]) == ("6.5", "")
    assert after["half"] == rows_of(graded / "grades" / "grades.csv")["half"]
    page = (folder / "grades" / "feedback" / "ann good" / "sample.html").read_text()
    assert "Score: 6.5 / 7.0" in page
    assert "Well said &amp; short" in page
    with marks.open(newline="", encoding="utf-8-sig") as file:
        assert {row["points"] for row in csv.DictReader(file) if row["student"] == "ann good"} == {"1,5"}
