"""Grade one submission with nbgrader, in a folder of its own: python -m classroom.one_submission RESULT_FD < job.

The classroom starts this once per submission, with the working directory, HOME and everything else inside the folder.
"""
# ruff: noqa: E402

import ast
import asyncio
import io
import json
import logging
import os
import re
import secrets
import shutil
import sys
import traceback
from pathlib import Path

# jsonschema parses a grammar of addresses at import if it can: more than a second, forty times, for nothing.
sys.modules.setdefault("rfc3987_syntax", None)

import nbformat
from nbclient.exceptions import DeadKernelError
from nbconvert.preprocessors import Preprocessor
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, Execute, LimitOutput, SaveAutoGrades
from nbgrader.utils import is_grade, is_solution
from traitlets.config import Config

from classroom import submissions

STUDENT = "student"  # every submission has a gradebook of its own, so that none needs a name
OUTPUT_LIMIT = 5_000_000  # characters of a cell's output: what comes after is dropped and the cell interrupted
STORED_LIMIT = 20_000  # characters of text that a cell keeps
UNSCORED = {"kernel died", "canary passed", "hidden files read", "grader failed"}
CANARIES = {  # each must fail, with the message that only this run knows; {nonce} is that message
    "assert": "assert False, {nonce!r}",
    "raise": "raise RuntimeError({nonce!r})",
    "numpy.testing": "import numpy.testing\nnumpy.testing.assert_allclose(1.0, 2.0, err_msg={nonce!r})",
    "comparison": "import numpy\nassert numpy.allclose([1.0, 2.0], [1.0, 3.0]), {nonce!r}",
    "isinstance": "assert isinstance(1, str) or all([True, False]) or any([False]) or abs(-1) != 1, {nonce!r}",
}
LOOK = {  # what an answer hardly needs: worth a look, no proof of anything
    r"\.ipynb|gradebook|nbgrader|HIDDEN TEST|\.\./": "names files beyond its own",
    r"set_custom_exc|showtraceback|ast_transformers|input_transformer|run_cell|run_code|get_ipython": "uses IPython",
    r"\bbuiltins\b|__builtins__|excepthook|settrace|setprofile|__eq__|unittest\.mock": "changes how Python compares",
    r"_getframe|\bf_back\b|currentframe|inspect\.stack|history_manager|\b_ih\b|\bIn\s*\[": "reads the code around it",
    r"_exit|os\.kill|ctypes|/proc/|gfile|addaudithook|\bgc\.": "goes below Python",
}


def main():
    """Grade the job on stdin; write the result, or what went wrong, as JSON into the file descriptor of argv."""
    result_fd = int(sys.argv[1])
    job = json.load(sys.stdin)
    try:
        result = grade(job, Path.cwd())
    except Exception as error:
        note = f"nbgrader stopped. {error}"[:500]
        result = {"flags": ["grader failed"], "notes": [note], "trace": traceback.format_exc()[-4000:]}
    with os.fdopen(result_fd, "w") as file:
        json.dump(result, file)


def grade(job, folder):
    """Return a submission's result (dict): score, max, manual, questions, answers, flags, notes.

    job: assignment, submission and release (notebooks as str), timeout (seconds per cell), hidden (list of str),
    marks ({grade_id: {points, comment}}).  folder: holds gradebook.db with the assignment's tests, nothing else of it.
    """
    name, found = job["assignment"], {"flags": [], "notes": []}
    release = nbformat.reads(job["release"], 4)
    course = CourseDirectory(config=_config(job, folder), assignment_id=name, student_id=STUDENT)
    if "graded" in job:
        give_feedback(course, name, job["marks"])
        return {**job["graded"], **read_grades(course, name, release)}
    submitted = nbformat.reads(job["submission"], 4)
    look(submitted, release, found)
    answered = submissions.mended(submitted, release, found)
    handed_in = folder / "submitted" / STUDENT / name
    handed_in.mkdir(parents=True)
    nbformat.write(answered, handed_in / f"{name}.ipynb")
    GuardedExecute.job, GuardedExecute.found, GuardedExecute.folder = job, found, folder
    write_kernel(job, folder)
    try:
        start(Autograde(coursedir=course, config=course.config))
    except RuntimeError:
        if not set(found["flags"]) & UNSCORED:
            raise
    read_log(folder / "guard.log", found)
    if set(found["flags"]) & UNSCORED:
        return found
    questions = read_grades(course, name, release)["questions"]
    found["answers"] = {key: text for key, text in _texts(answered).items() if questions[key]["manual"]}
    give_feedback(course, name, job["marks"])
    return found | read_grades(course, name, release)


def give_feedback(course, name, marks):
    """Enter the teacher's marks ({grade_id: {points, comment}}) and write nbgrader's feedback page."""
    with Gradebook(course.db_url) as gradebook:
        for key, mark in marks.items():
            grade = gradebook.find_grade(key, name, name, STUDENT)
            grade.manual_score, grade.needs_manual_grade = mark["points"], False
            gradebook.find_comment(key, name, name, STUDENT).manual_comment = mark["comment"]
        gradebook.db.commit()
    start(GenerateFeedback(coursedir=course, config=course.config))


def start(converter):
    """Run one of nbgrader's converters without its log; raise RuntimeError with the log's reason where it stops."""
    said = io.StringIO()
    converter.log = logging.Logger("nbgrader", logging.ERROR)
    converter.log.addHandler(logging.StreamHandler(said))
    try:
        converter.start()
    except Exception as error:
        why = [line for line in said.getvalue().splitlines() if re.match(r"[\w.]+(Error|Exception|Died): ?", line)]
        raise RuntimeError((why or [f"{type(error).__name__}: {error}"])[-1]) from error


def _config(job, folder):
    config = Config()
    config.CourseDirectory.root = str(folder)
    config.CourseDirectory.db_url = f"sqlite:///{folder / 'gradebook.db'}"
    config.ExecutePreprocessor.timeout = job["timeout"]
    config.ExecutePreprocessor.startup_timeout = 120
    # A cell's reply says whether it failed, even where a flood has drowned its messages.
    config.ExecutePreprocessor.raise_on_iopub_timeout = False
    config.Autograde.autograde_preprocessors = [
        GuardedExecute,
        Tidy,
        LimitOutput,
        SaveAutoGrades,
        AssignLatePenalties,
        CheckCellMetadata,
    ]
    config.HTMLExporter.sanitize_html = True  # a page that a teacher opens must not run what a student printed
    return config


def write_kernel(job, folder):
    """Write the kernel specification: what `python3` means to nbgrader in this folder."""
    work = folder / "autograded" / STUDENT / job["assignment"]
    writable = [str(work), *(str(folder / name) for name in ("home", "tmp", "cache")), *job["writable"]]
    settings = {"hidden": job["hidden"], "own": [str(folder), *job["writable"]], "writable": writable}
    settings["log"] = str(folder / "guard.log")
    start = "from classroom import guarded_kernel; guarded_kernel.main()"
    spec = {
        "argv": [sys.executable, "-c", start, json.dumps(settings), "-f", "{connection_file}"],
        "display_name": "Python 3",
        "language": "python",
    }
    target = folder / "jupyter" / "kernels" / "python3"
    target.mkdir(parents=True)
    (target / "kernel.json").write_text(json.dumps(spec))


class GuardedExecute(Execute):
    """nbgrader's execution, with the tests off the disk while it runs, canaries at the end, and a limit of output."""

    job, found, folder = {}, {}, None

    def preprocess(self, nb, resources=None, **kwargs):
        """Run the notebook; what went wrong goes into found."""
        self.received, self.running = {}, None
        nonce = secrets.token_hex(8)
        canaries = [nbformat.v4.new_code_cell(source.format(nonce=nonce)) for source in CANARIES.values()]
        origin = nbformat.v4.new_code_cell(_origin_check(nb, nonce))
        graded = len(nb.cells)
        nb.cells += [*canaries, origin]
        name = self.job["assignment"]
        here = self.folder / "autograded" / STUDENT / name / f"{name}.ipynb"
        held = {path: path.read_bytes() for path in (self.folder / "gradebook.db", here)}
        for path in held:
            path.unlink()
        try:
            nb, resources = super().preprocess(nb, resources, **kwargs)
        except DeadKernelError:
            self._flag("kernel died", f"The kernel was killed in cell {self._where(nb)}. Read that cell.")
            raise
        finally:
            for path, content in held.items():
                _remove(path)  # whatever a cell has put there, a link included
                path.write_bytes(content)
        self._judge(dict(zip([*CANARIES, "origin"], nb.cells[graded:], strict=True)), nonce)
        nb.cells = nb.cells[:graded]
        return nb, resources

    def preprocess_cell(self, cell, resources, index):
        """Run a cell, and say so where it ran out of time."""
        self.running = index
        cell, resources = super().preprocess_cell(cell, resources, index)
        if any(output.get("ename") == "CellTimeoutError" for output in cell.get("outputs", [])):
            self._flag("timeout", f"Cell {index + 1} ran longer than {self.timeout} s and was stopped.")
        return cell, resources

    def process_message(self, msg, cell, cell_index):
        """Take a message of the kernel, up to the limit of a cell's output."""
        content, kind = msg["content"], msg["msg_type"]
        if kind in ("stream", "display_data", "execute_result", "update_display_data"):
            size = len(content.get("text", "")) + sum(len(str(part)) for part in content.get("data", {}).values())
            before = self.received.get(cell_index, 0)
            self.received[cell_index] = before + size
            if before + size > OUTPUT_LIMIT:
                if before <= OUTPUT_LIMIT:
                    self._flag("flood", f"Cell {cell_index + 1} wrote more than {OUTPUT_LIMIT:,} characters; cut.")
                    self.interrupt = asyncio.ensure_future(self.km.interrupt_kernel())
                return None
        return super().process_message(msg, cell, cell_index)

    def _judge(self, canaries, nonce):
        messages = {label: _error_with(nonce, cell) for label, cell in canaries.items()}
        if hidden := ", ".join(label for label, message in messages.items() if message is None):
            self._flag("canary passed", f"Checks that must fail did not ({hidden}): errors are hidden. Read it.")
        if names := (messages["origin"] or ":").split(":", 1)[1]:
            self._flag("canary passed", f"It replaced what the tests use: {names}. Read it.")

    def _where(self, nb):
        first = nb.cells[self.running].source.strip().splitlines() or [""]
        return f"{self.running + 1} (`{first[0][:60]}`)"

    def _flag(self, flag, note):
        _flag(self.found, flag, note)


def _error_with(nonce, cell):
    errors = [output.get("evalue", "") for output in cell.outputs if output.output_type == "error"]
    return next((message for message in errors if nonce in message), None)


def _origin_check(notebook, nonce):
    """Return a cell's source that fails with the names, used by the tests, that a student has replaced."""
    tests = [cell.source for cell in notebook.cells if cell.cell_type == "code" and is_grade(cell)]
    given = [cell.source for cell in notebook.cells if cell.cell_type == "code" and _is_given(cell)]
    used, modules = set(), set()
    for source in [*tests, *given]:
        for node in ast.walk(_parsed(source)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules |= {each.asname or each.name.split(".")[0] for each in node.names}
    for source in tests:
        for node in ast.walk(_parsed(source)):
            if isinstance(node, ast.Name | ast.Attribute) and (name := _dotted(node)):
                used.add(name)
    call = f"guarded_kernel'].changed({sorted(used)!r}, globals(), {sorted(modules)!r})"
    return f"import sys\nraise RuntimeError('{nonce}:' + ', '.join(sys.modules['classroom.{call}))"


def _is_given(cell):
    return cell.metadata.get("nbgrader", {}).get("locked", False)


def _parsed(source):
    try:
        return ast.parse(source)
    except SyntaxError:  # a magic
        return ast.parse("")


def _dotted(node):
    if isinstance(node, ast.Name):
        return node.id
    return f"{before}.{node.attr}" if isinstance(node, ast.Attribute) and (before := _dotted(node.value)) else None


class Tidy(Preprocessor):
    """Cut long output, and take out of the tests what nbgrader would misread."""

    enabled = True

    def preprocess_cell(self, cell, resources, index):
        """Tidy one cell."""
        if cell.cell_type == "code":
            if is_grade(cell):
                cell.outputs = [each for each in cell.outputs if not _misleads(each, cell.metadata.nbgrader.points)]
            for output in cell.outputs:
                if len(output.get("text", "")) > STORED_LIMIT:
                    output.text = output.text[:STORED_LIMIT] + "\n... cut ..."
                if len(output.get("evalue", "")) > STORED_LIMIT:
                    output.evalue, output.traceback = output.evalue[:STORED_LIMIT], []
        return cell, resources


def _misleads(output, points):
    """A warning on stderr counts as a failed test; more points than there are stop the grading."""
    if output.output_type == "execute_result":
        try:
            return not 0 <= float(output.get("data", {}).get("text/plain", "")) <= points
        except ValueError:
            return True
    return output.get("name") == "stderr"


def read_grades(course, name, release):
    """Return score, max, manual (points that wait for a person) and questions ({grade_id: ...}) of a submission."""
    questions = {}
    with Gradebook(course.db_url) as gradebook:
        for grade in gradebook.find_submission_notebook(name, name, STUDENT).grades:
            waits = bool(grade.needs_manual_grade or (grade.auto_score is None and grade.manual_score is None))
            manual, score = (grade.max_score, 0.0) if waits else (0.0, grade.score)
            questions[grade.name] = {"score": score, "max": grade.max_score, "manual": manual}
    order = [cell.metadata.nbgrader.grade_id for cell in release.cells if "nbgrader" in cell.metadata]
    questions = {key: questions[key] for key in order if key in questions}
    totals = {key: sum(each[key] for each in questions.values()) for key in ("score", "max", "manual")}
    return {**totals, "questions": questions}


def _texts(notebook):
    """The answers that a person may have to read, by grade_id."""
    return {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in notebook.cells
        if "nbgrader" in cell.metadata and is_grade(cell) and is_solution(cell)
    }


def look(submitted, release, found):
    """Flag cells of a submission whose code goes where answers do not go; one note for each reason."""
    given = {cell.source.strip() for cell in release.cells}
    for pattern, why in LOOK.items():
        cells = [
            index
            for index, cell in enumerate(submitted.cells, 1)
            if cell.cell_type == "code" and submissions.text(cell).strip() not in given
            if re.search(pattern, submissions.text(cell))
        ]
        if cells:
            _flag(found, "look", f"Cell {', '.join(map(str, cells))} {why}.")


def read_log(log, found):
    """Turn what the guarded kernel refused or noted into flags."""
    flags = {
        "read": ("hidden files read", "It tried to read {}."),
        "write": ("write refused", "It tried to write outside its folder: {}."),
        "stop": ("write refused", "It tried to stop {}."),
        "reach": ("network refused", "It tried to reach {}."),
        "program": ("program started", "It started a program: {}."),
    }
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    for kind, what in dict.fromkeys(map(tuple, lines)):
        flag, note = flags[kind]
        _flag(found, flag, note.format(what))


def _flag(found, flag, note):
    if flag not in found["flags"]:
        found["flags"].append(flag)
    if note not in found["notes"]:
        found["notes"].append(note)


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
