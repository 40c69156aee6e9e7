"""Each assignment: solved it scores, untouched it does not, tests tell right from wrong, nothing is given away."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile

import nbformat
import proofs
import pytest
from nbgrader.api import Gradebook
from nbgrader.utils import is_grade, is_solution

SOURCES = classroom.sources()
every = pytest.mark.parametrize("name", SOURCES)


@pytest.fixture(scope="session")
def releases():
    """Return what nbgrader makes of the sources now: {name: students' notebook, str}."""
    return classroom.generated(SOURCES.values())[0]


@pytest.fixture(scope="session")
def proved():
    """Give a function that runs an assignment with all its answers, once in a session."""
    done = {}

    def of(name):
        if name not in done:
            done[name] = proofs.prove(nbformat.read(SOURCES[name], 4), answers_of(name))
        return done[name]

    return of


def answers_of(name):
    path = course.ROOT / "tests" / "answers" / f"{name}.py"
    spec = importlib.util.spec_from_file_location("answers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ANSWERS


def cells_of(name):
    return nbformat.read(SOURCES[name], 4).cells


@every
def test_the_solution_scores_full_marks(name, proved):
    reference, _ = proved(name)
    assert len(reference) >= 2
    assert {test: error for test, error in reference.items() if error} == {}


@every
def test_right_answers_pass_and_wrong_ones_fail(name, proved):
    _, others = proved(name)
    rejected = [
        (question, number, found) for question, kind, number, found in others if kind == "right" and any(found.values())
    ]
    accepted = [
        (question, number) for question, kind, number, found in others if kind == "wrong" and not any(found.values())
    ]
    assert (rejected, accepted) == ([], [])
    assert all(found for *_, found in others)  # every answer met a test


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
    source, release = nbformat.read(SOURCES[name], 4), nbformat.reads(releases[name], 4)
    found = proofs.run(proofs.with_tests(release, source).cells, proofs.started())
    assert found
    assert [test for test, error in found.items() if not error] == []


@every
def test_one_answer_is_marked_by_a_person_with_a_scheme(name):
    source = SOURCES[name].read_text()
    keys = [cell.metadata.nbgrader.grade_id for cell in cells_of(name) if is_grade(cell) and is_solution(cell)]
    assert keys
    assert all(len(classroom._scheme(source, key)) > 40 for key in keys)


@every
def test_the_release_gives_nothing_away(name, releases):
    release = releases[name]
    assert not re.search("SOLUTION|HIDDEN TEST|MARK SCHEME", release)
    shown = "\n".join(cell.source for cell in nbformat.reads(release, 4).cells)
    secret = secrets_of(cells_of(name))
    assert len(secret) > 5
    assert [line for line in secret if line in shown] == []
    assert not any(cell.get("outputs") for cell in nbformat.reads(release, 4).cells)


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
    copy = classroom.ASSIGNMENTS / f"{name}.ipynb"
    assert copy.exists(), "run make assignments"
    assert copy.read_text() == releases[name], "run make assignments"


@every
def test_a_source_has_ids_and_metadata_that_stay(name):
    notebook = nbformat.read(SOURCES[name], 4)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.skipif(not SOURCES, reason="no assignment is written yet")
def test_every_lesson_has_its_assignment_and_links_it():
    lessons = {path.stem: path for path in course.lessons() if "01" <= path.stem[:2] <= "08"}
    assert set(SOURCES) == set(lessons)
    assert {path.stem for path in classroom.ASSIGNMENTS.glob("*.ipynb")} == set(SOURCES)
    for name, path in lessons.items():
        tasks = [cell.source for cell in nbformat.read(path, 4).cells if "## Try it yourself" in cell.source]
        assert any(f"](assignments/{name}.ipynb)" in text for text in tasks), name
        assert f"](../{name}.ipynb)" in (classroom.ASSIGNMENTS / f"{name}.ipynb").read_text()


@pytest.mark.skipif(not SOURCES, reason="no assignment is written yet")
def test_the_zip_has_all_that_students_need_and_no_solution(tmp_path, releases):
    classroom.pack(releases, tmp_path / "assignments.zip")
    with zipfile.ZipFile(tmp_path / "assignments.zip") as file:
        names = set(file.namelist())
        text = "\n".join(file.read(name).decode(errors="ignore") for name in names if "/assignments/" in name)
    assert {f"course/notebooks/assignments/{name}.ipynb" for name in SOURCES} < names
    assert {
        "course/SETUP.md",
        "course/helpers/course.py",
        "course/data/modules.toml",
        "course/requirements.txt",
    } < names
    assert {f"course/notebooks/{path.name}" for path in course.lessons()} < names
    assert not [name for name in names if "/cache/" in name or "/tests/" in name or re.search(r"assignments/.+/", name)]
    for name in SOURCES:
        assert [line for line in secrets_of(cells_of(name)) if line in text] == []


@pytest.mark.long
@pytest.mark.parametrize("name", list(SOURCES)[:2])
def test_nbgraders_own_commands_give_the_solution_full_marks_and_the_release_none(name, tmp_path):
    (tmp_path / "source" / name).mkdir(parents=True)
    shutil.copy(SOURCES[name], tmp_path / "source" / name)
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\nc.ExecutePreprocessor.timeout = 120\n")
    environment = os.environ | {"PYTHONPATH": str(course.ROOT), "HOME": str(tmp_path)}
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
    from sample_assignment import RIGHT, sample

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
    from sample_assignment import sample

    with pytest.raises(AssertionError, match="the cell setup, which is no answer, fails: ZeroDivisionError"):
        proofs.prove(sample(setup="1 / 0"), {})


def test_what_may_not_be_shown_is_found():
    from sample_assignment import sample

    secret = secrets_of(sample().cells)
    assert "return 2 * np.asarray(values)" in secret
    assert "np.testing.assert_allclose(double([1, 5]), [2, 10])" in secret
    assert "Two points: names the last digit, or division by two." in secret
    assert "assert double([1])[0] == 2" not in secret
