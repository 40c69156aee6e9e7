"""The tables in data/: which modules, photo sets and text sets there are, and where they come from."""

import csv
import functools
import hashlib
import os
import tomllib

from sources.cache import ROOT

DATA = ROOT / "data"


@functools.cache
def entries(kind: str) -> dict[str, dict]:
    """Return a catalogue as {name: dict}.

    Args:
        kind: "modules", "photos" or "texts". The fields are explained at the top of data/KIND.toml.
    """
    return tomllib.loads((DATA / f"{kind}.toml").read_text(encoding="utf-8"))


def rows(name: str) -> list[dict]:
    """Return the rows of a CSV table in data/."""
    with open(DATA / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def source() -> str:
    """Return where modules and photos come from: "packaged" (the default) or "official".

    Raises:
        ValueError: COURSE_SOURCE is neither.
    """
    chosen = os.environ.get("COURSE_SOURCE", "packaged")
    if chosen not in {"packaged", "official"}:
        raise ValueError(f"COURSE_SOURCE is {chosen!r}; it is packaged (the default) or official.")
    return chosen


def fingerprint(*parts: bytes | str) -> str:
    """Return a short name, 10 hex digits, for what something is built from: hashes, file contents, a recipe."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else str(part).encode())
    return digest.hexdigest()[:10]
