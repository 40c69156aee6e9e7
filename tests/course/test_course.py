"""The command line: it picks lessons, runs them, cleans what is committed, and says what is wrong."""

import hashlib
import json
import platform
import subprocess
import sys

import nbformat
import pytest

from helpers import modules, photos
from sources import cache

v4 = nbformat.v4


def notebook(*cells):
    """Return a notebook of cells (str for code, or NotebookNode)."""
    made = v4.new_notebook(cells=[v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return made


def parameters(source):
    """Return a cell tagged as papermill's parameters."""
    return v4.new_code_cell(source, metadata={"tags": ["parameters"]})


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    """Give a function that puts {file name: notebook} in the place of the course's lessons; nothing is prepared."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(course, "NOTEBOOKS", folder)
    monkeypatch.setattr(course, "BUILD", tmp_path / "build")
    monkeypatch.setattr(course, "prepare", lambda: None)
    monkeypatch.delenv("TIMINGS", raising=False)

    def put(**notebooks):
        for name, made in notebooks.items():
            nbformat.write(made, folder / f"{name.lstrip('_')}.ipynb")
        return folder

    return put


def test_every_lesson_is_taken_in_order_where_none_is_named(lessons):
    folder = lessons(_01_second=notebook(), _00_first=notebook(), scratch=notebook())
    assert course.lessons() == [folder / "00_first.ipynb", folder / "01_second.ipynb"]


@pytest.mark.parametrize("named", ["01", "01_second", "01_second.ipynb", "notebooks/01_second.ipynb"])
def test_a_lesson_may_be_named_by_its_number_or_its_file(lessons, named):
    folder = lessons(_00_first=notebook(), _01_second=notebook())
    assert course.lessons([named]) == [folder / "01_second.ipynb"]


def test_an_unknown_lesson_is_answered_with_those_there_are(lessons):
    lessons(_00_first=notebook(), _01_second=notebook())
    with pytest.raises(course.CourseError, match="no lesson is called 07, third; there are 00_first, 01_second"):
        course.lessons(["01", "07", "third"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 0.001),
        ("True", True),
        ("None", None),
        ("['rose', 'iris']", ["rose", "iris"]),
        ("flowers", "flowers"),
        ("my photos/oak", "my photos/oak"),
        ("007", "007"),
        ("'3'", "3"),
        ("", ""),
    ],
)
def test_a_parameter_is_read_as_python_or_as_plain_text(text, value):
    read = course._value(text)
    assert read == value
    assert type(read) is type(value)


def test_a_path_is_understood_from_where_the_command_is_given(tmp_path, monkeypatch):
    (tmp_path / "work" / "my photos").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    assert course._value("./my photos") == str(tmp_path / "work" / "my photos")
    assert course._value("../work/my photos/") == str(tmp_path / "work" / "my photos")
    assert course._value("./theirs") == "./theirs"  # photos.load says that it is not there


METRICS = {"lesson": "00", "label": "right", "metrics": {"main": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10}}}


def test_the_main_metric_is_described_in_a_few_words():
    main = {"value": 0.9057, "low": 0.859, "high": 0.938, "n": 210}
    found = {"label": "of flowers named right", "metrics": {"more": {}, "main": main}}
    assert course.describe(found) == "0.906 [0.859 0.938] of flowers named right, n = 210"
    main |= {"low": None, "high": None}
    assert course.describe(found) == "0.906 of flowers named right, n = 210"
    assert course.describe({}) == "none"


def test_metrics_are_displayed_as_the_contract_says(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    course.report("01", "flowers", "resnet_50", "right", main=(0.5, 0.4, 0.6, 10), speed=(2, None, None, 1))
    (data,) = shown
    assert set(data) == {course.METRICS, "text/plain"}
    payload = data[course.METRICS]
    assert json.loads(json.dumps(payload)) == payload
    assert {name: payload[name] for name in ("lesson", "source", "photo_set", "module")} == {
        "lesson": "01",
        "source": "packaged",
        "photo_set": "flowers",
        "module": "resnet_50",
    }
    assert payload["metrics"] == {
        "main": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10},
        "speed": {"value": 2, "low": None, "high": None, "n": 1},
    }
    assert course.describe(payload) in data["text/plain"]


SHOWS = f"""
from IPython.display import display
display({{"{course.METRICS}": {METRICS!r}, "text/plain": "0.5"}}, raw=True)
"""


def test_metrics_are_found_in_a_lesson_and_are_empty_where_there_are_none():
    shown = v4.new_output("display_data", {course.METRICS: METRICS, "text/plain": "0.5"})
    cell = v4.new_code_cell("", outputs=[v4.new_output("stream", text="hm"), shown])
    assert course.metrics_of(notebook(v4.new_markdown_cell("# Title"), "1", cell)) == METRICS
    assert course.metrics_of(notebook("1")) == {}


def executed(source="1 + 1", outputs=(), tags=(), number=1):
    """Return a code cell as it stands after a run."""
    return v4.new_code_cell(
        source,
        id=f"cell-{number}",
        execution_count=number,
        outputs=list(outputs),
        metadata={"tags": list(tags), "execution": {"iopub.status.busy": "2025-01-01T00:00:00"}},
    )


def stream(text, name="stdout"):
    """Return something printed."""
    return v4.new_output("stream", name=name, text=text)


def picture(alt, publish):
    """Return a figure as helpers.figures displays it."""
    return v4.new_output(
        "display_data",
        {"image/png": "iVBORw0KGgo=", "text/plain": alt},
        metadata={"image/png": {"alt": alt}, "course": {"publish": publish}},
    )


def test_a_clean_notebook_has_no_stderr_no_clock_and_no_machine():
    fresh = notebook(executed(outputs=[stream("warning", "stderr"), stream("2"), stream("more", "stderr")]))
    fresh.metadata["papermill"] = {"start_time": "2025-01-01"}
    fresh.metadata["language_info"] = {"name": "python", "version": "3.11.7"}
    done = course.clean(fresh, notebook())
    assert [output.text for output in done.cells[0].outputs] == ["2"]
    assert done.cells[0].execution_count == 1
    assert "execution" not in done.cells[0].metadata
    assert "2025" not in json.dumps(done)
    assert "3.11.7" not in json.dumps(done)
    nbformat.validate(done)


def test_widgets_leave_their_text():
    bar = v4.new_output(
        "display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "a1"}, "text/plain": "100%"}
    )
    done = course.clean(notebook(executed(outputs=[bar])), notebook())
    assert done.cells[0].outputs[0].data == {"text/plain": "100%"}


@pytest.mark.parametrize(("timings", "shown"), [("", "3.1 s"), ("1", "2.7 s")])
def test_timings_stay_as_stored_unless_they_are_asked_for(monkeypatch, timings, shown):
    monkeypatch.setenv("TIMINGS", timings)
    stored = notebook(executed(outputs=[stream("3.1 s")], tags=["timing"]), executed(outputs=[stream("old")], number=2))
    fresh = notebook(executed(outputs=[stream("2.7 s")], tags=["timing"]), executed(outputs=[stream("new")], number=2))
    done = course.clean(fresh, stored)
    assert [cell.outputs[0].text for cell in done.cells] == [shown, "new"]


def test_a_timing_that_was_never_stored_is_taken(monkeypatch):
    monkeypatch.delenv("TIMINGS", raising=False)
    fresh = notebook(executed(outputs=[stream("2.7 s")], tags=["timing"]))
    assert course.clean(fresh, notebook()).cells[0].outputs[0].text == "2.7 s"


def test_a_photo_that_may_not_be_published_leaves_its_description():
    shown, hidden = picture("a table of leaves", True), picture("6 photos of flowers: rose.", False)
    done = course.clean(notebook(executed(outputs=[shown, hidden])), notebook())
    kept, replaced = done.cells[0].outputs
    assert "image/png" in kept.data
    assert list(replaced.data) == ["text/plain"]
    assert replaced.data["text/plain"].startswith("[Shown when you run this cell: 6 photos of flowers: rose.")
    assert "iVBOR" not in json.dumps(replaced)


def a_run():
    """Return a run notebook with one of everything."""
    return notebook(
        executed(outputs=[stream("note", "stderr"), stream("2")]),
        executed(outputs=[stream("3.1 s")], tags=["timing"], number=2),
        executed(outputs=[picture("a table", True)], number=3),
    )


def test_a_second_refresh_gives_the_same_file():
    def again():
        fresh = a_run()
        fresh.cells.append(executed(outputs=[picture("6 photos", False)], number=4))
        return fresh

    first = course.clean(again(), notebook())
    assert course.clean(again(), first) == first


def test_what_is_clean_stays_as_it_is():
    first = course.clean(a_run(), notebook())
    copy = nbformat.from_dict(first)
    assert course.clean(first, first) == copy


def test_a_placeholder_stays_as_it_is():
    first = course.clean(notebook(executed(outputs=[picture("6 photos", False)])), notebook())
    copy = nbformat.from_dict(first)
    assert course.clean(first, first) == copy


def test_refresh_writes_the_run_back_into_its_file(lessons):
    folder = lessons(_00_first=notebook("import sys; print('out'); print('err', file=sys.stderr)"))
    course.refresh(folder / "00_first.ipynb")
    text = (folder / "00_first.ipynb").read_text()
    stored = nbformat.read(folder / "00_first.ipynb", 4)
    assert [output.text for output in stored.cells[0].outputs] == ["out\n"]
    course.refresh(folder / "00_first.ipynb")
    assert (folder / "00_first.ipynb").read_text() == text


@pytest.fixture
def no_process(monkeypatch):
    """Let no process start."""

    def fail(*arguments, **_):
        raise AssertionError(f"a process was started: {arguments}")

    monkeypatch.setattr(subprocess, "run", fail)


@pytest.mark.usefixtures("no_process")
def test_an_unknown_lock_is_answered_with_those_there_are(tmp_path):
    with pytest.raises(course.CourseError, match=r"no lock requirements-gpus\.txt; there are .*requirements-gpu\.txt"):
        course.install(tmp_path / "venv", course.ROOT / "requirements-gpus.txt")
    assert not (tmp_path / "venv").exists()


def stamped(tmp_path):
    """Return (venv, lock) as they are after an install."""
    venv, lock = tmp_path / "venv", tmp_path / "requirements.txt"
    venv.mkdir()
    lock.write_text("petal==1.0\n")
    (venv / "requirements.txt.installed").write_text(hashlib.sha256(lock.read_bytes()).hexdigest())
    return venv, lock


@pytest.mark.usefixtures("no_process")
def test_what_is_installed_is_not_installed_again(tmp_path, capsys):
    course.install(*stamped(tmp_path))
    assert capsys.readouterr().out == ""


def test_a_lock_that_changed_is_installed_with_its_hashes_and_stamped(tmp_path, monkeypatch):
    venv, lock = stamped(tmp_path)
    lock.write_text("petal==2.0\n")
    commands = []
    monkeypatch.setattr(course, "_client", commands.append)
    course.install(venv, lock)
    assert "--require-hashes" in commands[-1]
    assert commands[-1][-1] == lock
    count = len(commands)
    course.install(venv, lock)
    assert len(commands) == count


def test_an_install_that_stopped_is_not_stamped(tmp_path, monkeypatch):
    venv, lock = stamped(tmp_path)
    lock.write_text("petal==2.0\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, stdout=""))
    for _ in range(2):
        with pytest.raises(course.CourseError, match="PIP_INDEX_URL"):
            course.install(venv, lock)


def test_an_unknown_parameter_is_answered_with_those_there_are_before_anything_runs(lessons, tmp_path):
    lessons(_00_first=notebook(parameters("photo_set = 'flowers'\nepochs = 5"), "print(photo_set)"))
    with pytest.raises(course.CourseError, match="00_first has no parameter epoch; it has photo_set, epochs"):
        course.run(["00"], [("epoch", "1")])
    assert not (tmp_path / "build").exists()


def test_a_lesson_runs_with_its_parameters(lessons, tmp_path):
    lessons(_00_first=notebook(parameters("photo_set = 'flowers'"), "print(photo_set)"))
    course.run(["00"], [("photo_set", "bean_leaves")])
    done = nbformat.read(tmp_path / "build" / "00_first.ipynb", 4)
    assert done.cells[-1].outputs[0].text == "bean_leaves\n"


def test_a_lesson_that_fails_is_reported_and_the_others_still_run(lessons, tmp_path, capsys):
    lessons(_00_broken=notebook("1 / 0", "print('never')"), _01_good=notebook(SHOWS))
    with pytest.raises(course.CourseError, match=r"1 of 2 lessons failed: 00_broken\."):
        course.run()
    table = capsys.readouterr().out
    assert "failed: ZeroDivisionError: division by zero" in table
    assert "0.500 [0.400 0.600] right, n = 10" in table
    done = nbformat.read(tmp_path / "build" / "01_good.ipynb", 4)
    assert done.cells[0].outputs[0].data["text/plain"] == "0.5"
    (kept,) = json.loads((tmp_path / "build" / "results.json").read_text())
    assert kept.pop("seconds") >= 0
    assert kept == METRICS


def test_a_lesson_whose_kernel_dies_is_reported_and_the_others_still_run(lessons, tmp_path):
    # What happens where the memory ends.
    lessons(_00_dies=notebook("import os; os._exit(1)"), _01_good=notebook("print('good')"))
    with pytest.raises(course.CourseError, match=r"1 of 2 lessons failed: 00_dies\."):
        course.run()
    assert (tmp_path / "build" / "01_good.ipynb").exists()


@pytest.mark.parametrize(
    "error",
    [course.CourseError("no lesson"), photos.PhotoError("no photo"), PermissionError("no cache")],
    ids=lambda error: type(error).__name__,
)
def test_what_a_person_can_mend_ends_in_one_message(monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(course, "prepare", fail)
    monkeypatch.delenv("COURSE_DEBUG", raising=False)
    with pytest.raises(SystemExit, match=f"^{type(error).__name__}: {error}$"):
        course.main(["prepare"])
    monkeypatch.setenv("COURSE_DEBUG", "1")
    with pytest.raises(type(error)):
        course.main(["prepare"])


def test_an_interrupt_ends_in_one_message(monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(course, "prepare", interrupt)
    with pytest.raises(SystemExit, match="Interrupted"):
        course.main(["prepare"])


def test_doctor_says_what_this_machine_has(capsys):
    course.doctor()
    said = capsys.readouterr().out
    assert f"Python      {platform.python_version()}" in said
    assert "Source      packaged" in said
    assert f"of {len(modules.catalogue())} prepared; photo sets: flowers, bean_leaves" in said


def test_the_course_starts_on_a_bare_python():
    # `make run` begins with it, before anything is installed: -S leaves site-packages out.
    code = "import sys; sys.path.insert(0, '.'); from helpers import course; course.check_platform('Linux', 'x86_64')"
    subprocess.run([sys.executable, "-S", "-I", "-c", code], cwd=course.ROOT, check=True)


def test_a_second_preparation_downloads_and_builds_nothing(capsys, monkeypatch):
    course.prepare()
    capsys.readouterr()
    monkeypatch.setenv("COURSE_OFFLINE", "1")  # asking for a package would now be an error
    monkeypatch.setattr(cache, "built", [])
    course.prepare()
    assert "nothing to download or build" in capsys.readouterr().out


def test_uv_gets_the_mirror_that_pip_is_set_up_with(monkeypatch, tmp_path):
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nindex-url = https://mirror.example/simple\ncert = /etc/own.pem\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    monkeypatch.delenv("PIP_CERT", raising=False)
    expected = {"UV_DEFAULT_INDEX": "https://mirror.example/simple", "SSL_CERT_FILE": "/etc/own.pem"}
    assert course._pip_settings() == expected
    monkeypatch.setenv("PIP_INDEX_URL", "https://other.example/simple")
    assert course._pip_settings()["UV_DEFAULT_INDEX"] == "https://other.example/simple"
