"""The teacher's commands: who handed in what, going on after an interrupt, and what is said where it can't go on."""

import csv
import os

import nbformat
import pytest
from sample_assignment import RIGHT, answered, sample

from classroom import sandbox, submissions

v4 = nbformat.v4
EMPTY = nbformat.writes(v4.new_notebook())


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Return what nbgrader makes of the sample: (students' notebook, gradebook)."""
    source = tmp_path_factory.mktemp("sample") / "sample.ipynb"
    nbformat.write(sample(), source)
    releases, gradebook = classroom.generated([source])
    return releases["sample"], gradebook


@pytest.fixture
def handed_in(tmp_path, release):
    """Give a function that writes files, {path: notebook as str, or None for the solved sample}, and its folder."""
    folder = tmp_path / "handed in"
    folder.mkdir()

    def write(files):
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(nbformat.writes(answered(release[0])) if text is None else text)
        return folder

    return write


@pytest.fixture
def room(tmp_path, monkeypatch, release):
    """Put the sample in the place of the course's assignments, and a fake in the place of grading; return its log."""
    source = tmp_path / "assignments" / "sample" / "sample.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(sample(), source)
    monkeypatch.setattr(classroom, "ASSIGNMENTS", tmp_path / "assignments")
    monkeypatch.setattr(classroom, "generated", lambda paths: ({"sample": release[0]}, release[1]))
    log = []

    def run(room, job, folder, kept, reference=False):
        kept.mkdir(parents=True, exist_ok=True)
        log.append("reference" if reference else kept.parent.name)
        question = {"score": 3.0, "max": 3.0, "manual": 0.0}
        return {
            "flags": [],
            "notes": [],
            "score": 3.0,
            "max": 3.0,
            "manual": 0.0,
            "questions": {"double-test": question},
        }

    monkeypatch.setattr(sandbox, "run", run)
    return log


def collected(folder, release, **given):
    return submissions.collect(folder, {"sample": nbformat.reads(release[0], 4)}, **given)


@pytest.mark.parametrize(
    "path",
    [
        "ann/sample/sample.ipynb",
        "ann/sample.ipynb",
        "ann/deep/down/anything.ipynb",
        "ann.ipynb",
        "ann_sample.ipynb",
        "sample_ann.ipynb",
        "sample/ann.ipynb",
        "sample/ann/sample.ipynb",
    ],
)
def test_a_student_is_found_in_every_usual_shape(path, handed_in, release):
    (found,) = collected(handed_in({path: None}), release)
    assert (found.student, found.assignment) == ("ann", "sample")
    assert ("renamed" in found.flags) == ("sample" not in path.rsplit("/", 1)[-1])


def test_what_systems_leave_beside_is_no_submission(handed_in, release):
    files = {
        "ann/sample.ipynb": None,
        "ann/.ipynb_checkpoints/sample-checkpoint.ipynb": None,
        ".DS_Store": "",
        "list.csv": "",
    }
    files |= {"__MACOSX/ann/._sample.ipynb": ""}
    assert [each.student for each in collected(handed_in(files), release)] == ["ann"]


def test_of_several_files_the_one_under_its_own_name_counts(handed_in, release):
    folder = handed_in({"ann/sample.ipynb": None, "ann/sample-Copy1.ipynb": EMPTY, "ann/old/sample.ipynb": "{"})
    (found,) = collected(folder, release)
    assert found.path == folder / "ann" / "sample.ipynb"
    assert found.notebook
    assert found.flags == ["several files"]
    assert "3 files" in found.notes[0]


def test_a_folder_without_a_notebook_says_what_it_holds(handed_in, release):
    (found,) = collected(handed_in({"ann/solution.py": "x = 1"}), release)
    assert (found.flags, found.assignment) == (["no notebook"], "")
    assert "solution.py" in found.notes[0]


def test_a_link_is_not_followed(handed_in, release, tmp_path):
    (tmp_path / "other.ipynb").write_text(nbformat.writes(answered(release[0])))
    folder = handed_in({"bob/sample.ipynb": None})
    (folder / "ann").mkdir()
    os.symlink(tmp_path / "other.ipynb", folder / "ann" / "sample.ipynb")
    ann, bob = collected(folder, release)
    assert (ann.notebook, ann.flags) == (None, ["not a notebook"])
    assert bob.notebook


def test_a_file_that_says_nothing_is_what_the_teacher_says(handed_in, release):
    folder = handed_in({"ann/homework.ipynb": EMPTY})
    assert collected(folder, release)[0].flags == ["not recognised"]
    (found,) = collected(folder, release, assignment="sample")
    assert (found.assignment, found.flags) == ("sample", ["empty", "renamed"])


def test_mending_keeps_the_answers_and_restores_the_tests(release):
    untouched = nbformat.reads(release[0], 4)
    handed = answered(release[0])
    handed.cells = [cell for cell in handed.cells if cell.id not in ("double-test", "spread")]
    handed.cells.insert(
        0, v4.new_code_cell("mine = 1", metadata={"tags": ["skip-execution"], "nbgrader": {"grade_id": "x"}})
    )
    found = {"flags": [], "notes": []}
    made = submissions.mended(handed, untouched, found)
    keys = [submissions.grade_id(cell) for cell in made.cells]
    assert [key for key in keys if key] == list(submissions.wanted(untouched))
    sources = {submissions.grade_id(cell): cell.source for cell in made.cells}
    assert sources["double"] == RIGHT["double"]
    assert "NotImplementedError" in sources["spread"]
    assert made.cells[0].source == "mine = 1"
    assert made.cells[0].metadata == {}
    assert found["flags"] == ["cells missing"]


def test_grading_goes_on_where_it_was_interrupted(handed_in, room, tmp_path, monkeypatch):
    folder, out = handed_in({f"{name}/sample.ipynb": None for name in "abc"}), tmp_path / "grades"
    run = sandbox.run

    def interrupted(room, job, folder, kept, reference=False):
        if kept.parent.name == "c":
            raise KeyboardInterrupt
        return run(room, job, folder, kept, reference)

    monkeypatch.setattr(sandbox, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        classroom.grade(folder, jobs=1, out=out)
    assert not (out / "grades.csv").exists()
    assert room == ["reference", "a", "b"]
    monkeypatch.setattr(sandbox, "run", run)
    classroom.grade(folder, jobs=1, out=out)
    assert room == ["reference", "a", "b", "c"]
    assert [row["score"] for row in table(out / "grades.csv")] == ["3", "3", "3"]
    notebook = nbformat.read(folder / "b" / "sample.ipynb", 4)
    notebook.cells.append(v4.new_code_cell("1"))
    nbformat.write(notebook, folder / "b" / "sample.ipynb")
    classroom.grade(folder, jobs=1, out=out)
    assert room == ["reference", "a", "b", "c", "b"]  # another file is graded anew


def table(path):
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_nobody_is_graded_where_the_solution_itself_fails(handed_in, room, tmp_path, monkeypatch):
    failing = {"double-test": {"score": 0.0, "max": 3.0, "manual": 0.0}}
    result = {"flags": [], "notes": [], "questions": failing}
    monkeypatch.setattr(sandbox, "run", lambda *given: room.append("run") or result)
    monkeypatch.setattr(classroom, "_read_json", lambda path: path.parent.mkdir(parents=True, exist_ok=True))
    with pytest.raises(course.CourseError, match=r"solution of sample does not score full marks.*double-test"):
        classroom.grade(handed_in({"ann/sample.ipynb": None}), out=tmp_path / "grades")
    assert room == ["run"]
    assert not (tmp_path / "grades" / "grades.csv").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"folder": "nowhere"}, "there is no folder"),
        ({"assignment": "other"}, "no assignment is called other; there are sample"),
        ({}, "holds no notebook"),
    ],
)
def test_what_grade_cannot_take_is_said_before_any_work(given, said, handed_in, room, tmp_path):
    folder = handed_in({}) / given.pop("folder", "")
    with pytest.raises(course.CourseError, match=said):
        classroom.grade(folder, out=tmp_path / "grades", **given)
    assert room == []


@pytest.mark.parametrize("points", ["3", "-1", "two"])
def test_marks_that_are_no_points_are_named(points, handed_in, room, tmp_path):
    out = tmp_path / "grades"
    out.mkdir()
    (out / "marks.csv").write_text(f"student,assignment,question,max,points,comment\nann,sample,why,2,{points},\n")
    with pytest.raises(course.CourseError, match=f"marks.csv, row 2: {points} is no number of points from 0 to 2"):
        classroom.grade(handed_in({"ann/sample.ipynb": None}), out=out)


def test_a_source_that_nbgrader_refuses_is_named_with_the_reason(tmp_path):
    notebook = sample()
    notebook.cells[3].source = "### BEGIN SOLUTION\nx = 1"
    nbformat.write(notebook, tmp_path / "sample.ipynb")
    with pytest.raises(course.CourseError, match=r"sample.ipynb: RuntimeError: no end solution statement found"):
        classroom.generated([tmp_path / "sample.ipynb"])


def test_links_lose_a_step_because_the_students_copy_lies_one_folder_higher(tmp_path):
    notebook = sample()
    notebook.cells[0].source = "[lesson](../../01_official_model.ipynb)"
    nbformat.write(notebook, tmp_path / "sample.ipynb")
    assert "[lesson](../01_official_model.ipynb)" in classroom.generated([tmp_path / "sample.ipynb"])[0]["sample"]


def test_without_nbgrader_the_command_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setattr(course, "_version", lambda package: None)
    with pytest.raises(SystemExit, match=r"needs nbgrader.*make grade"):
        course.main(["grade", "folder"])


def test_folder_names_are_safe_and_differ():
    names = ["ann", "Ann Lee", "../up", "..", "a/b", "a%2Fb", "a.b", "é"]
    made = [classroom._file_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert not any("/" in name or name.startswith(".") for name in made)
