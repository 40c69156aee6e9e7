"""A figure says in words what it shows, credits its photos, and marks what may not be published."""

import dataclasses
import itertools
import types

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import figures, photos

matplotlib.use("Agg")
HEADS = {"a head": (0.9, 0.8, 0.95), "another": (0.5, 0.4, 0.6)}


@pytest.fixture
def shown(monkeypatch):
    """Return what is displayed: a list of (data, metadata) that grows."""
    found = []
    monkeypatch.setattr(figures, "display", lambda data, raw, metadata: found.append((data, metadata)))
    yield found
    for data, metadata in found:
        assert data["image/png"].startswith(b"\x89PNG")
        assert metadata["image/png"]["alt"] == data["text/plain"]
    assert not figures.plt.get_fignums()


@pytest.fixture
def trees(photo_folder):
    return photos.load(photo_folder())


SET = {  # function, arguments after the set, what the alt text says
    "grid": (
        "photo_grid",
        ([0, 4], ["an oak\nin snow", "a pine"]),
        "2 photos of own photos, captioned: an oak in snow, a pine.",
    ),
    "names": ("top_names", (1, ["a_b", "c"], [0.7, 0.25], "says"), "bars: says: a_b 0.70, c 0.25."),
}


@pytest.mark.parametrize("kind", SET)
def test_a_figure_of_photos_has_its_words_and_its_set_decides_whether_it_is_published(trees, shown, kind):
    name, arguments, told = SET[kind]
    for card in ({}, {"show": True, "credit": "A. Gardener"}):
        trees.card.update(card)
        getattr(figures, name)(trees, *arguments)
    assert [metadata["course"]["publish"] for _, metadata in shown] == [False, True]
    assert all(told in data["text/plain"] for data, _ in shown)
    assert shown[0][0]["image/png"] != shown[1][0]["image/png"]  # the credit is in the picture


def test_a_photo_with_a_licence_of_its_own_is_published_by_that(trees, shown):
    licences = ["unknown", "MIT", "MIT", "unknown", "unknown", "unknown"]  # three oaks, three pines
    table = pd.DataFrame({"sheet": ["a sheet"] * 6, "licence": licences})
    trees = dataclasses.replace(trees, table=table, card={"show": True, "credit": "A. Gardener"})
    figures.photo_grid(trees, [1, 2])
    figures.photo_grid(trees)  # no pine may be shown
    figures.photo_grid(trees.take([0, 1]))  # of two oaks the one that may be
    assert [metadata["course"]["publish"] for _, metadata in shown] == [True, False, True]


PLAIN = {
    "bars": (({"one": (["a_b"], [0.25])},), "Bar charts of probability. one: a_b 0.25."),
    "accuracies": ((HEADS, 0.3, "Heads"), "Heads with 95% intervals: a head 0.900, 0.800 to 0.950; another 0.500, "),
    "curves": (({"m": ([0.1, 0.5], [0, 0], [1, 1])}, [1, 5], "photos", "T"), "T, accuracy by photos. m: 0.10 at 1, "),
    "training_curve": (
        (types.SimpleNamespace(history={"loss": [2.0, 0.5], "accuracy": [0.1, 0.75]}),),
        "over 2 epochs, on the training photos: loss from 2.00 to 0.50, accuracy from 0.10 to 0.75.",
    ),
    "confusion": ((np.array([[3, 1], [0, 2]]), ("a", "b")), "Share named right: a 0.75, b 1.00."),
    "similarity": ((np.full((4, 4), 0.5), ["a", "a", "b", "b"], "S"), "S: a, b. Mean within a group 0.50, between"),
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_figure_without_photos_has_its_words_and_is_published(shown, name):
    arguments, told = PLAIN[name]
    getattr(figures, name)(*arguments)
    ((data, metadata),) = shown
    assert told in data["text/plain"]
    assert metadata["course"] == {"publish": True, "save": None}


def test_a_figure_for_use_elsewhere_says_so(trees, shown):
    figures.top_names(trees, 0, ["oak"], [1.0], "Named", save="named.png")
    assert shown[0][1]["course"]["save"] == "named.png"


def test_the_first_photo_of_each_class_is_shown_where_none_is_named(trees, shown):
    Image.new("RGB", (9, 9)).save(trees.paths[0])
    figures.photo_grid(trees)
    assert shown[0][0]["text/plain"].endswith("own photos, captioned: oak, pine.")


def test_a_confusion_matrix_of_many_classes_shows_the_most_confused(shown):
    matrix = np.eye(300, dtype=int) * 10
    matrix[3, 7] = matrix[250, 251] = 9
    figures.confusion(matrix, [f"kind {number}" for number in range(300)])
    ((data, _),) = shown
    for number in (3, 7, 250, 251):
        assert f"kind {number} " in data["text/plain"]
    assert data["text/plain"].count("kind ") == 40


# How Machado, Oliveira and Fernandes (2009) simulate the absence of red, green and blue cones, on linear RGB.
BLIND = {
    "nothing": np.eye(3),
    "red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(linear):
    """Return a colour, linear RGB, as CIELAB, in which distances are what people see."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    x, y, z = np.cbrt(xyz / (0.9505, 1, 1.089))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("missing", BLIND)
def test_curves_are_told_apart_by_readers_who_see_fewer_colours(missing):
    colours = np.array([matplotlib.colors.to_rgb(colour) for colour, _ in figures.CURVES])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = [lab(np.clip(np.dot(BLIND[missing], colour), 0, 1)) for colour in linear]
    apart = {np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)}
    assert min(apart) > 15  # 2.3 can just be told apart when side by side


def test_a_class_that_no_photo_has_leaves_the_matrix_readable(shown, recwarn):
    figures.confusion(np.array([[2, 0], [0, 0]]), ["oak", "pine"])
    assert "oak 1.00, pine 0.00" in shown[0][0]["text/plain"]
    assert not recwarn.list


def test_letters_that_the_font_lacks_are_said_once_and_not_by_matplotlib(shown, recwarn, capsys):
    figures.bars({"names": (["玫瑰", "गुलाब"], [0.4, 0.6])})
    assert capsys.readouterr().out.count("font") == 1
    assert not [each for each in recwarn.list if "Glyph" in str(each.message)]
    assert "玫瑰 0.4" in shown[0][0]["text/plain"]
