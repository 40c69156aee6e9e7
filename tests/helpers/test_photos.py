"""Photo sets are checked at the door, and every kind of picture becomes upright RGB."""

import dataclasses
import shutil
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import features, photos
from sources import catalogues, photo_files
from sources.recipes import photo_sets

REAL = Path(__file__).resolve().parents[3] / "shared" / "photos"


def test_the_flowers_are_210_photos_of_ten_species(flowers):
    assert len(flowers) == 210
    assert flowers.class_names == (
        "phlox",
        "rose",
        "calendula",
        "iris",
        "leucanthemum maximum",
        "bellflower",
        "viola",
        "rudbeckia laciniata",
        "peony",
        "aquilegia",
    )
    assert np.bincount(flowers.labels).tolist() == [21, 20, 19, 22, 21, 25, 23, 15, 26, 18]
    assert flowers.labels.dtype == np.int32
    assert flowers.card["name"] == "flowers"
    assert flowers.card["show"] is False  # their licence is not verified
    assert flowers.groups is None


def test_the_bean_leaves_are_six_photos_of_three_conditions():
    leaves = photos.load("bean_leaves")
    assert leaves.class_names == ("angular leaf spot", "bean rust", "healthy")
    assert np.bincount(leaves.labels).tolist() == [2, 2, 2]
    assert photos.read(leaves.paths[0]).shape == (500, 500, 3)


def test_the_catalogue_is_complete():
    for name, card in photos.catalogue().items():
        carried = {"tfds", "size"} if "tfds" in card else {"origins"}
        carried |= {"recipe", "size"} if "recipe" in card else set()
        assert set(card) - {"table", "targets", "folders", "list"} == carried | {
            "classes",
            "photos",
            "target",
            "groups",
            "licence",
            "show",
            "credit",
        }
        assert card["licence"]
        assert card["credit"]
        if "size" not in card:  # those are downloaded when a person asks for them
            assert len(photos.load(name)) == card["photos"]
            assert list(photos.load(name).class_names) == card["classes"]


def test_one_photo_to_ask_about_is_your_own_or_a_dahlia_that_may_be_shown(photo_folder):
    dahlia = photos.single()
    assert (len(dahlia), dahlia.class_names, dahlia.card["show"]) == (1, ("a dahlia",), True)
    assert "CC BY 2.0" in dahlia.card["credit"]
    assert photos.read(dahlia.paths[0]).shape == (427, 640, 3)
    own = photos.single(str(photo_folder() / "oak" / "0.jpg"))
    assert (own.class_names, own.card["show"], own.labels.tolist()) == (("your photo",), False, [0])


@pytest.mark.parametrize("name", ["missing.jpg", ".", "rose.pdf"])
def test_a_photo_that_cant_be_asked_about_is_named(tmp_path, name):
    (tmp_path / "rose.pdf").write_bytes(b"%PDF-1.7")
    with pytest.raises(photos.PhotoError, match=r"can't be decoded: .+"):
        photos.single(tmp_path / name)


def test_a_folder_is_a_set_with_its_folders_as_classes(photo_folder):
    folder = photo_folder(("pine", "oak", "ash"), each=2)
    for named in (folder, str(folder)):
        found = photos.load(named)
        assert found.class_names == ("ash", "oak", "pine")
        assert found.labels.tolist() == [0, 0, 1, 1, 2, 2]
        assert [path.relative_to(folder).as_posix() for path in found.paths[:3]] == [
            "ash/0.jpg",
            "ash/1.jpg",
            "oak/0.jpg",
        ]
        assert found.card["show"] is False  # a reader's own photos are never published unasked


def test_what_is_hidden_and_what_is_no_photo_is_passed_over(photo_folder):
    folder = photo_folder()
    shutil.copytree(folder / "oak", folder / ".ipynb_checkpoints")
    shutil.copytree(folder / "oak", folder / "__MACOSX")
    (folder / "oak" / "notes.txt").write_text("a fine tree")
    (folder / "README.md").write_text("my trees")
    assert len(photos.load(folder)) == 6
    assert photos.load(folder).class_names == ("oak", "pine")


def test_a_suffix_may_be_in_capitals(photo_folder):
    folder = photo_folder()
    (folder / "oak" / "0.jpg").rename(folder / "oak" / "0.JPG")
    assert len(photos.load(folder)) == 6


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(photos.PhotoError, match="no photo set is called 'flowrs': there are flowers, bean_leaves"):
        photos.load("flowrs")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(photos.PhotoError, match="meadow is not there"):
        photos.load(tmp_path / "meadow")


def test_a_file_is_no_folder(photo_folder):
    with pytest.raises(photos.PhotoError, match=r"0\.jpg is a file"):
        photos.load(photo_folder() / "oak" / "0.jpg")


def test_a_folder_without_classes_is_refused(photo_folder):
    with pytest.raises(photos.PhotoError, match="no class folder"):
        photos.load(photo_folder() / "oak")


def test_a_single_class_is_refused(photo_folder):
    with pytest.raises(photos.PhotoError, match="one class, 'oak'"):
        photos.load(photo_folder(("oak",)))


def test_an_empty_class_is_named(photo_folder):
    folder = photo_folder()
    (folder / "beech").mkdir()
    with pytest.raises(photos.PhotoError, match=r"own photos: the class 'beech' has no photo \(it is empty\)"):
        photos.load(folder)


def test_a_class_of_other_files_is_named_with_what_it_holds(photo_folder):
    folder = photo_folder()
    (folder / "beech").mkdir()
    (folder / "beech" / "leaf.heic").write_bytes(b"x")
    with pytest.raises(photos.PhotoError, match=r"class 'beech' .*it holds \.heic"):
        photos.load(folder)


def test_every_file_that_is_no_photo_is_named(photo_folder):
    folder = photo_folder()
    (folder / "oak" / "page.jpg").write_text("<html>not found</html>")
    (folder / "pine" / "nothing.png").touch()
    with pytest.raises(photos.PhotoError, match=r"2 files of 8 .*page\.jpg \(a web page.* .*nothing\.png \(empty file"):
        photos.load(folder)


def test_of_many_names_the_first_are_said_and_the_rest_counted():
    assert photo_files.some(["a", "b"]) == "a; b"
    assert photo_files.some(list("abcdefgh")) == "a; b; c; d; e; and 3 more"


def test_a_photo_too_large_to_be_one_is_named(photo_folder):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    folder = photo_folder()
    (folder / "oak" / "huge.png").write_bytes(bomb)
    with pytest.raises(photos.PhotoError, match=r"huge\.png \(too large \(900 megapixels\): shrink it; .*magick"):
        photos.load(folder)


def test_a_photo_twice_in_its_class_is_left_out_with_a_warning(photo_folder):
    folder = photo_folder()
    shutil.copy(folder / "oak" / "0.jpg", folder / "oak" / "copy.jpg")
    with pytest.warns(UserWarning, match=r"left out 1 photo that their class has twice: oak.copy\.jpg"):
        found = photos.load(folder)
    assert [path.name for path in found.paths[:3]] == ["0.jpg", "1.jpg", "2.jpg"]
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_photo_in_two_classes_is_an_error_that_names_both(photo_folder):
    folder = photo_folder()
    shutil.copy(folder / "oak" / "0.jpg", folder / "pine" / "9.jpg")
    with pytest.raises(photos.PhotoError, match=r"two classes: .*oak.0\.jpg and .*pine.9\.jpg"):
        photos.load(folder)


def test_a_folder_without_faults_gives_no_warning(photo_folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        photos.load(photo_folder())


def test_a_target_is_refused_where_there_is_none(photo_folder):
    with pytest.raises(photos.PhotoError, match="no target 'health' here: a folder's labels are its folders' names"):
        photos.load(photo_folder(), target="health")
    with pytest.raises(photos.PhotoError, match="no target 'health' here: there is species"):
        photos.load("flowers", target="health")
    assert len(photos.load("flowers", target="species")) == 210


NAMES = [f"{tree}/{number}.jpg" for tree in ("oak", "pine") for number in range(3)]


def listing(rows, header="file,group"):
    """Return a groups.csv (str) of rows (list of str)."""
    return "\n".join([header, *rows]) + "\n"


def test_groups_are_read_from_groups_csv_in_any_order(photo_folder):
    folder = photo_folder()
    rows = [f"{name},tree {number // 2}" for number, name in enumerate(NAMES)]
    (folder / "groups.csv").write_text(listing(reversed(rows)))
    found = photos.load(folder)
    assert found.groups.tolist() == ["tree 0", "tree 0", "tree 1", "tree 1", "tree 2", "tree 2"]
    assert found.take([5, 0]).groups.tolist() == ["tree 2", "tree 0"]


def test_groups_csv_may_come_from_a_spreadsheet(photo_folder):
    folder = photo_folder()  # which puts a byte order mark first
    (folder / "groups.csv").write_text(listing([f"{name},g" for name in NAMES]), encoding="utf-8-sig")
    assert photos.load(folder).groups.tolist() == ["g"] * 6


def test_groups_of_a_photo_left_out_as_a_duplicate_do_no_harm(photo_folder):
    folder = photo_folder()
    shutil.copy(folder / "oak" / "0.jpg", folder / "oak" / "copy.jpg")
    (folder / "groups.csv").write_text(listing([f"{name},g" for name in [*NAMES, "oak/copy.jpg"]]))
    with pytest.warns(UserWarning, match="left out 1"):
        assert len(photos.load(folder).groups) == 6


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            listing([f"{name},g" for name in NAMES], "photo,leaf"),
            r"line 1: no column is called file or group\. Columns: photo, leaf",
        ),
        ("", r"groups\.csv, line 1: no column is called file or group.*it is empty"),
        (listing([]), r"groups\.csv has no row for oak/0\.jpg; .*; and 1 more"),
        (listing([f"{name},g" for name in NAMES[:-2]]), r"has no row for pine/1\.jpg; pine/2\.jpg"),
        (listing([f"{name},g" for name in [*NAMES, "elm/0.jpg"]]), r"not there: line 8: elm/0\.jpg"),
        (listing([*(f"{name},g" for name in NAMES[:-1]), NAMES[-1]]), r"line 7: 1 cells .*'pine/2\.jpg'"),
        (listing([*(f"{name},g" for name in NAMES[:-1]), f"{NAMES[-1]},"]), r"names no group for pine/2\.jpg"),
        (listing([*(f"{name},g" for name in NAMES), "oak/0.jpg,h"]), r"two groups for oak/0\.jpg \(g, h\)"),
    ],
    ids=["columns", "empty", "no rows", "missing", "unknown", "short row", "empty group", "two groups"],
)
def test_a_groups_csv_that_does_not_fit_is_refused(photo_folder, text, told):
    folder = photo_folder()
    (folder / "groups.csv").write_text(text)
    with pytest.raises(photos.PhotoError, match=told):
        photos.load(folder)


def test_take_keeps_everything_in_step(photo_folder):
    import pandas

    whole = photos.load(photo_folder())
    whole = dataclasses.replace(
        whole,
        groups=np.array(list("aabbcc")),
        texts=np.array([f"text {n}" for n in range(6)], object),
        table=pandas.DataFrame({"height": range(6)}),
    )
    for rows in ([4, 1], np.array([4, 1])):
        part = whole.take(rows)
        assert part.paths == (whole.paths[4], whole.paths[1])
        assert part.labels.tolist() == [1, 0]
        assert part.groups.tolist() == ["c", "a"]
        assert part.texts.tolist() == ["text 4", "text 1"]
        assert part.table["height"].tolist() == [4, 1]
        assert part.class_names == whole.class_names
    masked = whole.take(whole.labels == 1)
    assert masked.paths == whole.paths[3:]


def test_none_of_a_set_is_an_empty_set(photo_folder):
    assert len(photos.load(photo_folder()).take([])) == 0


def gradient(mode):
    """Return a picture (PIL), 8 wide and 6 high, of a mode that photos come in."""
    return Image.fromarray(np.linspace(0, 255, 144).astype(np.uint8).reshape(6, 8, 3)).convert(mode)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("RGB", ".jpg"),
        ("RGB", ".webp"),
        ("L", ".jpg"),
        ("CMYK", ".jpg"),
        ("CMYK", ".tif"),
        ("RGBA", ".png"),
        ("LA", ".png"),
        ("P", ".png"),
        ("P", ".gif"),
        ("1", ".png"),
        ("RGB", ".bmp"),
    ],
)
def test_every_kind_of_picture_is_read_as_rgb(tmp_path, mode, suffix):
    path = tmp_path / f"photo{suffix}"
    gradient(mode).save(path)
    pixels = photos.read(path)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (6, 8, 3)
    # Dark above, bright below, as it was drawn: an inverted CMYK or a clipped depth would show.
    assert pixels[0].mean() < 100 < 155 < pixels[-1].mean()
    assert photos.read(path, 4).shape == (4, 4, 3)


def test_sixteen_bits_of_grey_are_scaled_and_not_clipped(tmp_path):
    deep = np.linspace(0, 65535, 48).astype(np.uint16).reshape(6, 8)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(photos.read(tmp_path / "deep.png")[..., 0], deep >> 8)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_lies_on_white(tmp_path, mode):
    colours = np.zeros((6, 8, 4), np.uint8)  # black, and the left half transparent
    colours[:, 4:, 3] = 255
    picture = Image.fromarray(colours)
    if mode == "P":
        picture = Image.fromarray(colours[..., 3] // 255).convert("P")
        picture.putpalette([0, 0, 0] * 2)
        picture.save(tmp_path / "cut.png", transparency=0)
    else:
        picture.convert(mode).save(tmp_path / "cut.png")
    pixels = photos.read(tmp_path / "cut.png")
    assert (pixels[:, :4] == 255).all()
    assert (pixels[:, 4:] == 0).all()


@pytest.mark.parametrize("size", [None, 16])
def test_a_photo_taken_with_the_camera_on_its_side_is_upright(tmp_path, size):
    # Orientation 6: the camera was turned clockwise, so what is up in the scene is stored at the left.
    stored = np.zeros((32, 64, 3), np.uint8)
    stored[:, :32] = 255  # the sky
    note = Image.Exif()
    note[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "tree.jpg", exif=note, quality=95)
    pixels = photos.read(tmp_path / "tree.jpg", size)
    height, width = (size, size) if size else (64, 32)
    assert pixels.shape == (height, width, 3)
    assert pixels[: height // 2 - 2].min() > 200
    assert pixels[height // 2 + 2 :].max() < 50


def test_a_large_jpeg_read_small_looks_as_it_does_when_read_whole(tmp_path):
    across = np.linspace(0, 255, 640).astype(np.uint8)
    Image.fromarray(np.repeat(across[None, :, None], 480, 0).repeat(3, 2)).save(tmp_path / "large.jpg", quality=95)
    whole = Image.fromarray(photos.read(tmp_path / "large.jpg")).resize((32, 32), Image.Resampling.BILINEAR)
    small = photos.read(tmp_path / "large.jpg", 32)
    assert np.abs(small.astype(int) - np.asarray(whole).astype(int)).max() <= 3


@pytest.fixture
def one_broken(photo_folder):
    """Return a folder in which one photo ends early: its header is whole, its pixels are not."""
    folder = photo_folder()
    path = folder / "oak" / "1.jpg"
    path.write_bytes(path.read_bytes()[:-300])
    return folder


def test_a_truncated_photo_passes_the_door_and_is_named_when_it_is_decoded(
    one_broken, mean_module, tmp_path, monkeypatch
):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    found = photos.load(one_broken)
    assert len(found) == 6
    with pytest.raises(photos.PhotoError, match=r"1\.jpg can't be decoded"):
        photos.read(found.paths[1])
    with pytest.raises(photos.PhotoError, match=r"1 of 6 photos .*oak.1\.jpg .*photos\.readable"):
        features.extract(found, mean_module, image_size=16)


def test_readable_leaves_the_broken_out_with_a_warning(one_broken, mean_module, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    with pytest.warns(UserWarning, match=r"left out 1 of 6 photos: .*oak.1\.jpg"):
        left = photos.readable(photos.load(one_broken))
    assert left.labels.tolist() == [0, 0, 1, 1, 1]
    assert features.extract(left, mean_module, image_size=16).shape == (5, 3)


def test_readable_gives_a_whole_set_back_as_it_is(photo_folder):
    found = photos.load(photo_folder())
    assert photos.readable(found) is found


@pytest.mark.parametrize(
    "broken",
    [
        "oak",
        "*",
    ],
    ids=["one class", "every class"],
)
def test_readable_says_where_a_class_is_left_empty(photo_folder, broken):
    folder = photo_folder()
    for path in folder.glob(f"{broken}/*.jpg"):
        path.write_bytes(path.read_bytes()[:-300])
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(photos.PhotoError, match="without a readable photo"),
    ):
        photos.readable(photos.load(folder))


def test_one_broken_photo_among_500_is_named_and_left_out_or_refused(tmp_path, mean_module, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    draw = np.random.default_rng(0)
    for number in range(500):
        path = tmp_path / "leaves" / ("healthy" if number % 2 else "rust") / f"{number:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    broken = tmp_path / "leaves" / "healthy" / "321.jpg"
    broken.write_bytes(broken.read_bytes()[:-100])
    found = photos.load(tmp_path / "leaves")
    assert len(found) == 500
    with pytest.raises(photos.PhotoError, match=r"^1 of 500 photos can't be decoded: \S+healthy.321\.jpg can't"):
        features.extract(found, mean_module, image_size=16)
    with pytest.raises(photos.PhotoError, match=r"healthy.321\.jpg can't be decoded"):
        photos.pixels(found, 16)
    with pytest.warns(UserWarning, match=r"left out 1 of 500 photos: \S+healthy.321\.jpg"):
        left = photos.readable(found)
    assert set(found.paths) - set(left.paths) == {broken}
    assert features.extract(left, mean_module, image_size=16).shape == (499, 3)


def test_pixels_are_the_photos_of_a_set_in_its_order(photo_folder):
    found = photos.load(photo_folder(each=20)).take(np.random.default_rng(0).permutation(40))
    pixels = photos.pixels(found, 16)
    assert pixels.shape == (40, 16, 16, 3)
    assert pixels.dtype == np.uint8
    for row, path in enumerate(found.paths):
        np.testing.assert_array_equal(pixels[row], photos.read(path, 16))


def test_at_most_so_many_photos_of_each_class_are_drawn(photo_folder):
    folder = photo_folder(("ash", "oak", "pine"), each=8)
    for number in range(5):
        (folder / "oak" / f"{number}.jpg").unlink()
    found = photos.load(folder)
    few = photos.subsample(found, 4)
    assert few.labels.tolist() == [0] * 4 + [1] * 3 + [2] * 4  # in the set's order
    assert few.class_names == found.class_names
    assert [path for path in found.paths if path in few.paths] == list(few.paths)
    draws = {photos.subsample(found, 4, seed).paths for seed in range(5)}
    assert len(draws) > 1
    assert photos.subsample(found, 4, seed=3).paths == photos.subsample(found, 4, seed=3).paths


def test_a_class_whose_every_group_is_too_large_is_named(photo_folder):
    found = dataclasses.replace(photos.load(photo_folder(each=4)), groups=np.array(list("aaaabbcc")))
    with pytest.raises(photos.PhotoError, match="no group fits into 3 photos per class: oak would be left empty"):
        photos.subsample(found, 3)


@pytest.mark.parametrize("per_class", [None, 3, 100])
def test_a_set_that_is_small_enough_stays_as_it_is(photo_folder, per_class):
    found = photos.load(photo_folder())
    assert photos.subsample(found, per_class) is found


def test_groups_are_drawn_whole(photo_folder):
    found = photos.load(photo_folder(each=20))
    trees = np.array([f"tree {number // 3}" for number in range(40)])  # tree 6 has photos of both classes
    found = dataclasses.replace(found, groups=trees)
    for seed in range(10):
        few = photos.subsample(found, 10, seed)
        sizes = dict(zip(*np.unique(trees, return_counts=True), strict=True))
        assert all(np.sum(few.groups == tree) == sizes[tree] for tree in set(few.groups))
        assert (np.bincount(few.labels) <= 10).all()
        assert (np.bincount(few.labels) >= 8).all()  # no group of three would fit any more


@pytest.mark.skipif(not (REAL / "tf_flowers").is_dir(), reason="shared/photos/tf_flowers is not beside this checkout")
def test_a_real_folder_of_500_flowers_loads():
    found = photos.load(REAL / "tf_flowers")
    assert found.class_names == ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    assert np.bincount(found.labels).tolist() == [100] * 5
    assert photos.read(found.paths[0], 224).shape == (224, 224, 3)


@pytest.mark.skipif(
    not (REAL / "plantvillage_small").is_dir(), reason="shared/photos/plantvillage_small is not beside this checkout"
)
def test_a_real_folder_with_groups_loads_two_photos_of_each_leaf():
    found = photos.load(REAL / "plantvillage_small")
    assert len(found) == 360
    leaves, counts = np.unique(found.groups, return_counts=True)
    assert len(leaves) == 180
    assert set(counts) == {2}
    for leaf in leaves[:20]:  # both photos of a leaf show one condition
        assert len(set(found.labels[found.groups == leaf])) == 1


def test_leaves_has_three_targets_and_its_crops_as_groups():
    leaves = photos.load("leaves")
    assert len(leaves) == 111
    assert dict(zip(leaves.class_names, np.bincount(leaves.labels), strict=True)) == {"diseased": 85, "healthy": 26}
    assert photos.load("leaves", target="crop").class_names == tuple(sorted(set(leaves.groups)))
    assert "Late_blight" in " ".join(photos.load("leaves", target="condition").class_names)
    assert {"sheet", "crop", "condition", "status", "licence", "note"} <= set(leaves.table)
    with pytest.raises(photos.PhotoError, match="health, condition, crop"):
        photos.load("leaves", target="age")


def test_leaf_panels_are_cut_without_frame_or_caption():
    leaves = photos.load("leaves")
    for path in leaves.paths:
        panel = photos.read(path)
        assert min(panel.shape[:2]) > 150
        # what is left of the frame would be a black line; one maize leaf lies on black cloth, which is not quite black
        assert all(edge.max() > 4 for edge in (panel[0], panel[-1], panel[:, 0], panel[:, -1]))


def test_leaf_pairs_stand_in_the_table():
    table = photos.load("leaves").table
    statuses = table.groupby(["crop", "sheet"])["status"].nunique()
    assert (statuses == 2).sum() >= 10  # crops with a healthy and a diseased leaf on one sheet


def test_a_label_file_that_names_a_sheet_that_is_not_there_is_refused(tmp_path, monkeypatch):
    rows = [{"sheet": "oak_disease", "index": "00", "row": "0", "column": "0"}]
    monkeypatch.setattr(catalogues, "rows", lambda name: rows)
    with pytest.raises(ValueError, match=r"data/leaves.csv names sheets that agml 0.7.4 does not hold: oak_disease"):
        photo_sets.leaves(tmp_path, photos.catalogue()["leaves"])
    assert not list(tmp_path.iterdir())
