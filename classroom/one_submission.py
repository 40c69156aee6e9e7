"""Grade one submission with nbgrader, in a process of its own.

nbgrader, the gradebook and the hidden tests are in this process. The submission's code is in a kernel that the job's
command starts, and the two meet at sockets alone.
"""
# ruff: noqa: E402

import asyncio
import io
import json
import logging
import os
import re
import resource
import secrets
import sys
import traceback
from pathlib import Path

# jsonschema parses a grammar of addresses at import if it can: more than a second, forty times, for nothing.
sys.modules.setdefault("rfc3987_syntax", None)

import nbformat
from jupyter_client.kernelspec import KernelSpec
from nbclient.exceptions import DeadKernelError
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.converters.base import BaseConverter
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, Execute, LimitOutput, SaveAutoGrades
from nbgrader.utils import is_grade
from traitlets.config import Config

from classroom import checks
from course.prepare import end_with_parent

STUDENT = "student"  # every submission has a gradebook of its own, so that none needs a name
OUTPUT_LIMIT = 5_000_000  # characters of a cell's output: what comes after is dropped and the cell interrupted
STORED_LIMIT = 20_000  # characters of text that a cell keeps
UNSCORED = {"kernel died", "canary passed"}


def work(job: dict, folder: Path) -> None:
    """Grade a job; write the result, or what went wrong, into folder/result.json."""
    end_with_parent()
    for stream in (1, 2):  # what the kernel would say to a terminal
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**9, 10**9))  # the kernel inherits these: no file beyond 1 GB,
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # and no crash leaves a core
    try:
        result = grade(job, folder)
    except Exception as error:
        note = f"nbgrader stopped. {error}"[:500]
        result = {"flags": ["grader failed"], "notes": [note], "trace": traceback.format_exc()[-4000:]}
    (folder / "result.json").write_text(json.dumps(result))


def grade(job: dict, folder: Path) -> dict:
    """Return a submission's result: score, max, manual, questions, flags and notes.

    Args:
        job: assignment, notebook (str), marks ({grade_id: {points, comment}}), timeout (seconds per cell), command
            (the start of the kernel's command line), enders (cells that may end a kernel), graded (a result that lacks
            only marks, or None).
        folder: holds gradebook.db with the assignment's tests; its folder `own` is the submission's.
    """
    name, found = job["assignment"], {"flags": [], "notes": []}
    course = CourseDirectory(config=_config(job, folder), assignment_id=name, student_id=STUDENT)
    if job["graded"]:
        found = job["graded"]
    else:
        handed_in = folder / "submitted" / STUDENT / name
        handed_in.mkdir(parents=True)
        (handed_in / f"{name}.ipynb").write_text(job["notebook"])
        WatchedExecute.job, WatchedExecute.found, WatchedExecute.own = job, found, folder / "own"
        try:
            start(Autograde(coursedir=course, config=course.config))
        except RuntimeError:
            if not set(found["flags"]) & UNSCORED:
                raise
        if set(found["flags"]) & UNSCORED:
            return found
        found["waiting"] = [key for key, each in _grades(course, name)["questions"].items() if each["manual"]]
    _enter(course, name, job["marks"])
    try:
        start(GenerateFeedback(coursedir=course, config=course.config))
    except RuntimeError as error:
        _flag(found, "no page", f"The score stands, but the feedback page can't be made: {error}"[:300])
    return found | _grades(course, name)


def start(converter: BaseConverter) -> None:
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
    config.KernelManager.transport = "ipc"  # sockets that are files: they work without a network
    config.KernelManager.ip = str(folder / "own" / "run" / "k")
    config.KernelManager.connection_file = str(folder / "own" / "run" / "k.json")
    config.ExecutePreprocessor.timeout = job["timeout"]
    config.ExecutePreprocessor.startup_timeout = 120
    # A cell's reply says whether it failed, even where a flood has drowned its messages.
    config.ExecutePreprocessor.raise_on_iopub_timeout = False
    steps = [WatchedExecute, LimitOutput, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata]
    config.Autograde.autograde_preprocessors = steps
    config.HTMLExporter.sanitize_html = True  # a page that a teacher opens must not run what a student printed
    return config


class WatchedExecute(Execute):
    """nbgrader's execution in the submission's own folder, with canaries at the end and a limit of output."""

    job, found, own = {}, {}, None

    def preprocess(self, nb, resources=None, **kwargs):
        """Run the notebook; what went wrong goes into found."""
        self.received, self.running = {}, 0
        nonce, graded, path = secrets.token_hex(8), len(nb.cells), resources["metadata"]["path"]
        canaries = {label: source.format(nonce=nonce) for label, source in checks.CANARIES.items()}
        canaries["origin"] = checks.origin_check(nb, nonce)
        nb.cells += [nbformat.v4.new_code_cell(source) for source in canaries.values()]
        resources["metadata"]["path"] = str(self.own / "work")
        try:
            nb, resources = super().preprocess(nb, resources, **kwargs)
        except DeadKernelError:
            where = f"while cell {self.running + 1} ran" if self.running < graded else "after the last cell"
            callers = f" Cells that may have ended it: {self.job['enders']}." if self.job["enders"] else ""
            _flag(self.found, "kernel died", f"The kernel ended {where}.{callers} Read them.")
            raise
        finally:
            resources["metadata"]["path"] = path
        self._judge(dict(zip(canaries, nb.cells[graded:], strict=True)), nonce)
        nb.cells = nb.cells[:graded]
        return nb, resources

    def create_kernel_manager(self):
        """Return what starts the submission's kernel, whatever the notebook calls it."""
        manager = super().create_kernel_manager()
        # In Jupyter, exit() ends the kernel when its cell has ended. Here it would take the grade with it.
        stay = "--IPKernelApp.exec_lines=get_ipython().ask_exit = lambda: None"
        manager._kernel_spec = KernelSpec(
            argv=[*self.job["command"], "-m", "ipykernel_launcher", "-f", "{connection_file}", stay],
            interrupt_mode="message",  # a signal would end the container, not the cell
        )
        return manager

    def preprocess_cell(self, cell, resources, index):
        """Run a cell, and say so where it ran out of time."""
        self.running = index
        cell, resources = super().preprocess_cell(cell, resources, index)
        if any(output.get("ename") == "CellTimeoutError" for output in cell.get("outputs", [])):
            _flag(self.found, "timeout", f"Cell {index + 1} ran longer than {self.timeout} s and was stopped.")
        return cell, resources

    def process_message(self, msg, cell, cell_index):
        """Take a message of the kernel, up to the limits; leave out what nbgrader would misread in a test."""
        content, kind = msg["content"], msg["msg_type"]
        if is_grade(cell) and (kind == "execute_result" or content.get("name") == "stderr"):
            return None  # nbgrader would take the one for partial points, the other for a failure
        if kind == "error":
            content["evalue"] = content["evalue"][:STORED_LIMIT]
            content["traceback"] = [line[:STORED_LIMIT] for line in content["traceback"][:50]]
        before = self.received.get(cell_index, 0)
        if kind in ("stream", "display_data", "execute_result", "update_display_data"):
            size = len(content.get("text", "")) + sum(len(str(part)) for part in content.get("data", {}).values())
            self.received[cell_index] = before + size
            if before <= OUTPUT_LIMIT < before + size:
                _flag(self.found, "flood", f"Cell {cell_index + 1} wrote more than {OUTPUT_LIMIT:,} characters; cut.")
                self.interrupt = asyncio.ensure_future(self.km.interrupt_kernel())
            if kind == "stream":
                content["text"] = content["text"][: max(0, STORED_LIMIT - before)]
            if before + size > OUTPUT_LIMIT or content.get("text") == "":
                return None
        return super().process_message(msg, cell, cell_index)

    def _judge(self, canaries, nonce):
        messages = {label: _error_with(nonce, cell) for label, cell in canaries.items()}
        if hidden := ", ".join(label for label, message in messages.items() if message is None):
            note = f"Checks that must fail did not ({hidden}): errors are hidden. Read it."
            _flag(self.found, "canary passed", note)
        if names := (messages["origin"] or ":").split(":", 1)[1]:
            _flag(self.found, "canary passed", f"It replaced what the tests use: {names}. Read it.")


def _error_with(nonce, cell):
    errors = [output.get("evalue", "") for output in cell.outputs if output.output_type == "error"]
    return next((message for message in errors if nonce in message), None)


def _enter(course, name, marks):
    """Put the teacher's marks ({grade_id: {points, comment}}) into the gradebook."""
    with Gradebook(course.db_url) as gradebook:
        for key, mark in marks.items():
            grade = gradebook.find_grade(key, name, name, STUDENT)
            grade.manual_score, grade.needs_manual_grade = mark["points"], False
            gradebook.find_comment(key, name, name, STUDENT).manual_comment = mark["comment"]
        gradebook.db.commit()


def _grades(course, name):
    """Return score, max, manual (points that wait for a person) and the same for each question ({grade_id: ...})."""
    questions = {}
    with Gradebook(course.db_url) as gradebook:
        for grade in gradebook.find_submission_notebook(name, name, STUDENT).grades:
            waits = bool(grade.needs_manual_grade or (grade.auto_score is None and grade.manual_score is None))
            manual, score = (grade.max_score, 0.0) if waits else (0.0, grade.score)
            questions[grade.name] = {"score": score, "max": grade.max_score, "manual": manual}
    totals = {key: sum(each[key] for each in questions.values()) for key in ("score", "max", "manual")}
    return {**totals, "questions": questions}


def _flag(found, flag, note):
    if flag not in found["flags"]:
        found["flags"].append(flag)
    found["notes"].append(note)
