"""What students hand in: every file found, the student and the assignment recognised, the cells read."""

import json
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from classroom import cells

READ_LIMIT, KEPT_LIMIT = 300_000_000, 20_000_000  # bytes: of a file, and of its cells without outputs
JUNK = re.compile(
    r"\._|\.(?!(.*\.)?ipynb$)|__MACOSX$|__pycache__$|~\$|Thumbs\.db$|desktop\.ini$", re.I
)  # what systems leave behind
ARCHIVES = (".zip", ".7z", ".rar", ".gz", ".tgz", ".tar", ".xz", ".bz2")
COPY_OF = re.compile(r"((copy of|kopie von|kopie van|copie de|copia de|cópia de)\s+)+", re.I)  # as Google Drive says
COPY = re.compile(r"(\s*\(\d+\)|[\s_-]+(copy|kopie|copie|copia)[\s_-]*\(?\d*\)?)+$", re.I)
SYSTEMS = [  # the names that learning systems give to what they hand out: Canvas, Moodle, Blackboard, Brightspace
    re.compile(r"(?P<student>[^_]+)_(?:LATE_)?(?P<number>\d+)_\d{3,}_.+"),  # Canvas alone has one number for a student
    re.compile(r"(?P<student>.+?)_\d+_assignsubmission_.*(?P<number>)"),
    re.compile(r".+_(?P<student>[^_]+)_attempt_\d{4}-.*(?P<number>)"),
    re.compile(r"\d+-\d+ ?- ?(?P<student>.+?) ?- ?\w+ \d{1,2}, \d{4}.*(?P<number>)"),
]


@dataclass
class Submission:
    """A student's file of one assignment; assignment is "" and cells is None where none was recognised.

    The lower half is what grade makes of it. An assignment's own solution is a submission of the student "".
    """

    student: str
    assignment: str = ""
    path: Path | None = None
    cells: list | None = None  # dicts of cell_type, source, grade_id, attachments
    flags: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    number: str = ""  # what a learning system calls the student

    kept: Path | None = None  # the folder of its results
    notebook: str | None = None  # what is graded
    key: str = ""  # the same as long as nothing has changed
    enders: str = ""  # the cells that may end a kernel
    answers: dict = field(default_factory=dict)  # {grade_id: text} of the short answers
    ids: dict = field(default_factory=dict)  # {(student, assignment, grade_id): answer id}
    before: dict = field(default_factory=dict)  # its last result

    def flag(self, flag: str, note: str) -> None:
        """Add a flag, and a note of what it means here."""
        self.flags.append(flag)
        self.notes.append(note)


def collect(folder: Path, releases: Mapping, assignment: str = "", skip: Path | None = None) -> list[Submission]:
    """Return what was handed in, by student and assignment; only what systems leave behind goes unseen.

    Args:
        folder: STUDENT/NAME/NAME.ipynb, STUDENT/NAME.ipynb, STUDENT.ipynb, STUDENT_NAME.ipynb, NAME/STUDENT.ipynb and
            what Canvas, Moodle, Blackboard and Brightspace make of them, mixed as they come.
        releases: {name: the students' notebook}.
        assignment: what a notebook is that tells nothing of itself.
        skip: a folder in it that nobody handed in.
    """
    every, numbers, found = [], {}, {}
    for top in _inside(folder):
        if (name := _named(_said(top.name), releases)) and top.is_dir() and not top.is_symlink():
            every += [each for entry in _inside(top) for each in _entry(entry, releases, assignment, name)]
        elif top != skip:
            every += _entry(top, releases, assignment)
    for each in every:
        numbers.setdefault(each.student, set()).add(each.number)
    plain = {student: re.sub(r"[\W_]+", " ", student).strip().casefold() for student in sorted(numbers)}
    for each in every:
        same = [student for student in plain if plain[student] == plain[each.student]]
        if len(same) > 1:
            each.flag("similar name", f"Perhaps one student: {'; '.join(same)}. If so, rename what they handed in.")
        if len(numbers[each.student] - {""}) > 1:
            each.flag("same name", f"Several students are called {each.student}; told apart by their system's number.")
            each.student = f"{each.student} {each.number}".strip()
        found.setdefault((each.student, each.assignment), []).append(each)
    return [_chosen(several) for _, several in sorted(found.items())]


def _inside(folder):
    return sorted(path for path in folder.iterdir() if not JUNK.match(path.name))


def _entry(entry, releases, assignment, named=""):
    """Return the submissions in a file, or in a student's folder."""
    files, made, others = [entry], [], []
    if entry.is_dir() and not entry.is_symlink():
        files = [path for path in sorted(entry.rglob("*")) if path.is_symlink() or not path.is_dir()]
        files = [path for path in files if not any(map(JUNK.match, path.relative_to(entry).parts))]
    student, number, doubt = _student(_said(entry.name) if entry.is_dir() else _stem(entry), releases)
    for path in files:
        if _is_notebook(path):
            made.append(Submission(student, path=path, number=number))
            try:
                _read(made[-1], releases, {*path.relative_to(entry).parts, named}, assignment)
            except Exception as error:  # whatever its broken part makes json and nbformat raise
                why = f"{type(error).__name__}: {error}".splitlines()[0][:300]
                made[-1].cells = None
                made[-1].flag("not a notebook", f"{_said(path.name)} can't be read ({why}). Ask for it again.")
        else:
            others.append(_said(path.name))
    listed = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
    if made and others:
        made[0].flag("other files", f"Also handed in, and not looked at: {listed}.")
    elif not made:
        packed = any(name.lower().endswith(ARCHIVES) for name in others)
        cure = "Unpack it into a folder called like the student" if packed else "Ask for the .ipynb file"
        made = [Submission(student, named, number=number)]
        made[0].flag("no notebook", f"Handed in: {listed or 'an empty folder'}. {cure}, and grade again.")
    for each in made if doubt else []:
        each.flag("renamed", f"{_said(entry.name)} {doubt}.")
    return made


def _said(name):
    """Return a file's name as text; one that is not in UTF-8 is read as Windows wrote it."""
    try:
        return unicodedata.normalize("NFC", os.fsencode(name).decode()).strip() or "_"
    except UnicodeDecodeError:
        return os.fsencode(name).decode("cp1252", "backslashreplace")


def _stem(path):
    """Return a file's name without its suffixes, of which .ipynb.txt are two."""
    return re.sub(r"(\.ipynb|\.tar)?\.[^.\s]{1,5}$", "", _said(path.name), flags=re.I) or _said(path.name)


def _patterns(releases):
    """Return {assignment: pattern of its name, whatever its case and separators}, the longest name first."""
    names = sorted(releases, key=len, reverse=True)
    return {name: re.compile("[ _-]+".join(map(re.escape, re.split("[ _-]+", name))), re.I) for name in names}


def _named(text, releases):
    """Return the assignment that a text is the name of, or None."""
    return next((name for name, pattern in _patterns(releases).items() if pattern.fullmatch(text)), None)


def _student(text: str, releases: Iterable[str]) -> tuple[str, str, str]:
    """Return whose a name is, their number in a learning system, and what makes that doubtful ("" where nothing does).

    Args:
        text: a file's name without its suffixes, or a folder's.
        releases: the names of the assignments.
    """
    for system in SYSTEMS:
        if match := system.fullmatch(text):
            return match["student"], match["number"], ""
    text = COPY.sub("", COPY_OF.sub("", text)) or text
    if _named(text, releases):
        return text, "", "does not say whose it is"
    for pattern in _patterns(releases).values():
        if match := pattern.search(text):
            before, after = (part.strip(" _-+.") for part in (text[: match.start()], text[match.end() :]))
            student = COPY.sub("", before or after)
            more = before and COPY.sub("", f" {after}").strip("0123456789 ")
            return student, "", f"is taken for {student}'s" if more else ""
    return text, "", ""


def _is_notebook(path):
    """Whether a file is meant as a notebook, whatever it is called."""
    name = path.name.lower()
    if ".ipynb" in name or path.is_symlink() or not path.is_file() or path.suffix.lower() not in ("", ".txt", ".json"):
        return ".ipynb" in name and not name.endswith(ARCHIVES)
    with path.open("rb") as file:
        return b'"cells"' in file.read(2000)


def _read(read, releases, folders, assignment):
    """Read a notebook, and recognise its assignment: by its cells, then by its name."""
    stem = _stem(read.path)
    patterns = _patterns(releases)
    inside = {name for name, pattern in patterns.items() if any(map(pattern.fullmatch, folders))}
    named = [name for name, pattern in patterns.items() if name in inside or pattern.search(stem)] + [assignment or ""]
    read.assignment = named[0]
    if read.path.is_symlink() or not read.path.is_file():
        raise ValueError("it is a link, which is not followed, or no file")
    size = read.path.stat().st_size
    read.cells = read_cells(read.path.read_bytes()) if size <= READ_LIMIT else []
    kept = len(json.dumps(read.cells))
    if size > READ_LIMIT or kept > KEPT_LIMIT:
        raise ValueError(
            f"it has {size:,} bytes, {kept:,} without outputs; the limits are {READ_LIMIT:,} and {KEPT_LIMIT:,}. Cure: "
            "Kernel > Restart Kernel and Clear Outputs of All Cells, shrink pasted pictures, save"
        )
    known = {name: len(cells.places(read.cells, cells.wanted(release))) for name, release in releases.items()}
    best = max(known, key=lambda name: (known[name], name == named[0]))
    read.assignment = best if known[best] else read.assignment
    if not read.assignment:
        read.cells = None
        return read.flag("not recognised", "No cell of any assignment is in it; name one: --assignment.")
    if not known[best]:
        read.flag("empty", "None of the assignment's cells is in it.")
    if not patterns[read.assignment].search(stem) or read.path.suffix != ".ipynb":
        read.flag("renamed", f"Recognised by its cells; the file is called {_said(read.path.name)}.")


def read_cells(data: bytes) -> list[dict]:
    """Return a notebook's cells as dicts of cell_type, source, grade_id and attachments; all else is dropped."""
    notebook = json.loads(data.decode(json.detect_encoding(data), "surrogatepass"))
    if notebook.get("nbformat", 4) < 4:
        for cell in (cell for part in notebook["worksheets"] for cell in part["cells"]):
            cell |= {key: _joined(cell[key]) for key in ("source", "input") if key in cell} | {"outputs": []}
        notebook = nbformat.convert(nbformat.from_dict(notebook), 4)
    return [_cell(cell) for cell in notebook["cells"]]


def _cell(cell):
    nbgrader = _dict(_dict(cell.get("metadata")).get("nbgrader"))
    key, source = nbgrader.get("grade_id"), cell.get("source", "")
    pictures = {name: _dict(parts) for name, parts in _dict(cell.get("attachments")).items()}
    pictures = {name: {kind: _joined(data) for kind, data in parts.items()} for name, parts in pictures.items()}
    plain = {
        "cell_type": str(cell.get("cell_type")),
        "source": _joined(source).replace("\r\n", "\n"),
        "attachments": pictures,
    }
    plain["grade_id"] = key if isinstance(key, str) else None
    # Half a surrogate pair can be in JSON, but in no file: it becomes a question mark.
    return json.loads(json.dumps(plain, ensure_ascii=False).encode("utf-8", "replace"))


def _joined(source):
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def _dict(value):
    return value if isinstance(value, dict) else {}


def _chosen(several):
    """One of a student's files of one assignment: what can be read, has its own name, is newest."""

    def rank(each):
        named = each.path and (_stem(each.path) == each.assignment, each.path.lstat().st_mtime_ns)
        return each.cells is not None, named or ()

    best, *others = sorted(several, key=rank, reverse=True)
    if others:
        paths = [each.path for each in several if each.path]
        above = os.path.commonpath([path.parent for path in paths]) if paths else ""
        best_name, *names = (
            _said(os.path.relpath(each.path, above)) if each.path else each.notes[0] for each in (best, *others)
        )
        what = "graded" if best.cells is not None else "unreadable like the others:"
        best.flag("several files", f"{len(several)} files; {what} {best_name}, not {', '.join(names)}.")
    return best
