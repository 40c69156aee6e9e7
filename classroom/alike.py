"""python -m classroom alike: pairs of submissions that have much code in common, side by side for a teacher to read."""

import html
import itertools
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path

from nbformat import NotebookNode
from pygments.lexers import PythonLexer
from pygments.token import Token

from classroom import marks
from classroom.grade import opened
from course.paths import BUILD

ROW = 10  # tokens, about a line of code; shorter rows are in everybody's answer
LEAST = 30  # rows that are a student's own; where there are fewer, all answers are alike
SHOWN, FROM = 20, 0.5  # pairs of an assignment, and what they have in common at least
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Submissions with code in common</title>
<style>body {{ font: 1rem/1.5 sans-serif; margin: 1rem }} summary {{ cursor: pointer; padding: .4rem 0 }}
.pair {{ display: grid; grid-template-columns: 1fr 1fr; gap: 1rem }} mark {{ background: #ffe08a }}
pre {{ background: #f4f4f4; overflow-x: auto; padding: .5rem }}</style>
<h1>Submissions with code in common</h1>
<p>Similar code has many causes: a task with few solutions, a cell of the lesson from which both students started, work
in pairs that you allowed, a common source, or one student's work handed in twice. This page can't tell which. Read
both, compare with the other pairs of the class, and talk to the students before you decide anything.</p>
<p>Compared is the code that the assignment didn't give them. Names, comments and the order of cells make no difference.
The percentage says how much of the shorter one is in the other, too; those lines are <mark>marked</mark>. Answers in
words are not compared.</p>
{parts}</html>
"""
PART = """<h2>{name}</h2>
<p>{count} pairs with enough code to compare; half of them have at most {middle:.0%} in common.</p>
"""


def alike(folder: str | Path, assignment: str | None = None, out: Path | None = None) -> None:
    """Write alike.html into out (build/grades by default).

    Raises:
        CourseError: there is no such folder or assignment, or nothing was handed in.
    """
    out, parts, shown = Path(out or BUILD / "grades").resolve(), [], 0
    _, releases, _, submissions = opened(folder, assignment, out)
    for name, release in releases.items():
        works = {each.student: each.cells for each in submissions if each.assignment == name and each.cells}
        if pairs := compared(works, release):
            middle = statistics.median(pair[0] for pair in pairs)
            parts.append(PART.format(name=html.escape(name), count=len(pairs), middle=middle))
            pairs = [pair for pair in pairs[:SHOWN] if pair[0] >= FROM]
            parts += [_shown(*pair) for pair in pairs] or [f"<p>None has {FROM:.0%} or more.</p>\n"]
            shown += len(pairs)
    out.mkdir(parents=True, exist_ok=True)
    marks.replace(out / "alike.html", PAGE.format(parts="".join(parts)).encode(), versions=0)
    print(f"{out / 'alike.html'}: {shown} pairs to read, of {len(submissions)} submissions.")


def compared(works: Mapping[str, list], release: NotebookNode) -> list[tuple]:
    """Compare all pairs that have enough code.

    Args:
        works: {student: cells as collect reads them}, of one assignment.
        release: the students' notebook.

    Returns:
        the proportion in common (of the shorter), its rows of tokens, and for each of the two the name, the cells (list
        of str) and their rows; the pairs most alike come first.
    """
    code = [cell.source.strip() for cell in release.cells if cell.cell_type == "code"]
    given, students = _rows(code).keys(), {}
    for student, cells in works.items():
        texts = [cell["source"].strip() for cell in cells if cell["cell_type"] == "code"]
        own = [text for text in texts if text not in code]
        rows = {row: lines for row, lines in _rows(own).items() if row not in given}
        if len(rows) >= LEAST:
            students[student] = student, own, rows
    pairs = []
    for one, other in itertools.combinations(students.values(), 2):
        both = one[2].keys() & other[2].keys()
        pairs.append((len(both) / min(len(one[2]), len(other[2])), both, one, other))
    return sorted(pairs, key=lambda pair: (pair[0], len(pair[1])), reverse=True)


def _rows(cells: Iterable[str]) -> dict[tuple, set]:
    """Return the rows of tokens in some cells, and the lines of each: {tokens: {(cell, line), ...}}."""
    found = {}
    for number, text in enumerate(cells):
        tokens = []
        for start, kind, token in PythonLexer().get_tokens_unprocessed(text):
            if not any(kind in each for each in (Token.Text, Token.Comment, Token.String.Doc)):
                named = kind in Token.String or (kind in Token.Name and kind not in Token.Name.Builtin)
                tokens.append(("name" if named else token, (number, text.count("\n", 0, start))))
        for row in zip(*(tokens[start:] for start in range(ROW)), strict=False):
            found.setdefault(tuple(token for token, _ in row), set()).update(line for _, line in row)
    return found


def _shown(common, both, *two):
    names, sides = [], ""
    for student, cells, rows in two:
        marked, lines = set().union(*(rows[row] for row in both)), []
        for number, text in enumerate(cells):
            for line, code in enumerate(html.escape(text).split("\n")):
                lines.append(f"<mark>{code}</mark>" if (number, line) in marked else code)
            lines.append("")
        names.append(html.escape(student))
        sides += "\n".join([f"<div><h3>{names[-1]}</h3><pre>", *lines, "</pre></div>"])
    return f'<details><summary>{common:.0%}: {" and ".join(names)}</summary><div class="pair">{sides}</div></details>\n'
