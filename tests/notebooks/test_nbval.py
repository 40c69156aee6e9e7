"""The two corrections of nbval in tests/conftest.py: without them strict mode would fail on what no reader sees."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

v4 = nbformat.v4
pytestmark = pytest.mark.tensorflow  # the kernel is what takes long


def executed(source, *outputs, number):
    """Return a code cell as it stands in a committed notebook."""
    return v4.new_code_cell(source, id=f"cell-{number}", execution_count=number, outputs=list(outputs))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Return what pytest --nbval says of a notebook, with this folder's conftest.py."""
    cells = [
        executed("import sys; print('to a log', file=sys.stderr)", number=1),
        executed("1 + 1;", number=2),
        executed("print('new')", v4.new_output("stream", name="stdout", text="old\n"), number=3),
        executed("2 + 2", v4.new_output("execute_result", {"text/plain": "4"}, execution_count=4), number=4),
    ]
    made = v4.new_notebook(cells=cells)
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    folder = tmp_path_factory.mktemp("nbval")
    nbformat.write(made, folder / "lesson.ipynb")
    here = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "-p", "conftest", "-p", "no:cacheprovider", "-rA", "lesson.ipynb"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])},
        capture_output=True,
        text=True,
    )
    return done.stdout


@pytest.mark.parametrize("cell", [0, 1, 3], ids=["stderr", "semicolon", "same"])
def test_a_cell_whose_reader_sees_what_is_stored_passes(report, cell):
    assert f"PASSED lesson.ipynb::Cell {cell}" in report


def test_a_cell_that_prints_something_else_still_fails(report):
    assert "FAILED lesson.ipynb::Cell 2" in report
