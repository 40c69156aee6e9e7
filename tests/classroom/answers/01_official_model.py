"""Two right answers and three wrong ones, or more, to each question: see tests/test_assignments.py."""

ANSWERS = {
    "q1_shape": {
        "right": [
            """
import math

def output_shape(n, image_size, include_top, pooling, classes):
    side = math.ceil(image_size / 32)
    shapes = {True: (classes,), False: (2048,) if pooling is not None else (side, side, 2048)}
    return (n, *shapes[include_top])
""",
            """
def output_shape(n, image_size, include_top, pooling, classes):
    photos = keras.Input((image_size, image_size, 3), batch_size=n)
    if include_top:
        features = keras.layers.Dense(classes)(keras.layers.GlobalAveragePooling2D()(photos))
    else:
        features = photos
        for _ in range(5):
            features = keras.layers.Conv2D(2048, 1, strides=2, padding="same")(features)
        if pooling == "avg":
            features = keras.layers.GlobalAveragePooling2D()(features)
        elif pooling == "max":
            features = keras.layers.GlobalMaxPooling2D()(features)
    return features.shape
""",
        ],
        "wrong": [
            # pooling looked at first: Keras ignores it where there is a top
            """
def output_shape(n, image_size, include_top, pooling, classes):
    if pooling:
        return (n, 2048)
    if include_top:
        return (n, classes)
    return (n, -(-image_size // 32), -(-image_size // 32), 2048)
""",
            # without pooling, the map is taken for a vector
            """
def output_shape(n, image_size, include_top, pooling, classes):
    return (n, classes) if include_top else (n, 2048)
""",
            # rounded down
            """
def output_shape(n, image_size, include_top, pooling, classes):
    if include_top:
        return (n, classes)
    return (n, 2048) if pooling else (n, image_size // 32, image_size // 32, 2048)
""",
            # one photo, as in the lesson
            """
def output_shape(n, image_size, include_top, pooling, classes):
    if include_top:
        return (1, classes)
    return (1, 2048) if pooling else (1, (image_size + 31) // 32, (image_size + 31) // 32, 2048)
""",
        ],
    },
    "q2_prepare": {
        "right": [
            """
import tensorflow as tf

def prepare(pixels, family):
    photos = tf.cast(pixels, tf.float32)
    if family == "ResNet50":
        return tf.reverse(photos, [-1]) - tf.constant([103.939, 116.779, 123.68])
    if family == "MobileNetV2":
        return photos / 127.5 - 1.0
    return photos / 255.0 if family == "Hub" else photos
""",
            """
def prepare(pixels, family):
    apps = keras.applications
    ways = {
        "ResNet50": apps.resnet50.preprocess_input,
        "MobileNetV2": apps.mobilenet_v2.preprocess_input,
        "EfficientNetB0": apps.efficientnet.preprocess_input,
        "Hub": keras.layers.Rescaling(1 / 255),
    }
    return np.asarray(ways[family](pixels.astype("float32").copy()))
""",
        ],
        "wrong": [
            # BGR forgotten
            """
def prepare(pixels, family):
    pixels = pixels.astype("float32")
    if family == "ResNet50":
        return pixels - np.array([103.939, 116.779, 123.68], "float32")
    if family == "MobileNetV2":
        return pixels / 127.5 - 1
    return pixels if family == "EfficientNetB0" else pixels / 255
""",
            # divided by 255 once for all, then again by the family's own function
            """
def prepare(pixels, family):
    pixels = pixels.astype("float32") / 255
    if family == "ResNet50":
        return keras.applications.resnet50.preprocess_input(pixels)
    if family == "MobileNetV2":
        return keras.applications.mobilenet_v2.preprocess_input(pixels)
    return pixels
""",
            # preprocess_input works in place on float32: the caller's photos are changed
            """
def prepare(pixels, family):
    if family == "ResNet50":
        return keras.applications.resnet50.preprocess_input(np.asarray(pixels, "float32"))
    if family == "MobileNetV2":
        return keras.applications.mobilenet_v2.preprocess_input(np.asarray(pixels, "float32"))
    pixels = pixels.astype("float32")
    return pixels if family == "EfficientNetB0" else pixels / 255
""",
            # EfficientNet scaled to 0 to 1, as the Hub's modules are
            """
def prepare(pixels, family):
    pixels = pixels.astype("float32").copy()
    if family == "ResNet50":
        return keras.applications.resnet50.preprocess_input(pixels)
    if family == "MobileNetV2":
        return keras.applications.mobilenet_v2.preprocess_input(pixels)
    return pixels / 255
""",
        ],
    },
    "q3_top": {
        "right": [
            """
import tensorflow as tf

def top_names(outputs, names, k, from_logits=False):
    shares = tf.nn.softmax(outputs) if from_logits else tf.constant(outputs)
    best = tf.math.top_k(shares, k)
    pairs = zip(best.indices.numpy(), best.values.numpy())
    return [[(names[i], p) for i, p in zip(where, values)] for where, values in pairs]
""",
            """
def top_names(outputs, names, k, from_logits=False):
    found = []
    for row in outputs:
        row = [float(x) for x in row]
        if from_logits:
            highest = max(row)
            row = [np.exp(x - highest) for x in row]
            total = sum(row)
            row = [x / total for x in row]
        found.append(sorted(zip(names, row), key=lambda pair: pair[1], reverse=True)[:k])
    return found
""",
        ],
        "wrong": [
            # softmax twice
            """
def top_names(outputs, names, k, from_logits=False):
    shares = np.asarray(keras.ops.softmax(outputs))
    order = np.argsort(shares, axis=1)[:, ::-1][:, :k]
    return [[(names[c], row[c]) for c in best] for row, best in zip(shares, order)]
""",
            # ascending: the least likely of the best comes first
            """
def top_names(outputs, names, k, from_logits=False):
    shares = np.asarray(keras.ops.softmax(outputs)) if from_logits else outputs
    order = np.argsort(shares, axis=1)[:, -k:]
    return [[(names[c], row[c]) for c in best] for row, best in zip(shares, order)]
""",
            # softmax over the photos, not over the classes
            """
def top_names(outputs, names, k, from_logits=False):
    if from_logits:
        outputs = np.exp(outputs - outputs.max()) / np.exp(outputs - outputs.max()).sum(axis=0)
    return [[(names[c], row[c]) for c in np.argsort(row)[::-1][:k]] for row in outputs]
""",
            # overflows: exp(2000) is infinite
            """
def top_names(outputs, names, k, from_logits=False):
    if from_logits:
        with np.errstate(all="ignore"):
            outputs = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    return [[(names[c], row[c]) for c in np.argsort(row)[::-1][:k]] for row in outputs]
""",
        ],
    },
}
