"""One submission's kernel: what it can see, what it may use, and how it is watched."""

import json
import multiprocessing
import os
import shutil
import site
import subprocess
import sys
import time
from pathlib import Path

import psutil

from classroom import one_submission
from course.paths import ROOT, CourseError
from sources import cache

CODE = [ROOT / name for name in ("helpers", "sources", "data")]  # what an assignment may import and read
SYSTEM = (
    "/usr /bin /sbin /lib /lib64 /nix/store /etc/ld.so.cache /etc/alternatives /etc/fonts /etc/passwd /etc/localtime"
)
ALONE = ["--unshare-all", "--cap-drop", "ALL", "--die-with-parent", "--new-session", "--proc", "/proc", "--dev", "/dev"]
PROCESSES = 300  # what one submission may have at a time
ROOM = 10_000_000  # bytes; a disk that has less is taken for full
UNHELD = (
    "Students' code runs uncontained, with all your rights: it can read and change your files, the solutions and other "
    "students' work, and use the network. Time, memory and output are limited."
)


def container(uncontained: bool) -> str | None:
    """Return the path of bubblewrap, or None where students' code is to run without it, which is said.

    Raises:
        CourseError: it is needed here, and it is missing or can't work.
    """
    if uncontained or sys.platform != "linux":
        print(UNHELD)
        return None
    bwrap = shutil.which("bwrap")
    if not bwrap:
        raise CourseError(
            "students' code runs in a container, which needs bubblewrap: `sudo apt install bubblewrap`, or `sudo dnf "
            "install bubblewrap`. --uncontained grades without it, with all your rights given to students' code."
        )
    tried = subprocess.run([bwrap, *ALONE, "--ro-bind", "/", "/", "true"], capture_output=True, text=True)
    if tried.returncode:
        raise CourseError(
            f"bubblewrap can't make a container here ({tried.stderr.strip()}). Some systems and most containers forbid "
            "it: see docs/teaching.md. --uncontained grades without it, with all your rights given to students' code."
        )
    return bwrap


def run(room, job: dict, folder: Path, kept: Path, page: Path | None) -> dict:
    """Grade a job in a process of its own, watched.

    Args:
        room: the Class that is graded.
        job: what one_submission.grade takes, but for timeout and command.
        folder: an empty folder to work in.
        kept: the folder that gets the graded notebook and its gradebook.
        page: the file that becomes the feedback page; None for an assignment's own solution, which may prepare what it
            needs in the cache.

    Returns:
        The submission's result: flags, notes and, if it could be scored, what one_submission.grade returns.
    """
    own, name = folder / "own", job["assignment"]
    writable = [own / each for each in ("work", "home", "tmp", "cache", "run", "fonts")]
    fonts, shared = room.out / "matplotlib", cache.root()  # matplotlib's list of fonts takes seconds to make
    for each in (*writable, fonts, shared, kept):
        each.mkdir(parents=True, exist_ok=True)
    if not page:
        writable += [shared, fonts]
    else:
        shutil.copytree(fonts, own / "fonts", dirs_exist_ok=True)
        prepared = [path for path in shared.glob("*/[!.]*") if path.parent.name != "written"]
        for path in (*prepared, *shared.glob("written/*/*")):  # may be read; what a submission computes, and the
            linked = own / "cache" / path.relative_to(shared)  # record of it, stay in its own folder
            linked.parent.mkdir(parents=True, exist_ok=True)
            linked.symlink_to(path)
        shared, fonts = own / "cache", own / "fonts"
    values = [f"{name}={value}" for name, value in _environment(room, own, shared, fonts).items()]
    command = [*_bubble(room, own, writable), "/usr/bin/env", "-i", *values, sys.executable]
    job |= {"timeout": room.timeout, "command": command}
    graded = folder / "autograded" / "student" / name / f"{name}.ipynb"
    (folder / "gradebook.db").write_bytes(room.gradebook)
    if job["graded"]:
        graded.parent.mkdir(parents=True)
        shutil.copyfile(kept / "gradebook.db", folder / "gradebook.db")
        shutil.copyfile(kept / "graded.ipynb", graded)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["classroom.one_submission"])  # nbgrader is imported once, not for each
    process = context.Process(target=one_submission.work, args=(job, folder))
    process.start()
    if ended := _watch(process, room):
        return {"flags": [ended[0]], "notes": [ended[1]]}
    result = told(folder)
    if "questions" in result:
        shutil.copyfile(folder / "gradebook.db", kept / "gradebook.db")
        shutil.copyfile(graded, kept / "graded.ipynb")
    made = folder / "feedback" / "student" / name / f"{name}.html"
    if page and made.exists():
        page.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, page)
    return result


def told(folder: Path) -> dict:
    """Return what a grading process has written into its folder, or why there is nothing whole."""
    try:
        return json.loads((folder / "result.json").read_text())
    except (FileNotFoundError, ValueError):
        why = "The grading process was stopped. Read the notebook."
        if shutil.disk_usage(folder).free < ROOM:
            why = f"The disk of {folder.parent} is full. Make room, or set TMPDIR to a folder that has it."
        return {"flags": ["grader failed"], "notes": [why]}


def _bubble(room, own, writable):
    """The start of a command line that shows a process the system, the course's code and cache, and its own folder."""
    if room.bwrap is None:
        return []
    python = [sys.prefix, sys.base_prefix, Path(sys.executable).resolve().parent.parent, site.getusersitepackages()]
    libraries = [path for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if path.startswith("/")]
    seen = [Path(each) for each in (*SYSTEM.split(), *python, *libraries, *CODE, cache.root()) if str(each) != "/"]
    hidden = [each for each in room.hidden if any(each.is_relative_to(path.resolve()) for path in seen)]
    words = [room.bwrap, *ALONE, "--bind", own / "tmp", "/tmp", "--bind", own / "tmp", "/dev/shm"]
    words += [word for path in seen for word in ("--ro-bind-try", path, path)]
    words += [word for path in hidden for word in ("--tmpfs", path)]
    words += [word for path in writable for word in ("--bind", path, path)]
    return [*map(str, words), "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(own / "work")]


def _environment(room, own, cached, fonts):
    threads = str(max(1, (os.cpu_count() or 1) // room.jobs))
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "COURSE_SOURCE") if name in os.environ}
    kept |= dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), threads)
    kept |= {"HOME": own / "home", "TMPDIR": own / "tmp", "MPLCONFIGDIR": fonts, "COURSE_CACHE": cached}
    kept |= {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": ROOT,
        "LANG": "C.UTF-8",
    }
    kept["PYTHONDONTWRITEBYTECODE"] = kept["COURSE_OFFLINE"] = "1"
    kept["PIP_NO_INDEX"] = "1"  # `!pip install` says at once what is there and what is not
    return kept | {"CUDA_VISIBLE_DEVICES": "-1"}  # two at a time would not share a GPU fairly


def _watch(process, room):
    """Wait for a grading process; stop it with all that it has started at a limit, and return (flag, note) then."""
    limit, start, seen = 5 * room.timeout, time.monotonic(), {}
    try:
        while process.is_alive():
            try:
                first = psutil.Process(process.pid)
                family = [first, *first.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            seen |= {each.pid: each for each in family}  # also what leaves the family later
            if sum(map(_memory, seen.values())) > room.memory * 2**20:
                return "memory", f"It used more than {room.memory} MB and was stopped. Run it by hand to see where."
            if len(family) > PROCESSES:
                return "processes", f"It started more than {PROCESSES} processes and was stopped. Read it."
            if time.monotonic() - start > limit:
                return "time", f"It ran longer than {limit} s in all and was stopped. Look for a loop without an end."
            if room.stop.is_set():
                return "interrupted", ""
            time.sleep(0.2)
        return None
    finally:
        for each in seen.values():  # psutil knows a process by its start, too: none that took an old number is hit
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
        process.kill()
        process.join()


def _memory(process):
    try:
        return process.memory_info().rss if process.is_running() else 0
    except psutil.Error:
        return 0
