"""Scratch folders for the drills, what stages start from in them, and the package index that they install from."""

import contextlib
import hashlib
import http.server
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from pathlib import Path

from sources import catalogues, fetch

ROOT, BASE = Path(__file__).resolve().parents[2], Path(tempfile.gettempdir(), f"drills-{os.getpid()}")
SEED, WHEEL, SOURCE = 20, "petal-1.0-py3-none-any.whl", "thorn-1.0.tar.gz"
START = {  # what a stage starts from, of what `base` has made
    "extract": ("module", "cache/engines"),
    "refresh": ("notebooks", "docs"),
    "grade": ("assignments", "handed in", "release.ipynb", "tests.db"),
    "export": ("exported",),
    "install": ("course",),
    "prepare": ("cache/downloads",),
}


class Index(http.server.BaseHTTPRequestHandler):
    """A package index. The first folder of an address says how it serves: whole, lying, cut, stalled or endless."""

    def do_GET(self):
        """Answer with links, or with a file."""
        way, name = self.path.strip("/").split("/", 1)
        links = "".join(f'<a href="/{way}/{path.name}">{path.name}</a>' for path in (BASE / "index").glob(f"{name}-*"))
        content = links.encode() or (BASE / "index" / name).read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if links else "application/octet-stream")
        self.send_header("Content-Length", str(10**12 if way == "endless" and not links else len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            if links or way == "whole":
                self.wfile.write(content)
            elif way == "lying":
                self.wfile.write(bytes(len(content)))
            else:
                self.wfile.write(content[: len(content) // 2])
                while way == "endless":
                    self.wfile.write(bytes(1 << 20))
                time.sleep(60 * (way == "stalled"))

    def log_message(self, *_):
        """Say nothing."""


SERVER = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
threading.Thread(target=SERVER.serve_forever, daemon=True).start()


def index(way: str = "whole") -> str:
    """Return the address of an index that serves in a way."""
    return f"http://127.0.0.1:{SERVER.server_port}/{way}/"


def pin(name: str, **more) -> str:
    """Return a package of the index as a catalogue has it, as JSON."""
    content = (BASE / "index" / name).read_bytes()
    found = {"client": "pip", "package": name.split("-")[0], "version": "1.0", "size": len(content)}
    return json.dumps(found | {"sha256": hashlib.sha256(content).hexdigest(), "source": name == SOURCE} | more)


@contextlib.contextmanager
def scratch(stage: str):
    """Give a folder with what a stage starts from."""
    with tempfile.TemporaryDirectory(prefix="drill-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in START.get(stage, ()):
            (folder / part).parent.mkdir(exist_ok=True)
            (shutil.copytree if (BASE / part).is_dir() else shutil.copy2)(BASE / part, folder / part)
        (folder / "photos").symlink_to(BASE / "photos")
        for part in ("log", "tmp", "cache"):
            (folder / part).mkdir(exist_ok=True)
            (folder / part).chmod(0o755 if part == "cache" else 0o777)
        yield folder


def run(stage: str, folder: Path, around=(), after: float | None = None, **more) -> dict:
    """Run a stage in a folder; return what it has noted, and its exit code.

    Args:
        stage: a function of stages.py.
        folder: of `scratch`.
        around: the start of its command line, such as another user's.
        after: seconds after which it is killed.
        **more: settings for its environment.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "COURSE_"))}
    own = {"COURSE_CACHE": folder / "cache", "TMPDIR": folder / "tmp", "DRILL": folder, "TQDM_DISABLE": 1}
    own |= {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tests' / 'classroom'}", "TF_CPP_MIN_LOG_LEVEL": 3}
    own |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index(), "UV_CACHE_DIR": BASE / "uv"}
    settings = kept | {name: str(value) for name, value in (own | more).items()}
    before = len(noted(stage, folder))
    command = [*around, sys.executable, "-m", "tests.drills.stages", stage, folder]
    with open(folder / "log" / "output.txt", "a") as output:
        process = subprocess.Popen(list(map(str, command)), cwd=ROOT, env=settings, stdout=output, stderr=output)
        if after is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(after)
            process.kill()
        code = process.wait()
    return {"code": code} | (noted(stage, folder)[before:] or [{}])[-1]


def noted(stage: str, folder: Path) -> list[dict]:
    """Return what a stage has noted in a folder, each time that it ended."""
    notes = folder / "log" / f"{stage}.jsonl"
    return [json.loads(line) for line in notes.read_text("utf-8").splitlines()] if notes.exists() else []


def photos(folder: Path, count: int) -> None:
    """Write small bitmaps of noise into two classes; all are of one size in bytes."""
    from PIL import Image

    draw, stream = random.Random(SEED), io.BytesIO()
    Image.new("RGB", (24, 24)).save(stream, "BMP")
    for name in ("Dahlie", "Gänseblümchen"):
        (folder / name).mkdir(parents=True)
        for number in range(count // 2):
            (folder / name / f"{number}.bmp").write_bytes(stream.getvalue()[:54] + draw.randbytes(24 * 24 * 3))


def base() -> None:
    """Make what the stages start from: an index of packages, a small course to install, photos, what `make` makes."""
    for name in ("index", "course/requirements", "cache", "log", "tmp"):
        (BASE / name).mkdir(parents=True)
    files = {f"petal/part_{number}.py": f"number = {number}\n" * 50 for number in range(300)}
    files["petal-1.0.dist-info/METADATA"] = "Metadata-Version: 2.1\nName: petal\nVersion: 1.0\n"
    files["petal-1.0.dist-info/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files["petal-1.0.dist-info/RECORD"] = "".join(f"{name},,\n" for name in files) + "petal-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(BASE / "index" / WHEEL, "w") as file:
        for name, text in files.items():
            file.writestr(name, text)
    with zipfile.ZipFile(BASE / "index" / "uv-1.0-py3-none-any.whl", "w") as file:  # the course's own, packed again
        file.write(ROOT / ".uv" / "bin" / "uv", "uv-1.0.data/scripts/uv")
        for name in ("METADATA", "WHEEL", "RECORD"):
            text = files[f"petal-1.0.dist-info/{name}"].replace("petal", "uv")
            file.writestr(f"uv-1.0.dist-info/{name}", text if name != "RECORD" else "")
    harm = f"open({str(BASE / 'harm')!r}, 'w').write('harm')\nimport setuptools\nsetuptools.setup(name='thorn')\n"
    info = tarfile.TarInfo("thorn-1.0/setup.py")
    info.size = len(harm)
    with tarfile.open(BASE / "index" / SOURCE, "w:gz") as file:
        file.addfile(info, io.BytesIO(harm.encode()))
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "setuptools"]
    subprocess.run(pip, cwd=BASE / "index", check=True)
    for lock, names in {"core": ("petal", "setuptools"), "uv": ("uv",)}.items():
        pins = ""
        for path in (next((BASE / "index").glob(f"{name}-*.whl")) for name in names):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            pins += f"{'=='.join(path.name.split('-')[:2])} --hash=sha256:{digest}\n"
        (BASE / "course" / "requirements" / f"{lock}.txt").write_text(pins)
    project = "[project]\nname = 'garden'\nversion = '1.0'\n[tool.setuptools]\npackages = []\n"
    (BASE / "course" / "pyproject.toml").write_text(project)
    photos(BASE / "photos", 2000)
    package = fetch.fetch(catalogues.entries("modules")["mobilenet_v2"]["origins"][0]).parent
    shutil.copytree(package, BASE / "cache" / "downloads" / package.name)
    note = run("make", BASE)
    if "made" not in note:
        sys.exit(f"The drills can't start: {note} {(BASE / 'log' / 'output.txt').read_text()}")
