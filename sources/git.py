"""Photos out of a public git repository at a pinned commit: first the names of all files, then what some of them hold.

That is a partial clone with a sparse checkout, without the working tree: names that a file system may refuse do no
harm, and they are compared with the catalogue before a photo is downloaded. git checks every object against its hash.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path, PurePosixPath

from sources import cache, fetch
from sources.photo_files import PhotoError

PATIENCE = 120  # seconds without a new byte after which a connection counts as stalled
OFFLINE = "it is not in the cache, and COURSE_OFFLINE forbids to fetch it", "Unset COURSE_OFFLINE"
NEWER = "Look for a newer version of this course"
_TOO_OLD = "it needs git 2.29 or newer (partial clones)", "Install it"
_FAULTS = {  # what git prints: why that is, what to do
    "unknown option|usage: git": _TOO_OLD,
    "not our ref|unadvertised object|find remote ref": ("the commit that data/photos.toml names is gone", NEWER),
    "read Username|Authentication failed|not found|returned error:|not appear to be a git": (
        "the host refuses it, or the repository is gone",
        "Try again later, or from another network",
    ),
    "early EOF|hung up|disconnect|RPC failed|reset by peer|reply|closed": ("the connection was cut", "Try again"),
    "|".join(["unable to", "Could not resolve", "Failed to connect", fetch.NO_NETWORK.pattern]): (
        "git reached no network",
        "Connect (or set up git's proxy) and try again",
    ),
}


@contextlib.contextmanager
def opened(origin, parent):
    """Fetch the names of all files of a commit; give {PurePosixPath: object id} and a function read(paths, size).

    origin: dict with url, commit (40 hex digits) and names_size (bytes, for the bar). parent: the folder (Path) that
    holds the clone meanwhile. Files of one content have one id. read fetches some files, about size bytes in all, and
    iterates over what they hold (bytes). Raises PhotoError, with the cure: no git or an old one, COURSE_OFFLINE, too
    small a disk, no network, a host that refuses, stalls or cuts the connection, a commit that is gone.
    """
    if os.environ.get("COURSE_OFFLINE"):
        refuse(origin, *OFFLINE)
    if not shutil.which("git"):
        refuse(origin, *_TOO_OLD)
    with tempfile.TemporaryDirectory(dir=parent) as clone:
        if [int(part) for part in re.findall(rb"\d+", _local(clone, "version"))[:2]] < [2, 29]:
            refuse(origin, *_TOO_OLD)
        _local(clone, "init", "--quiet", "--bare", "--template=", ".")
        _local(clone, "remote", "add", "origin", origin["url"])
        _fetch(origin, clone, [origin["commit"]], origin["names_size"], "names", "--depth=1")
        lines = _local(clone, "ls-tree", "-r", "-z", origin["commit"]).decode(errors="surrogateescape").split("\0")
        facts = (line.partition("\t") for line in lines if line)
        ids = {PurePosixPath(path): mode_type_id.split()[2] for mode_type_id, _, path in facts}
        yield ids, lambda paths, size: _read(origin, clone, [ids[path] for path in paths], size)


def refuse(origin, why, cure, error=None):
    """Raise the PhotoError that says why an origin can't be used, and what to do next."""
    raise PhotoError(
        f"{origin['url']} can't be used: {why}. Nothing was left in the cache. {cure}; or get the photos by other "
        "means and name their folder, one folder of photos per class."
    ) from error


def _read(origin, clone, ids, size):
    if shutil.disk_usage(clone).free < 3 * size:
        needs = f"it needs {3 * size / 1e6:.0f} MB of disk in {cache.root()}; there is less"
        refuse(origin, needs, "Make room, or set COURSE_CACHE to a folder that has it")
    _fetch(origin, clone, ids, size, "photos")
    with (
        _lines(ids) as asked,
        subprocess.Popen([*_git(clone), "cat-file", "--batch"], stdin=asked, stdout=subprocess.PIPE) as process,
    ):
        for _ in ids:
            yield process.stdout.read(int(process.stdout.readline().split()[2]))
            process.stdout.read(1)  # the line's end behind each content


def _fetch(origin, clone, ids, size, what, *options):
    command = [*_git(clone), "fetch", "--filter=blob:none", "--no-tags", "--progress", *options, "--stdin", "origin"]
    label = f"{origin['url'].rsplit('/', 1)[-1]}: {what}"
    # Never a question for a password, which nobody would see; and messages in English, which _FAULTS knows.
    environment = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "LC_ALL": "C"}
    with _lines(dict.fromkeys(ids)) as asked:
        code, output = fetch.watched(command, Path(clone), size, label, asked, PATIENCE, environment)
    if code is None:
        refuse(origin, f"nothing came for {PATIENCE} seconds", "Try again, or later")
    if code:
        said = [line for line in output.splitlines() if re.search("fatal|error|usage", line)] or ["nothing"]
        faults = (fault for signs, fault in _FAULTS.items() if re.search(signs, "\n".join(said), re.IGNORECASE))
        why, cure = next(faults, ("git failed", "Try again"))
        refuse(origin, f"{why} (git says: {said[0]})", cure)


@contextlib.contextmanager
def _lines(ids):
    with tempfile.TemporaryFile() as file:
        file.write("".join(f"{each}\n" for each in ids).encode())
        file.seek(0)
        yield file


def _local(clone, *arguments):
    return subprocess.run([*_git(clone), *arguments], capture_output=True, check=True).stdout


def _git(clone):
    return ["git", "-C", clone, "--git-dir=.", "-c", "gc.auto=0", "-c", "fetch.negotiationAlgorithm=noop"]
