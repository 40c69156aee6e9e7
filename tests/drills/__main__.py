"""make drills: faults of real machines, done for real in scratch folders. docs/drills.md gets the table.

    python -m tests.drills [DRILL ...]      # some of them, printed only

A drill runs stages (stages.py) and yields rows of the table. A small disk and another user need root: without it,
these rows say so.
"""

import contextlib
import functools
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import time
import unittest.mock
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from sources import cache, fetch
from tests.drills.scratch import BASE, ROOT, SEED, SOURCE, WHEEL, base, index, noted, photos, pin, run, scratch
from tests.drills.stages import made

PAGE = ROOT / "docs" / "drills.md"
POINTS = {"extract": 16, "install": 12, "refresh": 7, "grade": 5, "export": 5, "fit": 3, "prepare": 2}  # fifty
PATIENCE = 60  # seconds after which nothing of a killed process may run any more
LOST = {
    "extract": "the photos under way, 512 at most",
    "install": "nothing: it is installed again, from uv's cache",
    "refresh": "the lesson under way; its file is as before",
    "grade": "the submissions under way",
    "export": "the export under way: the folder is no module, or a whole one",
    "fit": "the fit: weights are in memory until it ends",
    "prepare": "the module under way; its package stays",
}


def said(note, folder):
    """Return the first line of what a person read, without the names of scratch folders."""
    if "said" not in note:
        return "nothing"
    words = note["said"].splitlines()[0].replace(str(folder), "FOLDER").translate(str.maketrans("|`", "/'"))
    return f"`{words}`" + (" and a traceback" if note.get("traceback") else "")


def row(fault, first, second, right, folder, lost="nothing"):
    """Return a row: what was said under a fault, and whether the same is right without it."""
    after = "right" if right and second.get("made") == right else f"not right: {said(second, folder)}"
    return fault, said(first, folder), lost, "; ".join([after, *first.get("faults", [])])


def left(folder):
    """Wait for the processes that a killed one has started; return how many stayed, and end them."""
    end, mine = time.monotonic() + PATIENCE, [None]
    while mine and time.monotonic() < end:
        mine = [process for process in psutil.process_iter() if _is_of(process, str(folder))]
        time.sleep(0.1)
    for process in mine:
        process.kill()
    return len(mine)


def _is_of(process, folder):
    try:
        return process.environ().get("DRILL") == folder or any(folder in word for word in process.cmdline())
    except psutil.Error:
        return False


def half(stage, folder):
    """Return what looks finished in a folder and is not (list of str)."""
    if stage == "export" and (folder / "exported" / "saved_model.pb").exists():
        return [] if made(folder / "exported", "variables.data*", "labels.json") in exports() else ["the export"]
    texts = [*folder.glob("notebooks/*.ipynb"), *folder.glob("grades/results/*/*/result.json")]
    with unittest.mock.patch.dict(os.environ, COURSE_CACHE=str(folder / "cache")):
        return cache.verify() + [path.name for path in texts if not _is_json(path)]


def _is_json(path):
    try:
        return bool(json.loads(path.read_text("utf-8")))
    except ValueError:
        return False


@functools.cache
def exports():
    """Return what the older and the newer export look like, when they are whole."""
    with scratch("export") as folder:
        older = made(folder / "exported", "variables.data*", "labels.json")
        run("export", folder)
        return older, made(folder / "exported", "variables.data*", "labels.json")


def killed(stage):
    """Kill a stage, by turns at a random time and right after a random change of a file; then run it again."""
    draw, points = random.Random(f"{SEED} {stage}"), POINTS[stage]
    with scratch(stage) as folder:
        whole = run(stage, folder)
    faults, again, hit = [], [], 0
    for number in range(points):
        with scratch(stage) as folder:
            changes = number % 2 and whole["changes"]  # none, if a stage leaves them to processes of its own
            when = {"after": draw.uniform(0.1, 0.95) * whole["seconds"]}
            note = run(stage, folder, **({"DRILL_AT": draw.randint(1, whole["changes"])} if changes else when))
            hit += note["code"] == -9
            faults += [f"{name} looked finished" for name in half(stage, folder)]
            faults += [f"{stayed} processes stayed"] if (stayed := left(folder)) else []
            note = run(stage, folder)
            faults += [] if note.get("made") == whole["made"] else [f"the next run: {said(note, folder)}"]
            again.append(note.get("seconds", 0))
    after = f"right each time, in {sum(again) / points:.0f} s ({whole['seconds']:.0f} s from scratch)"
    after = "; ".join(dict.fromkeys(faults)) or after
    yield f"`kill -9` at {points} points of {stage} ({hit} hit it)", "`Killed`", LOST[stage], after


def disk_full():
    """Run stages on a disk of a few megabytes, which then gets room."""
    for stage, size, place in (("extract", "600k", "cache"), ("fetch", "100k", "cache"), ("grade", "300k", "tmp")):
        with scratch(stage) as folder:
            fault = f"a full disk under FOLDER/{place}: {stage}"
            if os.geteuid():
                yield fault, "not tried: it needs root", "", ""
                continue
            with scratch(stage) as other:
                right = run(stage, other, ORIGIN=pin(WHEEL))
            script = f"""cd "{folder}"; cp -a {place} seed; mount -t tmpfs -o size={size},mode=777 none {place}
                cp -a seed/. {place}; cd "{ROOT}"; "$@"; mount -o remount,size=900m "{folder}/{place}"; exec "$@" """
            second = run(stage, folder, ["unshare", "--mount", "sh", "-c", script, "sh"], ORIGIN=pin(WHEEL, size=10))
            notes = [{"said": (folder / "log" / "output.txt").read_text()[-100:]}, *noted(stage, folder)]  # or a crash
            yield row(fault, notes[-2], second, right["made"], folder)


def stranger():
    """Return the start of a command line that has no rights of this user, and who owns what it may not write.

    That is the user nobody; if nobody may start this Python, root without its rights.
    """
    for owner, given in ((0, ["--reuid=65534", "--clear-groups"]), (65534, ["--bounding-set=-all", "--inh-caps=-all"])):
        around = ["setpriv", *given, "--", "env", "HOME=/nonexistent"]
        if not os.geteuid() and not subprocess.run([*around, sys.executable, "-c", ""], capture_output=True).returncode:
            return around, owner
    return None, 0


def other_users():
    """Let another user, without a home, meet a cache that can only be read."""
    around, owner = stranger()
    if around is None:
        yield "another user without a home; a read-only cache", "not tried: it needs root and setpriv", "", ""
        return
    with scratch("extract") as folder:
        right = run("extract", folder, COURSE_CACHE=folder / "tmp" / "first")["made"]
        subprocess.run(["chown", "-R", str(owner), folder / "cache"], check=True)
        first = run("extract", folder, around)
        own = run("extract", folder, around, COURSE_CACHE=folder / "tmp" / "own")
        yield row("a read-only cache without what is asked for; then a cache of one's own", first, own, right, folder)
        run("extract", folder)
        note = run("extract", folder, around)
        yield row("a read-only cache that has it; another user, no home", note, note, right, folder)
    for stage in ("refresh", "fit"):
        with scratch(stage) as folder, scratch(stage) as other:
            subprocess.run(["chown", "-R", str(65534 - owner), folder], check=True)
            note = run(stage, folder, around)
            yield row(f"another user, no home: {stage}", note, note, run(stage, other)["made"], folder)


def two_processes():
    """Let two processes want the same at once."""
    for stage in ("extract", "install"):
        with scratch(stage) as folder, scratch(stage) as other, ThreadPoolExecutor(2) as pool:
            pool.submit(run, stage, folder).add_done_callback(lambda done: done.result())
            pool.submit(run, stage, folder).result()
            pool.shutdown()
            first, second = noted(stage, folder)
            yield row(f"two processes at once: {stage}", first, second, run(stage, other)["made"], folder)


def other_disk():
    """Keep a cache in memory, then copy it to a disk without its times."""
    if os.geteuid():
        yield "a cache on another file system", "not tried: it needs root", "", ""
        return
    with scratch("extract") as folder:
        script = f"""cd "{folder}"; cp -a cache seed; mount -t tmpfs none cache; cp -a seed/. cache; cd "{ROOT}"; "$@"
            cd "{folder}"; cp -r cache copy; umount cache; cd "{ROOT}"; COURSE_CACHE="{folder}/copy" exec "$@" """
        second = run("extract", folder, ["unshare", "--mount", "sh", "-c", script, "sh"])
        first = noted("extract", folder)[0]
        yield row("a cache in memory, copied to a disk without its times", second, second, first["made"], folder)


def clock():
    """Date photos in the future; change one and keep its size and time; set the clock back."""
    with scratch("extract") as folder:
        (folder / "photos").unlink()
        photos(folder / "photos", 2000)
        every = sorted((folder / "photos").rglob("*.bmp"))
        right = run("extract", folder)["made"]
        for path in every:
            os.utime(path, (2e9, 2e9))
        note = run("extract", folder)
        yield row("photos dated in 2033", note, note, right, folder)
        every[0].write_bytes(every[0].read_bytes()[:54] + bytes(24 * 24 * 3))
        os.utime(every[0], (2e9, 2e9))
        note = run("extract", folder)
        after = "stale vectors" if note["made"] == right else "right: the photo is read again"
        yield "a photo changes, its size and time don't", said(note, folder), "nothing", after
    with scratch("extract") as folder:
        back = ["faketime", "-f", "-400d"] if shutil.which("faketime") else []
        first, second = run("extract", folder), run("extract", folder, back)
        if back:
            yield row("the clock is set back by 400 days", second, second, first["made"], folder)


def servers():
    """Fetch from an index that lies, cuts, stalls or never ends, and a source package whose build step does harm."""
    limits = {"PIP_RETRIES": 0, "PIP_RESUME_RETRIES": 0, "PIP_DEFAULT_TIMEOUT": 5}
    for way in ("lying", "cut", "stalled", "endless"):
        with scratch("fetch") as folder:
            first = run("fetch", folder, ORIGIN=pin(WHEEL), PIP_INDEX_URL=index(way), **limits)
            second = run("fetch", folder, ORIGIN=pin(WHEEL))
            yield row(f"a server: {way}", first, second, json.loads(pin(WHEEL))["sha256"], folder)
    with scratch("fetch") as folder:
        note = run("fetch", folder, ORIGIN=pin(SOURCE))
        harm = {"faults": ["its setup.py ran"] if (BASE / "harm").exists() else []}
        right = json.loads(pin(SOURCE))["sha256"]
        yield row("a source package whose setup.py writes a file", note | harm, note, right, folder)


def archives():
    """Unpack archives that point outside, hold links and devices, or hold more than a disk."""
    kinds = {"`..`": "model/../../out", "an absolute path": "/out", "a link and a file through it": "model/link/out"}
    for what in (*kinds, "a device", "a bomb of 8 GB"):
        with scratch("fetch") as folder:
            with tarfile.open(folder / "package.tar", "w") as file:
                for name, kind in (("link", tarfile.SYMTYPE), ("device", tarfile.CHRTYPE)):
                    if name in what:
                        info = tarfile.TarInfo(f"model/{name}")
                        info.type, info.linkname, info.devmajor, info.devminor = kind, str(folder), 1, 3
                        file.addfile(info)
                last = tarfile.TarInfo("model/bomb" if "bomb" in what else "model/flower")
                last.size = 8 * 10**9 * ("bomb" in what)
                file.addfile(tarfile.TarInfo(kinds.get(what, "model/leaf")))
                file.fileobj.write(last.tobuf())
            words = "nothing"
            try:
                with fetch.unpacked(folder / "package.tar", "model") as model:
                    after = f"unpacked: {', '.join(sorted(str(each.relative_to(model)) for each in model.rglob('*')))}"
            except fetch.FetchError as error:
                words, after = f"`{str(error).replace(str(folder), 'FOLDER')}`", "nothing is unpacked"
            outside = list(folder.glob("out")) + list(folder.parent.glob("out")) + list(Path("/").glob("out"))
            yield f"an archive with {what}", words, "nothing", "written outside" if outside else after


def folders():
    """Check 100,000 photos, links in circles, and names in Unicode under LC_ALL=C."""
    for what, count in (("100,000 photos", 100_000), ("links in circles", 20), ("LC_ALL=C", 20)):
        with scratch("check") as folder:
            (folder / "photos").unlink()
            photos(folder / "photos", count)
            if what == "links in circles":
                (folder / "photos" / "Dahlie" / "again").symlink_to("..")
                (folder / "photos" / "Dahlie" / "self").symlink_to("self")
                (folder / "photos" / "Dahlie" / "here").symlink_to(".")
            note = run("check", folder, **({"LC_ALL": "C", "LANG": "C"} if what == "LC_ALL=C" else {}))
            lines = (folder / "log" / "output.txt").read_text("utf-8").replace(str(folder), "FOLDER").splitlines()
            told = next((line for line in lines if line.startswith("  - ")), lines[0])
            cost = f"{note['seconds']:.0f} s, {note['megabytes']:.0f} MB of memory"
            yield f"{what}: `python -m course check`", f"`{told.removeprefix('  - ')}`", "nothing", cost


DRILLS = {f"kill {stage}": functools.partial(killed, stage) for stage in POINTS}
DRILLS |= {call.__name__: call for call in (disk_full, other_users, two_processes, other_disk, clock)}
DRILLS |= {call.__name__: call for call in (servers, archives, folders)}


def main(names):
    """Run drills, print their rows as they come, and put all of them into the page."""
    start, rows = time.monotonic(), ["| fault | what you see | what is lost | after that |", "|---|---|---|---|"]
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, BASE, ignore_errors=True)
        base()
        for name in names or DRILLS:
            for found in DRILLS[name]():
                rows.append(f"| {' | '.join(found)} |")
                print(f"{time.monotonic() - start:.0f} s {rows[-1]}", flush=True)
    if not names:
        before, rest = PAGE.read_text("utf-8").split("<!-- drills -->\n")
        after = rest.split("<!-- end of drills -->")[1]
        table = "\n".join(rows)
        PAGE.write_text(f"{before}<!-- drills -->\n{table}\n<!-- end of drills -->{after}", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
