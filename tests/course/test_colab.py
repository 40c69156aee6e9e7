"""The cell that docs/platforms.md gives for Colab, in an environment like Colab's: the lesson below it runs."""

import json
import os
import re
import shutil
import subprocess

import nbformat
import pytest
from nbclient import NotebookClient

from course.paths import NOTEBOOKS, ROOT

pytestmark = [pytest.mark.long, pytest.mark.network, pytest.mark.tensorflow]
# What of Colab's own list matters here, in June 2026 (pip-freeze.gpu.txt of googlecolab/backend-info at 03a8903), but
# for tensorflow-cpu in the place of tensorflow. Its Python is 3.12.
COLAB = """
    tensorflow-cpu==2.20.0 tf-keras==2.20.0 keras==3.13.2 numpy==2.0.2 protobuf==5.29.6 h5py==3.16.0
    tensorflow-hub==0.16.1 tensorflow-text==2.20.1
    pandas==2.2.2 scipy==1.16.3 scikit-learn==1.6.1 threadpoolctl==3.6.0 pillow==11.3.0 matplotlib==3.10.0
    safetensors==0.7.0 sentencepiece==0.2.1 tqdm==4.67.3 pooch==1.9.0 filelock==3.29.0 packaging==26.2
    setuptools==75.2.0 ipykernel==6.17.1 ipython==7.34.0 jupyter-client==7.4.9 pyzmq==26.2.1 nbformat==5.10.4
    pip==24.1.2
"""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """Return a folder of kernels with one, colab, in an environment of its own; skip where it can't be made."""
    uv = shutil.which("uv") or ROOT / ".uv" / "bin" / "uv"
    folder = tmp_path_factory.mktemp("colab")
    python = folder / "env" / "bin" / "python"
    make = ([uv, "venv", "--quiet", python.parent.parent], [uv, "pip", "install", "--quiet", "--python", python])
    for command in (make[0], [*make[1], *COLAB.split()]):
        try:
            subprocess.run(command, check=True, cwd=ROOT)  # whose pyproject.toml keeps `tensorflow` from the -cpu one
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no environment like Colab's: {error}")
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = folder / "kernels" / "colab" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": argv, "language": "python", "display_name": "", "env": {"PATH": path}}))
    return folder


@pytest.mark.parametrize("name", ["00_start_here"])
def test_a_lesson_runs_below_the_cell(kernels, monkeypatch, tmp_path, name):
    section = (ROOT / "docs" / "platforms.md").read_text().split("## In Colab")[1].split("\n## ")[0]
    cell = "\n".join(re.findall(r"^    (.+)$", section, re.M)).replace("/content", str(tmp_path))
    cell = cell.replace("https://github.com/OWNER/NAME", ROOT.as_uri())
    lesson = nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4)
    lesson.cells.insert(0, nbformat.v4.new_code_cell(cell))
    monkeypatch.setenv("JUPYTER_PATH", str(kernels))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    NotebookClient(lesson, timeout=900, kernel_name="colab", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "course" / "notebooks" / f"{name}.ipynb").exists()
