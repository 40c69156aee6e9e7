"""Run lessons 04 and 05 at full size: python -m bench.full_size [LESSON ...] [--photos FOLDER].

The executed notebooks go to notebooks/full_size, without a photo, and their metrics to the table in docs/full_size.md.
With --photos the sets are read from FOLDER/flowers_3000, FOLDER/maize_lab, FOLDER/maize_field and so on.
With --texts nothing runs: the notebooks get the lessons' text cells as they are now, if the code is still the same.
"""

import argparse
import json
import os
import re
from pathlib import Path

import nbformat
import papermill

from course import paths, refresh
from course.run import CROPS, FULL
from helpers import report

KEPT, PAGE = paths.NOTEBOOKS / "full_size", paths.ROOT / "docs" / "full_size.md"


def execute(stem, target, photos=None, **others):
    """Run a lesson at full size into a notebook file and return it, and where the time went.

    Args:
        stem: the lesson, such as "04_species".
        target: path of the executed notebook.
        photos: folder of the sets; None loads them by name.
        others: further parameters of the lesson.

    Returns:
        the notebook, and {"minutes": by the clock, "cpu_minutes": of all cores together}.
    """
    parameters = FULL[stem] | others
    if photos and stem == "04_species":
        parameters |= {"photo_set": str(photos / "flowers_3000")}
    elif photos:
        parameters |= {"photo_set": str(photos / "{crop}_lab"), "field_set": str(photos / "{crop}_field")}
    lesson, start = paths.NOTEBOOKS / f"{stem}.ipynb", os.times()
    papermill.execute_notebook(lesson, target, parameters, cwd=paths.NOTEBOOKS, kernel_name="python3")
    user, system, elapsed = (after - before for after, before in zip(os.times()[2:], start[2:], strict=True))
    return nbformat.read(target, 4), {"minutes": round(elapsed / 60), "cpu_minutes": round((user + system) / 60)}


def keep(stem, notebook, spent):
    """Write a run to notebooks/full_size: no photo, no path, and where and how long it ran."""
    notebook = refresh.clean(notebook, notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_links(cell.source)
        if _injected(cell):
            cell.source = "\n".join(f"{name} = {json.dumps(value)}" for name, value in FULL[stem].items())
        cell.metadata = nbformat.from_dict({"tags": tags} if (tags := cell.metadata.get("tags")) else {})
        for output in cell.get("outputs", []):
            if re.match(r"\d+ photos? of|A photo", output.get("data", {}).get("text/plain", "")):
                output.data.pop("image/png", None)
    notebook.metadata["full_size"] = spent
    KEPT.mkdir(exist_ok=True)
    nbformat.write(notebook, KEPT / f"{stem}.ipynb")


def renew_texts(stem):
    """Give a kept run the lesson's text cells as they are now; ValueError if the lesson's code has changed since."""
    lesson, kept = (nbformat.read(folder / f"{stem}.ipynb", 4) for folder in (paths.NOTEBOOKS, KEPT))
    ran = [cell for cell in kept.cells if cell.cell_type == "code"]
    code = [cell for cell in lesson.cells if cell.cell_type == "code"]
    if [cell.source for cell in code] != [cell.source for cell in ran if not _injected(cell)]:
        raise ValueError(f"the code of {stem} has changed since its run at full size; run it again")
    cells = iter(ran)
    kept.cells = []
    for cell in lesson.cells:
        if cell.cell_type == "markdown":
            cell.source = with_links(cell.source)
        kept.cells.append(next(cells) if cell.cell_type == "code" else cell)
        if "parameters" in cell.metadata.get("tags", []):
            kept.cells.append(next(cells))
    nbformat.write(kept, KEPT / f"{stem}.ipynb")


def with_links(text):
    """Return a lesson's text (str) with its relative links as they lead from one folder below."""
    return re.sub(r"\]\((?!\w+:|#)", "](../", text)


def _injected(cell):
    return "injected-parameters" in cell.metadata.get("tags", [])


def table(stem):
    """Return a kept run's metrics as a table (Markdown)."""
    notebook = json.loads((KEPT / f"{stem}.ipynb").read_text())
    spent, metrics = notebook["metadata"]["full_size"], report.metrics_of(notebook)["metrics"]
    cpu = f" ({spent['cpu_minutes']} minutes of CPU time)" if "cpu_minutes" in spent else ""
    lines = [f"{spent['minutes']} minutes on {spent['machine']}{cpu}.", ""]
    metrics = {name: row for name, row in metrics.items() if row["low"] is not None}
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


def kept():
    """Return the lessons (list of str) whose run at full size is kept."""
    return [stem for stem in FULL if (KEPT / f"{stem}.ipynb").exists()]


def with_tables(page):
    """Return the page (str) with its tables as the kept runs have them."""
    for stem in kept():
        before, rest = page.split(f"<!-- {stem} -->")
        page = f"{before}<!-- {stem} -->\n{table(stem)}<!-- end of {stem} -->{rest.split(f'<!-- end of {stem} -->')[1]}"
    return page


def main():
    """Run the lessons that are named, or both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="*", choices=[*FULL, []], help="04_species, 05_disease; both by default")
    parser.add_argument("--photos", type=Path, help="folder of the photo sets; by default they are loaded by name")
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores", help="what the page says of this machine")
    parser.add_argument("--texts", action="store_true", help="run nothing, renew the text cells of the runs")
    given = parser.parse_args()
    paths.BUILD.mkdir(exist_ok=True)
    for stem in given.lessons or FULL:
        if given.texts:
            renew_texts(stem)
        else:
            notebook, spent = execute(stem, paths.BUILD / f"{stem}_full_size.ipynb", given.photos)
            keep(stem, notebook, spent | {"machine": given.machine})
    PAGE.write_text(with_tables(PAGE.read_text()))


if __name__ == "__main__":
    main()
