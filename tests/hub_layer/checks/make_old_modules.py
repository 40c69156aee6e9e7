"""Write SavedModels as the exporters of their day did. The checks read old_modules.tar.xz.

It was made once, with TF_USE_LEGACY_KERAS=1, by

    python3.7 make_old_modules.py old/tf1.15 graph                     TensorFlow 1.15.5, tensorflow-hub 0.12.0
    python3.7 make_old_modules.py old/tf1.15 objects                   TensorFlow 1.15.5
    python3.7 make_old_modules.py old/tf2.0 objects optimizer          TensorFlow 2.0.4
    python3.11 make_old_modules.py old/tfkeras2.16 objects optimizer   TensorFlow 2.16.2, tf-keras 2.16.0
    tar --sort=name --owner=0 --group=0 --mtime=2024-01-01 -cJf old_modules.tar.xz -C old .

The old versions need protobuf<3.21 and Python 3.7, which few machines have today.
"""

import os
import sys

import numpy as np
import tensorflow as tf

root, kinds = sys.argv[1], sys.argv[2:]
v1 = tf.compat.v1
if "graph" not in kinds:
    v1.enable_v2_behavior()
os.makedirs(root, exist_ok=True)
random = np.random.RandomState(0)
WORDS = ["a", "red", "flower", "leaf", "has", "spots"]


def at(name):
    return os.path.join(root, name)


def vocabulary():
    """A file would stay where it is: these versions copy it only out of an Asset, which few remembered."""
    keys = tf.lookup.KeyValueTensorInitializer(WORDS, list(range(len(WORDS))), tf.string, tf.int64)
    return v1.lookup.StaticVocabularyTable(keys, 2)


def start(*shape):
    return random.randn(*shape).astype("f")


def write_graphs():
    """TensorFlow 1: simple_save and the Hub format."""
    import tensorflow_hub as hub

    def images(training=False):
        x = v1.placeholder(tf.float32, [None, 4, 4, 3], name="images")
        kernel = v1.get_variable("kernel", initializer=start(3, 4))
        y = v1.layers.batch_normalization(tf.matmul(tf.reduce_mean(x, [1, 2]), kernel), training=training)
        return x, y

    def texts():
        x = v1.placeholder(tf.string, [None], name="texts")
        words = v1.string_split(x)
        ids = tf.SparseTensor(words.indices, vocabulary().lookup(words.values), words.dense_shape)
        embedding = v1.get_variable("embedding", initializer=start(8, 5))
        return x, tf.nn.embedding_lookup_sparse(embedding, ids, None, combiner="sqrtn")

    for name, build in (("simple_save", images), ("simple_save_text", texts)):
        with tf.Graph().as_default(), v1.Session() as session:
            x, y = build()
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            init = v1.tables_initializer()
            v1.saved_model.simple_save(session, at(name), {"inputs": x}, {"features": y}, legacy_init_op=init)

    def module_fn(training):
        x, y = images(training)
        hub.add_signature(inputs=x, outputs=y)

    spec = hub.create_module_spec(module_fn, [(set(), {"training": False}), ({"train"}, {"training": True})])
    with tf.Graph().as_default(), v1.Session() as session:
        module = hub.Module(spec, trainable=True)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        module.export(at("hub_module"), session)


def keras_model():
    keras = tf.keras
    inputs = keras.Input((None, None, 3))
    decay = keras.regularizers.l2(0.01)
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, kernel_regularizer=decay)(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


class Text(tf.train.Checkpoint):
    def __init__(self):
        super().__init__()
        self.table = vocabulary()
        self.embedding = tf.Variable(start(8, 5))
        self.variables = self.trainable_variables = [self.embedding]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts):
        words = tf.strings.split(texts)
        words = words.to_sparse() if hasattr(words, "to_sparse") else words
        ids = tf.SparseTensor(words.indices, self.table.lookup(words.values), words.dense_shape)
        return tf.nn.safe_embedding_lookup_sparse(self.embedding, ids, combiner="sqrtn")


class Reusable(tf.train.Checkpoint):
    """As the guide to reusable SavedModels wrote it in 2019. training=None was traced, too."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(start(3, 4))
        self.gamma, self.beta = tf.Variable(np.ones(4, "f")), tf.Variable(np.zeros(4, "f"))
        self.mean = tf.Variable(np.zeros(4, "f"), trainable=False)
        self.variance = tf.Variable(np.ones(4, "f"), trainable=False)
        self.variables = [self.kernel, self.gamma, self.beta, self.mean, self.variance]
        self.trainable_variables = [self.kernel, self.gamma, self.beta]
        self.regularization_losses = [tf.function(lambda: 0.01 * tf.nn.l2_loss(self.kernel), input_signature=[])]

    @tf.function
    def __call__(self, inputs, training=None):
        x = tf.matmul(tf.reduce_mean(inputs, [1, 2]), self.kernel)
        if training:
            m, v = tf.nn.moments(x, [0])
            self.mean.assign_sub(0.1 * (self.mean - m))
            self.variance.assign_sub(0.1 * (self.variance - v))
        else:
            m, v = self.mean, self.variance
        return tf.nn.batch_normalization(x, m, v, self.beta, self.gamma, 1e-3)


def write_objects():
    """TensorFlow 2, and 1.15 with its behaviour: Keras models and reusable SavedModels."""
    model = keras_model()
    model.save(at("keras_save"), include_optimizer=False, save_format="tf")  # as the model garden exported
    tf.saved_model.save(model, at("keras_tfsave"))
    tf.saved_model.save(Text(), at("text"))
    module = Reusable()
    for training in (None, False, True):
        module.__call__.get_concrete_function(tf.TensorSpec([None, None, None, 3], tf.float32), training=training)
    tf.saved_model.save(module, at("reusable"))


def write_with_optimizer():
    """A model saved after training, with the optimizer's slots, as most users' own SavedModels are."""
    model = keras_model()
    model.compile("adam", "mse")
    model.fit(random.rand(8, 4, 4, 3).astype("f"), random.rand(8, 4).astype("f"), verbose=0)
    model.save(at("keras_optimizer"), save_format="tf")


for kind in kinds:
    {"graph": write_graphs, "objects": write_objects, "optimizer": write_with_optimizer}[kind]()
