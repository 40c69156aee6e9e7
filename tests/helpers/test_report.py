"""A lesson's metrics come back from its notebook, and decide the article's claims."""

import json

import pytest

from helpers import report


@pytest.fixture(autouse=True)
def displayed(monkeypatch):
    """Return what is displayed; nothing reported before counts."""
    found = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw, metadata=None: found.append((data, metadata)))
    monkeypatch.setattr(report, "_reported", {})
    return found


def test_metrics_are_displayed_for_machines_and_people_and_read_back(displayed):
    report.show_metrics("04_species", "flowers", "m", "right", main=(0.5, 0.4, 0.6, 10), other=(2, None, None, 3))
    data, _ = displayed[0]
    assert data["text/plain"] == "main metric: 0.500 [0.400 0.600] right, n = 10"
    notebook = {"cells": [{"source": ""}, {"outputs": [{}, {"data": json.loads(json.dumps(data))}]}]}
    assert report.metrics_of(notebook)["metrics"]["other"] == {"value": 2, "low": None, "high": None, "n": 3}
    assert report.metrics_of({"cells": []}) == {}
    assert report.describe({}) == "none"
    assert report.describe({"metrics": {"main": {"value": 2, "low": None, "n": 3}}, "label": "x"}) == "2.000 x, n = 3"


def test_claims_are_decided_by_what_lessons_report_or_committed(displayed, tmp_path, monkeypatch):
    rows = '[{}]\nclaim = "c{}"\nlesson = "{}"\nverdict = "holds"\nfigure = "{{main.value:.1f}}"\n'
    (tmp_path / "claims.toml").write_text("".join(rows.format(f"r{n}", n, f"0{n}_a") for n in (1, 2, 3)))
    monkeypatch.setattr(report, "DATA", tmp_path)
    monkeypatch.setattr(report, "NOTEBOOKS", tmp_path)
    report.show_metrics("01_a", "", "", "", main=(0.51, 0, 1, 1))
    (tmp_path / "02_a.ipynb").write_text(json.dumps({"cells": [{"outputs": [{"data": displayed[0][0]}]}]}))
    report.show_claims()
    data, metadata = displayed[1]
    assert metadata == {"course": {"claims": True}}
    assert data["text/markdown"].splitlines()[2:] == [
        "| c1 | 01 | holds | 0.5 |",
        "| c2 | 02 | holds | 0.5 |",
        "| c3 | 03 | not tested yet |  |",
    ]
