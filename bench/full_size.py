"""Run lessons 04 and 05 at full size: python -m bench.full_size [LESSON ...] [--photos FOLDER].

The executed notebooks go to notebooks/full_size, without a photo, and their metrics to the table in docs/full_size.md.
With --photos the sets are read from FOLDER/flowers_3000, FOLDER/maize_lab, FOLDER/maize_field and so on.
"""

import argparse
import json
import os
import re
import time
from pathlib import Path

import nbformat
import papermill

from course import paths, refresh
from helpers import report

KEPT, PAGE = paths.NOTEBOOKS / "full_size", paths.ROOT / "docs" / "full_size.md"
RUNS = {
    "04_species": {"photo_set": "flowers_3000", "epochs": 40, "sizes": [10, 50, 100, 200]},
    "05_disease": {"crop": "all", "image_size": 128, "tuning_epochs": 3},
}
CROPS = ["maize", "apple", "grape", "pepper", "potato", "tomato"]
SETS = ["flowers_3000", *(f"{crop}_{side}" for crop in CROPS for side in ("lab", "field"))]


def execute(stem, target, photos=None, **others):
    """Run a lesson at full size into a notebook file and return it with its seconds.

    Args:
        stem: the lesson, such as "04_species".
        target: path of the executed notebook.
        photos: folder of the sets; None loads them by name.
        others: further parameters of the lesson.

    """
    parameters = RUNS[stem] | others
    if photos and stem == "04_species":
        parameters |= {"photo_set": str(photos / "flowers_3000")}
    elif photos:
        parameters |= {"photo_set": str(photos / "{crop}_lab"), "field_set": str(photos / "{crop}_field")}
    lesson, start = paths.NOTEBOOKS / f"{stem}.ipynb", time.monotonic()
    papermill.execute_notebook(lesson, target, parameters, cwd=paths.NOTEBOOKS, kernel_name="python3")
    return nbformat.read(target, 4), time.monotonic() - start


def keep(stem, notebook, seconds, machine):
    """Write a run to notebooks/full_size: no photo, no path, and where and how long it ran."""
    notebook = refresh.clean(notebook, notebook)
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.source = "\n".join(f"{name} = {value!r}" for name, value in RUNS[stem].items())
        cell.metadata = nbformat.from_dict({"tags": tags} if (tags := cell.metadata.get("tags")) else {})
        for output in cell.get("outputs", []):
            if re.match(r"\d+ photos of|A photo", output.get("data", {}).get("text/plain", "")):
                output.data.pop("image/png", None)
    notebook.metadata["full_size"] = {"minutes": round(seconds / 60), "machine": machine}
    KEPT.mkdir(exist_ok=True)
    nbformat.write(notebook, KEPT / f"{stem}.ipynb")


def table(stem):
    """Return a kept run's metrics as a table (Markdown)."""
    notebook = json.loads((KEPT / f"{stem}.ipynb").read_text())
    where, metrics = notebook["metadata"]["full_size"], report.metrics_of(notebook)["metrics"]
    lines = [f"{where['minutes']} minutes on {where['machine']}.", ""]
    if stem == "05_disease":
        names = [name.removeprefix("maize_") for name in metrics if name.startswith("maize_")]
        lines += ["| balanced accuracy | " + " | ".join([*CROPS, "mean"]) + " |", "|---" * (len(CROPS) + 2) + "|"]
        for name in names:
            row = [metrics.get(f"{crop}_{name}") for crop in CROPS] + [metrics.get(name)]
            lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(_cell(each) for each in row) + " |")
    else:
        lines += ["| metric | value [95% interval] | n |", "|---|---|---|"]
        lines += [f"| {name.replace('_', ' ')} | {_cell(row)} | {row['n']:,} |" for name, row in metrics.items()]
    return "\n".join(lines) + "\n"


def _cell(metric):
    return "" if metric is None else "{value:.3f} [{low:.3f} {high:.3f}]".format(**metric)


def with_tables(page):
    """Return the page (str) with its tables as the kept runs have them."""
    for stem in RUNS:
        before, rest = page.split(f"<!-- {stem} -->")
        page = f"{before}<!-- {stem} -->\n{table(stem)}<!-- end of {stem} -->{rest.split(f'<!-- end of {stem} -->')[1]}"
    return page


def main():
    """Run the lessons that are named, or both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="*", choices=[*RUNS, []], help="04_species, 05_disease; both by default")
    parser.add_argument("--photos", type=Path, help="folder of the photo sets; by default they are loaded by name")
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores", help="what the page says of this machine")
    given = parser.parse_args()
    for stem in given.lessons or RUNS:
        paths.BUILD.mkdir(exist_ok=True)
        keep(stem, *execute(stem, paths.BUILD / f"{stem}_full_size.ipynb", given.photos), given.machine)
    PAGE.write_text(with_tables(PAGE.read_text()))


if __name__ == "__main__":
    main()
