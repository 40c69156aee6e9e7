"""python -m course refresh: run lessons in place, as they are committed."""

import base64
import datetime
import importlib.metadata
import os
import platform
import time

from course.paths import ROOT, lessons
from course.prepare import prepare
from course.run import lacking
from sources import cache

TIMED = ("retrained_over_frozen",)  # metrics of lessons that compare the seconds of two trainings


def with_claims(page):
    """Return a page's text (str) with its table of claims as it is now."""
    from helpers import report

    before, rest = page.split("<!-- claims -->")
    after = rest.split("<!-- end of claims -->")[1]
    return f"{before}<!-- claims -->\n{report.claims()}<!-- end of claims -->{after}"


def refresh_all(names):
    """Run lessons in place, then renew what other lessons and docs/claims.md take from them."""
    prepare()
    for path in lessons(names):
        if what := lacking(path.stem):
            print(f"{path.stem} stays as it is: it {what}.", flush=True)
        else:
            refresh(path)
    for path in lessons():
        _renew_claims(path)
    page = ROOT / "docs" / "claims.md"
    cache.replace(page, with_claims(page.read_text("utf-8")).encode())


def _renew_claims(path):
    """Bring a lesson's stored claims table up to date: a lesson that ran after it may have moved a figure."""
    import nbformat

    from helpers import report

    notebook = nbformat.read(path, 4)
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if shown := output.get("metadata", {}).get("course", {}).get("claims"):
            table = report.claims("" if shown == "all" else shown)
            output.data = nbformat.from_dict({"text/markdown": table, "text/plain": table})
    _write(notebook, path)


def refresh(path):
    """Run a lesson in place so that a second run on this machine gives the same file."""
    import nbformat
    from nbclient import NotebookClient

    stored = nbformat.read(path, 4)
    fresh = nbformat.from_dict(stored)
    print(path.stem, flush=True)
    start, where = time.monotonic(), {"metadata": {"path": str(path.parent)}}
    NotebookClient(fresh, timeout=900, kernel_name="python3", record_timing=False, resources=where).execute()
    _save_figures(fresh, path.parent / "figures")
    seconds, fresh = time.monotonic() - start, clean(fresh, stored)
    fresh.metadata["course"] = {"ran": record(seconds, fresh, stored)}
    _write(fresh, path)


def _write(notebook, path):
    import nbformat

    cache.replace(path, (nbformat.writes(notebook).rstrip("\n") + "\n").encode())


def record(seconds, fresh, stored):
    """Return the day, the seconds and the machine of a run (dict); those of the stored run, if it shows the same."""
    kept = stored.metadata.get("course", {}).get("ran")
    if kept and fresh.cells == stored.cells and not os.environ.get("TIMINGS"):
        return kept
    (tensorflow, *_) = importlib.metadata.packages_distributions()["tensorflow"]  # -cpu, or without
    on = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    on += f", TensorFlow {importlib.metadata.version(tensorflow)}, Keras {importlib.metadata.version('keras')}"
    return {"day": datetime.date.today().isoformat(), "seconds": round(seconds), "on": on}


def _save_figures(notebook, folder):
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if name := output.get("metadata", {}).get("course", {}).get("save"):
            folder.mkdir(exist_ok=True)
            cache.replace(folder / name, base64.b64decode(output.data["image/png"]))


def clean(fresh, stored):
    """Return a run notebook without what differs from run to run or may not be published."""
    import nbformat

    fresh.metadata = nbformat.from_dict(
        {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        }
        | {name: kept for name, kept in stored.metadata.items() if name == "course"}
    )
    before = {cell.id: cell.get("outputs") for cell in stored.cells}
    for cell in fresh.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        outputs = _joined([_published(output) for output in cell.outputs if output.get("name") != "stderr"])
        if "timing" in cell.metadata.get("tags", []) and before.get(cell.id) and not os.environ.get("TIMINGS"):
            outputs = before[cell.id]
        cell.outputs = outputs
    if not os.environ.get("TIMINGS"):
        _keep_times(fresh, stored)
    return fresh


def _keep_times(fresh, stored):
    """Give metrics that are made of seconds their stored values: they differ from run to run."""
    from helpers import report

    before, now = (report.metrics_of(run).get("metrics", {}) for run in (stored, fresh))
    now.update({name: before[name] for name in TIMED if name in now and name in before})


def _joined(outputs):
    """Join neighbours of one stream: whether a note on stderr once parted them is no part of a lesson."""
    joined = []
    for output in outputs:
        if joined and output.output_type == "stream" and output.get("name") == joined[-1].get("name"):
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _published(output):
    if output.output_type in {"display_data", "execute_result"}:
        output.data.pop("application/vnd.jupyter.widget-view+json", None)
        if output.metadata.get("course", {}).get("publish") is False and "image/png" in output.data:
            alt = output.data["text/plain"]
            output.data = {
                "text/plain": f"[Shown when you run this cell: {alt} Their licence does not let us publish them here.]"
            }
    return output
