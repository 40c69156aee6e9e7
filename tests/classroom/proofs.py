"""Run an assignment in this process, as nbgrader scores it: a test passes if its cell raises nothing."""

import contextlib
import copy
import io
import warnings

import numpy as np
import pandas as pd
from nbgrader.utils import is_grade, is_solution

PLAIN = (list, dict, set, bytearray, np.ndarray, pd.DataFrame, pd.Series)  # what a cell may change in place


def run(cells, namespace):
    """Run code cells in a namespace (dict); return {grade_id: error or None} of the tests among them."""
    passed = {}
    for cell in cells:
        if cell.cell_type != "code":
            continue
        error = None
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                exec(compile(cell.source, f"<{cell.id}>", "exec"), namespace)
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
        if is_grade(cell):
            passed[cell.metadata.nbgrader.grade_id] = error
        elif error and not is_solution(cell):
            raise AssertionError(f"the cell {cell.id}, which is no answer, fails: {error}")
    return passed


def started():
    """Return a fresh namespace, with what a notebook has from the start."""
    import matplotlib
    from IPython.display import display

    matplotlib.use("Agg")
    warnings.simplefilter("ignore")
    return {"__name__": "__main__", "display": display}


def prove(source, answers):
    """Return how a source notebook's own solutions score, and how every other answer does.

    answers: {grade_id of a solution cell: {"right": [code, ...], "wrong": [code, ...]}}, and "tests": [grade_id, ...]
    where a question's tests are not those that stand between its solution and the next.
    Returns ({test: error or None}, [(question, "right" or "wrong", number, {test: error or None}), ...]). Each answer
    runs where the notebook has come to its question; then names and plain data are as before, and the notebook goes on.
    """
    cells, namespace = [cell for cell in source.cells if cell.cell_type == "code"], started()
    reference, others = {}, []
    for index, cell in enumerate(cells):
        question = cell.metadata.get("nbgrader", {}).get("grade_id")
        if question in answers:
            until = _last_test(cells, index, answers[question].get("tests"))
            after = {"right": cells[index + 1 : until], "wrong": cells[index + 1 : until]}
            while not is_grade(after["wrong"][-1]):  # what is given for the next question needs no wrong answers
                after["wrong"].pop()
            for kind in ("right", "wrong"):
                for number, code in enumerate(answers[question][kind], 1):
                    before = {name: _copied(value) for name, value in namespace.items()}
                    variant = copy.deepcopy(cell)
                    variant.source = code
                    found = run([variant, *after[kind]], namespace)
                    others.append((question, kind, number, found))
                    namespace.clear()
                    namespace.update(before)
        reference |= run([cell], namespace)
    return reference, others


def _last_test(cells, index, tests):
    """Where a question ends: after its last test."""
    for end, cell in enumerate(cells[index + 1 :], index + 1):
        if tests and cell.metadata.get("nbgrader", {}).get("grade_id") == tests[-1]:
            return end + 1
        if not tests and is_solution(cell):
            return end
    return len(cells)


def _copied(value):
    if type(value) in PLAIN:
        with contextlib.suppress(Exception):  # a dict may hold what can't be copied, a loaded module
            return copy.deepcopy(value)
    return value


def with_tests(release, source):
    """Return a released notebook with the hidden tests back in, as nbgrader's autograde has it."""
    made = copy.deepcopy(release)
    tests = {cell.metadata.nbgrader.grade_id: cell.source for cell in source.cells if is_grade(cell)}
    for cell in made.cells:
        if is_grade(cell) and not is_solution(cell):
            cell.source = tests[cell.metadata.nbgrader.grade_id]
    return made
