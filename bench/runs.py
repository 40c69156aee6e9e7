"""Run lesson 05 on photo sets and keep what it found: python -m bench.runs SET [SET ...].

SET is a name from data/photos.toml or a folder. A set that data/runs.json has already keeps its description, `what`,
which is written by hand; its figures are replaced. `make refresh` brings them into lesson 05 and the README.
"""

import json
import sys

from course import paths, run

RUNS = paths.ROOT / "data" / "runs.json"
KEPT = ("accuracy", "accuracy_random", "accuracy_background", "accuracy_frozen_split", "accuracy_fine_tuned")


def main(sets):
    """Measure each set and write data/runs.json after each, so that an interrupt loses one set at most."""
    for name in sets:
        run.run(["05"], [("photo_set", name)])
        found = {row["set"]: row for row in json.loads(RUNS.read_text())}
        row = _row(json.loads((paths.BUILD / "results.json").read_text())[0])
        row["what"] = found.get(row["set"], {}).get("what", "say here what these photos are")
        found[row["set"]] = row
        RUNS.write_text(json.dumps(list(found.values()), indent=1) + "\n")


def _row(payload):
    metrics = payload["metrics"]
    photos, groups = metrics["groups"]["n"], int(metrics["groups"]["value"])
    return {
        "set": payload["photo_set"],
        "photos": photos,
        "classes": int(metrics["classes"]["value"]),
        "split": f"{groups} groups, whole",
        "module": payload["module"],
        **{name: metrics[name] for name in KEPT},
        "seconds": payload["seconds"],
    }


if __name__ == "__main__":
    main(sys.argv[1:])
