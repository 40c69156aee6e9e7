"""Labelled text sets, and running a text module once over texts and keeping the result."""

import csv
import dataclasses
import hashlib
from pathlib import Path

import numpy as np
from tqdm import tqdm

from helpers import modules
from sources import cache, catalogues


@dataclasses.dataclass(frozen=True, eq=False)
class TextSet:
    """A labelled text set of n texts.

    texts: object array [n] of str.  labels: int32 [n].  class_names: tuple of str, in label order.
    groups: str array [n]; texts of one group never stand on both sides of a split.
    card: dict, the set's catalogue entry (licence, show, credit ...), with its name.
    """

    texts: np.ndarray
    labels: np.ndarray
    class_names: tuple
    groups: np.ndarray
    card: dict = dataclasses.field(default_factory=dict)

    def __len__(self):
        return len(self.texts)

    def take(self, rows):
        """Return the set (TextSet) of some of its texts: rows is a list of positions or a boolean mask [n]."""
        rows = np.arange(len(self))[np.asarray(rows) if len(rows) else slice(0)]
        return dataclasses.replace(self, texts=self.texts[rows], labels=self.labels[rows], groups=self.groups[rows])


def catalogue():
    """Return data/texts.toml as {name: dict}; the fields are explained at its top."""
    return catalogues.entries("texts")


def load(name, masked=True):
    """Return a text set (TextSet), prepared on first use.

    name: a name in data/texts.toml.
    masked: whether words that name a class are replaced by "plant"; False leaves them in, to show what they give away.
    Raises ValueError, with the names there are, for an unknown one.
    """
    if name not in catalogue():
        raise ValueError(f"no text set is called {name!r}; there is {', '.join(catalogue())}.")
    card = {"name": name, **catalogue()[name]}
    from sources.recipes import glosses

    key = catalogues.fingerprint(*(origin["sha256"] for origin in card["origins"]))
    folder = cache.prepared(f"texts/{name}-{key}", lambda part: getattr(glosses, name)(part, card))
    with open(folder / "glosses.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return TextSet(
        texts=np.array([row["masked" if masked else "text"] for row in rows], object),
        labels=np.array([row["label"] for row in rows], np.int32),
        class_names=tuple(card["classes"]),
        groups=np.array([row["group"] for row in rows], str),
        card=card,
    )


def encode(texts, module, batch_size=64):
    """Return what a text module makes of texts: float32 [n, d], in their order.

    texts: a TextSet, or a list or an array [n] of str.
    module: a catalogue name or the folder of a SavedModel that maps strings [n] to [n, d].
    The result is kept on disk, keyed by the texts and the module: a second call reads it.
    Raises ValueError, with the rows, where a text is missing or empty; for a module that looks at photos, is unknown,
    or gives something else than [n, d].
    """
    texts = _checked(texts.texts if isinstance(texts, TextSet) else texts)
    if modules.catalogue().get(module, {}).get("input_size"):
        reads = [name for name, entry in modules.catalogue().items() if not entry["input_size"]]
        raise ValueError(f"{module} looks at photos, not texts; these read texts: {', '.join(reads)}.")
    label, folder, identity = modules.identified(module)
    key = hashlib.sha256(identity.encode())
    for text in texts:
        key.update(hashlib.sha256(text.encode()).digest())

    def build(part):
        np.save(part / "vectors.npy", _run(texts, folder, batch_size))

    return np.load(cache.prepared(f"texts/{label}-{key.hexdigest()[:16]}", build) / "vectors.npy")


def _checked(texts):
    if isinstance(texts, str):
        raise ValueError("texts is one text; a list of them is needed: [text].")
    texts = list(texts)
    bad = [row for row, text in enumerate(texts) if not isinstance(text, str) or not text.strip()]
    if bad:
        rows = f"{', '.join(map(str, bad[:5]))}{' ...' if len(bad) > 5 else ''}"
        raise ValueError(
            f"{len(bad)} of {len(texts)} texts are missing, empty or no text (row {rows}; row {bad[0]} is "
            f"{texts[bad[0]]!r}). Leave these rows out, with their labels, or write their texts."
        )
    if not texts:
        raise ValueError("there is no text; one is the least.")
    return texts


def _run(texts, folder, batch_size):
    """Encode texts, short ones first: a batch is as wide as its longest text."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  a text module's graph uses its operations

    module = tf.saved_model.load(str(folder))
    order = np.argsort([len(text) for text in texts], kind="stable")
    parts, bar = [], tqdm(total=len(texts), desc=f"{Path(folder).name} vectors", unit="text")
    with bar:
        for start in range(0, len(texts), batch_size):
            rows = order[start : start + batch_size]
            output = module(tf.constant([texts[row] for row in rows]))
            if not (tf.is_tensor(output) and output.shape.rank == 2):
                raise ValueError(f"{folder} gives {output} for a batch of texts; a vector each, [n, d], is needed.")
            parts.append(output.numpy())
            bar.update(len(rows))
    vectors = np.concatenate(parts)
    return vectors[np.argsort(order)]
