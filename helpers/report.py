"""What a lesson reports: its metrics, the article's claims as the metrics decide them, and measured runs."""

import json
import tomllib
import types

from sources.catalogues import DATA, source

NOTEBOOKS = DATA.parent / "notebooks"
METRICS = "application/vnd.plants.metrics+json"
_reported = {}  # the metrics that this process has displayed, by lesson


def show_metrics(lesson, photo_set, module, label, **metrics):
    """Display a lesson's metrics for machines and for people.

    label: what the main metric is, in a few words.  metrics: name=(value, low, high, n), one of them named main; low
    and high are None where there is no interval.
    """
    from IPython.display import display

    named = {name: dict(zip(("value", "low", "high", "n"), row, strict=True)) for name, row in metrics.items()}
    payload = {"lesson": lesson, "source": source(), "photo_set": photo_set, "module": module, "label": label}
    payload["metrics"] = named
    _reported[lesson] = payload
    display({METRICS: payload, "text/plain": f"main metric: {describe(payload)}"}, raw=True)


def metrics_of(notebook):
    """Return the metrics (dict) that a run lesson displays, {} where it has none; notebook is its JSON as a dict."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if METRICS in output.get("data", {}):
                return output["data"][METRICS]
    return {}


def describe(metrics):
    """Return a lesson's main metric in a few words (str)."""
    if "main" not in metrics.get("metrics", {}):
        return "none"
    main = metrics["metrics"]["main"]
    between = f" [{main['low']:.3f} {main['high']:.3f}]" if main["low"] is not None else ""
    return f"{main['value']:.3f}{between} {metrics.get('label', '')}, n = {main['n']}"


def show_claims():
    """Display the article's claims as a table: claim, the lesson that tests it, verdict, figure."""
    from IPython.display import display

    display({"text/markdown": claims(), "text/plain": claims()}, raw=True, metadata={"course": {"claims": True}})


def claims():
    """Return the table of the article's claims (str, Markdown).

    Figures come from the metrics of the lesson that runs, for other lessons from their committed outputs.
    """
    lines = ["| the article says | tested in | verdict | figure |", "|---|---|---|---|"]
    for row in tomllib.loads((DATA / "claims.toml").read_text()).values():
        lesson = NOTEBOOKS / f"{row['lesson']}.ipynb"
        payload = _reported.get(lesson.stem)
        if payload is None and lesson.exists():
            payload = metrics_of(json.loads(lesson.read_text()))
        verdict, figure = "not tested yet", ""
        if payload:
            numbers = {name: types.SimpleNamespace(**found) for name, found in payload["metrics"].items()}
            verdict, figure = row["verdict"], row["figure"].format(**numbers)
        lines.append(f"| {row['claim']} | {lesson.stem[:2]} | {verdict} | {figure} |")
    return "\n".join(lines) + "\n"


def show_runs():
    """Display data/runs.json, the measured runs of lesson 05 on other photo sets, as a table."""
    from IPython.display import display

    display({"text/markdown": runs(), "text/plain": runs()}, raw=True)


def runs():
    """Return the table of measured runs (str, Markdown); bench/runs.py measures them."""
    lines = [
        "| set | photos | held out | module | accuracy | at random | background only | one split: frozen, tuned | s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in json.loads((DATA / "runs.json").read_text()):
        found = {name: "{value:.3f} [{low:.3f} {high:.3f}]".format(**row[name]) for name in row if "accuracy" in name}
        lines.append(
            f"| {row['set']}: {row['what']} | {row['photos']} in {row['classes']} classes | {row['split']} | "
            f"{row['module']} | {found['accuracy']} | {found['accuracy_random']} | {found['accuracy_background']} | "
            f"{found['accuracy_frozen_split']}, {found['accuracy_fine_tuned']} | {row['seconds']:.0f} |"
        )
    return "\n".join(lines) + "\n"
