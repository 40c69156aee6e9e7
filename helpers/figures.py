"""Every figure, with its alt text; `make refresh` leaves that alone where a photo may not be published."""

import io
import itertools
import textwrap
import warnings
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

from helpers.photos import PhotoSet
from sources import photo_files

GREEN, GREY, DARK, ACCURACY = "#2a7f3f", "#80868b", "#5f6368", "accuracy, with its 95% interval"
CURVES = ((GREEN, "o"), ("#1a5fb4", "s"), ("#b35900", "^"), (GREY, "D"))  # told apart without their colours, too
Intervals = dict[str, tuple[float, float, float]]  # {name: (value, low, high)}
OPEN = ("CC BY 4.0", "MIT", "Apache 2.0")  # licences of single photos in a set's table that let us publish them
plt.rcParams |= {"axes.titlesize": 11, "axes.labelsize": 9, "figure.constrained_layout.use": True}


def show(figure: plt.Figure, alt: str, photo_set: PhotoSet | None = None, save: str | None = None):
    """Display a figure as PNG with alt text and credit, and close it.

    photo_set: the photos in it.  save: its file name under notebooks/figures.
    """
    if photo_set and (credit := _credit(photo_set)):
        figure.supxlabel(textwrap.fill(f"Photos: {credit}", int(16 * figure.get_figwidth())), fontsize=7, color=DARK)
    picture = io.BytesIO()
    with warnings.catch_warnings(record=True) as told:
        figure.savefig(picture, dpi=100, bbox_inches="tight", metadata={"Software": None})
    if any("missing from font" in str(each.message) for each in told):
        print("The font of this figure lacks letters of these names, so they are shown as boxes.")
    plt.close(figure)
    publish = photo_set is None or bool(_publishable(photo_set).all())
    marks = {"image/png": {"alt": alt}, "course": {"publish": publish, "save": save}}
    display({"image/png": picture.getvalue(), "text/plain": alt}, raw=True, metadata=marks)


def _publishable(photo_set):
    """Return which photos a committed output may show, bool [n]: by their own licence, or else by their set's."""
    if photo_set.table is None or "licence" not in photo_set.table:
        return np.full(len(photo_set), photo_set.card.get("show", False))
    return photo_set.table.licence.isin(OPEN).to_numpy()


def _credit(photo_set):
    """Return who made the photos, and where each has a licence of its own, its sheet and that."""
    credit, table = photo_set.card.get("credit", ""), photo_set.table
    if table is None or "licence" not in table:
        return credit
    sheets = dict.fromkeys(f"{sheet} ({licence})" for sheet, licence in zip(table.sheet, table.licence, strict=True))
    return f"{credit}: {', '.join(sheets)}"


def _photo(axis, photo_set, row, size=None, **labels):
    axis.imshow(photo_files.read(photo_set.paths[row], size))
    axis.axis("off")
    axis.set(**labels)


def _bars(axis, names, values, best=1.0, **labels):
    axis.bar_label(axis.barh(range(len(names)), values, color=GREEN), fmt="%.2f", padding=3, fontsize=9)
    axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=9)
    axis.invert_yaxis()
    axis.set(xlim=(0, 1.12 * best), **labels)
    axis.spines[["top", "right"]].set_visible(False)


def _intervals(axis, results, commonest, **labels):
    """Draw values with their intervals; return them as words for the alt text."""
    for place, (value, low, high) in enumerate(results.values()):
        axis.plot([low, high], [place, place], color=GREEN, linewidth=2)
        axis.plot(value, place, "o", color=GREEN)
    said = "; ".join(f"{name} {value:.3f}, {low:.3f} to {high:.3f}" for name, (value, low, high) in results.items())
    if commonest is not None:
        axis.axvline(commonest, color=GREY, linestyle="--")
        axis.text(commonest, -0.75, " always the most common class", color=DARK, fontsize=9, va="center")
        said += f"; always the most common class {commonest:.3f}"
    axis.set_yticks(range(len(results)), results, fontsize=9)
    axis.set(xlim=(0, 1), ylim=(len(results) - 0.5, -0.5 if commonest is None else -1.0), **labels)
    axis.spines[["top", "right"]].set_visible(False)
    return said


def _matrix(axis, values, dark, least=-np.inf, vmax=None):
    """Draw numbers, [rows, columns], in cells as dark as they are large; those below `least` are left out."""
    for (row, column), value in np.ndenumerate(values):
        if value >= least:
            colour, text = "white" if value > dark else "black", f"{value:.2f}".replace("0.", ".")
            axis.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    return axis.imshow(values, cmap="Greens", vmin=0, vmax=vmax)


def _spoken(names, values, form=".2f"):
    return ", ".join(f"{name} {value:{form}}" for name, value in zip(names, values, strict=True))


def photo_grid(photo_set: PhotoSet, rows: Sequence | None = None, captions: list | None = None, columns: int = 6):
    """Show photos of a set: rows are positions (default: one of each class, openly licensed if there is one)."""
    if rows is None:
        open_first = np.argsort(~_publishable(photo_set), kind="stable")
        rows = open_first[np.unique(photo_set.labels[open_first], return_index=True)[1]]
    captions = captions or [photo_set.class_names[photo_set.labels[row]] for row in rows]
    side, across = 11 / columns, min(columns, len(rows))
    lines = -(-len(rows) // across)
    figure, axes = plt.subplots(lines, across, figsize=(side * across, side * lines + 0.3), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, row, caption in zip(axes.flat, rows, captions, strict=False):
        _photo(axis, photo_set, row)
        axis.set_title("\n".join(textwrap.fill(line, 120 // columns) for line in caption.splitlines()), fontsize=9)
    said = ", ".join(caption.replace("\n", " ") for caption in captions)
    number, name = photo_files.counted(len(rows), "photo"), photo_set.card.get("name", "a folder")
    show(figure, f"{number} of {name}, captioned: {said}.", photo_set.take(rows))


def top_names(photo_set: PhotoSet, row: int, names: list, probabilities: Sequence, title: str, save: str | None = None):
    """Show one photo beside a model's first names and their probabilities."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.6), width_ratios=[1, 1.6])
    _photo(left, photo_set, row)
    _bars(right, names, probabilities, title=title)
    said = f"A photo, and beside it as bars: {title}: {_spoken(names, probabilities)}."
    show(figure, said, photo_set.take([row]), save)


def bars(panels: dict[str, tuple], xlabel: str = "probability", best: float = 1.0):
    """Show bar charts side by side: panels is {title: (names, values)}; the x axes run from 0 to best."""
    figure, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 2.4), squeeze=False)
    for axis, (title, (names, values)) in zip(axes.flat, panels.items(), strict=True):
        _bars(axis, names, values, best, title=title, xlabel=xlabel)
    said = "; ".join(f"{title}: {_spoken(*panel, '.3g')}" for title, panel in panels.items())
    show(figure, f"Bar charts of {xlabel}. {said}.")


def accuracies(results: Intervals, commonest: float | None = None, title: str = "", xlabel: str = ACCURACY):
    """Show values with their intervals; commonest: the accuracy of always naming the most common class, as a line."""
    figure, axis = plt.subplots(figsize=(7, 0.8 + 0.36 * len(results)))
    said = _intervals(axis, results, commonest, title=title, xlabel=xlabel)
    show(figure, f"{title or 'Accuracies'} with 95% intervals: {said}.")


def curves(series: dict[str, tuple], x: Sequence[float], xlabel: str, title: str):
    """Show accuracies against a quantity: series is {name: (means, lows, highs)}, each of len(x) floats."""
    (figure, axis), said = plt.subplots(figsize=(6.4, 3.2)), []
    for (name, (means, lows, highs)), (colour, marker) in zip(series.items(), CURVES, strict=False):
        axis.plot(x, means, marker=marker, color=colour, label=name)
        axis.fill_between(x, lows, highs, color=colour, alpha=0.15)
        said.append(f"{name}: " + ", ".join(f"{mean:.2f} at {place}" for mean, place in zip(means, x, strict=True)))
    axis.set_xticks(x, x)
    axis.set(ylim=(0, 1), xlabel=xlabel, ylabel="accuracy", title=title)
    axis.legend(fontsize=9, loc="lower right", frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    show(figure, f"{title}, accuracy by {xlabel}. {'; '.join(said)}.")


def training_curve(history):
    """Show how loss and accuracy changed over the epochs; history: keras.callbacks.History of a fit with the metric."""
    (figure, axes), said = plt.subplots(1, 2, figsize=(7, 2.4)), []
    for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
        values = history.history[name]
        axis.plot(range(1, len(values) + 1), values, color=GREEN)
        axis.set(xlabel="epoch", title=f"{name} on the training photos", ylim=(0, None if name == "loss" else 1.05))
        axis.spines[["top", "right"]].set_visible(False)
        said.append(f"{name} from {values[0]:.2f} to {values[-1]:.2f}")
    show(figure, f"Training over {len(values)} epochs, on the training photos: {', '.join(said)}.")


def confusion(matrix: np.ndarray, class_names: Sequence, title="rows: what it is; columns: what the head said"):
    """Show a confusion matrix, int [k, k], each row as proportions; of more than 40 classes the most confused ones."""
    if len(class_names) > 40:  # a picture grows with the square of its classes
        mistakes = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * np.diag(matrix)
        worst, title = np.sort(np.argsort(-mistakes)[:40]), f"40 most confused of {len(class_names)}; {title}"
        matrix, class_names = matrix[np.ix_(worst, worst)], [class_names[place] for place in worst]
    rates, size = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1), 2 + 0.42 * len(class_names)
    figure, axis = plt.subplots(figsize=(size + 1, size))
    _matrix(axis, rates, dark=0.5, least=0.005, vmax=1)
    axis.set_xticks(range(len(class_names)), class_names, rotation=60, ha="right", fontsize=8)
    axis.set_yticks(range(len(class_names)), class_names, fontsize=8)
    axis.set_title(title, fontsize=9)
    show(figure, f"Confusion matrix. Share named right: {_spoken(class_names, np.diag(rates))}.")


def similarity(pairs: np.ndarray, groups: Sequence[str], title: str):
    """Show the similarity of every pair, [n, n], with one name per row; equal names are neighbours."""
    figure, axis = plt.subplots(figsize=(5.4, 4.6))
    figure.colorbar(axis.imshow(pairs, cmap="Greens", vmin=0, vmax=1), label="cosine similarity")
    names, starts, counts = np.unique(groups, return_index=True, return_counts=True)
    for line, rule in itertools.product(starts[1:] - 0.5, (axis.axhline, axis.axvline)):
        rule(line, color=GREY, linewidth=0.5)
    for ticks in (axis.set_xticks, axis.set_yticks):
        ticks(starts + (counts - 1) / 2, names, fontsize=9)
    axis.set_title(title)
    same = np.equal.outer(groups, groups)
    within = f"Mean within a group {pairs[same & ~np.eye(len(groups), dtype=bool)].mean():.2f}"
    show(
        figure, f"Similarity of pairs, {title}: {', '.join(names)}. {within}, between groups {pairs[~same].mean():.2f}."
    )
