"""Cross-validation and intervals."""

import dataclasses

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, confusion_matrix
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """What cross-validation found over n photos of k classes.

    accuracy, balanced_accuracy: float, the mean over repeats.  interval: (low, high), 95 %, of the accuracy.
    confusion: int [k, k], rows are the true classes, summed over repeats.  predictions: int [repeats, n].
    """

    accuracy: float
    balanced_accuracy: float
    interval: tuple
    confusion: np.ndarray
    predictions: np.ndarray

    def __str__(self):
        low, high = self.interval
        return f"{self.accuracy:.3f} [{low:.3f} {high:.3f}]"


def linear_head():
    """Return the default head (scikit-learn pipeline): standardised features, then logistic regression."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))


def cross_validate(features, labels, groups=None, model=None, folds=5, repeats=3, seed=0):
    """Return how well a head on fixed features names photos it was not fitted on (Result).

    features: float [n, d].  labels: int [n].  groups: str [n] or None.  model: a scikit-learn classifier, by default
    linear_head(). Without groups: stratified folds, drawn anew in each repeat. With groups: one group is held out at a
    time and the predictions are pooled; nothing is drawn, so there is one repeat.
    The interval is Wilson's over n photos; with groups a bootstrap over groups, since photos of one are no independent
    evidence. Raises ValueError for arrays that do not fit, values that are no numbers, a class too small for the folds.
    """
    features, labels = np.asarray(features), np.asarray(labels)
    _check(features, labels, groups, folds)
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; once is the least.")
    model = linear_head() if model is None else model
    predictions = []
    for repeat in range(1 if groups is not None else repeats):
        predicted = np.empty(len(labels), labels.dtype)
        if groups is None:
            splits = StratifiedKFold(folds, shuffle=True, random_state=seed + repeat).split(features, labels)
        else:
            splits = LeaveOneGroupOut().split(features, labels, groups)
        with threadpool_limits(1):  # these fits are too small to share: two threads take three times as long
            for train, test in splits:
                predicted[test] = clone(model).fit(features[train], labels[train]).predict(features[test])
        predictions.append(predicted)
    predictions = np.array(predictions)
    correct = (predictions == labels).mean(axis=0)
    return Result(
        accuracy=float(correct.mean()),
        balanced_accuracy=float(np.mean([balanced_accuracy_score(labels, each) for each in predictions])),
        interval=wilson(correct.mean(), len(labels)) if groups is None else _group_bootstrap(correct, groups, seed),
        confusion=sum(confusion_matrix(labels, each, labels=np.unique(labels)) for each in predictions),
        predictions=predictions,
    )


def wilson(share, n, z=1.96):
    """Return Wilson's 95 % interval (low, high) of a share of n independent trials; honest at 0 and 1 too."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _group_bootstrap(correct, groups, seed, draws=2000):
    names, member = np.unique(groups, return_inverse=True)
    if correct.min() == correct.max():  # nothing to resample; the groups are what evidence there is
        return wilson(correct.mean(), len(names))
    right, size = np.bincount(member, correct), np.bincount(member)
    drawn = np.random.default_rng(seed).integers(len(names), size=(draws, len(names)))
    shares = right[drawn].sum(axis=1) / size[drawn].sum(axis=1)
    return tuple(float(edge) for edge in np.percentile(shares, [2.5, 97.5]))


def _check(features, labels, groups, folds):
    if features.ndim != 2 or labels.ndim != 1 or len(features) != len(labels):
        raise ValueError(f"features {features.shape} and labels {labels.shape} do not fit: [n, d] and [n] are needed.")
    if not np.isfinite(features).all():
        rows = np.flatnonzero(~np.isfinite(features).all(axis=1))
        raise ValueError(f"{len(rows)} of {len(features)} feature vectors hold NaN or infinity (first: row {rows[0]}).")
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise ValueError("there is only one class in the labels; a classifier needs two.")
    if groups is not None:
        if len(groups) != len(labels) or len(set(groups)) < 2:
            raise ValueError(
                f"groups must name a group for each of {len(labels)} photos, two groups or more; got {len(groups)} "
                f"names of {len(set(groups))} groups."
            )
    elif not 2 <= folds <= counts.min():
        raise ValueError(
            f"{folds} folds: at least 2 are needed, and no more than the smallest class has photos "
            f"({counts.min()}, class {classes[counts.argmin()]})."
        )
