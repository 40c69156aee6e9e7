"""Tables as people and spreadsheets leave them: read alike, or refused with file, line and what was found."""

import csv
import io
import unicodedata

import pytest

from sources import tables

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed: make check brings it")
st = hypothesis.strategies
WANTED = [(2, {"file": "rose/ä 1.jpg", "group": "t0"}), (3, {"file": "iris/2.jpg", "group": "t1"})]


@pytest.fixture
def table(tmp_path):
    """Give a function that writes text or bytes as groups.csv and returns its path."""

    def write(content, encoding="utf-8"):
        path = tmp_path / "groups.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", list(",;\t|"))
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiter_encoding_and_line_ends_make_no_difference(encoding, delimiter, end, table):
    lines = ["File,GROUP", '"rose/ä 1.jpg",t0', "iris/2.jpg,t1 ", ""]
    assert tables.rows(table(end.join(lines).replace(",", delimiter), encoding)) == WANTED


@pytest.mark.parametrize(
    "text",
    [
        "file,group\nrose/ä 1.jpg,t0\niris/2.jpg,t1",
        " file , Group,\n rose/ä 1.jpg , t0 ,\niris/2.jpg,\u00a0t1\t,,\n,,\n\n",
        '"file";"group"\n"rose/ä 1.jpg";"t0"\n"iris/2.jpg";"t1"\n',
        unicodedata.normalize("NFD", "file,group\nrose/ä 1.jpg,t0\niris/2.jpg,t1\n"),
        "\ufeff\ufefffile,group\nrose/ä 1.jpg,t0\niris/2.jpg,t1\n",
    ],
)
def test_blanks_quotes_and_unicode_forms_make_no_difference(text, table):
    assert tables.rows(table(text)) == WANTED


def test_excels_own_first_line_says_the_delimiter(table):
    (row,) = tables.rows(table("sep=;\r\nfile;group;why\r\na,b.jpg;1;x,y,z\r\n"))
    assert row == (3, {"file": "a,b.jpg", "group": "1", "why": "x,y,z"})


def test_the_delimiter_that_finds_the_columns_wins_over_a_more_frequent_one(table):
    (row,) = tables.rows(table("file;group;a,b,c,d,e\nx.jpg;1;2,5\n"))
    assert row == (2, {"file": "x.jpg", "group": "1", "a,b,c,d,e": "2,5"})


def test_other_columns_come_along_and_short_rows_are_filled(table):
    text = 'note,file,group,more\n"two\nlines ""quoted""",a.jpg,1\n,b.jpg,2,yes\n'
    assert tables.rows(table(text)) == [
        (2, {"note": 'two\nlines "quoted"', "file": "a.jpg", "group": "1", "more": ""}),
        (4, {"note": "", "file": "b.jpg", "group": "2", "more": "yes"}),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "line 1: no column is called file or group. Columns: missing: it is empty"),
        ("filename;groups\na;b\n", "Columns: filename, groups. The nearest: filename, groups"),
        ("\n\nfile\na\n", "line 3: no column is called group. Columns: file."),
        ("rose/1.jpg,t0\n", "Columns: rose/1.jpg, t0"),
        ("file,group,FILE\n", "line 1: two columns are called file"),
        ("file,group\na.jpg\n", r"line 2: 1 cells under 2 columns: \['a.jpg'\]"),
        ("file,group\na.jpg,1\n\nb.jpg,1,5\n", r"line 4: 3 cells under 2 columns: \['b.jpg', '1', '5'\]"),
        ('file,group\nrose/1.jpg,"t0\n' + "x" * 140_000, "line 2: a quote is not closed"),
        ('file,group\nrose/1.jpg,"t0\nrose/2.jpg,t1\n', "line 2: a quote is not closed"),
        ('file,group\nrose/1.jpg,"t0\nrose/2.jpg,"t1"\n', "line 2: a quote is not closed, or text follows it"),
        ('"file,group\n', "line 1: a quote is not closed"),
        (b"PK\x03\x04 and so on", "is a spreadsheet's own format"),
        (b"file,group\na,b\n\x81\x8d,c\n", "line 3: this is not text"),
    ],
)
def test_each_fault_is_named_with_file_line_and_what_was_found(content, said, table):
    with pytest.raises(tables.TableError, match=said) as raised:
        tables.rows(table(content))
    assert "groups.csv" in str(raised.value)
    assert len(str(raised.value)) < 800


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_rows_or_one_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"file,group\n" * (len(content) % 2) + content)
    try:
        found = tables.rows(path)
    except tables.TableError:
        return
    assert all(isinstance(line, int) and {"file", "group"} <= set(row) for line, row in found)


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(
    st.lists(st.tuples(*[st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9)] * 2)),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_a_spreadsheet_writes_comes_back(tmp_path_factory, cells, delimiter, encoding):
    made = io.StringIO(newline="")
    csv.writer(made, delimiter=delimiter).writerows([("file", "group"), *cells])
    path = tmp_path_factory.getbasetemp() / "written.csv"
    path.write_bytes(made.getvalue().encode(encoding))
    plain = lambda text: unicodedata.normalize("NFC", text).replace("\ufeff", "").strip()  # noqa: E731
    wanted = [tuple(map(plain, row)) for row in cells if any(map(plain, row))]
    assert [(row["file"], row["group"]) for _, row in tables.rows(path)] == wanted
