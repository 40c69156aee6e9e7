"""What the classroom's tests share: the sample assignment as students get it, and folders of what they hand in."""

import nbformat
import pytest
from sample_assignment import answered, sample

from classroom import release as releasing


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    """Return what nbgrader makes of the sample: (students' notebook, gradebook)."""
    source = tmp_path_factory.mktemp("sample") / "sample.ipynb"
    nbformat.write(sample(), source)
    releases, gradebook = releasing.generated([source])
    return releases["sample"], gradebook


@pytest.fixture
def handed_in(tmp_path, release):
    """Give a function that writes files, {path: notebook as str, or None for the solved sample}, and its folder."""
    folder = tmp_path / "handed in"
    folder.mkdir()

    def write(files):
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(nbformat.writes(answered(release[0])) if text is None else text)
        return folder

    return write
