"""The teacher's commands: going on after an interrupt, what stays, and what is said where they can't go on."""

import csv
import importlib.util
import subprocess
import sys
import types

import nbformat
import pytest
from sample_assignment import RIGHT, answered, sample

from classroom import __main__ as command
from classroom import grade as grading
from classroom import release as releasing
from classroom import sandbox
from course.paths import CourseError

v4 = nbformat.v4
FULL = {"double-test": {"score": 3.0, "max": 3.0, "manual": 0.0}, "why": {"score": 0.0, "max": 2.0, "manual": 2.0}}


@pytest.fixture
def room(tmp_path, monkeypatch, release):
    """Put the sample in the place of the course's assignments, and a fake in the place of a kernel; return its log."""
    for name in ("sample", "other"):
        source = tmp_path / "assignments" / name / f"{name}.ipynb"
        source.parent.mkdir(parents=True)
        nbformat.write(sample(), source)
    monkeypatch.setattr(releasing, "SOURCE", tmp_path / "assignments")
    monkeypatch.setattr(
        releasing, "generated", lambda paths: (dict.fromkeys(["sample", "other"], release[0]), release[1])
    )
    monkeypatch.setattr(sandbox, "container", lambda uncontained: None)
    log = []

    def run(room, job, folder, kept, page):
        kept.mkdir(parents=True, exist_ok=True)
        log.append(kept.parent.name if page else "reference")
        given = sum(mark["points"] for mark in job["marks"].values())
        manual = 0.0 if job["marks"] else 2.0
        result = {"flags": [], "notes": [], "score": 3.0 + given, "max": 5.0, "manual": manual}
        return result | {"questions": FULL, "waiting": ["why"]}

    monkeypatch.setattr(sandbox, "run", run)
    return log


def table(path):
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def mark(path, points, **where):
    """Type points into the rows of marks.csv that fit, and save it as a German Excel does."""
    rows = table(path)
    for row in rows:
        if all(row[name] == value for name, value in where.items()):
            row["points"] = points
    with path.open("w", newline="", encoding="cp1252") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=";")
        writer.writeheader()
        writer.writerows(rows)


def test_grading_goes_on_where_it_was_interrupted(handed_in, room, tmp_path, monkeypatch):
    folder, out = handed_in({f"{name}/sample.ipynb": None for name in "abc"}), tmp_path / "grades"
    run = sandbox.run

    def interrupted(room, job, folder, kept, page):
        if kept.parent.name == "c":
            raise KeyboardInterrupt
        return run(room, job, folder, kept, page)

    monkeypatch.setattr(sandbox, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        grading.grade(folder, jobs=1, out=out)
    assert not (out / "grades.csv").exists()
    assert room == ["reference", "a", "b"]
    monkeypatch.setattr(sandbox, "run", run)
    grading.grade(folder, jobs=1, out=out)
    assert room == ["reference", "a", "b", "c"]
    assert [row["score"] for row in table(out / "grades.csv")] == ["3", "3", "3"]
    notebook = nbformat.read(folder / "b" / "sample.ipynb", 4)
    notebook.cells.append(v4.new_code_cell("1"))
    nbformat.write(notebook, folder / "b" / "sample.ipynb")
    grading.grade(folder, jobs=1, out=out)
    assert room == ["reference", "a", "b", "c", "b"]  # another file is graded again


def test_marks_and_rows_survive_a_second_assignment_and_another_folder(handed_in, room, tmp_path, capsys):
    folder, out = handed_in({"ann/sample.ipynb": None, "bob/sample.ipynb": None, "carl.zip": "PK"}), tmp_path / "grades"
    grading.grade(folder, out=out)
    mark(out / "marks.csv", "1,5", student="ann")
    grading.grade(folder, out=out)
    first = {(row["student"], row["assignment"]): row for row in table(out / "grades.csv")}
    assert (first["ann", "sample"]["score"], first["bob", "sample"]["score"]) == ("4.5", "3")
    assert first["carl", ""]["flags"] == "no notebook"
    week_2 = tmp_path / "week 2"
    (week_2 / "ann").mkdir(parents=True)
    nbformat.write(answered(releasing.generated([])[0]["other"]), week_2 / "ann" / "other.ipynb")
    nbformat.write(answered(releasing.generated([])[0]["other"]), week_2 / "carl_other.ipynb")
    capsys.readouterr()
    grading.grade(week_2, assignment="other", out=out)
    assert "the marks of ann, sample, why" in capsys.readouterr().out
    rows = {(row["student"], row["assignment"]): row for row in table(out / "grades.csv")}
    assert {key: row for key, row in first.items() if key[1]}.items() <= rows.items()
    assert rows["ann", "other"]["score"] == "3"
    assert ("carl", "") not in rows  # his file could be read now
    marked = {(row["student"], row["assignment"]): row["points"] for row in table(out / "marks.csv")}
    assert marked == {("ann", "sample"): "1,5", ("bob", "sample"): "", ("ann", "other"): "", ("carl", "other"): ""}
    grading.grade(folder, out=out)
    assert table(out / "grades.csv")[1]["score"] == "4.5"
    assert room.count("ann") == 3  # once for each assignment, and once for the mark


def test_a_mark_for_another_text_is_flagged_and_waits(handed_in, room, tmp_path):
    folder, out = handed_in({"ann/sample.ipynb": None}), tmp_path / "grades"
    grading.grade(folder, out=out)
    mark(out / "marks.csv", "2")
    grading.grade(folder, out=out)
    assert table(out / "grades.csv")[0]["flags"] == ""
    notebook = nbformat.read(folder / "ann" / "sample.ipynb", 4)
    notebook.cells[-1].source = "Two divides it."
    nbformat.write(notebook, folder / "ann" / "sample.ipynb")
    grading.grade(folder, out=out)
    (row,) = table(out / "grades.csv")
    assert (row["score"], row["manual points to come"], row["flags"]) == ("3", "2", "mark for another answer")
    assert "mark it again" in row["note"]
    assert {each["answer"]: each["points"] for each in table(out / "marks.csv")} == {
        "Two divides it.": "",
        RIGHT["why"]: "2",
    }


def test_columns_of_a_teachers_own_stay_in_the_grades(handed_in, room, tmp_path):
    folder, out = handed_in({"ann/sample.ipynb": None}), tmp_path / "grades"
    grading.grade(folder, out=out)
    (row,) = table(out / "grades.csv")
    (out / "grades.csv").write_text(";".join([*row, "late"]) + "\n" + ";".join([*row.values(), "2 days"]) + "\n")
    grading.grade(folder, out=out)
    assert table(out / "grades.csv") == [row | {"late": "2 days"}]


def test_grades_that_lost_letters_of_a_name_are_still_that_students(handed_in, room, tmp_path):
    folder, out = handed_in({"Łukasz/sample.ipynb": None, "Zoë/sample.ipynb": None}), tmp_path / "grades"
    grading.grade(folder, out=out)
    rows = [row | {"late": row["student"][:1]} for row in table(out / "grades.csv")]
    with (out / "grades.csv").open("w", newline="", encoding="cp1252", errors="replace") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    grading.grade(folder, out=out)
    assert [(row["student"], row["late"]) for row in table(out / "grades.csv")] == [("Zoë", "Z"), ("Łukasz", "?")]


def test_what_the_grader_failed_at_is_tried_again_in_the_next_run(handed_in, room, tmp_path, monkeypatch):
    folder, out = handed_in({"ann/sample.ipynb": None}), tmp_path / "grades"
    run = sandbox.run
    failed = {"flags": ["grader failed"], "notes": ["nbgrader stopped. The disk was full."]}
    with monkeypatch.context() as patch:
        patch.setattr(sandbox, "run", lambda room, job, *given: run(room, job, *given) if not given[2] else failed)
        grading.grade(folder, out=out)
    assert table(out / "grades.csv")[0]["flags"] == "grader failed"
    grading.grade(folder, out=out)
    (row,) = table(out / "grades.csv")
    assert (row["score"], row["flags"]) == ("3", "")


@pytest.mark.parametrize("where", ["restored", "run"])
def test_a_submission_that_cannot_be_handled_is_a_row(where, handed_in, room, tmp_path, monkeypatch):
    folder, out = handed_in({"ann/sample.ipynb": None, "bob/sample.ipynb": None}), tmp_path / "grades"
    run, restored = sandbox.run, grading.cells.restored

    def no_run(room, job, folder, kept, page):
        if kept.parent.name == "ann":
            raise OSError("no space left")
        return run(room, job, folder, kept, page)

    def not_restored(cells, release, found):
        if found.student == "ann":
            raise RecursionError("too deep")
        return restored(cells, release, found)

    if where == "run":
        monkeypatch.setattr(sandbox, "run", no_run)
    else:
        monkeypatch.setattr(grading.cells, "restored", not_restored)
    grading.grade(folder, out=out)
    ann, bob = table(out / "grades.csv")
    assert (ann["flags"], ann["score"], bob["score"]) == ("grader failed", "", "3")
    assert "can't be handled" in ann["note"]


def test_a_name_that_no_folder_can_have_is_a_row(handed_in, room, tmp_path):
    folder, out = (
        handed_in({"a" * 240 + ".ipynb": None, "é" * 100 + ".ipynb": None, "bob.ipynb": None}),
        tmp_path / "grades",
    )
    grading.grade(folder, out=out)
    assert [row["score"] for row in table(out / "grades.csv")] == ["3", "3", ""]


def test_nobody_is_graded_where_the_solution_itself_fails(handed_in, room, tmp_path, monkeypatch):
    failing = {"double-test": {"score": 0.0, "max": 3.0, "manual": 0.0}}
    result = {"flags": [], "notes": [], "questions": failing}
    monkeypatch.setattr(sandbox, "run", lambda *given: room.append("run") or result)
    with pytest.raises(CourseError, match=r"solution of sample does not score full marks.*double-test"):
        grading.grade(handed_in({"ann/sample.ipynb": None}), out=tmp_path / "grades")
    assert room == ["run"]
    assert not (tmp_path / "grades" / "grades.csv").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"folder": "nowhere"}, "there is no folder"),
        ({"assignment": "third"}, "no assignment is called third; there are other, sample"),
        ({}, "holds no notebook"),
    ],
)
def test_what_grade_cannot_take_is_said_before_any_work(given, said, handed_in, room, tmp_path):
    folder = handed_in({}) / given.pop("folder", "")
    with pytest.raises(CourseError, match=said):
        grading.grade(folder, out=tmp_path / "grades", **given)
    assert room == []


@pytest.mark.parametrize("points", ["3", "-1", "two"])
def test_marks_that_are_no_points_are_named(points, handed_in, room, tmp_path):
    out = tmp_path / "grades"
    out.mkdir()
    (out / "marks.csv").write_text(f"student,assignment,question,max,points,comment\nann,sample,why,2,{points},\n")
    with pytest.raises(CourseError, match=f"marks.csv, line 2: {points} is no number of points from 0 to 2"):
        grading.grade(handed_in({"ann/sample.ipynb": None}), out=out)
    assert room == []


@pytest.mark.parametrize(
    ("written", "free", "said"),
    [(None, 10**9, "was stopped"), ("", 10**9, "was stopped"), ('{"fla', 0, "is full. Make room, or set TMPDIR")],
)
def test_a_grading_process_that_wrote_no_whole_result_is_told_with_what_to_do(
    tmp_path, monkeypatch, written, free, said
):
    if written is not None:
        (tmp_path / "result.json").write_text(written)
    monkeypatch.setattr(sandbox.shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=free))
    result = sandbox.told(tmp_path)
    assert result["flags"] == ["grader failed"]
    assert said in result["notes"][0]


def test_linux_without_bubblewrap_refuses_and_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    with pytest.raises(CourseError, match=r"sudo apt install bubblewrap.*--uncontained"):
        sandbox.container(uncontained=False)
    assert sandbox.container(uncontained=True) is None
    assert "uncontained, with all your rights" in capsys.readouterr().out


def test_a_bubblewrap_that_may_not_make_a_container_is_quoted(monkeypatch):
    said = subprocess.CompletedProcess([], 1, "", "bwrap: setting up uid map: Permission denied\n")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: "/usr/bin/bwrap")
    monkeypatch.setattr(sandbox.subprocess, "run", lambda *given, **more: said)
    with pytest.raises(CourseError, match=r"\(bwrap: setting up uid map: Permission denied\).*--uncontained"):
        sandbox.container(uncontained=False)


def test_macos_runs_without_and_says_so_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert sandbox.container(uncontained=False) is None
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_source_that_nbgrader_refuses_is_named_with_the_reason(tmp_path):
    notebook = sample()
    notebook.cells[3].source = "### BEGIN SOLUTION\nx = 1"
    nbformat.write(notebook, tmp_path / "sample.ipynb")
    with pytest.raises(CourseError, match=r"sample.ipynb: RuntimeError: no end solution statement found"):
        releasing.generated([tmp_path / "sample.ipynb"])


def test_without_nbgrader_the_command_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"needs nbgrader.*make grade"):
        command.main(["grade", "folder"])


def test_folder_names_are_safe_and_differ():
    names = ["ann", "Ann Lee", "../up", "..", "a/b", "a%2Fb", "a.b", "é"]
    made = [grading.file_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert not any("/" in name or name.startswith(".") for name in made)
