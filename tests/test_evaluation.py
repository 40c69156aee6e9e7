"""Cross-validation finds what is there, and no more than that; its intervals are honest; heads learn."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import KNeighborsClassifier

from helpers import evaluation, features, training


def blobs(classes=3, each=20, apart=4.0, seed=0):
    """Return (features [n, 5], labels [n]) of Gaussian blobs; apart=0 makes noise of them."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    centres = draw.normal(size=(classes, 5))
    centres *= apart / np.linalg.norm(centres, axis=1, keepdims=True)
    return centres[labels] + draw.normal(size=(len(labels), 5)), labels


def test_what_can_be_told_apart_is_told_apart():
    result = evaluation.cross_validate(*blobs(apart=8))
    assert result.accuracy > 0.95
    assert result.balanced_accuracy > 0.95


def test_on_noise_the_interval_holds_chance():
    result = evaluation.cross_validate(*blobs(classes=4, apart=0))
    low, high = result.interval
    assert low < 0.25 < high
    assert low < result.accuracy < high


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


@pytest.mark.parametrize("hidden", [None, 8])
def test_a_head_learns_and_gives_probabilities(hidden):
    # A shift and a scale that no head could learn from, were features not standardised inside it.
    vectors, labels = blobs(apart=8)
    vectors = vectors * [1e-3, 1, 1, 1, 1e3] + 50
    head = training.fit_head(vectors, labels, hidden=hidden, learning_rate=0.02)
    shares = head.predict(vectors.astype(np.float32), verbose=0)
    assert shares.shape == (60, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert (shares.argmax(axis=1) == labels).mean() > 0.95
    assert len(head.trainable_variables) == (4 if hidden else 2)


def test_a_head_of_the_same_seed_is_the_same():
    first, second = (training.fit_head(*blobs(), epochs=2, seed=5) for _ in range(2))
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [slice(0, 59), (slice(None), 0)], ids=["too few", "one column"])
def test_a_head_is_not_fitted_on_what_does_not_fit(rows):
    vectors, labels = blobs()
    with pytest.raises(ValueError, match="do not fit"):
        training.fit_head(vectors[rows], labels)
