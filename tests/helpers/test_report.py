"""Metrics are displayed as machines and people read them."""

import json

import nbformat

from helpers import report

v4 = nbformat.v4


METRICS = {"lesson": "00", "label": "right", "metrics": {"main": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10}}}


def test_the_main_metric_is_described_in_a_few_words():
    main = {"value": 0.9057, "low": 0.859, "high": 0.938, "n": 210}
    found = {"label": "of flowers named right", "metrics": {"more": {}, "main": main}}
    assert report.describe(found) == "0.906 [0.859 0.938] of flowers named right, n = 210"
    main |= {"low": None, "high": None}
    assert report.describe(found) == "0.906 of flowers named right, n = 210"
    assert report.describe({}) == "none"


def test_metrics_are_displayed_as_the_contract_says(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    report.show_metrics("01", "flowers", "resnet_50", "right", main=(0.5, 0.4, 0.6, 10), speed=(2, None, None, 1))
    (data,) = shown
    assert set(data) == {report.METRICS, "text/plain"}
    payload = data[report.METRICS]
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
    assert report.describe(payload) in data["text/plain"]


def test_metrics_are_found_in_a_lesson_and_are_empty_where_there_are_none():
    shown = v4.new_output("display_data", {report.METRICS: METRICS, "text/plain": "0.5"})
    cell = v4.new_code_cell("", outputs=[v4.new_output("stream", text="hm"), shown])
    title = v4.new_markdown_cell("# Title")
    assert report.metrics_of(v4.new_notebook(cells=[title, v4.new_code_cell("1"), cell])) == METRICS
    assert report.metrics_of(v4.new_notebook(cells=[title])) == {}
