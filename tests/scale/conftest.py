"""What the tests of the job share: a table of a few flowers and two files that are no photos."""

import numpy as np
import pandas as pd
import pytest

BROKEN = {"empty.jpg": b"", "page.jpg": b"<!doctype html>"}


@pytest.fixture(scope="session")
def table(tmp_path_factory, flowers):
    """Return photos.csv of 40 flowers and two files that are no photos, its column path among others."""
    folder = tmp_path_factory.mktemp("table")
    for name, content in BROKEN.items():
        (folder / name).write_bytes(content)
    rows = np.random.default_rng(0).permutation(len(flowers))[:40]
    paths = [*(str(flowers.paths[row]) for row in rows), *BROKEN]
    pd.DataFrame({"site": 7, "path": paths}).to_csv(folder / "photos.csv", index=False)
    return folder / "photos.csv"
