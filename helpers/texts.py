"""Labelled text sets, and running a text module once over texts and keeping the result."""

import dataclasses
import hashlib
from collections.abc import Iterable

import numpy as np

from helpers import modules
from sources import cache, catalogues, engines, extraction


@dataclasses.dataclass(frozen=True, eq=False)
class TextSet:
    """A labelled text set of n texts."""

    texts: np.ndarray  # object [n], of str
    labels: np.ndarray  # int32 [n]
    class_names: tuple[str, ...]  # in label order
    groups: np.ndarray  # str [n]; texts of one group are never on both sides of a split
    card: dict = dataclasses.field(
        default_factory=dict
    )  # the catalogue entry (licence, show, credit ...), with its name

    def __len__(self):
        return len(self.texts)

    def take(self, rows: Iterable) -> "TextSet":
        """Return the set of some of its texts: rows is a list of positions or a boolean mask [n]."""
        rows = np.arange(len(self))[np.asarray(rows) if len(rows) else slice(0)]
        return dataclasses.replace(self, texts=self.texts[rows], labels=self.labels[rows], groups=self.groups[rows])


def catalogue() -> dict[str, dict]:
    """Return data/texts.toml as {name: entry}; the fields are explained at its top."""
    return catalogues.entries("texts")


def load(name: str, masked: bool = True) -> TextSet:
    """Return a text set of the catalogue, prepared on first use; ValueError, with the names there are, for another.

    masked: whether words that name a class are replaced by "plant"; False leaves them in, to show what they give away.
    """
    import pandas

    from sources.recipes import glosses

    if name not in catalogue():
        raise ValueError(f"no text set is called {name!r}; there is {', '.join(catalogue())}.")
    card = {"name": name, **catalogue()[name]}
    key = catalogues.fingerprint(*(origin["sha256"] for origin in card["origins"]))
    folder = cache.prepared(f"texts/{name}-{key}", lambda part: getattr(glosses, name)(part, card))
    rows = pandas.read_csv(folder / "glosses.csv", dtype={"label": np.int32}, keep_default_na=False)
    given = rows["masked" if masked else "text"].to_numpy(object)
    return TextSet(given, rows["label"].to_numpy(), tuple(card["classes"]), rows["group"].to_numpy(str), card)


def encode(texts: TextSet | Iterable[str], module: str, batch_size: int = 64) -> np.ndarray:
    """Return what a text module makes of n texts: float32 [n, d], in their order.

    The result is kept on disk, keyed by the texts and the module: a second call reads it.  module: a catalogue name or
    the folder of a SavedModel that maps strings [n] to [n, d].  Raises ValueError, with the rows, where a text is
    missing or empty; for a module that looks at photos, is unknown, or gives something else than [n, d].
    """
    texts = _checked(texts.texts if isinstance(texts, TextSet) else texts)
    if modules.catalogue().get(module, {}).get("input_size"):
        reads = [name for name, entry in modules.catalogue().items() if not entry["input_size"]]
        raise ValueError(f"{module} looks at photos, not texts; these read texts: {', '.join(reads)}.")
    label, folder, identity = modules.identified(module)
    key = hashlib.sha256(f"{identity} {engines.tensorflow()}".encode())
    for text in texts:
        key.update(hashlib.sha256(text.encode()).digest())

    def build(part):
        np.save(part / "vectors.npy", extraction.of_texts(folder, texts, batch_size, label))

    return np.load(cache.prepared(f"texts/{label}-{key.hexdigest()[:16]}", build) / "vectors.npy")


def _checked(texts):
    if isinstance(texts, str):
        raise ValueError("texts is one text; a list of them is needed: [text].")
    texts = list(texts)
    if bad := [row for row, text in enumerate(texts) if not isinstance(text, str) or not text.strip()]:
        rows = f"row {', '.join(map(str, bad[:5]))}{' ...' if len(bad) > 5 else ''}; row {bad[0]} is {texts[bad[0]]!r}"
        fault = f"{len(bad)} of {len(texts)} texts are missing, empty or no text ({rows})"
        raise ValueError(f"{fault}. Leave these rows out, with their labels, or write their texts.")
    if not texts:
        raise ValueError("there is no text; one is the least.")
    return texts
