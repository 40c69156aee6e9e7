"""Lessons in JupyterLab, in a browser: Run All ends without an error, answers unfold, a bar stands still at its end."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest

from course.paths import BUILD, NOTEBOOKS, ROOT, lessons

pytestmark = pytest.mark.tensorflow
QUIET = {"fetchNews": "false", "checkForUpdates": False}  # or Lab asks hosts on the web
RUN_ALL = """async () => {
  const app = window.jupyterapp;
  await app.restored;
  const panel = app.shell.currentWidget;
  await panel.context.ready;
  await panel.sessionContext.ready;
  await app.commands.execute("notebook:run-all-cells");
  return panel.content.widgets.filter(cell => cell.model.type === "code").map(cell => ({
    source: cell.model.sharedModel.getSource(),
    count: cell.model.executionCount,
    outputs: cell.model.outputs.toJSON(),
  }));
}"""
# Photos drawn now, so that their vectors aren't kept from an earlier run, and a bar is shown.
BAR = "import time; features.extract(photos.subsample(plants, 3, seed=time.time_ns() % 2**32), 'mobilenet_v2');"
EVERY_DAY = "00_start_here"
LESSONS = [pytest.param(p, marks=[] if p.stem == EVERY_DAY else pytest.mark.long, id=p.stem) for p in lessons()]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Start JupyterLab on a copy of the lessons; give its address and its token."""
    folder, home = BUILD / "lab", tmp_path_factory.mktemp("lab")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(NOTEBOOKS, folder / "notebooks")  # beside build/, as some lessons write to ../build
    (folder / "data").symlink_to(ROOT / "data")
    _append(folder / "notebooks" / f"{EVERY_DAY}.ipynb", BAR)
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(QUIET))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    names = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "spaces", "JUPYTER_RUNTIME_DIR": "run"}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--ServerApp.root_dir={folder}", f"--IdentityProvider.token={token}", "--ServerApp.port_retries=0"]
    command += ["--LabApp.expose_app_in_browser=True"]
    env = os.environ | {name: str(home / part) for name, part in names.items()}
    with open(home / "log", "w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(240):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/api?token={token}", timeout=2)
                break
            assert server.poll() is None, (home / "log").read_text()
            time.sleep(0.5)
        yield address, token
    finally:
        server.terminate()
        server.wait(30)


def _append(path, source):
    notebook = nbformat.read(path, 4)
    notebook.cells.append(nbformat.v4.new_code_cell(source))
    nbformat.write(notebook, path)


@pytest.fixture
def panel(browser, lab, request):
    """Open a lesson in JupyterLab, and give the page."""
    address, token = lab
    page = browser.new_page(viewport={"width": 1280, "height": 1600})
    page.set_default_timeout(600_000)
    page.goto(
        f"{address}/lab/workspaces/{secrets.token_hex(4)}/tree/notebooks/{request.param.name}?reset&token={token}"
    )
    page.locator(".jp-NotebookPanel:visible .jp-CodeCell").first.wait_for()
    yield page
    page.close()


@pytest.mark.parametrize("panel", LESSONS, indirect=True)
def test_a_lesson_runs_from_its_first_cell_to_its_last(panel):
    cells = panel.evaluate(RUN_ALL)
    errors = [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
    assert [f"{error['ename']}: {error['evalue']}" for error in errors] == []
    assert [cell["source"] for cell in cells if cell["source"].strip() and cell["count"] is None] == []
    answer = panel.locator(".jp-NotebookPanel:visible details").first
    answer.scroll_into_view_if_needed()
    answer.locator("> summary").click()
    assert answer.get_attribute("open") is not None
    if cells[-1]["source"] == BAR:
        bar = panel.locator(".jp-NotebookPanel:visible .jp-CodeCell").last.locator("pre", has_text="100%")
        bar.wait_for(state="attached")
        there = bar.text_content()
        panel.wait_for_timeout(1500)
        assert bar.text_content() == there
        assert len(there.strip().splitlines()) == 1
