"""Where prepared things live, and how they get there whole or not at all."""

import errno
import hashlib
import os
import shutil
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).resolve().parent.parent
built = []  # what this process has prepared; a second run leaves it empty


def root():
    """The cache folder (Path): $COURSE_CACHE, which a class may share, or data/cache of this course."""
    return Path(os.environ.get("COURSE_CACHE") or ROOT / "data" / "cache").expanduser().absolute()


def prepared(name, build):
    """Return the folder root()/name (Path), built on first use.

    build: function of one Path, an empty folder that it fills. The folder takes its final name only once build has
    returned: an error or an interrupt leaves nothing behind that looks finished. One process builds, others wait.
    Raises OSError with a cure where the cache can't be written.
    """
    target = root() / name
    if target.exists():
        return target
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if not target.exists():
                shutil.rmtree(part, ignore_errors=True)  # what a killed process left
                part.mkdir()
                try:
                    build(part)
                    part.rename(target)
                finally:
                    shutil.rmtree(part, ignore_errors=True)
                built.append(str(name))
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise PermissionError(
            f"{name} is not prepared yet, and the cache {root()} can't be written. Where a class shares it, its owner "
            "runs `python -m course prepare` once; or set COURSE_CACHE to a folder of your own."
        ) from error
    return target


def content_hash(path):
    """Return a file's content as a short hash (bytes)."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "blake2b").digest()[:16]
