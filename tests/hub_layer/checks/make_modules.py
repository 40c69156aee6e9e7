"""Write the small SavedModels that the checks use, with the TensorFlow at hand: python make_modules.py FOLDER."""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

v1 = tf.compat.v1
root = Path(sys.argv[1])
root.mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(0)
PHOTOS = tf.TensorSpec([None, None, None, 3], tf.float32, name="inputs")
TEXTS = tf.TensorSpec([None], tf.string, name="inputs")
PAIRS = tf.TensorSpec([None, 2], tf.float32, name="inputs")


def variable(*shape, name=None, trainable=True):
    return tf.Variable(random.normal(0, 0.5, shape).astype(np.float32), name=name, trainable=trainable)


def reusable(name, call, traces, variables=(), trainable=(), losses=(), signatures=None, keep=()):
    """Write call as a reusable SavedModel. traces: a list of (arguments, keyword arguments) to trace it with."""
    module = tf.train.Checkpoint()
    module.__call__ = tf.function(call)
    for arguments, options in traces:
        module.__call__.get_concrete_function(*arguments, **options)
    module.variables, module.trainable_variables = list(variables), list(trainable)
    module.regularization_losses = [tf.function(loss, input_signature=[]) for loss in losses]
    module.keep = list(keep)
    tf.saved_model.save(module, str(root / name), signatures=signatures)


def batch_norm_module(name, training_as="bool"):
    """A convolution, batch norm and mean, with a regularisation loss; five variables, of which three are trainable."""
    kernel = variable(3, 3, 3, 4, name="kernel")
    gamma, beta = tf.Variable(tf.ones(4), name="gamma"), tf.Variable(tf.fill([4], 0.5), name="beta")
    mean = tf.Variable(tf.zeros(4), trainable=False, name="moving_mean")
    variance = tf.Variable(tf.ones(4), trainable=False, name="moving_variance")

    def body(inputs, training, momentum=0.9):
        x = tf.nn.conv2d(inputs, kernel, 1, "SAME")

        def train():
            m, v = tf.nn.moments(x, [0, 1, 2])
            mean.assign(mean * momentum + m * (1 - momentum))
            variance.assign(variance * momentum + v * (1 - momentum))
            return tf.nn.batch_normalization(x, m, v, beta, gamma, 1e-3)

        def infer():
            return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)

        traced = tf.is_tensor(training)
        x = tf.cond(training, train, infer) if traced else (train if training else infer)()
        return tf.reduce_mean(tf.nn.relu(x), [1, 2])

    both = [((PHOTOS,), {"training": training}) for training in (False, True)]
    if training_as == "tensor":  # as exporters with TensorFlow 1 in mind had it
        call, traces = (lambda inputs, training: body(inputs, training)), [((PHOTOS, tf.TensorSpec([], tf.bool)), {})]
    elif training_as == "momentum":  # as imagenet/*/feature_vector/5
        momentum = {"batch_norm_momentum": tf.TensorSpec([], tf.float32)}
        traces = [(arguments, {**options, **momentum}) for arguments, options in both]

        def call(inputs, training=False, batch_norm_momentum=0.99):
            return body(inputs, training, batch_norm_momentum)
    else:
        call, traces = (lambda inputs, training=False: body(inputs, training)), both
    serve = tf.function(lambda inputs: {"default": body(inputs, False)}, input_signature=[PHOTOS])
    weights = [kernel, gamma, beta, mean, variance]
    losses = [lambda: 0.01 * tf.nn.l2_loss(kernel)]
    reusable(name, call, traces, weights, weights[:3], losses, {"serving_default": serve})


batch_norm_module("bn")
batch_norm_module("bn_tensor_training", "tensor")
batch_norm_module("bn_momentum", "momentum")

# Text: words are looked up in a vocabulary that is an asset, embedded and averaged, with TensorFlow's own operations.
vocabulary = root / "vocabulary.txt"
vocabulary.write_text("a\nred\nflower\nleaf\nhas\nspots\n")
lines = tf.lookup.TextFileInitializer(
    str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
)
table = tf.lookup.StaticVocabularyTable(lines, 2)
embedding = variable(8, 5, name="embedding")


def embed(texts):
    words = tf.ragged.map_flat_values(table.lookup, tf.strings.split(texts))
    vectors = tf.ragged.map_flat_values(lambda ids: tf.nn.embedding_lookup(embedding, ids), words)
    return tf.ensure_shape(tf.reduce_mean(vectors, axis=1), [None, 5])


CONTEXT = tf.TensorSpec([None], tf.string, name="context")
reusable("text", embed, [((TEXTS,), {})], [embedding], [embedding], keep=[table])
reusable(
    "two_texts",
    lambda inputs: embed(inputs[0]) - embed(inputs[1]),
    [(([TEXTS, CONTEXT],), {})],
    [embedding],
    [embedding],
    keep=[table],
)
reusable(
    "named_texts",
    lambda inputs: embed(inputs["question"]) - embed(inputs["context"]),
    [(({"question": TEXTS, "context": CONTEXT},), {})],
    [embedding],
    [embedding],
    keep=[table],
)

# An operation of tensorflow_text, put into the graph by name so that the package isn't needed here.
reusable("text_operations", lambda texts: tf.strings.lower(texts), [((TEXTS,), {})])
graph = root / "text_operations" / "saved_model.pb"
model = saved_model_pb2.SavedModel.FromString(graph.read_bytes())
for function in model.meta_graphs[0].graph_def.library.function:
    for node in function.node_def:
        if node.op == "StringLower":
            node.op = "CaseFoldUTF8"
            node.attr.clear()
graph.write_bytes(model.SerializeToString())

# BERT's style: a preprocessor turns strings into a dict of ids, an encoder turns that dict into a dict of vectors.
LENGTH = 6


def preprocess(texts):
    ids = tf.ragged.map_flat_values(table.lookup, tf.strings.split(texts)).to_tensor(-1, shape=[None, LENGTH])
    ids = tf.ensure_shape(tf.cast(ids + 1, tf.int32), [None, LENGTH])
    mask = tf.cast(ids > 0, tf.int32)
    return {"input_word_ids": ids, "input_mask": mask, "input_type_ids": tf.zeros_like(ids)}


reusable("preprocessor", preprocess, [((TEXTS,), {})], keep=[table])
words, positions = variable(10, 4, name="words"), variable(LENGTH, 4, name="positions")
attention = [variable(4, 4, name=name) for name in ("query", "key", "value")]


def encode(inputs, training=False):
    mask = tf.cast(inputs["input_mask"], tf.float32)
    length = tf.shape(mask)[1]
    states = tf.nn.embedding_lookup(words, inputs["input_word_ids"]) + positions[:length]
    states = tf.nn.dropout(states, 0.1) if training else states
    query, key, value = (states @ weight for weight in attention)
    scores = tf.nn.softmax(query @ tf.transpose(key, [0, 2, 1]) + (mask[:, None] - 1) * 1e9)
    sequence = states + scores @ value
    pooled = tf.tanh(tf.reduce_sum(sequence * mask[..., None], 1) / (tf.reduce_sum(mask, 1, keepdims=True) + 1e-6))
    return {"sequence_output": sequence, "pooled_output": pooled, "encoder_outputs": [states, sequence]}


IDS = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in ("input_mask", "input_type_ids")}
IDS["input_word_ids"] = tf.TensorSpec([None, None], tf.int32, name="input_word_ids")
reusable(
    "bert",
    encode,
    [((IDS,), {"training": training}) for training in (False, True)],
    [words, positions, *attention],
    [words, positions, *attention],
)

# Signatures of several inputs, a dict or a list of outputs, whole numbers, no variables, no lists of variables.
weight = variable(2, 3, name="weight")
A, B = (tf.TensorSpec([None, 2], tf.float32, name=name) for name in "ab")
score = tf.function(lambda a, b: {"sum": (a + b) @ weight, "product": (a * b) @ weight}, input_signature=[A, B])
reusable("pair", lambda x: x @ weight, [((PAIRS,), {})], [weight], [weight], signatures={"score": score})
reusable("list_out", lambda x: [x @ weight, 2.0 * x @ weight], [((PAIRS,), {})], [weight], [weight])
reusable("no_variables", lambda x: 2.0 * x, [((PAIRS,), {})])
IDS_OF_WORDS = tf.TensorSpec([None, None], tf.int32)
reusable(
    "int_ids",
    lambda ids: tf.reduce_mean(tf.gather(embedding, ids), 1),
    [((IDS_OF_WORDS,), {})],
    [embedding],
    [embedding],
)
length = tf.Variable(3, trainable=False)  # no shape inference reads a variable
reusable(
    "unknown_length",
    lambda x: tf.reshape(tf.concat([x, x[:, :1]], 1), tf.stack([tf.shape(x)[0], length])),
    [((PAIRS,), {})],
    keep=[length],
)
reusable("two_sizes", lambda x: tf.reduce_sum(x, 1), [((tf.TensorSpec([None, size]),), {}) for size in (2, 3)])

bare = tf.train.Checkpoint()
bare.__call__ = tf.function(lambda x: 2.0 * x)
bare.__call__.get_concrete_function(PAIRS)
tf.saved_model.save(bare, str(root / "no_attributes"))


class Plain(tf.Module):
    def __init__(self):
        self.w = variable(2, 3)

    def __call__(self, x):
        return x @ self.w


class Untraced(Plain):
    @tf.function
    def __call__(self, x):
        return x @ self.w


class Signed(Plain):  # a tf.Module's properties, variables and trainable_variables, are not saved
    @tf.function(input_signature=[PAIRS])
    def __call__(self, x):
        return x @ self.w


for kind in (Plain, Untraced, Signed):
    tf.saved_model.save(kind(), str(root / kind.__name__.lower()))


class Hostile(tf.Module):
    """Writes a file as soon as it is loaded, and another when it is called."""

    def __init__(self, folder):
        self.folder = folder
        initializer = tf.lookup.KeyValueTensorInitializer(["a"], tf.constant([1], tf.int64))
        self.table = tf.lookup.StaticHashTable(initializer, 0)
        inner = self.table._initialize  # what TensorFlow runs when it loads a table

        def initialize():
            with tf.control_dependencies([tf.io.write_file(f"{folder}/loaded", "harm")]):
                return inner()

        self.table._initialize = initialize

    @tf.function(input_signature=[PAIRS])
    def __call__(self, x):
        with tf.control_dependencies([tf.io.write_file(f"{self.folder}/called", "harm")]):
            return 2 * x + tf.cast(self.table.lookup(tf.constant("a")), tf.float32)


(root / "harm").mkdir(exist_ok=True)
tf.saved_model.save(Hostile(str((root / "harm").resolve())), str(root / "hostile"))
for file in (root / "harm").iterdir():
    file.unlink()


def tf1(name, tag_sets=(), simple=False, use_resource=False):
    """Write a graph of TensorFlow 1 with one signature, under each set of tags."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 4, 4, 3], name="images")
        start = np.arange(6, dtype=np.float32).reshape(3, 2)
        kernel = v1.get_variable("kernel", initializer=start, use_resource=use_resource)
        y = tf.matmul(tf.reduce_mean(x, [1, 2]), kernel)
        session.run(v1.global_variables_initializer())
        if simple:
            v1.saved_model.simple_save(session, str(root / name), {"images": x}, {"features": y})
            return
        signature = {"serving_default": v1.saved_model.predict_signature_def({"images": x}, {"features": y})}
        builder = v1.saved_model.Builder(str(root / name))
        builder.add_meta_graph_and_variables(session, tag_sets[0], signature_def_map=signature)
        for tags in tag_sets[1:]:
            builder.add_meta_graph(tags, signature_def_map=signature)
        builder.save()


tf1("tf1_simple", simple=True)
tf1("tf1_resource", [["serve"]], use_resource=True)
tf1("tf1_tags", [["serve", "train"], ["serve"]])
tf1("tf1_train", [["train"]])


class UpdateOps(tf.train.Checkpoint):
    """As exporters of the TensorFlow 1 school wrote modules for 2: a wrapped graph for each mode, with update_ops."""

    def __init__(self):
        super().__init__()
        frozen = {"trainable": False}
        self.held = [
            variable(3, 4, name="kernel"),
            tf.Variable(tf.ones(4), name="gamma"),
            tf.Variable(tf.zeros(4), name="beta"),
            tf.Variable(tf.zeros(4), name="mean", **frozen),
            tf.Variable(tf.ones(4), name="variance", **frozen),
        ]

    def trace(self, training):
        kernel, gamma, beta, mean, variance = self.held

        def graph(images):
            x = tf.matmul(tf.reduce_mean(images, [1, 2]), kernel)
            m, v = tf.nn.moments(x, [0]) if training else (mean, variance)
            updates = v1.GraphKeys.UPDATE_OPS
            if training:
                v1.add_to_collection(updates, mean.assign_sub(0.1 * (mean - m)))
                v1.add_to_collection(updates, variance.assign_sub(0.1 * (variance - v)))
            with tf.control_dependencies(v1.get_collection(updates)):
                return tf.identity(tf.nn.batch_normalization(x, m, v, beta, gamma, 1e-3))

        return v1.wrap_function(graph, [PHOTOS])


module = UpdateOps()
modes = {training: module.trace(training) for training in (False, True)}
module.modes = list(modes.values())
module.__call__ = tf.function(lambda images, training=False: modes[bool(training)](images), autograph=False)
for training in modes:
    module.__call__.get_concrete_function(PHOTOS, training=training)
module.variables = list(module.held)
module.trainable_variables = [v for v in module.variables if v.trainable]
module.regularization_losses = []
tf.saved_model.save(module, str(root / "update_ops"))
