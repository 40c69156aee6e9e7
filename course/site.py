"""python -m course site: the website, built from the pages and the lessons as they ran. Nothing is executed.

What Sphinx reads is a copy in build/site-source, in which links that leave the site are set right and each lesson has
a line with its download and its last run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

from course.paths import BUILD, ROOT, CourseError

PARTS = {  # the site's contents; a page is in the first part that names it
    "Lessons": ["notebooks/[0-9]*.ipynb", "docs/try.md"],
    "Reference": ["docs/claims.md", "docs/glossary.md", "docs/modules.md", "data/README.md"],
    "Results and costs": ["docs/full_size.md", "docs/intervals.md", "bench/README.md"],
    "HubLayer alone": ["hub_layer/README.md", "docs/migrate.md"],
    "For teachers": ["docs/teaching*.md"],
    "Setting up": ["docs/platforms.md", "docs/settings.md", "docs/sources.md"],
    "The project": ["CONTRIBUTING.md", "docs/maintaining.md", "docs/*.md", "CHANGELOG.md", "THIRD_PARTY.md"],
}
LINK = re.compile(r"(!?)\[((?:[^][]|\[[^]]*\])*)\]\(([^)\s]+)\)")
TERM = re.compile(r"^\| ([^|]+?) \| .* \| \[\d\d\]\(\.\./(notebooks/[^)]+)\) \|$", re.M)
METRICS = "application/vnd.plants.metrics+json"  # for machines; the words beside it are shown
RUNS = """`python -m course refresh` runs a lesson from its first cell to its last and keeps what it shows. If anything
changes, it also keeps the day, the minutes and the machine, and this table is made of these. The minutes are the
computer's; the [start page](index.md) has a reader's."""
BINDER = ("00", "01", "02", "03")  # what fits into Binder's 2 GB


def site():
    """Build the website into build/site; say how large it is and how long it took.

    Raises:
        CourseError: a page can't be published as it is. The message names every fault.
    """
    start, source, target = time.monotonic(), BUILD / "site-source", BUILD / "site"
    for folder in (source, target):
        shutil.rmtree(folder, ignore_errors=True)
    stage(ROOT, source, repository())
    sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-b", "html"]
    if subprocess.run([*sphinx, "-c", ROOT / "docs", "-d", BUILD / "site-trees", source, target]).returncode:
        raise CourseError("the site can't be built; Sphinx's lines above name the pages.")
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"Built {size / 1e6:.0f} MB in {time.monotonic() - start:.0f} s: open {os.path.relpath(target)}/index.html")


def repository():
    """Return the repository's address (str), from which all others follow; empty while it has none."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["course"]["repository"].rstrip("/")


def stage(root, target, address):
    """Write what Sphinx reads.

    Args:
        root: the course's folder (Path).
        target: a folder that is empty or not there (Path).
        address: the repository's address (str). While it is empty, links to files that are no page become plain text.

    Raises:
        CourseError: a lesson has not run, a link leads nowhere, or a picture has no alt text; all are named.
    """
    parts = {
        part: list(dict.fromkeys(path for pattern in patterns for path in sorted(root.glob(pattern))))
        for part, patterns in PARTS.items()
    }
    pages = {path for paths in parts.values() for path in paths}
    terms, runs, faults = TERM.findall((root / "docs" / "glossary.md").read_text()), {}, []

    def linked(page, text):
        def link(match):
            picture, words, to = match.groups()
            name, file = page.relative_to(root), (page.parent / to.partition("#")[0]).resolve()
            if picture and not words.strip():
                faults.append(f"{name}: the picture {to} has no alt text.")
            if to.startswith("#") or re.match(r"[a-z]+:", to):
                return match[0]
            if not file.exists():
                faults.append(f"{name}: the link to {to} leads nowhere.")
            elif picture or (file.suffix in {".csv", ".ipynb"} and file not in pages):
                (target / file.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target / file.relative_to(root))
                return match[0] if picture else f"{{download}}`{words.strip('`')} <{to}>`"
            elif file == root / "README.md":
                return f"[{words}]({os.path.relpath(root / 'index.md', page.parent)})"
            elif file not in pages:
                return f"[{words}]({address}/blob/main/{file.relative_to(root)})" if address else words
            return match[0]

        return LINK.sub(link, text)

    for page in pages:
        if page.suffix == ".ipynb":
            lesson = json.loads(page.read_text())
            runs[page.stem] = lesson["metadata"].get("course", {}).get("ran")
            faults += _faults(page.relative_to(root), lesson)
            _dress(lesson, page, [term for term, first in terms if first == f"notebooks/{page.name}"], address)
            for cell in lesson["cells"]:
                if cell["cell_type"] == "markdown":
                    cell["source"] = linked(page, "".join(cell["source"]))
            _write(target / "downloads" / page.name, page.read_text())
            text = json.dumps(lesson)
        else:
            text = linked(page, page.read_text())
        if page.name == "glossary.md":
            text = re.sub(r"^\| ([^|]+?) (?=\| .* \[\d\d\]\()", lambda row: f"| [{row[1]}]{{#{_slug(row[1])}}} ", text, flags=re.M)
        _write(target / page.relative_to(root), text)
    _write(target / "runs.md", _runs_page(runs))
    trees = [_tree(part, [path.relative_to(root) for path in paths]) for part, paths in parts.items()]
    trees.append("```{toctree}\n:hidden:\nruns.md\n```")
    readme = root / "README.md"
    _write(target / "index.md", "\n".join([linked(readme, readme.read_text()), *trees]))
    if faults:
        raise CourseError("the site can't be built:\n" + "\n".join(sorted(faults)))


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _slug(term):
    return "term-" + re.sub(r"\W+", "-", term.lower())


def _tree(part, names):
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {part}", *map(str, names), "```", ""])


def _faults(name, lesson):
    """Return why a lesson (a notebook as JSON) can't be shown as it is, as sentences (list of str)."""
    code = [cell for cell in lesson["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]
    if any(cell["execution_count"] is None for cell in code) or not any(cell["outputs"] for cell in code):
        return [f"{name}: it has no outputs, or not all; `python -m course refresh {name.stem}` runs it."]
    found = []
    for number, cell in enumerate(lesson["cells"]):
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}) and not output["metadata"].get("image/png", {}).get("alt"):
                found.append(f"{name}: the picture in cell {number} has no alt text.")
    return found


def _dress(lesson, page, terms, address):
    """Add to a lesson what the site has beyond the notebook: a line below the title, alt texts where Sphinx reads them.

    A term of the glossary is linked to it where the lesson explains it, in bold.
    """
    for cell in lesson["cells"]:
        alts = [output.get("metadata", {}).get("image/png", {}).get("alt", "") for output in cell.get("outputs", [])]
        if any(alts):
            cell["metadata"]["mystnb"] = {"image": {"alt": " ".join(filter(None, alts))}}
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(METRICS, None)
        if cell["metadata"].get("jupyter", {}).get("source_hidden"):
            cell["metadata"]["tags"] = [*cell["metadata"].get("tags", []), "hide-input"]
    texts = [cell for cell in lesson["cells"] if cell["cell_type"] == "markdown"]
    for term in terms:
        bold = re.compile(rf"\*\*{re.escape(term)}\*\*", re.I)
        for cell in texts:
            text = "".join(cell["source"])
            if bold.search(text):
                cell["source"] = bold.sub(rf"[\g<0>](../docs/glossary.md#{_slug(term)})", text, count=1)
                break
    title, _, rest = "".join(texts[0]["source"]).partition("\n")
    doors = [f"{{download}}`Download this lesson <../downloads/{page.name}>`", *_doors(page, address)]
    if ran := lesson["metadata"].get("course", {}).get("ran"):
        doors.append(f"[ran on {ran['date']} in {_minutes(ran)} min](../runs.md)")
    texts[0]["source"] = f"{title}\n\n{' · '.join(doors)}\n\n{rest}"


def _doors(page, address):
    """Return links (list of str) that open a lesson elsewhere; none while the repository has no address."""
    if not address:
        return []
    name, path = address.removeprefix("https://github.com/"), f"notebooks/{page.name}"
    doors = [f"[Colab](https://colab.research.google.com/github/{name}/blob/main/{path})"]
    if page.name.startswith(BINDER):
        doors.append(f"[Binder](https://mybinder.org/v2/gh/{name}/main?urlpath=lab/tree/{path})")
    return [*doors, f"[source]({address}/blob/main/{path})"]


def _minutes(ran):
    return f"{ran['seconds'] / 60:.1f}"


def _runs_page(runs):
    """Return the page (Markdown) of when each lesson last ran; runs: {lesson: what `refresh` recorded, or None}."""
    lines = ["# When each lesson last ran", "", RUNS, "", "| lesson | last run | minutes | on |", "|---|---|---|---|"]
    for name, ran in sorted(runs.items()):
        told = f"{ran['date']} | {_minutes(ran)} | {ran['on']}" if ran else "before runs were recorded | | "
        lines.append(f"| [{name}](notebooks/{name}.ipynb) | {told} |")
    return "\n".join(lines) + "\n"
