"""Every figure, each with its alt text.

A function draws and displays; the alt text goes with the picture (and is its plain-text form, for a reader without
pictures). A photo whose licence does not let us publish it is marked: you see it when you run the cell, and
`make refresh` leaves its alt text in its place.
"""

import io
import textwrap

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib import patches

from helpers import photos

GREEN, GREY = "#2a7f3f", "#9aa0a6"


def show(figure, alt, publish=True, save=None):
    """Display a matplotlib figure as PNG with its alt text (str) and close it.

    publish: whether the picture may stand in a committed notebook.  save: a file name under notebooks/figures, to which
    `make refresh` writes the picture for use outside the lesson.
    """
    picture = io.BytesIO()
    figure.savefig(picture, dpi=100, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    marks = {"image/png": {"alt": alt}, "course": {"publish": publish, "save": save}}
    display({"image/png": picture.getvalue(), "text/plain": alt}, raw=True, metadata=marks)


def photo_grid(photo_set, rows=None, captions=None, columns=6):
    """Show photos of a set: rows are positions (default: the first of each class), captions (list of str) theirs."""
    if rows is None:
        rows = np.unique(photo_set.labels, return_index=True)[1]
    if captions is None:
        captions = [photo_set.class_names[photo_set.labels[row]] for row in rows]
    lines = -(-len(rows) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(11, 11 / columns * lines + 0.3), squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, row, caption in zip(axes.flat, rows, captions, strict=False):
        axis.imshow(photos.read(photo_set.paths[row]))
        wrapped = (textwrap.fill(line, 120 // columns) for line in caption.splitlines())
        axis.set_title("\n".join(wrapped), fontsize=9)
    if credit := photo_set.card.get("credit"):
        figure.supxlabel(f"Photos: {credit}", fontsize=7, color="#5f6368")
    said = ", ".join(caption.replace("\n", " ") for caption in captions)
    alt = f"{len(rows)} photos of {photo_set.card.get('name', 'a folder')}: {said}."
    show(figure, alt, publish=photo_set.card.get("show", False))


def top_names(photo_set, row, names, shares, title):
    """Show one photo beside a model's first names (list of str) and their probabilities (list of float in [0, 1])."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.6), width_ratios=[1, 1.6], layout="constrained")
    left.imshow(photos.read(photo_set.paths[row]))
    left.axis("off")
    _bars(right, names, shares)
    right.set_title(title, fontsize=10)
    figure.supxlabel(f"Photo: {photo_set.card.get('credit', '')}", fontsize=7, color="#5f6368")
    said = ", ".join(f"{name} {share:.2f}" for name, share in zip(names, shares, strict=True))
    show(figure, f"A photo, and beside it as bars: {title}: {said}.", publish=photo_set.card.get("show", False))


def bars(panels, xlabel="probability", best=1.0):
    """Show bar charts side by side: panels is {title: (names, values)}; the x axes run from 0 to best."""
    figure, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 2.4), squeeze=False, layout="constrained")
    said = []
    for axis, (title, (names, values)) in zip(axes.flat, panels.items(), strict=True):
        _bars(axis, names, values, best)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(xlabel, fontsize=8)
        said.append(f"{title}: " + ", ".join(f"{n} {v:.3g}" for n, v in zip(names, values, strict=True)))
    show(figure, f"Bar charts of {xlabel}. {'; '.join(said)}.")


def _bars(axis, names, values, best=1.0):
    axis.barh(range(len(names)), values, color=GREEN)
    axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(0, best)
    axis.spines[["top", "right"]].set_visible(False)


def accuracies(results, commonest=None, title="", xlabel="accuracy, with its 95 % interval"):
    """Show shares with their intervals: results is {name: (value, low, high)}.

    commonest: what always naming the commonest class would score, a dashed line.
    """
    figure, axis = plt.subplots(figsize=(7, 0.8 + 0.36 * len(results)), layout="constrained")
    said = _intervals(axis, results, commonest)
    axis.set_xlabel(xlabel, fontsize=8)
    axis.set_title(title, fontsize=10)
    show(figure, f"{title or 'Accuracies'} with 95 % intervals: {said}.")


def _intervals(axis, results, commonest):
    """Draw values with their intervals; return them as words for the alt text."""
    for place, (value, low, high) in enumerate(results.values()):
        axis.plot([low, high], [place, place], color=GREEN, linewidth=2)
        axis.plot(value, place, "o", color=GREEN)
    if commonest is not None:
        axis.axvline(commonest, color=GREY, linestyle="--")
        axis.text(commonest, -0.75, " always the commonest class", color="#5f6368", fontsize=8, va="center")
    axis.set_yticks(range(len(results)), results, fontsize=9)
    axis.set_ylim(len(results) - 0.5, -0.5 if commonest is None else -1.0)
    axis.set_xlim(0, 1)
    axis.spines[["top", "right"]].set_visible(False)
    said = "; ".join(f"{name} {value:.3f}, {low:.3f} to {high:.3f}" for name, (value, low, high) in results.items())
    return said if commonest is None else f"{said}; always the commonest class {commonest:.3f}"


def curves(series, x, xlabel, title):
    """Show accuracies against a quantity: series is {name: (means, lows, highs)}, each of len(x) floats."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    said = []
    for (name, (means, lows, highs)), colour in zip(series.items(), (GREEN, "#1a5fb4", "#b35900", GREY), strict=False):
        axis.plot(x, means, "o-", color=colour, label=name)
        axis.fill_between(x, lows, highs, color=colour, alpha=0.15)
        said.append(f"{name}: " + ", ".join(f"{mean:.2f} at {place}" for mean, place in zip(means, x, strict=True)))
    axis.set_xticks(x, x)
    axis.set_ylim(0, 1)
    axis.set_xlabel(xlabel, fontsize=8)
    axis.set_ylabel("accuracy", fontsize=8)
    axis.set_title(title, fontsize=10)
    axis.legend(fontsize=8, loc="lower right", frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    show(figure, f"{title}, accuracy by {xlabel}. {'; '.join(said)}.")


def grid_of_shares(shares, title):
    """Show a coarse map of a photo, float [rows, columns], with its numbers."""
    figure, axis = plt.subplots(figsize=(4.2, 3.6), layout="constrained")
    picture = axis.imshow(shares, cmap="Greens", vmin=0)
    for (row, column), share in np.ndenumerate(shares):
        tone = "white" if share > 0.6 * np.max(shares) else "black"
        axis.text(column, row, f"{share:.2f}".replace("0.", "."), ha="center", va="center", fontsize=7, color=tone)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title(title, fontsize=9)
    figure.colorbar(picture)
    rows = "; ".join(" ".join(f"{share:.2f}" for share in row) for row in shares)
    show(figure, f"{title}, as a grid from the top row down: {rows}.")


def two_ways(photo_set, row, names, shares, results, commonest, save=None):
    """Show the course in one picture: a photo, a complete model's names for it, and heads of our own with intervals."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 2.8), width_ratios=[1, 1.2, 1.7], layout="constrained")
    axes[0].imshow(photos.read(photo_set.paths[row]))
    axes[0].axis("off")
    kind = photo_set.class_names[photo_set.labels[row]]
    axes[0].set_title(f"a bean leaf: {kind}", fontsize=10)
    _bars(axes[1], names, shares)
    axes[1].set_title("a complete model has 1000 names,\nand none is a disease", fontsize=10)
    axes[1].set_xlabel("probability", fontsize=8)
    said = _intervals(axes[2], results, commonest)
    axes[2].set_title("a frozen backbone under a head of our own:\nten flower species, 210 photos", fontsize=10)
    axes[2].set_xlabel("accuracy, with its 95 % interval", fontsize=8)
    figure.supxlabel(f"Photo: {photo_set.card['credit']}", fontsize=7, color="#5f6368")
    first = ", ".join(f"{name} {share:.2f}" for name, share in zip(names, shares, strict=True))
    alt = f"A bean leaf ({kind}). The complete model's first names for it: {first}. Own heads on ten species: {said}."
    show(figure, alt, publish=photo_set.card["show"], save=save)


def confusion(matrix, class_names, title="rows: what it is; columns: what the head said"):
    """Show a confusion matrix, int [k, k], in shares of each row."""
    shares = matrix / matrix.sum(axis=1, keepdims=True)
    size = 2 + 0.42 * len(class_names)
    figure, axis = plt.subplots(figsize=(size + 1, size), layout="constrained")
    axis.imshow(shares, cmap="Greens", vmin=0, vmax=1)
    for row, column in np.argwhere(shares >= 0.005):
        tone = "white" if shares[row, column] > 0.5 else "black"
        axis.text(
            column, row, f"{shares[row, column]:.2f}".lstrip("0"), ha="center", va="center", fontsize=7, color=tone
        )
    axis.set_xticks(range(len(class_names)), class_names, rotation=60, ha="right", fontsize=8)
    axis.set_yticks(range(len(class_names)), class_names, fontsize=8)
    axis.set_title(title, fontsize=9)
    recalls = ", ".join(f"{name} {shares[k, k]:.2f}" for k, name in enumerate(class_names))
    show(figure, f"Confusion matrix. Share named right: {recalls}.")


def heat_map(photo_set, row, heat, title):
    """Show a photo beside a map of non-negative numbers over it, [h, w]."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.2), layout="constrained")
    left.imshow(photos.read(photo_set.paths[row], size=len(heat)))
    right.imshow(heat, cmap="magma", vmax=np.percentile(heat, 99))
    right.set_title(title, fontsize=9)
    for axis in (left, right):
        axis.axis("off")
    figure.supxlabel(f"Photo: {photo_set.card['credit']}", fontsize=7, color="#5f6368")
    kind, share = photo_set.class_names[photo_set.labels[row]], (heat > 0).mean()
    alt = f"A photo of {kind}, and a heat map of the {title}: {share:.0%} above 0."
    show(figure, alt, publish=photo_set.card["show"])


def similarity(pairs, groups, title):
    """Show the similarity of every pair, [n, n], with one name (str) per row; equal names stand together."""
    figure, axis = plt.subplots(figsize=(5.4, 4.6), layout="constrained")
    picture = axis.imshow(pairs, cmap="Greens", vmin=0, vmax=1)
    names, starts, counts = np.unique(groups, return_index=True, return_counts=True)
    for start in starts[1:] if len(starts) > 1 else []:
        axis.axhline(start - 0.5, color=GREY, linewidth=0.5)
        axis.axvline(start - 0.5, color=GREY, linewidth=0.5)
    middles = starts + (counts - 1) / 2
    axis.set_xticks(middles, names, fontsize=8)
    axis.set_yticks(middles, names, fontsize=8)
    axis.set_title(title, fontsize=10)
    figure.colorbar(picture, label="cosine similarity")
    same = np.equal.outer(groups, groups) & ~np.eye(len(groups), dtype=bool)
    within, between = pairs[same].mean(), pairs[np.not_equal.outer(groups, groups)].mean()
    means = f"Mean within a group {within:.2f}, between groups {between:.2f}."
    show(figure, f"Similarity of pairs, {title}: {', '.join(names)}. {means}")


def against_cost(panels, costs, xlabel, ylabel="share told right, with its 95 % interval"):
    """Show shares with their intervals against what they cost, side by side.

    panels: {title: {name: (value, low, high)}}.  costs: {name: positive number}, on a logarithmic axis.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(1.5 + 4.6 * len(panels), 3.8), sharey=True, squeeze=False, layout="constrained"
    )
    names, said = sorted({name for rows in panels.values() for name in rows}, key=lambda name: costs[name]), []
    tones = dict(zip(names, plt.get_cmap("tab10").colors * len(names), strict=False))
    for axis, (title, rows) in zip(axes.flat, panels.items(), strict=True):
        for name in (name for name in names if name in rows):
            value, low, high = rows[name]
            axis.plot([costs[name]] * 2, [low, high], color=tones[name], linewidth=2)
            axis.plot(costs[name], value, "o", color=tones[name], label=name)
        axis.set_xscale("log")
        axis.set_xlabel(xlabel, fontsize=8)
        axis.set_title(title, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        said.append(f"{title}: " + ", ".join(f"{name} {rows[name][0]:.3f}" for name in names if name in rows))
    axes.flat[0].set_ylabel(ylabel, fontsize=8)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    paid = ", ".join(f"{name} {costs[name]:.3g}" for name in names)
    show(figure, f"Shares with intervals against cost. {'. '.join(said)}. {xlabel}: {paid}.")


def decisions(branches, title, save=None):
    """Show what to take when: branches is {what you have: [(question, what to take, why), ...]}, asked from the top."""
    rows = sum(map(len, branches.values()))
    figure, axis = plt.subplots(figsize=(11, 0.95 * rows + 0.5 * len(branches)), layout="constrained")
    place, said = 0.0, []
    for branch, steps in branches.items():
        axis.text(0, place - 0.55, branch, fontsize=13, fontweight="bold", va="center")
        for number, (question, take, why) in enumerate(steps):
            for x, width, colour in ((0.05, 3.9, GREY), (5.0, 4.9, GREEN)):
                box = {"boxstyle": "round,pad=0,rounding_size=0.1", "facecolor": "white", "edgecolor": colour}
                axis.add_patch(patches.FancyBboxPatch((x, place - 0.36), width, 0.72, linewidth=1.8, **box))
            axis.text(2.0, place, textwrap.fill(question, 38), fontsize=12, ha="center", va="center")
            axis.text(5.15, place - 0.22, take, fontsize=12, fontweight="bold", va="center")
            axis.text(5.15, place + 0.1, textwrap.fill(why, 64), fontsize=10, va="center", linespacing=1.2)
            _arrow(axis, (4.0, place), (4.98, place), "yes")
            if number + 1 < len(steps):
                _arrow(axis, (2.0, place + 0.36), (2.0, place + 0.64), "no")
            said.append(f"{branch}: {question} Yes: {take} ({why})")
            place += 1
        place += 0.4
    axis.set_xlim(0, 9.95)
    axis.set_ylim(place - 0.9, -0.75)
    axis.axis("off")
    axis.set_title(title, fontsize=14)
    show(figure, f"{title}. A no leads to the next question. {'; '.join(said)}.", save=save)


def _arrow(axis, start, end, word):
    shape = {"arrowstyle": "-|>", "color": "#5f6368", "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", end, start, arrowprops=shape)
    middle = np.mean([start, end], axis=0)
    axis.text(middle[0] + 0.1, middle[1] - (0.13 if start[1] == end[1] else 0), word, fontsize=11, va="center")
