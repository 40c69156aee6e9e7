"""Cross-validation, intervals, and fair comparisons."""

import dataclasses
import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold
from sklearn.model_selection import cross_val_predict as named_out_of_fold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
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


def chosen_inside(widths: dict[str, int], choices=(0.01,), seed: int = 0) -> GridSearchCV:
    """Return a head that chooses one of several modules, or all together, by cross-validation on what it is fitted on.

    In cross_validate the choice never sees a held-out photo: its accuracy is honest, the best of several is not.
    widths: {module: d}; the features are the modules' side by side, in this order.  choices: values of C to try.
    """
    ends = np.cumsum(list(widths.values()))
    columns = [{"start": int(end - width), "stop": int(end)} for width, end in zip(widths.values(), ends, strict=True)]
    grid = {"functiontransformer__kw_args": [*columns, {}], "logisticregression__C": list(choices)}
    inside = StratifiedKFold(3, shuffle=True, random_state=seed)
    return GridSearchCV(make_pipeline(FunctionTransformer(_columns), *linear_head()), grid, cv=inside)


def _columns(features, start=0, stop=None):
    return features[:, start:stop]


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
    predictions are pooled; nothing is drawn, so there is one repeat. The interval is Wilson's over n photos, with
    groups a bootstrap over groups, since photos of one are no independent evidence.

    Args:
        features: float [n, d].
        labels: int [n].
        groups: names or numbers [n].
        model: a scikit-learn classifier, linear_head() by default.
        folds: number of folds, unless groups are held out one at a time.
        repeats: how often the folds are drawn.
        seed: for the folds and the bootstrap.
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
    float [n, k], classes in the order of np.unique(labels). Raises ValueError for what does not fit the labels [n].
    """
    predictions, labels = np.atleast_2d(predictions), np.asarray(labels)
    _check(labels, groups, None)
    classes, member = np.unique(labels, return_inverse=True)
    if predictions.shape[1:] != labels.shape or not np.isin(predictions, classes).all():
        needed = f"[repeats, n] and [n] are needed, and every prediction one of {classes.tolist()}"
        raise ValueError(f"predictions {predictions.shape} of labels {labels.shape}: {needed}.")
    if probabilities is not None and np.shape(probabilities) != (len(labels), len(classes)):
        raise ValueError(f"probabilities are {np.shape(probabilities)}; {(len(labels), len(classes))} are needed.")
    correct, units = (predictions == labels).mean(axis=0), _units(labels, groups)
    table = np.zeros((2, units.max() + 1, len(classes)))  # photos named right, and photos, by unit and class
    np.add.at(table, (np.array([[0], [1]]), units, member), [correct, np.ones(len(labels))])

    def accuracies(times):
        right, size = times @ table
        return right.sum() / size.sum(), np.mean(right[size > 0] / size[size > 0])

    if correct.min() == correct.max():  # nothing to resample; the units are what evidence there is
        interval = balanced_interval = wilson(correct.mean(), len(table[0]))
    else:
        interval, balanced_interval = zip(*_bootstrap(accuracies, len(table[0]), seed), strict=True)
    matrix = sum(confusion_matrix(labels, each, labels=classes) for each in predictions)
    return Result(
        accuracy=float(correct.mean()),
        balanced_accuracy=float(np.mean([balanced_accuracy_score(labels, each) for each in predictions])),
        macro_f1=float(np.mean([f1_score(labels, each, average="macro") for each in predictions])),
        interval=wilson(correct.mean(), len(labels)) if groups is None else interval,
        balanced_interval=balanced_interval,
        recalls=np.diag(matrix) / matrix.sum(axis=1),
        confusion=matrix,
        predictions=predictions,
        probabilities=probabilities,
        labels=labels,
        groups=None if groups is None else np.asarray(groups),
        class_names=class_names,
    )


def compare(first: Result, second: Result, seed: int = 0) -> tuple[float, float, float]:
    """Return how much more accurate the first of two results is: (difference, low, high), 95 %.

    Paired: the bootstrap over photos (over groups, where there are) draws each photo's two answers together.  Raises
    ValueError for results on other photos or other folds.
    """
    same = [np.array_equal(getattr(first, name), getattr(second, name)) for name in ("labels", "groups")]
    if first.predictions.shape != second.predictions.shape or not all(same):
        raise ValueError("the two results are not of the same photos and folds; both need the same labels and repeats.")
    gain = ((first.predictions == first.labels) * 1.0 - (second.predictions == second.labels)).mean(axis=0)
    total, size = (np.bincount(_units(gain, first.groups), each) for each in (gain, np.ones(len(gain))))
    return float(gain.mean()), *_bootstrap(lambda times: times @ total / (times @ size), len(size), seed)


def matched_pairs(
    features: ArrayLike, labels: ArrayLike, groups: ArrayLike, pairs: ArrayLike, positive=1, model=None, seed: int = 0
) -> tuple[float, float, float, int]:
    """Return how often the positive one of two photos that go together scores higher: (proportion, low, high, n pairs).

    What a pair shares, such as its background, can't help. 0.5 is chance; the interval is a bootstrap over groups,
    held out whole (a crop). A photo labelled `positive` and one of the other class with the same value in pairs [n],
    all of it in one group, make a pair. model: linear_head(0.003, "balanced") if None. Raises ValueError where there is
    no pair, for a model without probabilities, and as cross_validate does.
    """
    labels, groups, pairs = (np.asarray(each) for each in (labels, groups, pairs))
    found = cross_validate(features, labels, groups, linear_head(0.003, "balanced") if model is None else model)
    if found.probabilities is None:
        raise ValueError("the model gives no probabilities; pairs are compared by them.")
    scores, won, of = found.probabilities[:, np.searchsorted(np.unique(labels), positive)], {}, {}
    for pair in np.unique(pairs):
        inside = pairs == pair
        group, *others = np.unique(groups[inside])
        if others:
            raise ValueError(f"the photos of pair {str(pair)!r} lie in several groups; no head scores them both.")
        ahead = np.subtract.outer(scores[inside & (labels == positive)], scores[inside & (labels != positive)])
        if ahead.size:
            won[group], of[group] = won.get(group, 0) + np.heaviside(ahead, 0.5).sum(), of.get(group, 0) + ahead.size
    if not of:
        raise ValueError("no two photos of different classes share a value of pairs.")
    won, of = np.array(list(won.values())), np.array(list(of.values()))
    interval = _bootstrap(lambda times: times @ won / (times @ of), len(of), seed)
    if len(set(won / of)) == 1:  # nothing to resample, as in scored
        interval = wilson(won.sum() / of.sum(), len(of))
    return float(won.sum() / of.sum()), *interval, int(of.sum())


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


def _bootstrap(statistic, units, seed, draws=2000):
    """Return the 95 % interval [low, high] of a function of how often each of the units, int [units], was drawn."""
    rng = np.random.default_rng(seed)
    times = (np.bincount(rng.integers(units, size=units), minlength=units) for _ in range(draws))
    return np.percentile([statistic(each) for each in times], [2.5, 97.5], axis=0).tolist()


def _units(photos, groups):  # what evidence is counted in
    return np.arange(len(photos)) if groups is None else np.unique(groups, return_inverse=True)[1]


def _check(labels, groups, folds):
    """Raise ValueError for labels, groups and folds (None: one group is held out at a time) that do not fit."""
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise ValueError("there is only one class in the labels; a classifier needs two.")
    if groups is not None:
        if len(groups) != len(labels) or len(set(groups)) < 2:
            got = f"{len(groups)} names of {len(set(groups))} groups"
            raise ValueError(
                f"groups must name a group for each of {len(labels)} photos, two groups or more; got {got}."
            )
        counts = np.array([len(set(np.asarray(groups)[labels == each])) for each in classes])
    if folds is not None and not 2 <= folds <= counts.min():
        what, where = "photos" if groups is None else "groups", f"({counts.min()}, class {classes[counts.argmin()]})"
        raise ValueError(
            f"{folds} folds: at least 2 are needed, and no more than the smallest class has {what} {where}."
        )
