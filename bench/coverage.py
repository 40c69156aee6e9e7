"""Simulate how often the course's intervals contain the truth: python -m bench.coverage [--draws 4000].

Each experiment below is repeated with new photos from a known truth. The table goes to docs/intervals.md.
"""

import argparse

import numpy as np
from scipy import stats
from sklearn.naive_bayes import GaussianNB
from tqdm import tqdm

from course.paths import ROOT
from helpers import evaluation

PAGE = ROOT / "docs" / "intervals.md"
# The sizes of the course's own sets: (healthy, diseased) leaves of each crop, foods of each species, and glosses of
# each genus (so many genera have so many).
LEAVES = [
    (0, 1),
    (0, 2),
    (1, 2),
    (1, 1),
    (0, 5),
    (1, 1),
    (0, 2),
    (2, 6),
    (0, 4),
    (2, 4),
    (1, 3),
    (0, 8),
    (2, 7),
    (0, 5),
]
LEAVES += [
    (1, 3),
    (1, 0),
    (1, 1),
    (1, 5),
    (1, 1),
    (1, 1),
    (1, 2),
    (1, 0),
    (1, 0),
    (0, 1),
    (1, 1),
    (2, 16),
    (1, 2),
    (3, 1),
]
PAIRS = [1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 6, 7, 8, 16]  # of each crop; here they share its one healthy leaf
SPECIES = np.repeat([1, 2, 3, 4, 5, 6, 7, 8], [66, 24, 7, 2, 3, 1, 2, 1])
GENERA = np.repeat([1, 2, 3, 4, 5, 6, 7, 9, 11, 14, 17, 24, 50], [573, 191, 132, 59, 31, 29, 24, 16, 13, 9, 7, 3, 2])


def groups_of(sizes):
    """Return the group of each photo: int [n]."""
    return np.repeat(np.arange(len(sizes)), sizes)


def alike(rng, groups, truth, likeness):
    """Return which photos are right: each group has an accuracy of its own, drawn around the truth (a beta)."""
    weight = 1 / likeness - 1
    own = rng.beta(truth * weight, (1 - truth) * weight, groups.max() + 1)
    return rng.random(len(groups)) < own[groups]


def one_split(truth, n):
    """Return an experiment: one split of n photos, each right on its own."""
    return truth, lambda rng: (truth, *evaluation.wilson(rng.binomial(n, truth) / n, n))


def in_groups(truth, sizes, likeness):
    """Return an experiment: accuracy, where the photos of a group are right or wrong together."""
    groups = groups_of(sizes)
    return truth, lambda rng: evaluation.proportion(alike(rng, groups, truth, likeness), groups)


def balanced(recalls, counts):
    """Return an experiment: balanced accuracy of classes of these sizes, without groups."""
    labels, recalls = np.repeat(np.arange(len(counts)), counts), np.array(recalls)
    return recalls.mean(), lambda rng: evaluation.proportion(rng.random(len(labels)) < recalls[labels], labels=labels)


def balanced_in_groups(recalls, likeness):
    """Return an experiment: balanced accuracy on the leaves, crops held out."""
    labels = np.concatenate([np.repeat([0, 1], crop) for crop in LEAVES])
    groups = groups_of(np.sum(LEAVES, axis=1))

    def draw(rng):
        right = [alike(rng, groups, recall, likeness) for recall in recalls]
        return evaluation.proportion(np.where(labels == 0, *right), groups, labels)

    return np.mean(recalls), draw


def paired(only_first, only_second, sizes, likeness=None, counts=None):
    """Return an experiment: two models on the same photos; the proportions that only one of them names right."""
    groups, labels = groups_of(sizes), None if counts is None else np.repeat(np.arange(len(counts)), counts)
    answers = np.array([only_first, only_second, 1 - only_first - only_second])

    def draw(rng):
        own = answers[None] if likeness is None else rng.dirichlet(answers * (1 / likeness - 1), len(sizes))
        ends = np.cumsum(own, axis=1)[groups if likeness else np.zeros(len(groups), int)]
        answer = (rng.random((len(groups), 1)) > ends[:, :2]).sum(axis=1)
        return evaluation.difference(answer == 0, answer == 1, groups if likeness else None, labels)

    return only_first - only_second, draw


def matched(signal, crops_differ, other=None):
    """Return an experiment: pairs of a healthy and a diseased leaf; other: the signal in a second module."""
    crop, pairs = groups_of(PAIRS), sum(PAIRS)
    wins = [stats.norm.cdf(each / np.sqrt(2 + crops_differ**2)) for each in (signal, other) if each is not None]

    def ahead(rng, signal):
        of_crop = signal + crops_differ * rng.normal(size=len(PAIRS)) - rng.normal(size=len(PAIRS))
        return of_crop[crop] + rng.normal(size=pairs) > 0

    if other is None:
        return wins[0], lambda rng: evaluation.proportion(ahead(rng, signal), crop)
    return wins[0] - wins[1], lambda rng: evaluation.difference(ahead(rng, signal), ahead(rng, other), crop)


def cross_validated(apart, n=105, classes=3, repeats=3):
    """Return an experiment: cross-validation of a head on new photos; the truth is that of heads on 4/5 of them."""
    centres = apart * np.eye(classes, 5)

    def photos(rng, n):
        labels = np.arange(n) % classes
        return centres[labels] + rng.normal(size=(n, 5)), labels

    rng = np.random.default_rng(1)
    many = photos(rng, 20_000)
    truth = np.mean([GaussianNB().fit(*photos(rng, n * 4 // 5)).score(*many) for _ in range(200)])

    def draw(rng):
        found = evaluation.cross_validate(
            *photos(rng, n), model=GaussianNB(), repeats=repeats, seed=int(rng.integers(1e6))
        )
        return found.accuracy, *found.interval

    return truth, draw


EXPERIMENTS = {
    "accuracy, one split": {
        **{f"{n} photos, {truth}": one_split(truth, n) for n in (20, 53, 210) for truth in (0.7, 0.9)},
    },
    "accuracy, groups held out": {
        f"{name}, {truth}, alike {likeness}": in_groups(truth, sizes, likeness)
        for name, sizes in {"28 crops": np.sum(LEAVES, axis=1), "106 species": SPECIES, "1,089 genera": GENERA}.items()
        for truth, likeness in ((0.7, 0.1), (0.7, 0.3), (0.9, 0.1), (0.9, 0.3))
    },
    "balanced accuracy": {
        "85 and 26 leaves": balanced((0.8, 0.6), (85, 26)),
        "85 and 26 leaves, high": balanced((0.95, 0.85), (85, 26)),
        "three classes of a field": balanced((0.6, 0.4, 0.5), (33, 65, 13)),
        "28 crops, alike 0.1": balanced_in_groups((0.6, 0.8), 0.1),
        "28 crops, alike 0.3": balanced_in_groups((0.6, 0.8), 0.3),
    },
    "paired difference of accuracies": {
        **{
            f"{n} photos, {a} and {b}": paired(a, b, np.ones(n, int))
            for n in (53, 210)
            for a, b in ((0.1, 0.05), (0.2, 0.2))
        },
        "53 photos, rarely": paired(0.03, 0.01, np.ones(53, int)),
        "210 photos, rarely": paired(0.03, 0.01, np.ones(210, int)),
        "28 crops": paired(0.2, 0.1, np.sum(LEAVES, axis=1), 0.1),
        "28 crops, alike": paired(0.2, 0.1, np.sum(LEAVES, axis=1), 0.3),
        "106 species": paired(0.1, 0.05, SPECIES, 0.1),
        "106 species, alike": paired(0.2, 0.1, SPECIES, 0.3),
    },
    "paired difference of balanced accuracies": {
        "85 and 26 leaves": paired(0.2, 0.1, np.ones(111, int), counts=(85, 26)),
        "three classes of a field": paired(0.15, 0.1, np.ones(111, int), counts=(33, 65, 13)),
    },
    "matched pairs": {
        **{
            f"signal {s}, crops differ by {c}": matched(s, c)
            for s, c in ((0, 0.1), (1, 0.1), (1, 1.0), (2, 0.1), (2, 1.0))
        },
    },
    "matched pairs, difference of two modules": {
        f"{s} against {o}, crops differ by {c}": matched(s, c, o)
        for s, o, c in ((1, 1, 0.3), (2, 0.5, 0.3), (2, 0.5, 1.0))
    },
}


def coverage(experiment, draws, seed=0):
    """Return how often an interval contains the truth, lies below it, lies above it, and its mean width."""
    truth, draw = experiment
    rng = np.random.default_rng(seed)
    _, low, high = np.array([draw(rng)[:3] for _ in range(draws)]).T
    below, above = (high < truth - 1e-9).mean(), (low > truth + 1e-9).mean()
    return 1 - below - above, below, above, (high - low).mean()


def table(draws):
    """Return the table of docs/intervals.md (Markdown): a row for each kind, over its experiments."""
    lines = [
        "| interval | experiments | contains the truth | lowest, highest | lies below | lies above |",
        "|---|---|---|---|---|---|",
    ]
    kinds = EXPERIMENTS | {"accuracy, cross-validated": {f"apart {a}": cross_validated(a) for a in (1.5, 3.0)}}
    for kind, experiments in tqdm(kinds.items()):
        few = draws // 8 if "cross" in kind else draws
        found = np.array([coverage(each, few) for each in experiments.values()])
        mean, low, high = found[:, 0].mean(), found[:, 0].min(), found[:, 0].max()
        below, above = found[:, 1].mean(), found[:, 2].mean()
        lines.append(f"| {kind} | {len(found)} | {mean:.1%} | {low:.1%}, {high:.1%} | {below:.1%} | {above:.1%} |")
    return "\n".join(lines) + "\n"


def main():
    """Simulate everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=4000, help="how often each experiment is repeated")
    given = parser.parse_args()
    before, rest = PAGE.read_text().split("<!-- coverage -->")
    after = rest.split("<!-- end of coverage -->")[1]
    PAGE.write_text(f"{before}<!-- coverage -->\n{table(given.draws)}<!-- end of coverage -->{after}")


if __name__ == "__main__":
    main()
