"""What a lesson reports: its metrics, and the article's claims as the metrics decide them."""

import json
import tomllib
import types

from sources.catalogues import DATA, source

NOTEBOOKS = DATA.parent / "notebooks"
METRICS = "application/vnd.plants.metrics+json"
_reported = {}  # the metrics that this process has displayed, by lesson


def show_metrics(lesson: str, photo_set: str, module: str, label: str, **metrics: tuple) -> None:
    """Display a lesson's metrics for machines and for people.

    label: what the main metric is, in a few words.  metrics: name=(value, low, high, n), one of them named main; low
    and high are None where there is no interval.
    """
    named = {name: dict(zip(("value", "low", "high", "n"), row, strict=True)) for name, row in metrics.items()}
    payload = {"lesson": lesson, "source": source(), "photo_set": photo_set, "module": module, "label": label}
    _reported[lesson] = payload | {"metrics": named}
    _display({METRICS: _reported[lesson], "text/plain": f"main metric: {describe(_reported[lesson])}"})


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


def show_claims() -> None:
    """Display the article's claims as a table: claim, the lesson that tests it, verdict, figure."""
    _display({"text/markdown": claims(), "text/plain": claims()}, metadata={"course": {"claims": True}})


def claims() -> str:
    """Return the table of the article's claims (Markdown).

    Figures come from the metrics of the lesson that runs, for other lessons from their committed outputs.
    """
    lines = ["| the article says | tested in | verdict | figure |", "|---|---|---|---|"]
    for row in tomllib.loads((DATA / "claims.toml").read_text()).values():
        committed = NOTEBOOKS / f"{row['lesson']}.ipynb"
        payload = _reported.get(row["lesson"]) or (committed.exists() and metrics_of(json.loads(committed.read_text())))
        found = payload["metrics"] if payload else {}
        numbers = {name: types.SimpleNamespace(**metric) for name, metric in found.items()}
        verdict, figure = (row["verdict"], row["figure"].format(**numbers)) if payload else ("not tested yet", "")
        lines.append(f"| {row['claim']} | {row['lesson'].rpartition('/')[2][:2]} | {verdict} | {figure} |")
    return "\n".join(lines) + "\n"
