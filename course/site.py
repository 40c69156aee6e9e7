"""python -m course site: the website, built from the pages and the lessons as they ran. Nothing is executed.

Sphinx reads a copy in build/site-source, in which links that leave the site are set right and each lesson has a line
with its download and its last run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib

from course.paths import BUILD, ROOT, CourseError

PARTS = {  # the site's contents; a page is in the first part that names it
    "Lessons": ["notebooks/[0-9]*.ipynb", "docs/try.md"],
    "Reference": ["docs/claims.md", "docs/glossary.md", "docs/modules.md", "data/README.md"],
    "Results and costs": ["docs/full_size.md", "docs/intervals.md", "bench/README.md"],
    "HubLayer alone": ["hub_layer/README.md", "docs/migrate.md"],
    "For teachers": ["docs/teach*.md"],
    "Setting up": ["docs/platforms.md", "docs/settings.md", "docs/sources.md", "docs/spark.md"],
    "The project": ["CONTRIBUTING.md", "docs/*.md", "CHANGELOG.md", "THIRD_PARTY.md"],
}
RUNS = """# When each lesson last ran

`python -m course refresh` runs a lesson from its first cell to its last and keeps what it shows. If that is something
new, it also keeps the day, the minutes and the machine, and this table shows them. The minutes are the computer's; the
[start page](index.md) has a reader's.

| lesson | day | minutes | on |
|---|---|---|---|
"""
LINK = re.compile(r"(!?)\[((?:[^][]|\[[^]]*\])*)\]\(([^)\s]+)\)")
TERM = re.compile(r"^\| ([^|]+?) (\| .* \| \[\d\d\]\(\.\./(notebooks/[^)]+)\) \|)$", re.M)
NBGITPULLER = "https://nbgitpuller.readthedocs.io/en/latest/link.html"  # makes a link for whatever hub is named there
PLACE = "https://github.com/OWNER/NAME"  # stands for the repository's address in pages
BINDER = ("00", "01", "02", "03")  # what fits into Binder's 2 GB
METRICS = "application/vnd.plants.metrics+json"  # for machines; the words beside it stay


def site():
    """Build the website into build/site; say how large it is and how long it took.

    Raises:
        CourseError: a page can't be published as it is. The message names every fault.
    """
    start, source, target = time.monotonic(), BUILD / "site-source", BUILD / "site"
    for folder in (source, target):
        shutil.rmtree(folder, ignore_errors=True)
    stage(ROOT, source, repository())
    if (BUILD / "try").exists():  # the photo page, if it was built before
        shutil.copytree(BUILD / "try", source / "extra" / "try")
    sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-b", "html", "-c", ROOT / "docs"]
    if subprocess.run([*sphinx, "-d", BUILD / "site-trees", source, target], cwd=ROOT).returncode:
        raise CourseError("the site can't be built; Sphinx's lines above name the pages.")
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"Built {size / 1e6:.0f} MB in {time.monotonic() - start:.0f} s: open {os.path.relpath(target)}/index.html")


def repository():
    """Return the repository's address (str), from which all others follow; empty while it has none."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["course"]["repository"].rstrip("/")


def pages(root):
    """Return the files that become pages, {part: list of Path}, without README.md, which becomes the index."""
    seen, parts = set(), {}
    for part, patterns in PARTS.items():
        found = [path for pattern in patterns for path in sorted(root.glob(pattern))]
        parts[part] = [path for path in dict.fromkeys(found) if path not in seen]
        seen.update(found)
    return parts


def stage(root, target, address):
    """Write what Sphinx reads.

    Args:
        root: the course's folder (Path).
        target: a folder that is empty or not there (Path).
        address: the repository's address (str). While it is empty, links to files that are no page become plain text.

    Raises:
        CourseError: a lesson has not run, a link leads nowhere, or a picture has no alt text; all are named.
    """
    parts = pages(root)
    every = {path for paths in parts.values() for path in paths}
    glossary, runs, faults = (root / "docs" / "glossary.md").read_text(), [], []

    def linked(page, text):
        return LINK.sub(lambda match: _link(match, page, root, target, every, address, faults), text)

    for page in sorted(every):
        if page.suffix == ".ipynb":
            lesson = json.loads(page.read_text())
            faults += _faults(lesson, page.relative_to(root))
            for cell in _texts(lesson):
                cell["source"] = linked(page, "".join(cell["source"]))
            _dress(lesson, page, glossary, address)
            _write(target / page.relative_to(root), json.dumps(lesson))
            _write(target / "downloads" / page.name, page.read_text())
            runs.append(f"| [{page.stem}](notebooks/{page.name}) | {_row(lesson)} |\n")
        else:
            text = linked(page, page.read_text().replace(PLACE, address or PLACE))
            if page.name == "glossary.md":
                text = TERM.sub(lambda row: f"| [{row[1]}]{{#{_slug(row[1])}}} {row[2]}", text)
            _write(target / page.relative_to(root), text)
    _write(target / "runs.md", RUNS + "".join(runs))
    trees = [_tree(part, [path.relative_to(root) for path in paths]) for part, paths in parts.items()]
    readme = root / "README.md"
    _write(target / "index.md", "\n\n".join([linked(readme, readme.read_text()), *trees]))
    if faults:
        raise CourseError("the site can't be built:\n" + "\n".join(faults))


def _link(match, page, root, target, every, address, faults):
    """Return what a link or a picture of a page becomes on the site (str); add what is wrong with it to faults."""
    picture, words, to = match.groups()
    if picture and not words.strip():
        faults.append(f"{page.relative_to(root)}: the picture {to} has no alt text.")
    if re.match(r"#|[a-z]+:", to):
        return match[0]
    file = (page.parent / to.partition("#")[0]).resolve()
    if not file.exists():
        faults.append(f"{page.relative_to(root)}: the link to {to} leads nowhere.")
    elif picture or (file.suffix in {".csv", ".ipynb"} and file not in every):
        _write(target / file.relative_to(root), file.read_bytes())
        return match[0] if picture else f"{{download}}`{words} <{to}>`"
    elif file == root / "README.md":
        return f"[{words}]({os.path.relpath(root / 'index.md', page.parent)})"
    elif file not in every:
        return f"[{words}]({address}/blob/main/{file.relative_to(root)})" if address else words
    return match[0]


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def _tree(part, names):
    runs = ["runs.md"] if part == "Results and costs" else []
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {part}", *map(str, names), *runs, "```"])


def _slug(term):
    return "term-" + re.sub(r"\W+", "-", term.lower())


def _texts(lesson):
    return [cell for cell in lesson["cells"] if cell["cell_type"] == "markdown"]


def _alt(output):
    return output.get("metadata", {}).get("image/png", {}).get("alt", "").strip()


def _faults(lesson, name):
    """Return why a lesson, a notebook as JSON, can't be shown as it is: sentences (list of str)."""
    code = [cell for cell in lesson["cells"] if cell["cell_type"] == "code" and cell["source"]]
    if any(cell["execution_count"] is None for cell in code) or not any(cell["outputs"] for cell in code):
        return [f"{name}: not all of its cells have run; `python -m course refresh {name.stem}` runs them."]
    return [
        f"{name}: the picture below cell {number} has no alt text."
        for number, cell in enumerate(lesson["cells"])
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {}) and not _alt(output)
    ]


def _dress(lesson, page, glossary, address):
    """Add to a lesson what only its page has.

    Args:
        lesson: the notebook as JSON, changed in place: a line below the title, alt texts and folded cells where Sphinx
            looks for them, and each bold term linked to the glossary, where that names this lesson.
        page: its file (Path).
        glossary: the glossary's text (str).
        address: the repository's address (str), or "".
    """
    for cell in lesson["cells"]:
        if alts := [_alt(output) for output in cell.get("outputs", []) if _alt(output)]:
            cell["metadata"]["mystnb"] = {"image": {"alt": " ".join(alts)}}
        if cell["metadata"].get("jupyter", {}).get("source_hidden"):
            cell["metadata"].setdefault("tags", []).append("hide-input")
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(METRICS, None)
    texts = _texts(lesson)
    for term in (term for term, _, first in TERM.findall(glossary) if first == f"notebooks/{page.name}"):
        bold = re.compile(rf"\*\*{re.escape(term)}\*\*", re.I)
        if cell := next((cell for cell in texts if bold.search("".join(cell["source"]))), None):
            link = rf"[\g<0>](../docs/glossary.md#{_slug(term)})"
            cell["source"] = bold.sub(link, "".join(cell["source"]), count=1)
    title, _, rest = "".join(texts[0]["source"]).partition("\n")
    doors = [f"{{download}}`Download this lesson <../downloads/{page.name}>`", *_doors(page.name, address)]
    if ran := lesson["metadata"].get("course", {}).get("ran"):
        doors.append(f"[last run {ran['day']}](../runs.md)")
    texts[0]["source"] = f"{title}\n\n{' · '.join(doors)}\n\n{rest}"


def _doors(name, address):
    """Return links (list of str) that open a lesson where it is or elsewhere; none while there is no address."""
    if not address:
        return []
    project, path = address.removeprefix("https://github.com/"), f"notebooks/{name}"
    doors = {
        "on GitHub": f"{address}/blob/main/{path}",
        "in Colab": f"https://colab.research.google.com/github/{project}/blob/main/{path}",
        "Colab's first cell": "../docs/platforms.md#in-colab",
        "in Binder": f"https://mybinder.org/v2/gh/{project}/main?urlpath=lab/tree/{path}",
        "on a JupyterHub": f"{NBGITPULLER}?repo={address}&branch=main&urlpath=lab/tree/{project.split('/')[1]}/{path}",
    }
    return [f"[{words}]({to})" for words, to in doors.items() if words != "in Binder" or name.startswith(BINDER)]


def _row(lesson):
    """Return the day, the minutes and the machine of a lesson's last run, as `refresh` recorded them (table cells)."""
    ran = lesson["metadata"].get("course", {}).get("ran")
    return f"{ran['day']} | {ran['seconds'] / 60:.1f} | {ran['on']}" if ran else "not recorded | |"
