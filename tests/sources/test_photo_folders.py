"""Every entry of a photo folder is loaded, plainly no photo, or named. Situations from public bug reports."""

import io
import os
import shutil
import unicodedata
import warnings

import numpy as np
import pytest
from PIL import Image

from helpers import photos

CLASSES = ("iris", "rose", "viola")
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(99)


def photo(number=0, kind="JPEG", **given):
    """Return a small photo (bytes), another one for each number."""
    pixels, stream = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8), io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **given)
    return stream.getvalue()


@pytest.fixture
def folder(photo_folder):
    """Return a folder of three classes with six photos each, IMG_0000.jpg and on."""
    made = photo_folder(CLASSES, each=6)
    for path in made.glob("*/*.jpg"):
        path.rename(path.with_name(f"IMG_{int(path.stem):04}.jpg"))
    return made


@pytest.fixture(autouse=True)
def no_unseen_warning():
    """A warning that a test does not ask for fails it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def refused(folder):
    with pytest.raises(photos.PhotoError) as raised:
        photos.load(folder)
    return str(raised.value)


def warned(folder, match):
    with pytest.warns(UserWarning, match=match):
        return photos.load(folder)


@pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a.JPG", "a", "a.b.c", "a.png", "a.jpg.txt", "a.dat", "ä 1 .jpg"])
def test_content_decides_what_a_photo_is_and_not_the_suffix(folder, name):
    (folder / "rose" / "IMG_0001.jpg").rename(folder / "rose" / name)
    found = photos.load(folder)
    assert len(found) == 18
    assert name in {path.name for path in found.paths}


@pytest.mark.parametrize("kind", ["AVIF", "MPO", "WEBP", "PNG", "GIF", "BMP", "TIFF", "JPEG2000", "PPM"])
@pytest.mark.parametrize("suffix", [".jpg", ".mpo", ""])
def test_every_format_is_loaded_under_any_name(folder, kind, suffix):
    given = {"save_all": True, "append_images": [Image.new("RGB", (24, 20))]} if kind == "MPO" else {}
    (folder / "rose" / f"other{suffix}").write_bytes(photo(99, kind, **given))
    found = photos.load(folder)
    assert len(found) == 19
    assert photos.faults(found) == {}


@pytest.mark.parametrize("name", ["b.HEIC", "b.heif", "b.jpg", "b"])
def test_heic_is_loaded_where_pillow_heif_is_there(folder, name):
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed here")
    heif.register_heif_opener()
    (folder / "rose" / name).write_bytes(photo(99, "HEIF"))
    found = photos.load(folder)
    assert len(found) == 19
    assert photos.faults(found) == {}


@pytest.mark.parametrize("name", ["b.HEIC", "b.jpg"])
def test_heic_that_can_not_be_read_is_named_with_its_cure(folder, name, monkeypatch):
    monkeypatch.setattr("sources.photo_files.FORMATS", ["JPEG", "PNG"])
    (folder / "rose" / name).write_bytes(HEIC)
    assert f"rose/{name} (a HEIC photo, which is not read here: save it as JPEG" in refused(folder)


@pytest.mark.parametrize(
    "name",
    [
        "Thumbs.db",
        ".DS_Store",
        "desktop.ini",
        "Icon\r",
        "notes.txt",
        "._IMG_0001.jpg",
        "x.XMP",
        "1.jpg:Zone.Identifier",
    ],
)
def test_what_is_plainly_no_photo_is_passed_over(folder, name):
    (folder / "rose" / name).write_bytes(b"\0\x05\x16\x07 no photo")
    assert len(photos.load(folder)) == 18


@pytest.mark.parametrize("name", ["__MACOSX", ".ipynb_checkpoints", "@eaDir", "rose/.cache", "rose/__MACOSX"])
def test_a_system_s_folders_are_passed_over(folder, name):
    shutil.copytree(folder / "iris", folder / name)
    assert len(photos.load(folder)) == 18


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("clip.mp4", MP4, "a video"),
        ("paper.pdf", b"%PDF-1.7", "a PDF"),
        ("more.zip", b"PK\x03\x04", "an archive"),
        ("what", b"\x01\x02\x03", "no photo in a format that is read here"),
        (".hidden.jpg", photo(99), "hidden"),
    ],
)
def test_what_is_left_out_is_named(folder, name, content, told):
    (folder / "rose" / name).write_bytes(content)
    assert len(warned(folder, rf"left out 1 file of no photo format: rose/{name} \({told}")) == 18


def test_of_many_that_are_left_out_five_are_named_and_the_rest_counted(folder):
    for number in range(8):
        (folder / "rose" / f"{number}.mp4").write_bytes(MP4)
    warned(folder, r"left out 8 files .*rose/0\.mp4.*rose/4\.mp4 \(a video[^;]*\); and 3 more")


def test_a_pipe_is_named_and_not_waited_for(folder):
    os.mkfifo(folder / "rose" / "pipe.jpg")
    assert "rose/pipe.jpg (neither a file nor a folder)" in refused(folder)


@pytest.mark.parametrize("below", ["2023", "a/b/c/d"])
def test_photos_in_folders_of_a_class_are_found(folder, below):
    (folder / "rose" / below).mkdir(parents=True)
    for number in range(4):
        name = f"IMG_{number:04}.jpg"
        (folder / "rose" / name).rename(folder / "rose" / below / name)
    found = photos.load(folder)
    assert np.bincount(found.labels).tolist() == [6, 6, 6]


def test_classes_one_level_too_deep_are_said(folder):
    for name in CLASSES:
        (folder / name / "healthy").mkdir()
        for path in folder.glob(f"{name}/*.jpg"):
            path.rename(path.parent / "healthy" / path.name)
    warned(folder, r"all photos are in folders below the class folders.*iris, rose, viola.*move them up")


def test_photos_beside_the_classes_are_named(folder):
    (folder / "loose.jpg").write_bytes(photo(99))
    (folder / "README.md").write_text("my flowers")
    assert len(warned(folder, r"left out 1 photo beside the class folders, of no class: loose\.jpg")) == 18


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("page.jpg", b"<html>", r"1 photo beside the class folders, of no class: page\.jpg"),
        ("a.HEIC", HEIC, r"1 photo beside the class folders, of no class: a\.HEIC"),
        ("rose.zip", b"PK\x03\x04", r"1 file of no photo format: rose\.zip"),
        ("clip.mp4", MP4, r"1 file of no photo format: clip\.mp4"),
    ],
)
def test_what_else_lies_beside_the_classes_is_named(folder, name, content, told):
    (folder / name).write_bytes(content)
    assert len(warned(folder, f"left out {told}")) == 18


@pytest.mark.parametrize("which", ["a photo", "all photos of a class", "a class folder", "in a folder below", "a loop"])
def test_a_link_that_leads_nowhere_is_named(folder, which):
    names = {
        "a photo": ["rose/IMG_0000.jpg"],
        "all photos of a class": [f"rose/IMG_{number:04}.jpg" for number in range(6)],
        "a class folder": ["lily"],
        "in a folder below": ["rose/old"],
        "a loop": ["rose/loop"],
    }[which]
    for name in names:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(folder / name if which == "a loop" else "/not/mounted/here")
    said = refused(folder)
    assert f"{len(names)} link" in said
    assert "to what is not there" in said
    assert names[0] in said


def test_good_links_are_followed_and_a_circle_ends(folder, tmp_path):
    (folder / "rose").rename(tmp_path / "drive")
    (folder / "rose").symlink_to(tmp_path / "drive")
    (tmp_path / "drive" / "again").symlink_to(tmp_path / "drive")
    assert len(photos.load(folder)) == 18


def test_a_whole_set_of_links_to_nowhere_is_no_empty_folder(tmp_path):
    for name in CLASSES:
        (tmp_path / name).symlink_to(f"/not/mounted/{name}")
    assert "3 links to what is not there" in refused(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
@pytest.mark.parametrize("name", ["rose", "rose/IMG_0000.jpg"])
def test_what_may_not_be_read_is_named(folder, name):
    (folder / name).chmod(0)
    assert name in refused(folder)
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    "parts",
    [
        *[("train", "test"), ("train_images", "test_images"), ("Training", "Validation", "Test"), ("fold_1", "fold_2")],
        *[("seg_train", "seg_test"), ("x_train", "y_test"), ("TrainImages", "TestImages"), ("train2017", "val2017")],
        *[("labeled", "unlabeled"), ("images", "masks")],
    ],
)
def test_parts_of_a_split_are_not_taken_for_classes_in_silence(photo_folder, parts):
    folder = photo_folder(parts)
    (folder / "train.csv").write_text("image,label\n")
    found = warned(folder, "every class is named like a part of a split .* A class folder has the name of one class")
    assert len(found) == 3 * len(parts)


@pytest.mark.parametrize("parts", [("test", "train", "val"), ("seg_test/seg_test", "seg_train/seg_train")])
def test_parts_of_a_split_with_the_classes_inside_are_refused(photo_folder, parts):
    folder = photo_folder([f"{part}/{name}" for part in parts for name in CLASSES])
    assert f"The classes lie in {folder}/{parts[0]}: name it, or merge" in refused(folder)


def test_beside_a_part_without_photos_the_split_is_still_said(photo_folder):
    folder = photo_folder(("test_images", "train_images"))
    (folder / "test_tfrecords").mkdir()
    assert "no photo (it is empty)" in (said := refused(folder))
    assert "every class is named like a part of a split" in said


@pytest.mark.parametrize("names", [("x", "y"), ("rose_images", "iris_images"), ("contest", "invalid"), ("test", "oak")])
def test_other_names_are_no_parts_of_a_split(photo_folder, names):
    assert len(photos.load(photo_folder(names))) == 6


def test_one_class_that_is_called_test_is_a_class(photo_folder):
    assert photos.load(photo_folder(("test", "rose"))).class_names == ("rose", "test")


def test_of_several_places_where_the_classes_may_lie_all_are_said(photo_folder):
    folder = photo_folder([f"archive/{part}/{name}" for part in ("test", "train") for name in CLASSES])
    assert f"lie in {folder}/archive/test; {folder}/archive/train: name one of them" in refused(folder)


def test_an_archive_that_was_not_unpacked_is_named(tmp_path):
    (tmp_path / "flowers.zip").write_bytes(b"PK\x03\x04")
    assert "may be in flowers.zip: unpack it" in refused(tmp_path)


@pytest.mark.parametrize("inside", ["flowers", "a/b"])
def test_where_the_classes_lie_is_said(photo_folder, inside):
    folder = photo_folder([f"{inside}/{name}" for name in CLASSES])
    assert f"The classes seem to lie in {folder / inside}: name that folder" in refused(folder)


def test_a_class_folder_itself_is_no_set(folder):
    assert "no class folder" in (said := refused(folder / "rose"))
    assert "name the folder above" in said


def test_a_class_with_a_single_photo_is_named(folder):
    for number in range(1, 6):
        (folder / "rose" / f"IMG_{number:04}.jpg").unlink()
    warned(folder, "a single photo, so that none can be held out, is in rose")


def test_of_many_empty_classes_five_are_named_and_the_rest_counted(folder):
    for number in range(9):
        (folder / f"empty{number}").mkdir()
    said = refused(folder)
    assert "the class 'empty4' has no photo (it is empty); and 4 more. Add photos" in said
    assert "empty5" not in said


@pytest.mark.parametrize("name", [b"\xe9pic", b"rose/\xe9t\xe9.jpg", b"rose/\xe9/a.jpg", b"two\nlines"])
def test_a_name_that_is_no_text_is_refused_with_the_cure(folder, name):
    path = os.path.join(os.fsencode(folder), name)
    os.makedirs(path if b"." not in name else os.path.dirname(path), exist_ok=True)
    target = os.path.join(path, b"a.jpg") if b"." not in name else path
    with open(target, "wb") as file:
        file.write(photo(99))
    said = refused(folder)
    assert "name not in UTF-8" in said
    assert "Rename" in said
    said.encode("utf-8")  # it can be printed


@pytest.mark.parametrize("name", ["牡丹", "गुलाब", "übersät", "a b"])
def test_class_names_of_any_script_are_kept(folder, name):
    (folder / "rose").rename(folder / unicodedata.normalize("NFD", name))
    assert unicodedata.normalize("NFC", name) in photos.load(folder).class_names


def test_class_folders_that_differ_only_in_case_are_named(photo_folder):
    warned(photo_folder(("Rose", "iris", "rose")), "class folders differ only in case: Rose; rose")


def test_two_class_folders_that_look_alike_are_refused(folder):
    for number, form in enumerate(("NFC", "NFD")):
        again = folder / unicodedata.normalize(form, "épi")
        again.mkdir()
        for each in range(2):
            (again / f"{each}.jpg").write_bytes(photo(10 * number + each))
    assert "two class folders have the same name: épi" in refused(folder)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (LFS, "a git-lfs pointer, not the photo itself: run `git lfs pull`"),
        (b"\n <!DOCTYPE html><html>404", "a web page saved as a photo"),
        (b"\xef\xbb\xbf<html lang=en>", "a web page saved as a photo"),
        (b"<?xml version='1.0'?>\n<svg xmlns='x'/>", "an SVG drawing"),
        (b"", "empty file"),
        (bytes(5000), "nothing but zeros"),
        (b"\xff\x0a" + bytes(20), "a JPEG XL photo: save it as JPEG"),
        (b"../.git/annex/objects/xx/SHA256E-s1--2.jpg", "a git-annex pointer"),
        (MP4, "a video"),
        (b"some words", "no photo in a format that is read here"),
    ],
)
def test_what_a_file_called_jpg_really_is_is_said(folder, content, told):
    (folder / "rose" / "IMG_0003.jpg").write_bytes(content)
    assert f"1 file of 18 can't be read as photos: rose/IMG_0003.jpg ({told}" in refused(folder)


def test_a_camera_s_raw_file_is_not_taken_for_its_thumbnail(folder):
    (folder / "rose" / "a.NEF").write_bytes(photo(99, "TIFF"))
    assert "rose/a.NEF (a camera's raw file: save it as JPEG)" in refused(folder)


def test_a_photo_that_only_icloud_has_is_named(folder):
    (folder / "rose" / ".IMG_0009.HEIC.icloud").write_bytes(b"bplist00 and so on")
    assert "rose/.IMG_0009.HEIC.icloud (a placeholder of iCloud, which keeps the photo: download it)" in refused(folder)


def test_a_photo_of_200_megapixels_is_named_with_how_to_shrink_it(folder):
    Image.new("1", (20_000, 10_000)).save(folder / "rose" / "huge.png")
    said = refused(folder)
    assert "rose/huge.png (too large (200 megapixels): shrink it" in said
    assert "-resize 4000x4000" in said


def test_four_photos_in_two_classes_are_named_at_once(folder):
    for number in range(4):
        shutil.copy(folder / "rose" / f"IMG_{number:04}.jpg", folder / "viola" / f"copy{number}.jpg")
    said = refused(folder)
    assert "4 photos in two classes" in said
    assert all(f"viola/copy{number}.jpg" in said for number in range(4))


def test_all_kinds_of_faults_are_in_one_message(folder):
    (folder / "rose" / "page.jpg").write_bytes(b"<html>")
    (folder / "rose" / "gone.jpg").symlink_to("/not/there")
    (folder / "lily").mkdir()
    shutil.copy(folder / "rose" / "IMG_0000.jpg", folder / "viola" / "copy.jpg")
    (folder / "groups.csv").write_text('file,group\nrose/IMG_0000.jpg,"t0\n')
    (folder / "tables.xlsx").write_bytes(b"PK\x03\x04")
    said = refused(folder)
    for part in (
        "'lily'",
        "gone.jpg",
        "page.jpg",
        "two classes",
        "groups.csv, line 2: a quote",
        "tables.xlsx: only table",
    ):
        assert part in said


ROWS = [(f"{name}/IMG_{number:04}.jpg", f"t{number // 3}") for name in CLASSES for number in range(6)]


def listed(
    folder, name="groups.csv", header="file,group", edit=lambda file, group: f"{file},{group}", encoding="utf-8"
):
    text = "\n".join([header, *(edit(*row) for row in ROWS)]) + "\n"
    (folder / name).write_bytes(text.encode(encoding))
    return photos.load(folder).groups.tolist()


@pytest.mark.parametrize(
    "given",
    [
        {"edit": lambda file, group: f"{file},{group}{' ' * file.endswith('0.jpg')}"},
        {"edit": lambda file, group: f" {file} ,\u00a0{group}"},
        {"header": "file;group", "edit": lambda file, group: f"{file};{group}"},
        {"header": "File;Group", "edit": lambda file, group: f"{file};{group}", "encoding": "utf-16"},
        {"header": "file\tgroup", "edit": lambda file, group: f"{file}\t{group}", "encoding": "cp1252"},
        {"header": "GROUP,note,FILE", "edit": lambda file, group: f"{group},,{file}"},
        {"name": "Groups.CSV"},
        {"name": "groups.csv.txt"},
        {"name": "GROUPS.TSV", "header": "file\tgroup", "edit": lambda file, group: f"{file}\t{group}"},
        {"edit": lambda file, group: f"{file.replace('/', chr(92))},{group}"},
        {"edit": lambda file, group: f"./{file},{group}"},
        {"edit": lambda file, group: f"C:\\Users\\me\\F\\{file.replace('/', chr(92))},{group}"},
        {"edit": lambda file, group: f"/home/me/F/{file},{group}"},
        {"edit": lambda file, group: f"{file.replace('IMG', 'img')},{group}"},
    ],
)
def test_a_groups_csv_is_read_however_it_was_saved(folder, given):
    assert listed(folder, **given) == [group for _, group in ROWS]


@pytest.mark.parametrize(("on_disk", "in_table"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_are_compared_in_one_unicode_form(folder, on_disk, in_table):
    (folder / "rose").rename(folder / unicodedata.normalize(on_disk, "röse"))
    text = "".join(f"{file.replace('rose', 'röse')},{group}\n" for file, group in ROWS)
    (folder / "groups.csv").write_text("file,group\n" + unicodedata.normalize(in_table, text))
    assert len(photos.load(folder).groups) == 18


@pytest.mark.parametrize(
    "name",
    [
        *["groups.xlsx", "group.csv", "groups (1).csv", "Copy of groups.csv", "gruops.csv", "my_groups.csv"],
        *["groups", "groups.tab", "group.txt", "groups.json", "groups.csv.bak", "groups.csv~"],
    ],
)
def test_a_table_that_looks_meant_is_never_ignored(folder, name):
    (folder / name).write_text("file,group\n")
    assert f"{name}: only groups.csv is read" in refused(folder)


@pytest.mark.parametrize("name", ["rose/groups.csv", "rose/Table.csv.txt"])
def test_a_table_in_a_class_folder_is_named(folder, name):
    (folder / name).write_text("file,group\n")
    warned(folder, f"tables are read beside the class folders, not in them: {name}")


@pytest.mark.parametrize(
    "name", ["vegetables.csv", "labels.csv", "train.csv", "notes.txt", "left_out.csv", "foods.csv", "tablets.pdf.txt"]
)
def test_another_table_is_no_matter(folder, name):
    (folder / name).write_text("a,b\n")
    assert photos.load(folder).groups is None


def test_two_tables_of_groups_are_one_too_many(folder):
    for name in ("groups.csv", "groups.csv.txt"):
        (folder / name).write_text("file,group\n")
    assert "groups.csv; groups.csv.txt: only groups.csv is read" in refused(folder)


def test_an_older_table_beside_the_right_one_is_named(folder):
    (folder / "groups_old.csv").write_text("file,group\n")
    (folder / "groups.csv").write_text("file,group\n" + "".join(f"{file},{group}\n" for file, group in ROWS))
    warned(folder, r"groups_old\.csv not read: groups\.csv is")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('file,group\nrose/IMG_0000.jpg,"t0\n' + "x" * 140_000, "groups.csv, line 2: a quote is not closed"),
        ("filename,tree\na,b\n", "Columns: filename, tree. The nearest: filename"),
        ("file,group\n" + "".join(f"{file[5:]},{group}\n" for file, group in ROWS), "a file is CLASS/NAME"),
        (b"PK\x03\x04", "a spreadsheet's own format"),
    ],
)
def test_a_fault_of_a_table_names_file_and_line_or_what_is_nearest(folder, text, told):
    (folder / "groups.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert told in refused(folder)


def test_groups_that_differ_only_in_case_are_named(folder):
    rows = "".join(f"{file},{group.upper() if 'rose' in file else group}\n" for file, group in ROWS)
    (folder / "groups.csv").write_text(f"file,group\n{rows}")
    warned(folder, "groups that differ only in case or blanks: t0; t1|t1; t0")


def test_a_table_keeps_the_spelling_of_its_columns(folder):
    (folder / "Table.csv").write_text(
        "File;Energy (kJ);TEXT\n" + "".join(f"{file};1.5;a {n}\n" for n, (file, _) in enumerate(ROWS))
    )
    found = photos.load(folder)
    assert list(found.table) == ["Energy (kJ)"]
    assert found.texts[3] == "a 3"


def test_a_report_names_everything_on_one_screen(folder, capsys):
    (folder / "rose" / "page.jpg").write_bytes(b"<html>")
    (folder / "rose" / "clip.mp4").write_bytes(MP4)
    (folder / "loose.jpg").write_bytes(photo(99))
    broken = folder / "iris" / "IMG_0001.jpg"
    broken.write_bytes(broken.read_bytes()[:-300])
    Image.new("RGB", (20, 20)).save(folder / "viola" / "cap.png")
    faults = photos.report(folder)
    said = capsys.readouterr().out
    assert len(faults) == 2
    assert "19 photos in 3 classes" in said
    for part in (
        "7 viola",
        "page.jpg",
        "clip.mp4",
        "loose.jpg",
        "IMG_0001.jpg",
        "cap.png is nearly all black",
        "not a photo set yet",
    ):
        assert part in " ".join(said.split())
    assert max(map(len, said.splitlines())) <= 100
    assert len(said.splitlines()) < 40


def test_a_report_of_a_folder_without_faults_says_so(folder, capsys):
    assert photos.report(folder) == []
    assert "It can be used as a photo set." in capsys.readouterr().out


def test_a_report_of_no_folder_is_no_traceback(tmp_path, capsys):
    assert len(photos.report(tmp_path / "none")) == 1
    assert "not there" in capsys.readouterr().out


def test_broken_photos_are_all_named_with_the_cure_before_any_training(folder):
    for number in range(3):
        path = folder / "rose" / f"IMG_{number:04}.jpg"
        path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(
        photos.PhotoError, match=r"^3 of 18 photos can't be decoded: .*0000.*0001.*0002.*photos\.readable"
    ):
        photos.pixels(photos.load(folder), 16)
