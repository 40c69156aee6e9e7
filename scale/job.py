"""A table of photo paths to Parquet, on this machine or on a Ray cluster: features, or what a model predicts.

    python -m scale.job features photos.csv OUT --model mobilenet_v2
    python -m scale.job predictions photos.csv OUT --model build/phone

OUT/photos/result=done has a row for each photo, OUT/photos/result=bad the photos that can't be read, with their reason.
After a crash the same command does what is missing. OUT/done.json, written last, says that nothing is.

With --address, or RAY_ADDRESS, it runs on the cluster there. All nodes have this course installed, from one lock, and
see the table, the photos, OUT and the cache ($COURSE_CACHE) under the same paths.
"""

import argparse
import functools
import json
import os
import shutil
import socket
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import ray
from filelock import FileLock, Timeout
from pyarrow import csv
from ray.data.checkpoint import CheckpointConfig
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from helpers import modules
from sources import cache, engines, photo_files

DEFAULTS = {"features": "mobilenet_v2", "predictions": "build/phone"}
PACKAGES = ("pillow", "ai-edge-litert")  # other versions give other numbers: Pillow's resize, LiteRT's sums
ROWS = 64  # of a block: what one task reads, one file holds, and a crash loses at most
STORE = 500_000_000  # bytes of memory that a node sets aside for blocks on their way; ours are small


class JobError(RuntimeError):
    """The job can't be done as it was asked. The message says why and what to do; nothing has been written."""


class Model:
    """A model that Ray starts once in a process of its own, an actor, and gives the table's rows batch by batch."""

    def __init__(self, start, size, names, folder, wanted):
        if versions() != wanted:  # a node that joined after the job had asked them all
            raise RuntimeError(f"this node has {versions()}, the job started with {wanted}")
        self.run, self.size, self.names, self.folder = start(), size, names, folder

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = [self.read(path) for path in batch["path"].to_pylist()]
        good = [row for row in rows if row["result"] == "done"]
        vectors = self.run(np.stack([row.pop("pixels") for row in good])) if good else []
        for row, vector in zip(good, vectors, strict=True):
            if self.names:
                row |= {"name": self.names[vector.argmax()], "probability": vector.max()}
            else:
                row["features"] = vector
        return pa.Table.from_pylist(rows, schema(bool(self.names)))

    def read(self, path):
        try:
            pixels = photo_files.read(os.path.join(self.folder, path), self.size)
        except photo_files.PhotoError as error:
            return {"path": path, "result": "bad", "reason": str(error).partition(" can't be decoded: ")[2]}
        return {"path": path, "result": "done", "pixels": pixels}


def versions():
    """Return the versions here of the packages that decide on the numbers."""
    return {package: metadata.version(package) for package in PACKAGES}


def schema(names):
    """Return the columns of a result; those that a row does not fill are null."""
    found = {"name": pa.string(), "probability": pa.float32()} if names else {"features": pa.list_(pa.float32())}
    return pa.schema({"path": pa.string(), "result": pa.string(), "reason": pa.string(), **found})


def pipeline(table, out, model, actors):
    """Read the table, give it to the actors, write Parquet. Rows that a checkpoint knows are left out."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.checkpoint_config = CheckpointConfig("path", f"{out}/checkpoint", delete_checkpoint_on_success=False)
    as_text = csv.ConvertOptions(include_columns=["path"], column_types={"path": pa.string()})
    (
        ray.data.read_csv(str(table), convert_options=as_text)
        .repartition(target_num_rows_per_block=ROWS)
        .map_batches(
            Model,
            fn_constructor_kwargs=model,
            batch_size=16,
            batch_format="pyarrow",
            num_cpus=1,
            # Where a node dies, its actors may fill the others' cores. As the pool may shrink, idle actors then make
            # room for what that node had read, which must be read again.
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors),
        )
        .write_parquet(f"{out}/photos", partition_cols=["result"])
    )


def run(
    job: str,
    table: Path,
    out: Path,
    name: str | None = None,
    address: str | None = None,
    actors: int | None = None,
    image_size: int | None = None,
) -> dict:
    """Do a job, or what is missing of it, and return what OUT/done.json says.

    Args:
        job: "features" or "predictions".
        table: a CSV file with a column path, of photos; a relative path starts at the table's folder.
        out: the folder to write; empty, or of the same job.
        name: the module (a catalogue name or a SavedModel folder), or the folder of a model of lesson 09; None takes
            DEFAULTS[job].
        address: host:port of a Ray cluster; None takes RAY_ADDRESS, or starts Ray on this machine alone.
        actors: how many run at a time; by default one for each core but one of every node, which reads and writes.
        image_size: height and width in pixels; by default what the module was trained on.

    Raises:
        JobError: nothing is done, and nothing written.
        RuntimeError: a photo is missing, or there twice, after the run.
    """
    start, table, out = time.monotonic(), Path(table).resolve(), Path(out).resolve()
    paths = read_table(table)
    needed = {"features": features, "predictions": predictions}[job]
    model, identity = needed(name or DEFAULTS[job], len(paths), image_size)
    model |= {"folder": str(table.parent), "wanted": versions()}
    about = {"job": job, "table": cache.content_hash(table).hex(), "model": identity, "size": model["size"]}
    about |= versions()
    check_folder(out, about)
    if (out / "done.json").exists():
        return json.loads((out / "done.json").read_text()) | {"seconds": 0}
    connect(address or os.environ.get("RAY_ADDRESS"))
    try:
        check_nodes([str(table), str(model["start"].args[0])], about)
        cores, nodes = int(ray.cluster_resources()["CPU"]), len(alive())
        actors = actors or max(1, cores - nodes)
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / "lock").acquire(timeout=0):
            write(out / "job.json", about)
            pipeline(table, out, model, actors)
            bad = count(paths, out)
            done = {"photos": len(paths), "bad": bad, "actors": actors, "nodes": nodes}
            write(out / "done.json", done | about)
            shutil.rmtree(out / "checkpoint")
    except Timeout:
        raise JobError(f"another process is writing {out}. Wait until it ends, or name another folder.") from None
    finally:
        ray.shutdown()
    return done | {"seconds": round(time.monotonic() - start)}


def read_table(table):
    """Return the paths in a table (list of str), each there once."""
    try:
        columns = list(pd.read_csv(table, nrows=0).columns)
    except (OSError, ValueError) as error:
        raise JobError(f"{table} can't be read as a table ({error}). It is a CSV file with a column path.") from None
    if "path" not in columns:
        raise JobError(f"{table} has no column path; it has {', '.join(columns)}. Rename the one of the photos.")
    paths = pd.read_csv(table, usecols=["path"], dtype=str, keep_default_na=False)["path"]
    if not len(paths):
        raise JobError(f"{table} has no rows. Each photo needs one.")
    wrong = paths[paths.duplicated() | (paths == "")]
    if len(wrong):
        what = f"{len(wrong)} rows that are empty or name a photo again, such as row {wrong.index[0] + 2}"
        raise JobError(f"{table} has {what}. Each photo needs one row.")
    return paths.tolist()


def features(module, photos, image_size=None):
    """Return what an actor needs to run a module as features.extract does, and what the module is known by."""
    label, folder, identity = modules.identified(module)
    trained_on = modules.catalogue().get(module, {"input_size": 224})["input_size"]
    if not trained_on:
        raise JobError(f"{module} reads text, not photos. Name an image module.")
    size = image_size or trained_on
    engine, start = engines.chosen(label, folder, identity, size, photos)
    return {"start": start, "size": size, "names": None}, f"{identity}, {engine}"


def predictions(folder, photos, image_size=None):
    """Return what an actor needs to run a model of lesson 09, model.tflite and names.txt, and what it is known by."""
    file, names = Path(folder, "model.tflite").resolve(), Path(folder, "names.txt")
    if not (file.is_file() and names.is_file()):
        raise JobError(f"{folder} has no model.tflite with names.txt beside it. Lesson 09 writes both to build/phone.")
    told = engines.interpreter(1, model_path=str(file))
    taken, given = told.get_input_details()[0], told.get_output_details()[0]
    names = names.read_text(encoding="utf-8").splitlines()
    if image_size not in (None, taken["shape"][1]):
        raise JobError(f"{file} was made for photos of {taken['shape'][1]} pixels: leave the image size out.")
    if taken["dtype"] != np.float32 or given["shape"][-1] != len(names):
        what = f"{taken['dtype'].__name__} photos and {given['shape'][-1]} classes, with {len(names)} names beside it"
        raise JobError(f"{file} has {what}. This job runs a float32 model with a name for each class.")
    model = {"start": functools.partial(predictor, str(file)), "size": int(taken["shape"][1]), "names": names}
    return model, cache.content_hash(file).hex()


def predictor(file):
    """Start a LiteRT file of photos in [0, 1]; return its function of uint8 [n, size, size, 3]."""
    model = engines.interpreter(1, model_path=file)
    taken, given = model.get_input_details()[0]["index"], model.get_output_details()[0]["index"]

    def run(pixels):
        rows = []
        for photo in pixels:
            model.set_tensor(taken, photo[np.newaxis] / np.float32(255))
            model.invoke()
            rows.append(model.get_tensor(given)[0])
        return np.array(rows)

    return run


def check_folder(out, about):
    """Raise JobError for a folder that isn't this job's."""
    told = out / "job.json"
    if not told.exists():
        if out.exists() and any(path.name != "lock" for path in out.iterdir()):
            raise JobError(f"{out} is not empty, and no job wrote it. Name a folder that isn't there yet.")
        return
    before = json.loads(told.read_text())
    if other := [f"{key} {before.get(key)} there, {about[key]} now" for key in about if before.get(key) != about[key]]:
        raise JobError(f"{out} belongs to another job ({'; '.join(other)}). Name another folder, or delete this one.")


def connect(address):
    """Connect to the cluster at an address, or start Ray on this machine alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options = {"log_to_driver": False, "logging_level": "ERROR"}
    if not address:
        # Only this machine reaches its loopback address; there Ray asks for the token that it keeps in ~/.ray.
        options |= {"_node_ip_address": "127.0.0.1", "include_dashboard": False, "object_store_memory": STORE}
        # A core more than there is, for tasks that read and write while an actor sits on each of the others.
        options |= {"num_cpus": os.cpu_count() + 1}
    cure = "Check the address, start a cluster with `ray start --head`, or leave it out to use this machine"
    try:
        if address:
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=5).close()
        try:
            ray.init(address or "local", **options)
        except Exception:  # Ray waits 30 s for its own processes, which a busy machine may need to load them
            ray.shutdown()
            ray.init(address or "local", **options)
    except Exception as error:  # where a node doesn't start in time, Ray raises no other
        where, cure = (f"at {address}", cure) if address else ("on this machine", "End other programs, and run again")
        why = " ".join(str(error).split())[:200]
        raise JobError(f"no Ray cluster answers {where} ({why}). {cure}.") from None


def alive():
    """Return the nodes that are there (list of dict)."""
    return [node for node in ray.nodes() if node["Alive"]]


def check_nodes(needed, about):
    """Raise JobError where a node has another version of a package, or does not see a file."""

    @ray.remote(num_cpus=0)
    def look():
        return versions(), [path for path in needed if not os.path.exists(path)]

    there = alive()
    on = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in there]
    found = ray.get([look.options(scheduling_strategy=each).remote() for each in on])
    names = [node["NodeManagerAddress"] for node in there]
    if faults := node_faults(names, found, about):
        raise JobError("\n".join(faults))


def node_faults(names, found, about):
    """Return what keeps nodes from taking part (list of str); found: of each, its versions and the files it misses."""
    faults = []
    for node, (there, missing) in zip(names, found, strict=True):
        for package, version in there.items():
            if version != about[package]:
                why = f"node {node} has {package} {version}, this machine {about[package]}, and their numbers differ"
                faults.append(f"{why}. Install the same lock on every node.")
        for path in missing:
            faults.append(f"node {node} doesn't see {path}. Put it on storage that all nodes share.")
    return faults


def count(paths, out):
    """Return how many photos are bad; RuntimeError unless each path of the table is in the result once."""
    found = pa.dataset.dataset(f"{out}/photos", partitioning="hive", format="parquet")
    rows = found.to_table(columns=["path", "result"]).to_pandas()
    gaps, doubles = len(set(paths) - set(rows["path"])), int(rows["path"].duplicated().sum())
    if gaps or doubles or len(rows) != len(paths):
        raise RuntimeError(f"{out} lacks {gaps} photos and has {doubles} twice. Delete it and run again.")
    return int((rows["result"] == "bad").sum())


def write(path, told):
    """Write JSON whole or not at all."""
    cache.replace(path, (json.dumps(told, indent=1) + "\n").encode())


def main(arguments=None):
    """Run one job; a problem that a person can fix ends in one message, without a traceback."""
    parser = argparse.ArgumentParser(prog="python -m scale.job", description=__doc__.splitlines()[0])
    parser.add_argument("job", choices=DEFAULTS)
    parser.add_argument("table", type=Path, help="a CSV file with a column path")
    parser.add_argument("out", type=Path, help="the folder to write")
    what = "a catalogue name or a SavedModel folder, for predictions a folder of lesson 09"
    parser.add_argument("--model", dest="name", help=f"{what} (default: {' or '.join(DEFAULTS.values())})")
    parser.add_argument("--address", help="host:port of a cluster (default: RAY_ADDRESS, or this machine alone)")
    parser.add_argument("--actors", type=int, help="models that run at a time (default: nearly one for each core)")
    parser.add_argument("--image-size", type=int, help="in pixels (default: what the module was trained on)")
    try:
        done = run(**vars(parser.parse_args(arguments)))
    except (RuntimeError, ValueError, OSError) as error:  # JobError, and what sources.engines and Ray raise
        sys.exit(f"{type(error).__name__}: {error}")
    where = f"{done['actors']} actors on {done['nodes']} node{'s' * (done['nodes'] > 1)}"
    print(f"{done['photos']:,} photos, {done['bad']} of them bad: {done['seconds']} s with {where}.")


if __name__ == "__main__":
    main()
