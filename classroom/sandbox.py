"""One submission's process and folder: what it gets, how it is watched, what is kept of it."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time

from sources import cache


def run(room, job, folder, kept, reference=False):
    """Grade a job in a process of its own, watched, and return its result (dict).

    folder: a folder that is made for it and removed.  kept: the folder that gets the graded notebook, the gradebook
    and the feedback page.
    """
    name = job["assignment"]
    kept.mkdir(parents=True, exist_ok=True)
    _fill(room, folder, reference)
    results = {
        "gradebook.db": folder / "gradebook.db",
        "graded.ipynb": folder / "autograded" / "student" / name / f"{name}.ipynb",
        "feedback.html": folder / "feedback" / "student" / name / f"{name}.html",
    }
    if "graded" in job:
        results["graded.ipynb"].parent.mkdir(parents=True)
        for file in ("gradebook.db", "graded.ipynb"):
            shutil.copyfile(kept / file, results[file])
    job |= {"timeout": room.timeout, "hidden": [str(each.resolve()) for each in (*room.hidden, folder.parent)]}
    job["writable"] = [str(cache.root().resolve()), str(room.out / "matplotlib")] if reference else []
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "classroom.one_submission", str(write_end)],
        cwd=folder,
        env=_environment(room, folder, reference),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[write_end],
        start_new_session=True,
    )
    os.close(write_end)
    text, ended = _watch(process, json.dumps(job).encode(), read_end, room)
    try:
        result = json.loads(text) if not ended else {"flags": [ended[0]], "notes": [ended[1]]}
    except ValueError:
        result = {
            "flags": ["grader failed"],
            "notes": ["The grading process was stopped from within. Read the notebook."],
        }
    for file, path in results.items():
        if "questions" in result and path.is_file() and not path.is_symlink():
            shutil.copyfile(path, kept / file)
    shutil.rmtree(folder, ignore_errors=True)
    return result


def _fill(room, folder, reference):
    """Make a submission's folder: the helpers, the catalogues, the gradebook, links into the cache."""
    for path, content in room.kit.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    for name in ("home", "tmp", "bin", "cache"):
        (folder / name).mkdir()
    (folder / "bin" / "sh").symlink_to("/bin/sh")
    (folder / "gradebook.db").write_bytes(room.gradebook)
    if reference:
        return
    if (room.out / "matplotlib").exists():  # its list of fonts takes seconds to make
        shutil.copytree(room.out / "matplotlib", folder / "home" / "matplotlib")
    for path in sorted(cache.root().glob("*/*")):  # may be read; what a submission computes stays in its own folder
        if not path.name.startswith("."):
            (folder / "cache" / path.parent.name).mkdir(exist_ok=True)
            (folder / "cache" / path.parent.name / path.name).symlink_to(path.resolve())


def _environment(room, folder, reference):
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "COURSE_SOURCE") if name in os.environ}
    threads = str(max(1, (os.cpu_count() or 1) // room.jobs))
    return kept | {
        "PATH": str(folder / "bin"),  # `!pip install` is answered with "not found", as it would be on a closed machine
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "IPYTHONDIR": str(folder / "home" / "ipython"),
        "JUPYTER_PATH": str(folder / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "MPLCONFIGDIR": str(room.out / "matplotlib" if reference else folder / "home" / "matplotlib"),
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "COURSE_CACHE": str(cache.root() if reference else folder / "cache"),
        "COURSE_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "-1",  # two at a time would not share a GPU fairly
        "OMP_NUM_THREADS": threads,
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
    }


def _watch(process, job, read_end, room):
    """Feed a grading process and read its result (bytes); stop it with all it has started at a limit.

    Returns (result, None) or (b"", (flag, note)).
    """
    import psutil

    limit, start, seen, parts, ended = 5 * room.timeout, time.monotonic(), {}, [], None
    feeder = threading.Thread(target=_feed, args=(process.stdin, job), daemon=True)
    reader = threading.Thread(target=_drain, args=(read_end, parts), daemon=True)
    feeder.start()
    reader.start()
    try:
        while process.poll() is None and not ended:
            used = _used(process.pid, seen) / 2**20
            if used > room.memory:
                ended = ("memory", f"It used more than {room.memory} MB and was stopped. Run it by hand to see where.")
            elif time.monotonic() - start > limit:
                ended = (
                    "time",
                    f"It ran longer than {limit} s in all and was stopped. Look for a loop without an end.",
                )
            elif room.stop.is_set():
                ended = ("interrupted", "")
            time.sleep(0.2)
    finally:
        for each in seen.values():  # psutil knows a process by its start, too: none that took an old number is hit
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
        process.kill()
        process.wait()
    reader.join(5)
    return b"".join(parts), ended


def _used(pid, seen):
    """Return the memory (bytes) of a process and all it has started, also what has left its family since."""
    import psutil

    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    seen |= {each.pid: each for each in family if each.pid not in seen}
    for each in list(seen.values()):
        try:
            total += each.memory_info().rss if each.is_running() else 0
        except psutil.Error:
            continue
    return total


def _feed(stream, content):
    try:
        with stream:
            stream.write(content)
    except BrokenPipeError:  # it ended before it had read everything; _watch says so
        pass


def _drain(read_end, parts):
    with os.fdopen(read_end, "rb") as file:
        parts.append(file.read())
