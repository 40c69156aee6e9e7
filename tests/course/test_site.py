"""What can't be published stops the site's build with one message, and links and lessons become what a page needs."""

import json

import pytest

from course import site
from course.paths import CourseError

LESSON = {
    "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": "# 00 One\n\nA **backbone** and a **head**."},
        {
            "cell_type": "code",
            "execution_count": 1,
            "metadata": {},
            "source": "figures.show()",
            "outputs": [
                {
                    "output_type": "display_data",
                    "data": {"image/png": "iVBORw0KGgo=", "text/plain": "A leaf"},
                    "metadata": {"image/png": {"alt": "A leaf with three spots"}},
                }
            ],
        },
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}
TERMS = "| backbone | the large part of a network | [00](../notebooks/00_one.ipynb) |\n"


@pytest.fixture
def course(tmp_path):
    """Give a function that writes a small course, some of its files replaced (str or a notebook), and stages it."""

    def staged(address="", **replaced):
        files = {
            "README.md": "# A course\n",
            "docs/glossary.md": TERMS,
            "notebooks/00_one.ipynb": LESSON,
            "LICENSE": "",
        }
        for name, content in (files | replaced).items():
            path = tmp_path / "course" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        site.stage(tmp_path / "course", tmp_path / "staged", address)
        return tmp_path / "staged"

    return staged


def lesson(**output):
    """Return the lesson with its output changed."""
    copy = json.loads(json.dumps(LESSON))
    copy["cells"][1]["outputs"][0] |= output
    return copy


def unrun():
    """Return the lesson as it is before it runs."""
    copy = json.loads(json.dumps(LESSON))
    copy["cells"][1] |= {"execution_count": None, "outputs": []}
    return copy


BAD = {
    "a lesson without outputs": ({"notebooks/00_one.ipynb": unrun()}, "notebooks/00_one.ipynb: not all of its cells"),
    "a dead link": ({"README.md": "[x](docs/gone.md)"}, "README.md: the link to docs/gone.md leads nowhere."),
    "a picture without alt text": ({"README.md": "![](LICENSE)"}, "README.md: the picture LICENSE has no alt text."),
    "a figure without alt text": (
        {"notebooks/00_one.ipynb": lesson(metadata={})},
        "notebooks/00_one.ipynb: the picture below cell 1 has no alt text.",
    ),
}


@pytest.mark.parametrize(("replaced", "told"), BAD.values(), ids=BAD)
def test_what_cannot_be_published_is_named(course, replaced, told):
    with pytest.raises(CourseError) as error:
        course(**replaced)
    first, *faults = str(error.value).splitlines()
    assert first == "the site can't be built:"
    assert len(faults) == 1
    assert faults[0].startswith(told)


def test_a_term_leads_to_the_glossary_from_the_lesson_that_explains_it(course):
    staged = course()
    text = json.loads((staged / "notebooks" / "00_one.ipynb").read_text())["cells"][0]["source"]
    assert "A [**backbone**](../docs/glossary.md#term-backbone) and a **head**." in text
    assert (staged / "docs" / "glossary.md").read_text().startswith("| [backbone]{#term-backbone} |")


def test_the_download_is_the_lesson_as_it_is_committed(course):
    assert json.loads((course() / "downloads" / "00_one.ipynb").read_text()) == LESSON


def test_links_out_of_the_site_and_doors_wait_for_an_address(course):
    readme = {"README.md": "See [the licence](LICENSE) and [the lesson](notebooks/00_one.ipynb)."}
    readme["docs/platforms.md"] = "git clone https://github.com/OWNER/NAME"
    staged = course(**readme)
    assert "See the licence and [the lesson](notebooks/00_one.ipynb)." in (staged / "index.md").read_text()
    assert "colab" not in (staged / "notebooks" / "00_one.ipynb").read_text()
    staged = course(address="https://github.com/a/b", **readme)
    assert "[the licence](https://github.com/a/b/blob/main/LICENSE)" in (staged / "index.md").read_text()
    doors = (staged / "notebooks" / "00_one.ipynb").read_text()
    assert "https://colab.research.google.com/github/a/b/blob/main/notebooks/00_one.ipynb" in doors
    assert "https://mybinder.org/v2/gh/a/b/main?urlpath=lab/tree/notebooks/00_one.ipynb" in doors
    assert "?repo=https://github.com/a/b&branch=main&urlpath=lab/tree/b/notebooks/00_one.ipynb" in doors
    assert (staged / "docs" / "platforms.md").read_text() == "git clone https://github.com/a/b"


def test_a_run_that_was_recorded_is_told(course):
    ran = {"ran": {"day": "2026-11-26", "seconds": 90, "on": "one machine"}}
    staged = course(**{"notebooks/00_one.ipynb": LESSON | {"metadata": {"course": ran}}})
    assert "| 2026-11-26 | 1.5 | one machine |" in (staged / "runs.md").read_text()
    assert "last run 2026-11-26" in (staged / "notebooks" / "00_one.ipynb").read_text()
    staged = course(**{"notebooks/00_one.ipynb": LESSON})
    assert "| not recorded | |" in (staged / "runs.md").read_text()
