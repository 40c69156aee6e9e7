"""A LiteRT file says what its model says: exactly in float32, nearly in int8; what can't be converted is said so."""

import keras
import numpy as np
import pytest

from helpers import lite

# Keras turns its variables into NumPy arrays in NumPy 1's way, which NumPy 2 remarks on each time.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SIZE = 16


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (12, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model():
    """A small classifier of photos in [0, 1] whose answers differ from photo to photo."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    start = keras.initializers.RandomNormal(stddev=2.0)
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(4, activation="softmax", kernel_initializer=start),
        ]
    )


@pytest.fixture(scope="module")
def said(model, pixels):
    shares = model.predict(pixels / 255, verbose=0)
    assert len(set(shares.argmax(axis=1))) > 1
    return shares


@pytest.fixture(scope="module")
def files(model, pixels):
    return {
        "float32": lite.convert(model, SIZE),
        "int8": lite.convert(model, SIZE, int8=True, representative=pixels / 255),
    }


def test_float32_says_what_the_model_says(files, pixels, said):
    shares = lite.predict(files["float32"], pixels)
    assert (shares.dtype, shares.shape) == (np.float32, (12, 4))
    np.testing.assert_allclose(shares, said, atol=1e-4)


def test_int8_says_nearly_the_same_and_is_smaller(files, pixels, said):
    shares = lite.predict(files["int8"], pixels)
    assert shares.dtype == np.float32
    difference = np.abs(shares - said)
    assert difference.max() > 1e-4
    assert difference.mean() < 0.1
    assert shares.min() >= 0
    assert len(files["int8"]) < len(files["float32"])


def test_int8_is_whole_numbers_from_end_to_end(files):
    run = lite.interpreter(files["int8"])
    assert {run.get_input_details()[0]["dtype"], run.get_output_details()[0]["dtype"]} == {np.uint8}
    kinds = {details["dtype"] for details in run.get_tensor_details()}
    assert np.float32 not in kinds
    assert np.int8 in kinds


def test_a_function_can_be_converted_too(model, pixels, said):
    content = lite.convert(lambda photos: 1 - model(photos), SIZE)
    np.testing.assert_allclose(lite.predict(content, pixels), 1 - said, atol=1e-4)


def test_conversion_and_use_say_nothing(model, pixels, recwarn, capsys):
    content = lite.convert(model, SIZE, int8=True, representative=pixels / 255)
    lite.predict(content, pixels[:1])
    assert not [warning for warning in recwarn if "LiteRT" in str(warning.message) or "lite" in warning.filename]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("photos", [None, np.empty((0, SIZE, SIZE, 3))], ids=["none", "empty"])
def test_int8_without_representative_photos_is_refused_before_any_work(photos):
    def never(photos):
        raise AssertionError("the model was touched")

    with pytest.raises(ValueError, match=r"int8 needs representative photos.*training photos"):
        lite.convert(never, SIZE, int8=True, representative=photos)


def test_representative_photos_of_another_size_or_scale_are_refused(model, pixels):
    with pytest.raises(ValueError, match=r"are \[n, 16, 16, 3\]; these are \(12, 8, 16, 3\)"):
        lite.convert(model, SIZE, int8=True, representative=pixels[:, :8] / 255)
    with pytest.raises(ValueError, match="divide pixels by 255"):
        lite.convert(model, SIZE, int8=True, representative=pixels)


def test_photos_of_another_kind_or_size_are_refused(files, pixels):
    for photos in (pixels / 255, pixels[:, :8]):
        with pytest.raises(ValueError, match="takes uint8 photos of 16x16x3; these are"):
            lite.predict(files["float32"], photos)
