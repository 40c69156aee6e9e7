"""Every lesson runs with quick parameters, and what is committed is fit to be read and published."""

import nbformat
import pytest

from course import paths, refresh
from helpers import modules, photos, report

LESSONS = paths.lessons()
QUICK = {
    "00_start_here": {"repeats": 1},
    "01_official_model": {"photos_per_class": 2, "repeats": 1},
    "02_hub_feature_extractor": {"step_size": 64, "repeats": 1},
    "03_combine_modules": {"epochs": 2},
    "04_species": {
        "candidates": ["mobilenet_v2", "resnet_50"],
        "repeats": 1,
        "epochs": 2,
        "seeds": 1,
        "model_file": "../build/species_quick.keras",  # nbval may run the same lesson at the same time
    },
    "05_disease": {"audit_modules": ["resnet_50"], "repeats": 1, "epochs": 1},
    "06_photo_text_table": {"repeats": 1, "epochs": 5},
    "07_swap_the_backbone": {
        "candidates": ["mobilenet_v2", "resnet_50"],
        "repeats": 1,
        "timed": [],
        "sweep": ["mobilenet_v2", "mobilnet_v2"],
        "workplace": "../build/backbones_quick",  # nbval may run the same lesson at the same time
    },
    "08_publish_your_module": {"epochs": 2, "folder": "../build/my_module_quick"},  # nbval may run the same lesson now
    "09_take_it_to_a_phone": {"image_size": 96, "folder": "../build/phone_quick"},
    "10_text_modules": {"sizes": [5], "draws": 1, "folder": "../build/clues_quick"},
    "12_the_article_tested": {},
}
RANGES = {  # what a lesson's metrics must lie in, whatever the machine, quick or not
    "00_start_here": {"main": (0.87, 0.96)},
    "01_official_model": {"main": (0.88, 0.97)},
    "02_hub_feature_extractor": {"main": (0.92, 1.0)},
    "03_combine_modules": {"main": (0.8, 1.0)},
    "04_species": {
        "main": (0.9, 0.98),
        "accuracy_best": (0.9, 0.98),
        "accuracy_official": (0.87, 0.96),
        "accuracy_hub": (0.87, 0.96),
        "accuracy_from_scratch": (0.02, 0.95),
        "hub_less_official": (-0.01, 0.01),
    },
    "05_disease": {
        "main": (0.5, 0.75),
        "balanced_accuracy_leave_one_crop_out": (0.6, 0.85),
        "balanced_accuracy_random": (0.62, 0.85),
        "background_only": (0.48, 0.7),
        "matched_pairs": (0.85, 1.0),
        "lines_hub": (1, 1),
        "lines_official": (1, 1),
    },
    "07_swap_the_backbone": {
        "main": (0.88, 0.97),
        "best_flowers": (0.9, 0.98),
        "best_flowers_on_other_half": (0.88, 0.97),
        "cheapest_flowers": (0.87, 0.96),
        "cheapest_less_best": (-0.06, 0),
        "best_leaves": (0.85, 1.0),
        "own_flowers": (0.55, 0.82),
        "lines_changed": (1, 1),
        "words_changed": (1, 1),
        "lines_changed_official": (2, 2),
        "sweep_failed": (1, 1),
    },
    "08_publish_your_module": {
        "main": (0.75, 1.0),
        "official_difference": (0, 1e-5),
        "parent_difference": (0, 1e-5),
        "child_less_parent_leaves": (-0.2, 0.3),
        "named_layers_hub": (0, 0),
        "named_layers_official": (100, 200),
    },
    "06_photo_text_table": {
        "main": (0.88, 0.97),
        "photo": (0.64, 0.79),
        "text": (0.58, 0.73),
        "table": (0.87, 0.96),
        "photo_text": (0.75, 0.87),
        "words_gain": (0.02, 0.18),
        "missing_table_concat": (0.5, 0.7),
        "missing_table_dropped": (0.74, 0.88),
        "leak_names": (0.6, 0.8),
        "leak_zeros": (0.65, 0.85),
    },
    "09_take_it_to_a_phone": {
        "main": (0.6, 1.0),
        "lite_float": (0.65, 1.0),
        "int8_less_float": (-0.15, 0.1),
        "megabytes_float": (8, 10),
        "megabytes_int8": (2.3, 3.5),
    },
    "10_text_modules": {
        "main": (0.4, 0.65),
        "few_minilm_less_words": (0.0, 0.25),
        "words": (0.6, 0.78),
        "use_lite": (0.55, 0.72),
        "minilm": (0.6, 0.78),
        "minilm_less_words": (-0.05, 0.05),
        "kinds": (3, 3),
    },
    "12_the_article_tested": {"main": (1, 30)},
}
FOLDERS = {  # real photos beside the repository, for tests: what a main metric must reach on 30 photos of each class
    "plantvillage_small": 0.8,
    "corn_leaf_disease": 0.7,
    "tf_flowers": 0.7,
}


def quick_run(lesson, tmp_path, **parameters):
    """Run a lesson with its quick parameters and others; return its metrics."""
    import papermill

    target = tmp_path / lesson.name
    papermill.execute_notebook(
        str(lesson),
        str(target),
        QUICK[lesson.stem] | parameters,
        cwd=str(paths.NOTEBOOKS),
        kernel_name="python3",
        progress_bar=False,
    )
    metrics = report.metrics_of(nbformat.read(target, 4))
    assert metrics["lesson"] == lesson.stem
    return metrics["metrics"]


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return request.param


def outputs_of(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.mark.tensorflow
def test_every_lesson_runs_with_quick_parameters(lesson, tmp_path):
    import papermill

    assert set(QUICK[lesson.stem]) <= set(papermill.inspect_notebook(str(lesson)))
    metrics = quick_run(lesson, tmp_path)
    for name, (low, high) in RANGES[lesson.stem].items():
        assert low <= metrics[name]["value"] <= high, name


@pytest.mark.long
@pytest.mark.tensorflow
@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("stem", ["04_species", "05_disease"])
def test_training_lessons_run_whole_on_a_folder_of_photos(stem, folder, tmp_path):
    photos_there = paths.ROOT.parent / "shared" / "photos" / folder
    if not photos_there.is_dir():
        pytest.skip(f"the photo folder {folder} is not beside the repository")
    metrics = quick_run(
        paths.NOTEBOOKS / f"{stem}.ipynb",
        tmp_path,
        photo_set=str(photos_there),
        module="mobilenet_v2",
        folds=4,
        seed=1,
    )
    assert metrics["main"]["value"] >= FOLDERS[folder]
    assert metrics["main"]["low"] < metrics["main"]["value"] < metrics["main"]["high"]


def test_committed_lessons_found_what_the_course_says():
    for lesson in LESSONS:
        metrics = report.metrics_of(nbformat.read(lesson, 4))["metrics"]
        for name, (low, high) in RANGES[lesson.stem].items():
            assert low <= metrics[name]["value"] <= high, (lesson.stem, name)
    species = report.metrics_of(nbformat.read(paths.NOTEBOOKS / "04_species.ipynb", 4))["metrics"]
    assert species["accuracy_best"]["value"] >= 0.92
    assert species["accuracy_from_scratch"]["value"] < species["accuracy_frozen_split"]["value"]
    disease = report.metrics_of(nbformat.read(paths.NOTEBOOKS / "05_disease.ipynb", 4))["metrics"]
    assert disease["matched_pairs"]["value"] > disease["matched_pairs_background"]["value"]


def test_committed_lessons_ran_in_order_and_without_noise(lesson):
    notebook = nbformat.read(lesson, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {(output.output_type, output.get("name")) for output in outputs_of(notebook)}
    assert ("stream", "stderr") not in kinds
    assert not any(kind == "error" for kind, _ in kinds)
    assert str(paths.ROOT) not in lesson.read_text()


def test_lessons_keep_the_shape_that_a_reader_knows(lesson):
    notebook = nbformat.read(lesson, 4)
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    headings = [line for text in texts for line in text.splitlines() if line.startswith("# ")]
    assert len(headings) == 1
    assert notebook.cells[0].source.startswith(headings[0])
    for row in ("Question", "Afterwards you can", "You need to know", "Time"):
        assert f"**{row}**" in notebook.cells[0].source
    for section in ("## What we saw", "## Try it yourself", "## Sources"):
        assert any(section in text for text in texts)
    assert "parameters" in next(cell for cell in notebook.cells if cell.cell_type == "code").metadata.tags
    assert report.metrics_of(notebook)["metrics"]["main"]


def test_every_stored_picture_has_alt_text(lesson):
    pictures = [output for output in outputs_of(nbformat.read(lesson, 4)) if "image/png" in output.get("data", {})]
    assert pictures
    for picture in pictures:
        alt = picture.metadata["image/png"]["alt"]
        assert len(alt) > 40
        assert picture.data["text/plain"] == alt


def test_no_picture_is_stored_whose_licence_does_not_allow_it(lesson):
    for output in outputs_of(nbformat.read(lesson, 4)):
        if output.get("metadata", {}).get("course", {}).get("publish") is False:
            assert set(output.data) == {"text/plain"}


def test_the_readme_tells_what_the_lessons_found():
    readme = (paths.ROOT / "README.md").read_text()
    assert refresh.with_tables(readme) == readme
    for lesson in LESSONS:
        main = report.metrics_of(nbformat.read(lesson, 4))["metrics"]["main"]
        line = next(line for line in readme.splitlines() if f"(notebooks/{lesson.name})" in line)
        assert f"{main['value']:.3f} [{main['low']:.3f} {main['high']:.3f}]" in line


def test_every_lesson_shows_the_claims_as_they_stand(lesson):
    for output in outputs_of(nbformat.read(lesson, 4)):
        if shown := output.get("metadata", {}).get("course", {}).get("claims"):
            assert output.data["text/markdown"] == report.claims("" if shown == "all" else shown)


def test_the_readme_names_every_module_and_its_carrier():
    readme = (paths.ROOT / "README.md").read_text()
    for name, entry in modules.catalogue().items():
        line = next(line for line in readme.splitlines() if line.startswith(f"| `{name}`"))
        carrier = entry["origins"][0]
        assert f"{carrier['package']} {carrier['version']}" in line
        assert str(entry["output_dim"]) in line
        assert entry["identity"] != "stand-in" or "**stand-in**" in line


def test_a_row_whose_lesson_has_not_run_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(report, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(report, "_reported", {})
    rows = report.claims().splitlines()[2:]
    assert rows
    assert all("| not tested yet |" in row or "| opinion |" in row for row in rows)


def test_only_sets_with_a_named_licence_are_shown():
    shown = {name: card for name, card in photos.catalogue().items() if card["show"]}
    assert shown
    for card in shown.values():
        assert card["credit"]
        assert "not verified" not in card["licence"]
