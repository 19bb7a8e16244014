"""Figures that compare arms: of any notebook, then of notebook 3, and the released code."""

from collections.abc import Callable, Mapping

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


def methods(
    table: pd.DataFrame, *, chance: float, look: Callable[[str], Mapping[str, str]]
) -> Figure:
    """Draw methods sorted by test accuracy, and what each costs in training and in use.

    Args:
        table: of ``redistill.method_table``.
        chance: accuracy of a guess.
        look: colour and marker of an arm and, for a legend, its label.
    """
    test = table[table["split"] == "test"].sort_values("accuracy", ascending=False, kind="stable")
    val = table[table["split"] == "val"].set_index("arm").loc[test["arm"]]
    smallest = test["inference"].min()
    size = 0.8 + 0.24 * len(test)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(6.6, size), sharey=True, width_ratios=(5, 2)
    )
    for row, entry in enumerate(test.itertuples()):
        own = look(entry.arm)
        left.plot([100 * entry.low, 100 * entry.high], [row, row], color=own["color"], linewidth=2)
        left.plot(100 * entry.accuracy, row, linestyle="", markersize=6, **own)
        used = entry.inference / smallest
        text = f"{used:.0f}x" if abs(used - round(used)) < 0.05 else f"{used:.1f}x"
        right.text(1.02, row, text, transform=right.get_yaxis_transform(), fontsize=8, va="center")
    left.plot(100 * val["accuracy"], range(len(val)), "|", color="0.3", markersize=8)
    left.axvline(100 * chance, color="0.6", linestyle=":", zorder=0)
    left.text(100 * chance, -1, " chance", color="0.4", fontsize=8, va="center")
    bars = right.barh(range(len(test)), test["relative"].fillna(0), color="0.75", height=0.6)
    labels = [f"{cost:.3g}" if pd.notna(cost) else "" for cost in test["relative"]]
    right.bar_label(bars, labels, padding=2, fontsize=7)
    right.margins(x=0.3)
    left.set_yticks(range(len(test)), test["arm"], fontsize=8)
    left.set(xlabel="test accuracy, %, with 95 % interval (bar: validation)")
    right.set(xlabel="cost of training")
    right.text(1.02, -1, "in use", transform=right.get_yaxis_transform(), fontsize=8, va="center")
    left.set_ylim(len(test) - 0.4, -1.2)
    named = dict(zip(*reversed(left.get_legend_handles_labels()), strict=True))
    if named:
        figure.legend(
            named.values(), named, loc="outside upper left", ncols=3, frameon=False, fontsize=8
        )
    return figure


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
