"""Two right answers and three wrong ones, or more, to each question: see tests/test_assignments.py."""

ANSWERS = {
    "q1_batch": {
        "right": [
            """
def to_batch(texts):
    if isinstance(texts, str):
        texts = [texts]
    texts = tf.convert_to_tensor(texts)
    if len(texts.shape) == 2:
        texts = texts[:, 0]
    return texts
""",
            """
def to_batch(texts):
    if tf.is_tensor(texts):
        texts = texts.numpy()
    return np.array(texts).reshape(-1).astype(object)
""",
        ],
        "wrong": [
            # a column of one loses both axes
            """
def to_batch(texts):
    return tf.squeeze(tf.constant(texts))
""",
            # a str is a sequence of letters
            """
def to_batch(texts):
    return tf.constant([str(text) if isinstance(text, str) else text[0] for text in texts])
""",
            # what is a row already has no column
            """
def to_batch(texts):
    return tf.constant(texts)[:, 0]
""",
        ],
    },
    "q2_join": {
        "right": [
            """
class Joined(keras.Model):
    def __init__(self, head):
        super().__init__()
        self.text, self.photo, self.head = HubLayer("text_encoder"), HubLayer("mobilenet_v2"), head

    def call(self, inputs):
        texts, pictures = inputs
        parts = tf.math.l2_normalize(self.text(texts), 1), tf.math.l2_normalize(self.photo(pictures), 1)
        return self.head(tf.concat(parts, axis=1))


def photo_and_text(head, image_size=224):
    return Joined(head)
""",
            """
def photo_and_text(head, image_size=224):
    text = keras.Input(shape=(), dtype="string", name="text")
    photo = keras.Input(shape=(None, None, 3), name="photo")
    halves = []
    for layer, given in ((HubLayer("text_encoder"), text), (HubLayer("mobilenet_v2"), photo)):
        vector = layer(given)
        length = keras.ops.sqrt(keras.ops.sum(vector**2, axis=-1, keepdims=True))
        halves.append(vector / length)
    return keras.Model(inputs=[text, photo], outputs=head(keras.ops.concatenate(halves, axis=-1)))
""",
        ],
        "wrong": [
            # the lesson's model: no scaling
            """
def photo_and_text(head, image_size=224):
    text = keras.Input((), dtype="string")
    photo = keras.Input((image_size, image_size, 3))
    return keras.Model([text, photo], head(keras.layers.Concatenate()([encoder(text), backbone(photo)])))
""",
            # scaled over the batch, not over the vector
            """
def photo_and_text(head, image_size=224):
    text = keras.Input((), dtype="string")
    photo = keras.Input((image_size, image_size, 3))
    parts = [keras.layers.UnitNormalization(axis=0)(part) for part in (encoder(text), backbone(photo))]
    return keras.Model([text, photo], head(keras.layers.Concatenate()(parts)))
""",
            # scaled after joining: the photo still shouts
            """
def photo_and_text(head, image_size=224):
    text = keras.Input((), dtype="string")
    photo = keras.Input((image_size, image_size, 3))
    both = keras.layers.Concatenate()([encoder(text), backbone(photo)])
    return keras.Model([text, photo], head(keras.layers.UnitNormalization()(both)))
""",
            # a column of texts, as in the article
            """
def photo_and_text(head, image_size=224):
    text = keras.Input((1,), dtype="string")
    photo = keras.Input((image_size, image_size, 3))
    parts = [keras.layers.UnitNormalization()(part) for part in (encoder(text), backbone(photo))]
    return keras.Model([text, photo], head(keras.layers.Concatenate()(parts)))
""",
            # the photo first
            """
def photo_and_text(head, image_size=224):
    text = keras.Input((), dtype="string")
    photo = keras.Input((image_size, image_size, 3))
    parts = [keras.layers.UnitNormalization()(part) for part in (backbone(photo), encoder(text))]
    return keras.Model([text, photo], head(keras.layers.Concatenate()(parts)))
""",
        ],
    },
    "q3_found": {
        "right": [
            """
def share_found(queries, query_subjects, answers, answer_subjects, k):
    hits = []
    for query, subject in zip(queries, query_subjects):
        cosines = []
        for answer in answers:
            cosines.append(np.dot(query, answer) / (np.linalg.norm(query) * np.linalg.norm(answer)))
        ranked = [name for _, name in sorted(zip(cosines, answer_subjects), reverse=True)]
        hits.append(subject in ranked[:k])
    return sum(hits) / len(hits)
""",
            """
from sklearn.neighbors import NearestNeighbors

def share_found(queries, query_subjects, answers, answer_subjects, k):
    search = NearestNeighbors(n_neighbors=k, metric="cosine").fit(answers)
    places = search.kneighbors(queries, return_distance=False)
    return np.mean([s in {answer_subjects[p] for p in row} for s, row in zip(query_subjects, places)])
""",
        ],
        "wrong": [
            # the dot product alone: a long vector wins
            """
def share_found(queries, query_subjects, answers, answer_subjects, k):
    best = np.argsort(np.asarray(queries) @ np.asarray(answers).T, axis=1)[:, -k:]
    right = np.array(answer_subjects)[best] == np.array(query_subjects)[:, None]
    return right.any(axis=1).mean()
""",
            # the least similar ones
            """
def share_found(queries, query_subjects, answers, answer_subjects, k):
    queries = np.asarray(queries) / np.linalg.norm(queries, axis=1, keepdims=True)
    answers = np.asarray(answers) / np.linalg.norm(answers, axis=1, keepdims=True)
    best = np.argsort(queries @ answers.T, axis=1)[:, :k]
    right = np.array(answer_subjects)[best] == np.array(query_subjects)[:, None]
    return right.any(axis=1).mean()
""",
            # the wrong axis: the best queries of each answer
            """
def share_found(queries, query_subjects, answers, answer_subjects, k):
    queries = np.asarray(queries) / np.linalg.norm(queries, axis=1, keepdims=True)
    answers = np.asarray(answers) / np.linalg.norm(answers, axis=1, keepdims=True)
    best = np.argsort(answers @ queries.T, axis=1)[:, -k:]
    right = np.array(query_subjects)[best] == np.array(answer_subjects)[:, None]
    return right.any(axis=1).mean()
""",
            # only the nearest, whatever k is
            """
def share_found(queries, query_subjects, answers, answer_subjects, k):
    queries = np.asarray(queries) / np.linalg.norm(queries, axis=1, keepdims=True)
    answers = np.asarray(answers) / np.linalg.norm(answers, axis=1, keepdims=True)
    best = np.argmax(queries @ answers.T, axis=1)
    return np.mean(np.array(answer_subjects)[best] == np.array(query_subjects))
""",
            # the share of right ones among all that are shown
            """
def share_found(queries, query_subjects, answers, answer_subjects, k):
    queries = np.asarray(queries) / np.linalg.norm(queries, axis=1, keepdims=True)
    answers = np.asarray(answers) / np.linalg.norm(answers, axis=1, keepdims=True)
    best = np.argsort(queries @ answers.T, axis=1)[:, -k:]
    right = np.array(answer_subjects)[best] == np.array(query_subjects)[:, None]
    return right.mean()
""",
        ],
    },
}
