"""The article is quoted word for word, and nothing else is set as a quotation."""

import re
import tomllib

import nbformat
import pytest
from lesson_counts import NOTEBOOKS

ROOT = NOTEBOOKS.parent
ARTICLE = (ROOT / "data" / "article.md").read_text()
TITLE, ABOUT, *PASSAGES = re.sub(r"^```.*?^```\n\n", "", ARTICLE, flags=re.M | re.S).split("\n\n")
CLAIMS = tomllib.loads((ROOT / "data" / "claims.toml").read_text())


def one_line(text):
    return " ".join(text.split())


def block_quotes(text):
    """Return the block quotes of a Markdown text (list of str, each on one line); what code shows is none."""
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.M | re.S)
    found = re.findall(r"(?:^ {0,3}>.*\n?)+", text, re.M)
    return [one_line(re.sub(r"^ {0,3}> ?", "", each, flags=re.M)) for each in found]


def pages():
    """Return the Markdown of the lessons, the README and docs, as [(name, str)]."""
    found = [(path.name, path.read_text()) for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]]
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        cells = nbformat.read(path, 4).cells
        found += [(f"{path.name}[{at}]", cell.source) for at, cell in enumerate(cells) if cell.cell_type == "markdown"]
    return found


def misquoted(quote):
    """Return the pieces of a quotation that no passage has, word for word; pieces are parted by " … "."""
    passages = [one_line(each) for each in PASSAGES]
    pieces = re.split(r"\s*(?:…|\[…\])\s*", quote)
    return [piece for piece in pieces if piece and not any(piece in each for each in passages)]


def test_every_block_quote_is_the_articles_word_for_word():
    quotes = [(name, quote) for name, text in pages() for quote in block_quotes(text)]
    assert [(name, wrong) for name, quote in quotes for wrong in misquoted(quote)] == []


def test_every_claim_quotes_the_article_word_for_word():
    assert {name: wrong for name, row in CLAIMS.items() if (wrong := misquoted(row["quote"]))} == {}


def test_no_passage_is_kept_that_nothing_quotes():
    # The examples' code is held by the lessons that print it.
    quoted = [row["quote"] for row in CLAIMS.values()] + [quote for _, text in pages() for quote in block_quotes(text)]
    pieces = [piece for quote in quoted for piece in re.split(r"\s*(?:…|\[…\])\s*", quote)]
    sentences = [each for text in PASSAGES for each in re.split(r"(?<=\.)\s+", one_line(text))]
    unquoted = [each for each in sentences if not any(each in piece or piece in each for piece in pieces if piece)]
    assert unquoted == []


def test_the_article_is_named_by_title_and_date_and_its_three_examples_are_there():
    assert TITLE == "# What distinguishes TensorFlow Hub from TensorFlow official models?"
    assert ABOUT.startswith("30 January 2025.")
    assert ARTICLE.count("```python\nimport tensorflow as tf\n") == 3


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("> TF Hub also offers text encoders, language\n> models", []),
        ("> TF Hub also offers text encoders … control.", []),
        ("> TF Hub offers text encoders", ["TF Hub offers text encoders"]),
        ("> TF Hub also offers … text models", ["text models"]),
        ("No quotation: `> x`\n\n```\n> shell\n```", []),
        ("Some words.\n\n  > somebody else's words\n\nMore", ["somebody else's words"]),
    ],
)
def test_a_changed_word_is_noticed(text, wrong):
    assert [each for quote in block_quotes(text) for each in misquoted(quote)] == wrong
