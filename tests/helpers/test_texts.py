"""Text sets are what their card says; vectors are the module's own, in order, computed once and kept."""

import re

import numpy as np
import pytest

from helpers import evaluation, texts
from sources import cache, extraction, fetch
from sources.recipes import glosses


@pytest.fixture(scope="module")
def plants():
    """Return the plant glosses."""
    try:
        return texts.load("plant_glosses")
    except fetch.FetchError as error:
        pytest.skip(str(error))


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """Give a test a cache of its own."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def counting_module(tmp_path_factory):
    """Return the folder of a module that gives a text's number of bytes and its first byte, float32 [n, 2]."""
    import tensorflow as tf

    module = tf.Module()
    spec = tf.TensorSpec([None], tf.string)

    def call(inputs):
        first = tf.io.decode_raw(tf.strings.substr(inputs, 0, 1), tf.uint8)[:, 0]
        return tf.cast(tf.stack([tf.strings.length(inputs), tf.cast(first, tf.int32)], 1), tf.float32)

    module.__call__ = tf.function(call, input_signature=[spec])
    folder = tmp_path_factory.mktemp("modules") / "counting"
    tf.saved_model.save(module, str(folder))
    return str(folder)


def test_the_plant_glosses_are_what_their_card_says(plants):
    assert len(plants) == plants.card["texts"] == 2818
    assert plants.class_names == ("herb", "shrub", "tree")
    assert np.bincount(plants.labels).tolist() == [1038, 781, 999]
    assert plants.labels.dtype == np.int32
    assert plants.card["show"] is True
    assert "Princeton" in plants.card["credit"]
    assert all(isinstance(text, str) and text.strip() for text in plants.texts)
    assert len(set(plants.texts)) == len(plants)


def test_no_masked_text_names_a_class_and_many_unmasked_do(plants):
    named = re.compile(r"\b(herb|shrub|tree)", re.IGNORECASE)
    assert not any(named.search(text) for text in plants.texts)
    unmasked = texts.load("plant_glosses", masked=False)
    np.testing.assert_array_equal(unmasked.labels, plants.labels)
    assert np.mean([bool(named.search(text)) for text in unmasked.texts]) > 0.4
    same = [mask == glosses.SAYS_IT.sub("plant", text) for mask, text in zip(plants.texts, unmasked.texts, strict=True)]
    assert all(same)


def test_plants_of_one_genus_are_one_group(plants):
    unmasked = texts.load("plant_glosses", masked=False)
    oaks = plants.groups == "Quercus"
    assert oaks.sum() > 30
    assert (plants.labels[oaks] == 2).mean() > 0.9
    assert len(set(plants.groups)) > 1000
    assert any("acorn" in text for text in unmasked.texts[oaks])


def test_a_genus_is_read_from_the_latin_name_the_whole_or_the_kind():
    noun = "\n".join(
        [
            "  1 a line of the licence",
            "00000001 03 n 01 thing 0 000 | no plant",
            "00000002 20 n 01 tree 0 000 | a tall plant",
            "00000003 20 n 02 Quercus 0 genus_Quercus 0 001 @ 00000001 n 0000 | oaks",
            "00000004 20 n 01 oak 0 002 @ 00000002 n 0000 #m 00000003 n 0000 | a tree with acorns",
            "00000005 20 n 02 white_oak 0 Quercus_alba 0 001 @ 00000004 n 0000 | a pale tree",
            "00000006 20 n 01 scrub_oak 0 001 @ 00000004 n 0000 | a low one",
            "00000007 20 n 01 American_thing 0 001 @ 00000002 n 0000 | a tree of America",
        ]
    )
    plants = glosses._plants(noun)
    assert plants["00000003"]["above"] == []  # what lies outside the plants is left out
    found = {place: glosses._genus(plants, place, {"Quercus"}, {"tree"}) for place in plants}
    assert [found[f"0000000{number}"] for number in (4, 5, 6)] == ["Quercus"] * 3
    assert found["00000007"] == "American_thing"
    assert glosses._above(plants, "00000006") == {"oak", "tree"}


def test_an_unknown_text_set_is_answered_with_what_there_is():
    with pytest.raises(ValueError, match=r"'glosses'; there is plant_glosses"):
        texts.load("glosses")


def test_take_keeps_texts_labels_and_groups_together(plants):
    some = plants.take([5, 3])
    assert some.texts.tolist() == [plants.texts[5], plants.texts[3]]
    assert some.labels.tolist() == [plants.labels[5], plants.labels[3]]
    assert some.groups.tolist() == [plants.groups[5], plants.groups[3]]
    assert len(plants.take(plants.labels == 1)) == 781
    assert len(plants.take([])) == 0


def test_vectors_are_what_the_module_gives_in_the_order_of_the_texts(empty_cache, counting_module):
    given = ["ccc", "a", "bb ", "dddddd"]
    found = texts.encode(given, counting_module, batch_size=2)
    assert found.dtype == np.float32
    assert found.tolist() == [[3, ord("c")], [1, ord("a")], [3, ord("b")], [6, ord("d")]]


def test_a_second_call_reads_the_vectors_and_another_text_does_not(empty_cache, counting_module, monkeypatch):
    runs, run = [], extraction.of_texts
    monkeypatch.setattr(extraction, "of_texts", lambda *given: runs.append(1) or run(*given))
    first = texts.encode(["oak", "pine"], counting_module)
    np.testing.assert_array_equal(texts.encode(np.array(["oak", "pine"], object), counting_module), first)
    assert len(runs) == 1
    texts.encode(["oakp", "ine"], counting_module)
    assert len(runs) == 2


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["oak", None, "ash"], r"1 of 3 texts .* \(row 1; row 1 is None\)"),
        (["oak", float("nan")], r"row 1 is nan"),
        (["", "oak", "  "], r"2 of 3 texts are missing.*row 0, 2"),
        ([3, "oak"], r"row 0 is 3"),
        ([b"oak"], r"row 0 is b'oak'"),
        ([], "there is no text"),
        ("oak", r"texts is one text"),
    ],
    ids=["none", "nan", "empty", "number", "bytes", "nothing", "one text"],
)
def test_what_is_no_text_is_refused_with_its_rows_before_any_work(empty_cache, counting_module, given, told):
    with pytest.raises(ValueError, match=told):
        texts.encode(given, counting_module)
    assert not (cache.root() / "texts").exists()


def test_a_module_of_photos_is_refused_with_those_that_read():
    with pytest.raises(ValueError, match=r"mobilenet_v2 looks at photos, not texts; .*text_encoder"):
        texts.encode(["oak"], "mobilenet_v2")


def test_what_is_no_module_is_refused():
    with pytest.raises(ValueError, match="sentence_encodr is no catalogue name"):
        texts.encode(["oak"], "sentence_encodr")


def test_plain_words_name_the_growth_form_of_unseen_genera(plants):
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    counts = CountVectorizer(min_df=20).fit_transform(plants.texts).toarray()
    head = LogisticRegression(max_iter=1000)
    options = {"folds": 3, "repeats": 1, "one_group_at_a_time": False}
    found = evaluation.cross_validate(counts, plants.labels, plants.groups, head, **options)
    assert 0.6 < found.accuracy < 0.75
