"""The photo page is built whole from a model of lesson 04 or 09, or a message says what is missing."""

import json
import shutil
import urllib.request
from threading import Thread

import numpy as np
import pytest

from course import demo, none_of_these, photo_page
from course.paths import CourseError
from helpers import evaluation


@pytest.fixture(autouse=True)
def built_elsewhere(tmp_path, monkeypatch):
    """Put the page into tmp_path, with three files in the place of LiteRT.js and no other photo sets."""
    monkeypatch.setattr(photo_page, "BUILD", tmp_path / "build")
    monkeypatch.setattr(photo_page, "DEMO", tmp_path / "build" / "demo")
    monkeypatch.setattr(photo_page, "OTHERS", ())
    monkeypatch.setattr(demo, "OWN", [tmp_path / "build" / "species", tmp_path / "build" / "phone"])
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def no_runtime(monkeypatch):
    """Leave LiteRT.js, 12 MB of a download, out of the page."""
    monkeypatch.setattr(photo_page, "_copy_runtime", lambda target: target.mkdir())


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return a folder as lesson 04 exports it: a model of oak and pine, by the mean colour of 16 x 16 pixels."""
    import keras

    folder = tmp_path_factory.mktemp("models") / "species"
    colour = [keras.layers.Rescaling(1 / 255), keras.layers.GlobalAveragePooling2D()]
    head = [keras.layers.Normalization(mean=[0.5] * 3, variance=[0.1] * 3), keras.layers.Dense(2, activation="softmax")]
    keras.Sequential([keras.Input((16, 16, 3), dtype="uint8"), *colour, *head]).export(folder, verbose=False)
    (folder / "assets.extra").mkdir()
    about = {"class_names": ["oak", "pine"], "input_size": 16}
    (folder / "assets.extra" / "about.json").write_text(json.dumps(about))
    return folder


@pytest.fixture
def phone(exported, tmp_path):
    """Return a folder as lesson 09 writes it, with the same model."""
    folder = tmp_path / "build" / "phone"
    folder.mkdir(parents=True)
    names, _, content = photo_page._read(exported)
    (folder / "model.tflite").write_bytes(content)
    (folder / "names.txt").write_text("\n".join(names))
    return folder


@pytest.mark.tensorflow
@pytest.mark.usefixtures("no_runtime")
def test_the_page_has_the_model_its_names_and_the_rule(exported, photo_folder):
    from sources import lite_files

    folder = photo_folder(each=5)
    (folder / "credits.csv").write_text("file,photographer\n")
    page = photo_page.build(exported, str(folder))
    about = json.loads((page / "model.json").read_text())
    assert (about["class_names"], about["input_size"]) == (["oak", "pine"], 16)
    assert about["photos"] == {"name": "own photos", "licence": "the reader's own", "credit": "", "credits": True}
    assert (page / "credits.csv").exists()
    assert about["rule"]["false_refusals"]["of"] == 10
    assert np.shape(about["rule"]["means"]) == (2, 3)
    content = (page / "model.tflite").read_bytes()
    pixels = np.full((1, 16, 16, 3), 51, np.uint8)
    assert lite_files.predict(content, pixels).sum() == pytest.approx(1)
    np.testing.assert_allclose(lite_files.predict(content, pixels, output=1), [[0.2] * 3], atol=1e-6)  # the mean colour
    assert {path.name for path in photo_page.WEB.iterdir()} < {path.name for path in page.iterdir()}


@pytest.mark.tensorflow
@pytest.mark.usefixtures("no_runtime")
def test_a_page_that_can_t_be_built_leaves_the_last_one_as_it_is(exported, photo_folder, monkeypatch, capsys):
    page = photo_page.build(exported)
    assert 'The page can\'t say "none of these"' in capsys.readouterr().out
    assert "rule" not in json.loads((page / "model.json").read_text())
    before = {path: path.stat().st_mtime_ns for path in page.rglob("*")}

    def interrupted(target):
        raise KeyboardInterrupt

    monkeypatch.setattr(photo_page, "_copy_runtime", interrupted)
    with pytest.raises(KeyboardInterrupt):
        photo_page.build(exported)
    assert {path: path.stat().st_mtime_ns for path in page.rglob("*")} == before
    assert list(page.parent.iterdir()) == [page]


@pytest.mark.tensorflow
@pytest.mark.usefixtures("no_runtime")
def test_the_newer_of_the_reader_s_models_is_taken(exported, phone, monkeypatch, capsys):
    taken = []
    monkeypatch.setattr(photo_page, "build", lambda model, photo_set: taken.append(model) or phone)
    demo.demo(build_only=True)
    shutil.copytree(exported, phone.parent / "species", copy_function=shutil.copyfile)  # written now
    demo.demo(build_only=True)
    assert [path.name for path in taken] == ["phone", "species"]
    assert "Built " in capsys.readouterr().out


def test_without_a_model_it_says_which_lesson_makes_one():
    with pytest.raises(CourseError, match=r"^there is no model yet. Lesson 04 exports one .* lesson 09 one"):
        demo.demo()


@pytest.mark.tensorflow
def test_what_is_no_model_of_the_lessons_is_told_apart(exported, phone, tmp_path):
    with pytest.raises(
        CourseError, match=r"nowhere.tflite is no model that a page can show: .*nowhere.tflite is missi"
    ):
        photo_page.build(tmp_path / "nowhere.tflite")
    (phone / "names.txt").write_text("oak\npine\nelm")
    with pytest.raises(CourseError, match="gives 2 probabilities for 3 class names"):
        photo_page.build(phone)
    (phone / "names.txt").unlink()
    with pytest.raises(CourseError, match=r"names.txt is missing. It takes the folder that lesson 04 exports"):
        photo_page.build(phone)
    bare = shutil.copytree(exported, tmp_path / "bare", ignore=shutil.ignore_patterns("about.json"))
    with pytest.raises(CourseError, match=r"about.json is missing"):
        photo_page.build(bare)
    (phone / "names.txt").write_text("oak\npine")
    (phone / "model.tflite").write_bytes(b"no model")
    with pytest.raises(CourseError, match="can't be read as a model of lesson 04 or 09"):
        photo_page.build(phone)


@pytest.mark.tensorflow
def test_the_eight_bit_file_is_refused_with_the_cure(phone):
    import tensorflow as tf

    from sources import lite_files

    draw = np.random.default_rng(0).random((8, 16, 16, 3), np.float32)
    model = tf.function(lambda photo: tf.nn.softmax(tf.reduce_mean(photo, [1, 2])[:, :2]))
    (phone / "model.tflite").write_bytes(lite_files.convert(model, 16, int8=True, representative=draw))
    with pytest.raises(CourseError, match="takes uint8; the page needs the float32 file of lesson 09"):
        photo_page.build(phone)
    (phone / "model.tflite").write_bytes(lite_files.convert(model, 16))
    with pytest.raises(ValueError, match="the model does not end in dense layers on a feature vector"):
        photo_page.build(phone)


@pytest.mark.tensorflow
def test_photos_of_other_classes_or_too_few_are_refused(exported, photo_folder):
    folder = photo_folder(("oak", "pine"), each=2)
    with pytest.raises(CourseError, match='"none of these" needs three photos or more of each class'):
        photo_page.build(exported, str(folder))
    (folder / "pine").rename(folder / "elm")
    with pytest.raises(CourseError, match=r"has the classes elm, oak; the model has oak, pine"):
        photo_page.build(exported, str(folder))


def test_the_rule_knows_its_own_kind_and_counts_what_it_gets_wrong():
    draw = np.random.default_rng(0)
    kinds = np.eye(8)[:4] * 5 + 1
    labels = np.repeat(np.arange(4), 50)
    vectors = kinds[labels] + draw.normal(size=(200, 8)) * 0.5
    strangers = np.eye(8)[4:][np.arange(100) % 4] * 5 + 1 + draw.normal(size=(100, 8)) * 0.5
    more = kinds[labels] + draw.normal(size=(200, 8)) * 0.5
    rule = none_of_these.measured(vectors, labels, None, {"strangers": (strangers, None), "more": (more, None)})
    assert rule["false_names"]["strangers"]["count"] == 0
    assert rule["unknown_class_named"]["count"] == 0
    assert 2 <= rule["false_refusals"]["count"] <= 22  # 10 are aimed at
    assert 178 <= rule["false_names"]["more"]["count"] <= 198  # other photos of the classes are refused as often
    wrong = np.arange(200) < rule["false_refusals"]["count"]
    expected = (rule["false_refusals"][key] for key in ("low", "high"))
    assert evaluation.proportion(wrong)[1:] == pytest.approx(tuple(expected), abs=1e-4)


def test_photos_of_one_group_are_never_on_both_sides_of_the_rule():
    draw = np.random.default_rng(0)
    leaf = np.repeat(np.arange(12), 10)  # ten photos of each of twelve leaves, all alike
    vectors = draw.normal(size=(12, 40))[leaf] + draw.normal(size=(120, 40)) * 0.01
    together = none_of_these.measured(vectors, leaf // 6, leaf, {})["least_similarity"]
    assert together < none_of_these.measured(vectors, leaf // 6, None, {})["least_similarity"] - 0.1


def test_it_is_served_with_the_types_that_a_browser_insists_on(tmp_path):
    for name in ("page.html", "a.js", "b.wasm", "model.tflite"):
        (tmp_path / name).write_bytes(b"content")
    with demo.server(tmp_path) as serving:
        Thread(target=serving.serve_forever, daemon=True).start()
        assert serving.server_address[0] == "127.0.0.1"  # this machine alone
        address = f"http://127.0.0.1:{serving.server_port}"
        kinds = {}
        for path in tmp_path.glob("*.*"):
            with urllib.request.urlopen(f"{address}/{path.name}") as answer:
                kinds[path.suffix] = answer.headers.get_content_type()
        serving.shutdown()
    assert kinds[".js"] == "text/javascript"
    assert kinds[".wasm"] == "application/wasm"
    assert kinds[".tflite"] == "application/octet-stream"


def test_a_port_that_is_taken_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_page, "build", lambda model, photo_set: tmp_path)
    with (
        demo.server(tmp_path) as serving,
        pytest.raises(CourseError, match=r"port \d+ can't be used .* Add --port \d+"),
    ):
        demo.demo("model", port=serving.server_port)


def test_a_phone_s_address_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(photo_page, "build", lambda model, photo_set: tmp_path)
    monkeypatch.setattr("http.server.ThreadingHTTPServer.serve_forever", lambda self: None)
    monkeypatch.setattr(demo, "_address", lambda: "192.168.1.5")
    demo.demo("model", local_network=True, port=0)
    assert "On a phone in the same network: http://192.168.1.5:" in capsys.readouterr().out


@pytest.mark.network
def test_the_runtime_comes_out_of_its_packages(tmp_path, monkeypatch):
    from sources import fetch

    monkeypatch.undo()  # the shared cache may have it
    try:
        photo_page._copy_runtime(tmp_path / "litert")
    except fetch.FetchError as error:
        pytest.skip(str(error))
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    page = (photo_page.WEB / "index.html").read_text() + (photo_page.WEB / "name_photo.js").read_text()
    assert {f"litert/core/wasm/litert_wasm_compat_internal.{kind}" for kind in ("js", "wasm")} < there
    for name in there - {"litert/core/wasm/litert_wasm_compat_internal.wasm"}:  # which the .js file loads
        assert name in page
