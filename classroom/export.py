"""python -m classroom export: grades as Canvas or Moodle imports them, for the students of a roster it has exported."""

import re
import unicodedata
from pathlib import Path

from classroom import marks
from course.paths import BUILD, CourseError
from sources import tables

# By what they know a student: Canvas' import insists on this order, Moodle's asks which column to take.
COLUMNS = {
    "canvas": ("Student", "ID", "SIS User ID", "SIS Login ID", "Integration ID", "Root Account", "Section"),
    "moodle": ("Email address", "ID number", "Username"),
}
NEEDED = {"canvas": ("student", "id", "section"), "moodle": ("first name", "email address")}
GRADES = ("student", "assignment", "score", "max", "manual points to come")


def export(system: str, roster: str | Path, out: Path | None = None) -> None:
    """Write SYSTEM-ASSIGNMENT.csv beside grades.csv, with every student whose score is final; name all others.

    Both systems read an empty cell as "no grade" and delete the one they had. So a student without a final score has no
    row, and each assignment has a file. Names are compared without case, blanks and punctuation; none is guessed.

    Args:
        system: canvas or moodle.
        roster: the export of the gradebook, with Moodle also of the participants; with English column names.
        out: the folder of grades.csv; build/grades by default.

    Raises:
        CourseError: there are no grades, or the system or grades.csv counts an assignment's points in two ways.
        TableError: the roster or grades.csv is no table, or lacks a column.
    """
    out = Path(out or BUILD / "grades")
    grades = marks.table(out / "grades.csv", GRADES)
    if not grades:
        raise CourseError(f"{out} has no grades.csv yet: `make grade SUBMISSIONS=folder` writes it.")
    students = dict(tables.rows(roster, NEEDED[system]))
    lines, left, taken = {}, {}, {}
    for line, row in students.items():
        for name in {_plain(name) for name in _names(system, row)} - {""}:
            lines.setdefault(name, []).append(line)
    places = [(row["assignment"], *lines.get(_plain(row["student"]), ())) for _, row in grades]
    for (number, row), place in zip(grades, places, strict=True):
        assignment, *where = place
        if row["score"] == "" or row["manual points to come"]:
            why = "without a final score"
        elif len(where) != 1:
            why = f"on several lines of the roster ({', '.join(map(str, where))})" if where else "not in the roster"
        elif places.count(place) > 1:
            why = f"several submissions for line {where[0]} of the roster"
        else:
            cell = f"{out / 'grades.csv'}, line {number}"
            score, most = (marks.points(cell, row[name], 10_000) for name in ("score", "max"))
            taken.setdefault(assignment, []).append((students[where[0]], score, most))
            continue
        left.setdefault(why, []).append(f"{row['student']} ({assignment or 'no assignment'})")
    for assignment, rows in sorted(taken.items()):
        _write(out / f"{system}-{assignment}.csv", system, assignment, students.values(), rows)
    for why, who in left.items():
        print(f"Left out, {why}: {', '.join(who)}.")


def _plain(name):
    return "".join(filter(str.isalnum, unicodedata.normalize("NFC", name).casefold()))


def _names(system, row):
    """Return what a student may be called in grades.csv; Canvas hands out files as lastfirst_ID_..."""
    if system == "canvas":
        last, _, first = row["student"].partition(",")
    else:
        first, last = row["first name"], row.get("last name", row.get("surname", ""))
    numbered = row.get("student", "") + row.get("id", "")
    return [first + last, last + first, numbered, *(row.get(name.lower(), "") for name in COLUMNS[system][:4])]


def _write(path, system, assignment, students, rows):
    first, most = next(iter(students)), {most for _, _, most in rows}
    names, column = [name for name in COLUMNS[system] if name.lower() in first], assignment
    if system == "canvas":
        same = re.compile(rf"{re.escape(assignment.lower())}( \(\d+\))?")  # Canvas adds its own number
        number = next((found[1] or "" for name in first if (found := same.fullmatch(name))), "")
        column = assignment + number
        above = [row[column.lower()] for row in students if number and row["student"] == "Points Possible"]
        most |= {marks.points("The roster's row Points Possible", cell, 10_000) for cell in above}
    if len(most) > 1:
        raise CourseError(
            f"{assignment}: scores are out of {' and '.join(f'{each:g}' for each in sorted(most))} points. Grade all "
            "of it again, or set its points in the system, and export the roster again."
        )
    table = [{name: row[name.lower()] for name in names} | {column: f"{score:g}"} for row, score, _ in rows]
    if system == "canvas":
        table.insert(0, {"Student": "    Points Possible", column: f"{most.pop():g}"})
    marks.write(path, [*names, column], table)
    print(f"{path}: {len(rows)} scores.")
