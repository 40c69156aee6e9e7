"""Run a module over many photos or texts, in batches."""

import contextlib
import hashlib
import io
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from sources import cache, engines, photo_files, progress

SHARD = 512  # photos; as many vectors at most are lost where a process is killed
MANY = 1000  # photos from which on their contents are remembered by size and time of change
ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND\xaeB`\x82"}  # how whole JPEG and PNG files begin and end


def of_photos(
    start: Callable[[], engines.Run],
    paths: Sequence[Path],
    size: int,
    batch_size: int,
    title: str,
    target: Path,
    half: Path,
) -> None:
    """Run an engine over photo files and write float32 [n, d] to target, an .npy file.

    Every thread decodes a batch and runs it, so memory holds as many batches as there are threads, however many photos.
    Vectors are kept in half, a folder, a shard at a time: the next call goes on from there.

    Args:
        start: starts the engine; files that were cut off are refused before.
        paths: of n photos.
        size: height and width in pixels.
        batch_size: photos that a thread decodes at a time.
        title: of the progress bar.
        target: the file to write.
        half: of these photos and this engine alone.

    Raises:
        PhotoError: photos can't be decoded; it names them.
    """
    _refuse([path for path in paths if _may_be_cut(path)], paths)
    run = start()
    shards = [paths[first : first + SHARD] for first in range(0, len(paths), SHARD)]
    done = [(half / f"{number}.npy").exists() for number in range(len(shards))]
    kept = sum(len(shard) for shard, there in zip(shards, done, strict=True) if there)
    bar = progress.bar(len(paths), title, "photo", initial=kept)

    def work(batch):
        try:
            vectors = run(np.stack([photo_files.read(path, size) for path in batch]))
        except photo_files.PhotoError:
            _refuse(batch, paths)
            raise
        bar.update(len(batch))
        return vectors

    with ThreadPoolExecutor(engines.threads()) as pool, bar:
        for number, shard in enumerate(shards):
            if not done[number]:
                batches = [shard[first : first + batch_size] for first in range(0, len(shard), batch_size)]
                vectors = np.concatenate(list(pool.map(work, batches)))
                half.mkdir(parents=True, exist_ok=True)
                np.save(half / "part.npy", vectors)
                (half / "part.npy").rename(half / f"{number}.npy")
    _join([half / f"{number}.npy" for number in range(len(shards))], len(paths), target)
    shutil.rmtree(half)


def _join(files, count, target):
    """Copy shards into one file; memory holds one of them."""
    shape = count, np.load(files[0], mmap_mode="r").shape[1]
    with open(target, "wb") as whole:  # through a memory map, a full disk would end Python without a word
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(whole, header)
        for file in files:
            whole.write(np.load(file).astype("<f4", copy=False).tobytes())


def _may_be_cut(path):
    """Tell by its last bytes; some whole files, too, have bytes of their maker after their end."""
    with open(path, "rb") as file:
        head, length = file.read(2), file.seek(0, os.SEEK_END)
        file.seek(max(0, length - 16))
        return head not in ENDS or ENDS[head] not in file.read()


def _refuse(suspects, paths):
    if broken := photo_files.faults(suspects):  # the reader hears of all of them at once
        raise photo_files.undecodable(broken, len(paths))


def contents(paths: Sequence[Path]) -> bytes:
    """Return what the contents of photo files are known by, in their order.

    Of many photos only those are read whose size or time of change is another than when they were last read.
    """
    if len(paths) < MANY:
        return b"".join(map(cache.content_hash, paths))
    # The time of change is two: programs set the first, such as a backup that restores it; the second nobody sets.
    stats = np.array([(found.st_size, found.st_mtime_ns, found.st_ctime_ns) for found in map(os.stat, paths)])
    names = hashlib.sha256("\0".join(["2", *map(str, paths)]).encode()).hexdigest()
    memory = cache.root() / "contents" / f"{names[:16]}.npz"
    hashes, known = np.zeros((len(paths), 16), np.uint8), np.zeros(len(paths), bool)
    if memory.exists():
        kept = np.load(memory)
        hashes = kept["hashes"]  # a file that changed within two seconds of its reading may have changed again
        known = (kept["stats"] == stats).all(axis=1) & (stats[:, 1] < kept["read"] - 2e9)
    read, rows = time.time_ns(), np.flatnonzero(~known)
    if len(rows):
        with ThreadPoolExecutor(engines.threads()) as pool:
            read_now = pool.map(cache.content_hash, [paths[row] for row in rows])
            with progress.bar(len(rows), "contents", "photo", iterable=read_now) as found:
                hashes[rows] = [list(each) for each in found]
        kept = io.BytesIO()
        np.savez(kept, hashes=hashes, stats=stats, read=read)
        with contextlib.suppress(OSError):  # in a cache that can't be written they are read again next time
            memory.parent.mkdir(parents=True, exist_ok=True)
            cache.replace(memory, kept.getvalue())
    print(
        f"{len(paths):,} photos: {len(rows):,} read, the others unchanged in size and time of change", file=sys.stderr
    )
    return hashes.tobytes()


def of_texts(folder: str, texts: Sequence[str], batch_size: int, label: str) -> np.ndarray:
    """Run the module in a folder over texts: float32 [n, d].

    Short texts come first, since a batch is as wide as its longest text. Raises ValueError for a module that does not
    give a vector for each.
    """
    import tensorflow as tf

    from sources import saved_models

    module = saved_models.load(folder)
    order = np.argsort([len(text) for text in texts], kind="stable")
    parts, bar = [], progress.bar(len(texts), f"{label} vectors", "text")
    with bar:
        for start in range(0, len(texts), batch_size):
            rows = order[start : start + batch_size]
            output = module(tf.constant([texts[row] for row in rows]))
            if not (tf.is_tensor(output) and output.shape.rank == 2):
                raise ValueError(f"{folder} gives {output} for a batch of texts; a vector each, [n, d], is needed.")
            parts.append(output.numpy())
            bar.update(len(rows))
    return np.concatenate(parts)[np.argsort(order)]
