"""Forty submissions, ten of them broken in ten ways, and a teacher's marks through all that may happen to them."""

import csv
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from sample_assignment import RIGHT, answered, sample
from test_grading import CONTAINED, EMPTY, HOG, Case

from classroom import release
from classroom.grade import grade
from course.paths import ROOT

pytestmark = [pytest.mark.long, pytest.mark.tensorflow]
BROKEN = {
    "cut": Case(text='{"cells": [', flags=["not a notebook"]),
    "deep": Case(text='{"cells":' + "[" * 100_000, flags=["not a notebook"]),
    "no cell": Case(
        text='{"cells": [1], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', flags=["not a notebook"]
    ),
    "other": Case(text=EMPTY, file="other/thing.ipynb", flags=["not recognised"]),
    "packed": Case(text="PK", file="packed.zip", flags=["no notebook"]),
    "script": Case(text="print(1)", file="script.py", flags=["no notebook"]),
    "nothing": Case(text="", file="nothing_sample.ipynb", flags=["not a notebook"]),
    "killed": Case("import os\nos.kill(os.getpid(), 9)", flags=["kernel died"]),
    "hog": Case(HOG, flags=["memory"]),
    "loop": Case("while True: pass", score=5, flags=["timeout"]),
}
PEOPLE = ["Łukasz Żak", "Zoë", "=1+1", *(f"student {number}" for number in range(27))]
COMMENT = "Good; but, – why?"
COMMAND = """
import sys
from pathlib import Path
from classroom import grade, release
release.SOURCE = Path(sys.argv[1])
grade.grade(*sys.argv[2:3], timeout=12, memory=600, out=sys.argv[3], uncontained=sys.argv[4] == "True")
"""


@pytest.fixture
def school(tmp_path, monkeypatch):
    """Put two samples in the place of the assignments; give a function that grades a folder, and the students' copy."""
    for name in ("sample", "second"):
        source = tmp_path / "assignments" / name / f"{name}.ipynb"
        source.parent.mkdir(parents=True)
        notebook = sample()
        for cell in notebook.cells:
            if name == "second" and "nbgrader" in cell.metadata:
                cell.metadata.nbgrader.grade_id += "-2"
        nbformat.write(notebook, source)
    monkeypatch.setattr(release, "SOURCE", tmp_path / "assignments")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "features").mkdir(parents=True)
    out = tmp_path / "grades"

    def graded(folder, **given):
        grade(tmp_path / folder, **{"timeout": 10, "memory": 600, "out": out, "uncontained": not CONTAINED, **given})
        rows, marks = table(out / "grades.csv"), table(out / "marks.csv")
        return {row["student"]: row for row in rows if row["assignment"] != "second"}, marks

    return graded, release.generated(release.sources().values())[0]


def table(path):
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def typed(path, points, delimiter, encoding):
    """Type points ({student: text}) and a comment into marks.csv, and save it as a spreadsheet does."""
    rows = table(path)
    for row in rows:
        if row["student"] in points:
            row |= {"points": points[row["student"]], "comment": COMMENT}
    with path.open("w", newline="", encoding=encoding, errors="replace") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def test_forty_are_graded_and_marks_survive_all_that_may_happen(school, tmp_path):
    graded, releases = school
    folder, marks = tmp_path / "week 1", tmp_path / "grades" / "marks.csv"
    for name, case in {**BROKEN, **{name: Case() for name in PEOPLE}}.items():
        case.write(folder, name, releases["sample"])
    os.rename(folder / "student 0", os.fsencode(folder) + b"/Andr\xe9")
    people = {name.replace("=", "'=") for name in PEOPLE} - {"student 0"} | {"André"}

    rows, waiting = graded("week 1")
    assert set(rows) == people | set(BROKEN)
    assert len(rows) == 40
    for name, case in BROKEN.items():
        assert rows[name]["score"] == ("" if case.score is None else "5"), rows[name]
        assert case.flags <= set(rows[name]["flags"].split(", ")), rows[name]
        assert rows[name]["note"]
    found = {tuple(rows[name][column] for column in ("score", "manual points to come", "flags")) for name in people}
    assert found == {("5", "2", "")}
    assert {row["student"] for row in waiting} == people | {"loop"}

    def scores(folder="week 1", **given):
        """Grade; all that was typed is still there. Return the scores of those who have marks."""
        rows, after = graded(folder, **given)
        kept = {(row["student"], row["points"], row["comment"]) for row in after if row["assignment"] == "sample"}
        assert {(name, text, COMMENT) for name, text in points.items()} <= kept
        return [rows[name]["score"] for name in points]

    # Saved with semicolons, and in Windows' encoding, which has no Ł and no Ż.
    points = {"Zoë": "1,5", "André": "2", "'=1+1": "0"}
    typed(marks, points, ";", "utf-8-sig")
    assert scores() == ["6.5", "7", "5"]
    points["Łukasz Żak"] = "1"
    typed(marks, points, ";", "cp1252")
    assert b"?ukasz" in marks.read_bytes()
    assert scores() == ["6.5", "7", "5", "6"]

    # A second assignment, in another folder, into the same grades.
    (tmp_path / "week 2").mkdir()
    second = answered(releases["second"], {f"{key}-2": text for key, text in RIGHT.items()})
    nbformat.write(second, tmp_path / "week 2" / "Zoë_second.ipynb")
    assert scores("week 2", assignment="second") == ["6.5", "7", "5", "6"]
    both = {(row["student"], row["assignment"]): row["score"] for row in table(marks.with_name("grades.csv"))}
    assert len(both) == 41
    assert both["Zoë", "second"] == "5"

    # A changed answer waits again; its mark stays with the text it was given for.
    changed = answered(releases["sample"], RIGHT | {"why": "Two divides it."})
    nbformat.write(changed, folder / "Zoë" / "sample.ipynb")
    assert scores() == ["5", "7", "5", "6"]
    row = next(row for row in table(marks.with_name("grades.csv")) if row["student"] == "Zoë")
    assert (row["manual points to come"], row["flags"]) == ("2", "mark for another answer")
    of_zoe = {
        row["answer"]: row["points"] for row in table(marks) if row["question"] == "why" and row["student"] == "Zoë"
    }
    assert of_zoe == {RIGHT["why"]: "1,5", "Two divides it.": ""}

    # Killed while it grades all of them again, with another limit.
    as_typed, result = marks.read_bytes(), marks.parent / "results" / "student 5" / "sample" / "result.json"
    before = result.stat().st_mtime_ns
    words = [sys.executable, "-c", COMMAND, release.SOURCE, folder, marks.parent, str(not CONTAINED)]
    process = subprocess.Popen(words, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL)
    while result.stat().st_mtime_ns == before:
        assert process.poll() is None
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert marks.read_bytes() == as_typed
    finished = result.stat().st_mtime_ns
    assert scores(timeout=12) == ["5", "7", "5", "6"]
    assert result.stat().st_mtime_ns == finished  # what was finished is kept
