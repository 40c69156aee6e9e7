"""Two right answers and three wrong ones, or more, to each question: see tests/test_assignments.py."""

ANSWERS = {
    "q1_mend": {
        "right": [
            """
def on_module(module, head, image_size=224):
    return keras.Sequential(
        [
            keras.Input((image_size, image_size, 3), dtype="uint8"),
            keras.layers.Rescaling(1.0 / 255),
            HubLayer(module),
            head,
        ]
    )
""",
            """
class OnModule(keras.Model):
    def __init__(self, module, head):
        super().__init__()
        self.layer, self.head = HubLayer(module, trainable=True), head
        self.layer.trainable = False

    def call(self, pixels):
        return self.head(self.layer(tf.cast(pixels, tf.float32) / 255.0))


def on_module(module, head, image_size=224):
    model = OnModule(module, head)
    model.build((None, image_size, image_size, 3))
    return model
""",
        ],
        "wrong": [
            # the module is trained, too
            """
def on_module(module, head, image_size=224):
    pixels = keras.Input((image_size, image_size, 3))
    return keras.Model(pixels, head(HubLayer(module, trainable=True)(keras.layers.Rescaling(1 / 255)(pixels))))
""",
            # MobileNetV2's own preprocessing: a Hub module does it inside
            """
def on_module(module, head, image_size=224):
    pixels = keras.Input((image_size, image_size, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    return keras.Model(pixels, head(HubLayer(module)(scaled)))
""",
            # everything frozen, the head included
            """
def on_module(module, head, image_size=224):
    pixels = keras.Input((image_size, image_size, 3))
    model = keras.Model(pixels, head(HubLayer(module)(keras.layers.Rescaling(1 / 255)(pixels))))
    model.trainable = False
    return model
""",
            # a head of one's own
            """
def on_module(module, head, image_size=224):
    return keras.Sequential(
        [
            keras.Input((image_size, image_size, 3)),
            keras.layers.Rescaling(1 / 255),
            HubLayer(module),
            keras.layers.Dense(head.output_shape[-1], activation="softmax"),
        ]
    )
""",
        ],
    },
    "q2_count": {
        "right": [
            """
def parameters(model):
    trainable = 0
    for weight in model.trainable_weights:
        trainable += weight.numpy().size
    return trainable, model.count_params() - trainable
""",
            """
import math

def parameters(model):
    counts = {True: 0, False: 0}
    moved = {id(weight) for weight in model.trainable_variables}
    for weight in model.weights:
        counts[id(weight) in moved] += math.prod(weight.shape)
    return [counts[True], counts[False]]
""",
        ],
        "wrong": [
            # weight arrays, not parameters
            """
def parameters(model):
    return len(model.trainable_weights), len(model.non_trainable_weights)
""",
            # layer by layer: moving statistics and what is frozen inside a model are missed
            """
def parameters(model):
    trainable = sum(layer.count_params() for layer in model.layers if layer.trainable)
    return trainable, model.count_params() - trainable
""",
            # all of them in place of the frozen ones
            """
def parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights), model.count_params()
""",
        ],
    },
    "q3_gradient": {
        "right": [
            """
def pixels_reached(model, pictures, unit):
    shares = []
    for picture in pictures:
        one = tf.Variable(picture[np.newaxis], dtype=tf.float32)
        with tf.GradientTape() as tape:
            answer = model(one)[0, unit]
        gradient = tape.gradient(answer, one)
        if gradient is None:
            shares.append(0.0)
            continue
        gradient = tf.convert_to_tensor(gradient).numpy()[0]
        shares.append(np.abs(gradient).sum(axis=-1).astype(bool).mean())
    return shares
""",
            """
def pixels_reached(model, pictures, unit):
    pictures = tf.convert_to_tensor(pictures)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(pictures)
        answers = tf.gather(model(pictures), unit, axis=1)
    gradient = tape.gradient(answers, pictures)
    if gradient is None:
        return np.zeros(len(pictures))
    touched = tf.math.count_nonzero(gradient, axis=3) > 0
    return tf.reduce_mean(tf.cast(touched, tf.float32), axis=[1, 2])
""",
        ],
        "wrong": [
            # the tape is not told to watch the pictures
            """
def pixels_reached(model, pictures, unit):
    pictures = tf.constant(pictures)
    with tf.GradientTape() as tape:
        answers = model(pictures)[:, unit]
    gradient = tape.gradient(answers, pictures, unconnected_gradients="zero")
    return tf.reduce_any(gradient != 0, axis=-1).numpy().mean(axis=(1, 2))
""",
            # numbers are counted, not pixels
            """
def pixels_reached(model, pictures, unit):
    pictures = tf.constant(pictures)
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        answers = model(pictures)[:, unit]
    gradient = tape.gradient(answers, pictures, unconnected_gradients="zero")
    return (gradient.numpy() != 0).mean(axis=(1, 2, 3))
""",
            # channels are added up: opposite signs cancel
            """
def pixels_reached(model, pictures, unit):
    pictures = tf.constant(pictures)
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        answers = model(pictures)[:, unit]
    gradient = tape.gradient(answers, pictures, unconnected_gradients="zero")
    return (gradient.numpy().sum(axis=-1) > 0).mean(axis=(1, 2))
""",
            # one share for the whole batch
            """
def pixels_reached(model, pictures, unit):
    pictures = tf.constant(pictures)
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        answers = model(pictures)[:, unit]
    gradient = tape.gradient(answers, pictures, unconnected_gradients="zero")
    return tf.reduce_mean(tf.cast(tf.reduce_any(gradient != 0, axis=-1), tf.float32))
""",
        ],
    },
}
