"""A bar is drawn where it can be, on a terminal or in a notebook; a log gets lines, and few of them."""

import sys

import pytest

from sources import progress


@pytest.fixture(autouse=True)
def no_kernel(monkeypatch):
    """Let the process be none of a notebook's, whatever earlier tests have imported."""
    monkeypatch.delitem(sys.modules, "ipykernel.kernelapp", raising=False)


def filled(capsys, **more):
    """Return what a bar writes that is filled at once."""
    with progress.bar(1000, "photos", "photo", **more) as bar:
        for _ in range(1000):
            bar.update()
    return capsys.readouterr().err


def test_a_log_gets_lines_and_few(capsys):
    written = filled(capsys)
    assert "\r" not in written
    assert [line.split("%")[0].split()[-1] for line in written.split("\n") if line] == ["0", "100"]


def test_what_is_soon_done_says_nothing_where_that_was_asked_for(capsys):
    assert filled(capsys, delay=10) == ""


@pytest.mark.parametrize("where", ["terminal", "notebook"])
def test_elsewhere_it_stays_one_line(where, capsys, monkeypatch):
    if where == "terminal":
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    else:
        monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", None)
    written = filled(capsys)
    assert "\r" in written
    assert "100%" in written
    assert written.count("\n") == 1
