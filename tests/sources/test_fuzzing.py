"""Damaged files let only the course's own errors out. A few seconds here; minutes in make test-long."""

import contextlib
import io
import json
import resource
import time

import h5py
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from helpers import photos
from sources import cache, photo_files
from sources.readers import FormatError, weights

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed here")
st = hypothesis.strategies
KINDS = ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "JPEG2000", "MPO", "HEIF"]
EDITS = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=8)
CUT = st.one_of(st.none(), st.floats(0, 1))
RUNS = pytest.mark.parametrize("times", [1, pytest.param(60, marks=pytest.mark.long)], ids=["short", "long"])
LIMIT = 30  # seconds of a long run: with all its kinds, ten minutes
GIGABYTE = 2**20  # of ru_maxrss, which counts kilobytes


def cases(times, number, *strategies):
    """Call the decorated function with number examples of the strategies, so many times, or as often as time allows."""

    def run(look):
        settings = hypothesis.settings(
            max_examples=number, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
        )
        before, end, done = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic() + LIMIT, 0
        while done < times and (time.monotonic() < end or not done):
            settings(hypothesis.given(*strategies)(look))()
            done += 1
        print(f"{done} times {number} cases")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 * GIGABYTE

    return run


def damaged(content, edits, cut):
    """Return content with some bytes written over, most of them near its start, and its end cut off."""
    changed = bytearray(content)
    for place, put in edits:
        start = int(place**2 * len(changed))
        changed[start : start + len(put)] = put
    return bytes(changed[: len(changed) if cut is None else int(cut * len(changed))])


@contextlib.contextmanager
def damage(path, edits, cut):
    """Damage a file for as long as the with block lasts, and give whether it differs now."""
    whole = path.read_bytes()
    path.write_bytes(damaged(whole, edits, cut))
    try:
        yield path.read_bytes() != whole
    finally:
        path.write_bytes(whole)


def said(error, call, *given):
    """Return the message of the one error that a call may end with, or nothing."""
    try:
        call(*given)
    except error as raised:
        return str(raised)
    return ""


def picture(kind, mode="RGB"):
    across = np.linspace(0, 255, 32 * 24 * 3).astype(np.uint8).reshape(24, 32, 3)
    note, stream = Image.Exif(), io.BytesIO()
    note[0x0112], note[0x010F] = 6, "camera"
    given = {} if kind in {"GIF", "BMP", "JPEG2000"} else {"exif": note}
    Image.fromarray(across).convert(mode).save(stream, kind, **given)
    return stream.getvalue()


@RUNS
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_picture_is_read_or_named(tmp_path, kind, times):
    if kind == "HEIF":
        pytest.importorskip("pillow_heif", reason="pillow-heif is not installed here")
    whole, path = picture(kind), tmp_path / "photo.jpg"

    @cases(times, 40, EDITS, CUT, st.sampled_from([None, 16]))
    def look(edits, cut, size):
        path.write_bytes(damaged(whole, edits, cut))
        for read in (photo_files.header, lambda path: photo_files.read(path, size)):
            assert len(said(photos.PhotoError, read, path)) < 800

    assert list(tmp_path.iterdir()) == [path]


@RUNS
def test_any_bytes_are_a_photo_or_named(tmp_path, times):
    starts = st.sampled_from(
        [b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"II*\0", b"RIFF0000WEBP", b"GIF89a", b"P5 9 9 "]
    )

    @cases(times, 100, starts, st.binary(max_size=300))
    def look(start, rest):
        (tmp_path / "a.jpg").write_bytes(start + rest)
        try:
            pixels = photos.read(tmp_path / "a.jpg")
        except photos.PhotoError:
            return
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3


CELLS = st.text(st.sampled_from('abt/\\.,;"\n\t 10é\u0301jpg'), max_size=20)


@RUNS
def test_any_table_fits_or_is_refused(photo_folder, times):
    folder = photo_folder()
    right = "".join(f"{tree}/{number}.jpg,t{number}\n" for tree in ("oak", "pine") for number in range(3))

    @cases(times, 40, st.sampled_from(["groups.csv", "table.csv"]), EDITS, CUT, CELLS)
    def look(name, edits, cut, more):
        for path in folder.glob("*.csv"):
            path.unlink()
        header = "file,group\n" if name == "groups.csv" else "file,height\n"
        (folder / name).write_bytes(damaged((header + right + more).encode(), edits, cut))
        try:
            found = photos.load(folder)
        except photos.PhotoError:
            return
        assert len(found) == 6
        assert found.groups is None or len(found.groups) == 6


def h5(path):
    with h5py.File(path, "w") as file:
        file["model_weights/Conv1/Conv1/kernel:0"] = np.ones((3, 3, 3, 8), np.float32)
        file["model_weights/bn/bn/gamma:0"] = np.ones(8, np.float32)


def safetensors(path):
    save_file({"leaf": np.ones((4, 4), np.float32), "count": np.arange(3)}, path)


@RUNS
@pytest.mark.parametrize("write", [h5, safetensors])
def test_a_damaged_weights_file_is_read_or_named(tmp_path, write, times):
    path = tmp_path / "weights"
    write(path)
    whole = path.read_bytes()

    @cases(times, 100, EDITS, CUT)
    def look(edits, cut):
        path.write_bytes(damaged(whole, edits, cut))
        for read in (
            [weights.from_safetensors] if write is safetensors else [weights.from_h5, weights.mobilenet_v2_from_hub_h5]
        ):
            assert said(FormatError, read, path)[: len(str(path))] in ("", str(path))


GRAPH = {
    "modelTopology": {
        "node": [
            {"name": "x", "op": "Placeholder", "attr": {"dtype": {"type": "DT_FLOAT"}, "shape": {"shape": {}}}},
            {"name": "w", "op": "Const", "attr": {"dtype": {"type": "DT_FLOAT"}, "value": {}}},
            {"name": "b", "op": "Const", "attr": {"dtype": {"type": "DT_FLOAT"}, "value": {}}},
            {
                "name": "y",
                "op": "_FusedMatMul",
                "input": ["x", "w", "b"],
                "attr": {
                    "T": {"type": "DT_FLOAT"},
                    "transpose_a": {"b": False},
                    "fused_ops": {"list": {"s": [[66, 105, 97, 115, 65, 100, 100], "UmVsdQ=="]}},
                },
            },
        ]
    },
    "weightsManifest": [
        {
            "paths": ["shard.bin"],
            "weights": [
                {"name": "w", "shape": [2, 3], "dtype": "float32"},
                {"name": "b", "shape": [3], "dtype": "float32"},
            ],
        }
    ],
}


def places(node, at=()):
    """Yield the way to every value inside a JSON document."""
    if at:
        yield at
    for key, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(inner, (*at, key))


@pytest.mark.tensorflow
@RUNS
def test_a_damaged_tensorflow_js_graph_is_read_or_named(tmp_path, times):
    import tensorflow as tf

    from sources.readers import tfjs_graph

    def product(folder):
        run, variables = tfjs_graph.load(folder)
        return tf.function(lambda x: run({"x": x}, "y"), autograph=False)(np.ones((1, 2), np.float32)), variables

    shard = np.arange(9, dtype=np.float32).tobytes()
    values = st.sampled_from(
        [None, "", "nonsense", -1, 10**9, 10**30, 1.5, [], {}, [[]], ["x"], True, "DT_STRING", [-1], [0]]
    )

    @cases(times, 30, st.lists(st.tuples(st.sampled_from(list(places(GRAPH))), values), max_size=3), st.integers(-9, 9))
    def look(edits, more):
        graph = json.loads(json.dumps(GRAPH))
        for way, value in edits:
            inner = graph
            try:
                for key in way[:-1]:
                    inner = inner[key]
                inner[way[-1]] = value
            except (TypeError, LookupError):  # an edit before has taken this place away
                continue
        (tmp_path / "model.json").write_text(json.dumps(graph))
        (tmp_path / "shard.bin").write_bytes(shard[: len(shard) + more] if more < 0 else shard + bytes(more))
        told = said(FormatError, product, tmp_path)
        assert told[: len(str(tmp_path))] in ("", str(tmp_path))
        assert edits or bool(told) == bool(more)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "shard.bin"]


@RUNS
def test_damaged_json_of_a_graph_is_named(tmp_path, times):
    whole = json.dumps(GRAPH).encode()
    (tmp_path / "shard.bin").write_bytes(bytes(36))

    @cases(times, 60, EDITS, CUT)
    def look(edits, cut):
        (tmp_path / "model.json").write_bytes(damaged(whole, edits, cut))
        with contextlib.suppress(FormatError):
            weights.from_tfjs(tmp_path)


@RUNS
def test_a_damaged_folder_of_the_cache_is_named(tmp_path, monkeypatch, times):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))

    def build(part):
        (part / "variables").mkdir()
        (part / "saved_model.pb").write_bytes(b"graph" * 40)
        (part / "variables" / "data").write_bytes(bytes(range(256)))

    folder = cache.prepared("modules/meadow", build)
    record = tmp_path / "written" / "modules" / "meadow.json"
    files = st.sampled_from([folder / "saved_model.pb", folder / "variables" / "data", record])

    @cases(times, 60, files, EDITS, CUT)
    def look(path, edits, cut):
        with damage(path, edits, cut) as differs:
            told = said(cache.DamagedError, cache.prepared, "modules/meadow", build)
            assert told in ("", *cache.verify())
            if path != record:
                name = path.relative_to(folder)
                assert told == f"{folder} is damaged ({name}). Delete it and run again." * differs

    assert sorted(path.name for path in tmp_path.iterdir()) == ["modules", "written"]


@pytest.mark.tensorflow
@RUNS
def test_a_damaged_module_of_a_reader_s_own_is_loaded_or_named(tmp_path, times):
    import tensorflow as tf

    from helpers import HubLayer

    folder, module = tmp_path / "module", tf.train.Checkpoint(kernel=tf.Variable(tf.ones([3, 4])))
    module.__call__ = tf.function(lambda x: x @ module.kernel, input_signature=[tf.TensorSpec([None, 3])])
    tf.saved_model.save(module, str(folder))
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]

    @cases(times, 8, st.sampled_from(files), EDITS, CUT)
    def look(path, edits, cut):
        with damage(path, edits, cut):
            told = said((RuntimeError, ValueError), HubLayer, str(folder))
            assert not told or str(folder) in told


def test_a_dataset_that_says_it_is_huge_is_refused_before_memory_is_taken(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("conv/kernel:0", (10**6, 10**6), "f4", chunks=(1000, 1000))
    with pytest.raises(FormatError, match="larger than the file"):
        weights.from_h5(tmp_path / "a.h5")
