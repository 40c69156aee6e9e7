"""plant_foods holds what its card says, and what would give a food's group away stays out of texts and table."""

import numpy as np
import pandas as pd
import pytest

from helpers import photos
from sources.recipes import plant_foods


@pytest.fixture(scope="module")
def foods():
    with pytest.MonkeyPatch.context() as patch:  # a module's fixture is made before packaged_source
        patch.delenv("COURSE_SOURCE", raising=False)
        return photos.load("plant_foods")


def test_there_are_six_groups_of_foods_with_photo_text_and_label(foods):
    assert foods.class_names == ("cereals", "legumes", "leafy greens", "fruits", "roots", "nuts")
    assert np.bincount(foods.labels).tolist() == [24, 25, 32, 65, 19, 21]
    assert foods.texts.dtype == object
    assert all(foods.texts)
    assert foods.table.shape == (186, 5)
    assert (foods.table > 0).all(axis=None)  # no zeros: where they stand tells the group
    assert photos.faults(foods) == {}
    assert foods.card["show"] is False


def test_each_row_belongs_to_its_photo(foods):
    row = [path.stem for path in foods.paths].index("F002")
    assert (foods.texts[row], foods.groups[row]) == ("Carrot, orange", "Daucus carota")
    assert foods.class_names[foods.labels[row]] == "roots"
    almond = [path.stem for path in foods.paths].index("H001")
    assert foods.table["fat (g)"].iloc[almond] == 58.49
    assert foods.table["energy (kJ)"].iloc[almond] == 2549


def test_energy_is_what_the_other_numbers_add_up_to(foods):
    # So the columns are what their headings say: 17 kJ a gram of protein and carbohydrate, 37 of fat, 8 of fibre.
    listing = pd.read_csv(foods.paths[0].parents[1] / "foods.csv")
    table = foods.table
    energy = 17 * (table["protein (g)"] + table["carbohydrate (g)"]) + 37 * table["fat (g)"] + 8 * listing["fibtg"]
    assert np.median(np.abs(energy / table["energy (kJ)"] - 1)) < 0.08
    assert (table["sugars (g)"] <= table["carbohydrate (g)"] + 6).all()


def test_foods_whose_photo_shows_something_else_are_left_out(foods):
    assert not {path.stem for path in foods.paths} & {"C009", "C024", "E013", "E031", "E033", "D031", "G008"}


def test_texts_do_not_give_the_group_away(foods):
    words = {word.strip("()").lower() for text in foods.texts for word in text.replace(",", " ").split()}
    assert not words & {"leaves", "dal", "gram", "ripe", "fruit", "root", "flesh", "skin", "greens"}


def test_a_species_is_one_group_whatever_the_table_prints(foods):
    stem_of = {path.stem: group for path, group in zip(foods.paths, foods.groups, strict=True)}
    assert stem_of["C034"] == stem_of["E064"] == "Tamarindus indica"
    assert stem_of["C018"] == stem_of["F004"] == "Colocasia antiquorum"
    assert len({stem_of[code] for code in ("C012", "C014", "C015", "C016", "C017")}) == 1  # varieties of cabbage
    assert stem_of["E050"] == "Prunus persica"
    assert stem_of["E051"] == "Pyrus communis"
    assert len(set(foods.groups)) == 106


def test_what_was_left_out_stays_at_hand(foods):
    listing = pd.read_csv(foods.paths[0].parents[1] / "foods.csv")
    files = [path.relative_to(foods.paths[0].parents[1]).as_posix() for path in foods.paths]
    assert listing["file"].tolist() == files
    assert {"name", "scientific_name", "local_names", "english_names", "removed", "fibtg"} <= set(listing)
    nutrients = listing.loc[:, "enerc":]
    assert nutrients.shape[1] == 207
    assert all(kind == "float64" or kind == "int64" for kind in nutrients.dtypes)
    np.testing.assert_allclose(listing["enerc"], foods.table["energy (kJ)"])


@pytest.mark.parametrize(
    ("name", "local", "cleaned"),
    [
        ("Red gram, dal", "A. Rahor; E. Pigeon pea; H. Toor dal.", "Red, Pigeon pea"),
        ("Mango, ripe, kesar", "A. Aam; H. Aam", "Mango, kesar"),
        ("Moth bean", "E. Mat bean, Turkish gram; H. Moth", "Moth bean, Mat bean, Turkish"),
        ("Quinoa", float("nan"), "Quinoa"),
        ("Ricebean", "E. Ricebean; H. Siltung", "Ricebean"),
        ("Gogu leaves, red", "Kan. Gogu; Te. E.x", "Gogu, red"),
    ],
)
def test_names_are_cleaned(name, local, cleaned):
    assert plant_foods.without_giveaways(plant_foods.english(name, local)) == cleaned


def test_varieties_and_crosses_are_their_species():
    assert plant_foods.species("Brassica oleracea var. capitata f. alba") == "Brassica oleracea"
    assert plant_foods.species("Musa x paradisiaca") == "Musa paradisiaca"
    assert plant_foods.species("Dacus carota") == "Daucus carota"


def write_table(folder, rows, header="file,text,height"):
    (folder / "table.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


ROWS = ["pine/1.jpg,a pine,3.5", "oak/0.jpg,an oak,12", "pine/0.jpg,'another, pine',4", "oak/1.jpg,old oak,1e1"]
ROWS[2] = ROWS[2].replace("'", '"')


def test_a_table_gives_texts_and_numbers_in_the_order_of_the_photos(photo_folder):
    found = photos.load(write_table(photo_folder(each=2), ROWS))
    assert found.texts.tolist() == ["an oak", "old oak", "another, pine", "a pine"]
    assert found.texts.dtype == object
    assert found.table.to_dict("list") == {"height": [12.0, 10.0, 4.0, 3.5]}
    few = found.take([3, 0])
    assert few.texts.tolist() == ["a pine", "an oak"]
    assert few.table["height"].tolist() == [3.5, 12.0]


def test_a_table_may_have_texts_or_numbers_alone(photo_folder):
    folder = write_table(photo_folder(each=2), [row.rsplit(",", 1)[0] for row in ROWS], "file,text")
    assert photos.load(folder).table is None
    write_table(folder, [f"{name},{number}" for number, name in enumerate(photo_names())], "file,height")
    assert photos.load(folder).texts is None
    assert photos.load(folder).table["height"].tolist() == [0, 1, 2, 3]
    (folder / "table.csv").unlink()
    assert photos.load(folder).table is None


def photo_names():
    return [f"{tree}/{number}.jpg" for tree in ("oak", "pine") for number in range(2)]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (ROWS[:3], r"table\.csv has no row for oak/1\.jpg\."),
        ([*ROWS, "oak/7.jpg,lost,1"], r"not there: line 6: oak/7\.jpg"),
        ([*ROWS, ROWS[0]], r"names pine/1\.jpg twice, last in line 6"),
        ([*ROWS[:3], "oak/1.jpg, ,1"], r"no text in line 5 \(oak/1\.jpg\)"),
        ([*ROWS[:3], "oak/1.jpg,old oak,tall"], "no number: line 5, column height: 'tall'"),
        ([*ROWS[:3], "oak/1.jpg,old oak,"], "line 5, column height: ''"),
        ([*ROWS[:3], "oak/1.jpg,old oak"], "line 5, column height: ''"),
        ([*ROWS[:3], "oak/1.jpg,old oak,nan"], "line 5, column height: 'nan'"),
        ([*ROWS[:3], "oak/1.jpg,old, oak,1"], r"line 5: 4 cells under 3 columns: \['oak/1\.jpg', 'old', ' oak', '1'\]"),
    ],
    ids=["no row", "no photo", "twice", "no text", "a word", "nothing", "short row", "NaN", "comma"],
)
def test_a_table_that_does_not_fit_is_refused_by_row(photo_folder, rows, told):
    with pytest.raises(photos.PhotoError, match=told):
        photos.load(write_table(photo_folder(each=2), rows))


def test_a_table_without_a_column_file_is_refused(photo_folder):
    with pytest.raises(photos.PhotoError, match=r"table\.csv, line 1: no column is called file\. .*photo, text"):
        photos.load(write_table(photo_folder(each=2), ROWS, "photo,text,height"))


def test_an_empty_table_is_missed_by_every_photo(photo_folder):
    with pytest.raises(photos.PhotoError, match=r"has no row for oak/0\.jpg; oak/1\.jpg"):
        photos.load(write_table(photo_folder(each=2), []))
