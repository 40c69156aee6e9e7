"""python -m classroom grade: a folder of submissions to grades, marks and feedback pages."""

import hashlib
import json
import re
import tempfile
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from classroom import cells, checks, marks, release, sandbox
from classroom.collect import Submission, collect
from course.paths import BUILD, ROOT, CourseError
from sources import progress

COLUMNS = ("student", "assignment", "score", "max", "manual points to come", "flags", "note")


@dataclass
class Class:
    """What one call of grade needs everywhere."""

    out: Path
    hidden: tuple[Path, ...]  # what no submission may see
    timeout: int  # seconds for a cell
    memory: int  # MB for a submission
    jobs: int
    bwrap: str | None
    sources: dict = field(default_factory=dict)  # {name: source notebook}
    releases: dict = field(default_factory=dict)  # {name: students' notebook}
    gradebook: bytes = b""  # with the tests
    stop: threading.Event = field(default_factory=threading.Event)


def grade(folder, assignment=None, jobs=2, timeout=60, memory=4096, out=None, uncontained=False) -> None:
    """Grade a folder of submissions; write grades.csv, marks.csv and feedback pages into out.

    What is graded already, with the same tests and the same limits, is kept, and so are the rows of earlier folders.

    timeout: seconds for a cell, five times that for a notebook.  memory: MB for a submission and what it starts.
    uncontained: run students' code without a container.

    Raises:
        CourseError: there is nothing to grade, marks.csv can't be right, there is no container, or an assignment's own
            solution does not score full marks here.
        TableError: marks.csv or grades.csv is no table.
    """
    start, folder, out = time.monotonic(), Path(folder).resolve(), Path(out or BUILD / "grades").resolve()
    paths, releases, gradebook, handed_in = opened(folder, assignment, out)
    hidden = (release.SOURCE.resolve(), ROOT / "tests", folder, out)
    room = Class(out, hidden, timeout, memory, jobs, sandbox.container(uncontained), gradebook=gradebook)
    room.sources, room.releases = {name: nbformat.read(path, 4) for name, path in paths.items()}, releases
    out.mkdir(parents=True, exist_ok=True)
    works = [_prepare(room, each) for each in handed_in]
    schemes = {(name, key): each for name, made in room.sources.items() for key, each in cells.schemes(made).items()}
    marked = marks.Marks(out, works, schemes)
    marks.table(out / "grades.csv", COLUMNS[:2])  # a fault is said now, not after an hour
    _grade_all(room, [_reference(room, name) for name in sorted({each.assignment for each in works if each.notebook})])
    results = _grade_all(room, works, marked)
    now = [_row(work, result, marked) for work, result in zip(works, results, strict=True)]
    rows = {(row["student"], row["assignment"]): row for row in now}
    students = {student for student, _ in rows}
    earlier = [row for _, row in marks.table(out / "grades.csv", COLUMNS[:2])]
    earlier = {(_known(row["student"], students), row["assignment"]): row for row in earlier}
    # Without an assignment it was a file that nothing could be made of, which is another one now.
    kept = {key: row for key, row in earlier.items() if key not in rows and (key[1] or key[0] not in students)}
    rows = {key: earlier.get(key, {}) | row for key, row in (kept | rows).items()}  # with columns that a teacher added
    marks.write(out / "grades.csv", COLUMNS, [row for _, row in sorted(rows.items())])
    marked.write_view(works, results)
    scored, flagged, waiting = (sum(row[name] != "" for row in now) for name in ("score", "flags", COLUMNS[4]))
    print(
        f"{len(now)} submissions in {time.monotonic() - start:.0f} s: {scored} scored, {len(now) - scored} not, "
        f"{flagged} flagged, {waiting} with answers to mark in {out / 'marks.csv'}. Grades: {out / 'grades.csv'}"
        + (f", with {len(kept)} rows of earlier runs." if kept else "")
    )


def opened(folder, assignment: str | None, out: Path) -> tuple[dict, dict, bytes, list[Submission]]:
    """Read the assignments and what was handed in.

    Args:
        folder: of submissions.
        assignment: the only one that counts; all if there is none.
        out: where grades go, which may be in that folder.

    Returns:
        {name: Path of the source}, {name: the students' notebook}, the gradebook with the tests, the submissions.

    Raises:
        CourseError: there is no such folder or assignment, or nothing was handed in.
    """
    folder, paths = Path(folder).resolve(), release.sources()
    if not folder.is_dir():
        raise CourseError(f"there is no folder {folder}. make grade SUBMISSIONS=folder takes the one handed in.")
    if not paths:
        raise CourseError(f"there is no assignment in {release.SOURCE}: a source is NAME/NAME.ipynb.")
    if assignment and assignment not in paths:
        raise CourseError(f"no assignment is called {assignment}; there are {', '.join(paths)}.")
    texts, gradebook = release.generated(paths.values())
    releases = {name: nbformat.reads(text, 4) for name, text in texts.items()}
    handed_in = collect(folder, releases, assignment or "", skip=out)
    if not handed_in:
        raise CourseError(f"{folder} holds no notebook. It takes STUDENT/NAME.ipynb or STUDENT_NAME.ipynb.")
    here = [each for each in handed_in if not assignment or each.assignment in (assignment, "")]
    return paths, releases, gradebook, here


def _prepare(room, work):
    """Find out what is to be graded of a submission, and what was graded of it last time."""
    try:
        work.kept = room.out / "results" / file_name(work.student) / (work.assignment or "none")
        work.before = _read_json(work.kept / "result.json")
        if work.cells is not None:
            made = cells.restored(work.cells, room.releases[work.assignment], work)
            for note in checks.look(work.cells, room.releases[work.assignment]):
                work.flag("look", note)
            work.enders, work.key = checks.enders(work.cells), _key(room, work.assignment, work.cells)
            work.answers = cells.short_answers(made)
            work.ids = marks.ids(work, work.answers)
            work.notebook = nbformat.writes(made)
    except Exception as error:  # one submission never ends the run
        work.flag("grader failed", _failure(error))
    return work


def _reference(room, name):
    """The solution of an assignment that came in: where it does not score here, no student could."""
    work = Submission("", name, kept=room.out / "results" / name, notebook=nbformat.writes(room.sources[name]))
    work.key, work.before = _key(room, name, None), _read_json(work.kept / "result.json")
    return work


def _key(room, name, handed_in):
    parts = [handed_in, nbformat.writes(room.sources[name]), room.timeout, room.memory]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _failure(error):
    return f"This submission can't be handled ({type(error).__name__}: {error}"[:300] + "). Read the file."


def _grade_all(room, works, marked=None):
    results = {}
    title = "submissions" if marked else "solutions"
    with ThreadPoolExecutor(room.jobs) as pool, progress.bar(len(works), title, "notebook") as bar:
        waiting = {pool.submit(_result, room, work, marked): number for number, work in enumerate(works)}
        try:
            for future in as_completed(waiting):
                results[waiting[future]] = future.result()
                bar.update()
        except BaseException:  # an interrupt, most of all: what runs is stopped, what is finished stays
            room.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [results[number] for number in range(len(works))]


def _result(room, work, marked):
    """Return a submission's result (dict), kept from before where nothing has changed since."""
    if work.notebook is None:
        return {"flags": [], "notes": []}
    given = marked.given(work) if marked else {}
    same = work.before.get("key") == work.key
    if same and work.before["marks"] == given:
        return work.before
    graded = work.before if same and "questions" in work.before else None  # then only the teacher's marks are new
    job = {"assignment": work.assignment, "notebook": work.notebook, "enders": work.enders, "marks": given}
    page = work.student and room.out / "feedback" / work.kept.parent.name / f"{work.assignment}.html"
    try:
        for _ in range(2):  # a kernel may not start on a busy machine
            with tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True) as folder:
                result = sandbox.run(room, job | {"graded": graded}, Path(folder).resolve(), work.kept, page)
            if room.stop.is_set():
                raise CourseError("interrupted")
            if result["flags"] != ["grader failed"]:
                break
        if not work.student:
            _check_reference(work.assignment, result)
        if result["flags"] == ["grader failed"]:  # it may have been this machine: the next run tries again
            return result
        result |= {"key": work.key, "marks": given, "answers": work.answers}
        marks.replace(work.kept / "result.json", json.dumps(result, indent=1).encode(), versions=0)
        return result
    except Exception as error:  # a full disk, a name too long: one submission never ends the run
        if room.stop.is_set() or not work.student:
            raise
        return {"flags": ["grader failed"], "notes": [_failure(error)]}


def _check_reference(name, result):
    failed = [key for key, each in result.get("questions", {}).items() if each["score"] + each["manual"] < each["max"]]
    if failed or "questions" not in result:
        why = " ".join([", ".join(failed), *result["notes"]]).strip()
        raise CourseError(
            f"the solution of {name} does not score full marks on this machine, so no student could: {why} Nothing was "
            "graded. `python -m course doctor` checks the machine; a slow one needs a longer --timeout."
        )


def file_name(student: str) -> str:
    """Return a folder's name for any student, another for each."""
    return urllib.parse.quote(student, safe=" @+,()").replace(".", "%2E")


def _known(name, students):
    """Return the student whose name this is; a spreadsheet that lacks letters of it has saved question marks."""
    pattern = re.compile(re.escape(name).replace(r"\?", "."))
    return name if name in students else next(filter(pattern.fullmatch, sorted(students)), name)


def _read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def _row(work, result, marked):
    flags, notes = [*work.flags, *result["flags"]], [*work.notes, *result["notes"]]
    if others := marked.of_other_texts(work):
        flags.append("mark for another answer")
        notes.append(f"The answer has changed since it was marked ({', '.join(others)}): mark it again.")
    scored = "questions" in result
    numbers = [f"{result[key]:g}" if scored else "" for key in ("score", "max")]
    manual = f"{result['manual']:g}" if result.get("manual") else ""
    note = " ".join(notes) if scored else " ".join(["Not scored.", *notes])
    row = [work.student, work.assignment, *numbers, manual, ", ".join(dict.fromkeys(flags)), note]
    return dict(zip(COLUMNS, row, strict=True))
