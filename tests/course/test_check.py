"""What a run's parameters name is checked before anything else starts, and all that is wrong is said at once."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from course import check, paths, run
from course.paths import CourseError


def test_a_folder_s_bare_name_is_found_from_where_the_command_is_given(photo_folder, monkeypatch):
    folder = photo_folder()
    folder = folder.rename(folder.with_name("my_leaves"))
    monkeypatch.chdir(folder.parent)
    for given in ("my_leaves", "./my_leaves", str(folder)):
        for name in ("photo_set", "field_set"):
            assert check.parameters({name: given, "seed": 1}) == {name: str(folder), "seed": 1}


def test_a_name_that_python_would_read_as_a_number_stays_a_name(monkeypatch):
    monkeypatch.setattr(run, "_check_parameters", lambda paths, values: None)
    with pytest.raises(CourseError, match=r"^-p photo_set 2023_10: no photo set and no folder is called so"):
        run.run(["04"], [("photo_set", "2023_10"), ("candidates", "['resnet_50']")])


def test_a_set_of_the_catalogue_comes_before_a_folder_of_its_name(photo_folder, monkeypatch):
    folder = photo_folder()
    folder = folder.rename(folder.with_name("flowers"))
    monkeypatch.chdir(folder.parent)
    assert check.parameters({"photo_set": "flowers"}) == {"photo_set": "flowers"}
    assert check.parameters({"photo_set": "./flowers"}) == {"photo_set": str(folder)}


def test_a_module_is_a_name_of_the_catalogue_or_a_folder_in_a_list_too(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "saved_model.pb").touch()
    monkeypatch.chdir(tmp_path)
    given = {"module": "mine", "candidates": ["mobilenet_v2", "mine"]}
    whole = str(tmp_path / "mine")
    assert check.parameters(given) == {"module": whole, "candidates": ["mobilenet_v2", whole]}
    with pytest.raises(CourseError, match=r"-p candidates mobilnet_v2: .* The course's modules are mobilenet_v2, "):
        check.parameters({"candidates": ["mobilenet_v2", "mobilnet_v2"]})


@pytest.mark.parametrize(
    "values", [{}, {"module": "resnet_50"}, {"photo_set": "flowers", "own_photo": ""}, {"seed": 3, "most": None}]
)
def test_what_names_nothing_of_one_s_own_stays_as_it_is(values):
    assert check.parameters(values) == values


def test_every_parameter_of_a_lesson_that_names_photos_or_modules_is_checked():
    import papermill

    named = {name for lesson in paths.lessons() for name in papermill.inspect_notebook(str(lesson))}
    inputs = re.compile("_set$|_photo$|modules?$|candidates|reference")
    assert {name for name in named if inputs.search(name)} == set(check.LOOKS)


def test_all_faults_are_said_at_once(photo_folder, tmp_path):
    folder = photo_folder()
    broken = folder / "oak" / "1.jpg"
    broken.write_bytes(broken.read_bytes()[:-300])
    with pytest.raises(CourseError) as raised:
        check.parameters(
            {"photo_set": str(folder), "field_set": "flowrs", "own_photo": "none.jpg", "own_module": str(tmp_path)}
        )
    lines = str(raised.value).splitlines()
    assert len(lines) == 4
    assert "1 of 6 photos can't be decoded" in lines[0]
    assert "photos.readable" in lines[0]
    assert "-p field_set flowrs: no photo set and no folder is called so. The sets are flowers, " in lines[1]
    assert "is missing: there is no such file" in lines[2]
    assert "no SavedModel folder" in lines[3]


def test_a_class_of_one_photo_is_named_before_training(photo_folder):
    folder = photo_folder()
    for number in (1, 2):
        (folder / "oak" / f"{number}.jpg").unlink()
    with (
        pytest.warns(UserWarning, match="single photo"),
        pytest.raises(CourseError, match="a class needs two photos or more, and these have one: oak"),
    ):
        check.parameters({"photo_set": str(folder)})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "is missing"),
        (b"", "empty file"),
        (b"<html>", "a web page"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "save it as JPEG|damaged"),
        ("link", "a link that leads nowhere"),
        ("folder", "is a folder; name one photo"),
    ],
)
def test_an_own_photo_that_can_not_be_read_is_told_before_anything(tmp_path, monkeypatch, content, told):
    path = tmp_path / "IMG_5195.HEIC"
    if content == "folder":
        path.mkdir()
    elif content == "link":
        path.symlink_to("/not/mounted")
    elif content is not None:
        path.write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CourseError, match=f"-p own_photo ./IMG_5195.HEIC: .*({told})"):
        check.parameters({"own_photo": "./IMG_5195.HEIC"})


def test_an_own_photo_gets_its_whole_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save("a.png")
    assert check.parameters({"own_photo": "a.png"}) == {"own_photo": str(tmp_path / "a.png")}


def test_check_prints_the_screen_and_ends_with_what_to_cure(photo_folder, capsys):
    folder = photo_folder()
    check.check(str(folder), str(folder / "oak" / "0.jpg"))
    assert "It can be used as a photo set.\nYour photo: " in capsys.readouterr().out
    shutil.rmtree(folder / "oak")
    with pytest.raises(CourseError, match="2 to fix first"):
        check.check(str(folder), "none.jpg")
    said = capsys.readouterr().out
    assert "one class, 'pine'" in " ".join(said.split())
    assert "none.jpg is missing" in said
