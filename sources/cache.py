"""Where prepared things are kept, how they get there whole or not at all, and whether they still are."""

import contextlib
import datetime
import errno
import functools
import hashlib
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
built = []  # what this process has prepared; a second run leaves it empty


class DamagedError(RuntimeError):
    """A folder of the cache is not as it was written. The message names it, a file of it, and the cure."""


def root() -> Path:
    """Return the cache folder: $COURSE_CACHE, which a class may share, or data/cache of this course."""
    return Path(os.environ.get("COURSE_CACHE") or ROOT / "data" / "cache").expanduser().absolute()


def prepared(name: str, build: Callable[[Path], object]) -> Path:
    """Return the folder root()/name, built on first use.

    The folder takes its final name only once build has returned: an error or an interrupt leaves nothing behind that
    looks finished. One process builds, the others say for whom they wait. What was written is recorded, and what is
    there is compared with it: quickly, as by `verify`.

    Args:
        name: its path below root().
        build: fills the empty folder that it is given.

    Raises:
        DamagedError: the folder is there, and is not as it was written.
        PermissionError: the cache can't be written; the message has the cure.
        OSError: the disk is full; so does this one.
    """
    target = root() / name
    if target.exists():
        if not str(name).startswith("engines/"):  # sources.engines makes a damaged one again
            check(target)
        return target
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.with_name(f".{target.name}.lock"), name):
            if not target.exists():
                shutil.rmtree(part, ignore_errors=True)  # what a killed process left
                part.mkdir()
                try:
                    build(part)
                    written = {path.relative_to(part).as_posix(): _described(path) for path in _files(part)}
                    _manifest(target).parent.mkdir(parents=True, exist_ok=True)
                    _manifest(target).write_text(json.dumps(written), encoding="utf-8")
                    part.rename(target)
                finally:
                    shutil.rmtree(part, ignore_errors=True)
                built.append(str(name))
    except Exception as error:
        if is_full(error):
            raise OSError(
                f"{name} can't be prepared, because a disk is full ({error}). Nothing of it was left. Make room in "
                f"{root()} and {tempfile.gettempdir()}, or set COURSE_CACHE and TMPDIR to folders that have it, and "
                "run again."
            ) from error
        if getattr(error, "errno", None) not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise PermissionError(
            f"{name} is not prepared yet, and the cache {root()} can't be written. Where a class shares it, its owner "
            "runs `python -m course prepare` once; or set COURSE_CACHE to a folder of your own."
        ) from error
    return target


def is_full(error: Exception) -> bool:
    """Return whether a disk or a quota is used up; TensorFlow, h5py and pip say it in words alone."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(
        os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EDQUOT)
    )


def replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, whoever else writes it, and whenever this process is killed."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def check(folder: Path) -> None:
    """Compare a folder of the cache with what was written, quickly, as by `verify`; DamagedError if it is another."""
    if fault := _fault(folder, quick=True):
        raise DamagedError(fault)


def verify(quick: bool = False) -> list[str]:
    """Compare every file of the cache with what was written; return what is wrong, each with its cure.

    Args:
        quick: read only files whose size or time of change is not as it was written.
    """
    manifests = sorted((root() / "written").rglob("*.json"))
    folders = [root() / path.relative_to(root() / "written").with_suffix("") for path in manifests]
    # Somebody may have deleted a folder, which is allowed: it is built again.
    return [fault for folder in folders if folder.exists() and (fault := _fault(folder, quick))]


def _fault(folder, quick):
    manifest = _manifest(folder)
    if not manifest.exists():
        return None
    try:
        written = json.loads(manifest.read_text(encoding="utf-8"))
        wrong = [name for name, told in written.items() if not _is_as(folder / name, quick, *told)]
    except (ValueError, AttributeError, TypeError):
        wrong = [str(manifest)]
    if not wrong:
        return None
    more = f" and {len(wrong) - 1} more files" if len(wrong) > 1 else ""
    return f"{folder} is damaged ({wrong[0]}{more}). Delete it and run again."


def waits(what: str, holder: str, lock: Path) -> str:
    """Return the sentence for a person whose process waits for a lock."""
    return f"{what}: waiting for {holder}. If that process is gone, delete {lock} and run again."


def hub_lock(folder: Path) -> str | None:
    """Return who is downloading a module of TensorFlow Hub into folder, and which file to delete if that process is
    gone; None where nobody is.
    """
    lock = Path(f"{folder}.lock")
    try:
        host, process, _ = lock.read_text().rsplit(".", 2)
    except FileNotFoundError:
        return None
    except ValueError:
        host, process = "an unknown machine", "unknown"
    since = datetime.datetime.fromtimestamp(lock.stat().st_mtime).isoformat(" ", "minutes")
    return waits(folder.name, f"process {process} on {host}, since {since}", lock)


def content_hash(path: Path) -> bytes:
    """Return a short hash of a file's content."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "blake2b").digest()[:16]


@contextlib.contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    """Hold a lock; beside it, for those who wait, is who holds it (the lock itself is emptied by each who asks)."""
    from filelock import FileLock, Timeout  # doctor asks for the cache on a Python that has no packages yet

    lock, holder = FileLock(path), path.with_suffix(".holder.lock")
    try:
        lock.acquire(timeout=1)
    except Timeout:
        told = holder.read_text() if holder.exists() else "another process"
        print(waits(name, told, path), file=sys.stderr, flush=True)
        lock.acquire()
    try:
        now = datetime.datetime.now().isoformat(" ", "minutes")
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}, since {now}")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _manifest(target):
    return root() / "written" / f"{target.relative_to(root())}.json"


def _files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _described(path):
    found = path.stat()
    return [found.st_size, content_hash(path).hex(), found.st_mtime_ns]


def _is_as(path, quick, size, digest, changed=None):
    try:
        found = path.stat()
        if not path.is_file() or found.st_size != size:
            return False
        if not quick:
            return content_hash(path).hex() == digest
        as_written = changed in (None, found.st_mtime_ns)  # None: an earlier version of the course did not note it
        return as_written or _hash_of(path, found.st_mtime_ns, found.st_ino) == digest
    except OSError:
        return False


@functools.lru_cache(10_000)
def _hash_of(path, changed, inode):
    """Return a file's hash; a cache that was copied without its times is read once in a process."""
    return content_hash(path).hex()
