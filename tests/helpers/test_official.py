"""The official source asks for the article's handles and Keras' files, and says what to do where they don't come."""

import urllib.error

import keras
import pytest

from helpers import modules
from sources import cache

ARTICLE = {
    "resnet_50": "https://tfhub.dev/google/imagenet/resnet_v2_50/feature_vector/4",
    "text_encoder": "https://tfhub.dev/google/universal-sentence-encoder/4",
    "mobilenet_v2": "https://tfhub.dev/google/imagenet/mobilenet_v2_100_224/feature_vector/5",
}


@pytest.fixture(autouse=True)
def official(monkeypatch, packaged_source, tmp_path):
    monkeypatch.setenv("COURSE_SOURCE", "official")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)


@pytest.mark.parametrize("name", ARTICLE)
def test_the_article_s_handle_is_asked_for(monkeypatch, tmp_path, name):
    asked = []
    monkeypatch.setattr("tensorflow_hub.resolve", lambda url: asked.append(url) or str(tmp_path))
    (tmp_path / "saved_model.pb").touch()
    assert modules.path(name) == str(tmp_path)
    assert asked == [ARTICLE[name]]


def test_modules_are_kept_under_the_course_s_cache(monkeypatch, tmp_path):
    import os

    monkeypatch.setattr("tensorflow_hub.resolve", lambda url: os.environ["TFHUB_CACHE_DIR"])
    kept = cache.root() / "tfhub"
    kept.mkdir(parents=True)
    (kept / "saved_model.pb").touch()
    assert modules.path("mobilenet_v2") == str(kept)


def test_the_real_handle_s_failure_names_the_cure(monkeypatch):
    def refuse(request, *_, **__):
        raise urllib.error.HTTPError(ARTICLE["mobilenet_v2"], 403, "Forbidden", {}, None)

    monkeypatch.setattr("urllib.request.OpenerDirector.open", refuse)
    with pytest.raises(RuntimeError, match=r"403.*COURSE_SOURCE=packaged.*mobilenet_v2"):
        modules.path("mobilenet_v2")
    assert not modules.is_ready("mobilenet_v2")


def test_keras_own_weights_are_asked_for(monkeypatch):
    asked = []

    def get_file(*_, **given):
        asked.append(given.get("origin") or _[1])
        raise Exception(f"URL fetch failure on {asked[-1]}: None -- unreachable")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(RuntimeError, match="unset COURSE_SOURCE"):
        modules.official_model("ResNet50")
    with pytest.raises(RuntimeError, match="unset COURSE_SOURCE"):
        modules.official_model("ResNet50", include_top=False)
    with pytest.raises(RuntimeError, match="unset COURSE_SOURCE"):
        modules.class_names("resnet_50")
    files = [address.rsplit("/", 1)[-1] for address in asked]
    assert files == [
        "resnet50_weights_tf_dim_ordering_tf_kernels.h5",
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "imagenet_class_index.json",
    ]


def test_a_module_without_a_handle_is_built_from_its_package(monkeypatch):
    built = []
    monkeypatch.setattr("sources.module_folders._build", lambda name, folder: built.append(name))
    monkeypatch.setattr("tensorflow_hub.resolve", lambda url: pytest.fail(f"{url} was asked for"))
    modules.path("densenet_121")
    assert built == ["densenet_121"]


def test_every_keras_model_can_be_had_from_keras():
    for entry in modules.catalogue().values():
        assert not entry["keras"] or hasattr(keras.applications, entry["keras"])


@pytest.mark.parametrize("name", ARTICLE)
def test_the_identity_line_names_the_handle(name):
    assert modules.identity(name) == f"{name}: {ARTICLE[name]} itself."
