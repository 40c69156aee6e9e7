"""Every lesson runs with quick parameters, and what is committed is fit to be read and published."""

import functools
import itertools
import json
import re
import shutil
import subprocess
import sys

import nbformat
import numpy as np
import pytest

from course import paths, refresh, run
from helpers import modules, photos, report

LESSONS = paths.lessons()
QUICK = {
    "00_start_here": {},
    "01_official_model": {},
    "02_hub_feature_extractor": {},
    "03_combine_modules": {"epochs": 2},
    "04_species": {
        "image_size": 96,
        "epochs": 2,
        "tuning_epochs": 1,
        "sizes": [5],
        "folds": 3,
        "model_folder": "../build/species_quick",  # nbval may run the same lesson at the same time
    },
    "05_disease": {"image_size": 96, "tuning_epochs": 1, "draws": 2},
    "06_photo_text_table": {"repeats": 1, "epochs": 10},
    "07_swap_the_backbone": {
        "candidates": ["mobilenet_v2", "mobilnet_v2", "resnet_50"],
        "repeats": 1,
        "own_module": "../build/backbones_quick/colour_counter",  # nbval may run the same lesson at the same time
    },
    "08_publish_your_module": {"epochs": 2, "folder": "../build/my_module_quick"},  # nbval may run the same lesson now
    "09_take_it_to_a_phone": {"image_size": 96, "folder": "../build/phone_quick"},
    "10_text_modules": {"sizes": [5], "draws": 1, "folder": "../build/clues_quick"},
    "11_beyond_one_machine": {"photos_used": 32, "folder": "../build/scale_quick"},  # nbval may run the same lesson now
    "12_the_article_tested": {},
}
RANGES = {  # what a lesson's metrics must lie in, whatever the machine, quick or not
    "00_start_here": {"main": (0.78, 0.97), "homes_left": (1, 1)},
    "01_official_model": {
        "main": (0.8, 1.0),
        "as_printed": (1, 1),
        "named_daisy": (1, 1),
        "trainable_parameters": (20490, 20490),
    },
    "02_hub_feature_extractor": {
        "main": (0.85, 1.0),
        "as_printed": (0, 0),
        "moved_frozen": (0, 0),
        "gradient_pixels": (0.9, 1),
        "replaced_layers": (176, 176),
    },
    "03_combine_modules": {
        "main": (0.8, 1.0),
        "complaints": (0.1, 0.6),
        "as_printed": (0, 0),
        "fixed": (1, 1),
        "length_ratio": (20, 60),
        "lines_with_hub": (5, 5),
        "lines_without_hub": (9, 9),
    },
    "04_species": {
        "main": (0.85, 0.95),
        "accuracy_dense_128": (0.84, 0.95),
        "dense_128_minus_linear": (-0.06, 0.06),
        "accuracy_frozen_224": (0.8, 0.98),
        "accuracy_frozen": (0.6, 0.95),
        "accuracy_retrained": (0.5, 1.0),
        "accuracy_fine_tuned": (0.5, 1.0),
        "accuracy_scratch": (0.02, 0.95),
    },
    "05_disease": {
        "main": (0.45, 0.75),
        "lab_to_lab": (0.45, 0.75),
        "background_lab": (0.6, 0.95),
        "background_field": (0.4, 0.75),
        "field_to_field": (0.45, 0.75),
        "lab_and_field": (0.45, 0.75),
        "pairs_resnet_50": (0.85, 1.0),
        "pairs_background": (0.3, 0.75),
    },
    "07_swap_the_backbone": {
        "main": (0.88, 0.97),
        "reference": (0.88, 0.97),
        "own_module": (0.55, 0.82),
        "best_on_other_half": (0.88, 0.97),
        "chosen_less_reference": (-0.04, 0.04),
        "words_changed": (2, 2),
        "words_changed_official": (3, 3),
        "refused": (1, 1),
        "extraction_over_head": (1000, 4000),
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
        "words": (0.58, 0.73),
        "nutrition": (0.87, 0.96),
        "photo_words": (0.75, 0.87),
        "words_gain": (0.02, 0.18),
        "all_less_table": (-0.03, 0.06),
        "no_table_joint": (0.5, 0.7),
        "no_table_practised": (0.74, 0.88),
        "practised_less_photo_words": (-0.05, 0.05),
        "leak_letters": (0.6, 0.8),
        "leak_zeros": (0.65, 0.85),
        "lines_hub": (4, 4),
        "lines_official": (5, 5),
    },
    "09_take_it_to_a_phone": {
        "main": (0.6, 1.0),
        "lite_float": (0.65, 1.0),
        "int8_less_float": (-0.15, 0.1),
        "known_named": (0.8, 1.0),
        "others_named": (0, 0.3),
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
    "11_beyond_one_machine": {
        "main": (1, 1),
        "largest_difference": (0, 1e-5),
        "bad": (3, 3),
        "predictions_differ": (0, 0),
        "mirrored_difference": (0, 1e-4),
        "workers_difference": (0, 1e-4),
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


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Give a function of a lesson's path that runs it with quick parameters, once, and returns its metrics."""
    return functools.cache(lambda lesson: quick_run(lesson, tmp_path_factory.mktemp("quick")))


@pytest.mark.tensorflow
def test_every_lesson_runs_with_quick_parameters(lesson, quick):
    import papermill

    if what := run.lacking(lesson.stem):
        pytest.skip(what)
    assert set(QUICK[lesson.stem]) <= set(papermill.inspect_notebook(str(lesson)))
    metrics = quick(lesson)
    for name, (low, high) in RANGES[lesson.stem].items():
        assert low <= metrics[name]["value"] <= high, name


@pytest.mark.tensorflow
def test_the_exported_model_names_a_photo_in_an_empty_folder_with_tensorflow_alone(quick, tmp_path):
    quick(paths.NOTEBOOKS / "04_species.ipynb")
    flowers, empty = photos.load("flowers"), tmp_path / "elsewhere"
    shutil.copytree(paths.BUILD / "species_quick", empty / "model")
    row = flowers.class_names.index("calendula")
    shutil.copy(flowers.paths[np.flatnonzero(flowers.labels == row)[0]], empty / "photo.png")
    program = (empty / "model" / "name_photo.py").read_text()
    foreign = "\nassert not {'helpers', 'course', 'sources', 'tensorflow_hub'} & set(sys.modules)\n"
    (empty / "model" / "name_photo.py").write_text(program + foreign)
    command = [sys.executable, "-I", "model/name_photo.py", "photo.png"]
    answer = subprocess.run(command, cwd=empty, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("calendula, ")
    about = json.loads((empty / "model" / "assets.extra" / "about.json").read_text())
    assert about["class_names"] == list(flowers.class_names)
    assert about["input_size"] == 224


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
    assert species["dense_128_minus_linear"]["low"] < 0 < species["dense_128_minus_linear"]["high"]
    assert species["accuracy_scratch"]["value"] < species["accuracy_frozen_224"]["value"]
    disease = report.metrics_of(nbformat.read(paths.NOTEBOOKS / "05_disease.ipynb", 4))["metrics"]
    assert disease["pairs_resnet_50"]["low"] > disease["pairs_background"]["high"]


def test_committed_lessons_ran_in_order_and_without_noise(lesson):
    notebook = nbformat.read(lesson, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {(output.output_type, output.get("name")) for output in outputs_of(notebook)}
    assert ("stream", "stderr") not in kinds
    assert not any(kind == "error" for kind, _ in kinds)
    assert str(paths.ROOT) not in lesson.read_text()


def test_lessons_keep_the_template(lesson):
    stem, cells = lesson.stem, nbformat.read(lesson, 4).cells
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    opening, closing, whole = texts[0], texts[-1], "\n".join(texts)
    headings = re.findall(r"^# .+", re.sub(r"^```.*?^```", "", whole, flags=re.M | re.S), re.M)
    assert headings == opening.splitlines()[:1]
    assert opening.count("\n- ") == 3
    for words in ("By the end you will be able to", "**You need**", "**Time:**", "**Never**"):
        assert words in opening
    for section in ("## What the article says", "## Check yourself", "## Summary"):
        assert whole.count(section) == 1
    for words in ("## Summary", "**Next:**", "**Sources:**"):
        assert words in closing
    assert ("**Graded:**" in closing) == (paths.NOTEBOOKS / "assignments" / "source" / stem).exists()
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert code[0].metadata.tags == ["parameters"]
    assert all(line.startswith(("import ", "from ")) for line in code[1].source.splitlines() if line)
    assert code[-1].metadata.jupyter == {"source_hidden": True}
    exercises = [place for place, cell in enumerate(cells) if "**Exercise " in cell.source]
    assert len(exercises) >= 2
    assert exercises[0] < len(cells) * 2 / 3
    folded = len(exercises) + 1 + whole.count("<summary>Going deeper")
    assert whole.count("<details><summary>") == whole.count("</details>") == folded
    assert whole.count("</summary>\n\n") == folded  # without the blank line Markdown inside stays raw
    shown = [output for cell in code for output in cell.outputs if "image/png" in output.get("data", {})]
    assert "photo" in shown[0].data["text/plain"]
    assert report.metrics_of(nbformat.read(lesson, 4))["metrics"]["main"]


@pytest.mark.parametrize(
    ("number", "stem"), enumerate(["01_official_model", "02_hub_feature_extractor", "03_combine_modules"], start=1)
)
def test_the_article_s_example_is_shown_as_printed(number, stem):
    texts = [cell.source for cell in nbformat.read(paths.NOTEBOOKS / f"{stem}.ipynb", 4).cells]
    assert sum(f"```python\n{report.example(number)}```" in text for text in texts) == 1


@pytest.mark.long
@pytest.mark.tensorflow
@pytest.mark.parametrize("stem", [path.stem for path in LESSONS[:-1]])  # the closing lesson's exercises need no code
def test_every_solution_runs(stem, tmp_path):
    notebook = nbformat.read(paths.NOTEBOOKS / f"{stem}.ipynb", 4)
    asked = [pair for pair in itertools.pairwise(notebook.cells) if pair[0].source.startswith("# Your turn")]
    assert asked
    for cell, below in asked:
        cell.source = below.source.split("```python\n")[1].split("```")[0]
    solved = tmp_path / "solved" / f"{stem}.ipynb"
    solved.parent.mkdir()
    nbformat.write(notebook, solved)
    quick_run(solved, tmp_path)


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


def test_the_page_of_claims_is_as_the_lessons_found():
    page = (paths.ROOT / "docs" / "claims.md").read_text()
    assert refresh.with_claims(page) == page


def test_the_readme_has_a_row_for_every_lesson_and_no_result():
    readme = (paths.ROOT / "README.md").read_text()
    rows = re.findall(r"^\| \[\d\d .+?\]\(notebooks/(.+?)\) \| .+ \| (\d+) \|$", readme, re.M)
    assert [name for name, _ in rows] == [lesson.name for lesson in LESSONS]
    assert all(30 <= int(minutes) <= 90 for _, minutes in rows)
    for lesson, (_, minutes) in zip(LESSONS, rows, strict=True):
        assert f"**Time:** {minutes} minutes." in lesson.read_text(), lesson.name
    assert not re.search(r"\d\.\d{3}", readme)


def test_every_lesson_shows_the_claims_as_they_stand(lesson):
    for output in outputs_of(nbformat.read(lesson, 4)):
        if shown := output.get("metadata", {}).get("course", {}).get("claims"):
            assert output.data["text/markdown"] == report.claims("" if shown == "all" else shown)


def test_the_page_of_modules_names_each_and_its_carrier():
    page = (paths.ROOT / "docs" / "modules.md").read_text()
    for name, entry in modules.catalogue().items():
        line = next(line for line in page.splitlines() if line.startswith(f"| `{name}`"))
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
