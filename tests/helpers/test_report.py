"""A lesson's metrics come back from its notebook, and rules decide the article's claims by them."""

import json
import re
import tomllib
from types import SimpleNamespace

import numpy as np
import pytest

from helpers import evaluation, report

CLAIMS = tomllib.loads((report.DATA / "claims.toml").read_text())
RULES = {name: row["rule"] for name, row in CLAIMS.items() if row["rule"] != "opinion"}


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


def test_a_metric_may_be_a_result_a_comparison_or_a_number(displayed):
    result = evaluation.scored([0, 0, 1, 0], [0, 0, 1, 1])
    gain = tuple(np.float32([0.1, 0.0, 0.2]))
    plants = SimpleNamespace(card={"name": "flowers"})
    more = {
        "gain": gain,
        "seen": (*gain, np.int64(7)),
        "runs": np.True_,
        "right": result.predictions[0] == result.labels,
    }
    report.show_metrics("00", plants, "m", "l", main=result, **more)
    payload = json.loads(json.dumps(displayed[0][0][report.METRICS]))  # numpy's numbers would not pass
    low, high = result.interval
    assert payload["photo_set"] == "flowers"
    assert payload["metrics"] == {
        "main": {"value": 0.75, "low": low, "high": high, "n": 4},
        "gain": {"value": pytest.approx(0.1), "low": 0, "high": pytest.approx(0.2), "n": None},
        "seen": {"value": pytest.approx(0.1), "low": 0, "high": pytest.approx(0.2), "n": 7},
        "runs": {"value": 1, "low": None, "high": None, "n": 1},
        "right": {"value": 0.75, "low": low, "high": high, "n": 4},
    }


def test_what_is_no_metric_is_refused_by_name():
    with pytest.raises(ValueError, match=r"metric gain is \(0.1, 0.2\)"):
        report.show_metrics("00", "flowers", "m", "l", main=1, gain=(0.1, 0.2))


def test_claims_are_decided_by_what_lessons_report_or_committed(displayed, tmp_path, monkeypatch):
    row = '[r{0}]\nquote = "q"\nclaim = "c{0}"\nlesson = "0{0}_a"\nrule = {{ "holds" = "main.low > 0.3" }}\n'
    row += 'figure = "{{main.value:.1f}}"\n'
    run = '[r4]\nquote = "q"\nclaim = "c4"\nlesson = "01_a"\nrun = "02_a"\nrule = "opinion"\n'
    (tmp_path / "claims.toml").write_text("".join(row.format(n) for n in (1, 2, 3)) + run)
    monkeypatch.setattr(report, "DATA", tmp_path)
    monkeypatch.setattr(report, "NOTEBOOKS", tmp_path)
    report.show_metrics("01_a", "", "", "", main=(0.51, 0.2, 1, 1))
    report.show_metrics("02_a", "", "", "", main=(0.51, 0.4, 1, 1))
    (tmp_path / "02_a.ipynb").write_text(json.dumps({"cells": [{"outputs": [{"data": displayed[1][0]}]}]}))
    del report._reported["02_a"]
    report.show_claims()
    report.show_claims("01_a")
    assert [metadata for _, metadata in displayed[2:]] == [{"course": {"claims": each}} for each in ("all", "01_a")]
    whole, own = (data["text/markdown"].splitlines()[2:] for data, _ in displayed[2:])
    assert whole == [
        "| “q” | c1 | 01 | can't tell | 0.5 |",
        "| “q” | c2 | 02 | holds | 0.5 |",
        "| “q” | c3 | 03 | not tested yet |  |",
        "| “q” | c4 | 01 | opinion |  |",
    ]
    assert own == [whole[0], whole[3]]


def test_figures_may_come_from_a_run_at_full_size(monkeypatch):
    row = {"quote": "", "claim": "", "lesson": "05", "run": "big", "figure": "{main.n}"}
    row["rule"] = {"holds": "main.low > 0.3"}
    monkeypatch.setattr(report.tomllib, "loads", lambda text: {"r": row})
    small, big = ({"value": 0.5, "low": low, "high": 1, "n": n} for low, n in ((0, 9), (0.4, 99)))
    monkeypatch.setattr(report, "_reported", {"05": {"metrics": {"main": small}}, "big": {"metrics": {"main": big}}})
    assert report.claims().splitlines()[2] == "| “” |  | 05 | holds | 99 |"


def drawn(rule, draws=500):
    """Give random metrics for the names in a rule: values near its own numbers, so that every border is crossed."""
    rng = np.random.default_rng(0)
    conditions = " ".join(rule.values())
    names = sorted(set(re.findall(r"([a-z]\w*)\.(?:value|low|high|n)\b", conditions)))
    numbers = [0, 1, 2, 3, 9, *map(float, re.findall(r"(?<![\w.])\d+(?:\.\d+)?", conditions))]
    for _ in range(draws):
        values = np.array(numbers)[rng.integers(len(numbers), size=len(names))]
        values = np.maximum(values + rng.choice([-1, -0.2, -0.01, 0, 0, 0.01, 0.2, 1], len(names)), -1)
        half = rng.choice([0.001, 0.05, 0.3], len(names))
        more = rng.integers(0, 3, len(names)) * 10 ** rng.integers(0, 3)
        yield {
            name: {"value": value, "low": value - wide, "high": value + wide, "n": max(int(value), 1) + plus}
            for name, value, wide, plus in zip(names, values, half, more, strict=True)
        }


@pytest.mark.parametrize("name", RULES)
def test_every_rule_can_come_out_otherwise(name):
    claim = {"rule": RULES[name], "figure": ""}
    verdicts = {report.judge(claim, metrics)[0] for metrics in drawn(claim["rule"])}
    assert len(verdicts) > 1
    assert set(claim["rule"]) <= verdicts  # no verdict that nothing could bring about
    assert set(claim["rule"]) <= {"holds", "holds in part", "does not hold"}
    assert report.judge(claim, {})[0] == "not tested yet"


def test_a_rule_that_could_not_come_out_otherwise_would_be_noticed():
    rule = {"holds": "main.value == main.value", "does not hold": "main.low > main.high"}
    assert {report.judge({"rule": rule, "figure": ""}, metrics)[0] for metrics in drawn(rule)} == {"holds"}


def test_the_first_condition_that_is_true_decides_and_without_one_we_cannot_tell():
    claim = {"rule": {"holds": "gain.low > 0", "does not hold": "gain.high < 0"}, "figure": "{gain.value:+.1f}"}
    gains = {"holds": (0.1, 0.3), "can't tell": (-0.1, 0.3), "does not hold": (-0.3, -0.1)}
    for verdict, (low, high) in gains.items():
        metrics = {"gain": {"value": (low + high) / 2, "low": low, "high": high, "n": 9}}
        assert report.judge(claim, metrics) == (verdict, f"{(low + high) / 2:+.1f}")


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_names_a_lesson_and_its_figure_only_what_lessons_report(name):
    row = CLAIMS[name]
    assert set(row) - {"run", "figure"} == {"quote", "claim", "lesson", "rule"}
    assert ("figure" in row) == (row["rule"] != "opinion")
    if name in RULES:
        figures = set(re.findall(r"{(\w+)\.(?:value|low|high|n)\b", row["figure"]))
        assert figures
        assert set(re.findall(r"{(\w+)", row["figure"])) == figures
