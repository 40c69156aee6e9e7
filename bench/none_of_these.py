"""Which rule should say "none of these"? Prints the table of docs/try.md: python -m bench.none_of_these [MODULE]."""

import sys

import numpy as np
import pandas as pd
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from course import none_of_these
from course.photo_page import OTHERS
from helpers import evaluation, features, photos


def rules(vectors, labels):
    """Return {name: function of vectors [n, d] that returns scores [n]}, high for photos that are like these."""
    head = evaluation.linear_head().fit(vectors, labels)
    means = np.array([vectors[labels == label].mean(axis=0) for label in np.unique(labels)])
    spread = np.maximum(vectors.std(axis=0), 1e-3)
    middle = vectors.mean(axis=0)
    axes = np.linalg.svd(vectors - middle, full_matrices=False)[2][:50]
    precision = LedoitWolf().fit((vectors - means[labels]) @ axes.T).precision_

    def unit(rows):
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def nearest_mean(rows):
        return -np.array([((rows - mean) ** 2 / spread**2).mean(axis=1) for mean in means]).min(axis=0)

    def mahalanobis(rows):
        away = [(rows - mean) @ axes.T for mean in means]
        return -np.array([np.einsum("ni,ij,nj->n", each, precision, each) for each in away]).min(axis=0)

    def residual(rows):
        return -np.linalg.norm((rows - middle) - (rows - middle) @ axes.T @ axes, axis=1)

    return {
        "softmax probability": lambda rows: head.predict_proba(rows).max(axis=1),
        "logit": lambda rows: head.decision_function(rows).max(axis=1),
        "energy": lambda rows: np.log(np.exp(head.decision_function(rows)).sum(axis=1)),
        "distance to class means, standardised": nearest_mean,
        "Mahalanobis distance to class means, 50 components": mahalanobis,
        "distance from the photos' 50 main directions": residual,
        "cosine to the nearest training photo": lambda rows: (unit(rows) @ unit(vectors).T).max(axis=1),
        "cosine to the nearest class mean": lambda rows: none_of_these.similarity(rows, means),
    }


def held_out(vectors, labels, seed):
    """Return {rule: scores [n]}, each photo's by a rule that was made without it."""
    scores = {}
    for train, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(vectors, labels):
        for name, rule in rules(vectors[train], labels[train]).items():
            scores.setdefault(name, np.empty(len(labels)))[test] = rule(vectors[test])
    return scores


def table(module):
    """Return a DataFrame: for each rule, flowers refused and other photos named, with limits set on flowers alone."""
    flowers = photos.load("flowers")
    vectors, labels = features.extract(flowers, module), flowers.labels
    others = {name: features.extract(photos.load(name), module) for name in OTHERS}
    refused, final, known = {}, rules(vectors, labels), held_out(vectors, labels, seed=0)
    for train, test in StratifiedKFold(5, shuffle=True, random_state=1).split(vectors, labels):
        limits = held_out(vectors[train], labels[train], seed=2)
        for name, rule in rules(vectors[train], labels[train]).items():
            low = rule(vectors[test]) < np.quantile(limits[name], none_of_these.REFUSED)
            refused[name] = refused.get(name, 0) + int(low.sum())
    rows = {}
    for name, rule in final.items():
        scores = {other: rule(found) for other, found in others.items()}
        limit, strange = np.quantile(known[name], none_of_these.REFUSED), np.concatenate(list(scores.values()))
        rows[name] = {f"flowers refused, of {len(labels)}": refused[name]}
        rows[name] |= {
            f"{other} named, of {len(found)}": int((found >= limit).sum()) for other, found in scores.items()
        }
        truth = np.repeat([1, 0], [len(labels), len(strange)])
        rows[name]["area under the curve"] = f"{roc_auc_score(truth, np.r_[known[name], strange]):.3f}"
    return pd.DataFrame(rows).T


if __name__ == "__main__":
    with threadpool_limits(1):
        print(table(*sys.argv[1:] or ["mobilenet_v2"]).to_string())
