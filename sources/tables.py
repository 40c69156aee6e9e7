"""Tables that a person typed or a spreadsheet saved, whatever their delimiter and encoding."""

import csv
import difflib
import io
import re
import unicodedata
from pathlib import Path


class TableError(ValueError):
    """A table can't be read. The message names the file, the line, and what was found there."""


def rows(
    path: str | Path, needed: tuple[str, ...] = ("file", "group"), keep_case: bool = False
) -> list[tuple[int, dict[str, str]]]:
    """Read a table whose first line names its columns.

    Args:
        path: a file delimited by commas, semicolons, tabs or bars, in UTF-8, UTF-16 or Windows-1252.
        needed: lower-cased names of the columns that must be there.
        keep_case: leave the names of all other columns as they are.

    Returns:
        The line number and the cells, by lower-cased column name, of each row that is not blank. Both are stripped and
        in Unicode's composed form (NFC), so that texts that look equal compare as equal.

    Raises:
        TableError: this is no table, or a column, a quote or a cell is missing, or there is one too many.
    """
    text = _text(path)
    said, head = re.match(r"(?:sep=(.)\r?\n)?\s*([^\r\n]*)", text).groups()  # Excel's own first line, if it is there
    fits = {each: [_plain(cell.strip('"')).lower() in needed for cell in head.split(each)] for each in ",;\t|"}
    text = text.removeprefix(f"sep={said}")
    lines = _records(path, text, said or max(fits, key=lambda each: (sum(fits[each]), len(fits[each]))))
    first, cells = next(lines, (1, []))
    columns = [
        _plain(cell) if keep_case and _plain(cell).lower() not in needed else _plain(cell).lower() for cell in cells
    ]
    if missing := [name for name in needed if name not in columns]:
        there = ", ".join(filter(None, columns))[:300] or "missing: it is empty"
        near = ", ".join(match for name in missing for match in difflib.get_close_matches(name, columns, 1)) or "none"
        said = f"no column is called {' or '.join(missing)}. Columns: {there}. The nearest: {near}."
        raise TableError(f"{path}, line {first}: {said}")
    if twice := [name for name in columns if name and columns.count(name) > 1]:
        raise TableError(f"{path}, line {first}: two columns are called {twice[0]}. Rename or delete one.")
    last, found = max(map(columns.index, needed)), []
    for line, cells in lines:
        if any(map(_plain, cells[len(columns) :])) or len(cells) <= last:
            raise TableError(f"{path}, line {line}: {len(cells)} cells under {len(columns)} columns: {cells}"[:400])
        cells = [*map(_plain, cells), *[""] * (len(columns) - len(cells))]
        found.append((line, {name: cell for name, cell in zip(columns, cells, strict=False) if name}))
    return found


def _text(path):
    data = Path(path).read_bytes()
    if data[:2] == b"PK" or data[:4] == b"\xd0\xcf\x11\xe0":
        raise TableError(f"{path} is a spreadsheet's own format. Open it there and save it as CSV.")
    zeros = [data[start::2].count(0) > len(data) // 8 for start in (0, 1)]  # UTF-16, even where no mark says so
    encodings = ["utf-16-be" if zeros[0] else "utf-16-le"] if any(zeros) else ["utf-8", "cp1252"]
    for encoding in ["utf-16"] if data[:2] in (b"\xff\xfe", b"\xfe\xff") else encodings:
        try:
            return data.decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
    raise TableError(f"{path}, line {line}: this is not text. Save the table as CSV in UTF-8.")


def _records(path, text, delimiter):
    """Yield what is not blank: the number of its first line, and its cells."""
    reader, line = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), 1
    try:
        for cells in reader:
            if any(map(_plain, cells)):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise TableError(f"{path}, line {line}: a quote is not closed, or text follows it ({error}).") from error


def _plain(text):
    return unicodedata.normalize("NFC", text).replace("\ufeff", "").strip()
