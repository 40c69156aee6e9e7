"""Write each check's result to $RESULTS at once: a version of TensorFlow may take the whole process with it."""

import json
import os
from pathlib import Path

import pytest

RESULTS = Path(os.environ["RESULTS"])


def _write(name, result):
    with RESULTS.open("a") as file:
        file.write(json.dumps([name, result]) + "\n")


def pytest_collection_modifyitems(items):
    done = dict(map(json.loads, RESULTS.read_text().splitlines())) if RESULTS.exists() else {}
    items[:] = [item for item in items if item.nodeid not in done]


def pytest_runtest_logstart(nodeid):
    _write(nodeid, "died")


def pytest_runtest_logreport(report):
    if report.when == "call" or not report.passed:
        _write(report.nodeid, report.outcome)


@pytest.fixture(autouse=True)
def fresh():
    from layers import K

    K.backend.clear_session()
