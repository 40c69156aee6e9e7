"""When the photo page answers "none of these": a rule that is set on training photos and measured on others."""

from collections.abc import Iterator

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from course.paths import CourseError
from helpers import evaluation

FOLDS = 5
REFUSED = 0.05  # the part of the training photos that the rule may refuse


def similarity(vectors: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return how similar feature vectors [n, d] are to the most similar of some class means [k, d]: cosines [n]."""
    return (_unit(vectors) @ _unit(means).T).max(axis=1)


def fit(vectors: np.ndarray, labels: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the class means [k, d] and the similarity from which a photo is named.

    The least similarity leaves out REFUSED of the photos, each compared with means that it is no part of: to its own
    mean, a photo is too similar.

    Args:
        vectors: of the training photos, float [n, d].
        labels: int [n].
        units: int [n]; photos of one unit stay together.
    """
    held_out = np.empty(len(labels))
    for train, test in _folds(labels, units):
        held_out[test] = similarity(vectors[test], _means(vectors[train], labels[train]))
    return _means(vectors, labels), float(np.quantile(held_out, REFUSED))


def measured(vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, others: dict) -> dict:
    """Return the rule, and how often it is wrong on photos that had no part in it.

    Args:
        vectors: of the training photos, float [n, d].
        labels: int [n].
        groups: of the training photos, [n], or None.
        others: vectors and groups of photos that are none of the classes, by the name of their set.

    Returns:
        means, least_similarity, and three kinds of counts with their 95% intervals: false_refusals, of training photos,
        cross-validated; false_names, of each other set; and unknown_class_named, of training photos whose class was
        left out of the rule.

    Raises:
        CourseError: a class has too few photos.
    """
    units = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    if _fewest(labels, units) < 3:
        raise CourseError('"none of these" needs three photos or more of each class, and of three groups or more.')
    refused, named = np.zeros(len(labels), bool), np.zeros(len(labels), bool)
    for train, test in _folds(labels, units):
        means, least = fit(vectors[train], labels[train], units[train])
        refused[test] = similarity(vectors[test], means) < least
    for label in np.unique(labels):
        known = labels != label
        means, least = fit(vectors[known], labels[known], units[known])
        named[~known] = similarity(vectors[~known], means) >= least
    means, least = fit(vectors, labels, units)
    return {
        "means": _unit(means).astype(float).round(4).tolist(),
        "least_similarity": round(least, 4),
        "false_refusals": _counted(refused, groups),
        "unknown_class_named": _counted(named, groups),
        "false_names": {
            name: _counted(similarity(found, means) >= least, together) for name, (found, together) in others.items()
        },
    }


def _counted(wrong, groups):
    _, low, high = evaluation.proportion(wrong, groups)
    return {"count": int(wrong.sum()), "of": len(wrong), "low": round(low, 4), "high": round(high, 4)}


def _means(vectors, labels):
    return np.array([_unit(vectors[labels == label]).mean(axis=0) for label in np.unique(labels)])


def _unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _fewest(labels, units):
    return min(len(np.unique(units[labels == label])) for label in np.unique(labels))


def _folds(labels, units) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    folds = StratifiedGroupKFold(max(2, min(FOLDS, _fewest(labels, units))), shuffle=True, random_state=0)
    return folds.split(labels, labels, units)
