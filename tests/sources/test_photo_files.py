"""A photo is read right, or refused with its name; whatever Pillow raises stays inside."""

import struct
import warnings

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from helpers import photos
from sources import photo_files

RAMP = np.linspace(0, 1, 48).reshape(6, 8)


def put(path, pixels, **given):
    Image.fromarray(pixels).save(path, **given)
    return path


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("a.png", (RAMP * 65535).astype(np.uint16)),
        ("a.tif", (RAMP * 65535).astype(np.uint16)),
        ("big.tif", (RAMP * 65535).astype(">u2")),
        ("a.pgm", (RAMP * 65535).astype(np.uint16)),
        ("a.jp2", (RAMP * 65535).astype(np.uint16)),
    ],
)
def test_sixteen_bits_are_scaled_by_the_range_of_their_type(tmp_path, name, pixels):
    found = photos.read(put(tmp_path / name, pixels))
    np.testing.assert_allclose(found[..., 0], RAMP * 255, atol=1.01)


def test_twelve_bits_in_sixteen_are_scaled_by_what_the_file_says(tmp_path):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[258] = 12
    values = (RAMP * 4095).astype(np.uint16).reshape(-1, 2)
    packed = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in values.tolist())
    entries = [(256, 4, 8), (257, 4, 6), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    entries += [(278, 4, 6), (279, 4, len(packed))]
    table = (
        struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e[:2], 1, e[2]) for e in entries) + bytes(4)
    )
    start = 8 + len(packed)
    (tmp_path / "twelve.tif").write_bytes(b"II*\0" + struct.pack("<I", start) + packed + table)
    np.testing.assert_allclose(photos.read(tmp_path / "twelve.tif")[..., 0], RAMP * 255, atol=1.01)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
@pytest.mark.parametrize("scale", [1, 255, 65535])
def test_thirty_two_bits_without_a_range_are_refused_with_the_cure(tmp_path, kind, scale):
    path = put(tmp_path / "a.tif", (RAMP * scale).astype(kind))
    with pytest.raises(photos.PhotoError, match=r"a\.tif can't be decoded: .*32 bits.*save it with 8 bits.*magick"):
        photos.read(path)
    with pytest.raises(photos.PhotoError, match="32 bits"):
        photo_files.header(path)


@pytest.mark.parametrize(("value", "colour"), [(0, "black"), (5, "black"), (255, "white"), (251, "white")])
@pytest.mark.parametrize("size", [(8, 8), (300, 500)])
def test_a_photo_of_one_colour_is_named(tmp_path, value, colour, size):
    path = put(tmp_path / "cap.png", np.full((*size, 3), value, np.uint8))
    with pytest.warns(UserWarning, match=rf"cap\.png is nearly all {colour}"):
        photos.read(path)
    with pytest.warns(UserWarning, match=rf"cap\.png is nearly all {colour}") as told:
        photo_files.read_all([path] * 9, 16)
    assert len(told) == 1


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_twelve_bits_in_sixteen_of_which_the_file_says_nothing_are_named(tmp_path, name):
    path = put(tmp_path / name, (RAMP * 4095).astype(np.uint16))
    with pytest.warns(UserWarning, match=r"nearly all black \(its largest value is 4095 of 65535\)"):
        photos.read(path)


def test_a_dim_photo_and_a_leaf_on_white_are_not_named(tmp_path):
    leaf = np.full((90, 90, 3), 255, np.uint8)
    leaf[:20, :20] = 90
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        photos.read(put(tmp_path / "leaf.png", leaf))
        photos.read(put(tmp_path / "dim.png", leaf // 20 + 3))


def test_a_png_with_a_text_that_pillow_refuses_is_named(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("p", "x" * 1_100_000, zip=True)
    path = put(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8), pnginfo=info)
    for look in (photos.read, photo_files.header):
        with pytest.raises(photos.PhotoError, match=r"(text|Decompressed) data too large"):
            look(path)


@pytest.mark.parametrize("number", [-1, 0, 2**31])
def test_a_camera_s_note_that_can_not_be_written_again_loses_no_photo(tmp_path, number):
    """BrightnessValue -1/0, as phones write it, with orientation 6."""
    entries = struct.pack("<HHII", 0x0112, 3, 1, 6) + struct.pack("<HHII", 0x9203, 10, 1, 38)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + entries + bytes(4) + struct.pack("<iI", number % 2**31 - 2**31, 0)
    stored = np.zeros((32, 64, 3), np.uint8)
    stored[:, :32] = 255
    path = put(tmp_path / "a.jpg", stored, exif=exif, quality=95)
    for size in (None, 16):
        pixels = photos.read(path, size)
        assert pixels.shape == ((size, size, 3) if size else (64, 32, 3))
        half = len(pixels) // 2
        assert pixels[: half - 2].min() > 200
        assert pixels[half + 2 :].max() < 60


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*" + bytes(99), b"Exif\0\0junk"]
)
def test_a_damaged_note_loses_no_photo(tmp_path, exif):
    path = put(tmp_path / "a.jpg", (RAMP * 255).astype(np.uint8), exif=exif)
    assert photos.read(path).shape == (6, 8, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_every_rotation_is_pillow_s_own(tmp_path, orientation, kind):
    from PIL import ImageOps

    note = Image.Exif()
    note[0x0112] = orientation
    picture = Image.fromarray((np.arange(48 * 32 * 3) % 251).astype(np.uint8).reshape(48, 32, 3))
    picture.save(tmp_path / "a", kind, exif=note)
    with Image.open(tmp_path / "a") as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(photos.read(tmp_path / "a"), expected)


def test_a_photo_that_is_not_there_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(photos.PhotoError, match="not there"):
        photos.read(tmp_path / "none.jpg")
    (tmp_path / "link.jpg").symlink_to("/not/mounted.jpg")
    with pytest.raises(photos.PhotoError, match="a link that leads nowhere"):
        photos.read(tmp_path / "link.jpg")
    with pytest.raises(photos.PhotoError, match="can't be opened"):
        photos.read(tmp_path)


def test_without_pillow_heif_the_other_formats_are_read(monkeypatch):
    import importlib
    import sys

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pillow_heif", None)
        patch.setattr(Image, "OPEN", {name: how for name, how in Image.OPEN.items() if name != "HEIF"})
        spec = importlib.util.find_spec("sources.photo_files")
        fresh = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(fresh)
    assert "HEIF" not in fresh.FORMATS
    assert {"JPEG", "PNG", "WEBP", "TIFF", "AVIF"} <= set(fresh.FORMATS)
