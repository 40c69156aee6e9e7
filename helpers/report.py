"""What a lesson reports: its metrics, and the article's claims, which rules decide by the metrics."""

import json
import tomllib
import types

import numpy as np

from sources.catalogues import DATA, source

NOTEBOOKS = DATA.parent / "notebooks"
METRICS = "application/vnd.plants.metrics+json"
_reported = {}  # the metrics that this process has displayed, by lesson


def show_metrics(lesson: str, photo_set, module: str, label: str, **metrics) -> None:
    """Display a lesson's metrics for machines and for people.

    photo_set: a PhotoSet or its name.  label: what the main metric is, in a few words.  metrics: one of them named
    main. An evaluation.Result counts as its accuracy, and so does a bool array [n], which photos are right. Others are
    (value, low, high, n), (value, low, high) or a number; low and high are None where there is no interval. Raises
    ValueError for anything else.
    """
    name = photo_set if isinstance(photo_set, str) else photo_set.card["name"]
    payload = {"lesson": lesson, "source": source(), "photo_set": name, "module": module, "label": label}
    _reported[lesson] = payload | {"metrics": {name: _row(name, metric) for name, metric in metrics.items()}}
    _display({METRICS: _reported[lesson], "text/plain": f"main metric: {describe(_reported[lesson])}"})


def _row(name, metric):
    """Return a metric as plain numbers: {value, low, high, n}."""
    if hasattr(metric, "accuracy"):
        metric = (metric.accuracy, *metric.interval, len(metric.labels))
    elif isinstance(metric, np.ndarray):
        from helpers import evaluation  # the command line does without scikit-learn

        metric = (*evaluation.proportion(metric), len(metric))
    elif not isinstance(metric, (tuple, list)):
        metric = (metric, None, None, 1)
    if len(metric) not in (3, 4):
        raise ValueError(
            f"metric {name} is {metric!r}: a Result, a bool array, (value, low, high, n) or a number is needed."
        )
    value, low, high, n = (*metric, None)[:4]
    numbers = {"value": value, "low": low, "high": high}
    return {key: each if each is None else float(each) for key, each in numbers.items()} | {"n": n and int(n)}


def _display(data, **options):
    from IPython.display import display  # the command line uses this module, too, and does without

    display(data, raw=True, **options)


def metrics_of(notebook: dict) -> dict:
    """Return the metrics that a run lesson, read as JSON, displays; {} where it has none."""
    outputs = [output.get("data", {}) for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return next((data[METRICS] for data in outputs if METRICS in data), {})


def describe(metrics: dict) -> str:
    """Return a lesson's main metric in a few words."""
    if "main" not in metrics.get("metrics", {}):
        return "none"
    main = metrics["metrics"]["main"]
    between = f" [{main['low']:.3f} {main['high']:.3f}]" if main["low"] is not None else ""
    return f"{main['value']:.3f}{between} {metrics.get('label', '')}, n = {main['n']}"


def show_claims(lesson: str = "") -> None:
    """Display the article's claims as a table: those that one lesson tests, or all."""
    table = claims(lesson)
    _display({"text/markdown": table, "text/plain": table}, metadata={"course": {"claims": lesson or "all"}})


def claims(lesson: str = "") -> str:
    """Return the table of the article's claims (Markdown), of one lesson or all.

    Figures come from the metrics of the lesson that runs, for other lessons from their committed outputs.
    """
    lines = ["| the article's words | what we test | lesson | verdict | figure |", "|---|---|---|---|---|"]
    for row in tomllib.loads((DATA / "claims.toml").read_text()).values():
        if lesson in ("", row["lesson"]):
            verdict, figure = judge(row, metrics(row.get("run", row["lesson"])))
            lines.append(f"| “{row['quote']}” | {row['claim']} | {row['lesson'][:2]} | {verdict} | {figure} |")
    return "\n".join(lines) + "\n"


def metrics(lesson: str) -> dict[str, dict]:
    """Return a lesson's metrics, {name: {value, low, high, n}}: of this process, or of its committed run, if any."""
    committed = NOTEBOOKS / f"{lesson}.ipynb"
    found = _reported.get(lesson) or (metrics_of(json.loads(committed.read_text())) if committed.exists() else {})
    return found.get("metrics", {})


def judge(claim: dict, metrics: dict) -> tuple[str, str]:
    """Return (verdict, figure) of a claim from data/claims.toml, as its rule decides them by metrics.

    A rule names a condition for each verdict. The first one that is true decides; if none is, we can't tell.
    """
    if claim["rule"] == "opinion":
        return "opinion", ""
    named = {name: types.SimpleNamespace(**metric) for name, metric in metrics.items()}
    try:
        true = [verdict for verdict, condition in claim["rule"].items() if eval(condition, {}, named)]
        return (*true, "can't tell")[0], claim["figure"].format(**named)
    except (NameError, KeyError):  # the lesson doesn't report such a metric
        return "not tested yet", ""


def example(number: int) -> str:
    """Return the code of one of the article's three examples, as it was printed."""
    return (DATA / "article.md").read_text().split("```python\n")[number].split("```")[0]
