"""Intervals contain the truth about as often as they say; docs/intervals.md has the whole simulation."""

import numpy as np
import pytest

from bench import coverage
from helpers import evaluation


def simulated(experiments, draws=1600):
    """Return how often intervals contain the truth, over all experiments of a kind."""
    return np.mean([coverage.coverage(each, draws // len(experiments))[0] for each in experiments.values()])


@pytest.mark.parametrize("kind", coverage.EXPERIMENTS)
def test_every_kind_of_interval_contains_the_truth_as_often_as_it_says(kind):
    assert 0.935 < simulated(coverage.EXPERIMENTS[kind]) < 0.985


def test_an_interval_that_takes_photos_of_a_crop_for_independent_would_be_noticed():
    groups = coverage.groups_of(np.sum(coverage.LEAVES, axis=1))

    def draw(rng):
        right = coverage.alike(rng, groups, 0.7, 0.3).mean()
        return right, *evaluation.wilson(right, len(groups))

    assert simulated({"naive": (0.7, draw)}) < 0.9


def test_a_difference_without_the_imaginary_photos_would_be_noticed():
    truth, draw = coverage.paired(0.03, 0.01, np.ones(53, int))

    def bare(rng):
        gain, low, high = draw(rng)
        half = np.sqrt(max(((high - low) / 2) ** 2 - 4 * 2 / 53**2, 0))  # 4: the square of t
        return gain, gain - half, gain + half

    assert simulated({"bare": (truth, bare)}) < 0.9


def test_the_page_has_a_row_for_each_kind():
    text = coverage.PAGE.read_text()
    for kind in coverage.EXPERIMENTS:
        assert f"| {kind} |" in text
