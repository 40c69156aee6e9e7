"""plant_foods: the photo, the names and the nutrition label of plant foods, from the Indian Food Composition Tables.

It writes what a reader would write for photos of their own: a folder of photos per class, groups.csv and table.csv.
foods.csv beside them keeps what was left out of the two, for a lesson on leaks.
"""

import re
import shutil
from pathlib import Path

import pandas

from sources import fetch

LETTERS = "ABCEFH"  # a food's code starts with its group's letter, in the order of the catalogue's classes

# The photo shows another part than was analysed (E033 juice, C009 and C024 leaves), or another fruit (E013, E031).
OFF_LABEL = ("C009", "C024", "E013", "E031", "E033")

# What the table adds to a plant's name: the part, its state, and the words by which Indian kitchens name the group.
GIVEAWAYS = re.compile(
    r"\b(dal|flesh|fruit|gram|greens|juice|kern[ae]l|leaf|leaves|pulp|ripe|roots?|seeded|seedless|skin|sprouts|whole)\b",
    re.IGNORECASE,
)
MISPRINTS = {
    "Arachis hypogea": "Arachis hypogaea",
    "Brassica rupa": "Brassica rapa",
    "Carcia papaya": "Carica papaya",
    "Colocasia anti-quorum": "Colocasia antiquorum",
    "Cucumis melon": "Cucumis melo",
    "Dacus carota": "Daucus carota",
    "Dolicus biflorus": "Dolichos biflorus",
    "Ipomoes batatas": "Ipomoea batatas",
    "Malus sylvestris": "Malus domestica",  # an apple of Kashmir; the later package of descriptions says so, too
    "Pistacla vera": "Pistacia vera",
    "Prunus communis": "Prunus persica",  # the peach, whose name the table gives to the pear
    "Prunus persica": "Pyrus communis",
    "Tamarindus indicus": "Tamarindus indica",
    "Zizyphus jujube": "Ziziphus jujuba",
}
LABEL = {
    "energy (kJ)": "enerc",
    "protein (g)": "protcnt",
    "fat (g)": "fatce",
    "carbohydrate (g)": "choavldf",
    "sugars (g)": "fsugar",
}
WORDS = {"code": "code", "name": "name", "scie": "scientific_name", "lang": "local_names"}
NOT_NUTRIENTS = {*WORDS, "grup", "regn", "tags"}


def plant_foods(folder: Path, entry: dict) -> None:
    """Write the foods of six groups: photos by class, groups.csv (species), table.csv (text and label), foods.csv."""
    photos, compositions = (fetch.fetch(origin) for origin in entry["origins"])
    with fetch.unpacked(compositions, entry["origins"][1]["file"]) as listing:
        foods = pandas.read_csv(listing).rename(columns=lambda heading: heading.rpartition("; ")[2])
    foods = foods[foods["code"].str[0].isin(list(LETTERS)) & ~foods["code"].isin(OFF_LABEL)].reset_index(drop=True)
    classes = [entry["classes"][LETTERS.index(code[0])] for code in foods["code"]]
    folders = [f"{entry['classes'].index(name)} {name}" for name in classes]
    file = [f"{inside}/{code}.jpeg" for inside, code in zip(folders, foods["code"], strict=True)]
    said = [english(name, local) for name, local in zip(foods["name"], foods["lang"], strict=True)]

    with fetch.unpacked(photos, entry["origins"][0]["file"]) as found:
        for target in file:
            (folder / target).parent.mkdir(exist_ok=True)
            shutil.copyfile(found / (folder / target).name, folder / target)
    _write(folder / "groups.csv", {"file": file, "group": foods["scie"].map(species)})
    label = {name: foods[column] for name, column in LABEL.items()}
    _write(folder / "table.csv", {"file": file, "text": map(without_giveaways, said), **label})
    words = {name: foods[column] for column, name in WORDS.items()}
    removed = [" ".join(GIVEAWAYS.findall(text)).lower() for text in said]
    nutrients = {column: foods[column] for column in foods if column not in NOT_NUTRIENTS and not column.endswith("_e")}
    _write(folder / "foods.csv", {"file": file, **words, "english_names": said, "removed": removed, **nutrients})


def english(name: str, local_names: str | float) -> str:
    """Return a food's English names: the table's own, then those after `E.` among the local ones."""
    others = re.findall(r"(?:^|;)\s*E\.\s*([^;]*)", local_names) if isinstance(local_names, str) else []
    return ", ".join([name.strip(), *(each.strip(" .") for each in others)])


def without_giveaways(text: str) -> str:
    """Return an English name without the words that give its group away."""
    parts = (" ".join(GIVEAWAYS.sub("", part).split()) for part in text.split(","))
    return ", ".join(dict.fromkeys(part for part in parts if part))


def species(scientific_name: str) -> str:
    """Return genus and species, misprints fixed, without varieties."""
    pair = " ".join(scientific_name.replace(" x ", " ").split()[:2])
    return MISPRINTS.get(pair, pair)


def _write(path, columns):
    pandas.DataFrame({name: list(column) for name, column in columns.items()}).to_csv(path, index=False)
