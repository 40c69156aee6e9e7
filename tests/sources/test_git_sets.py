"""The sets at size, against local repositories laid out like the real ones; nothing outside this machine is asked."""

import contextlib
import copy
import csv
import functools
import hashlib
import http.server
import io
import json
import os
import re
import socket
import stat
import subprocess
import tarfile
import threading
import time
import types
import uuid
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import photos
from sources import cache, catalogues, git, photo_folders
from sources.recipes import large_sets

LARGE = Path(__file__).resolve().parents[3] / "shared" / "large"
CROPS = ("maize", "apple", "grape", "pepper", "potato", "tomato")
VILLAGE = "https://github.com/spMohanty/PlantVillage-Dataset"
DOC = "https://github.com/pratikkayal/PlantDoc-Dataset"


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """Each test has a cache of its own, and git knows nothing of this machine's settings."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COURSE_OFFLINE", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def left_in_the_cache():
    """Return what a build has left (list of str), without the lock files."""
    return [path.name for path in cache.root().rglob("*") if path.suffix != ".lock" and path.name != "photos"]


@functools.cache
def picture(seed, kind="JPEG"):
    """Return a small photo (bytes), another one for each seed."""
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 20, 3), dtype=np.uint8)).save(stream, kind)
    return stream.getvalue()


def publish(files, folder):
    """Write {path: content} as a repository that may be cloned in part; return (bare folder, commit)."""
    for path, content in files.items():
        (folder / "work" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "work" / path).write_bytes(content)

    def run(*command):
        return subprocess.run(["git", "-C", folder, *command], check=True, capture_output=True, text=True).stdout

    run("init", "--quiet", "work")
    run("-C", "work", "add", "--all")
    run("-C", "work", "-c", "user.name=x", "-c", "user.email=x@x", "commit", "--quiet", "-m", "photos")
    run("clone", "--quiet", "--bare", "work", "bare")
    run("-C", "bare", "config", "uploadpack.allowFilter", "true")
    run("-C", "bare", "config", "uploadpack.allowAnySHA1InWant", "true")
    return folder / "bare", run("-C", "work", "rev-parse", "HEAD").strip()


@pytest.fixture
def answered_by(monkeypatch):
    """Give a function that makes git ask a folder or an address where it would ask a repository's address."""

    def redirect(url, by):
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{by}.insteadOf")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", url)

    return redirect


def card_of(name, commit=None, **changes):
    """Return a set's card with another commit."""
    card = copy.deepcopy({"name": name, **catalogues.entries("photos")[name], **changes})
    if commit:
        card["origins"][0]["commit"] = commit
    return card


def load(card):
    """Return the parts of a set as photos.load reads them."""
    return photo_folders.load(large_sets.folder(card))


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def village(tmp_path_factory):
    """Return (bare folder, commit, {(class, bare name): content}) of a PlantVillage that has grape's list and more.

    Half of the names have a UUID in front, as in the copies of the set; suffixes differ in case. The photos are real
    where shared/large is beside this checkout.
    """
    card = card_of("grape_lab")
    folders = dict(zip(card["classes"], card["folders"], strict=True))
    real = {
        (path.parent.name, path.stem.rpartition("___")[2]): path
        for path in (LARGE / "plantvillage_grape").glob("*/*.jpg")
    }
    files, contents = {}, {}
    for number, row in enumerate(catalogues.rows(card["list"])):
        key = row["class"], row["file"]
        contents[key] = real[key].read_bytes() if key in real else picture(number)
        front = f"{uuid.UUID(int=number)}___" if number % 2 else ""
        files[f"raw/color/{folders[row['class']]}/{front}{row['file']}{'.JPG' if number % 3 else '.jpg'}"] = contents[
            key
        ]
    for number, name in enumerate(("Mt.N.V_HL 1", "Mt.N.V_HL 2", "Mt.N.V_HL 3", "Mt.N.V_HL 4")):
        files[f"raw/color/Grape___healthy/{name}.JPG"] = picture(9000 + number)
        files[f"raw/grayscale/Grape___healthy/{name}.JPG"] = picture(9100 + number)
    for number, place in enumerate(("Esca_(Black_Measles)", "Leaf_blight_(Isariopsis_Leaf_Spot)")):
        files[f"raw/color/Grape___{place}/FAM {number}.JPG"] = picture(9200 + number)
    files["raw/color/Corn_(maize)___Common_rust_/RS_Rust 1563.JPG"] = picture(9300)
    files["README.md"] = b"PlantVillage"
    files["leaf-map.json"] = json.dumps(
        {
            "mt.n.v_hl 1": ["Soybean___healthy:::7.0", "Grape___healthy:::12.0"],
            "mt.n.v_hl 2": ["Grape___healthy:::12.0"],
            "mt.n.v_hl 3": ["Soybean___healthy:::12.0"],
        }
    ).encode()
    return *publish(files, tmp_path_factory.mktemp("village")), contents


def test_a_laboratory_set_is_exactly_the_photos_of_its_list(village, answered_by):
    folder, commit, contents = village
    answered_by(VILLAGE, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = load(card_of("grape_lab", commit))
    assert np.bincount(found["labels"]).tolist() == [260, 272]
    assert [name[3:] for name in found["class_names"]] == ["black_rot", "healthy"]
    assert len(set(found["groups"])) == 99
    group_of = {(row["class"], row["file"]): row["group"] for row in catalogues.rows("sets/grape_lab.csv")}
    for path, label, group in zip(found["paths"], found["labels"], found["groups"], strict=True):
        key = ("black_rot", "healthy")[label], path.stem.rpartition("___")[2]
        assert path.read_bytes() == contents[key]
        assert group == group_of[key]
    assert sorted(path.name for path in found["paths"][0].parents[1].iterdir()) == [
        "00 black_rot",
        "01 healthy",
        "groups.csv",
    ]


def test_only_what_is_asked_for_is_fetched(village, answered_by, tmp_path):
    folder, commit, _ = village
    answered_by(VILLAGE, folder)

    def blobs():
        (clone,) = tmp_path.glob("tmp*")
        command = ["git", "--git-dir=.", "cat-file", "--batch-all-objects", "--batch-check=%(objecttype)"]
        return subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True).stdout.count("blob")

    with git.opened(card_of("grape_lab", commit)["origins"][0], tmp_path) as (ids, read):
        assert len(ids) == 532 + 8 + 2 + 1 + 2
        assert blobs() == 0
        wanted = sorted(ids)[-3:]
        contents = list(read(wanted, 1000))
        assert blobs() == 3
    for path, content in zip(wanted, contents, strict=True):
        assert hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == ids[path]
    assert list(tmp_path.glob("tmp*")) == []


def test_a_prepared_set_is_not_asked_for_again(village, answered_by, tmp_path):
    folder, commit, _ = village
    answered_by(VILLAGE, folder)
    card = card_of("grape_lab", commit)
    first = large_sets.folder(card)
    answered_by(VILLAGE, tmp_path / "nothing")
    assert large_sets.folder(card) == first


def about_the_set(told):
    """Return the warnings but those of classes with one photo, which these small sets have by design."""
    return [each for each in told if "a single photo" not in str(each.message)]


def test_a_whole_laboratory_is_grouped_by_the_leaf_map_of_its_own_class(village, answered_by):
    folder, commit, _ = village
    answered_by(VILLAGE, folder)
    card = card_of("grape_lab_all", commit, photos=538)
    with pytest.warns(UserWarning, match="the leaf map lacks 536 of 538 photos") as told:
        found = load(card)
    assert len(about_the_set(told)) == 1
    assert np.bincount(found["labels"]).tolist() == [260, 1, 276, 1]
    group_of = {path.name: group for path, group in zip(found["paths"], found["groups"], strict=True)}
    assert group_of["Mt.N.V_HL 1.JPG"] == group_of["Mt.N.V_HL 2.JPG"] == "Grape___healthy:::12.0"
    assert group_of["Mt.N.V_HL 3.JPG"] != group_of["Mt.N.V_HL 4.JPG"]
    assert len(set(found["groups"])) == 537


def test_a_card_without_groups_reads_no_leaf_map(village, answered_by):
    folder, commit, _ = village
    answered_by(VILLAGE, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", message=".*a single photo")  # which this small set has by design
        assert load(card_of("grape_lab_all", commit, photos=538, groups=""))["groups"] is None


def test_a_count_that_differs_from_the_card_is_said(village, answered_by):
    folder, commit, _ = village
    answered_by(VILLAGE, folder)
    card = card_of("grape_lab_all", commit, groups="")
    with pytest.warns(UserWarning, match="grape_lab_all: 538 photos, where the card says 4062.*please report it"):
        large_sets.folder(card)


def test_a_listed_photo_that_is_not_there_stops_the_set_before_any_photo_is_fetched(village, answered_by, monkeypatch):
    folder, commit, _ = village
    answered_by(VILLAGE, folder)
    rows = [{"file": name, "class": "healthy", "group": "x"} for name in ("Mt.N.V_HL 1", "Mt.N.V_HL 99")]
    monkeypatch.setattr(catalogues, "rows", lambda name: rows)
    monkeypatch.setattr(git, "_read", lambda *_: pytest.fail("photos were fetched"))
    with pytest.raises(photos.PhotoError, match=r"grape_lab lacks 1 .*Grape___healthy/Mt\.N\.V_HL 99.*name their fold"):
        large_sets.folder(card_of("grape_lab", commit))
    assert left_in_the_cache() == []


@pytest.mark.parametrize("missing", ["Corn_(maize)___Northern_Leaf_Blight", "leaf-map.json"])
def test_a_folder_or_a_leaf_map_that_is_not_there_is_named(answered_by, tmp_path, missing):
    card = card_of("maize_lab_all", groups="leaf")
    files = {f"raw/color/{place}/{n}.JPG": picture(n) for n, place in enumerate(card["folders"])}
    files = {path: content for path, content in (files | {"leaf-map.json": b"{}"}).items() if missing not in path}
    folder, commit = publish(files, tmp_path)
    answered_by(VILLAGE, folder)
    with (
        warnings.catch_warnings(action="ignore"),
        pytest.raises(photos.PhotoError, match=rf"lacks 1 that its card names: {re.escape(missing)}"),
    ):
        large_sets.folder(card_of("maize_lab_all", commit, groups="leaf"))
    assert left_in_the_cache() == []


ODD = (  # names that PlantDoc has
    "show_picture.asp?id=aaaaaaaaaaogcqq&w2=420&clip=center,420,378&meta=0.jpg",
    "Common%20Diseases%20Figure%201.JPG.jpg",
    "P1200665+Vaccinium+and++twig cr.jpeg.jpg",
    "Grün *[1]!#.jpg",
)


@pytest.fixture(scope="module")
def plantdoc(tmp_path_factory):
    """Return (bare folder, commit) of a PlantDoc with odd names, copies, two labels and files that are no JPEG."""
    files = {f"train/Corn rust leaf/{name}": picture(n) for n, name in enumerate(ODD)}
    files |= {
        "test/Corn rust leaf/00.jpg": picture(10),
        "train/Corn rust leaf/00.jpg": picture(11),  # another photo of that name
        "train/Corn rust leaf/copy.jpg": picture(10),
        "train/Corn rust leaf/png inside.jpg": picture(12, "PNG"),
        "train/Corn rust leaf/gif inside.jpg": picture(13, "GIF"),
        "train/Corn rust leaf/page.jpg": b"<html>404</html>",
        "train/Corn leaf blight/blight.jpg": picture(20),
        "test/Corn leaf blight/both.jpg": picture(21),
        "train/Corn Gray leaf spot/both too.jpg": picture(21),
        "train/Corn Gray leaf spot/spot.jpg": picture(30),
        "train/Corn Gray leaf spot/in a tomato.jpg": picture(31),
        "train/Tomato leaf/as tomato.jpg": picture(31),
        "README.md": picture(20),  # no class folder: not a second label
    }
    return publish(files, tmp_path_factory.mktemp("plantdoc"))


def test_a_field_set_is_cleaned_by_rule_and_odd_names_survive(plantdoc, answered_by):
    folder, commit = plantdoc
    answered_by(DOC, folder)
    with pytest.warns(UserWarning, match=r"maize_field: left out 5 photos .*left_out\.csv") as told:
        found = load(card_of("maize_field", commit, photos=15))
    assert len(about_the_set(told)) == 1
    assert [name[3:] for name in found["class_names"]] == ["common_rust", "gray_leaf_spot", "northern_leaf_blight"]
    assert Counter(found["labels"].tolist()) == {0: 8, 1: 1, 2: 1}
    content_of = {path.name: path.read_bytes() for path in found["paths"]}
    for number, name in enumerate(ODD):
        assert content_of[f"train_{name}"] == picture(number)
    assert content_of["test_00.jpg"] == picture(10)
    assert content_of["train_00.jpg"] == picture(11)
    assert content_of["train_png inside.jpg"] == picture(12, "PNG")
    assert photos.PhotoSet(**found).class_names == found["class_names"]
    for path in found["paths"]:
        assert photos.photo_files.read(path).shape == (16, 20, 3)
    reasons = {row["file"]: row["why"] for row in rows_of(found["paths"][0].parents[1] / "left_out.csv")}
    assert reasons == {
        "00 common_rust/train_copy.jpg": "again in its class",
        "00 common_rust/train_page.jpg": "not readable",
        "01 gray_leaf_spot/train_both too.jpg": "in two classes",
        "02 northern_leaf_blight/test_both.jpg": "in two classes",
        "01 gray_leaf_spot/train_in a tomato.jpg": "in two classes",
    }


@contextlib.contextmanager
def listening(answer):
    """Give the port of a server that calls answer(connection, number) for each connection, in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_ones = []

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    open_ones.append(connection)
                    threading.Thread(target=answer, args=(connection, len(open_ones)), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for connection in open_ones:
            connection.close()


def says(text):
    """Return an answer that reads a request, sends text and hangs up."""

    def answer(connection, number):
        connection.recv(65536)
        connection.sendall(text)
        connection.close()

    return answer


REFUSES = says(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
ASKS_FOR_A_PASSWORD = says(
    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
)
CUTS = says(
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nContent-Length: 9999\r\n\r\n001e#"
)


def stalls(connection, number):
    """Accept, and say nothing."""


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (REFUSES, "the host refuses it.*403.*Try again later"),
        (ASKS_FOR_A_PASSWORD, "the host refuses it, or the repository is gone"),
        (CUTS, "the connection was cut.*Try again"),
        (says(b""), "the connection was cut.*Try again"),
        (stalls, "nothing came for 1 seconds.*Try again, or later"),
    ],
    ids=["refused", "asks for a password", "cut", "hung up", "stalled"],
)
def test_a_host_that_gives_nothing_is_told_with_the_cure(monkeypatch, answered_by, answer, told):
    monkeypatch.setattr(git, "PATIENCE", 1)
    start = time.monotonic()
    with listening(answer) as port:
        answered_by(VILLAGE, f"http://127.0.0.1:{port}/")
        with pytest.raises(photos.PhotoError, match=rf"{VILLAGE} can't be used: {told}.*name their folder"):
            large_sets.folder(card_of("maize_lab"))
    assert time.monotonic() - start < 20
    assert left_in_the_cache() == []


def test_without_a_network_the_cure_is_to_connect(answered_by):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    answered_by(DOC, f"http://127.0.0.1:{port}/")
    with pytest.raises(photos.PhotoError, match=r"git reached no network.*Connect \(or set up git's proxy\)"):
        large_sets.folder(card_of("maize_field"))
    assert left_in_the_cache() == []


def test_no_process_of_a_stalled_git_is_left(monkeypatch, answered_by):
    monkeypatch.setattr(git, "PATIENCE", 1)
    gone = threading.Event()

    def waits(connection, number):
        connection.recv(65536)
        if connection.recv(1) == b"":  # the other end has closed: the process is gone
            gone.set()

    with listening(waits) as port:
        answered_by(DOC, f"http://127.0.0.1:{port}/")
        with pytest.raises(photos.PhotoError, match="nothing came"):
            large_sets.folder(card_of("maize_field"))
        assert gone.wait(10)


def test_a_connection_that_is_cut_among_the_photos_leaves_nothing_and_the_next_run_is_right(village, answered_by):
    folder, commit, _ = village
    with socket.create_server(("127.0.0.1", 0)) as free:
        behind = free.getsockname()[1]
    command = ["git", "daemon", "--reuseaddr", "--listen=127.0.0.1", f"--port={behind}", "--export-all"]
    daemon = subprocess.Popen([*command, f"--base-path={folder.parent}"], stderr=subprocess.DEVNULL)

    def passes_on(connection, number):
        with socket.create_connection(("127.0.0.1", behind)) as server:

            def ask():
                with contextlib.suppress(OSError):
                    while data := connection.recv(65536):
                        server.sendall(data)

            threading.Thread(target=ask, daemon=True).start()
            passed = 0
            with contextlib.suppress(OSError):
                while data := server.recv(4096):
                    connection.sendall(data)
                    passed += len(data)
                    if number == 2 and passed > 100_000:
                        break
                connection.shutdown(socket.SHUT_RDWR)

    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", behind)):
                break
            time.sleep(0.05)
        with listening(passes_on) as port:
            answered_by(VILLAGE, f"git://127.0.0.1:{port}/bare")
            card = card_of("grape_lab", commit)
            with pytest.raises(photos.PhotoError, match="the connection was cut"):
                large_sets.folder(card)
            assert left_in_the_cache() == []
            assert len(load(card)["paths"]) == 532
    finally:
        daemon.terminate()  # git ends its own child then, which it could not if it were killed
        daemon.wait()


def test_a_commit_that_is_gone_is_told(village, answered_by):
    answered_by(VILLAGE, village[0])
    with pytest.raises(photos.PhotoError, match=r"the commit that data/photos\.toml names is gone.*newer version"):
        large_sets.folder(card_of("grape_lab", "1" * 40))
    assert left_in_the_cache() == []


def test_a_repository_that_is_gone_is_told(tmp_path, answered_by):
    answered_by(VILLAGE, tmp_path / "nothing")
    with pytest.raises(photos.PhotoError, match="the host refuses it, or the repository is gone"):
        large_sets.folder(card_of("grape_lab"))


@pytest.mark.parametrize(
    "script",
    [
        'case "$*" in *version*) echo git version 2.17.1;; *) echo it was asked >&2; exit 1;; esac',
        'case "$*" in *version*) echo git version 2.39.5;; *--filter*) echo "error: unknown option \\`filter" >&2;'
        " exit 129;; esac",
        None,
    ],
    ids=["old", "without partial clones", "no git"],
)
def test_a_git_that_can_t_clone_in_part_is_told(monkeypatch, tmp_path, script):
    if script:
        (tmp_path / "git").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "git").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(photos.PhotoError, match=r"it needs git 2\.29 or newer \(partial clones\).*Install it"):
        large_sets.folder(card_of("grape_lab"))
    assert left_in_the_cache() == []


@pytest.mark.parametrize("name", ["maize_lab", "flowers_3000"])
def test_offline_nothing_is_asked_for(monkeypatch, name):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("something was asked for"))
    with pytest.raises(photos.PhotoError, match=r"COURSE_OFFLINE forbids to fetch it.*Unset COURSE_OFFLINE"):
        large_sets.folder(card_of(name))
    assert left_in_the_cache() == []


def test_a_small_disk_is_said_before_the_photos_are_fetched(village, answered_by, monkeypatch):
    folder, commit, _ = village
    answered_by(VILLAGE, folder)
    monkeypatch.setattr("shutil.disk_usage", lambda path: types.SimpleNamespace(free=1_000_000))
    with pytest.raises(photos.PhotoError, match=r"it needs 62 MB of disk.*set COURSE_CACHE"):
        large_sets.folder(card_of("grape_lab", commit))


@pytest.fixture
def archive(monkeypatch, tmp_path):
    """Give flowers_3000's card for an archive of four photos, of which its list names three, on a local server."""
    rows = [{"class": kind, "file": f"{n}_n.jpg"} for n, kind in enumerate(("daisy", "roses", "tulips"))]
    monkeypatch.setattr(catalogues, "rows", lambda name: rows)
    licence = "All images are licensed under the Creative Commons By-Attribution License\n\n" + "".join(
        f"{row['class']}/{row['file']} CC-BY by Zoë - the {row['class']} lady - https://www.flickr.com/photos/{n}/\n"
        for n, row in enumerate(rows[:2])
    )
    files = {f"{row['class']}/{row['file']}": picture(n) for n, row in enumerate(rows)}
    files |= {"daisy/unlisted.jpg": picture(7), "LICENSE.txt": licence.encode()}
    folder = tmp_path / "served"
    folder.mkdir()
    with tarfile.open(folder / "flower_photos.tgz", "w:gz") as packed:
        for name, content in files.items():
            info = tarfile.TarInfo(f"flower_photos/{name}")
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = {
        "url": f"http://127.0.0.1:{server.server_port}/flower_photos.tgz",
        "sha256": hashlib.sha256((folder / "flower_photos.tgz").read_bytes()).hexdigest(),
    }
    yield card_of("flowers_3000", classes=["daisy", "roses", "tulips"], origins=[origin])
    server.shutdown()
    server.server_close()


def test_the_flowers_are_those_of_the_list_with_their_photographers(archive):
    found = load(archive)
    assert [path.name for path in found["paths"]] == ["0_n.jpg", "1_n.jpg", "2_n.jpg"]
    assert [path.read_bytes() for path in found["paths"]] == [picture(0), picture(1), picture(2)]
    folder = found["paths"][0].parents[1]
    assert sorted(path.name for path in folder.iterdir()) == ["00 daisy", "01 roses", "02 tulips", "credits.csv"]
    assert rows_of(folder / "credits.csv") == [
        {
            "file": "00 daisy/0_n.jpg",
            "photographer": "Zoë - the daisy lady",
            "page": "https://www.flickr.com/photos/0/",
        },
        {
            "file": "01 roses/1_n.jpg",
            "photographer": "Zoë - the roses lady",
            "page": "https://www.flickr.com/photos/1/",
        },
        {"file": "02 tulips/2_n.jpg", "photographer": "not named in the archive's LICENSE.txt", "page": ""},
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sha256": "0" * 64}, "hash.*Try again, with a network"),
        ({"url": "http://127.0.0.1:1/flower_photos.tgz"}, "ConnectionError"),
    ],
    ids=["another content", "no network"],
)
def test_an_archive_that_can_t_be_had_is_told_and_leaves_nothing(archive, change, told):
    archive["origins"][0] |= change
    with pytest.raises(photos.PhotoError, match=f"(?s)can't be used: .*{told}.*name their folder"):
        large_sets.folder(archive)
    assert left_in_the_cache() == []


def test_a_flower_that_is_not_in_the_archive_is_named(archive, monkeypatch):
    monkeypatch.setattr(catalogues, "rows", lambda name: [{"class": "daisy", "file": "none.jpg"}])
    with pytest.raises(photos.PhotoError, match=r"flowers_3000 lacks 1 that its card names: daisy/none\.jpg"):
        large_sets.folder(archive)


def test_the_catalogue_has_every_set_of_the_contract():
    cards = catalogues.entries("photos")
    for crop in CROPS:
        laboratory, field, whole = (set(cards[f"{crop}_{side}"]["classes"]) for side in ("lab", "field", "lab_all"))
        assert field <= laboratory <= whole
        assert len(field) >= 2
        for side in ("lab", "field", "lab_all"):
            card = cards[f"{crop}_{side}"]
            assert len(card["classes"]) == len(set(card["folders"])) == len(card["folders"])
            assert re.fullmatch("[0-9a-f]{40}", card["origins"][0]["commit"])


@pytest.mark.parametrize("name", [*(f"{crop}_lab" for crop in CROPS), "flowers_3000"])
def test_a_list_names_as_many_photos_as_the_card_and_all_classes(name):
    card = card_of(name)
    rows = catalogues.rows(card["list"])
    assert len(rows) == card["photos"] == len({(row["class"], row["file"]) for row in rows})
    assert {row["class"] for row in rows} == set(card["classes"])


@pytest.mark.parametrize("name", [*(f"{crop}_lab" for crop in CROPS), "flowers_3000"])
def test_a_list_names_the_photos_of_shared_large(name):
    folder = LARGE / (name if name in ("maize_lab", "flowers_3000") else f"plantvillage_{name.removesuffix('_lab')}")
    if not folder.is_dir():
        pytest.skip(f"shared/large/{folder.name} is not beside this checkout")
    there = {(path.parent.name, path.stem.rpartition("___")[2]) for path in folder.glob("*/*.jpg")}
    rows = catalogues.rows(card_of(name)["list"])
    assert {(row["class"], row["file"].removesuffix(".jpg")) for row in rows} == there
    if name != "flowers_3000":
        groups = {(row["file"].split("___")[-1].split("/")[-1], row["group"]) for row in rows_of(folder / "groups.csv")}
        assert {(f"{row['file']}.jpg", row["group"]) for row in rows} == groups


def test_what_will_be_downloaded_is_said_beforehand(village, answered_by):
    said = large_sets.announce(["flowers", "grape_lab", "flowers_3000", "tf_flowers"])
    assert [line.split(",")[0] for line in said.splitlines()] == [
        "grape_lab: 21 MB",
        "flowers_3000: 229 MB",
        "tf_flowers: 229 MB",
        "478 MB to download: 3 min at 20 Mbit/s",
    ]
    (cache.root() / large_sets._place(card_of("grape_lab"))).mkdir(parents=True)
    assert "grape_lab" not in large_sets.announce(["grape_lab", "flowers_3000"])


def test_photos_load_knows_the_names(village, answered_by, monkeypatch):
    folder, commit, _ = village
    answered_by(VILLAGE, folder)
    changed = catalogues.entries("photos") | {"grape_lab": card_of("grape_lab", commit)}
    monkeypatch.setattr(catalogues, "entries", lambda kind: changed)
    found = photos.load("grape_lab")
    assert found.class_names == ("black_rot", "healthy")
    assert len(found) == 532
    assert found.card["licence"] == "CC BY-SA 3.0"
