"""Cross-validation, intervals, and fair comparisons."""

import dataclasses

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """What cross-validation found over n photos of k classes.

    accuracy, balanced_accuracy (the mean of the recalls), macro_f1: float, the mean over repeats.
    interval, balanced_interval: (low, high), 95 %, of the two accuracies.
    recalls: float [k], the share of each class that was named right.
    confusion: int [k, k], rows are the true classes, summed over repeats.  predictions: int [repeats, n].
    probabilities: float [n, k], the mean over repeats, or None where the model gives none.
    labels: int [n], groups: str [n] or None, as they were given.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    interval: tuple
    balanced_interval: tuple
    recalls: np.ndarray
    confusion: np.ndarray
    predictions: np.ndarray
    probabilities: np.ndarray | None
    labels: np.ndarray
    groups: np.ndarray | None

    def __str__(self):
        low, high = self.interval
        return f"{self.accuracy:.3f} [{low:.3f} {high:.3f}]"


def linear_head(C=0.01, class_weight=None):
    """Return the default head (scikit-learn pipeline): standardised features, then logistic regression.

    C: the smaller, the simpler the head.  class_weight: "balanced" gives every class the same say, however few photos.
    """
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, class_weight=class_weight, max_iter=1000))


def chosen_inside(widths, choices=(0.01,), folds=3, seed=0):
    """Return a head that chooses a module by cross-validation inside the photos it is fitted on (GridSearchCV).

    It chooses among each module alone and all of them together.
    widths: {module: d}; its features are the modules' side by side, float [n, sum of d], in this order.
    choices: values of C to try with each.  In cross_validate the choice never sees a held-out photo, so the accuracy is
    honest, which the best of several accuracies is not.
    """
    ends = np.cumsum(list(widths.values()))
    columns = [{"start": int(end - width), "stop": int(end)} for width, end in zip(widths.values(), ends, strict=True)]
    model = make_pipeline(FunctionTransformer(_columns), *linear_head())
    grid = {"functiontransformer__kw_args": [*columns, {}], "logisticregression__C": list(choices)}
    return GridSearchCV(model, grid, cv=StratifiedKFold(folds, shuffle=True, random_state=seed))


def _columns(features, start=0, stop=None):
    return features[:, start:stop]


def cross_validate(features, labels, groups=None, model=None, folds=5, repeats=3, seed=0, one_group_at_a_time=True):
    """Return how well a head on fixed features names photos it was not fitted on (Result).

    features: float [n, d].  labels: int [n].  groups: str [n] or None.  model: a scikit-learn classifier, by default
    linear_head(). Without groups: stratified folds, drawn anew in each repeat. With groups: one group is held out at a
    time and the predictions are pooled; nothing is drawn, so there is one repeat. one_group_at_a_time=False deals whole
    groups into stratified folds instead: for many small groups, such as two photos of each leaf.
    The interval is Wilson's over n photos; with groups a bootstrap over groups, since photos of one are no independent
    evidence. Raises ValueError for arrays that do not fit, values that are no numbers, a class too small for the folds.
    """
    features, labels = np.asarray(features), np.asarray(labels)
    pooled = groups is not None and one_group_at_a_time
    _check(features, labels, groups, None if pooled else folds)
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; once is the least.")
    model = linear_head() if model is None else model
    runs = []
    for repeat in range(1 if pooled else repeats):
        if pooled:
            splitter = LeaveOneGroupOut()
        else:
            kind = StratifiedKFold if groups is None else StratifiedGroupKFold
            splitter = kind(folds, shuffle=True, random_state=seed + repeat)
        runs.append(_one_repeat(features, labels, model, splitter.split(features, labels, groups)))
    predictions = np.array([predicted for predicted, _ in runs])
    shares = None if runs[0][1] is None else np.mean([each for _, each in runs], axis=0)
    return scored(predictions, labels, groups, shares, seed)


def scored(predictions, labels, groups=None, probabilities=None, seed=0):
    """Return what predictions of a loop of your own are worth (Result), each by a head that did not see the photo.

    predictions: int [repeats, n], or [n] for one repeat.  labels: int [n].  groups: str [n] or None.
    probabilities: float [n, k], classes in the order of np.unique(labels), or None.
    Intervals are those of cross_validate. Raises ValueError for shapes that do not fit or a label that is no class.
    """
    predictions, labels = np.atleast_2d(predictions), np.asarray(labels)
    _check_labels(labels, groups, None)
    classes = np.unique(labels)
    if predictions.shape[1:] != labels.shape or not np.isin(predictions, classes).all():
        raise ValueError(
            f"predictions {predictions.shape} of labels {labels.shape}: [repeats, n] and [n] are needed, and every "
            f"prediction one of {classes.tolist()}."
        )
    if probabilities is not None and np.shape(probabilities) != (len(labels), len(classes)):
        raise ValueError(f"probabilities are {np.shape(probabilities)}; {(len(labels), len(classes))} are needed.")
    correct = (predictions == labels).mean(axis=0)
    matrix = sum(confusion_matrix(labels, each, labels=classes) for each in predictions)
    intervals = _bootstrap(correct, labels, groups, seed)
    return Result(
        accuracy=float(correct.mean()),
        balanced_accuracy=float(np.mean([balanced_accuracy_score(labels, each) for each in predictions])),
        macro_f1=float(np.mean([f1_score(labels, each, average="macro") for each in predictions])),
        interval=wilson(correct.mean(), len(labels)) if groups is None else intervals[0],
        balanced_interval=intervals[1],
        recalls=np.diag(matrix) / matrix.sum(axis=1),
        confusion=matrix,
        predictions=predictions,
        probabilities=probabilities,
        labels=labels,
        groups=None if groups is None else np.asarray(groups),
    )


def _one_repeat(features, labels, model, splits):
    """Name every photo by a head that was not fitted on it: predictions [n], probabilities [n, k] or None."""
    classes = np.unique(labels)
    predicted, shares = np.empty(len(labels), labels.dtype), np.zeros((len(labels), len(classes)))
    with threadpool_limits(1):  # these fits are too small to share: two threads take three times as long
        for train, test in splits:
            head = clone(model).fit(features[train], labels[train])
            predicted[test] = head.predict(features[test])
            if hasattr(head, "predict_proba"):  # a class that a held-out group has alone is unknown to this head
                shares[np.ix_(test, np.searchsorted(classes, head.classes_))] = head.predict_proba(features[test])
    return predicted, shares if shares.any() else None


def compare(first, second, seed=0, draws=2000):
    """Return how much more accurate the first of two Results is: (difference, low, high), 95 %.

    Paired: both named the same photos on the same folds, so the bootstrap over photos (over groups, where there are)
    draws each photo's two answers together. Raises ValueError for results on other photos or other folds.
    """
    ungrouped = [each.groups is None for each in (first, second)]
    if (
        first.predictions.shape != second.predictions.shape
        or (first.labels != second.labels).any()
        or ungrouped[0] != ungrouped[1]
        or (not ungrouped[0] and (first.groups != second.groups).any())
    ):
        raise ValueError(
            "the two results are not of the same photos and folds; give both the same labels, groups and repeats."
        )
    gain = ((first.predictions == first.labels) * 1.0 - (second.predictions == second.labels)).mean(axis=0)
    units = np.arange(len(gain)) if first.groups is None else np.unique(first.groups, return_inverse=True)[1]
    total, size = np.bincount(units, gain), np.bincount(units)
    return float(gain.mean()), *_resampled(total, size, seed, draws)


def matched_pairs(features, labels, groups, pairs, positive=1, model=None, seed=0, draws=2000):
    """Return (share, low, high, n): of two photos that go together, how often the positive one scores higher.

    features: float [n, d].  labels: int [n], of two classes.  groups: str [n], each held out whole (a crop).
    pairs: str [n], a positive and a negative photo of one value make a pair; each lies inside a group.
    What the pair shares, background and camera and crop, can't help. 0.5 is chance; the interval is a bootstrap over
    groups; n counts the pairs.  Raises ValueError where there is no pair, or as cross_validate does.
    """
    model = linear_head(C=0.003, class_weight="balanced") if model is None else model
    labels, groups, pairs = (np.asarray(each) for each in (labels, groups, pairs))
    result = cross_validate(features, labels, groups, model)
    if result.probabilities is None:
        raise ValueError("the model gives no probabilities; pairs are compared by them.")
    scores = result.probabilities[:, np.searchsorted(np.unique(labels), positive)]
    won, of = {}, {}
    for pair in np.unique(pairs):
        inside = pairs == pair
        ours, theirs = scores[inside & (labels == positive)], scores[inside & (labels != positive)]
        group = groups[inside][0]
        if (groups[inside] != group).any():
            raise ValueError(f"the photos of pair {str(pair)!r} lie in several groups; no head scores them both.")
        ahead = (ours[:, None] > theirs) + 0.5 * (ours[:, None] == theirs)
        won[group], of[group] = won.get(group, 0) + ahead.sum(), of.get(group, 0) + ahead.size
    won, of = np.array(list(won.values())), np.array(list(of.values()))
    won, of = won[of > 0], of[of > 0]
    if not len(of):
        raise ValueError("no two photos of different classes share a value of pairs.")
    if len(set(won / of)) == 1:  # nothing to resample, as in _bootstrap
        low, high = wilson(won.sum() / of.sum(), len(of))
    else:
        low, high = _resampled(won, of, seed, draws)
    return float(won.sum() / of.sum()), low, high, int(of.sum())


def split(labels, groups=None, parts=4, seed=0):
    """Return (train, test), the rows of one fixed split: one of `parts` stratified parts is for the test.

    For whatever takes too long to be cross-validated.  labels: int [n].  groups: str [n] or None, kept whole. Raises
    ValueError for a class with fewer photos, or groups, than parts.
    """
    labels = np.asarray(labels)
    _check_labels(labels, groups, parts)
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    return next(kind(parts, shuffle=True, random_state=seed).split(labels, labels, groups))


def wilson(share, n, z=1.96):
    """Return Wilson's 95 % interval (low, high) of a share of n independent trials; honest at 0 and 1 too."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _draw(units, rng):
    """Draw as many units as there are, with replacement; return how often each came."""
    return np.bincount(rng.integers(units, size=units), minlength=units)


def _resampled(total, size, seed, draws):
    """Return the 95 % bootstrap interval (low, high) of sum(total) / sum(size) over units, float [units] each."""
    rng = np.random.default_rng(seed)
    shares = [times @ total / (times @ size) for times in (_draw(len(size), rng) for _ in range(draws))]
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(low), float(high)


def _bootstrap(correct, labels, groups, seed, draws=2000):
    """Return 95 % intervals of accuracy and balanced accuracy over photos, or over groups where there are any."""
    units = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    if correct.min() == correct.max():  # nothing to resample; the units are what evidence there is
        return [wilson(correct.mean(), units.max() + 1)] * 2
    member = np.unique(labels, return_inverse=True)[1]
    table = np.zeros((2, units.max() + 1, member.max() + 1))  # photos named right, and photos, by unit and class
    np.add.at(table[0], (units, member), correct)
    np.add.at(table[1], (units, member), 1)
    rng, shares = np.random.default_rng(seed), []
    for _ in range(draws):
        right, size = _draw(len(table[0]), rng) @ table
        present = size > 0
        shares.append((right.sum() / size.sum(), np.mean(right[present] / size[present])))
    return [tuple(float(edge) for edge in np.percentile(each, [2.5, 97.5])) for each in zip(*shares, strict=True)]


def _check(features, labels, groups, folds):
    if features.ndim != 2 or labels.ndim != 1 or len(features) != len(labels):
        raise ValueError(f"features {features.shape} and labels {labels.shape} do not fit: [n, d] and [n] are needed.")
    if not np.isfinite(features).all():
        rows = np.flatnonzero(~np.isfinite(features).all(axis=1))
        raise ValueError(f"{len(rows)} of {len(features)} feature vectors hold NaN or infinity (first: row {rows[0]}).")
    _check_labels(labels, groups, folds)


def _check_labels(labels, groups, folds):
    """folds: None where one group is held out at a time."""
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise ValueError("there is only one class in the labels; a classifier needs two.")
    if groups is not None:
        if len(groups) != len(labels) or len(set(groups)) < 2:
            raise ValueError(
                f"groups must name a group for each of {len(labels)} photos, two groups or more; got {len(groups)} "
                f"names of {len(set(groups))} groups."
            )
        counts = np.array([len(set(np.asarray(groups)[labels == each])) for each in classes])
    if folds is not None and not 2 <= folds <= counts.min():
        what = "photos" if groups is None else "groups"
        raise ValueError(
            f"{folds} folds: at least 2 are needed, and no more than the smallest class has {what} "
            f"({counts.min()}, class {classes[counts.argmin()]})."
        )
