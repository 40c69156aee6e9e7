"""WordNet's definitions of plants, read out of its noun file (format: wndb(5WN), wordnet.princeton.edu)."""

import csv
import re
from pathlib import Path

from sources import fetch

PLANTS = "20"  # the number of WordNet's file of plants
SAYS_IT = re.compile(r"\b(?:sub|pot)?(?:herb|shrub|tree)\w*", re.IGNORECASE)  # words that name a class


def plant_glosses(folder: Path, entry: dict) -> None:
    """Write glosses.csv: masked, text, label, group; a row for each plant that WordNet puts under one of the classes.

    text: the definition.  masked: the same with every word that names a class replaced by "plant".  label: the class,
    out of the plant's place in WordNet's tree.  group: its genus. Where masking makes two definitions alike, the first
    one stays.
    """
    origin, archive = fetch.fetch_any(entry["origins"])
    with fetch.unpacked(archive, origin["file"]) as found:
        plants = _plants(found.read_text(encoding="latin-1"))
    genera = {word[6:] for plant in plants.values() for word in plant["words"] if word.startswith("genus_")}
    rows, classes = {}, set(entry["classes"])
    for place, plant in plants.items():
        kinds = _above(plants, place) & classes
        masked = SAYS_IT.sub("plant", plant["gloss"])
        if len(kinds) == 1 and masked not in rows:
            rows[masked] = [plant["gloss"], entry["classes"].index(kinds.pop()), _genus(plants, place, genera, classes)]
    with open(folder / "glosses.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["masked", "text", "label", "group"])
        writer.writerows([masked, *row] for masked, row in rows.items())


def _plants(data):
    """Read the plants of a noun file: {offset: words, gloss, above (offsets of kinds), inside (offsets of wholes)}."""
    plants = {}
    for line in data.splitlines():
        head, _, gloss = line.partition(" | ")
        fields = head.split()
        if line.startswith("  ") or fields[1] != PLANTS:  # the licence, another subject
            continue
        words = int(fields[3], 16)
        pointers = fields[5 + 2 * words :]
        to = list(zip(pointers[0::4], pointers[1::4], strict=False))
        plants[fields[0]] = {
            "words": fields[4 : 4 + 2 * words : 2],
            "gloss": gloss.strip(),
            "above": [place for sign, place in to if sign in ("@", "@i")],
            "inside": [place for sign, place in to if sign == "#m"],
        }
    for plant in plants.values():
        for pointer in ("above", "inside"):  # what lies outside the file of plants: organism, group
            plant[pointer] = [place for place in plant[pointer] if place in plants]
    return plants


def _above(plants, place):
    """Return the first words (set of str) of all kinds that a plant belongs to."""
    found, waiting = set(), [place]
    while waiting:
        new = set(plants[waiting.pop()]["above"]) - found
        found |= new
        waiting += new
    return {plants[each]["words"][0] for each in found}


def _genus(plants, place, genera, classes):
    """Return a plant's genus (str): in its Latin name, else the whole it is a member of, else that of its kind."""
    plant = plants[place]
    for word in plant["words"]:
        if "_" in word and word.split("_")[0] in genera:
            return word.split("_")[0]
    for whole in plant["inside"]:
        return plants[whole]["words"][0].removeprefix("genus_")
    for kind in plant["above"]:
        if _above(plants, kind) & classes:
            return _genus(plants, kind, genera, classes)
    return plant["words"][0]
