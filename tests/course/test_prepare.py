"""What prepare starts ends with it, and says only what it does."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from course import prepare
from course.paths import ROOT, CourseError
from sources import module_folders

CODE = """
import multiprocessing, os, signal, time
from concurrent.futures import ProcessPoolExecutor
from course import prepare

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), prepare._start)
    print(pool.submit(os.getpid).result(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""

SAID = {"cwd": ROOT, "capture_output": True, "text": True}


def test_a_worker_ends_when_prepare_is_killed(tmp_path):
    (tmp_path / "killed.py").write_text(CODE)
    with open(tmp_path / "said", "w") as said:  # a pipe would be held open by the worker
        killed = [sys.executable, tmp_path / "killed.py"]
        done = subprocess.run(killed, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=said)
    assert done.returncode == -signal.SIGKILL
    worker, end = int((tmp_path / "said").read_text()), time.monotonic() + 60
    while psutil.pid_exists(worker) and time.monotonic() < end:
        time.sleep(0.1)
    assert not psutil.pid_exists(worker)


@pytest.mark.tensorflow
def test_a_worker_does_not_pass_on_what_tensorflow_says_as_it_loads():
    done = subprocess.run([sys.executable, "-c", "from course import prepare; prepare._make([])"], **SAID)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def dies(names):
    os._exit(1)


@pytest.mark.tensorflow
def test_a_worker_that_dies_ends_in_one_message(monkeypatch):
    monkeypatch.setattr(prepare, "_make", dies)
    monkeypatch.setattr(module_folders, "is_ready", lambda name: False)
    with pytest.raises(CourseError, match=r"a process that builds modules died.*goes on"):
        prepare.prepare()
