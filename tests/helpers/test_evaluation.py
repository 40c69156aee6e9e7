"""Cross-validation finds what is there, and no more than that; its intervals are honest."""

import dataclasses

import numpy as np
import pytest
from making import blobs
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier

from helpers import evaluation, features


def test_what_can_be_told_apart_is_told_apart():
    result = evaluation.cross_validate(*blobs(apart=8))
    assert result.accuracy > 0.95
    assert result.balanced_accuracy > 0.95


def test_on_noise_the_interval_holds_chance():
    result = evaluation.cross_validate(*blobs(classes=4, apart=0))
    low, high = result.interval
    assert low < 0.25 < high
    assert low < result.accuracy < high


@pytest.mark.tensorflow
def test_the_flowers_are_named_right_nine_times_in_ten(flowers):
    result = evaluation.cross_validate(features.extract(flowers, "mobilenet_v2"), flowers.labels)
    assert result.accuracy >= 0.90
    assert result.interval[0] > 0.8


def test_the_result_has_its_fields():
    vectors, labels = blobs(classes=3, each=10, apart=2)
    result = evaluation.cross_validate(vectors, labels, folds=5, repeats=2)
    assert result.predictions.shape == (2, 30)
    assert result.confusion.shape == (3, 3)
    assert result.confusion.sum(axis=1).tolist() == [20, 20, 20]  # rows are the true classes, over two repeats
    assert isinstance(result.accuracy, float)
    assert isinstance(result.balanced_accuracy, float)
    assert result.accuracy == pytest.approx((result.predictions == labels).mean())
    assert result.accuracy == pytest.approx(np.trace(result.confusion) / result.confusion.sum())
    assert str(result).startswith(f"{result.accuracy:.3f} [")


def test_balanced_accuracy_does_not_reward_naming_the_largest_class():
    vectors, labels = np.zeros((40, 2)), np.repeat([0, 1], [30, 10])
    result = evaluation.cross_validate(vectors, labels, model=DummyClassifier(strategy="most_frequent"))
    assert result.accuracy == 0.75
    assert result.balanced_accuracy == 0.5


def test_no_photo_is_named_by_a_head_that_has_seen_it():
    # One neighbour on noise: had a fold been trained on its own photos, every one would be right.
    vectors, labels = blobs(classes=2, apart=0)
    model = KNeighborsClassifier(1)
    assert evaluation.cross_validate(vectors, labels, model=model).accuracy < 0.75
    groups = np.arange(len(labels)) % 5
    assert evaluation.cross_validate(vectors, labels, groups, model).accuracy < 0.75


def test_photos_of_one_group_never_stand_on_both_sides():
    # Each photo stands twice, as two pictures of a leaf do. Without groups the twin gives the answer away.
    vectors, labels = blobs(classes=2, each=15, apart=0)
    vectors, labels, leaves = np.repeat(vectors, 2, axis=0), np.repeat(labels, 2), np.repeat(np.arange(30), 2)
    model = KNeighborsClassifier(1)
    assert evaluation.cross_validate(vectors, labels, model=model).accuracy > 0.8
    apart = evaluation.cross_validate(vectors, labels, leaves, model)
    assert apart.accuracy < 0.7
    assert apart.predictions.shape == (1, 60)  # nothing is drawn, so nothing is repeated
    assert apart.confusion.sum() == 60


def test_groups_that_stand_or_fall_together_widen_the_interval():
    # Ten groups; in three of them the feature says the opposite, so that a whole group is right or wrong.
    labels = np.tile(np.repeat([0, 1], 5), 10)
    groups = np.repeat([f"garden {number}" for number in range(10)], 10)
    sign = np.where(np.isin(groups, ["garden 1", "garden 4", "garden 7"]), -1, 1)
    result = evaluation.cross_validate(((labels * 2 - 1) * sign)[:, None].astype(float), labels, groups)
    assert result.accuracy == pytest.approx(0.7)
    low, high = result.interval
    wilson_low, wilson_high = evaluation.wilson(result.accuracy, 100)
    assert low < wilson_low < wilson_high < high


def test_the_same_seed_gives_the_same_result():
    vectors, labels = blobs(apart=1.5)
    first, second, third = (evaluation.cross_validate(vectors, labels, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.predictions, second.predictions)
    assert first.interval == second.interval
    assert not np.array_equal(first.predictions, third.predictions)


def test_the_given_model_stays_unfitted():
    model = KNeighborsClassifier(1)
    evaluation.cross_validate(*blobs(), model=model)
    assert not hasattr(model, "classes_")


def with_nan():
    vectors, labels = blobs()
    vectors[7, 2] = np.nan
    return vectors, labels


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (lambda: with_nan(), r"1 of 60 feature vectors hold NaN or infinity \(first: row 7\)"),
        (lambda: (blobs()[0][:-1], blobs()[1]), r"features \(59, 5\) and labels \(60,\) do not fit"),
        (lambda: (blobs()[0][:, 0], blobs()[1]), r"features \(60,\)"),
        (lambda: (blobs()[0], np.zeros(60, int)), "only one class"),
        (lambda: blobs(each=4), "5 folds: .* the smallest class has photos .4, class 0."),
        (lambda: (*blobs(), ["one garden"] * 60), "two groups or more"),
        (lambda: (*blobs(), ["a", "b"]), "groups"),
    ],
    ids=["NaN", "misfit", "no rows", "one class", "few photos", "one group", "misfit groups"],
)
def test_what_does_not_fit_is_refused_in_words(arguments, told):
    with pytest.raises(ValueError, match=told):
        evaluation.cross_validate(*arguments())


@pytest.mark.parametrize("folds", [0, 1, 21])
def test_folds_that_cannot_be_made_are_refused(folds):
    with pytest.raises(ValueError, match=f"{folds} folds"):
        evaluation.cross_validate(*blobs(), folds=folds)


# Newcombe 1998, Statistics in Medicine 17, table I, method 3.
@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_is_that_of_the_textbook(right, n, low, high):
    assert evaluation.wilson(right / n, n) == pytest.approx((low, high), abs=5e-5)
    mirrored = evaluation.wilson(1 - right / n, n)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_wilson_is_not_sure_of_itself_at_the_edges():
    assert evaluation.wilson(0.0, 10) == (0.0, pytest.approx(0.2775, abs=1e-4))
    assert evaluation.wilson(1.0, 10) == (pytest.approx(0.7225, abs=1e-4), 1.0)


def rare(each=(95, 5)):
    """Return (features [n, 1], labels [n]) of a common and a rare class that overlap."""
    labels = np.repeat([0, 1], each)
    return np.random.default_rng(1).normal(size=(len(labels), 1)) + 2.5 * labels[:, None], labels


class Witness(DummyClassifier):
    """A classifier that fails where it is asked about a group, the first feature, that it was fitted on."""

    def fit(self, features, labels):
        self.seen_ = set(features[:, 0])
        return super().fit(features, labels)

    def predict_proba(self, features):
        assert not self.seen_ & set(features[:, 0])
        return super().predict_proba(features)


def test_recalls_and_macro_f1_count_every_class_alike():
    vectors, labels = rare()
    result = evaluation.cross_validate(vectors, labels, model=evaluation.linear_head(1), repeats=2)
    right = [(result.predictions[:, labels == each] == each).mean() for each in (0, 1)]
    np.testing.assert_allclose(result.recalls, right)
    assert result.balanced_accuracy == pytest.approx(result.recalls.mean())
    assert result.accuracy > result.balanced_accuracy + 0.1
    assert result.macro_f1 == pytest.approx(np.mean([f1_score(labels, p, average="macro") for p in result.predictions]))


def test_a_rare_class_makes_the_balanced_accuracy_uncertain():
    result = evaluation.cross_validate(*rare(), model=evaluation.linear_head(1))
    low, high = result.balanced_interval
    assert low < result.balanced_accuracy < high
    assert high - low > 2 * np.ptp(result.interval)


def test_with_classes_of_one_size_both_intervals_say_the_same():
    result = evaluation.cross_validate(*blobs(classes=2, each=100, apart=2))
    assert result.balanced_interval == pytest.approx(result.interval, abs=0.02)


def test_probabilities_are_those_behind_the_predictions():
    vectors, labels = blobs(apart=2)
    result = evaluation.cross_validate(vectors, labels, repeats=1)
    assert result.probabilities.shape == (60, 3)
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(result.probabilities.argmax(axis=1), result.predictions[0])
    mean = evaluation.cross_validate(vectors, labels, repeats=3).probabilities
    np.testing.assert_allclose(mean.sum(axis=1), 1)
    assert np.abs(mean - result.probabilities).max() > 1e-3


def test_a_model_without_probabilities_gives_none():
    assert evaluation.cross_validate(*blobs(), model=RidgeClassifier()).probabilities is None


def test_a_class_that_stands_in_one_group_alone_is_never_named():
    # Held out, it is unknown to the head, whose probabilities must not slip into its neighbour's column.
    vectors, labels = blobs(apart=12)
    groups = np.where(labels == 1, "alone", np.arange(60) % 4)
    result = evaluation.cross_validate(vectors, labels, groups)
    assert result.recalls[1] == 0
    assert (result.probabilities[labels == 1, 1] == 0).all()
    assert (result.probabilities[labels == 2].argmax(axis=1) == 2).all()


def test_the_result_keeps_labels_and_groups_as_they_were_given():
    vectors, labels = blobs()
    gardens = np.array([f"garden {number % 4}" for number in range(60)])
    plain, grouped = evaluation.cross_validate(vectors, labels), evaluation.cross_validate(vectors, labels, gardens)
    assert plain.groups is None
    assert plain.labels.tolist() == grouped.labels.tolist() == labels.tolist()
    assert grouped.groups.tolist() == gardens.tolist()


# Heads


def test_a_small_C_makes_a_simple_head():
    vectors, labels = blobs(apart=4)
    simple, free = (np.abs(evaluation.linear_head(C).fit(vectors, labels)[-1].coef_).max() for C in (1e-4, 1))
    assert simple < free / 10


def test_a_balanced_head_names_the_rare_class():
    vectors, labels = rare()
    plain, balanced = (
        evaluation.cross_validate(vectors, labels, model=evaluation.linear_head(class_weight=weight))
        for weight in (None, "balanced")
    )
    assert plain.recalls[1] < 0.3
    assert balanced.recalls[1] > 0.7


# Many small groups


def test_many_small_groups_are_dealt_into_folds_whole_and_anew_in_each_repeat():
    labels, leaves = np.repeat([0, 1], 30), np.repeat(np.arange(30), 2)
    model = Witness(strategy="stratified", random_state=0)
    options = {"folds": 3, "repeats": 4, "one_group_at_a_time": False}
    result = evaluation.cross_validate(leaves[:, None], labels, leaves, model, **options)
    assert result.predictions.shape == (4, 60)
    assert result.confusion.sum() == 240
    assert len(np.unique(result.predictions, axis=0)) > 1
    with pytest.raises(AssertionError):  # the witness does speak up
        evaluation.cross_validate(leaves[:, None], labels, model=model)


def test_the_twin_of_a_photo_gives_nothing_away_where_groups_are_dealt():
    vectors, labels = blobs(classes=2, each=15, apart=0)
    vectors, labels, leaves = np.repeat(vectors, 2, axis=0), np.repeat(labels, 2), np.repeat(np.arange(30), 2)
    model = KNeighborsClassifier(1)
    assert evaluation.cross_validate(vectors, labels, model=model).accuracy > 0.8
    assert evaluation.cross_validate(vectors, labels, leaves, model, one_group_at_a_time=False).accuracy < 0.7


def test_two_photos_of_a_leaf_are_less_evidence_than_two_leaves():
    vectors, labels = blobs(classes=2, each=50, apart=2)
    vectors, labels, leaves = np.repeat(vectors, 4, axis=0), np.repeat(labels, 4), np.repeat(np.arange(100), 4)
    result = evaluation.cross_validate(vectors, labels, leaves, one_group_at_a_time=False)
    assert result.interval[0] < result.accuracy < result.interval[1]
    assert np.ptp(result.interval) > 1.5 * np.ptp(evaluation.wilson(result.accuracy, 400))


def test_more_folds_than_a_class_has_groups_are_refused():
    vectors, labels = blobs(classes=2, each=12)
    leaves = np.where(labels == 0, np.arange(24) // 2, 100 + np.arange(24) // 4)  # six leaves, and three
    with pytest.raises(ValueError, match=r"5 folds: .* the smallest class has groups \(3, class 1\)"):
        evaluation.cross_validate(vectors, labels, leaves, one_group_at_a_time=False)
    assert evaluation.cross_validate(vectors, labels, leaves, folds=3, one_group_at_a_time=False).accuracy > 0.5


@pytest.mark.parametrize("size", [1, 4])
def test_a_split_keeps_a_quarter_of_every_class_and_whole_groups_for_the_test(size):
    labels, leaves = np.repeat([0, 1], [40, 80]), np.arange(120) // size
    train, test = evaluation.split(labels, None if size == 1 else leaves)
    assert sorted([*train, *test]) == list(range(120))
    assert np.bincount(labels[test]).tolist() == [10, 20] if size == 1 else [8, 20]
    assert not set(leaves[train]) & set(leaves[test])
    draws = {tuple(evaluation.split(labels, parts=4, seed=seed)[1]) for seed in (0, 0, 1)}
    assert len(draws) == 2
    with pytest.raises(ValueError, match=r"4 folds: .* the smallest class has photos \(3, class 0\)"):
        evaluation.split(labels[37:])


# Comparisons


def two_results(noise=0.5):
    """Return what a head makes of blobs, and of the same blobs with noise on top."""
    vectors, labels = blobs(classes=2, each=60, apart=2)
    worse = vectors + np.random.default_rng(1).normal(0, noise, vectors.shape)
    return evaluation.cross_validate(vectors, labels), evaluation.cross_validate(worse, labels)


def test_a_comparison_gives_the_difference_and_its_interval():
    better, worse = two_results(noise=5)
    gain, low, high = evaluation.compare(better, worse)
    assert gain == pytest.approx(better.accuracy - worse.accuracy)
    assert 0.02 < low < gain < high < 0.5
    assert evaluation.compare(worse, better) == pytest.approx((-gain, -high, -low), abs=0.01)
    assert evaluation.compare(better, worse) == (gain, low, high)  # the same seed draws the same


def test_what_is_alike_is_not_told_apart():
    better, worse = two_results(noise=0.3)
    _, low, high = evaluation.compare(better, worse)
    assert low <= 0 <= high


def test_two_perfect_results_are_not_sure_to_be_alike():
    # Of n photos on which two agree, they may differ on three in a hundred, by the rule of three, if n is 100.
    perfect = evaluation.scored(np.tile([0, 1], 50), np.tile([0, 1], 50))
    gain, low, high = evaluation.compare(perfect, perfect)
    assert gain == 0
    assert -0.04 < low < -0.02
    assert high == -low
    assert np.ptp(evaluation.difference(np.ones(400), np.ones(400))[1:]) == pytest.approx((high - low) / 4, rel=0.02)


def test_pairing_makes_a_comparison_sharper_than_two_intervals_side_by_side():
    better, worse = two_results(noise=0.3)
    _, low, high = evaluation.compare(better, worse)
    assert high - low < np.hypot(np.ptp(better.interval), np.ptp(worse.interval)) * 0.7


def test_groups_widen_a_comparison():
    # One head is better in whole gardens or not at all.
    result = evaluation.cross_validate(*blobs(classes=2, each=60), repeats=1)
    gardens = np.arange(120) % 12
    right = dataclasses.replace(result, predictions=result.labels[None])
    wrong = dataclasses.replace(result, predictions=np.where(gardens < 4, 1 - result.labels, result.labels)[None])
    gain, low, high = evaluation.compare(right, wrong)
    right, wrong = (dataclasses.replace(each, groups=gardens.astype(str)) for each in (right, wrong))
    gain_by_garden, low_by_garden, high_by_garden = evaluation.compare(right, wrong)
    assert gain == gain_by_garden == pytest.approx(1 / 3)
    assert 0 < low_by_garden < low - 0.1
    assert high_by_garden > high + 0.1


def test_balanced_accuracies_are_compared_as_well():
    vectors, labels = rare(each=(80, 20))
    heads = [evaluation.linear_head(class_weight=weight) for weight in ("balanced", None)]
    fair, plain = (evaluation.cross_validate(vectors, labels, model=head) for head in heads)
    gain, low, high = evaluation.compare(fair, plain, balanced=True)
    assert gain == pytest.approx(fair.balanced_accuracy - plain.balanced_accuracy)
    assert 0 < low < gain < high
    assert gain > evaluation.compare(fair, plain)[0] + 0.1
    assert np.ptp((low, high)) > np.ptp(evaluation.compare(fair, plain)[1:])  # it rests on 20 photos of one class


def test_right_and_wrong_of_ones_own_loop_have_the_intervals_of_results():
    first, second = two_results()
    right = [(each.predictions == each.labels).mean(axis=0) for each in (first, second)]
    assert evaluation.difference(*right) == evaluation.compare(first, second)
    assert evaluation.proportion(right[0])[1:] == first.interval == evaluation.wilson(first.accuracy, 120)
    assert evaluation.proportion(right[0], labels=first.labels)[1:] == first.balanced_interval


@pytest.mark.parametrize("changed", [{"labels": 0}, {"repeats": 2}, {"each": 19}], ids=["labels", "repeats", "number"])
def test_results_on_other_photos_are_not_compared(changed):
    vectors, labels = blobs()
    first = evaluation.cross_validate(vectors, labels)
    vectors, labels = blobs(each=changed.get("each", 20))
    labels = labels[::-1] if "labels" in changed else labels
    second = evaluation.cross_validate(vectors, labels, repeats=changed.get("repeats", 3))
    with pytest.raises(ValueError, match="not of the same photos"):
        evaluation.compare(first, second)


# Pairs


def paired(signal, background=5.0, crops=8, each=4):
    """Return (features [n, 4], labels, groups, pairs) of pairs that share their background, each inside a crop."""
    draw = np.random.default_rng(0)
    pairs = np.repeat(np.arange(crops * each), 2)
    labels = np.tile([0, 1], crops * each)
    vectors = np.repeat(draw.normal(0, background, (crops * each, 4)), 2, axis=0)
    vectors[:, 0] = signal * labels + draw.normal(size=len(labels))
    return vectors, labels, (pairs // each).astype(str), pairs.astype(str)


def test_what_differs_within_the_pairs_is_found():
    share, low, high, n = evaluation.matched_pairs(*paired(signal=1))
    assert share > 0.8
    assert 0.5 < low < share < high < 1
    assert n == 32


def test_noise_within_the_pairs_is_chance():
    share, low, high, _ = evaluation.matched_pairs(*paired(signal=0))
    assert low < 0.5 < high
    assert low < share < high


def test_a_background_that_the_pair_shares_can_not_help():
    # Further diseased photos, which have no partner, all lie on a background of their own.
    vectors, labels, groups, pairs = paired(signal=0)
    vectors[:, 0] = 0
    alone = np.full((32, 4), 30.0)
    vectors, labels = np.concatenate([vectors, alone]), np.concatenate([labels, np.ones(32, int)])
    groups = np.concatenate([groups, groups[::2]])
    pairs = np.concatenate([pairs, [f"alone {number}" for number in range(32)]])
    model = KNeighborsClassifier(5)
    assert evaluation.cross_validate(vectors, labels, groups, model).accuracy > 0.6  # it does help elsewhere
    share, low, high, n = evaluation.matched_pairs(vectors, labels, groups, pairs, model=model)
    assert low <= share == 0.5 <= high
    assert n == 32  # who has no partner makes no pair


def test_the_crop_of_a_pair_is_held_out():
    _, labels, groups, pairs = paired(signal=1)
    crop = groups.astype(float)[:, None]
    assert evaluation.matched_pairs(crop, labels, groups, pairs, model=Witness())[0] == 0.5


def test_each_healthy_and_each_diseased_photo_of_a_sheet_make_a_pair():
    vectors, labels, groups, pairs = paired(signal=2)
    rows = np.r_[0:64, 1, 1]  # the diseased photo of the first pair stands there three times
    assert evaluation.matched_pairs(vectors[rows], labels[rows], groups[rows], pairs[rows])[3] == 34


def test_either_class_may_be_the_positive_one():
    first, second = (evaluation.matched_pairs(*paired(signal=2), positive=positive) for positive in (0, 1))
    assert first == pytest.approx(second)


def test_where_every_pair_is_won_the_interval_is_not_sure_of_itself():
    share, low, high, _ = evaluation.matched_pairs(*paired(signal=9))
    assert (share, low, high) == (1, pytest.approx(evaluation.wilson(1, 8)[0]), 1)  # eight crops


def test_two_modules_are_compared_on_the_same_pairs():
    vectors, *columns = paired(signal=2)
    blind = np.delete(vectors, 0, axis=1)
    gain, low, high, n = evaluation.matched_pairs(vectors, *columns, minus=blind)
    told = [evaluation.matched_pairs(each, *columns)[0] for each in (vectors, blind)]
    assert gain == pytest.approx(told[0] - told[1])
    assert 0 < low < gain < high < 1
    assert n == 32


def test_pairs_of_one_crop_alone_say_hardly_anything():
    vectors, labels, groups, pairs = paired(signal=2)
    pairs = np.where(groups == "0", pairs, [f"alone {number}" for number in range(len(pairs))])
    share, low, high, n = evaluation.matched_pairs(vectors, labels, groups, pairs)
    assert n == 4
    assert low <= share <= high
    assert high - low > 0.7


def test_lists_and_columns_of_a_table_are_taken_as_they_are():
    import pandas

    vectors, *columns = paired(signal=1)
    expected = evaluation.matched_pairs(vectors, *columns)
    for kind in (list, pandas.Series):
        assert evaluation.matched_pairs(vectors, *map(kind, columns)) == expected


def test_a_pair_that_lies_in_two_groups_is_refused():
    vectors, labels, groups, pairs = paired(signal=1)
    groups[0] = "7"
    with pytest.raises(ValueError, match="photos of pair '0' lie in several groups"):
        evaluation.matched_pairs(vectors, labels, groups, pairs)


def test_pairs_need_a_model_with_probabilities():
    with pytest.raises(ValueError, match="gives no probabilities"):
        evaluation.matched_pairs(*paired(signal=1), model=RidgeClassifier())


def test_results_on_other_groups_are_not_compared():
    vectors, labels = blobs()
    gardens = [None, np.arange(60) % 5, np.arange(60) // 2]
    plain, *grouped = (evaluation.cross_validate(vectors, labels, each, repeats=1) for each in gardens)
    for first, second in ((plain, grouped[0]), (grouped[0], plain), grouped):
        with pytest.raises(ValueError, match="not of the same photos"):
            evaluation.compare(first, second)


def test_without_a_pair_there_is_nothing_to_count():
    vectors, labels, groups, _ = paired(signal=2)
    for pairs in (np.arange(64).astype(str), np.char.add(groups, labels.astype(str))):
        with pytest.raises(ValueError, match="no two photos of different classes share a value of pairs"):
            evaluation.matched_pairs(vectors, labels, groups, pairs)


def test_predictions_of_ones_own_loop_are_scored_as_cross_validation_scores():
    vectors, labels = blobs(apart=1.5)
    groups = np.arange(len(labels)) // 2
    for given in (None, groups):
        found = evaluation.cross_validate(vectors, labels, given, repeats=2, one_group_at_a_time=False)
        again = evaluation.scored(found.predictions, labels, given, found.probabilities)
        for field in dataclasses.fields(found):
            np.testing.assert_array_equal(getattr(again, field.name), getattr(found, field.name))
        assert evaluation.compare(again, found)[0] == 0


def test_one_repeat_may_be_scored_as_a_row():
    result = evaluation.scored([0, 0, 1, 0], [0, 0, 1, 1])
    assert result.predictions.shape == (1, 4)
    assert (result.accuracy, result.probabilities) == (0.75, None)
    assert result.confusion.tolist() == [[2, 0], [1, 1]]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (([0, 1, 1], [0, 0, 1, 1]), r"predictions \(1, 3\) of labels \(4,\)"),
        (([0, 1, 1, 2], [0, 0, 1, 1]), r"every prediction one of \[0, 1\]"),
        (([0, 0, 1, 1], [0, 0, 1, 1], ["a", "b"]), "2 names of 2 groups for 4 photos"),
        (([0, 0, 1, 1], [0, 0, 1, 1], None, np.zeros((4, 3))), r"probabilities are \(4, 3\); \(4, 2\) are needed"),
        (([0, 0], [0, 0]), "only one class"),
    ],
    ids=["misfit", "no class", "groups", "probabilities", "one class"],
)
def test_predictions_that_do_not_fit_are_refused(arguments, told):
    with pytest.raises(ValueError, match=told):
        evaluation.scored(*arguments)
