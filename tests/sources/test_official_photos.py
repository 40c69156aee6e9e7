"""The photo sets of TensorFlow Datasets become folders of photos, whole or not at all; no test reaches a network."""

import io
import sys
import types
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds
from PIL import Image

from helpers import features, photos
from sources import cache

SETS = {"tf_flowers": 30, "plant_village": 300, "beans": 12, "cassava": 30}  # examples, so that no class stays empty


@pytest.fixture(autouse=True)
def official(monkeypatch, packaged_source, tmp_path):
    monkeypatch.setenv("COURSE_SOURCE", "official")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COURSE_OFFLINE", raising=False)


def left_in_the_cache():
    """Return what a build has left (list of str), without the lock files."""
    return [path.name for path in cache.root().rglob("*") if path.suffix != ".lock" and path.name != "photos"]


@pytest.mark.parametrize("name", SETS)
def test_the_catalogue_says_what_tensorflow_datasets_declares(name, tmp_path):
    card = photos.catalogue()[name]
    builder = tfds.builder(name, data_dir=tmp_path)
    assert card["tfds"] == f"{name}:{builder.version}"
    assert card["classes"] == builder.info.features["label"].names
    assert card["size"] == sum(info.size for info in builder.url_infos.values())


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_a_folder_per_class_and_is_built_once(name, mean_module, monkeypatch):
    card = photos.catalogue()[name]
    with tfds.testing.mock_data(num_examples=SETS[name]):
        found = photos.load(name)
    assert len(found) == SETS[name]
    assert list(found.class_names) == card["classes"]
    assert found.labels.dtype == np.int32
    assert set(found.labels) == set(range(len(card["classes"])))
    for path, label in zip(found.paths, found.labels, strict=True):
        assert path.parent.name == f"{label:02d} {card['classes'][label]}"
    assert photos.faults(found) == {}
    assert found.groups is None
    assert found.card == {"name": name, **card}
    assert features.extract(found, mean_module, image_size=16).shape == (len(found), 3)
    built = list(cache.built)
    monkeypatch.setattr(tfds, "builder", lambda *_, **__: pytest.fail("it was asked for again"))
    assert photos.load(name).paths == found.paths
    assert cache.built == built


def jpeg(seed):
    """Return a small photo (bytes), another one for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def served(monkeypatch, tmp_path):
    """Give a function that puts {split: {path in its archive: bytes}} in the place of what beans downloads."""

    def serve(splits):
        for split, files in splits.items():
            with zipfile.ZipFile(tmp_path / f"{split}.zip", "w") as archive:
                for path, content in files.items():
                    archive.writestr(f"{split}/{path}", content)
        monkeypatch.setattr(
            tfds.download.DownloadManager,
            "download",
            lambda self, urls: [tmp_path / url.rsplit("/", 1)[1] for url in urls],
        )

    return serve


def three_splits():
    """Return the files of beans' three splits: three classes of one photo each, no two alike."""
    names = ("angular_leaf_spot", "bean_rust", "healthy")
    return {
        split: {f"{name}/{split}.jpg": jpeg(3 * number + label) for label, name in enumerate(names)}
        for number, split in enumerate(("train", "validation", "test"))
    }


def test_the_splits_are_merged_and_no_byte_is_changed(served):
    splits = three_splits()
    served(splits)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = photos.load("beans")
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for path, label in zip(found.paths, found.labels, strict=True):
        sent = [files[f"{found.class_names[label]}/{split}.jpg"] for split, files in splits.items()]
        assert path.read_bytes() in sent
    assert len({path.read_bytes() for path in found.paths}) == 9


def test_only_the_photos_stay(served):
    served(three_splits())
    photos.load("beans")
    (folder,) = (path for path in (cache.root() / "photos").iterdir() if path.is_dir())
    assert sorted(path.name for path in folder.iterdir()) == ["00 angular_leaf_spot", "01 bean_rust", "02 healthy"]
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".jpg"}


def test_what_would_stop_the_set_is_left_out_and_named(served):
    splits = three_splits()
    splits["test"]["healthy/again.jpg"] = splits["train"]["healthy/train.jpg"]
    splits["test"]["bean_rust/both.jpg"] = splits["train"]["angular_leaf_spot/train.jpg"]
    splits["test"]["bean_rust/broken.jpg"] = b"<html>not found</html>"
    served(splits)
    with pytest.warns(UserWarning, match=r"beans: left out 4 photos .*left_out\.csv") as told:
        found = photos.load("beans")
    for count in ("1 not readable", "1 again in its class", "2 in two classes"):
        assert count in str(told[0].message)
    assert found.labels.tolist() == [0, 0, 1, 1, 1, 2, 2, 2]
    assert splits["train"]["angular_leaf_spot/train.jpg"] not in {path.read_bytes() for path in found.paths}
    listed = (found.paths[0].parents[1] / "left_out.csv").read_text().splitlines()
    assert listed[0] == "file,why"
    assert len(listed) == 5
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert photos.load("beans").paths == found.paths


def test_a_set_s_own_file_names_are_kept(monkeypatch, tmp_path):
    source = tmp_path / "Plant_leave_diseases_dataset_without_augmentation"
    for label, name in enumerate(photos.catalogue()["plant_village"]["classes"]):
        (source / name).mkdir(parents=True)
        (source / name / "image (1).JPG").write_bytes(jpeg(label))
    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", lambda self, url: tmp_path)
    found = photos.load("plant_village")
    assert len(found) == 38
    assert {path.name for path in found.paths} == {"image (1).JPG"}
    for label, name in enumerate(found.class_names):
        assert found.paths[label].read_bytes() == (source / name / "image (1).JPG").read_bytes()


def answers(status, content):
    """Return a stand-in for requests' answer to any address."""

    def get(self, url, **_):
        answer = requests.Response()
        answer.status_code, answer.url, answer.raw = status, url, io.BytesIO(content)
        return answer

    return get


def without_network(self, url, **_):
    raise requests.ConnectionError(f"Failed to resolve the host of {url}")


def by_hand(self, urls):
    raise AssertionError("Manual directory does not exist or is empty. Create it and download")


@pytest.mark.parametrize(
    ("where", "fault", "told"),
    [
        ("requests.Session.get", without_network, "ConnectionError: Failed to resolve"),
        ("requests.Session.get", answers(403, b"go away"), "HTTP code: 403"),
        ("requests.Session.get", answers(200, b"a login page"), "NonMatchingChecksumError.* has wrong checksum"),
        ("tensorflow_datasets.download.DownloadManager.download", by_hand, "Manual directory"),
    ],
    ids=["no network", "refused", "checksum", "by hand"],
)
def test_a_download_that_fails_names_the_cure_and_leaves_nothing(monkeypatch, where, fault, told):
    monkeypatch.setattr(where, fault)
    with pytest.raises(photos.PhotoError, match=f"beans can't be had .*{told}.*name their folder.*unset COURSE_SOURCE"):
        photos.load("beans")
    assert left_in_the_cache() == []


def test_an_interrupt_while_the_photos_are_written_leaves_nothing(monkeypatch, served):
    served(three_splits())
    write = Path.write_bytes

    def interrupted(path, content):
        if path.name == "00005.jpg":
            raise KeyboardInterrupt
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        photos.load("beans")
    assert left_in_the_cache() == []


@pytest.mark.parametrize("name", SETS)
def test_the_packaged_source_refuses_with_the_cure(monkeypatch, name):
    monkeypatch.delenv("COURSE_SOURCE")
    with pytest.raises(photos.PhotoError, match=rf"TensorFlow Datasets. Set COURSE_SOURCE=official.*MB.*\./{name}"):
        photos.load(name)
    assert not cache.root().exists()


@pytest.mark.parametrize("source", ["packaged", "official"])
def test_a_folder_of_that_name_is_the_reader_s_own(monkeypatch, photo_folder, source):
    monkeypatch.setenv("COURSE_SOURCE", source)
    folder = photo_folder()
    folder.rename(folder.with_name("beans"))
    monkeypatch.chdir(folder.parent)
    assert photos.load("./beans").class_names == ("oak", "pine")


def test_where_the_library_is_missing_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    command = r"python3 -m course install --lock official"
    with pytest.raises(photos.PhotoError, match=f"not whole here.*`{command}`"):
        photos.load("beans")
    assert left_in_the_cache() == []
    assert (cache.ROOT / "requirements" / "official.txt").is_file()


def test_offline_nothing_is_asked_for(monkeypatch):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    monkeypatch.setattr(tfds, "builder", lambda *_, **__: pytest.fail("it was asked for"))
    with pytest.raises(photos.PhotoError, match=r"COURSE_OFFLINE forbids.*Unset COURSE_OFFLINE"):
        photos.load("cassava")
    assert left_in_the_cache() == []


def test_a_small_disk_is_said_before_the_download(monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: types.SimpleNamespace(free=5_000_000_000))
    monkeypatch.setattr(tfds, "builder", lambda *_, **__: pytest.fail("it was asked for"))
    with pytest.raises(photos.PhotoError, match=r"needs 5\.4 GB of disk.*set COURSE_CACHE"):
        photos.load("cassava")
