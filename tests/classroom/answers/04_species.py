"""Two right answers and three wrong ones, or more, to each question: see tests/test_assignments.py."""

ANSWERS = {
    "q1_leak": {
        "right": [
            """
def named(features, labels, train, test, keep):
    seen, known = features[train], labels[train]
    mean, spread = seen.mean(axis=0), seen.std(axis=0) + 1e-9
    z = (seen - mean) / spread
    classes = np.unique(known)
    between = np.var([z[known == c].mean(axis=0) for c in classes], axis=0)
    within = np.mean([z[known == c].var(axis=0) for c in classes], axis=0)
    columns = np.argsort(between / within)[-keep:]
    centres = np.array([z[known == c][:, columns].mean(axis=0) for c in classes])
    asked = ((features[test] - mean) / spread)[:, columns]
    distances = ((asked[:, None] - centres) ** 2).sum(axis=2)
    return classes[distances.argmin(axis=1)]
""",
            """
from sklearn.linear_model import RidgeClassifier

def named(features, labels, train, test, keep):
    scaler = StandardScaler().fit(features[train])
    seen, asked = scaler.transform(features[train]), scaler.transform(features[test])
    scores = f_classif(seen, labels[train])[0]
    columns = np.argsort(scores)[::-1][:keep]
    return RidgeClassifier(alpha=10).fit(seen[:, columns], labels[train]).predict(asked[:, columns])
""",
        ],
        "wrong": [
            # the colleague's own
            """
named = leaky
""",
            # features are chosen on all rows
            """
def named(features, labels, train, test, keep):
    kept = SelectKBest(f_classif, k=keep).fit_transform(features, labels)
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return head.fit(kept[train], labels[train]).predict(kept[test])
""",
            # mean and deviation of all rows
            """
def named(features, labels, train, test, keep):
    scaled = StandardScaler().fit_transform(features)
    best = SelectKBest(f_classif, k=keep).fit(scaled[train], labels[train])
    head = LogisticRegression(max_iter=1000).fit(best.transform(scaled[train]), labels[train])
    return head.predict(best.transform(scaled[test]))
""",
            # test rows standardised by themselves
            """
def named(features, labels, train, test, keep):
    seen, asked = StandardScaler().fit_transform(features[train]), StandardScaler().fit_transform(features[test])
    best = SelectKBest(f_classif, k=keep).fit(seen, labels[train])
    head = LogisticRegression(max_iter=1000).fit(best.transform(seen), labels[train])
    return head.predict(best.transform(asked))
""",
            # not standardised at all
            """
def named(features, labels, train, test, keep):
    head = make_pipeline(SelectKBest(f_classif, k=keep), LogisticRegression(max_iter=1000))
    return head.fit(features[train], labels[train]).predict(features[test])
""",
        ],
    },
    "q2_paired": {
        "right": [
            """
def paired_difference(labels, first, second, plants, draws=1000, seed=0):
    gain = (first == labels).astype(float) - (second == labels).astype(float)
    of_plant = [gain[plants == plant] for plant in np.unique(plants)]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        chosen = rng.choice(len(of_plant), size=len(of_plant), replace=True)
        found.append(np.concatenate([of_plant[number] for number in chosen]).mean())
    found.sort()
    return gain.mean(), found[int(0.025 * draws)], found[int(0.975 * draws)]
""",
            """
import pandas as pd

def paired_difference(labels, first, second, plants, draws=1000, seed=0):
    frame = pd.DataFrame({"plant": plants, "a": first == labels, "b": second == labels})
    sums = frame.groupby("plant").agg(a=("a", "sum"), b=("b", "sum"), n=("a", "size")).to_numpy(float)
    np.random.seed(seed)
    means = []
    for _ in range(draws):
        a, b, n = sums[np.random.randint(0, len(sums), len(sums))].sum(axis=0)
        means.append(a / n - b / n)
    a, b, n = sums.sum(axis=0)
    return (a / n - b / n, *np.quantile(means, [0.025, 0.975]))
""",
        ],
        "wrong": [
            # photos are drawn, not plants
            """
def paired_difference(labels, first, second, plants, draws=1000, seed=0):
    gain = (first == labels) * 1.0 - (second == labels)
    rng = np.random.default_rng(seed)
    means = gain[rng.integers(len(gain), size=(draws, len(gain)))].mean(axis=1)
    return (gain.mean(), *np.percentile(means, [2.5, 97.5]))
""",
            # each model gets a draw of its own
            """
def paired_difference(labels, first, second, plants, draws=1000, seed=0):
    rng = np.random.default_rng(seed)
    names, member = np.unique(plants, return_inverse=True)
    size = np.bincount(member)
    ends = []
    for said in (first, second):
        total = np.bincount(member, said == labels)
        drawn = rng.integers(len(names), size=(draws, len(names)))
        ends.append(total[drawn].sum(axis=1) / size[drawn].sum(axis=1))
    low, high = np.percentile(ends[0] - ends[1], [2.5, 97.5])
    return (first == labels).mean() - (second == labels).mean(), low, high
""",
            # every plant counts the same, however many photos it has
            """
def paired_difference(labels, first, second, plants, draws=1000, seed=0):
    gain = (first == labels) * 1.0 - (second == labels)
    means = np.array([gain[plants == plant].mean() for plant in np.unique(plants)])
    rng = np.random.default_rng(seed)
    drawn = means[rng.integers(len(means), size=(draws, len(means)))].mean(axis=1)
    return (means.mean(), *np.percentile(drawn, [2.5, 97.5]))
""",
            # drawn without replacement: nothing varies
            """
def paired_difference(labels, first, second, plants, draws=1000, seed=0):
    gain = (first == labels) * 1.0 - (second == labels)
    rng = np.random.default_rng(seed)
    means = [gain[rng.permutation(len(gain))].mean() for _ in range(draws)]
    return (gain.mean(), *np.percentile(means, [2.5, 97.5]))
""",
            # the spread of single plants, not of their mean
            """
def paired_difference(labels, first, second, plants, draws=1000, seed=0):
    gain = (first == labels) * 1.0 - (second == labels)
    means = [gain[plants == plant].mean() for plant in np.unique(plants)]
    return (gain.mean(), *np.percentile(means, [2.5, 97.5]))
""",
            # the lesson's formula, no bootstrap
            """
def paired_difference(labels, first, second, plants, draws=1000, seed=0):
    return evaluation.difference(first == labels, second == labels, plants)
""",
        ],
    },
    "q3_confusion": {
        "right": [
            """
def read_confusion(matrix, names):
    recalls, worst, pair = [], -1, None
    for row, shown in enumerate(names):
        recalls.append(matrix[row][row] / sum(matrix[row]))
        for column, said in enumerate(names):
            if row != column and matrix[row][column] > worst:
                worst, pair = matrix[row][column], (shown, said)
    return recalls, pair
""",
            """
import pandas as pd

def read_confusion(matrix, names):
    table = pd.DataFrame(matrix, index=names, columns=names)
    recalls = pd.Series(np.diag(table), index=names) / table.sum(axis=1)
    wrong = table.where(~np.eye(len(names), dtype=bool)).stack()
    return recalls.to_numpy(), wrong.idxmax()
""",
        ],
        "wrong": [
            # precision: the columns' shares
            """
def read_confusion(matrix, names):
    wrong = matrix - np.diag(np.diag(matrix))
    shown, said = np.unravel_index(wrong.argmax(), wrong.shape)
    return np.diag(matrix) / matrix.sum(axis=0), (names[shown], names[said])
""",
            # the diagonal is left in: the largest class is "confused" with itself
            """
def read_confusion(matrix, names):
    shown, said = np.unravel_index(matrix.argmax(), matrix.shape)
    return np.diag(matrix) / matrix.sum(axis=1), (names[shown], names[said])
""",
            # the caller's matrix is changed
            """
def read_confusion(matrix, names):
    recalls = np.diag(matrix) / matrix.sum(axis=1)
    np.fill_diagonal(matrix, 0)
    shown, said = np.unravel_index(matrix.argmax(), matrix.shape)
    return recalls, (names[shown], names[said])
""",
            # the pair the other way round
            """
def read_confusion(matrix, names):
    wrong = matrix - np.diag(np.diag(matrix))
    said, shown = np.unravel_index(wrong.argmax(), wrong.shape)
    return np.diag(matrix) / matrix.sum(axis=1), (names[shown], names[said])
""",
            # in shares of the row
            """
def read_confusion(matrix, names):
    shares = matrix / matrix.sum(axis=1, keepdims=True)
    wrong = shares - np.diag(np.diag(shares))
    shown, said = np.unravel_index(wrong.argmax(), wrong.shape)
    return np.diag(shares), (names[shown], names[said])
""",
        ],
    },
}
