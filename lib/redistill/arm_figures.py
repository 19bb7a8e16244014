"""Figures of notebook 3 that compare arms, and the released code with the corrected one."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from redistill.figures import COLOURS

TEACHERS = COLOURS | {
    "own": "#CC79A7",
    "mean": "#666666",
    "shuffled": "#E69F00",
    "labels": "#DDDDDD",
}
NAMES = {"iframe": "I-frame", "mv": "motion", "own": "own last exit", "mean": "mean of three"}


def teachers(table: pd.DataFrame) -> Figure:
    """Draw who teaches each arm over the course of its training.

    Args:
        table: columns arm, teacher, start, end (shares of the steps).
    """
    arms = list(table["arm"].unique())
    figure, axis = plt.subplots(figsize=(6, 0.9 + 0.24 * len(arms)))
    for name, rows in table.groupby("teacher", sort=False):
        axis.barh(
            [arms.index(arm) for arm in rows["arm"]],
            100 * (rows["end"] - rows["start"]),
            left=100 * rows["start"],
            height=0.7,
            color=TEACHERS[name],
            label=NAMES.get(name, name),
        )
    axis.set_yticks(range(len(arms)), arms, fontsize=8)
    axis.set(xlabel="share of the training steps, %", xlim=(0, 100))
    axis.invert_yaxis()
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def arm_gains(table: pd.DataFrame) -> Figure:
    """Draw each arm's gain over another arm on validation and test clips.

    Args:
        table: columns arm, val, test (points).
    """
    figure, axis = plt.subplots(figsize=(6, 0.9 + 0.24 * len(table)))
    places = np.arange(len(table))
    for column, look in {
        "val": {"marker": "o", "markerfacecolor": "none"},
        "test": {"marker": "o"},
    }.items():
        axis.plot(
            table[column], places, linestyle="", color=COLOURS["iframe"], label=column, **look
        )
    axis.axvline(0, color="0.6", linestyle=":", zorder=0)
    axis.set_yticks(places, table["arm"], fontsize=8)
    axis.set_xscale("symlog", linthresh=2)  # a sham teacher costs forty points
    axis.set_xticks(
        [-40, -10, -5, -2, -1, 0, 1, 2, 5], ["-40", "-10", "-5", "-2", "-1", "0", "1", "2", "5"]
    )
    axis.set(xlabel="gain of nine ICs over cross-entropy, points (logarithmic beyond 2)")
    axis.invert_yaxis()
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def errata(table: pd.DataFrame) -> Figure:
    """Draw each defect's three values on one line, and its effect beside them.

    Args:
        table: of ``redistill.methods.errata.table``.
    """
    figure, axes = plt.subplots(
        1, 2, figsize=(7, 0.9 + 0.3 * len(table)), sharey=True, width_ratios=(3, 2)
    )
    places = np.arange(len(table))
    values = table[["as_released", "corrected", "as_printed"]].astype(float)
    looks = {
        "as_released": {"marker": "o", "markerfacecolor": "white", "markersize": 8},
        "corrected": {"marker": "o", "markersize": 4},  # a ring around it where they agree
        "as_printed": {"marker": "x", "color": "black"},
    }
    for column, look in looks.items():
        name = column.replace("_", " ")
        look = {"linestyle": "", "color": COLOURS["mv"], "label": name} | look
        axes[0].plot(table[column], places, **look)
    axes[0].hlines(places, values.min(axis=1), values.max(axis=1), color="0.7", zorder=0)
    axes[1].barh(places, table["effect"], color=COLOURS["iframe"], height=0.6)
    axes[1].axvline(0, color="0.6", linewidth=0.8)
    labels = [f"{d}\n{m}" for d, m in zip(table["defect"], table["measure"], strict=True)]
    axes[0].set_yticks(places, labels, fontsize=7)
    axes[0].set(xlabel="per cent, or points for gains")
    axes[1].set(xlabel="effect, points")
    axes[0].set_ylim(len(table) - 0.4, -0.6)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    return figure


def accountings(table: pd.DataFrame) -> Figure:
    """Draw the price of one walk under each accounting.

    Args:
        table: of ``redistill.methods.released_costs.accountings``, with a column networks: "here",
            or "published" for the same walk priced in the published networks.  The authors' own
            constants are of those, and are shown for those alone.
    """
    here = table["networks"] == "here"
    rows = table[~(here & table["accounting"].str.startswith("released"))]
    square = rows.pivot(index="accounting", columns="networks", values="ratio")
    square = 100 * (square.loc[rows["accounting"].unique()] - 1)
    figure, axis = plt.subplots(figsize=(6, 0.9 + 0.42 * len(square)))
    for number, (name, ratios) in enumerate(square.items()):
        places = np.flatnonzero(ratios.notna()) + 0.4 * number - 0.2
        colour = (COLOURS["iframe"], COLOURS["mv"])[number]
        bars = axis.barh(places, ratios.dropna(), height=0.4, color=colour, label=name)
        axis.bar_label(bars, fmt="%+.1f", padding=3, fontsize=7)
    axis.set_yticks(range(len(square)), square.index)
    axis.margins(x=0.12)
    axis.axvline(0, color="0.6", linewidth=0.8)
    axis.tick_params(axis="y", labelsize=8)
    axis.set(xlabel="cost of a video against what was computed, %")
    axis.invert_yaxis()
    figure.legend(title="networks", loc="outside right upper", frameon=False, fontsize=8)
    return figure
