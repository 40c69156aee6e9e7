"""python -m classroom grade: a folder of submissions to grades, marks and feedback pages."""

import csv
import hashlib
import json
import tempfile
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import nbformat

from classroom import sandbox, submissions
from classroom.release import ASSIGNMENTS, KIT, SOURCE, files, generated, sources
from course.paths import BUILD, ROOT, CourseError

COLUMNS = ("student", "assignment", "score", "max", "manual points to come", "flags", "note")
MARKS = ("student", "assignment", "question", "max", "points", "comment", "answer", "marking scheme")


@dataclass
class Class:
    """What one call of grade needs everywhere."""

    hidden: tuple  # folders that no submission may read: sources, tests, other submissions, grades
    out: Path
    kit: dict  # {path in a sandbox: bytes}; in memory, so that no submission can change it for the next
    sources: dict  # {name: source notebook, str}
    releases: dict  # {name: students' notebook, str}
    gradebook: bytes  # with the tests
    timeout: int
    memory: int
    jobs: int
    stop: threading.Event


def grade(folder, assignment=None, jobs=2, timeout=60, memory=4096, out=None):
    """Grade a folder of submissions; write grades.csv, marks.csv and feedback pages into out.

    timeout: seconds per cell, five times that for a whole notebook.  memory: MB for a submission and all it starts.
    What is graded already, with the same tests and the same limits, is kept. Raises CourseError where there is nothing
    to grade or an assignment's own solution does not score full marks here.
    """
    folder, out = Path(folder).resolve(), Path(out or BUILD / "grades").resolve()
    room = open_class(folder, out, assignment, jobs, timeout, memory)
    start, releases = time.monotonic(), {name: nbformat.reads(text, 4) for name, text in room.releases.items()}
    handed_in = submissions.collect(folder, releases, assignment)
    if not handed_in:
        raise CourseError(f"{folder} holds no notebook. It takes STUDENT/NAME.ipynb or STUDENT_NAME.ipynb.")
    if assignment:
        handed_in = [each for each in handed_in if each.assignment in (assignment, "")]
    marks = _read_marks(out / "marks.csv")
    _grade_all(room, _references(room, handed_in), {}, "solutions")
    results = _grade_all(room, handed_in, marks, "submissions")
    rows = [_row(each, result) for each, result in zip(handed_in, results, strict=True)]
    _write_csv(out / "grades.csv", COLUMNS, rows)
    _write_csv(out / "marks.csv", MARKS, _marks_rows(handed_in, results, marks, room))
    unscored, flagged = sum(row[2] == "" for row in rows), sum(bool(row[5]) for row in rows)
    waiting = sum(bool(row[4]) for row in rows)
    print(
        f"{len(rows)} submissions in {time.monotonic() - start:.0f} s: {len(rows) - unscored} scored, {unscored} not, "
        f"{flagged} flagged, {waiting} with answers to mark in {out / 'marks.csv'}. Grades: {out / 'grades.csv'}"
    )


def open_class(folder, out, assignment=None, jobs=2, timeout=60, memory=4096):
    """Check what grade was given, and return what it needs (Class)."""
    if not folder.is_dir():
        raise CourseError(f"there is no folder {folder}. make grade SUBMISSIONS=folder takes the one handed in.")
    if not sources():
        raise CourseError(f"there is no assignment in {SOURCE}: a source is NAME/NAME.ipynb.")
    if assignment and assignment not in sources():
        raise CourseError(f"no assignment is called {assignment}; there are {', '.join(sources())}.")
    releases, gradebook = generated(sources().values())
    out.mkdir(parents=True, exist_ok=True)
    return Class(
        hidden=(ASSIGNMENTS, ROOT / "tests", folder, out),
        out=out,
        kit={path.relative_to(ROOT).as_posix(): path.read_bytes() for path in files(KIT)},
        sources={name: path.read_text() for name, path in sources().items()},
        releases=releases,
        gradebook=gradebook,
        timeout=timeout,
        memory=memory,
        jobs=jobs,
        stop=threading.Event(),
    )


def _references(room, handed_in):
    """The solutions of the assignments that came in: where one does not score here, no student could."""
    names = sorted({each.assignment for each in handed_in if each.notebook})
    return [submissions.Submission("", name, notebook=room.sources[name]) for name in names]


def _grade_all(room, handed_in, marks, unit):
    from tqdm import tqdm

    results = {}
    with (
        ThreadPoolExecutor(room.jobs) as pool,
        tqdm(total=len(handed_in), desc=unit, unit="notebook") as bar,
        tempfile.TemporaryDirectory(prefix="grading-") as run,
    ):
        own = [marks.get((each.student, each.assignment), {}) for each in handed_in]
        waiting = {
            pool.submit(_result, room, each, mark, Path(run).resolve() / str(number)): number
            for number, (each, mark) in enumerate(zip(handed_in, own, strict=True))
        }
        try:
            for future in as_completed(waiting):
                results[waiting[future]] = future.result()
                bar.update()
        except BaseException:  # an interrupt, most of all: what runs is stopped, what is finished stays
            room.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [results[number] for number in range(len(handed_in))]


def _result(room, submission, marks, folder):
    """Return a submission's result (dict), kept from before where nothing has changed since."""
    if submission.notebook is None:
        return {"flags": [], "notes": []}
    name, reference = submission.assignment, submission.path is None
    key = hashlib.sha256()
    for part in (submission.notebook, room.sources[name], room.timeout, room.memory):
        key.update(json.dumps(part).encode())
    kept = room.out / "results" / ("" if reference else _file_name(submission.student)) / name
    before = _read_json(kept / "result.json")
    same = before and before["key"] == key.hexdigest()
    if same and before["marks"] == marks:
        return before
    job = {"assignment": name, "submission": submission.notebook, "release": room.releases[name], "marks": marks}
    if same and "questions" in before:
        job["graded"] = before  # only the teacher's marks are new
    result = sandbox.run(room, job, folder, kept, reference)
    if result["flags"] == ["grader failed"] and not room.stop.is_set():  # a kernel that did not start on a busy machine
        result = sandbox.run(room, job, folder, kept, reference)
    if room.stop.is_set():
        raise CourseError("interrupted")
    if reference:
        _check_reference(name, result)
    page = room.out / "feedback" / _file_name(submission.student) / f"{name}.html"
    page.unlink(missing_ok=True)  # an earlier file's feedback is not this one's
    if not reference and (kept / "feedback.html").exists():
        page.parent.mkdir(parents=True, exist_ok=True)
        (kept / "feedback.html").rename(page)
    result |= {"key": key.hexdigest(), "marks": marks}
    part = kept / "result.part"
    part.write_text(json.dumps(result, indent=1))
    part.rename(kept / "result.json")
    return result


def _check_reference(name, result):
    failed = [key for key, each in result.get("questions", {}).items() if each["score"] + each["manual"] < each["max"]]
    if failed or "questions" not in result:
        raise CourseError(
            f"the solution of {name} does not score full marks on this machine, so no student could: "
            f"{', '.join(failed)} {' '.join(result['notes'])} Nothing was graded. `python -m course doctor` checks "
            "the machine; a slow one needs a longer --timeout."
        )


def _file_name(student):
    """A folder's name for any student, another for each."""
    return urllib.parse.quote(student, safe=" @+,()").replace(".", "%2E")


def _read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _row(submission, result):
    flags, notes = [*submission.flags, *result["flags"]], [*submission.notes, *result["notes"]]
    scored = "questions" in result
    numbers = [f"{result[key]:g}" for key in ("score", "max")] if scored else ["", ""]
    manual = f"{result['manual']:g}" if scored and result["manual"] else ""
    note = " ".join(notes) if scored else " ".join(["Not scored.", *notes])
    return [submission.student, submission.assignment, *numbers, manual, ", ".join(flags), note]


def _marks_rows(handed_in, results, marks, room):
    """One row for each answer that a person marks; points and comments that were entered stay."""
    rows = []
    for submission, result in zip(handed_in, results, strict=True):
        given = marks.get((submission.student, submission.assignment), {})
        for key, answer in result.get("answers", {}).items():
            mark = given.get(key, {"points": "", "comment": ""})
            most = result["questions"][key]["max"]
            scheme = _scheme(room.sources[submission.assignment], key)
            rows.append(
                [submission.student, submission.assignment, key, most, mark["points"], mark["comment"], answer, scheme]
            )
    return rows


def _scheme(source, key):
    """What a source says between BEGIN and END MARK SCHEME, in the cell of the answer or the one before it."""
    cells = nbformat.reads(source, 4).cells
    (index,) = [index for index, cell in enumerate(cells) if submissions.grade_id(cell) == key]
    text = "\n".join(cell.source for cell in cells[max(index - 1, 0) : index + 1])
    inside = text.partition("BEGIN MARK SCHEME")[2].partition("END MARK SCHEME")[0]
    return inside.strip("=# \n")


def _read_marks(path):
    """Return the points and comments that the teacher has entered: {(student, assignment): {grade_id: ...}}."""
    marks = {}
    if path.exists():
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                if not (row.get("points") or "").strip():
                    continue
                try:
                    points, most = float(row["points"].replace(",", ".")), float(row["max"])
                    if not 0 <= points <= most:
                        raise ValueError
                except ValueError:
                    raise CourseError(
                        f"{path.name}, row {number}: {row['points']} is no number of points from 0 to {row['max']}."
                    ) from None
                mark = {"points": points, "comment": row["comment"] or ""}
                marks.setdefault((row["student"].lstrip("'"), row["assignment"]), {})[row["question"]] = mark
    return marks


def _write_csv(path, columns, rows):
    """Write a table whole or not at all; text that a spreadsheet would compute is quoted."""
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in rows:
            writer.writerow(
                [f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@" and cell else cell for cell in row]
            )
    part.rename(path)
