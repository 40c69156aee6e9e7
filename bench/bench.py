"""Measure what the course's way of working costs. bench/README.md says what is compared, and keeps the figures."""

import argparse
import importlib.metadata
import json
import os
import platform
import random
import re
import subprocess
import sys
import time
from pathlib import Path

from sources.cache import ROOT

README = ROOT / "bench" / "README.md"
CATALOGUE = ROOT / "data" / "modules.toml"
MODULES = ["mobilenet_v2", "efficientnet_b0", "resnet_50", "densenet_121", "inception_v3"]
ENGINES = ["TensorFlow", "LiteRT", "LiteRT int8", "OpenVINO"]
SIZES = {"256 px": (256, 256), "12 megapixels": (4000, 3000), "48 megapixels": (8000, 6000)}
ENCODERS = ["text_encoder", "sentence_encoder"]


def main():
    """Measure everything, each figure in a fresh process and in an order that is drawn, and put it into README.md."""
    parser = argparse.ArgumentParser(prog="python -m bench.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few photos, one round, nothing is written")
    parser.add_argument("--large", action="store_true", help="peak memory at 50,000 photos, too")
    given = parser.parse_args()
    os.environ.update(COURSE_SOURCE="packaged", TQDM_DISABLE="1")  # the children inherit both
    rounds, count, start = (1, 64, time.monotonic()) if given.quick else (2, 200, time.monotonic())
    load = os.getloadavg()[0]
    engines = [each for each in ENGINES if each != "OpenVINO" or _installed("openvino")]
    jobs = [("engine", engine, module, count) for engine in engines for module in MODULES]
    jobs += [("texts", encoder) for encoder in ENCODERS]
    jobs += [("decode", *size, way) for size in SIZES.values() for way in ("draft", "whole")]
    jobs += [("floor", module) for module in MODULES]
    jobs += [("flow", which, 500 // (5 if given.quick else 1)) for which in ("tutorial", "ours")]
    drawn = [job for _ in range(rounds) for job in random.sample(jobs, len(jobs))]
    large = [50_000] if given.large else []
    drawn += [("peak", MODULES[0], each) for each in ([500] if given.quick else [500, 5000, *large])]
    drawn += [("int8_accuracy", module) for module in ([] if given.quick else [*MODULES, "plantvillage_inception_v3"])]
    found = {}
    for number, job in enumerate(drawn, 1):
        print(f"{time.strftime('%H:%M:%S')} {number} of {len(drawn)}: {' '.join(map(str, job))}", file=sys.stderr)
        found.setdefault(tuple(job), []).append(apart(*job))
    about = f"{machine()}. Load before the run: {load:.1f}. Rounds: {rounds}; a figure is the lower of them. "
    about += f"The run took {(time.monotonic() - start) / 60:.0f} minutes."
    tables = [about, *engine_table(found, engines, count), *other_tables(found)]
    print("\n".join(tables))
    if not given.quick:
        publish("\n".join(tables))
        record({job[1]: rows[0]["lost"] for job, rows in found.items() if job[0] == "int8_accuracy" and rows[0]})


def apart(*job):
    """Return what bench/measure.py finds in a process of its own; {} where it can't."""
    command = [sys.executable, "-m", "bench.measure", *map(str, job)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        print(f"    {(done.stderr.strip() or 'no message').splitlines()[-1]}", file=sys.stderr)
        return {}
    return json.loads(done.stdout.splitlines()[-1])


def least(found, job, key="cpu"):
    """Return the lowest of the rounds' values: what disturbs a measurement only ever adds to it."""
    return min((row[key] for row in found.get(job, []) if row), default=float("nan"))


def engine_table(found, engines, count):
    """Return the table of engines by modules: CPU milliseconds a photo, decoding included."""
    first = " | ".join(engines)
    lines = [f"\n| CPU ms a photo, files to vectors | {first} | LiteRT is faster | arithmetic at peak |"]
    lines.append("|---" * (len(engines) + 3) + "|")
    decoding = least(found, ("decode", 256, 256, "draft"))
    for module in MODULES:
        own = {engine: least(found, ("engine", engine, module, count)) for engine in engines}
        bound = least(found, ("floor", module)) + decoding
        shown = " | ".join(f"{value:.1f}" for value in own.values())
        faster = f"{own['TensorFlow'] / own['LiteRT']:.2f} times; {1e3 / own['LiteRT']:.0f} photos a core-second"
        lines.append(f"| {module} | {shown} | {faster} | {bound:.1f}, {bound / own['LiteRT']:.0%} of LiteRT's |")
    return lines


def other_tables(found):
    """Return the tables of int8, decoding, texts, memory and the tutorial's flow."""
    lines = ["\n| int8, on the flowers | float32 | int8 | points lost | of macro F1 |", "|---|---|---|---|---|"]
    for (kind, module, *_), (row, *_) in found.items():
        if kind == "int8_accuracy" and row:
            lost = f"{row['lost']:z.1f} [{row['low']:z.1f} {row['high']:z.1f}]"
            lines.append(f"| {module} | {row['float32']:.3f} | {row['int8']:.3f} | {lost} | {row['f1']:z.1f} |")
    lines += ["\n| decode to 224 px | CPU ms | without draft | ratio |", "|---|---|---|---|"]
    for name, size in SIZES.items():
        ours, whole = (least(found, ("decode", *size, way)) for way in ("draft", "whole"))
        lines.append(f"| {name} | {ours:.2f} | {whole:.2f} | {whole / ours:.1f} |")
    lines += ["\n| 2,818 glosses | CPU s |", "|---|---|"]
    lines += [f"| {encoder} | {2.818 * least(found, ('texts', encoder)):.1f} |" for encoder in ENCODERS]
    lines += ["\n| photos | peak MB |", "|---|---|"]
    lines += [f"| {job[2]:,} | {rows[0].get('MB', 0):.0f} |" for job, rows in found.items() if job[0] == "peak"]
    theirs, ours = (
        min((row["cpu"], job[2]) for row in rows if row)
        for which in ("tutorial", "ours")
        for job, rows in found.items()
        if job[:2] == ("flow", which)
    )
    spent = [value * count / 1e3 for value, count in (theirs, ours)]
    lines += [
        f"\n| {ours[1]} photos to a trained head, 10 epochs | tutorial | features once | ratio |",
        "|---|---|---|---|",
    ]
    return [*lines, f"| CPU s | {spent[0]:.1f} | {spent[1]:.1f} | {spent[0] / spent[1]:.1f} |"]


def record(lost):
    """Write what int8 costs into data/modules.toml, where features.extract looks it up."""
    text = CATALOGUE.read_text(encoding="utf-8")
    for module, points in lost.items():
        text = re.sub(
            rf"(\[{module}\]\n(?:(?!\n\[).*\n)*?)(?:int8_cost = .*\n)?(origins = )",
            rf"\1int8_cost = {points:z.1f}\n\2",
            text,
        )
    CATALOGUE.write_text(text, encoding="utf-8")


def machine():
    """Return what the figures depend on; nothing in it names the machine."""
    about = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", about.read_text()) if about.exists() else None
    name = named[1] if named else platform.processor() or platform.machine()
    there = [f"{each} {_installed(each)}" for each in ("tensorflow", "ai-edge-litert", "openvino") if _installed(each)]
    system = f"{platform.system()} {platform.machine()}"
    return f"{name}, {os.cpu_count()} cores, {system}, Python {platform.python_version()}, {', '.join(there)}"


def _installed(name):
    found = [each for each in (name, f"{name}-cpu") if list(importlib.metadata.Distribution.discover(name=each))]
    return importlib.metadata.version(found[0]) if found else ""


def publish(found):
    """Put the figures between README.md's markers."""
    before, rest = README.read_text().split("<!-- figures -->\n")
    after = rest.split("<!-- end of figures -->")[1]
    README.write_text(f"{before}<!-- figures -->\n{found}\n<!-- end of figures -->{after}")


if __name__ == "__main__":
    main()
