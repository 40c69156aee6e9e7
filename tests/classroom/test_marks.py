"""marks.csv: what a person typed is read however it was saved, belongs to one answer, and is never lost."""

import csv
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import unicodedata

import pytest

from classroom import marks
from classroom.collect import Submission
from course.paths import ROOT, CourseError
from sources.tables import TableError

SCHEMES = {("sample", "why"): (2.0, "the last digit"), ("other", "why"): (2.0, "")}
WHY = "Its last digit is even."


def work(student, text=WHY, assignment="sample", before=None):
    """Return a submission with one short answer."""
    made = Submission(student, assignment, answers={"why": text})
    made.ids = marks.ids(made, made.answers)
    made.before = {"answers": {"why": before}} if before else {}
    return made


def saved(out, *works, waiting=("why",)):
    """Read what is there and write the view, as one call of grade does; return the marks."""
    read = marks.Marks(out, works, SCHEMES)
    read.write_view(works, [{"waiting": list(waiting)} for _ in works])
    return read


def rows(out):
    with (out / "marks.csv").open(newline="", encoding="utf-8-sig") as file:
        return {(row["student"], row["assignment"], row["answer"]): row for row in csv.DictReader(file)}


def typed(out, changes, delimiter=",", encoding="utf-8-sig", columns=str, drop=(), errors="strict"):
    """Type changes ({student: {column: text}}) into marks.csv, and save it as a spreadsheet might."""
    found = list(rows(out).values())
    names = [name for name in found[0] if name not in drop]
    names += [name for each in changes.values() for name in each if name not in names]
    text = io.StringIO(newline="")
    table = csv.writer(text, delimiter=delimiter)
    table.writerow([columns(name) for name in names])
    for row in found:
        row |= changes.get(row["student"], {})
        table.writerow([row.get(name, "") for name in names])
    (out / "marks.csv").write_bytes(text.getvalue().encode(encoding, errors))


MARK = {"points": "1,5", "comment": "Good; but – why?"}


@pytest.mark.parametrize("delimiter", list(",;\t"))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("columns", [str, str.upper, str.title])
def test_marks_are_read_however_they_were_saved(delimiter, encoding, columns, tmp_path):
    people = [work("Zoë"), work("bob"), work("=1+1")]
    saved(tmp_path, *people)
    typed(tmp_path, {"Zoë": MARK, "'=1+1": {"points": "0", "comment": "-"}}, delimiter, encoding, columns)
    read = saved(tmp_path, *people)
    assert read.given(people[0]) == {"why": {"points": 1.5, "comment": MARK["comment"]}}
    assert read.given(people[1]) == {}
    assert read.given(people[2])["why"]["points"] == 0
    again = saved(tmp_path, *people)
    assert again.given(people[0]) == read.given(people[0])
    assert rows(tmp_path)["Zoë", "sample", WHY] | MARK == rows(tmp_path)["Zoë", "sample", WHY]


def test_a_name_that_the_encoding_lost_is_found_by_the_answers_id(tmp_path):
    person = work("Łukasz")
    saved(tmp_path, person)
    typed(tmp_path, {"Łukasz": MARK}, ";", "cp1252", errors="replace")
    assert b"?ukasz" in (tmp_path / "marks.csv").read_bytes()
    assert saved(tmp_path, person).given(person)["why"]["points"] == 1.5
    assert rows(tmp_path)["Łukasz", "sample", WHY]["points"] == "1,5"


def test_names_are_compared_in_one_form(tmp_path):
    person = work("René")
    saved(tmp_path, person)
    typed(tmp_path, {"René": MARK}, drop=["answer id"])
    text = unicodedata.normalize("NFD", (tmp_path / "marks.csv").read_text())
    (tmp_path / "marks.csv").write_text(text.replace("Rene", " Rene"))
    assert saved(tmp_path, person).given(person)["why"]["points"] == 1.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("student,assignment,question,comment\nann,sample,why,good\n", "line 1: no column is called points"),
        ("student;assignment;question;point\nann;sample;why;1\n", "The nearest: point"),
        ("", "no column is called student"),
        ('student,assignment,question,points\nann,sample,why,"1\n', "line 2: a quote is not closed"),
        ("student,assignment,question,points\nann,sample,why,1,5\n", "line 2: 5 cells under 4 columns"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_and_stays_as_it_is(text, said, tmp_path):
    (tmp_path / "marks.csv").write_text(text)
    with pytest.raises(TableError, match=said):
        saved(tmp_path, work("ann"))
    assert (tmp_path / "marks.csv").read_text() == text


@pytest.mark.parametrize("points", ["3", "-1", "two", "nan", "1/2", "01. Mai", "1,5,0"])
def test_points_that_are_none_are_named_and_stay(points, tmp_path):
    saved(tmp_path, work("ann"), work("bob"))
    typed(tmp_path, {"bob": {"points": points}})
    text = (tmp_path / "marks.csv").read_bytes()
    with pytest.raises(CourseError, match=r"marks.csv, line 3: .* is no number of points from 0 to 2"):
        saved(tmp_path, work("ann"), work("bob"))
    assert (tmp_path / "marks.csv").read_bytes() == text


def test_another_answer_waits_and_the_mark_stays_with_the_text_it_was_given_for(tmp_path, capsys):
    saved(tmp_path, work("ann"))
    typed(tmp_path, {"ann": MARK})
    changed = work("ann", "Two divides it.", before=WHY)
    read = saved(tmp_path, changed)
    assert (read.given(changed), read.of_other_texts(changed)) == ({}, ["why"])
    assert "the marks of ann, sample, why" in capsys.readouterr().out
    assert rows(tmp_path)["ann", "sample", "Two divides it."]["points"] == ""
    assert rows(tmp_path)["ann", "sample", WHY] | MARK == rows(tmp_path)["ann", "sample", WHY]
    back = work("ann", f"  {WHY}\n", before="Two divides it.")
    assert saved(tmp_path, back).given(back)["why"]["points"] == 1.5


def test_without_ids_a_mark_is_for_the_text_that_was_graded_last(tmp_path):
    saved(tmp_path, work("ann"))
    typed(tmp_path, {"ann": MARK}, drop=["answer id", "answer", "marking scheme", "max"])
    changed = work("ann", "Two divides it.", before=WHY)
    assert saved(tmp_path, changed).of_other_texts(changed) == ["why"]
    same = work("ann", WHY, before=WHY)
    assert saved(tmp_path, same).given(same)["why"]["points"] == 1.5


def test_another_assignment_and_another_folder_keep_all(tmp_path, capsys):
    saved(tmp_path, work("ann"), work("bob"))
    typed(tmp_path, {"ann": MARK})
    saved(tmp_path, work("ann", assignment="other"))
    saved(tmp_path, work("carl"))
    capsys.readouterr()
    saved(tmp_path, work("dora"))
    assert "the marks of ann, sample, why" in capsys.readouterr().out
    names = {(student, assignment) for student, assignment, _ in rows(tmp_path)}
    assert names == {(each, "sample") for each in ("ann", "bob", "carl", "dora")} | {("ann", "other")}
    assert saved(tmp_path, work("ann")).given(work("ann"))["why"]["points"] == 1.5


def test_rows_that_match_nobody_and_columns_of_a_teachers_own_are_kept(tmp_path, capsys):
    saved(tmp_path, work("ann"))
    typed(tmp_path, {"ann": {"Checked by": "J. D.", "comment": "later"}})
    with (tmp_path / "marks.csv").open("a", encoding="utf-8") as file:
        file.write("nobody,sample,why,2,1,who?\r\n")
    saved(tmp_path, work("ann"))
    assert "nobody, sample, why" in capsys.readouterr().out
    assert rows(tmp_path)["nobody", "sample", ""]["points"] == "1"
    row = rows(tmp_path)["ann", "sample", WHY]
    assert (row["points"], row["comment"], row["checked by"]) == ("", "later", "J. D.")


def test_an_emptied_cell_keeps_what_was_in_it_and_a_minus_takes_it_back(tmp_path):
    saved(tmp_path, work("ann"))
    typed(tmp_path, {"ann": MARK})
    saved(tmp_path, work("ann"))
    typed(tmp_path, {"ann": {"points": "", "comment": ""}})
    assert saved(tmp_path, work("ann")).given(work("ann"))["why"] == {"points": 1.5, "comment": MARK["comment"]}
    (tmp_path / "marks.csv").unlink()
    assert saved(tmp_path, work("ann")).given(work("ann"))["why"]["points"] == 1.5
    typed(tmp_path, {"ann": {"points": "-"}})
    assert saved(tmp_path, work("ann")).given(work("ann")) == {}
    typed(tmp_path, {"ann": {"points": "2"}})
    assert saved(tmp_path, work("ann")).given(work("ann"))["why"]["points"] == 2


def test_what_is_typed_while_grading_runs_is_kept_and_said(tmp_path, capsys):
    saved(tmp_path, work("ann"), work("bob"))
    read = marks.Marks(tmp_path, [work("ann"), work("bob")], SCHEMES)
    typed(tmp_path, {"ann": MARK}, ";", "cp1252")
    read.write_view([work("ann"), work("bob")], [{"waiting": ["why"]}] * 2)
    assert "marks.csv was changed while this ran" in capsys.readouterr().out
    assert rows(tmp_path)["ann", "sample", WHY] | MARK == rows(tmp_path)["ann", "sample", WHY]
    assert saved(tmp_path, work("ann")).given(work("ann"))["why"]["points"] == 1.5


def test_nonsense_that_is_typed_while_grading_runs_stays_as_it_is(tmp_path):
    saved(tmp_path, work("ann"))
    read = marks.Marks(tmp_path, [work("ann")], SCHEMES)
    typed(tmp_path, {"ann": {"points": "two"}})
    text = (tmp_path / "marks.csv").read_bytes()
    with pytest.raises(CourseError, match="two is no number"):
        read.write_view([work("ann")], [{"waiting": ["why"]}])
    assert (tmp_path / "marks.csv").read_bytes() == text


@pytest.mark.parametrize("name", ["marks.xlsx", "marks (1).csv", "Marks.ods"])
def test_marks_under_another_name_are_said_to_be_unread(name, tmp_path, capsys):
    (tmp_path / name).write_bytes(b"PK")
    saved(tmp_path, work("ann"))
    assert f"Not read: {name}." in capsys.readouterr().out


def test_one_answer_marked_twice_and_ids_that_were_mixed_up_are_refused(tmp_path):
    people = work("ann"), work("bob")
    saved(tmp_path, *people)
    text = (tmp_path / "marks.csv").read_text(encoding="utf-8")
    head, ann, bob = text.splitlines()
    first, second = ann.replace(",2,,", ",2,1,"), ann.replace(",2,,", ",2,2,")
    (tmp_path / "marks.csv").write_text("\n".join([head, first, bob, second]), encoding="utf-8")
    with pytest.raises(CourseError, match=r"line 4: line 2 marks this answer, too, and differently"):
        saved(tmp_path, *people)
    mixed = bob.replace("bob", "ann")
    (tmp_path / "marks.csv").write_text("\n".join([head, mixed]), encoding="utf-8")
    with pytest.raises(CourseError, match=r"line 2: the answer id is of bob, sample, why"):
        saved(tmp_path, *people)


def test_the_graders_own_file_only_grows_and_ten_versions_stay(tmp_path):
    saved(tmp_path, work("ann"))
    stores = []
    for number in range(15):
        typed(tmp_path, {"ann": {"points": str(number / 10)}})
        saved(tmp_path, work("ann"))
        stores.append((tmp_path / "marks.jsonl").read_text())
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(stores))
    assert [json.loads(line)["points"] for line in stores[-1].splitlines()] == [str(n / 10) for n in range(15)]
    kept = sorted((tmp_path / "earlier").glob("marks.jsonl.*"), key=lambda path: int(path.suffix[1:]))
    assert [path.read_text() for path in kept] == stores[-11:-1]
    before = len(list((tmp_path / "earlier").iterdir()))
    saved(tmp_path, work("ann"))  # nothing typed, no version
    assert len(list((tmp_path / "earlier").iterdir())) == before


WRITER = """
import sys
from pathlib import Path
from classroom import marks
number = 0
while True:
    number += 1
    marks.replace(Path(sys.argv[1]), (f"{number}\\n" * 200_000).encode())
    print(number, flush=True)
"""


def test_a_file_is_whole_whenever_its_writer_is_killed(tmp_path):
    path = tmp_path / "marks.jsonl"
    for wait in (0.05, 0.11, 0.17):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        lines = path.read_text().splitlines()
        assert len(lines) == 200_000
        assert len(set(lines)) == 1


hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed: make check brings it")
st = hypothesis.strategies
CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12) | st.sampled_from(
    ["1", "1,5", "-", "=1", "'=1"]
)


def unquoted(text):
    return text[1:] if text[:1] == "'" and text[1:2] in tuple("=+-@") else text


def plain(text):
    return unicodedata.normalize("NFC", text).replace("\ufeff", "").strip()


def check_typed(out, names, comments, delimiter, encoding):
    for path in [*out.glob("earlier/*"), *out.glob("marks*")]:
        path.unlink()
    people = [work(name) for name in names]
    saved(out, *people)
    quoted = lambda text: f"'{text}" if text[:1] in tuple("=+-@") else text  # noqa: E731
    changes = {quoted(name): {"points": "1,5", "comment": text} for name, text in zip(names, comments, strict=False)}
    typed(out, changes, delimiter, encoding)
    for _ in range(2):
        read = saved(out, *people)
        for person, text in zip(people, comments, strict=False):
            assert read.given(person)["why"] == {"points": 1.5, "comment": unquoted(plain(text))}


NAMES = st.lists(CELLS.map(plain).map(unquoted).filter(bool), min_size=1, max_size=5, unique=True)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
    NAMES, st.lists(CELLS, max_size=5), st.sampled_from(",;\t"), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
)
def test_whatever_is_typed_comes_back(tmp_path_factory, names, comments, delimiter, encoding):
    check_typed(tmp_path_factory.getbasetemp(), names, comments, delimiter, encoding)


@pytest.mark.long
@hypothesis.settings(max_examples=3000, deadline=None)
@hypothesis.given(
    NAMES, st.lists(CELLS, max_size=5), st.sampled_from(",;\t"), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
)
def test_whatever_is_typed_comes_back_many_times(tmp_path_factory, names, comments, delimiter, encoding):
    check_typed(tmp_path_factory.getbasetemp(), names, comments, delimiter, encoding)


@hypothesis.settings(max_examples=80, deadline=None)
@hypothesis.given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 60))
def test_a_damaged_table_loses_nothing(tmp_path_factory, damage, place, length):
    out = tmp_path_factory.getbasetemp()
    for path in [*out.glob("earlier/*"), *out.glob("marks*")]:
        path.unlink()
    saved(out, work("ann"))
    typed(out, {"ann": MARK})
    saved(out, work("ann"))
    text = (out / "marks.csv").read_bytes()
    text = text[:place] + damage + text[place + length :]
    (out / "marks.csv").write_bytes(text)
    try:
        saved(out, work("ann"))
    except (CourseError, TableError):
        assert (out / "marks.csv").read_bytes() == text
    stored = [json.loads(line) for line in (out / "marks.jsonl").read_text().splitlines()]
    assert stored[0] | MARK == stored[0]
