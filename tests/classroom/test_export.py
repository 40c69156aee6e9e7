"""Grades for Canvas and Moodle: the right student's, final ones only, in the columns that their imports look for."""

import csv

import pytest

from classroom import __main__ as command
from classroom import marks
from classroom.export import export
from course.paths import CourseError
from sources.tables import TableError

CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,sample (77),Current Score
    Points Possible,,,,,5.00,(read only)
"Lovelace, Ada",101,s1,ada,Plants,,
"Łukasz, Zoë",102,s2,zoe,Plants,3,
"Lee, Ann",103,s3,ann1,Plants,4.5,
"Lee, Ann",104,s4,ann2,Plants,,
"""
MOODLE = """First name;Last name;ID number;Email address
Ada;Lovelace;s1;Ada@example.org
Zoë;Łukasz;;zoe@example.org
Ann;Lee;s3;ann1@example.org
Ann;Lee;s4;ann2@example.org
"""


@pytest.fixture
def graded(tmp_path):
    """Give a function that writes grades, {student: (score, points to come)}, and a roster; it returns their paths."""

    def write(students, roster, most=5):
        rows = [
            {"student": name, "assignment": "sample", "score": score, "max": most, "manual points to come": waiting}
            for name, (score, waiting) in students.items()
        ]
        marks.write(tmp_path / "grades.csv", rows[0], [{**row, "max": f"{most:g}"} for row in rows])
        (tmp_path / "roster.csv").write_text(roster, encoding="utf-8")
        return tmp_path / "roster.csv", tmp_path

    return write


def table(path):
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("name", ["lovelaceada", "Ada Lovelace", "ADA-LOVELACE", "s1", "ada", "101", "Lovelace, Ada"])
def test_canvas_gets_the_column_it_knows_and_the_points_possible(name, graded):
    roster, out = graded({name: ("4.5", "")}, CANVAS)
    export("canvas", roster, out)
    assert table(out / "canvas-sample.csv") == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "sample (77)"],
        ["    Points Possible", "", "", "", "", "5"],
        ["Lovelace, Ada", "101", "s1", "ada", "Plants", "4.5"],
    ]


@pytest.mark.parametrize("name", ["Ada Lovelace", "Lovelace Ada", "ada@example.org", "S1"])
def test_moodle_gets_what_it_can_know_a_student_by(name, graded):
    roster, out = graded({name: ("4,5", "")}, MOODLE)
    export("moodle", roster, out)
    assert table(out / "moodle-sample.csv") == [
        ["Email address", "ID number", "sample"],
        ["Ada@example.org", "s1", "4.5"],
    ]


@pytest.mark.parametrize(("system", "roster"), [("canvas", CANVAS), ("moodle", MOODLE)])
def test_who_cannot_be_matched_or_has_no_final_score_has_no_row_and_is_named(system, roster, graded, capsys):
    students = {
        "Zoë Łukasz": ("5", ""),
        "Ann Lee": ("5", ""),
        "Nobody": ("5", ""),
        "Ada Lovelace": ("3", "2"),
        "leeann 104": ("2", ""),
    }
    path, out = graded(students, roster)
    export(system, path, out)
    scores = {row[0]: row[-1] for row in table(out / f"{system}-sample.csv")}
    said = capsys.readouterr().out
    if system == "canvas":  # it hands out files with its number for the student, which tells two of one name apart
        assert scores == {"Student": "sample (77)", "    Points Possible": "5", "Łukasz, Zoë": "5", "Lee, Ann": "2"}
        assert "on several lines of the roster (5, 6): Ann Lee (sample)." in said
        assert "not in the roster: Nobody (sample)." in said
    else:
        assert scores == {"Email address": "sample", "zoe@example.org": "5"}
        assert "on several lines of the roster (4, 5): Ann Lee (sample)." in said
        assert "not in the roster: Nobody (sample), leeann 104 (sample)." in said
    assert "without a final score: Ada Lovelace (sample)." in said


def test_two_submissions_of_one_student_are_left_to_the_teacher(graded, capsys):
    roster, out = graded({"Ada Lovelace": ("5", ""), "lovelaceada": ("2", "")}, CANVAS)
    export("canvas", roster, out)
    assert not (out / "canvas-sample.csv").exists()
    assert "several submissions for line 3 of the roster: Ada Lovelace (sample), lovelaceada" in capsys.readouterr().out


def test_an_assignment_that_canvas_does_not_have_is_a_new_column(graded):
    roster, out = graded({"ada": ("5", "")}, CANVAS.replace("sample (77)", "another (78)"))
    export("canvas", roster, out)
    assert table(out / "canvas-sample.csv")[0][-1] == "sample"


def test_points_that_canvas_counts_in_another_way_are_refused(graded):
    roster, out = graded({"ada": ("5", "")}, CANVAS.replace("5.00", "100.00"))
    with pytest.raises(CourseError, match="sample: scores are out of 5 and 100 points"):
        export("canvas", roster, out)


@pytest.mark.parametrize(
    ("system", "roster", "said"),
    [
        ("canvas", MOODLE, "no column is called student or id or section"),
        ("moodle", CANVAS, "no column is called first name or email address"),
        ("moodle", "Vorname;Nachname;E-Mail-Adresse\n", "Columns: vorname, nachname, e-mail-adresse"),
        ("moodle", "", "missing: it is empty"),
    ],
)
def test_a_roster_without_the_columns_says_which(system, roster, said, graded):
    path, out = graded({"ada": ("5", "")}, roster)
    with pytest.raises(TableError, match=said):
        export(system, path, out)


def test_before_anything_is_graded_the_command_says_what_to_run(tmp_path):
    with pytest.raises(SystemExit, match=r"has no grades.csv yet: `make grade SUBMISSIONS=folder` writes it"):
        command.main(["export", "moodle", "roster.csv", "--out", str(tmp_path)])


def test_a_score_that_a_spreadsheet_made_a_date_of_is_named_with_its_line(graded):
    roster, out = graded({"ada": ("4. Mai", "")}, CANVAS)
    with pytest.raises(CourseError, match=r"grades.csv, line 2: 4. Mai is no number of points"):
        export("canvas", roster, out)
