"""Count what a reader meets in a lesson: python -m tests.lesson_counts [NOTEBOOK ...] prints a Markdown table.

Prose leaves out headings, tables and code; words per paragraph and per sentence leave out lists, too. Code lines leave
out blank lines and comments. Cells that are folded when the lesson opens are counted apart. Pictures are those in texts
and in stored outputs. An "a" after the tasks says that they have answers that unfold.
"""

import json
import re
import statistics
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
COLUMNS = {
    "lesson": "{name}",
    "text + code cells": "{texts} + {codes}{folded}",
    "words of prose": "{words:,}",
    "words per paragraph, median (max)": "{paragraph:.0f} ({longest})",
    "words per sentence": "{sentence:.0f}",
    "code lines": "{lines}",
    "per cell, median (max)": "{cell:.0f} ({largest})",
    "words per code line": "{words_a_line:.0f}",
    "pictures": "{pictures}",
    "we / you": "{we:.1f} / {you:.1f}",
    "; :": "{stops:.1f}",
    "intervals printed": "{intervals}",
    "tasks": "{tasks}",
}
AIM = (
    "| **aim** | 12 to 20 + 10 to 18 | 800 to 1,400 | 20 to 35 (90) | 13 to 18 | 45 to 130 | 3 to 5 (20) | 8 to 20 "
    "| 3 to 8 | 1.5 to 4 / 1 to 3 | below 1.5 | 1 to 3 | 3 to 6a |"
)
LIST = r"\s*(?:[-*]|\d+\.)\s"
WORD = re.compile(r"[A-Za-z0-9][\w'’-]*")
NUMBER = r"[-+−]?\d*\.?\d+\s?%?"
FRACTION = r"[-+−]?(?:\d*\.\d+%?|\d+%)"  # [3, 4] is a shape
INTERVAL = re.compile(rf"\[{FRACTION},?\s+{FRACTION}\]|interval[^\n]{{0,40}}?{NUMBER}[^\n]{{0,12}}? to {NUMBER}")


def count(notebook: dict) -> dict:
    """Return the counts of a notebook, read as JSON."""
    texts = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    folded = [cell for cell in code if cell["metadata"].get("jupyter", {}).get("source_hidden")]
    lines = [_lines("".join(cell["source"])) for cell in code if cell not in folded]
    blocks = [each for text in texts for each in _blocks(text)]
    prose, total = "\n".join(blocks), sum(len(WORD.findall(each)) for each in blocks)
    paragraphs = [each for each in blocks if not re.match(LIST, each)]
    words = [len(WORD.findall(each)) for each in paragraphs]
    sentences = re.split(r"(?<=[.!?])[*_)”]*\s+|\n", "\n".join(paragraphs))
    outputs = [output for cell in code for output in cell.get("outputs", [])]
    printed = [o for o in outputs if "image/png" not in o.get("data", {})]  # a picture's text is its alt text
    shown = "\n".join("".join(o.get("text", "") or o.get("data", {}).get("text/plain", "")) for o in printed)
    whole = "\n".join(texts)
    per_hundred = 100 / max(total, 1)
    return {
        "texts": len(texts),
        "codes": len(code) - len(folded),
        "folded": f" ({len(folded)} more folded)" if folded else "",
        "words": total,
        "paragraph": statistics.median(words or [0]),
        "longest": max(words, default=0),
        "sentence": sum(words) / len(sentences),
        "lines": sum(lines),
        "cell": statistics.median(lines or [0]),
        "largest": max(lines, default=0),
        "words_a_line": total / max(sum(lines), 1),
        "pictures": len(re.findall(r"!\[|<img", whole)) + sum("image/png" in o.get("data", {}) for o in outputs),
        "we": per_hundred * len(re.findall(r"\b(?:we|our|ours|us|let['’]s)\b", prose, re.I)),
        "you": per_hundred * len(re.findall(r"\b(?:you|your|yours)\b", prose, re.I)),
        "stops": per_hundred * len(re.findall(r"[;:](?=\s|$)", prose)),
        "intervals": len(INTERVAL.findall(shown + "\n" + prose)),
        "tasks": _tasks(whole),
    }


def _lines(source):
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in source.splitlines())


def _blocks(text):
    """Return the paragraphs and list items (list of str) of a Markdown text, each on one line."""
    text = re.sub(r"^ *(```|~~~).*?^ *\1", "", text, flags=re.M | re.S)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)|<[^>\n]+>", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    kept = "\n".join(line for line in text.splitlines() if not re.match(r"\s*(\||#)", line))
    return [" ".join(each.split()) for each in re.split(rf"\n\s*\n|\n(?={LIST})", kept) if WORD.search(each)]


def _tasks(text):
    """Return how many exercises and questions to check yourself there are."""
    check = re.search(r"## (?:Check yourself|Try it yourself)(.*?)(?=\n## |<details>|$)", text, re.S)
    check = check[1] if check else ""
    tasks = len(re.findall(r"\*\*Exercise \d", text)) + len(re.findall(rf"^{LIST}", check, re.M))
    return f"{tasks}{'a' if '<details>' in text else ''}"


def table(paths) -> str:
    """Return the counts of notebooks (Markdown), a row each."""
    rows = [{"name": path.stem} | count(json.loads(path.read_text())) for path in paths]
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(cell.format(**row) for cell in COLUMNS.values()) + " |" for row in rows]
    return "\n".join([*lines, AIM])


if __name__ == "__main__":
    print(table([Path(each) for each in sys.argv[1:]] or sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))))
