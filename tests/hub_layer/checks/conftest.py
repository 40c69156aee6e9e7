"""Write each check's result to $RESULTS at once: a version of TensorFlow may take the whole process with it."""

import json
import os

import pytest


def _write(name, result):
    with open(os.environ["RESULTS"], "a") as file:
        file.write(json.dumps([name, result]) + "\n")


def pytest_runtest_logstart(nodeid):
    _write(nodeid.rpartition("::")[2], "died")


def pytest_runtest_logreport(report):
    if report.when == "call" or not report.passed:
        _write(report.nodeid.rpartition("::")[2], report.outcome)


@pytest.fixture(autouse=True)
def fresh():
    from layers import K

    K.backend.clear_session()
