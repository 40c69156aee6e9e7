"""Two right answers and three wrong ones, or more, to each question: see tests/test_assignments.py."""

ANSWERS = {
    "q1_clean": {
        "right": [
            """
import re

def cleaned(names, groups, species, least=3):
    table = pd.DataFrame({"word": [re.findall(r"[A-Za-z]+", name) for name in names], "group": groups, "kind": species})
    table = table.explode("word").dropna()
    counted = table.assign(word=table["word"].str.lower()).groupby("word").nunique()
    out = set(counted.index[(counted["group"] == 1) & (counted["kind"] >= least)])
    kept = []
    for name in names:
        text = re.sub(r"[A-Za-z]+", lambda found: "" if found[0].lower() in out else found[0], name)
        kept.append(" ".join(re.sub(r"[^A-Za-z]+", " ", text).split()))
    return kept
""",
            """
def cleaned(names, groups, species, least=3):
    rows = []
    for name in names:
        letters = [c if c in "abcdefghijklmnopqrstuvwxyz" else " " for c in name.lower()]
        rows.append("".join(letters).split())

    def tells(word):
        having = [i for i, row in enumerate(rows) if word in row]
        return len({groups[i] for i in having}) == 1 and len({species[i] for i in having}) >= least

    told = {word: tells(word) for row in rows for word in row}
    return [" ".join([word for word in row if not told[word]]) for row in rows]
""",
        ],
        "wrong": [
            # foods are counted, not species
            """
import re

def cleaned(names, groups, species, least=3):
    words = [re.findall("[a-z]+", name.lower()) for name in names]
    out = set()
    for word in {word for row in words for word in row}:
        having = [group for row, group in zip(words, groups) if word in row]
        if len(having) >= least and len(set(having)) == 1:
            out.add(word)
    return [" ".join(word for word in row if word not in out) for row in words]
""",
            # parts of words are replaced, too
            """
import re

def cleaned(names, groups, species, least=3):
    names = [" ".join(re.findall("[a-z]+", name.lower())) for name in names]
    for word in {word for name in names for word in name.split()}:
        having = [i for i, name in enumerate(names) if word in name.split()]
        if len({groups[i] for i in having}) == 1 and len({species[i] for i in having}) >= least:
            names = [" ".join(name.replace(word, " ").split()) for name in names]
    return names
""",
            # upper and lower case are two words
            """
import re

def cleaned(names, groups, species, least=3):
    words = [re.findall("[A-Za-z]+", name) for name in names]
    out = set()
    for word in {word for row in words for word in row}:
        having = [i for i, row in enumerate(words) if word in row]
        if len({groups[i] for i in having}) == 1 and len({species[i] for i in having}) >= least:
            out.add(word)
    return [" ".join(word for word in row if word not in out) for row in words]
""",
            # split at blanks: a comma makes another word
            """
def cleaned(names, groups, species, least=3):
    words = [name.lower().split() for name in names]
    out = set()
    for word in {word for row in words for word in row}:
        having = [i for i, row in enumerate(words) if word in row]
        if len({groups[i] for i in having}) == 1 and len({species[i] for i in having}) >= least:
            out.add(word)
    return [" ".join(word for word in row if word not in out) for row in words]
""",
            # more than least
            """
import re

def cleaned(names, groups, species, least=3):
    words = [re.findall("[a-z]+", name.lower()) for name in names]
    out = set()
    for word in {word for row in words for word in row}:
        having = [i for i, row in enumerate(words) if word in row]
        if len({groups[i] for i in having}) == 1 and len({species[i] for i in having}) > least:
            out.add(word)
    return [" ".join(word for word in row if word not in out) for row in words]
""",
            # nine of ten are taken for all
            """
import re

def cleaned(names, groups, species, least=3):
    words = [re.findall("[a-z]+", name.lower()) for name in names]
    out = set()
    for word in {word for row in words for word in row}:
        having = [i for i, row in enumerate(words) if word in row]
        most = max([groups[i] for i in having].count(group) for group in set(groups))
        if most >= 0.9 * len(having) and len({species[i] for i in having}) >= least:
            out.add(word)
    return [" ".join(word for word in row if word not in out) for row in words]
""",
        ],
    },
    "q2_join": {
        "right": [
            """
def joined(train, k):
    doors, scaled = [], []
    for name, vectors in train.items():
        rows = vectors[~np.isnan(vectors).any(axis=1)]
        spread = rows.std(axis=0)
        spread[spread < 1e-6] = 1
        door = keras.Input(vectors.shape[1:], name=name)
        doors.append(door)
        x = keras.layers.Rescaling(1 / spread, offset=-rows.mean(axis=0) / spread)(door)
        scaled.append(keras.layers.Lambda(lambda x: keras.ops.nan_to_num(x))(x))
    x = keras.layers.concatenate(scaled)
    x = keras.layers.Dense(64, activation="gelu")(x)
    x = keras.layers.Dropout(0.1)(x)
    return keras.Model(doors, keras.layers.Softmax()(keras.layers.Dense(k)(x)))
""",
            """
class Joined(keras.Model):
    def __init__(self, train, k):
        super().__init__()
        self.order = sorted(train)
        self.scales = []
        for name in self.order:
            scale = keras.layers.Normalization()
            scale.adapt(train[name][np.isfinite(train[name][:, 0])])
            self.scales.append(scale)
        self.answer = keras.layers.Dense(k, activation="softmax")

    def call(self, inputs):
        scaled = [scale(inputs[name]) for name, scale in zip(self.order, self.scales)]
        return self.answer(keras.ops.concatenate([keras.ops.where(x == x, x, 0.0) for x in scaled], axis=-1))


def joined(train, k):
    return Joined(train, k)
""",
            # as in the lesson, with its dropout
            """
def joined(train, k):
    doors, branches = [], []
    for name, vectors in train.items():
        door = keras.Input((vectors.shape[1],), name=name)
        scale = keras.layers.Normalization(mean=np.nanmean(vectors, axis=0), variance=np.nanvar(vectors, axis=0))
        kept = keras.layers.Dropout(0.5)(keras.ops.nan_to_num(scale(door)))
        doors.append(door)
        branches.append(keras.layers.Dense(16, activation="relu")(kept))
    hidden = keras.layers.Dropout(0.2)(keras.layers.Concatenate()(branches))
    return keras.Model(doors, keras.layers.Dense(k, activation="softmax")(hidden))
""",
        ],
        "wrong": [
            # as in the lesson: nothing may be missing
            """
def joined(train, k):
    doors, branches = {}, []
    for name, vectors in train.items():
        doors[name] = keras.Input((vectors.shape[1],), name=name)
        scale = keras.layers.Normalization()
        scale.adapt(vectors)
        branches.append(keras.layers.Dense(16, activation="relu")(scale(doors[name])))
    return keras.Model(doors, keras.layers.Dense(k, activation="softmax")(keras.layers.Concatenate()(branches)))
""",
            # what is missing becomes 0 before the scaling: a value like any other
            """
def joined(train, k):
    doors, branches = {}, []
    for name, vectors in train.items():
        doors[name] = keras.Input((vectors.shape[1],), name=name)
        scale = keras.layers.Normalization(mean=np.nanmean(vectors, axis=0), variance=np.nanvar(vectors, axis=0))
        branches.append(keras.layers.Dense(16, activation="relu")(scale(keras.ops.nan_to_num(doors[name]))))
    return keras.Model(doors, keras.layers.Dense(k, activation="softmax")(keras.layers.Concatenate()(branches)))
""",
            # side by side as they are, whatever their scale
            """
def joined(train, k):
    doors, filled = {}, []
    for name, each in train.items():
        doors[name] = keras.Input((each.shape[1],), name=name)
        filled.append(keras.ops.where(keras.ops.isnan(doors[name]), np.nanmean(each, axis=0), doors[name]))
    hidden = keras.layers.Dense(32, activation="relu")(keras.layers.Concatenate()(filled))
    return keras.Model(doors, keras.layers.Dense(k, activation="softmax")(hidden))
""",
            # one mean and one spread for the whole input, not for each column
            """
def joined(train, k):
    doors, scaled = {}, []
    for name, each in train.items():
        doors[name] = keras.Input((each.shape[1],), name=name)
        mean, spread = np.nanmean(each), np.nanstd(each)
        scaled.append(keras.ops.nan_to_num((doors[name] - mean) / spread))
    hidden = keras.layers.Dense(32, activation="relu")(keras.layers.Concatenate()(scaled))
    return keras.Model(doors, keras.layers.Dense(k, activation="softmax")(hidden))
""",
            # divided by a spread of 0: infinite where the mean of a column is a hair beside its value
            """
def joined(train, k):
    doors, scaled = {}, []
    for name, each in train.items():
        doors[name] = keras.Input((each.shape[1],), name=name)
        mean, spread = np.nanmean(each, axis=0), np.nanstd(each, axis=0)
        filled = keras.ops.where(keras.ops.isnan(doors[name]), mean, doors[name])
        scaled.append((filled - mean) / spread)
    hidden = keras.layers.Dense(32, activation="relu")(keras.layers.Concatenate()(scaled))
    return keras.Model(doors, keras.layers.Dense(k, activation="softmax")(hidden))
""",
            # no softmax
            """
def joined(train, k):
    doors, branches = {}, []
    for name, vectors in train.items():
        doors[name] = keras.Input((vectors.shape[1],), name=name)
        scale = keras.layers.Normalization(mean=np.nanmean(vectors, axis=0), variance=np.nanvar(vectors, axis=0))
        branches.append(keras.layers.Dense(16, activation="relu")(keras.ops.nan_to_num(scale(doors[name]))))
    return keras.Model(doors, keras.layers.Dense(k)(keras.layers.Concatenate()(branches)))
""",
            # the last input of the loop alone reaches the head
            """
def joined(train, k):
    doors = {}
    for name, vectors in train.items():
        doors[name] = keras.Input((vectors.shape[1],), name=name)
        scale = keras.layers.Normalization(mean=np.nanmean(vectors, axis=0), variance=np.nanvar(vectors, axis=0))
        branch = keras.layers.Dense(16, activation="relu")(keras.ops.nan_to_num(scale(doors[name])))
    return keras.Model(doors, keras.layers.Dense(k, activation="softmax")(branch))
""",
            # batch norm: before it has been trained it scales nothing
            """
def joined(train, k):
    doors, scaled = {}, []
    for name, vectors in train.items():
        doors[name] = keras.Input((vectors.shape[1],), name=name)
        filled = keras.ops.where(keras.ops.isnan(doors[name]), np.nanmean(vectors, axis=0), doors[name])
        scaled.append(keras.layers.BatchNormalization()(filled))
    hidden = keras.layers.Dense(32, activation="relu")(keras.layers.Concatenate()(scaled))
    return keras.Model(doors, keras.layers.Dense(k, activation="softmax")(hidden))
""",
        ],
    },
    "q3_fuse": {
        "right": [
            """
def fused(shares, there, prior):
    answers = []
    for food in range(shares.shape[1]):
        votes = [shares[head, food] for head in range(len(shares)) if there[head, food]]
        answers.append(np.mean(votes, axis=0) if votes else prior)
    return np.array(answers)
""",
            """
def fused(shares, there, prior):
    hidden = np.ma.masked_array(shares, mask=np.repeat(~there[..., None], shares.shape[2], axis=2))
    return np.where(there.any(axis=0)[:, None], hidden.mean(axis=0).filled(0), prior)
""",
        ],
        "wrong": [
            # a missing vote counts as a vote of zeros
            """
def fused(shares, there, prior):
    answer = np.where(there[:, :, None], shares, 0).mean(axis=0)
    return np.where(there.any(axis=0)[:, None], answer, prior)
""",
            # NaN times 0 is NaN
            """
def fused(shares, there, prior):
    votes = there[:, :, None].astype(float)
    answer = (shares * votes).sum(axis=0) / np.maximum(votes.sum(axis=0), 1)
    return np.where(there.any(axis=0)[:, None], answer, prior)
""",
            # 0 / 0 for a food without any input
            """
def fused(shares, there, prior):
    with np.errstate(invalid="ignore"):
        return np.where(there[:, :, None], shares, 0).sum(axis=0) / there.sum(axis=0)[:, None]
""",
            # the mask is ignored where there is a number
            """
def fused(shares, there, prior):
    with np.errstate(invalid="ignore"):
        answer = np.nanmean(shares, axis=0)
    return np.where(there.any(axis=0)[:, None], answer, prior)
""",
            # averaged over the foods
            """
def fused(shares, there, prior):
    votes = there[:, :, None]
    answer = np.where(votes, shares, 0).sum(axis=1) / np.maximum(votes.sum(axis=1), 1)
    return np.where(there.any(axis=1)[:, None], answer, prior)
""",
        ],
    },
}
