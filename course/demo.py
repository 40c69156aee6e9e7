"""python -m course demo [MODEL]: a page that names photos in the browser, built and served."""

import functools
import http.server
import os
import socket
from pathlib import Path

from course import photo_page
from course.paths import BUILD, CourseError

OWN = [BUILD / "species", BUILD / "phone"]  # where lessons 04 and 09 write a model


def demo(
    model: str | None = None,
    photo_set: str | None = None,
    build_only: bool = False,
    local_network: bool = False,
    port: int = 8000,
) -> None:
    """Build the page into build/demo and serve it until Ctrl+C.

    Args:
        model: the folder that lesson 04 exports, or the LiteRT file of lesson 09; by default whichever is newer.
        photo_set: what it was trained on, a set's name or a folder; by default the packaged set that has its classes.
        build_only: don't serve it.
        local_network: let other devices open it, a phone for instance.
        port: where it is served.

    Raises:
        CourseError: there is no such model, or the port is taken.
        ValueError: the model can't be used for photos of its classes.
    """
    folder = photo_page.build(Path(model).expanduser() if model else _newest(), photo_set)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"Built {os.path.relpath(folder)}, {size / 1e6:.1f} MB.")
    if not build_only:
        _serve(folder, local_network, port)


def _newest():
    found = [path for folder in OWN for path in (folder / "saved_model.pb", folder / "model.tflite")]
    if not (found := [path for path in found if path.exists()]):
        raise CourseError(
            "there is no model yet. Lesson 04 exports one to build/species and lesson 09 one to build/phone: run one "
            "of them, `python -m course run 04` for instance. Or name yours: python -m course demo MODEL"
        )
    return max(found, key=lambda path: path.stat().st_mtime).parent


class _Page(http.server.SimpleHTTPRequestHandler):
    """Serves a folder with the types that a browser insists on, and without a line for each file."""

    extensions_map = {  # noqa: RUF012
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".tflite": "application/octet-stream",
    }

    def end_headers(self):
        self.send_header("Cache-Control", "no-cache")  # a page that was built again is shown at once
        super().end_headers()

    def log_message(self, *_):
        pass


def server(folder: Path, local_network: bool = False, port: int = 0) -> http.server.ThreadingHTTPServer:
    """Return what serves a folder on this machine, or on all of its networks; port 0 takes a free one."""
    page = functools.partial(_Page, directory=folder)
    return http.server.ThreadingHTTPServer(("" if local_network else "127.0.0.1", port), page)


def _serve(folder, local_network, port):
    try:
        serving = server(folder, local_network, port)
    except OSError as error:
        raise CourseError(f"port {port} can't be used ({error.strerror}). Add --port {port + 1}.") from None
    with serving:
        print(f"Open http://127.0.0.1:{serving.server_port}/", flush=True)
        if local_network:
            address = f"http://{_address()}:{serving.server_port}/"
            print(f"On a phone in the same network: {address} (anybody in this network can open the page)", flush=True)
        print("Ctrl+C ends it.", flush=True)
        serving.serve_forever()


def _address():
    """Return this machine's address in its network; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation: only the way there is looked up
        except OSError:
            return "127.0.0.1"
        return probe.getsockname()[0]
