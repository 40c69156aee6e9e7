"""Two right answers and three wrong ones, or more, to each question: see tests/test_assignments.py."""

ANSWERS = {
    "q1_publish": {
        "right": [
            # a class, traced by calling it once for use and once for training
            """
class Published(tf.train.Checkpoint):
    def __init__(self, backbone):
        super().__init__()
        pool = keras.layers.GlobalAveragePooling2D()
        self.variables = [weight.value for weight in backbone.variables]
        self.trainable_variables = [weight.value for weight in backbone.trainable_variables]
        self.__call__ = tf.function(lambda photos, training=False: pool(backbone(2 * photos - 1, training=training)))


def publish(backbone, folder):
    module, any_photos = Published(backbone), tf.TensorSpec((None, None, None, 3), tf.float32)
    module.__call__.get_concrete_function(any_photos)
    module.__call__.get_concrete_function(any_photos, True)
    tf.saved_model.save(module, folder)
""",
            # a pooled model, the lists layer by layer
            """
def publish(backbone, folder):
    pooled = keras.Model(backbone.inputs, keras.layers.GlobalAveragePooling2D()(backbone.outputs[0]))
    module = tf.__internal__.tracking.AutoTrackable()
    signature = [tf.TensorSpec([None, None, None, 3], tf.float32), tf.TensorSpec([], tf.bool)]

    @tf.function
    def call(photos, training=False):
        return pooled(photos * 2.0 - 1.0, training=training)

    call.get_concrete_function(signature[0], False)
    call.get_concrete_function(signature[0], True)
    module.__call__ = call
    module.variables = [w.value for layer in backbone.layers for w in layer.weights]
    module.trainable_variables = [w.value for layer in backbone.layers for w in layer.trainable_weights]
    tf.saved_model.save(module, folder)
""",
        ],
        "wrong": [
            # model.export: a door for serving, nothing to call
            """
def publish(backbone, folder):
    photos = keras.Input((None, None, 3))
    x = backbone(keras.layers.Rescaling(2.0, offset=-1.0)(photos))
    keras.Model(photos, keras.layers.GlobalAveragePooling2D()(x)).export(folder, verbose=False)
""",
            # under an input signature, so that it can't be called with training=True
            """
class Plain(tf.train.Checkpoint):
    def __init__(self, backbone):
        super().__init__()
        pool = keras.layers.GlobalAveragePooling2D()
        scale = keras.layers.Rescaling(2.0, offset=-1.0)
        self.variables = [tf_variable.value for tf_variable in backbone.variables]
        self.trainable_variables = [tf_variable.value for tf_variable in backbone.trainable_variables]

        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)])
        def vectors(photos):
            return pool(backbone(scale(photos)))

        self.__call__ = vectors


def publish(backbone, folder):
    tf.saved_model.save(Plain(backbone), folder)
""",
            # Keras' own export, again without training=True
            """
def publish(backbone, folder):
    photos = keras.Input((None, None, 3))
    inside = backbone(keras.layers.Rescaling(2.0, offset=-1.0)(photos))
    pooled = keras.layers.GlobalAveragePooling2D()(inside)
    whole = keras.Model(photos, pooled)
    archive = keras.export.ExportArchive()
    archive.track(whole)
    archive.add_endpoint(
        "__call__",
        lambda pictures: whole(pictures, training=False),
        input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)],
    )
    archive.write_out(folder, verbose=False)
""",
            # tf.Module loses the lists
            """
def publish(backbone, folder):
    module = tf.Module()
    module.kept = [weight.value for weight in backbone.variables]

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    def call(photos):
        return tf.reduce_mean(backbone(2 * photos - 1), axis=[1, 2])

    module.__call__ = call
    tf.saved_model.save(module, folder)
""",
            # no preprocessing inside
            """
def publish(backbone, folder):
    module = tf.train.Checkpoint()
    call = tf.function(lambda photos: tf.reduce_mean(backbone(photos), axis=[1, 2]))
    call.get_concrete_function(tf.TensorSpec([None, None, None, 3], tf.float32))
    module.__call__ = call
    module.variables = [weight.value for weight in backbone.variables]
    module.trainable_variables = [weight.value for weight in backbone.trainable_variables]
    tf.saved_model.save(module, folder)
""",
            # the map, not its mean
            """
def publish(backbone, folder):
    module = tf.train.Checkpoint()
    call = tf.function(lambda photos: backbone(2 * photos - 1))
    call.get_concrete_function(tf.TensorSpec([None, None, None, 3], tf.float32))
    module.__call__ = call
    module.variables = [weight.value for weight in backbone.variables]
    module.trainable_variables = [weight.value for weight in backbone.trainable_variables]
    tf.saved_model.save(module, folder)
""",
            # everything trainable, the frozen layer included
            """
def publish(backbone, folder):
    module = tf.train.Checkpoint()
    call = tf.function(lambda photos: tf.reduce_mean(backbone(2 * photos - 1), axis=[1, 2]))
    call.get_concrete_function(tf.TensorSpec([None, None, None, 3], tf.float32))
    module.__call__ = call
    module.variables = [weight.value for weight in backbone.variables]
    module.trainable_variables = module.variables
    tf.saved_model.save(module, folder)
""",
            # one photo of one size
            """
def publish(backbone, folder):
    module = tf.train.Checkpoint()
    call = tf.function(lambda photos: tf.reduce_mean(backbone(2 * photos - 1), axis=[1, 2]))
    call.get_concrete_function(tf.TensorSpec([2, 64, 64, 3], tf.float32))
    module.__call__ = call
    module.variables = [weight.value for weight in backbone.variables]
    module.trainable_variables = [weight.value for weight in backbone.trainable_variables]
    tf.saved_model.save(module, folder)
""",
            # never traced: there is no graph to save
            """
def publish(backbone, folder):
    module = tf.train.Checkpoint()
    module.__call__ = tf.function(lambda photos: tf.reduce_mean(backbone(2 * photos - 1), axis=[1, 2]))
    module.variables = [weight.value for weight in backbone.variables]
    module.trainable_variables = [weight.value for weight in backbone.trainable_variables]
    tf.saved_model.save(module, folder)
""",
            # batch norm in training mode
            """
def publish(backbone, folder):
    module = tf.train.Checkpoint()
    call = tf.function(lambda photos: tf.reduce_mean(backbone(2 * photos - 1, training=True), axis=[1, 2]))
    call.get_concrete_function(tf.TensorSpec([None, None, None, 3], tf.float32))
    module.__call__ = call
    module.variables = [weight.value for weight in backbone.variables]
    module.trainable_variables = [weight.value for weight in backbone.trainable_variables]
    tf.saved_model.save(module, folder)
""",
        ],
    },
    "q2_eight_bits": {
        "right": [
            """
def quantised(values, seen):
    low, high = np.minimum(0, seen.min()), np.maximum(0, seen.max())
    if low == high:
        return np.zeros(values.shape, np.int8), 1.0, 0
    scale = (high - low) / 255
    zero_point = int(np.clip(np.floor(-low / scale + 0.5), 0, 255)) - 128
    grid = (np.arange(-128, 128) - zero_point) * scale
    middles = (grid[1:] + grid[:-1]) / 2
    return (np.searchsorted(middles, values) - 128).astype("int8"), scale, zero_point


def restored(q, scale, zero_point):
    return np.array([(int(each) - zero_point) * scale for each in q.ravel()]).reshape(q.shape)
""",
            """
def quantised(values, seen):
    low, high = tf.minimum(0.0, tf.reduce_min(seen)), tf.maximum(0.0, tf.reduce_max(seen))
    scale = float(tf.maximum((high - low) / 255, 1e-12))
    zero_point = int(tf.clip_by_value(tf.round(-128 - low / scale), -128, 127))
    whole = tf.round(tf.constant(values) / scale) + zero_point
    return tf.cast(tf.clip_by_value(whole, -128, 127), tf.int8).numpy(), scale, zero_point


def restored(q, scale, zero_point):
    return scale * (np.float32(q) - np.float32(zero_point))
""",
        ],
        "wrong": [
            # int8 cannot hold the difference: 100 - (-100) wraps round
            """
def quantised(values, seen):
    low, high = min(0.0, seen.min()), max(0.0, seen.max())
    scale = (high - low) / 255 or 1.0
    zero_point = round(-128 - low / scale)
    return np.clip(np.round(values / scale + zero_point), -128, 127).astype("int8"), scale, zero_point


def restored(q, scale, zero_point):
    return (q - np.int8(zero_point)) * scale
""",
            # not clipped: values outside wrap round
            """
def quantised(values, seen):
    low, high = min(0.0, seen.min()), max(0.0, seen.max())
    scale = (high - low) / 255 or 1.0
    zero_point = round(-128 - low / scale)
    return np.round(values / scale + zero_point).astype("int64").astype("int8"), scale, zero_point


def restored(q, scale, zero_point):
    return (q.astype(float) - zero_point) * scale
""",
            # symmetric: half of the numbers are wasted on activations
            """
def quantised(values, seen):
    scale = np.abs(seen).max() / 127 or 1.0
    return np.clip(np.round(values / scale), -128, 127).astype("int8"), scale, 0


def restored(q, scale, zero_point):
    return (q.astype(float) - zero_point) * scale
""",
            # 0 is not part of the range
            """
def quantised(values, seen):
    low, high = seen.min(), seen.max()
    scale = (high - low) / 255 or 1.0
    zero_point = int(np.clip(round(-128 - low / scale), -128, 127))
    return np.clip(np.round(values / scale + zero_point), -128, 127).astype("int8"), scale, zero_point


def restored(q, scale, zero_point):
    return (q.astype(float) - zero_point) * scale
""",
            # from 0 to 255, into int8
            """
def quantised(values, seen):
    low, high = min(0.0, seen.min()), max(0.0, seen.max())
    scale = (high - low) / 255 or 1.0
    zero_point = round(-low / scale)
    return np.clip(np.round(values / scale + zero_point), 0, 255).astype("uint8").astype("int8"), scale, zero_point


def restored(q, scale, zero_point):
    return (q.astype(float) - zero_point) * scale
""",
            # the range of the values, not of what was seen
            """
def quantised(values, seen):
    low, high = min(0.0, values.min()), max(0.0, values.max())
    scale = (high - low) / 255 or 1.0
    zero_point = round(-128 - low / scale)
    return np.clip(np.round(values / scale + zero_point), -128, 127).astype("int8"), scale, zero_point


def restored(q, scale, zero_point):
    return (q.astype(float) - zero_point) * scale
""",
        ],
    },
    "q3_card": {
        "right": [
            """
def faults(card, module, pictures):
    wrong = []
    for name in ["parent", "photos", "licence", "limits"]:
        text = str(card[name]).strip() if isinstance(card.get(name), str) else "-"
        if text.upper() in ("", "TODO", "TBD", "UNKNOWN", "NONE", "-", "?"):
            wrong.append(name)
    d = np.asarray(module(pictures)).shape[-1]
    if "output" not in card or card["output"] != d:
        wrong.append("output")
    numbers = card.get("accuracy")
    if not isinstance(numbers, (tuple, list)) or len(numbers) != 4:
        wrong.append("accuracy")
    elif not all(isinstance(number, (int, float)) for number in numbers):
        wrong.append("accuracy")
    else:
        value, low, high, n = numbers
        if low < 0 or low > value or value > high or high > 1 or n < 1:
            wrong.append("accuracy")
    return wrong
""",
            """
import re

def says_something(text):
    return isinstance(text, str) and not re.fullmatch(r"\\s*(todo|tbd|unknown|none|-|\\?)?\\s*", text, re.IGNORECASE)


def good_accuracy(row):
    try:
        value, low, high, n = np.array(row).astype("float64") if not isinstance(row, str) else ()
        return all(isinstance(x, int | float) for x in row) and n >= 1 and sorted([0, low, value, high, 1]) == [
            0, low, value, high, 1
        ]
    except (TypeError, ValueError):
        return False


def faults(card, module, pictures):
    width = int(module(pictures[:1]).shape[1])
    checks = {name: says_something(card.get(name)) for name in ("parent", "photos", "licence", "limits")}
    checks["output"] = card.get("output") == width
    checks["accuracy"] = good_accuracy(card.get("accuracy"))
    return {name for name, holds in checks.items() if not holds}
""",
        ],
        "wrong": [
            # is it there? nothing more
            """
def faults(card, module, pictures):
    return {name for name in ("parent", "photos", "licence", "limits", "output", "accuracy") if not card.get(name)}
""",
            # the module's number of photos for the length of its vectors
            """
def faults(card, module, pictures):
    found = set()
    for name in ("parent", "photos", "licence", "limits"):
        text = card.get(name)
        if not isinstance(text, str) or text.strip().lower() in {"", "todo", "tbd", "unknown", "none", "-", "?"}:
            found.add(name)
    if card.get("output") != len(module(pictures)):
        found.add("output")
    try:
        value, low, high, n = card["accuracy"]
        if not (0 <= low <= value <= high <= 1 and n >= 1):
            found.add("accuracy")
    except (KeyError, TypeError, ValueError):
        found.add("accuracy")
    return found
""",
            # breaks on what is no text
            """
def faults(card, module, pictures):
    found = set()
    for name in ("parent", "photos", "licence", "limits"):
        if card.get(name, "").strip().lower() in {"", "todo", "tbd", "unknown", "none", "-", "?"}:
            found.add(name)
    if card.get("output") != module(pictures).shape[1]:
        found.add("output")
    try:
        value, low, high, n = card["accuracy"]
        if not (0 <= low <= value <= high <= 1 and n >= 1):
            found.add("accuracy")
    except (KeyError, TypeError, ValueError):
        found.add("accuracy")
    return found
""",
            # breaks on an accuracy without its interval
            """
def faults(card, module, pictures):
    found = set()
    for name in ("parent", "photos", "licence", "limits"):
        text = card.get(name)
        if not isinstance(text, str) or text.strip().lower() in {"", "todo", "tbd", "unknown", "none", "-", "?"}:
            found.add(name)
    if card.get("output") != module(pictures).shape[1]:
        found.add("output")
    if "accuracy" not in card:
        found.add("accuracy")
    else:
        value, low, high, n = card["accuracy"]
        if not (0 <= low <= value <= high <= 1 and n >= 1):
            found.add("accuracy")
    return found
""",
            # a placeholder anywhere in the text: "unknown plants" is a sentence
            """
def faults(card, module, pictures):
    found = set()
    for name in ("parent", "photos", "licence", "limits"):
        text = card.get(name)
        words = {"todo", "tbd", "unknown", "none", "-", "?"}
        if not isinstance(text, str) or not text.strip() or words & set(text.lower().split()):
            found.add(name)
    if card.get("output") != module(pictures).shape[1]:
        found.add("output")
    try:
        value, low, high, n = card["accuracy"]
        if not (0 <= low <= value <= high <= 1 and n >= 1):
            found.add("accuracy")
    except (KeyError, TypeError, ValueError):
        found.add("accuracy")
    return found
""",
        ],
    },
}
