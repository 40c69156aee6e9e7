"""The cluster job: what it refuses, in one message and with nothing written, and what it gives on this machine."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import features
from helpers.photos import PhotoSet
from sources.cache import ROOT

job = pytest.importorskip("scale.job", reason="ray isn't here: `python -m course install --lock scale`")

pytestmark = pytest.mark.tensorflow  # prepared modules


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    """Let a test that would start Ray or connect to a cluster fail, unless it says so itself."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(job.ray, "init", lambda *_, **__: pytest.fail("Ray was started"))


def refused(*arguments):
    """Run the command in this process and return its one message."""
    with pytest.raises(SystemExit) as ended:
        job.main([str(each) for each in arguments])
    assert "\n" not in ended.value.code
    return ended.value.code


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("file,label\na.jpg,rose\n", "has no column path; it has file, label"),
        ("path\n", "has no rows"),
        ("", "can't be read as a table"),
        ("path\na.jpg\nb.jpg\na.jpg\n", "1 rows that are empty or name a photo again, such as row 4"),
        ("path,label\na.jpg,rose\n,iris\n", "such as row 3"),
    ],
    ids=["no column", "no rows", "empty file", "twice", "no path"],
)
def test_a_table_that_is_none_of_photos_is_refused(tmp_path, content, said):
    (tmp_path / "photos.csv").write_text(content)
    assert said in refused("features", tmp_path / "photos.csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_that_is_not_there_is_refused(tmp_path):
    assert "can't be read as a table" in refused("features", tmp_path / "photos.csv", tmp_path / "out")


def test_paths_that_look_like_numbers_or_like_nothing_stay_text(tmp_path):
    (tmp_path / "photos.csv").write_text("path\n007\nNA\n1e5\n")
    assert job.read_table(tmp_path / "photos.csv") == ["007", "NA", "1e5"]


ABOUT = {"job": "features", "table": "aa", "model": "mobilenet_v2-1", "size": 224, "pillow": "12.0.0"}


@pytest.mark.parametrize(
    ("key", "value"),
    [("job", "predictions"), ("table", "bb"), ("model", "resnet_50-1"), ("size", 96), ("pillow", "11")],
)
def test_a_folder_of_another_job_is_refused_and_stays_as_it_is(tmp_path, key, value):
    job.write(tmp_path / "job.json", ABOUT)
    job.check_folder(tmp_path, ABOUT)
    with pytest.raises(job.JobError, match=rf"belongs to another job \({key} {ABOUT[key]} there, {value} now\)"):
        job.check_folder(tmp_path, ABOUT | {key: value})
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def test_a_folder_that_no_job_wrote_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(job.JobError, match="is not empty, and no job wrote it"):
        job.check_folder(tmp_path, ABOUT)


def test_where_no_cluster_answers_the_address_is_named(tmp_path, table):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # nobody listens there
        address = f"127.0.0.1:{free.getsockname()[1]}"
        said = refused("features", table, tmp_path / "out", "--address", address)
    assert f"no Ray cluster answers at {address}" in said
    assert "ray start --head" in said
    assert not (tmp_path / "out").exists()
    assert "no Ray cluster answers at nonsense" in refused("features", table, tmp_path / "out", "--address", "nonsense")


def test_a_node_with_another_pillow_or_without_the_files_is_named():
    here = {"pillow": "12.0.0", "ai-edge-litert": "2.1.0"}
    assert job.node_faults(["10.0.0.1"], [(here, [])], here) == []
    other = [(here, []), (here | {"pillow": "11.3.0"}, ["/cache/model.tflite"])]
    version, file = job.node_faults(["10.0.0.1", "10.0.0.2"], other, here)
    assert version.startswith("node 10.0.0.2 has pillow 11.3.0, this machine 12.0.0")
    assert file.startswith("node 10.0.0.2 doesn't see /cache/model.tflite")


def test_a_module_of_texts_and_a_folder_without_a_model_are_refused(tmp_path, table):
    assert "reads text" in refused("features", table, tmp_path / "out", "--model", "text_encoder")
    assert "has no model.tflite" in refused("predictions", table, tmp_path / "out", "--model", tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def done(tmp_path_factory, table):
    """Return the folder of a job that ran on this machine, as its own process."""
    out = tmp_path_factory.mktemp("job") / "out"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    command = [sys.executable, "-m", "scale.job", "features", str(table), str(out)]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert "42 photos, 2 of them bad" in ran.stdout
    return out


def test_each_photo_is_there_once_with_the_vector_of_features_extract(done):
    found = pd.read_parquet(done / "photos")
    assert len(found) == found["path"].nunique() == 42
    rows = found[found["result"] == "done"]
    used = PhotoSet(tuple(map(Path, rows["path"])), np.zeros(len(rows), np.int32), ("flower",))
    vectors = np.stack(rows["features"])
    assert np.abs(vectors - features.extract(used, "mobilenet_v2")).max() <= 1e-5
    assert vectors.std(axis=0).max() > 0.1  # with random weights they would all be nearly alike


def test_a_bad_photo_is_there_with_its_reason_alone(done):
    found = pd.read_parquet(done / "photos")
    bad = found[found["result"] == "bad"].set_index("path")
    assert bad["reason"].to_dict() == {
        "empty.jpg": "empty file: get it again.",
        "page.jpg": "a web page saved as a photo: download the photo itself.",
    }
    assert bad["features"].isna().all()


def test_what_made_the_result_is_beside_it_and_nothing_of_the_run_is_left(done):
    told = json.loads((done / "done.json").read_text())
    assert told["model"].startswith("mobilenet_v2-")
    assert {"pillow", "ai-edge-litert", "table", "size"} <= set(told)
    assert not (done / "checkpoint").exists()


def test_the_same_job_again_does_nothing(done, table, capsys):
    job.main(["features", str(table), str(done)])  # no_cluster lets it fail if it starts Ray
    assert "42 photos, 2 of them bad: 0 s" in capsys.readouterr().out


def test_another_table_or_module_for_the_same_folder_is_refused(done, table, tmp_path):
    before = sorted(done.rglob("*"))
    assert "belongs to another job (model " in refused("features", table, done, "--model", "efficientnet_b0")
    (tmp_path / "photos.csv").write_text("path\na.jpg\n")
    assert "belongs to another job (table " in refused("features", tmp_path / "photos.csv", done)
    assert sorted(done.rglob("*")) == before


def test_a_gap_and_a_double_are_noticed(done, table):
    paths = job.read_table(table)
    with pytest.raises(RuntimeError, match="lacks 1 photos and has 0 twice"):
        job.count([*paths, "another.jpg"], done)
