"""Figures of exits: accuracy over cost, weights, gain over correlation, accuracy by arm.

Each is drawn from a table that the reader can see; what a colour says, a marker says too.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from redistill.figures import NAMES

# Okabe and Ito's colours, then greys; beyond the eighth, colours return with dashes.
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#888888")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h", "p", "d", "8")
SHOWN = {"ce": "#000000", "kd_iframe": "#E69F00", "pkd": "#0072B2"}  # arms in colour
SHORT = {"iframe": "I", "mv": "M", "residual": "R"}


def tradeoff(table: pd.DataFrame, points: pd.DataFrame | None = None) -> Figure:
    """Draw accuracy over mean cost, one line a variant.

    Args:
        table: columns variant, macs (mean of a video), accuracy (share of 1); a variant with one
            line only is a single marker.
        points: operating points to ring and name: columns variant, macs, accuracy, label.
    """
    figure, axis = plt.subplots(figsize=(6, 3.4))
    for index, (name, rows) in enumerate(table.groupby("variant", sort=False)):
        line = rows.sort_values("macs", kind="stable")
        axis.plot(
            line["macs"] / 1e6,
            100 * line["accuracy"],
            color=CYCLE[index % len(CYCLE)],
            marker=MARKS[index % len(MARKS)],
            markevery=_spread(line["macs"].to_numpy()),
            markersize=5 if len(line) > 1 else 8,
            linewidth=1.2,
            linestyle="--" if index >= len(CYCLE) else "-",
            label=name,
        )
    for entry in () if points is None else points.itertuples():
        place = entry.macs / 1e6, 100 * entry.accuracy
        axis.plot(*place, "o", markersize=11, markerfacecolor="none", color="0.2", zorder=5)
        axis.annotate(
            entry.label, place, xytext=(6, -13), textcoords="offset points", fontsize=8, zorder=6
        )
    axis.set(xlabel="million multiply-accumulates per video, mean", ylabel="test accuracy, %")
    axis.margins(x=0.06, y=0.12)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def _spread(macs: np.ndarray, marks: int = 8) -> list[int]:
    """Where to put markers: lines of many points get a few, evenly along the cost axis."""
    wanted = np.linspace(macs[0], macs[-1], marks)
    return np.unique([np.abs(macs - x).argmin() for x in wanted]).tolist()


def weights_map(table: pd.DataFrame) -> Figure:
    """Draw the weights of every prefix: a row for each number of exits passed.

    Args:
        table: columns after (number of exits passed), modality, exit (1 to 4), weight; the exits
            of each row in the order in which they are passed.
    """
    named = table.assign(
        name=[SHORT[m] + str(e) for m, e in table[["modality", "exit"]].to_numpy()]
    )
    square = named.pivot(index="after", columns="name", values="weight")[named["name"].unique()]
    figure, axis = plt.subplots(figsize=(6, 0.7 + 0.24 * len(square)))
    largest = float(np.nanmax(np.abs(square.to_numpy())))
    sns.heatmap(
        square,
        ax=axis,
        annot=square.map(_brief),
        fmt="",
        annot_kws={"fontsize": 7},
        cmap="PuOr_r",
        vmin=-largest,
        vmax=largest,
        linewidths=0.5,
        cbar=False,
    )
    axis.set(xlabel="exit (R residual, M motion, I I-frame)", ylabel="exits passed")
    axis.tick_params(length=0, labelsize=8, rotation=0)
    return figure


def _brief(weight: float) -> str:
    """Two decimals without the leading zero, so that twelve fit side by side."""
    text = f"{weight:.2f}".replace("0.", ".", 1) if abs(weight) < 1 else f"{weight:.2f}"
    return "0" if text in (".00", "-.00") else text


def gain_over_correlation(table: pd.DataFrame) -> Figure:
    """Draw what WISE gains over the correlation of the exits' errors.

    Args:
        table: of ``redistill.methods.alike.gains``: columns correlation, over_unit, over_best
            (points); several runs may stand in one table, told apart by a column run.
    """
    figure, axis = plt.subplots(figsize=(6, 2.7))
    looks = {
        "over_best": ("over the best single exit", CYCLE[0], "o"),
        "over_unit": ("over unit weights", CYCLE[1], "s"),
    }
    runs = table["run"] if "run" in table else np.zeros(len(table))
    for column, (label, colour, marker) in looks.items():
        for index, (_, rows) in enumerate(table.groupby(runs, sort=False)):
            line = rows.sort_values("correlation", kind="stable")
            axis.plot(
                line["correlation"],
                line[column],
                color=colour,
                marker=marker,
                markersize=5,
                linewidth=1,
                label=label if index == 0 else None,
            )
    axis.axhline(0, color="0.6", linestyle=":", zorder=0)
    axis.set(
        xlabel="correlation of errors, mean over pairs of exits", ylabel="gain of WISE, points"
    )
    axis.legend(frameon=False, fontsize=8)
    return figure


def exit_accuracies(table: pd.DataFrame, *, shown: Sequence[str] = tuple(SHOWN)) -> Figure:
    """Draw accuracy by exit, a panel for each modality, a line for each arm.

    Args:
        table: columns arm, modality, exit (1 to 4), accuracy, low, high; shares of 1.
        shown: arms in colour and in front, with their intervals; the others are thin grey lines,
            told apart by their markers, whose intervals only the table has.
    """
    modalities, looks = table["modality"].unique(), _arm_looks(table["arm"].unique(), shown)
    figure, axes = plt.subplots(1, len(modalities), figsize=(6, 3.4), sharey=True, squeeze=False)
    front = [arm for arm in looks if arm in shown]
    for axis, modality in zip(axes[0], modalities, strict=True):
        for arm, look in looks.items():
            rows = table[(table["modality"] == modality) & (table["arm"] == arm)]
            rows = rows.sort_values("exit")
            place, middle = rows["exit"].to_numpy(), 100 * rows["accuracy"]
            ends = None
            if arm in front:
                place = place + 0.16 * (front.index(arm) - (len(front) - 1) / 2)
                ends = [middle - 100 * rows["low"], 100 * rows["high"] - middle]
            axis.errorbar(place, middle, yerr=ends, label=arm, **look)
        axis.set(title=NAMES[modality], xlabel="exit", xticks=sorted(table["exit"].unique()))
    axes[0, 0].set_ylabel("test accuracy, %")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    where = {"loc": "outside lower center", "ncols": min(5, len(looks))}
    figure.legend(handles, labels, frameon=False, fontsize=8, **where)
    return figure


def _arm_looks(arms: Sequence[str], shown: Sequence[str]) -> dict[str, dict[str, Any]]:
    spare = iter(2 * [c for c in CYCLE if c not in SHOWN.values()])
    looks = {}
    for index, arm in enumerate(arms):
        marker = {"marker": MARKS[index % len(MARKS)]}
        if arm in shown:
            colour = SHOWN.get(arm) or next(spare)
            looks[arm] = {"color": colour, "markersize": 5, "elinewidth": 0.9, "zorder": 3}
        else:
            looks[arm] = {"color": "0.65", "markersize": 4, "linewidth": 0.7, "zorder": 2}
        looks[arm] |= marker
    return looks
