"""Two right answers and three wrong ones, or more, to each question: see tests/test_assignments.py."""

ANSWERS = {
    "q1_cost": {
        "right": [
            """
import math

def cost(layers, size):
    height, depth, total, work = size, 3, 0, 0
    for layer in layers:
        if layer[0] == "conv":
            _, filters, window, stride = layer
            height = math.ceil(height / stride)
            total += (window * window * depth + 1) * filters
            work += height * height * filters * window * window * depth
            depth = filters
        elif layer[0] == "depthwise":
            _, window, stride = layer
            height = math.ceil(height / stride)
            total += (window * window + 1) * depth
            work += height * height * depth * window * window
        elif layer[0] == "dense":
            total += (depth + 1) * layer[1]
            work += depth * layer[1]
            depth = layer[1]
    return total, work
""",
            """
def cost(layers, size):
    kinds = {"average": keras.layers.GlobalAveragePooling2D, "dense": keras.layers.Dense}
    x = inputs = keras.Input((size, size, 3))
    work = 0
    for kind, *numbers in layers:
        if kind == "conv":
            layer = keras.layers.Conv2D(numbers[0], numbers[1], numbers[2], padding="same")
        elif kind == "depthwise":
            layer = keras.layers.DepthwiseConv2D(numbers[0], numbers[1], padding="same")
        else:
            layer = kinds[kind](*numbers)
        x = layer(x)
        if layer.weights:
            places = np.prod(x.shape[1:-1])  # 1 for a vector
            work += places * np.prod(layer.weights[0].shape)
    return keras.Model(inputs, x).count_params(), work
""",
        ],
        "wrong": [
            # the depthwise convolution counted as a full one
            """
def cost(layers, size):
    channels, total, work = 3, 0, 0
    for kind, *numbers in layers:
        if kind == "average":
            size = 1
            continue
        window, stride = (numbers[-2], numbers[-1]) if kind != "dense" else (1, 1)
        filters = channels if kind == "depthwise" else numbers[0]
        size = -(-size // stride)
        weights = window**2 * channels * filters
        total, work, channels = total + weights + filters, work + size**2 * weights, filters
    return total, work
""",
            # rounded down
            """
def cost(layers, size):
    channels, total, work = 3, 0, 0
    for kind, *numbers in layers:
        if kind == "average":
            size = 1
            continue
        window, stride = (numbers[-2], numbers[-1]) if kind != "dense" else (1, 1)
        filters = channels if kind == "depthwise" else numbers[0]
        size = size // stride
        weights = window**2 * filters * (1 if kind == "depthwise" else channels)
        total, work, channels = total + weights + filters, work + size**2 * weights, filters
    return total, work
""",
            # biases forgotten
            """
def cost(layers, size):
    channels, total, work = 3, 0, 0
    for kind, *numbers in layers:
        if kind == "average":
            size = 1
            continue
        window, stride = (numbers[-2], numbers[-1]) if kind != "dense" else (1, 1)
        filters = channels if kind == "depthwise" else numbers[0]
        size = -(-size // stride)
        weights = window**2 * filters * (1 if kind == "depthwise" else channels)
        total, work, channels = total + weights, work + size**2 * weights, filters
    return total, work
""",
            # the stride is applied after the layer's work was counted
            """
def cost(layers, size):
    channels, total, work = 3, 0, 0
    for kind, *numbers in layers:
        if kind == "average":
            size = 1
            continue
        window, stride = (numbers[-2], numbers[-1]) if kind != "dense" else (1, 1)
        filters = channels if kind == "depthwise" else numbers[0]
        weights = window**2 * filters * (1 if kind == "depthwise" else channels)
        total, work, channels = total + weights + filters, work + size**2 * weights, filters
        size = -(-size // stride)
    return total, work
""",
        ],
    },
    "q2_refuse": {
        "right": [
            """
def train_all(contenders, size, train):
    photos = tf.random.uniform((4, size, size, 3), seed=1)
    bad = []
    for name in contenders:
        try:
            together = contenders[name](photos)
            assert tf.is_tensor(together) or isinstance(together, np.ndarray)
            together = tf.convert_to_tensor(together)
            assert together.dtype.is_floating and together.shape.rank == 2 and together.shape[0] == 4
            assert bool(tf.reduce_all(tf.math.is_finite(together)))
            for row in range(4):
                alone = tf.convert_to_tensor(contenders[name](photos[row : row + 1]))
                assert alone.shape == (1, together.shape[1])
                assert float(tf.reduce_max(tf.abs(alone[0] - together[row]))) < 1e-4
        except Exception:
            bad.append(name)
    if bad:
        raise ValueError("These modules do not give one steady float vector for each photo: " + ", ".join(bad))
    results = {}
    for name in contenders:
        results[name] = train(contenders[name])
    return results
""",
            """
class Misfit(ValueError):
    pass


def vectors(module, batch):
    given = module(tf.constant(batch))
    if type(given) in (dict, list, tuple):
        raise Misfit("several outputs")
    given = np.array(given)
    if given.dtype.kind != "f" or given.shape[:1] != batch.shape[:1] or given.ndim != 2:
        raise Misfit(f"{given.dtype} {given.shape}")
    if np.isnan(given).any() or np.isinf(given).any():
        raise Misfit("no numbers")
    return given


def train_all(contenders, size, train):
    one, other = np.random.default_rng(7).uniform(0, 1, (2, 2, size, size, 3)).astype("float32")
    complaints = []
    for name, module in contenders.items():
        try:
            vectors(module, one[:1])
            mixed = np.stack([one[0], other[1]])
            if not np.allclose(vectors(module, one)[0], vectors(module, mixed)[0], rtol=0, atol=1e-4):
                raise Misfit("depends on the other photos")
        except Exception as error:
            complaints.append(f"{name}: {error}")
    if complaints:
        raise ValueError("\\n".join(complaints))
    return {name: train(module) for name, module in contenders.items()}
""",
        ],
        "wrong": [
            # checked one after the other: the first is trained already
            """
def train_all(contenders, size, train):
    photos, results = tf.random.uniform((3, size, size, 3)), {}
    for name, module in contenders.items():
        try:
            given, alone = module(photos), module(photos[:1])
            fits = given.shape.rank == 2 and given.dtype.is_floating and np.abs(given[0] - alone[0]).max() < 1e-4
        except Exception:
            fits = False
        if not fits:
            raise ValueError(f"{name} does not fit")
        results[name] = train(module)
    return results
""",
            # the first misfit alone is named
            """
def train_all(contenders, size, train):
    photos = tf.random.uniform((3, size, size, 3))
    for name, module in contenders.items():
        try:
            given, alone = module(photos), module(photos[:1])
            given, alone = np.asarray(given), np.asarray(alone)
            fits = given.ndim == 2 and len(given) == 3 and given.dtype.kind == "f" and np.isfinite(given).all()
            fits = fits and np.abs(given[0] - alone[0]).max() < 1e-4
        except Exception:
            fits = False
        if not fits:
            raise ValueError(f"{name} does not fit")
    return {name: train(module) for name, module in contenders.items()}
""",
            # the shape alone
            """
def train_all(contenders, size, train):
    photos, bad = np.zeros((2, size, size, 3), "float32"), []
    for name, module in contenders.items():
        try:
            given = module(photos)
            if isinstance(given, dict | tuple | list) or given.ndim != 2 or len(given) != 2:
                bad.append(name)
        except Exception:
            bad.append(name)
    if bad:
        raise ValueError(f"no vectors: {bad}")
    return {name: train(module) for name, module in contenders.items()}
""",
            # a module that raises ends the check
            """
def train_all(contenders, size, train):
    photos, bad = tf.random.uniform((3, size, size, 3)), []
    for name, module in contenders.items():
        given = module(photos)
        if isinstance(given, dict | tuple | list):
            bad.append(name)
            continue
        given, alone = np.asarray(given), np.asarray(module(photos[:1]))
        fits = given.ndim == 2 and len(given) == 3 and given.dtype.kind == "f" and np.isfinite(given).all()
        if not fits or np.abs(given[0] - alone[0]).max() > 1e-4:
            bad.append(name)
    if bad:
        raise ValueError(f"no vectors: {bad}")
    return {name: train(module) for name, module in contenders.items()}
""",
            # one photo: whatever mixes photos looks fine
            """
def train_all(contenders, size, train):
    photo, bad = tf.random.uniform((1, size, size, 3)), []
    for name, module in contenders.items():
        try:
            given = module(photo)
            fits = not isinstance(given, dict | tuple | list)
            given = np.asarray(given)
            fits = fits and given.ndim == 2 and len(given) == 1 and given.dtype.kind == "f" and np.isfinite(given).all()
        except Exception:
            fits = False
        if not fits:
            bad.append(name)
    if bad:
        raise ValueError(f"no vectors: {bad}")
    return {name: train(module) for name, module in contenders.items()}
""",
        ],
    },
    "q3_choose": {
        "right": [
            """
def cheapest(right, costs, margin, reference):
    for name in sorted(right, key=lambda name: costs[name]):
        lost = int((right[reference] & ~right[name]).sum())
        gained = int((right[name] & ~right[reference]).sum())
        n = len(right[reference])
        difference = (gained - lost) / n
        spread = np.sqrt((gained + lost) / n - difference**2) / np.sqrt(n)
        if name == reference or difference - 1.96 * spread > -margin:
            return name
""",
            """
def cheapest(right, costs, margin, reference):
    names = list(right)
    table = np.stack([right[name] for name in names]).astype("float64")
    n = table.shape[1]
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=3000)
    differences = np.sort(counts @ (table - right[reference]).T / n, axis=0)
    lows = differences[int(0.025 * 3000)]
    fits = [i for i in range(len(names)) if lows[i] > -margin or names[i] == reference]
    return names[fits[np.argmin([costs[names[i]] for i in fits])]]
""",
            # lesson 04's interval
            """
from scipy import stats

def cheapest(right, costs, margin, reference):
    fits = [reference]
    for name in right:
        gain = right[name].astype(float) - right[reference]
        error = np.sqrt(((gain - gain.mean()) ** 2).sum() + 2) / len(gain)
        if gain.mean() - stats.t.ppf(0.975, len(gain) - 1) * error > -margin:
            fits.append(name)
    return min(fits, key=costs.get)
""",
        ],
        "wrong": [
            # the difference itself, without an interval
            """
def cheapest(right, costs, margin, reference):
    return min((name for name in right if right[name].mean() >= right[reference].mean() - margin), key=costs.get)
""",
            # the lenient reading: the interval reaches above minus the margin
            """
def cheapest(right, costs, margin, reference):
    draws = np.random.default_rng(0).integers(len(right[reference]), size=(2000, len(right[reference])))
    fits = [reference]
    for name in right:
        difference = right[name].astype(float) - right[reference]
        if np.percentile(difference[draws].mean(axis=1), 97.5) >= -margin:
            fits.append(name)
    return min(fits, key=costs.get)
""",
            # each drawn for itself: not paired
            """
def cheapest(right, costs, margin, reference):
    rng = np.random.default_rng(0)
    fits = [reference]
    for name in right:
        n = len(right[name])
        own = right[name][rng.integers(n, size=(2000, n))].mean(axis=1)
        other = right[reference][rng.integers(n, size=(2000, n))].mean(axis=1)
        if np.percentile(own - other, 2.5) > -margin:
            fits.append(name)
    return min(fits, key=costs.get)
""",
            # compared with the dearest, which need not be the reference
            """
def cheapest(right, costs, margin, reference):
    dearest = max(costs, key=costs.get)
    draws = np.random.default_rng(0).integers(len(right[dearest]), size=(2000, len(right[dearest])))
    fits = [dearest]
    for name in right:
        difference = right[name].astype(float) - right[dearest]
        if np.percentile(difference[draws].mean(axis=1), 2.5) > -margin:
            fits.append(name)
    return min(fits, key=costs.get)
""",
            # the most accurate of those that qualify
            """
def cheapest(right, costs, margin, reference):
    draws = np.random.default_rng(0).integers(len(right[reference]), size=(2000, len(right[reference])))
    fits = [reference]
    for name in right:
        difference = right[name].astype(float) - right[reference]
        if np.percentile(difference[draws].mean(axis=1), 2.5) > -margin:
            fits.append(name)
    return max(fits, key=lambda name: right[name].mean())
""",
        ],
    },
}
