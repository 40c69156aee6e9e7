"""Each assignment: solved it scores, untouched it does not, tests tell right from wrong, nothing is given away."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import nbformat
import proofs
import pytest
from nbgrader.api import Gradebook
from nbgrader.utils import is_grade, is_solution
from sample_assignment import RIGHT, sample

from classroom import cells, release
from course import paths

SOURCES = release.sources()
every = pytest.mark.parametrize("name", SOURCES)


@pytest.fixture(scope="session")
def releases():
    """Return what nbgrader makes of the sources now: {name: students' notebook, str}."""
    return release.generated(SOURCES.values())[0]


def answers_of(name):
    path = paths.ROOT / "tests" / "classroom" / "answers" / f"{name}.py"
    spec = importlib.util.spec_from_file_location("answers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ANSWERS


def cells_of(name):
    return nbformat.read(SOURCES[name], 4).cells


@every
def test_the_solution_scores_full_marks(name):
    reference, _ = proofs.prove(nbformat.read(SOURCES[name], 4), {})
    assert len(reference) >= 2
    assert {test: error for test, error in reference.items() if error} == {}


@pytest.mark.long
@every
def test_right_answers_pass_and_wrong_ones_fail(name):
    _, others = proofs.prove(nbformat.read(SOURCES[name], 4), answers_of(name))
    rejected = [
        (question, number, found) for question, kind, number, found in others if kind == "right" and any(found.values())
    ]
    accepted = [
        (question, number) for question, kind, number, found in others if kind == "wrong" and not any(found.values())
    ]
    assert (rejected, accepted) == ([], [])
    assert all(found for *_, found in others)  # every answer met a test


@pytest.mark.long
@every
def test_the_tests_that_students_see_tell_right_from_wrong(name):
    source = nbformat.read(SOURCES[name], 4)
    for cell in source.cells:
        cell.source = re.sub(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS", "", cell.source, flags=re.S)
    reference, others = proofs.prove(source, answers_of(name))
    assert {test: error for test, error in reference.items() if error} == {}
    misjudged = [
        (question, kind, number, found)
        for question, kind, number, found in others
        if any(found.values()) != (kind == "wrong")
    ]
    assert misjudged == []


@every
def test_every_coding_question_has_two_right_answers_and_three_wrong_ones(name):
    answers = answers_of(name)
    questions = [cell for cell in cells_of(name) if cell.cell_type == "code" and is_solution(cell)]
    assert {cell.metadata.nbgrader.grade_id for cell in questions} == set(answers)
    for cell in questions:
        given = answers[cell.metadata.nbgrader.grade_id]
        assert len(set(given["right"]) - {cell.source}) >= 2
        assert len(set(given["wrong"])) >= 3


@every
def test_the_untouched_release_scores_nothing(name, releases):
    source, made = nbformat.read(SOURCES[name], 4), nbformat.reads(releases[name], 4)
    found = proofs.run(proofs.with_tests(made, source).cells, proofs.started())
    assert found
    assert [test for test, error in found.items() if not error] == []


@every
def test_one_answer_is_marked_by_a_person_with_a_scheme(name):
    schemes = cells.schemes(nbformat.read(SOURCES[name], 4))
    assert {cell.metadata.nbgrader.grade_id for cell in cells_of(name) if is_grade(cell) and is_solution(cell)} == set(
        schemes
    )
    assert schemes
    assert all(points > 0 and len(scheme) > 40 for points, scheme in schemes.values())


@every
def test_the_release_gives_nothing_away(name, releases):
    made = releases[name]
    assert not re.search("SOLUTION|HIDDEN TEST|MARK SCHEME", made)
    shown = "\n".join(cell.source for cell in nbformat.reads(made, 4).cells)
    secret = secrets_of(cells_of(name))
    assert len(secret) > 5
    assert [line for line in secret if line in shown] == []
    assert not any(cell.get("outputs") for cell in nbformat.reads(made, 4).cells)


def secrets_of(cells):
    """Return the lines that stand nowhere but in solutions, hidden tests and marking schemes."""
    hidden, shown = [], []
    for cell in cells:
        whole = is_grade(cell) and is_solution(cell) and "BEGIN SOLUTION" not in cell.source
        inside = whole
        for line in cell.source.splitlines():
            if re.search("BEGIN (SOLUTION|HIDDEN TESTS|MARK SCHEME)", line):
                inside = True
            elif re.search("END (SOLUTION|HIDDEN TESTS|MARK SCHEME)", line):
                inside = whole
            else:
                (hidden if inside else shown).append(line.strip())
    return [line for line in hidden if len(line) > 15 and not any(line in other for other in shown)]


@every
def test_the_students_copy_is_what_the_source_makes_now(name, releases):
    copy = release.RELEASE / name / f"{name}.ipynb"
    assert copy.exists(), "run make assignments"
    assert copy.read_text() == releases[name], "run make assignments"


@every
def test_a_source_has_ids_and_metadata_that_stay(name):
    notebook = nbformat.read(SOURCES[name], 4)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert not any(cell.get("outputs") for cell in notebook.cells)


def test_every_lesson_has_its_assignment_and_links_it():
    lessons = {path.stem: path for path in paths.lessons() if "01" <= path.stem[:2] <= "08"}
    assert set(SOURCES) == set(lessons)
    assert {path.stem for path in release.RELEASE.glob("*/*.ipynb")} == set(SOURCES)
    for name, path in lessons.items():
        tasks = "\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown")
        assert f"](assignments/release/{name}/{name}.ipynb)" in tasks, name
        assert f"](../../../{name}.ipynb)" in (release.RELEASE / name / f"{name}.ipynb").read_text()


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory, releases):
    """Return the folder that students unpack."""
    folder = tmp_path_factory.mktemp("a student's Übung")
    release.pack(releases, folder / "assignments.zip")
    with zipfile.ZipFile(folder / "assignments.zip") as file:
        file.extractall(folder)
    return folder / "course"


def test_the_zip_has_all_that_students_need_and_no_solution(unpacked):
    names = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert {f"notebooks/assignments/release/{name}/{name}.ipynb" for name in SOURCES} < names
    assert {"README.md", "Makefile", "helpers/photos.py", "data/modules.toml", "data/sets/maize_lab.csv"} < names
    assert {f"notebooks/{path.name}" for path in paths.lessons()} < names
    assert {name.split("/")[0] for name in names}.isdisjoint({"classroom", "tests", "bench"})
    assert not [name for name in names if "/cache/" in name or "/source/" in name]
    text = "\n".join(path.read_text() for path in (unpacked / "notebooks" / "assignments").rglob("*.ipynb"))
    for name in SOURCES:
        assert [line for line in secrets_of(cells_of(name)) if line in text] == []
    packages = tomllib.loads((unpacked / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert [name for name in packages if not (unpacked / name.replace(".", "/")).is_dir()] == []
    assert "sources.recipes" in packages


def test_no_link_of_a_page_in_the_zip_is_dead(unpacked):
    pages = {page: page.read_text() for page in [unpacked / "README.md", *(unpacked / "docs").glob("*.md")]}
    for page in (unpacked / "notebooks").rglob("*.ipynb"):
        prose = [cell.source for cell in nbformat.read(page, 4).cells if cell.cell_type == "markdown"]
        pages[page] = "\n".join(prose)
    links = [(page, link) for page, text in pages.items() for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    ours = [(page, link.split("#")[0]) for page, link in links if not re.match("https?:|#|attachment:", link)]
    assert len(ours) > len(SOURCES)
    assert [f"{page.name}: {link}" for page, link in ours if not (page.parent / link).exists()] == []


def test_every_target_that_students_read_of_works_in_what_they_unpacked(unpacked):
    makefile = (unpacked / "Makefile").read_text()
    targets = set(" ".join(re.findall(r"^([a-z][a-z -]*):", makefile, re.M)).split())
    named = set(re.findall(r"\bmake ([a-z-]+)", (unpacked / "README.md").read_text()))
    assert named == targets
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MAKEFLAGS")}

    def ask(*words):
        return subprocess.run(words, cwd=unpacked, env=environment, capture_output=True, text=True, check=True).stdout

    commands = ask(sys.executable, "-m", "course", "--help")
    for target in sorted(targets):
        recipe = ask("make", "-n", target, f"PYTHON={sys.executable}")
        assert [each for each in re.findall(r"-m course ([a-z]+)", recipe) if each not in commands] == []
        files = re.findall(r"\S+\.(?:ipynb|txt|py)\b", recipe)
        assert [file for file in files if not (unpacked / file).exists()] == []
    assert "lock" in ask(sys.executable, "-m", "course", "install", "--help")
    assert [path for path in unpacked.rglob("*") if ".venv" in path.parts] == []


@pytest.mark.long
@pytest.mark.parametrize("name", list(SOURCES)[:2])
def test_nbgraders_own_commands_give_the_solution_full_marks_and_the_release_none(name, tmp_path):
    (tmp_path / "source" / name).mkdir(parents=True)
    shutil.copy(SOURCES[name], tmp_path / "source" / name)
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\nc.ExecutePreprocessor.timeout = 120\n")
    environment = os.environ | {"PYTHONPATH": str(paths.ROOT), "HOME": str(tmp_path)}
    environment["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])

    def nbgrader(*words):
        command = [sys.executable, "-m", "nbgrader", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]

    nbgrader("generate_assignment", name)
    for student, path in {"solved": SOURCES[name], "blank": tmp_path / "release" / name / f"{name}.ipynb"}.items():
        (tmp_path / "submitted" / student / name).mkdir(parents=True)
        shutil.copy(path, tmp_path / "submitted" / student / name / f"{name}.ipynb")
    nbgrader("autograde", name)
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as gradebook:
        for student in ("solved", "blank"):
            grades = gradebook.find_submission_notebook(name, name, student).grades
            tests = [grade for grade in grades if grade.cell.cell_type == "code"]
            assert tests
            assert all(grade.auto_score == (grade.max_score if student == "solved" else 0) for grade in tests)


# The checks above, on a sample: that they can fail.


def test_a_proof_tells_right_from_wrong_and_leaves_the_notebook_as_it_was():
    answers = {
        "double": {
            "right": [RIGHT["double"], "double = lambda values: np.add(values, values)"],
            "wrong": [
                "def double(values): return values",
                "double = None",
                "def double(values): return [2 * v for v in values]",
            ],
        },
        "spread": {"right": [], "wrong": ["def spread(values): return max(values)", "1 / 0", "double = None"]},
    }
    reference, others = proofs.prove(sample(), answers)
    assert reference == {"double-test": None, "spread-test": None}
    assert [(question, kind, any(found.values())) for question, kind, _, found in others] == [
        *[("double", "right", False)] * 2,
        *[("double", "wrong", True)] * 3,
        *[("spread", "wrong", True)] * 3,
    ]
    assert all(set(found) == {f"{question}-test"} for question, _, _, found in others)


def test_a_given_cell_that_fails_is_no_wrong_answer():
    with pytest.raises(AssertionError, match="the cell setup, which is no answer, fails: ZeroDivisionError"):
        proofs.prove(sample(setup="1 / 0"), {})


def test_what_may_not_be_shown_is_found():
    secret = secrets_of(sample().cells)
    assert "return 2 * np.asarray(values)" in secret
    assert "np.testing.assert_allclose(double([1, 5]), [2, 10])" in secret
    assert "Two points: names the last digit, or division by two." in secret
    assert "assert double([1])[0] == 2" not in secret
