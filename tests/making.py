"""Small things that several tests make: notebooks that stand for lessons, features that stand for photos."""

import nbformat
import numpy as np

v4 = nbformat.v4


def notebook(*cells):
    """Return a notebook of cells (str for code, or NotebookNode)."""
    made = v4.new_notebook(cells=[v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return made


def blobs(classes=3, each=20, apart=4.0, seed=0):
    """Return (features [n, 5], labels [n]) of Gaussian blobs; apart=0 makes noise of them."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    centres = draw.normal(size=(classes, 5))
    centres *= apart / np.linalg.norm(centres, axis=1, keepdims=True)
    return centres[labels] + draw.normal(size=(len(labels), 5)), labels
