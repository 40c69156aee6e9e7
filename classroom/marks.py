"""What a teacher types: marks and comments for short answers, kept for the text they were given for.

marks.csv is the table that a teacher edits. marks.jsonl is the grader's own: a line for each time that something was
typed, never changed and never taken away. The answer id in both stands for student, assignment, question and text.
"""

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from course.paths import CourseError
from sources import cache, tables

GIVEN = ("student", "assignment", "question", "max")  # the grader's columns; all others are the teacher's
COLUMNS = (*GIVEN, "points", "comment", "answer", "marking scheme", "answer id")
TEXTS = ("answer", "marking scheme", "answer id")
CELL = 30_000  # characters of an answer that are shown; Excel cuts a cell at 32,767


def ids(work, answers: Mapping[str, str]) -> dict[tuple[str, str, str], str]:
    """Return {(student, assignment, question): answer id} for a student's answers, {question: text}.

    The id is the same only for the same student, assignment, question and text; blanks make no difference.
    """
    plain = {(work.student, work.assignment, key): [" ".join(text.split())] for key, text in answers.items()}
    return {triple: _id(*triple, *text) for triple, text in plain.items()}


def _id(*parts):
    return "a" + hashlib.blake2b(json.dumps(parts).encode(), digest_size=6).hexdigest()


class Marks:
    """All that was ever typed into marks.csv, and what it is for.

    Attributes:
        rows: {answer id: {column: text}}; of several marks for one answer the last.

    Raises:
        CourseError: points that are none, one answer marked twice, a row that belongs to two answers.
        TableError: marks.csv is no table, or lacks a column.
    """

    def __init__(self, out: Path, works: Iterable, schemes: Mapping[tuple, tuple]):
        """Take in what was typed into out/marks.csv.

        Args:
            out: the folder of marks.csv and marks.jsonl.
            works: what is graded now.
            schemes: what a question gives, and how: {(assignment, question): (points, marking scheme)}.
        """
        self.path, self.store, self.schemes = out / "marks.csv", out / "marks.jsonl", schemes
        self.current, self.before = {}, {}
        for work in works:
            self.current |= {key: triple for triple, key in work.ids.items()}
            self.before |= work.ids | ids(work, work.before.get("answers", {}))
        self._take_in()
        others = sorted({each.name for each in out.glob("[mM]arks*") if each.is_file()} - {"marks.csv", "marks.jsonl"})
        if others := [name for name in others if not name.endswith(".part")]:
            print(f"Not read: {', '.join(others)}. Marks are read from marks.csv alone: save them under this name.")

    def _take_in(self):
        self.seen, added, lines = _content(self.path), [], {}
        typed = map(json.loads, self.store.read_text("utf-8").splitlines()) if self.store.exists() else []
        typed = {row["answer id"]: row for row in typed}
        self.rows = dict(typed)
        owners = {key: _triple(row) for key, row in typed.items()} | self.current
        for number, row in table(self.path, (*GIVEN[:3], "points")):
            where, named = f"{self.path}, line {number}", _triple(row)
            key = row.get("answer id") or self.before.get(named) or _id(*named, row.get("answer", ""))
            owner = owners.get(key, named)  # a spreadsheet may have lost letters of a name
            if owner != named and named in owners.values():
                raise CourseError(f"{where}: the answer id is of {', '.join(owner)}. Put it right, or empty that cell.")
            row |= dict(zip(GIVEN, owner, strict=False)) | {"answer id": key}
            mine = {name: cell for name, cell in row.items() if cell and name not in GIVEN + TEXTS}
            if is_marked(mine):
                points(where, mine["points"], self.schemes.get(owner[1:], (10_000, ""))[0])
            if any(lines.get(key, (0, {}))[1].get(name, cell) != cell for name, cell in mine.items()):
                raise CourseError(f"{where}: line {lines[key][0]} marks this answer, too, and differently. Delete one.")
            lines[key], saved = (number, mine), typed.get(key, {})
            self.rows[key] = row | {name: cell for name, cell in saved.items() if not row.get(name)}
            if any(saved.get(name) != cell for name, cell in mine.items()):
                added.append(json.dumps(self.rows[key], ensure_ascii=False) + "\n")
        if added:
            replace(self.store, _content(self.store) + "".join(added).encode())

    def given(self, work) -> dict[str, dict]:
        """Return the marks for a submission's answers as they are now: {question: {points, comment}}."""
        rows = {triple[2]: self.rows[key] for triple, key in work.ids.items() if is_marked(self.rows.get(key, {}))}
        read = {name: points(name, row["points"], 10_000) for name, row in rows.items()}
        return {name: {"points": read[name], "comment": row.get("comment", "")} for name, row in rows.items()}

    def of_other_texts(self, work) -> list[str]:
        """Return the questions of a submission whose mark was given for another text."""
        marked = {_triple(row) for row in self.rows.values() if is_marked(row)}
        return [triple[2] for triple in work.ids if triple in marked and triple[2] not in self.given(work)]

    def write_view(self, works: Iterable, results: Iterable[Mapping]) -> None:
        """Write marks.csv: the answers that a person marks, then all else that was typed or is of other runs.

        Raises:
            CourseError, TableError: somebody has typed meanwhile what can't be right. It stays as it is.
        """
        if _content(self.path) != self.seen:
            self._take_in()
            print(f"{self.path.name} was changed while this ran. It is kept; grade again, so that it counts.")
        shown = {}
        for work, result in zip(works, results, strict=True):
            for triple, key in work.ids.items():
                if triple[2] in result.get("waiting", []):
                    most, scheme = self.schemes[triple[1:]]
                    given = dict(zip(GIVEN, [*triple, f"{most:g}"], strict=True))
                    texts = dict(zip(TEXTS, [work.answers[triple[2]][:CELL], scheme, key], strict=True))
                    shown[key] = self.rows.get(key, {}) | given | texts
        here = set(self.current.values())
        for key, row in self.rows.items():
            if key not in shown and (any(row[name] for name in {*row} - {*GIVEN, *TEXTS}) or _triple(row) not in here):
                shown[key] = row
        write(self.path, COLUMNS, shown.values())
        lost = [", ".join(_triple(row)) for key, row in self.rows.items() if is_marked(row) and key not in self.current]
        if lost:
            names = "; ".join(lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
            print(f"Kept, though they are for no answer in this folder as it is worded now: the marks of {names}.")


def is_marked(row: Mapping[str, str]) -> bool:
    """Whether a row has points; a minus sign alone takes them back."""
    return row.get("points", "") not in ("", "-")


def _content(path):
    return path.read_bytes() if path.exists() else b""


def _triple(row):
    return tuple(row[name] for name in GIVEN[:3])


def points(where: str, text: str, most: float) -> float:
    """Return a cell's number, written with a point or a comma; where says which cell it is, should it be none.

    Raises:
        CourseError: it is no number from 0 to most.
    """
    try:
        if 0 <= (number := float(text.replace(",", "."))) <= most:
            return number
    except ValueError:
        pass
    raise CourseError(f"{where}: {text} is no number of points from 0 to {most:g}.")


def table(path: Path, needed: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a table that write has written, with their lines; none if it isn't there."""
    rows = tables.rows(path, needed) if path.exists() else []
    return [(line, {name: _unquoted(cell) for name, cell in row.items()}) for line, row in rows]


def _unquoted(cell):
    return cell[1:] if cell[:1] == "'" and cell[1:2] in tuple("=+-@") else cell


def write(path: Path, columns: Iterable[str], rows: Iterable[Mapping]) -> None:
    """Write a table, with columns that a teacher has added; text that a spreadsheet would compute is quoted."""
    rows, text = list(rows), io.StringIO(newline="")
    columns = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        cells = [row.get(name, "") for name in columns]
        writer.writerow([f"'{cell}" if cell[:1] in tuple("=+-@") else cell for cell in cells])
    replace(path, text.getvalue().encode("utf-8-sig"))


def replace(path: Path, content: bytes, versions: int = 10) -> None:
    """Write a file whole or not at all; its last versions stay in the folder `earlier`."""
    if versions and path.exists():
        if path.read_bytes() == content:
            return
        kept = path.parent / "earlier"
        kept.mkdir(exist_ok=True)
        numbers = sorted(int(each.suffix[1:]) for each in kept.glob(f"{path.name}.[0-9]*"))
        shutil.copy2(path, kept / f"{path.name}.{max(numbers, default=0) + 1}")
        for number in numbers[: 1 - versions]:
            (kept / f"{path.name}.{number}").unlink()
    cache.replace(path, content)
