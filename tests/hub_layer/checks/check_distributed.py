"""Two replicas on one machine: a process of its own with REPLICAS=2, since TensorFlow divides a device at its start."""

import pytest
import tensorflow as tf
from layers import LABELS, PHOTOS, STRINGS, compiled, moved, photo_model, round_trip, text_model, values


@pytest.fixture(scope="module")
def strategy():
    # One for all checks: a second one's sums get the first one's keys, and TensorFlow still holds their shapes.
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize(("build", "inputs"), [(photo_model, PHOTOS), (text_model, STRINGS)], ids=["photos", "text"])
def test_mirrored(build, inputs, trainable, strategy, tmp_path):
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        model, layer = build(trainable)
        compiled(model)
    before = values(layer)
    data = tf.data.Dataset.from_tensor_slices((inputs, LABELS)).batch(6)
    model.fit(data, verbose=0)
    assert moved(layer, before) == [trainable] * len(before)
    model.predict(data.map(lambda x, y: x), verbose=0)
    round_trip(model, inputs, tmp_path)
