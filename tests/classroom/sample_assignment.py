"""A small assignment for tests, in nbgrader's source format: two coding questions and a short answer."""

import nbformat

v4 = nbformat.v4
RIGHT = {
    "double": "def double(values):\n    return 2 * np.asarray(values)",
    "spread": "def spread(values):\n    return max(values) - min(values)",
    "why": "Its last digit is even.",
}


def nbgrader(grade_id, **more):
    """Return the metadata that nbgrader's toolbar would write."""
    given = {"schema_version": 3, "grade": False, "solution": False, "locked": False, "task": False}
    return {"nbgrader": {**given, "grade_id": grade_id, **more}}


def code(name, source):
    """Return a code cell that nbgrader does not know."""
    return v4.new_code_cell(source, id=name)


def given(name, source):
    """Return a read-only cell, the set-up for instance."""
    return v4.new_code_cell(source, id=name, metadata=nbgrader(name, locked=True))


def prose(name, source):
    """Return a Markdown cell."""
    return v4.new_markdown_cell(source, id=name)


def solution(name, source, before=""):
    """Return a cell that students fill in; source is what they do not see, before what they do."""
    source = f"{before}### BEGIN SOLUTION\n{source}\n### END SOLUTION"
    return v4.new_code_cell(source, id=name, metadata=nbgrader(name, solution=True))


def tests(name, visible, hidden, points):
    """Return a cell of tests with a hidden part."""
    source = f"{visible}\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
    return v4.new_code_cell(source, id=name, metadata=nbgrader(name, grade=True, locked=True, points=points))


def answer(name, model, scheme, points):
    """Return a short answer that a person marks, with a model answer and the marking scheme."""
    source = (
        f"### BEGIN SOLUTION\n{model}\n\n=== BEGIN MARK SCHEME ===\n{scheme}\n=== END MARK SCHEME ===\n### END SOLUTION"
    )
    return v4.new_markdown_cell(source, id=name, metadata=nbgrader(name, grade=True, solution=True, points=points))


def assignment(*cells):
    """Return a source notebook of cells."""
    made = v4.new_notebook(cells=list(cells))
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return made


def sample(setup="import numpy as np"):
    """Return the sample: 3 and 2 points by tests, 2 by a person."""
    return assignment(
        prose("title", "# A sample"),
        given("setup", setup),
        prose("ask-double", "Write `double`."),
        solution("double", RIGHT["double"]),
        tests(
            "double-test",
            "assert double([1])[0] == 2",
            "np.testing.assert_allclose(double([1, 5]), [2, 10])\nassert isinstance(double([1]), np.ndarray)",
            3,
        ),
        prose("ask-spread", "Write `spread`: the largest value less the smallest."),
        solution("spread", RIGHT["spread"]),
        tests("spread-test", "assert spread([1, 4]) == 3", "assert all(spread([x, 0]) == abs(x) for x in (-2, 3))", 2),
        prose("ask-why", "Why is 12 even?"),
        answer("why", "Its last digit is even.", "Two points: names the last digit, or division by two.", 2),
    )


def answered(release, answers=RIGHT):
    """Return a released notebook (str) with a student's answers ({grade_id: source}) in it."""
    notebook = nbformat.reads(release, 4)
    for cell in notebook.cells:
        key = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = answers.get(key, cell.source)
    return notebook
