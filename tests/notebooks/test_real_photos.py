"""On real photos the pretrained features are worth what the lessons say, and so are the shortcuts."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedShuffleSplit

from helpers import evaluation, features, photos

pytestmark = pytest.mark.tensorflow
REAL = Path(__file__).resolve().parents[3] / "shared" / "photos"


def real(name):
    """Return a set of shared/photos; skips where it is absent."""
    if not (REAL / name).is_dir():
        pytest.skip(f"shared/photos/{name} is not beside this checkout")
    return photos.load(REAL / name)


def forest():
    return RandomForestClassifier(100, random_state=0)


def test_leaves_are_named_right_nine_times_in_ten_and_the_background_alone_tells_less():
    leaves = real("plantvillage_small")
    vectors, labels, groups = features.extract(leaves, "mobilenet_v2"), leaves.labels, leaves.groups
    dealt = {"groups": groups, "repeats": 1, "one_group_at_a_time": False}
    by_leaf = evaluation.cross_validate(vectors, labels, **dealt)
    assert by_leaf.accuracy >= 0.91
    assert evaluation.cross_validate(vectors, labels).accuracy >= by_leaf.accuracy - 0.01  # a leaf's twin may help
    border = evaluation.cross_validate(features.background_features(leaves), labels, model=forest(), **dealt)
    assert evaluation.compare(by_leaf, border)[1] > 0.05


def test_flowers_of_a_held_out_quarter_are_named_right():
    flowers = real("tf_flowers")
    vectors, labels = features.extract(flowers, "mobilenet_v2"), flowers.labels
    quarters = StratifiedShuffleSplit(3, test_size=0.25, random_state=0).split(vectors, labels)
    heads = ((evaluation.linear_head().fit(vectors[train], labels[train]), test) for train, test in quarters)
    assert np.mean([head.score(vectors[test], labels[test]) for head, test in heads]) >= 0.85


def test_the_background_alone_names_most_maize_leaves():
    # So that a high accuracy on these photos proves little.
    maize = real("corn_leaf_disease")
    result = evaluation.cross_validate(features.background_features(maize), maize.labels, model=forest(), repeats=1)
    assert result.interval[0] > 0.6


def test_copies_of_a_photo_join_it_and_other_photos_do_not(flowers, loaded, tmp_path):
    originals = [photos.read(path, 224) for path in flowers.take([3, 50, 120]).paths]
    copies = []
    for picture in originals:
        Image.fromarray(picture).save(tmp_path / "copy.jpg", quality=75)
        copies += [photos.read(tmp_path / "copy.jpg"), picture[:, ::-1]]
    batch = np.stack([*originals, *copies]).astype(np.float32) / 255
    names = features.near_duplicate_groups(loaded("mobilenet_v2")(batch).numpy())
    assert len(set(names[:3])) == 3
    assert names[3:].tolist() == np.repeat(names[:3], 2).tolist()
