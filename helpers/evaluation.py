"""Cross-validation, intervals, and fair comparisons."""

import dataclasses
import warnings

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, f1_score
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold
from sklearn.model_selection import cross_val_predict as named_out_of_fold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """What cross-validation found over n photos of k classes; str(result) is the accuracy with its interval."""

    accuracy: float  # the mean over repeats, as are the next two
    balanced_accuracy: float  # the mean of the recalls
    macro_f1: float
    interval: tuple[float, float]  # 95 %, of the accuracy
    balanced_interval: tuple[float, float]
    recalls: np.ndarray  # float [k], the part of each class that was named right
    confusion: np.ndarray  # int [k, k], rows are the true classes, summed over repeats
    predictions: np.ndarray  # int [repeats, n]
    probabilities: np.ndarray | None  # float [n, k], the mean over repeats; None: the model gives none
    labels: np.ndarray  # [n], as given, like the next two
    groups: np.ndarray | None
    class_names: tuple[str, ...] | None = None

    def __str__(self):
        return "{:.3f} [{:.3f} {:.3f}]".format(self.accuracy, *self.interval)


def linear_head(C: float = 0.01, class_weight: str | None = None) -> Pipeline:
    """Return the default head, logistic regression on standardised features; a smaller C makes it simpler."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, class_weight=class_weight, max_iter=1000))


def cross_validate(
    features: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    model: ClassifierMixin | None = None,
    folds: int = 5,
    repeats: int = 3,
    seed: int = 0,
    one_group_at_a_time: bool = True,
    class_names: tuple | None = None,
) -> Result:
    """Return how well a head on fixed features names photos it was not fitted on.

    Without groups: stratified folds, drawn again in each repeat. With groups: one group is held out at a time and the
    predictions are pooled; nothing is drawn, so there is one repeat. The intervals are those of proportion.

    Args:
        features: float [n, d].
        labels: int [n].
        groups: names or numbers [n].
        model: a scikit-learn classifier, linear_head() by default.
        folds: number of folds, unless groups are held out one at a time.
        repeats: how often the folds are drawn.
        seed: for the folds.
        one_group_at_a_time: False deals whole groups into stratified folds: for many small ones (two photos of a leaf).
        class_names: kept in the result.

    Raises:
        ValueError: arrays that do not fit, values that are no numbers, a class too small for the folds.
    """
    features, labels = np.asarray(features), np.asarray(labels)
    if features.ndim != 2 or labels.ndim != 1 or len(features) != len(labels):
        raise ValueError(f"features {features.shape} and labels {labels.shape} do not fit: [n, d] and [n] are needed.")
    if len(bad := np.flatnonzero(~np.isfinite(features).all(axis=1))):
        raise ValueError(f"{len(bad)} of {len(features)} feature vectors hold NaN or infinity (first: row {bad[0]}).")
    pooled = groups is not None and one_group_at_a_time
    _check(labels, groups, None if pooled else folds)
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; once is the least.")
    model = linear_head() if model is None else model
    draws = [LeaveOneGroupOut()] if pooled else [_folds(groups, folds, seed + repeat) for repeat in range(repeats)]
    given = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    with threadpool_limits(1), warnings.catch_warnings():  # too small to share: two threads take three times as long
        warnings.filterwarnings("ignore", "Number of classes in training")  # a held-out group may have a class alone
        runs = [named_out_of_fold(model, features, labels, groups=groups, cv=each, method=given) for each in draws]
    probabilities = np.mean(runs, axis=0, dtype=float) if given == "predict_proba" else None
    predictions = np.array(runs) if probabilities is None else np.unique(labels)[np.argmax(runs, axis=-1)]
    return scored(predictions, labels, groups, probabilities, seed, class_names)


def _folds(groups, folds, seed):
    return (StratifiedKFold if groups is None else StratifiedGroupKFold)(folds, shuffle=True, random_state=seed)


def scored(
    predictions: ArrayLike, labels: ArrayLike, groups=None, probabilities=None, seed: int = 0, class_names=None
) -> Result:
    """Return what predictions of a loop of your own are worth, with the intervals of cross_validate.

    predictions: int [repeats, n], or [n] for one repeat, each by a head that did not see the photo. probabilities:
    float [n, k], classes in the order of np.unique(labels). Nothing is drawn from seed any more. Raises ValueError for
    what does not fit the labels [n].
    """
    predictions, labels = np.atleast_2d(predictions), np.asarray(labels)
    _check(labels, groups, None)
    classes = np.unique(labels)
    if predictions.shape[1:] != labels.shape or not np.isin(predictions, classes).all():
        needed = f"[repeats, n] and [n] are needed, and every prediction one of {classes.tolist()}"
        raise ValueError(f"predictions {predictions.shape} of labels {labels.shape}: {needed}.")
    if probabilities is not None and np.shape(probabilities) != (len(labels), len(classes)):
        raise ValueError(f"probabilities are {np.shape(probabilities)}; {(len(labels), len(classes))} are needed.")
    right = (predictions == labels).mean(axis=0)
    accuracy, *interval = proportion(right, groups)
    balanced_accuracy, *balanced_interval = proportion(right, groups, labels)
    matrix = sum(confusion_matrix(labels, each, labels=classes) for each in predictions)
    return Result(
        accuracy=accuracy,
        balanced_accuracy=balanced_accuracy,
        macro_f1=float(np.mean([f1_score(labels, each, average="macro") for each in predictions])),
        interval=tuple(interval),
        balanced_interval=tuple(balanced_interval),
        recalls=np.diag(matrix) / matrix.sum(axis=1),
        confusion=matrix,
        predictions=predictions,
        probabilities=probabilities,
        labels=labels,
        groups=None if groups is None else np.asarray(groups),
        class_names=class_names,
    )


def compare(first: Result, second: Result, seed: int = 0, balanced: bool = False) -> tuple[float, float, float]:
    """Return how much more accurate the first of two results is: (difference, low, high), as difference does.

    balanced: compare balanced accuracies. Nothing is drawn from seed any more. Raises ValueError for results on other
    photos or other folds.
    """
    same = [np.array_equal(getattr(first, name), getattr(second, name)) for name in ("labels", "groups")]
    if first.predictions.shape != second.predictions.shape or not all(same):
        raise ValueError("the two results are not of the same photos and folds; both need the same labels and repeats.")
    right = [(each.predictions == each.labels).mean(axis=0) for each in (first, second)]
    return difference(*right, first.groups, first.labels if balanced else None)


def matched_pairs(
    features: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    pairs: ArrayLike,
    positive=1,
    model=None,
    seed=0,
    minus=None,
) -> tuple[float, float, float, int]:
    """Return how often the positive one of two photos that go together scores higher: (proportion, low, high, n pairs).

    What a pair shares, such as its background, can't help. 0.5 is chance. Groups, such as a crop, are held out whole,
    and the interval counts them. A photo labelled `positive` and one of the other class with the same value in pairs
    [n], both in one group, make a pair. model: linear_head(0.003, "balanced") if None. minus: other features [n, d2];
    the result is then the difference from theirs. Raises ValueError where there is no pair, for a model without
    probabilities, and as cross_validate does.
    """
    labels, groups, pairs = (np.asarray(each) for each in (labels, groups, pairs))
    one, other = np.nonzero((pairs[:, None] == pairs) & (labels == positive)[:, None] & (labels != positive))
    if not len(one):
        raise ValueError("no two photos of different classes share a value of pairs.")
    if len(split_up := pairs[one][groups[one] != groups[other]]):
        raise ValueError(f"the photos of pair {str(split_up[0])!r} lie in several groups; no head scores them both.")
    ahead = []
    for inputs in (features,) if minus is None else (features, minus):
        found = cross_validate(inputs, labels, groups, linear_head(0.003, "balanced") if model is None else model)
        if found.probabilities is None:
            raise ValueError("the model gives no probabilities; pairs are compared by them.")
        scores = found.probabilities[:, np.searchsorted(np.unique(labels), positive)]
        ahead.append(np.heaviside(scores[one] - scores[other], 0.5))
    return *(proportion if minus is None else difference)(*ahead, groups[one]), len(one)


def split(labels: ArrayLike, groups: ArrayLike | None = None, parts: int = 4, seed: int = 0) -> tuple:
    """Return (train, test), rows of one stratified split: one of `parts` is for the test, groups are kept whole."""
    labels = np.asarray(labels)
    _check(labels, groups, parts)
    return next(_folds(groups, parts, seed).split(labels, labels, groups))


def wilson(proportion: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's 95 % interval (low, high) of a proportion of n independent trials; honest at 0 and 1 too."""
    middle = (proportion + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(proportion * (1 - proportion) / n + z**2 / (4 * n**2))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def proportion(right: ArrayLike, groups=None, labels=None) -> tuple[float, float, float]:
    """Return how many photos are right: (proportion, low, high), 95 %; with labels [n], the mean over the classes.

    right: [n], 0 to 1 (the mean over repeats). The interval is Wilson's. Photos of one group are no independent
    evidence: with groups or labels, it is that of as many single photos as would vary as much (Franco et al. 2019).
    """
    value, error, t, units, photos = _mean(right, groups, labels)
    if groups is labels is None or error < 1e-9:  # where no two groups differ, their number is all there is to go by
        return value, *wilson(value, units)
    return value, *wilson(value, min(value * (1 - value) / error**2, photos), t)


def difference(first: ArrayLike, second: ArrayLike, groups=None, labels=None) -> tuple[float, float, float]:
    """Return how much more often the first is right on the same photos: (difference, low, high), 95 %.

    first, second, groups, labels: as for proportion. A paired t interval, with one more photo on which only the first
    is right and one for the second (Bonett and Price 2012), so that two that agree on all photos are not sure to agree.
    """
    value, error, t, _, photos = _mean(np.asarray(first, float) - second, groups, labels)
    half = t * float(np.sqrt(error**2 + 2 / photos**2))
    return value, max(-1.0, value - half), min(1.0, value + half)


def _mean(values, groups, labels):
    """Return a mean, its jackknife error, its t, and how many groups and photos of equal weight would say as much."""
    values, one = np.asarray(values, float), np.zeros(len(values), int)
    _, classes, count = np.unique(one if labels is None else labels, return_inverse=True, return_counts=True)
    units = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    means, weights = np.bincount(classes, values) / count, 1 / count[classes] / len(count)
    share, off = np.bincount(units, weights), np.bincount(units, weights * (values - means[classes]))
    error = np.sqrt(((off / np.maximum(1 - share, 1e-9)) ** 2).sum() * (1 - 1 / len(share)))
    equal = 1 / (share**2).sum()
    t = stats.t.ppf(0.975, max(equal - 1, 1))
    return float(means.mean()), float(error), float(t), equal, 1 / (weights**2).sum()


def _check(labels, groups, folds):
    """Raise ValueError for labels, groups and folds (None: one group is held out at a time) that do not fit."""
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise ValueError("there is only one class in the labels; a classifier needs two.")
    if groups is not None:
        if len(groups) != len(labels) or len(set(groups)) < 2:
            got = f"{len(groups)} names of {len(set(groups))} groups for {len(labels)} photos"
            raise ValueError(f"groups must name a group for each photo, two groups or more; got {got}.")
        counts = np.array([len(set(np.asarray(groups)[labels == each])) for each in classes])
    if folds is not None and not 2 <= folds <= counts.min():
        what, fewest = "photos" if groups is None else "groups", f"({counts.min()}, class {classes[counts.argmin()]})"
        raise ValueError(
            f"{folds} folds: 2 or more are needed, and no more than the smallest class has {what} {fewest}."
        )
