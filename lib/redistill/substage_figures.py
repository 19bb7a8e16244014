"""Figures of notebook 1, each drawn from a table that the reader can see.

What a colour says, a marker, a text or a place says too, so that all are readable in grey.
"""

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.ticker import MaxNLocator

from redistill import arm_figures
from redistill.methods.branches import ALL
from redistill.methods.recipes import KINDS

BRANCH = {"res": "#0072B2", "fea": "#D55E00", "rel": "#009E73", ALL: "#444444"}  # Okabe and Ito
FILL = {"teacher": "0.8", "assistant": "0.92", "student": "1", "deployed": "1"}
HALF = 0.36, 0.29  # of a box, in places of the grid


def cascade(table: pd.DataFrame) -> Figure:
    """Draw who teaches whom, from the teacher on the left to the deployed student on the right.

    Args:
        table: of ``redistill.substage_tables.cascade_table``.
    """
    branches = [b for b in table["branch"].unique() if b != ALL]
    rows = {branch: float(number) for number, branch in enumerate(branches)}
    rows[ALL] = (len(branches) - 1) / 2
    nodes = {row.name: row for row in table.itertuples(index=False)}
    figure, axis = plt.subplots(figsize=(6.6, 0.6 + 0.75 * len(branches)))
    for row in nodes.values():
        _box(axis, row, rows)
        for upper in filter(None, row.taught_by.split(", ")):
            _arrow(axis, nodes[upper], row, rows, color=BRANCH[row.branch])
        for other, look in ((row.start, "--"), (row.partner, ":")):
            if other:
                _arrow(axis, nodes[other], row, rows, color="0.4", linestyle=look)
    for branch in branches:
        first = table.loc[table["branch"] == branch, "level"].min()
        place = first - HALF[0], rows[branch] - HALF[1] - 0.04
        axis.text(*place, KINDS[branch], color=BRANCH[branch], fontsize=8, va="bottom")
    axis.set(xlim=(-0.4, table["level"].max() + 0.4), ylim=(len(branches) - 0.65, -0.6))
    axis.axis("off")
    return figure


def _box(axis: Axes, row: Any, rows: Mapping[str, float]) -> None:
    """Draw a network, paler the further down it stands; the combination is a round sum."""
    x, y = row.level, rows[row.branch]
    middle = {"ha": "center", "va": "center"}
    if row.role == "combination":
        circle = {"boxstyle": "circle", "facecolor": "white", "edgecolor": BRANCH[ALL]}
        axis.text(x, y, "+", fontsize=14, bbox=circle, zorder=4, **middle)
        axis.text(x, y + 0.42, "combined", fontsize=8, **middle)
        return
    wide = 1.8 if row.role == "deployed" else 1.0
    box = FancyBboxPatch(
        (x - HALF[0], y - HALF[1]), 2 * HALF[0], 2 * HALF[1], facecolor=FILL[row.role], zorder=3,
        boxstyle="round,pad=0,rounding_size=0.08", edgecolor=BRANCH[row.branch], linewidth=wide,
    )  # fmt: skip
    axis.add_patch(box)
    axis.text(x, y, f"{row.role}\nwidth {row.width}", fontsize=8, zorder=4, **middle)


def _arrow(axis: Axes, upper: Any, lower: Any, rows: Mapping[str, float], **look: Any) -> None:
    """Draw an arrow from one network to another, around the outside of those that it skips."""
    tail = [upper.level + HALF[0] * (0.4 if upper.role == "combination" else 1), rows[upper.branch]]
    head = [lower.level - HALF[0] * (0.4 if lower.role == "combination" else 1), rows[lower.branch]]
    bend = 0.0
    if lower.level - upper.level > 1:
        side = 1 if tail[1] + head[1] > 2 * rows[ALL] else -1  # down from the lower half
        head = [lower.level - 0.1, head[1] + side * HALF[1]]
        bend = 0.25 * side
    arrow = FancyArrowPatch(
        tail, head, connectionstyle=f"arc3,rad={bend}", arrowstyle="-|>", mutation_scale=9,
        linewidth=1.1, shrinkA=1, shrinkB=1, clip_on=False, **look,
    )  # fmt: skip
    axis.add_patch(arrow)


def methods(table: pd.DataFrame, *, chance: float) -> Figure:
    """Draw methods sorted by test accuracy, and what each costs in training and in use.

    Args:
        table: of ``redistill.substage_tables.method_table``.
        chance: accuracy of a guess.
    """
    return arm_figures.methods(table, chance=chance, look=_look)


def _look(arm: str) -> Mapping[str, str]:
    """Return colour and marker: the staged method, ensembles (which cost several), the teacher."""
    colour = BRANCH["res"] if arm.startswith("staged") else BRANCH["fea"]
    if arm == "teacher":
        return {"color": BRANCH[ALL], "marker": "D"}
    return {"color": colour, "marker": "s" if arm.endswith("_ens") else "o"}


def branches(table: pd.DataFrame) -> Figure:
    """Draw the accuracy of branches alone, in pairs and together, a marker for each method.

    Args:
        table: of ``redistill.substage_tables.branch_table``; the test clips are drawn.
    """
    test = table[table["split"] == "test"]
    names = list(test["branches"].unique())
    looks = {
        "staged": ("with assistants", BRANCH["res"], "o", -0.15),
        "staged_m0": ("without", BRANCH["fea"], "s", 0.15),
    }
    figure, axis = plt.subplots(figsize=(6.2, 0.9 + 0.3 * len(names)))
    for method, rows in test.groupby("method"):
        label, colour, marker, aside = looks[method]
        places = np.array([names.index(name) for name in rows["branches"]]) + aside
        axis.hlines(places, 100 * rows["low"], 100 * rows["high"], color=colour, linewidth=1.5)
        axis.plot(100 * rows["accuracy"], places, marker, color=colour, label=label)
    alone = sum(name in KINDS for name in names)
    for count in (alone, alone + sum("+" in name for name in names)):
        axis.axhline(count - 0.5, color="0.85", linewidth=0.8, zorder=0)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set(xlabel="test accuracy, %, with its 95 % interval over clips")
    axis.set_ylim(len(names) - 0.4, -0.6)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def label_rounds(table: pd.DataFrame) -> Figure:
    """Draw the quality of the labels that nobody gave, over the rounds of refinement.

    Args:
        table: of ``redistill.substage_tables.rounds_table``.
    """
    panels = {
        "accuracy, %": {
            "accuracy": ("all", "-", "o"),
            "selected_accuracy": ("selected", "--", "s"),
        },
        "selected, %": {"coverage": ("", "-", "o")},
        "calibration error, %": {"ece": ("", "-", "o")},
        "log-likelihood, nats": {"log_likelihood": ("", "-", "o")},
    }
    figure, axes = plt.subplots(1, 4, figsize=(7.2, 2.1))
    places = range(len(table))
    for axis, (title, columns) in zip(axes, panels.items(), strict=True):
        for column, (label, line, marker) in columns.items():
            values = table[column] * (1 if column == "log_likelihood" else 100)
            axis.plot(places, values, line, marker=marker, color=BRANCH["res"], label=label)
        axis.set_xticks(places, table["labels"], rotation=45, ha="right", fontsize=7)
        axis.set_title(title, fontsize=8)
        axis.margins(x=0.12, y=0.15)
        axis.tick_params(axis="y", labelsize=7)
    axes[0].legend(frameon=False, fontsize=7)
    return figure


def assistants(table: pd.DataFrame) -> Figure:
    """Draw test accuracy over the number of assistants.

    Args:
        table: of ``redistill.substage_tables.assistants_table``.
    """
    looks = {"combined": (BRANCH["fea"], "s", -0.04), "deployed": (BRANCH["res"], "o", 0.04)}
    figure, axis = plt.subplots(figsize=(3.6, 2.4))
    for what, rows in table.groupby("what", sort=False):
        colour, marker, aside = looks[what]
        middle = 100 * rows["accuracy"]
        ends = [middle - 100 * rows["low"], 100 * rows["high"] - middle]
        axis.errorbar(
            rows["assistants"] + aside, middle, yerr=ends, color=colour, marker=marker, label=what
        )
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.margins(x=0.15)
    axis.set(xlabel="assistants", ylabel="test accuracy, %")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def series(table: pd.DataFrame) -> Figure:
    """Draw test accuracy over the points of a series, a line for each method.

    Args:
        table: columns point, arm, accuracy (share of 1), as ``run_sweep`` returns them.
    """
    figure, axis = plt.subplots(figsize=(4.2, 2.8))
    points = list(dict.fromkeys(table["point"]))
    for marker, (arm, part) in zip(cycle("osD^vP"), table.groupby("arm", sort=False), strict=False):
        places = [points.index(point) for point in part["point"]]
        axis.plot(places, 100 * part["accuracy"], marker=marker, label=arm, linewidth=1.2)
    axis.set_xticks(range(len(points)), [str(point) for point in points])
    axis.set_xlabel("point of the series")
    axis.set_ylabel("test accuracy, %")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
    return figure
