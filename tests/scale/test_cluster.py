"""The job on two nodes in namespaces of their own, with parts of it killed: python -m scale.drill, run again."""

import json
import platform
import subprocess
import sys

import pytest

from sources.cache import ROOT

drill = pytest.importorskip("scale.drill", reason="ray isn't here: `python -m course install --lock scale`")

REQUIRED = ("one node", "two nodes", "a worker killed", "a node killed", "the driver killed, then run again")
LINUX = pytest.mark.skipif(
    platform.system() != "Linux", reason="namespaces are Linux's; elsewhere Ray keeps to one node"
)


@LINUX
@pytest.mark.long
@pytest.mark.parametrize("name", REQUIRED)
def test_whatever_is_killed_each_photo_is_there_once_with_its_own_vector(name, tmp_path):
    row = drill.drill(name, tmp_path, 400)
    assert row["rows"] == 403
    assert (row["bad"], row["doubles"], row["gaps"]) == (3, 0, 0)
    assert row["largest difference"] <= 1e-5


@LINUX
@pytest.mark.long
def test_a_node_with_another_pillow_is_refused_and_nothing_is_written(tmp_path):
    drill.fill(tmp_path, 10)
    other = tmp_path / "other" / "pillow-1.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: pillow\nVersion: 1.0\n")
    command = ["bash", ROOT / "scale" / "two_nodes.sh", sys.executable, "-m", "scale.job", "features"]
    environment = drill.environment() | {"SECOND_NODE_PATH": str(other.parent)}
    ran = subprocess.run(
        [*command, tmp_path / "photos.csv", tmp_path / "out"], env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 1
    assert "has pillow 1.0, this machine " in ran.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def kept():
    return json.loads(drill.KEPT.read_text())


def test_the_reference_run_has_every_drill_and_lost_nothing(kept):
    assert set(kept["drills"]) == set(drill.DRILLS)
    for name, row in kept["drills"].items():
        assert row["CPU s"] > 0
        if "process" not in name:
            assert row["rows"] == drill.DRILLS[name][2] + len(drill.BROKEN)
            assert (row["bad"], row["doubles"], row["gaps"]) == (3, 0, 0)
            assert row["largest difference"] <= 1e-5


def test_the_reference_run_says_when_and_on_what(kept):
    assert "ray 2.60.0" in kept["on"]
    assert len(kept["day"]) == len("2026-11-26")
