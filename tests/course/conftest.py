"""What the tests of the commands share: small lessons in the place of the course's own."""

import nbformat
import pytest

from course import paths, run


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    """Give a function that puts {file name: notebook} in the place of the course's lessons; nothing is prepared."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(paths, "NOTEBOOKS", folder)
    monkeypatch.setattr(run, "BUILD", tmp_path / "build")
    monkeypatch.setattr(run, "prepare", lambda: None)
    monkeypatch.delenv("TIMINGS", raising=False)

    def put(**notebooks):
        for name, made in notebooks.items():
            nbformat.write(made, folder / f"{name.lstrip('_')}.ipynb")
        return folder

    return put
