"""A figure's alt text says what the figure says: more than its title."""

import ast
import re

import nbformat
import pytest

from course import paths


def titles(source):
    """Return the strings in a cell's code (list of str), among which its figures' titles are."""
    code = "\n".join(line for line in source.splitlines() if not line.startswith(("%", "!")))
    return [
        node.value
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Constant) and node.value and isinstance(node.value, str)
    ]


def words_beyond(alt, title):
    """Return the words (list of str) of an alt text that aren't the title's; all of them, where it isn't there."""
    return re.findall(r"[\w.]*\w", alt.replace(title, "", 1))


@pytest.mark.parametrize("path", paths.lessons(), ids=lambda path: path.stem)
def test_every_figure_is_described_beyond_its_title(path):
    figures, poor = 0, []
    for cell in nbformat.read(path, 4).cells:
        for output in cell.get("outputs", []):
            if "image/png" not in output.get("data", {}):
                continue
            figures += 1
            alt = output.metadata.get("image/png", {}).get("alt", "")
            others = [title for title in titles(cell.source) if title != alt]  # where a cell writes the alt text itself
            if min(len(words_beyond(alt, title)) for title in ["", *others]) < 4:
                poor.append(alt)
    assert figures > 0
    assert poor == []


def test_a_title_alone_is_no_description():
    assert words_beyond("Accuracy by photos: ", "Accuracy by photos") == []
    assert words_beyond("Accuracy by photos: frozen 0.53 at 5.", "Accuracy by photos") == ["frozen", "0.53", "at", "5"]
