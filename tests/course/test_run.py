"""Lessons are picked, run with their parameters, and reported one by one."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from making import notebook

from course import commands, paths, run
from course.paths import CourseError
from helpers import photos, report
from sources import cache

v4 = nbformat.v4
LESSONS = paths.lessons()  # before a test looks elsewhere


def parameters(source):
    """Return a cell tagged as papermill's parameters."""
    return v4.new_code_cell(source, metadata={"tags": ["parameters"]})


def test_every_lesson_is_taken_in_order_where_none_is_named(lessons):
    folder = lessons(_01_second=notebook(), _00_first=notebook(), scratch=notebook())
    assert paths.lessons() == [folder / "00_first.ipynb", folder / "01_second.ipynb"]


@pytest.mark.parametrize("named", ["01", "01_second", "01_second.ipynb", "notebooks/01_second.ipynb"])
def test_a_lesson_may_be_named_by_its_number_or_its_file(lessons, named):
    folder = lessons(_00_first=notebook(), _01_second=notebook())
    assert paths.lessons([named]) == [folder / "01_second.ipynb"]


def test_an_unknown_lesson_is_answered_with_those_there_are(lessons):
    lessons(_00_first=notebook(), _01_second=notebook())
    with pytest.raises(CourseError, match="no lesson is called 07, third; there are 00_first, 01_second"):
        paths.lessons(["01", "07", "third"])


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
    read = run._value("epochs", text)
    assert read == value
    assert type(read) is type(value)


def test_a_path_is_understood_from_where_the_command_is_given(tmp_path, monkeypatch):
    (tmp_path / "work" / "my photos").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    assert run._value("epochs", "./my photos") == str(tmp_path / "work" / "my photos")
    assert run._value("epochs", "../work/my photos/") == str(tmp_path / "work" / "my photos")
    assert run._value("epochs", "./theirs") == "./theirs"  # photos.load says that it is not there


METRICS = {"lesson": "00", "label": "right", "metrics": {"main": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10}}}


SHOWS = f"""
from IPython.display import display
display({{"{report.METRICS}": {METRICS!r}, "text/plain": "0.5"}}, raw=True)
"""


def test_an_unknown_parameter_is_answered_with_those_there_are_before_anything_runs(lessons, tmp_path):
    lessons(_00_first=notebook(parameters("photo_set = 'flowers'\nepochs = 5"), "print(photo_set)"))
    with pytest.raises(CourseError, match="00_first has no parameter epoch; it has photo_set, epochs"):
        run.run(["00"], [("epoch", "1")])
    assert not (tmp_path / "build").exists()


def test_a_lesson_runs_with_its_parameters(lessons, tmp_path):
    lessons(_00_first=notebook(parameters("photo_set = 'flowers'"), "print(photo_set)"))
    run.run(["00"], [("photo_set", "bean_leaves")])
    done = nbformat.read(tmp_path / "build" / "00_first.ipynb", 4)
    assert done.cells[-1].outputs[0].text == "bean_leaves\n"


SPECIES = parameters("photo_set = 'flowers'\nimage_size = 96\nepochs = 1\ntuning_epochs = 1\nsizes = [5]")


def test_at_full_size_the_download_and_the_time_are_said_before_anything_runs(lessons, tmp_path, capsys, monkeypatch):
    lessons(_04_species=notebook(SPECIES, "print(photo_set, epochs)"), _06_other=notebook("print('as ever')"))
    said = []
    monkeypatch.setattr(run, "prepare", lambda: said.append(capsys.readouterr().out))
    run.run(parameters=[], full=True)
    assert "flowers_3000: 229 MB" in said[0]
    assert "229 MB to download" in said[0]
    assert f"04_species at full size: about {run.FULL_MINUTES['04_species']} min" in said[0]
    assert "_lab" not in said[0]  # what the other lesson would need
    done = nbformat.read(tmp_path / "build" / "04_species.ipynb", 4)
    assert done.cells[-1].outputs[0].text == "flowers_3000 30\n"


def test_a_parameter_that_is_named_comes_before_the_one_of_a_full_size_run(lessons, tmp_path, capsys):
    lessons(
        _04_species=notebook(
            parameters("photo_set = 'flowers'\nimage_size = 96\nepochs = 1\ntuning_epochs = 1\nsizes = [5]"),
            "print(epochs)",
        )
    )
    run.run(["04"], [("epochs", "3")], full=True)
    assert nbformat.read(tmp_path / "build" / "04_species.ipynb", 4).cells[-1].outputs[0].text == "3\n"


def test_the_lessons_have_the_parameters_of_their_full_size_runs():
    for stem, values in run.FULL.items():
        (lesson,) = (path for path in LESSONS if path.stem == stem)
        run._check_parameters([lesson], values)
    assert set(run.FULL_MINUTES) == set(run.FULL)


def test_the_command_line_takes_full(monkeypatch):
    monkeypatch.setattr(commands, "run", lambda **given: taken.append(given))
    taken = []
    commands.main(["run", "--full", "04", "05"])
    assert taken == [{"names": ["04", "05"], "parameters": [], "full": True, "resume": False}]


def test_a_lesson_that_fails_is_reported_and_the_others_still_run(lessons, tmp_path, capsys):
    lessons(_00_broken=notebook("1 / 0", "print('never')"), _01_good=notebook(SHOWS))
    with pytest.raises(CourseError, match=r"1 of 2 lessons failed: 00_broken\."):
        run.run()
    table = capsys.readouterr().out
    assert "failed: ZeroDivisionError: division by zero" in table
    assert "0.500 [0.400 0.600] right, n = 10" in table
    done = nbformat.read(tmp_path / "build" / "01_good.ipynb", 4)
    assert done.cells[0].outputs[0].data["text/plain"] == "0.5"
    (kept,) = json.loads((tmp_path / "build" / "results.json").read_text())
    assert kept.pop("seconds") >= 0
    assert kept == METRICS


def test_a_run_goes_on_where_it_failed(lessons, tmp_path, capsys):
    flag = tmp_path / "fixed"
    broken = f"import pathlib; pathlib.Path({str(flag)!r}).read_text(); print(epochs)"
    good = f"pathlib.Path({str(flag)!r}).exists()"
    lessons(
        _00_good=notebook(parameters("epochs = 5"), f"import pathlib; assert not {good}", SHOWS),
        _01_broken=notebook(parameters("epochs = 5"), broken),
    )
    with pytest.raises(CourseError, match=r"1 of 2 lessons failed: 01_broken\..*run --resume"):
        run.run(["00", "01"], [("epochs", "7")])
    flag.touch()
    run.run(resume=True)  # 00 would fail now: it isn't run again
    assert nbformat.read(tmp_path / "build" / "01_broken.ipynb", 4).cells[-1].outputs[0].text == "7\n"
    table = capsys.readouterr().out.split("main result")[-1]
    assert "00_good" in table
    assert "01_broken" in table


def test_a_run_that_was_interrupted_at_once_is_the_one_to_go_on_with(lessons, tmp_path, monkeypatch):
    lessons(_00_good=notebook("print(1)"), _01_good=notebook("print(2)"))
    run.run(["00"])
    with monkeypatch.context() as patch:
        patch.setattr(run, "_run_one", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run.run(["01"])
    run.run(resume=True)
    assert (tmp_path / "build" / "01_good.ipynb").exists()


def test_what_can_not_be_resumed_is_said(lessons):
    lessons(_00_good=notebook("print(1)"))
    with pytest.raises(CourseError, match=r"build/ has no run to go on with"):
        run.run(resume=True)
    with pytest.raises(CourseError, match="leave out lessons"):
        run.run(["00"], resume=True)


def test_a_lesson_that_lacks_a_package_is_listed_with_the_command_that_installs_it(lessons, monkeypatch, capsys):
    lessons(_00_good=notebook(SHOWS), _01_more=notebook("import package_that_nobody_has"))
    monkeypatch.setattr(run, "NEEDS", {"01_more": ("package_that_nobody_has", "scale")})
    run.run()
    table = " ".join(capsys.readouterr().out.split())
    assert "01_more 0 not run: needs package_that_nobody_has, which `python -m course install --lock scale`" in table
    with pytest.raises(CourseError, match="01_more needs package_that_nobody_has"):
        run.run(["01"])


def test_each_lock_that_a_lesson_needs_is_there_and_has_its_package():
    for stem, (package, lock) in run.NEEDS.items():
        assert stem in {path.stem for path in LESSONS}
        assert f"\n{package}" in (paths.LOCKS / f"{lock}.txt").read_text()


def test_the_table_of_a_run_fits_a_terminal():
    rows = [{"lesson": "07_swap_the_backbone", "seconds": 12345, "main": "0.900 [0.852 0.934] accuracy of a head " * 5}]
    table = run._table(rows, 54321)
    assert max(map(len, table.splitlines())) <= 100
    assert "build/07_swap_the_backbone.ipynb" in table


def test_the_command_line_alone_says_what_there_is(capsys):
    with pytest.raises(SystemExit) as ended:
        commands.main([])
    assert not ended.value.code
    told = capsys.readouterr().out
    assert len(told.splitlines()) <= 24
    for command in ("install", "check", "prepare", "run", "refresh", "lock", "doctor"):
        assert f"\n    {command} " in told


def test_a_lesson_whose_kernel_dies_is_reported_and_the_others_still_run(lessons, tmp_path):
    # What happens where the memory ends.
    lessons(_00_dies=notebook("import os; os._exit(1)"), _01_good=notebook("print('good')"))
    with pytest.raises(CourseError, match=r"1 of 2 lessons failed: 00_dies\."):
        run.run()
    assert (tmp_path / "build" / "01_good.ipynb").exists()


MEETS = """
import pathlib, time
pathlib.Path({mine!r}).touch()
end = time.monotonic() + 60
while not pathlib.Path({other!r}).exists():
    assert time.monotonic() < end, "the other lesson does not run"
    time.sleep(0.1)
"""
TWO = pytest.mark.skipif(
    run._at_a_time({"full": False, "parameters": []}) < 2, reason="this machine runs one lesson at a time"
)


@TWO
def test_two_lessons_run_at_a_time(lessons, tmp_path, capfd):
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    lessons(_00_one=notebook(MEETS.format(mine=one, other=two)), _01_two=notebook(MEETS.format(mine=two, other=one)))
    run.run()
    said = capfd.readouterr().out
    assert "00_one ran, " in said
    assert "01_two ran, " in said


@pytest.mark.parametrize("asked", [{"full": True}, {"parameters": [("folder", "x")]}, {}], ids=lambda asked: str(asked))
def test_lessons_that_could_disturb_each_other_run_one_at_a_time(asked, monkeypatch):
    if not asked:
        monkeypatch.setenv("COURSE_SOURCE", "official")
    assert run._at_a_time({"full": False, "parameters": []} | asked) == 1


STAYS = """
import os, pathlib, time
pathlib.Path({told!r}).write_text(str(os.getpid()))
time.sleep(300)
"""
PROGRAM = """
import pathlib
from course import run

if __name__ == "__main__":
    lessons = sorted(pathlib.Path("notebooks").absolute().glob("*.ipynb"))
    list(run._run_all([(lesson, pathlib.Path(lesson.name).absolute(), {}) for lesson in lessons], 2))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_ctrl_c_ends_the_lessons_that_run_and_begins_no_other(lessons, tmp_path):
    told = [tmp_path / name for name in ("one", "two")]
    stays = {f"_0{row}": notebook(STAYS.format(told=str(path))) for row, path in enumerate(told)}
    lessons(**stays, _02=notebook("print('never')"))
    (tmp_path / "program.py").write_text(PROGRAM)
    here = os.environ | {"PYTHONPATH": str(paths.ROOT)}
    running = subprocess.Popen([sys.executable, "program.py"], cwd=tmp_path, env=here, process_group=0)
    _until(lambda: all(path.exists() and path.read_text() for path in told))
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(timeout=60)
    assert not (tmp_path / "02.ipynb").exists()
    _until(lambda: not any(_alive(path.read_text()) for path in told))


def _until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def _alive(process):
    """Return whether a process runs; one that has ended and that nobody has asked about yet does not."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@TWO
def test_a_run_whose_process_is_killed_ends_in_one_message_and_goes_on(lessons, tmp_path):
    kill = "import os, pathlib, psutil; one = pathlib.Path('once'); first = not one.exists(); one.touch()"
    lessons(_00_kills=notebook(kill, "if first: psutil.Process().parent().kill()"), _01_good=notebook("print(1)"))
    with pytest.raises(CourseError, match=r"ended from outside.*run --resume"):
        run.run()
    run.run(resume=True)
    assert len(json.loads((tmp_path / "build" / "run.json").read_text())["rows"]) == 2


@pytest.mark.parametrize(
    "error",
    [CourseError("no lesson"), photos.PhotoError("no photo"), PermissionError("no cache")],
    ids=lambda error: type(error).__name__,
)
def test_what_a_person_can_fix_ends_in_one_message(monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(commands, "prepare", fail)
    monkeypatch.delenv("COURSE_DEBUG", raising=False)
    with pytest.raises(SystemExit, match=f"^{type(error).__name__}: {error}$"):
        commands.main(["prepare"])
    monkeypatch.setenv("COURSE_DEBUG", "1")
    with pytest.raises(type(error)):
        commands.main(["prepare"])


def test_an_interrupt_ends_in_one_message(monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "prepare", interrupt)
    with pytest.raises(SystemExit, match="Interrupted"):
        commands.main(["prepare"])


@pytest.mark.tensorflow
def test_a_second_preparation_downloads_and_builds_nothing(capsys, monkeypatch):
    run.prepare()
    capsys.readouterr()
    monkeypatch.setenv("COURSE_OFFLINE", "1")  # asking for a package would now be an error
    monkeypatch.setattr(cache, "built", [])
    run.prepare()
    assert "nothing to download or build" in capsys.readouterr().out
