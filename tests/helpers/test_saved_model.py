"""What is exported is a module: it computes what it was made of, can be trained, and nothing else passes for one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import HubLayer, modules, saved_model

# Keras turns its variables into NumPy arrays in NumPy 1's way, which NumPy 2 remarks on each time.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def doubled(photos):
    return photos * 2 - 1


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).random((3, 32, 32, 3), np.float32)


def network(output=None):
    """Return a small backbone: two convolutions of which one is depthwise, batch norm, average pooling."""
    layers = keras.layers
    photo = keras.Input((None, None, 3))
    maps = layers.Conv2D(4, 3, name="first")(photo)
    maps = layers.BatchNormalization(name="norm")(layers.DepthwiseConv2D(3, name="second")(maps))
    vector = layers.GlobalAveragePooling2D()(maps)
    return keras.Model(photo, output(maps, vector) if output else vector)


@pytest.fixture(scope="module")
def backbone():
    keras.utils.set_random_seed(0)
    return network()


@pytest.fixture(scope="module")
def folder(backbone, tmp_path_factory):
    found = tmp_path_factory.mktemp("modules") / "small"
    saved_model.save_backbone(found, backbone, doubled, l2=0.5)
    return found


def test_an_exported_backbone_gives_its_features_with_its_preprocessing_inside(folder, backbone, pictures):
    expected = backbone.predict(pictures * 2 - 1, verbose=0)
    module = tf.saved_model.load(folder)
    np.testing.assert_allclose(module(pictures), expected, atol=1e-6)
    np.testing.assert_allclose(HubLayer(folder)(pictures), expected, atol=1e-6)
    served = module.signatures["serving_default"](inputs=tf.constant(pictures))
    np.testing.assert_allclose(served["default"], expected, atol=1e-6)
    assert module(pictures[:1, :20, :24]).shape == (1, 4)  # any number of photos, any size


def test_a_module_is_traced_once_for_each_value_of_training(tmp_path, pictures):
    scale, traced = tf.Variable(2.0), []

    def call(inputs, training):
        traced.append(training)
        return tf.reduce_mean(inputs, axis=[1, 2]) * (-scale if training else scale)

    saved_model.save(tmp_path / "scale", call, saved_model.PHOTOS, [scale], [scale])
    assert traced == [False, True]
    module = tf.saved_model.load(tmp_path / "scale")
    np.testing.assert_array_equal(module(pictures), -module(pictures, training=True))
    served = module.signatures["serving_default"](inputs=tf.constant(pictures))
    np.testing.assert_array_equal(module(pictures), served["default"])


def test_a_backbone_on_several_devices_is_saved_as_one(tmp_path, pictures):
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        mirrored = network()
    assert isinstance(mirrored.variables[0].value, tf.distribute.DistributedValues)
    saved_model.save_backbone(tmp_path / "mirrored", mirrored, doubled)
    expected = mirrored.predict(pictures * 2 - 1, verbose=0)
    np.testing.assert_allclose(tf.saved_model.load(tmp_path / "mirrored")(pictures), expected, atol=1e-6)


def test_an_exported_module_lists_its_variables_from_the_input_up(folder, backbone):
    module = tf.saved_model.load(folder)
    assert len(module.variables) == 8
    assert len(module.trainable_variables) == 6
    for kept, own in zip(module.trainable_variables, backbone.trainable_variables, strict=True):
        np.testing.assert_array_equal(kept.numpy(), own.numpy())
    assert [variable.path.split("/")[0] for variable in backbone.trainable_variables[::2]] == [
        "first",
        "second",
        "norm",
    ]


def test_weight_decay_is_on_plain_convolutions_and_follows_the_weights(folder, backbone):
    module = tf.saved_model.load(folder)
    (decay,) = module.regularization_losses
    kernel = backbone.get_layer("first").kernel.numpy()
    assert float(decay()) == pytest.approx(0.5 * (kernel**2).sum() / 2, rel=1e-5)
    module.trainable_variables[0].assign(kernel * 2)
    assert float(decay()) == pytest.approx(0.5 * (kernel**2).sum() * 2, rel=1e-5)


def test_without_weight_decay_there_is_no_loss(backbone, tmp_path):
    saved_model.save_backbone(tmp_path / "plain", backbone, doubled)
    assert len(tf.saved_model.load(tmp_path / "plain").regularization_losses) == 0


def test_both_ways_of_batch_norm_are_in_an_exported_module(folder, pictures):
    module = tf.saved_model.load(folder)
    mean, _ = [v for v in module.variables if "moving" in v.name]
    before = mean.numpy()
    at_rest = module(pictures, training=False).numpy()
    np.testing.assert_array_equal(mean.numpy(), before)
    in_training = module(pictures, training=True).numpy()
    assert np.abs(in_training - at_rest).max() > 1e-3
    assert np.abs(mean.numpy() - before).max() > 0


def test_what_is_frozen_stays_frozen_in_the_module(tmp_path):
    small = network()
    small.get_layer("first").trainable = False
    saved_model.save_backbone(tmp_path / "frozen", small, doubled)
    module = tf.saved_model.load(tmp_path / "frozen")
    assert (len(module.variables), len(module.trainable_variables)) == (8, 4)
    assert len(HubLayer(tmp_path / "frozen", trainable=True).trainable_weights) == 4


def test_the_parent_exported_again_is_the_parent(loaded, flowers, tmp_path):
    from helpers import photos

    backbone = modules.official_model("MobileNetV2", include_top=False, pooling="avg")
    saved_model.save_backbone(tmp_path / "again", backbone, doubled)  # without its decay: tracing that takes longest
    again, parent = tf.saved_model.load(tmp_path / "again"), loaded("mobilenet_v2")
    pictures = photos.pixels(flowers.take([0, 100, 200]), 96).astype("float32") / 255
    np.testing.assert_allclose(again(pictures), parent(pictures), atol=1e-5)
    for part in ("variables", "trainable_variables"):
        assert len(getattr(again, part)) == len(getattr(parent, part)) > 0


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (lambda maps, vector: maps, r"a map \(None, None, None, 4\).*pooling=\"avg\""),
        (lambda maps, vector: {"vector": vector, "maps": maps}, "a dict with the keys maps, vector.*return one"),
        (lambda maps, vector: [vector, maps], "of 2: return one tensor"),
        (lambda maps, vector: keras.layers.Lambda(lambda v: v[:, 0])(vector), r"float32 \(None,\).*one row"),
    ],
    ids=["map", "dict", "list", "number"],
)
def test_what_is_no_feature_vector_is_refused_and_nothing_is_written(output, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        saved_model.save_backbone(tmp_path / "refused", network(output), doubled)
    assert not list(tmp_path.iterdir())


def test_saving_says_nothing_about_this_machines_paths(backbone, tmp_path, caplog, capfd):
    saved_model.save_backbone(tmp_path / "quiet", backbone, doubled)
    assert (tmp_path / "quiet" / "saved_model.pb").exists()
    assert str(tmp_path) not in caplog.text + "".join(capfd.readouterr())
