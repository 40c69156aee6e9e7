"""Break the job of lesson 11 on purpose and measure it: python -m scale.drill [NAME ...] renews scale/drills.json.

Each drill runs in namespaces of its own, so that it sees no other process or network and leaves none; Linux only.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset

from helpers import features, modules, photos
from sources import engines, extraction
from sources.cache import ROOT

KEPT, MODULE = ROOT / "scale" / "drills.json", "mobilenet_v2"
DRILLS = {  # how many nodes are started beforehand, what is killed, how many photos of how many pixels
    "one process": (0, "nothing", 1000, 224),
    "one node": (0, "nothing", 1000, 224),
    "two nodes": (2, "nothing", 1000, 224),
    "a worker killed": (2, "worker", 1000, 224),
    "a node killed": (2, "node", 1000, 224),
    "the driver killed, then run again": (2, "driver", 1000, 224),
    "50,000 photos of 32 pixels, one node": (0, "nothing", 50_000, 32),
}
TITLES = {"worker": b"ray::MapWorker", "node": b"raylet/raylet"}  # how their processes' commands begin
BROKEN = {"empty.jpg": b"", "page.jpg": b"<!doctype html><html>", "cut.jpg": b"\xff\xd8\xff\xe0"}


def drill(name: str, folder: Path, count: int) -> dict:
    """Run one drill on links to the flowers, over and over, and three broken files.

    Args:
        name: one of DRILLS.
        folder: an empty folder to work in.
        count: how many links.

    Returns:
        dict: seconds on all cores and by the clock, peak memory, and for the job what came out of it.
    """
    (nodes, victim, _, size), start = DRILLS[name], time.monotonic()
    fill(folder, count)
    alone = ["unshare", *([] if os.getuid() == 0 else ["--map-root-user"]), "--net", "--pid", "--fork", "--kill-child"]
    alone += ["--mount-proc", "sh", "-c", 'ip link set lo up; "$@"', "sh"]
    what = "process" if "process" in name else victim
    command = [sys.executable, "-m", "scale.drill", "--inside", what, str(folder), str(size)]
    ran = subprocess.run(
        [*(["bash", str(ROOT / "scale" / "two_nodes.sh")] if nodes else alone), *command],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=3600,  # a job that waits for ever is a fault, too
    )
    if ran.returncode:
        raise RuntimeError(f"the drill {name!r} failed:\n{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}")
    row = json.loads(ran.stdout.splitlines()[-1]) | {"s": round(time.monotonic() - start)}
    return row if what == "process" else row | compared(folder, count, size)


def fill(folder, count):
    """Write links to the flowers, three broken files, and photos.csv, the table of them all in a drawn order."""
    flowers = photos.load("flowers").paths
    names = [f"{number:06}.png" for number in range(count)]
    for number, name in enumerate(names):
        (folder / name).symlink_to(flowers[number % len(flowers)])
    for name, content in BROKEN.items():
        (folder / name).write_bytes(content)
    table = pd.DataFrame({"path": [*names, *BROKEN]})
    table.sample(frac=1, random_state=0).to_csv(folder / "photos.csv", index=False)


def environment():
    """Return the environment (dict) of a drill: this Python's commands, these packages, no other cluster."""
    there = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    there["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), there["PATH"]])
    there["PYTHONPATH"] = os.pathsep.join([str(ROOT), there.get("PYTHONPATH", "")])
    return there | {"TQDM_DISABLE": "1"}


def compared(folder, count, size):
    """Return a result's rows, doubles and gaps, and its largest difference from features.extract."""
    found = pyarrow.dataset.dataset(f"{folder}/out/photos", partitioning="hive", format="parquet")
    expected = features.extract(photos.load("flowers"), MODULE, image_size=size)
    largest, names, bad = 0.0, [], 0
    for batch in found.to_batches(batch_size=1000):
        rows = batch.to_pandas()
        names += rows["path"].tolist()
        bad += int((rows["result"] == "bad").sum())
        rows = rows[rows["result"] == "done"]
        if len(rows):
            flower = rows["path"].str[:6].astype(int) % len(expected)
            largest = max(largest, float(np.abs(np.stack(rows["features"]) - expected[flower]).max()))
    doubles = len(names) - len(set(names))
    gaps = count + len(BROKEN) - len(set(names))
    return {"rows": len(names), "bad": bad, "doubles": doubles, "gaps": gaps, "largest difference": largest}


def inside(what, folder, size):
    """Run the job, kill a part of it once the first results are there, and print what all processes took.

    what: process (the same work without Ray), nothing, worker, node or driver.
    """
    out = folder / "out"
    command = [
        sys.executable,
        "-m",
        "scale.job",
        "features",
        str(folder / "photos.csv"),
        str(out),
        "--image-size",
        size,
    ]
    if what == "process":
        command = [sys.executable, "-c", "from scale import drill; drill.in_one_process()", str(folder), size]
    with peak_memory() as peak:
        job = subprocess.Popen(command, stdout=sys.stderr)
        if what in ("worker", "node", "driver"):
            while job.poll() is None and not list(out.glob("photos/*/*.parquet")):
                time.sleep(0.2)
            if job.poll() is not None:
                sys.exit("the job ended before anything could be killed")
            os.kill(job.pid if what == "driver" else newest(TITLES[what]), signal.SIGKILL)
        if what == "driver":
            job.wait()
            job = subprocess.Popen(command, stdout=sys.stderr)
        code = job.wait()
    print(json.dumps({"CPU s": round(cpu_seconds()), "peak MB": round(peak[0] / 1e6)}))
    sys.exit(code)


def newest(title):
    """Return the process of this namespace that started last among those whose command contains a title."""
    commands = {int(each.name): (each / "cmdline").read_bytes().split(b"\0")[0] for each in processes()}
    return max(process for process, command in commands.items() if title in command)


def cpu_seconds():
    """Return the time on all cores of this namespace's processes, those included that have ended."""
    ticks = 0
    for each in processes():
        with contextlib.suppress(OSError):  # it has just ended
            ticks += sum(map(int, (each / "stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def processes():
    return [each for each in Path("/proc").iterdir() if each.name.isdigit()]


@contextlib.contextmanager
def peak_memory():
    """Give a list of one number, the peak memory of all processes in bytes; what they share counts once."""
    peak, ended = [0], threading.Event()

    def watch():
        while not ended.wait(3):
            total = 0
            for each in processes():
                with contextlib.suppress(OSError, StopIteration):
                    lines = (each / "smaps_rollup").read_text().splitlines()
                    total += 1024 * int(next(line for line in lines if line.startswith("Pss:")).split()[1])
            peak[0] = max(peak[0], total)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def in_one_process():
    """Run the module over the links as features.extract does, and keep nothing."""
    folder, size = Path(sys.argv[1]), int(sys.argv[2])
    paths = sorted(folder.glob("[0-9]*.png"))
    _, start = engines.chosen(*modules.identified(MODULE), size, len(paths))
    extraction.of_photos(start, paths, size, 32, "alone", folder / "alone.npy", folder / "half")


def main():
    """Run the drills that are named, or all, and keep what they found."""
    parser = argparse.ArgumentParser(prog="python -m scale.drill", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(DRILLS)} (default: all)")
    parser.add_argument("--inside", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        inside(given.inside[0], Path(given.inside[1]), given.inside[2])
    if platform.system() != "Linux":
        sys.exit("The drills need Linux's namespaces. Elsewhere, Ray keeps to one node.")
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"drills": {}}
    for name in given.names or DRILLS:
        with tempfile.TemporaryDirectory() as folder:
            kept["drills"][name] = drill(name, Path(folder), DRILLS[name][2])
        print(name, kept["drills"][name], flush=True)
        on = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
        versions = [f"{package} {metadata.version(package)}" for package in ("ray", "ai-edge-litert", "pillow")]
        kept |= {"day": datetime.date.today().isoformat(), "on": ", ".join([on, *versions])}
        kept["drills"] = {each: kept["drills"][each] for each in DRILLS if each in kept["drills"]}
        KEPT.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
