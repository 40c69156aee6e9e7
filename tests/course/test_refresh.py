"""What is committed is a run without what differs from run to run or may not be published."""

import json

import nbformat
import pytest
from making import notebook

from course import refresh
from helpers import report

v4 = nbformat.v4


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
    done = refresh.clean(fresh, notebook())
    assert [output.text for output in done.cells[0].outputs] == ["2"]
    parted = notebook(executed(outputs=[stream("2\n"), stream("note", "stderr"), stream("3\n")]))
    assert [output.text for output in refresh.clean(parted, notebook()).cells[0].outputs] == ["2\n3\n"]
    assert done.cells[0].execution_count == 1
    assert "execution" not in done.cells[0].metadata
    assert "2025" not in json.dumps(done)
    assert "3.11.7" not in json.dumps(done)
    nbformat.validate(done)


def test_widgets_leave_their_text():
    bar = v4.new_output(
        "display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "a1"}, "text/plain": "100%"}
    )
    done = refresh.clean(notebook(executed(outputs=[bar])), notebook())
    assert done.cells[0].outputs[0].data == {"text/plain": "100%"}


@pytest.mark.parametrize(("timings", "shown"), [("", "3.1 s"), ("1", "2.7 s")])
def test_timings_stay_as_stored_unless_they_are_asked_for(monkeypatch, timings, shown):
    monkeypatch.setenv("TIMINGS", timings)
    stored = notebook(executed(outputs=[stream("3.1 s")], tags=["timing"]), executed(outputs=[stream("old")], number=2))
    fresh = notebook(executed(outputs=[stream("2.7 s")], tags=["timing"]), executed(outputs=[stream("new")], number=2))
    done = refresh.clean(fresh, stored)
    assert [cell.outputs[0].text for cell in done.cells] == [shown, "new"]


def test_a_timing_that_was_never_stored_is_taken(monkeypatch):
    monkeypatch.delenv("TIMINGS", raising=False)
    fresh = notebook(executed(outputs=[stream("2.7 s")], tags=["timing"]))
    assert refresh.clean(fresh, notebook()).cells[0].outputs[0].text == "2.7 s"


@pytest.mark.parametrize(("timings", "ratio"), [("", 4.0), ("1", 5.0)])
def test_a_metric_made_of_seconds_stays_as_stored_unless_it_is_asked_for(monkeypatch, timings, ratio):
    def run(ratio, accuracy):
        metrics = {"retrained_over_frozen": {"value": ratio}, "main": {"value": accuracy}}
        data = {report.METRICS: {"lesson": "04_species", "metrics": metrics}, "text/plain": ""}
        return notebook(executed(outputs=[nbformat.v4.new_output("display_data", data)]))

    monkeypatch.setenv("TIMINGS", timings)
    kept = report.metrics_of(refresh.clean(run(5.0, 0.9), run(4.0, 0.8)))["metrics"]
    assert {name: each["value"] for name, each in kept.items()} == {"retrained_over_frozen": ratio, "main": 0.9}


def test_a_photo_that_may_not_be_published_leaves_its_description():
    shown, hidden = picture("a table of leaves", True), picture("6 photos of flowers: rose.", False)
    done = refresh.clean(notebook(executed(outputs=[shown, hidden])), notebook())
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

    first = refresh.clean(again(), notebook())
    assert refresh.clean(again(), first) == first


def test_what_is_clean_stays_as_it_is():
    first = refresh.clean(a_run(), notebook())
    copy = nbformat.from_dict(first)
    assert refresh.clean(first, first) == copy


def test_a_placeholder_stays_as_it_is():
    first = refresh.clean(notebook(executed(outputs=[picture("6 photos", False)])), notebook())
    copy = nbformat.from_dict(first)
    assert refresh.clean(first, first) == copy


def test_refresh_writes_the_run_back_into_its_file(lessons):
    folder = lessons(_00_first=notebook("import sys; print('out'); print('err', file=sys.stderr)"))
    refresh.refresh(folder / "00_first.ipynb")
    text = (folder / "00_first.ipynb").read_text()
    stored = nbformat.read(folder / "00_first.ipynb", 4)
    assert [output.text for output in stored.cells[0].outputs] == ["out\n"]
    refresh.refresh(folder / "00_first.ipynb")
    assert (folder / "00_first.ipynb").read_text() == text


def test_a_refresh_that_can_not_be_written_leaves_the_lesson_as_it_was(lessons, monkeypatch):
    folder = lessons(_00_first=notebook("print('out')"))
    before = (folder / "00_first.ipynb").read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="space"):
        refresh._write(notebook("print('other')"), folder / "00_first.ipynb")
    assert (folder / "00_first.ipynb").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["00_first.ipynb"]


def test_a_run_that_shows_the_same_keeps_its_record_and_another_gets_a_new_one(tmp_path, monkeypatch):
    monkeypatch.delenv("TIMINGS", raising=False)
    path, first = tmp_path / "00_one.ipynb", {"day": "2025-01-01", "seconds": 9, "on": "a machine"}
    nbformat.write(notebook("1 + 1"), path)
    refresh.refresh(path)
    ran = nbformat.read(path, 4).metadata.course.ran
    assert ran.seconds >= 0
    assert "TensorFlow 2." in ran.on
    stored = nbformat.read(path, 4)
    stored.metadata.course.ran = first
    assert refresh.record(5.0, stored, stored) == first
    other = notebook("1 + 2")
    assert refresh.record(5.0, other, stored)["seconds"] == 5
    monkeypatch.setenv("TIMINGS", "1")
    assert refresh.record(5.0, stored, stored)["seconds"] == 5
