"""Small notebooks, as lessons for the tests of the commands."""

import nbformat

v4 = nbformat.v4


def notebook(*cells):
    """Return a notebook of cells (str for code, or NotebookNode)."""
    made = v4.new_notebook(cells=[v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return made
