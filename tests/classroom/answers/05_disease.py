"""Two right answers and three wrong ones, or more, to each question: see tests/test_assignments.py."""

ANSWERS = {
    "q1_split": {
        "right": [
            """
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

def split(labels, leaves, contents):
    n = len(labels)
    first = np.unique(leaves, return_inverse=True)[1]
    second = np.unique(contents, return_inverse=True)[1] + first.max() + 1
    size = second.max() + 1
    ties = coo_array((np.ones(n), (first, second)), shape=(size, size))
    groups = connected_components(ties, directed=False)[1][first]
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=3)
    return next(folds.split(np.zeros(n), labels, groups))
""",
            """
def split(labels, leaves, contents):
    left, parts = set(range(len(labels))), []
    while left:
        part, fresh = set(), {left.pop()}
        while fresh:
            part |= fresh
            names, same = {leaves[row] for row in fresh}, {contents[row] for row in fresh}
            fresh = {row for row in left if leaves[row] in names or contents[row] in same}
            left -= fresh
        parts.append(sorted(part))
    train, test = [], []
    taken = {label: 0 for label in set(labels)}
    for part in parts:
        label = labels[part[0]]
        if taken[label] + len(part) / 2 < sum(labels == label) / 4:
            taken[label] += len(part)
            test += part
        else:
            train += part
    return train, test
""",
        ],
        "wrong": [
            # by photo
            """
def split(labels, leaves, contents):
    return train_test_split(np.arange(len(labels)), test_size=0.25, stratify=labels, random_state=0)
""",
            # by the leaf's name: copies under another name are overlooked
            """
def split(labels, leaves, contents):
    return evaluation.split(labels, leaves)
""",
            # a name and a photo together make a group: it ties nothing
            """
def split(labels, leaves, contents):
    return evaluation.split(labels, np.char.add(leaves, contents))
""",
            # copies are thrown away, and with them what ties the two names of a leaf
            """
def split(labels, leaves, contents):
    kept = np.unique(contents, return_index=True)[1]
    train, test = evaluation.split(labels[kept], leaves[kept])
    return kept[train], kept[test]
""",
            # a copy gets the first of its names, and the leaf's other photos keep theirs
            """
def split(labels, leaves, contents):
    first_name = {}
    for leaf, content in zip(leaves, contents):
        first_name.setdefault(content, leaf)
    groups = np.array([first_name[content] for content in contents])
    return evaluation.split(labels, groups)
""",
            # no look at the classes
            """
def split(labels, leaves, contents):
    groups = np.arange(len(labels))
    for _ in range(10):
        for names in (leaves, contents):
            for name in set(names):
                groups[names == name] = groups[names == name].min()
    order = [row for group in sorted(set(groups), key=lambda g: labels[g]) for row in np.flatnonzero(groups == group)]
    cut = round(len(order) * 0.75)
    while groups[order[cut]] == groups[order[cut - 1]]:
        cut += 1
    return order[:cut], order[cut:]
""",
        ],
    },
    "q2_field": {
        "right": [
            """
def in_the_field(confusion, shares):
    k = len(confusion)
    field = np.zeros((k, k))
    for true in range(k):
        for said in range(k):
            field[true, said] = shares[true] * confusion[true, said] / sum(confusion[true])
    recalls = [confusion[c, c] / sum(confusion[c]) for c in range(k)]
    precisions = [field[c, c] / sum(field[:, c]) if sum(field[:, c]) else 0.0 for c in range(k)]
    return recalls, precisions, sum(field[c, c] for c in range(k))
""",
            """
def in_the_field(confusion, shares):
    shares = np.asarray(shares, "float64")
    recalls = confusion.diagonal() / confusion.sum(1)
    weights = shares / confusion.sum(1)
    with np.errstate(invalid="ignore"):
        precisions = np.nan_to_num(weights * confusion.diagonal() / (weights @ confusion))
    return recalls, precisions, recalls @ shares
""",
        ],
        "wrong": [
            # rows and columns mixed up
            """
def in_the_field(confusion, shares):
    said = confusion.T / np.maximum(confusion.T.sum(axis=1, keepdims=True), 1)
    field = said * np.asarray(shares)[:, np.newaxis]
    return np.diag(said), np.diag(field) / np.maximum(field.sum(axis=0), 1e-12), np.trace(field)
""",
            # the test's precision, as if it were the field's
            """
def in_the_field(confusion, shares):
    recalls = np.diag(confusion) / confusion.sum(axis=1)
    precisions = np.diag(confusion) / np.maximum(confusion.sum(axis=0), 1)
    return recalls, precisions, recalls @ np.asarray(shares)
""",
            # balanced accuracy in place of the field's accuracy
            """
def in_the_field(confusion, shares):
    said = confusion / confusion.sum(axis=1, keepdims=True)
    field = said * np.asarray(shares)[:, np.newaxis]
    return np.diag(said), np.diag(field) / np.maximum(field.sum(axis=0), 1e-12), np.diag(said).mean()
""",
            # the shares multiply counts, not rates: the test's own shares stay in
            """
def in_the_field(confusion, shares):
    field = confusion * np.asarray(shares)[:, np.newaxis]
    recalls = np.diag(confusion) / confusion.sum(axis=1)
    return recalls, np.diag(field) / np.maximum(field.sum(axis=0), 1e-12), np.trace(field) / field.sum()
""",
        ],
    },
    "q3_alarm": {
        "right": [
            """
def cheapest_alarm(probabilities, sick, miss_cost):
    order = np.argsort(-probabilities)
    p, ill = probabilities[order], sick[order]
    false = np.concatenate([[0], np.cumsum(~ill)])
    missed = ill.sum() - np.concatenate([[0], np.cumsum(ill)])
    costs = (miss_cost * missed + false) / len(p)
    allowed = np.concatenate([[True], p[:-1] != p[1:], [True]])
    best = np.flatnonzero(allowed)[costs[allowed].argmin()]
    return (p[best - 1] if best else p[0] + 1), costs[best]
""",
            """
def cheapest_alarm(probabilities, sick, miss_cost):
    values = sorted(set(probabilities.tolist()))
    middles = [(low + high) / 2 for low, high in zip(values, values[1:])]

    def cost(threshold):
        missed = sum(1 for p, ill in zip(probabilities, sick) if ill and p < threshold)
        false = sum(1 for p, ill in zip(probabilities, sick) if not ill and p >= threshold)
        return (miss_cost * missed + false) / len(sick)

    best = min([-1.0, *middles, 2.0], key=cost)
    return best, cost(best)
""",
        ],
        "wrong": [
            # the formula
            """
def cheapest_alarm(probabilities, sick, miss_cost):
    threshold = 1 / (1 + miss_cost)
    alarm = probabilities >= threshold
    return threshold, (miss_cost * (sick & ~alarm).sum() + (~sick & alarm).sum()) / len(sick)
""",
            # a grid
            """
def cheapest_alarm(probabilities, sick, miss_cost):
    costs = {}
    for threshold in np.linspace(0, 1.01, 102):
        alarm = probabilities >= threshold
        costs[threshold] = (miss_cost * (sick & ~alarm).sum() + (~sick & alarm).sum()) / len(sick)
    best = min(costs, key=costs.get)
    return best, costs[best]
""",
            # to alarm for none is left out
            """
def cheapest_alarm(probabilities, sick, miss_cost):
    costs = {}
    for threshold in np.unique(probabilities):
        alarm = probabilities >= threshold
        costs[threshold] = (miss_cost * (sick & ~alarm).sum() + (~sick & alarm).sum()) / len(sick)
    best = min(costs, key=costs.get)
    return best, costs[best]
""",
            # the cost is on the false alarms
            """
def cheapest_alarm(probabilities, sick, miss_cost):
    costs = {}
    for threshold in [*np.unique(probabilities), 2]:
        alarm = probabilities >= threshold
        costs[threshold] = ((sick & ~alarm).sum() + miss_cost * (~sick & alarm).sum()) / len(sick)
    best = min(costs, key=costs.get)
    return best, costs[best]
""",
            # above the threshold, not at it
            """
def cheapest_alarm(probabilities, sick, miss_cost):
    costs = {}
    for threshold in [-1, *np.unique(probabilities)]:
        alarm = probabilities > threshold
        costs[threshold] = (miss_cost * (sick & ~alarm).sum() + (~sick & alarm).sum()) / len(sick)
    best = min(costs, key=costs.get)
    return best, costs[best]
""",
            # the sum, not the cost per leaf
            """
def cheapest_alarm(probabilities, sick, miss_cost):
    costs = {}
    for threshold in [*np.unique(probabilities), 2]:
        alarm = probabilities >= threshold
        costs[threshold] = miss_cost * (sick & ~alarm).sum() + (~sick & alarm).sum()
    best = min(costs, key=costs.get)
    return best, costs[best]
""",
        ],
    },
}
