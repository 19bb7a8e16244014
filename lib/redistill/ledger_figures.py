"""Figures of notebook 5, each drawn from a table that the reader can see.

Colours are Okabe and Ito's; a verdict has its own marker too, and a line its own dashes.
"""

from collections.abc import Sequence
from textwrap import shorten

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from redistill.claims import Claim, Verdict
from redistill.exit_figures import CYCLE, MARKS
from redistill.rules import INCONCLUSIVE, NOT_REPRODUCED, NOT_RUN, REPRODUCED

LOOKS = {
    NOT_REPRODUCED: {"color": "#D55E00", "marker": "X"},
    INCONCLUSIVE: {"color": "#8A6100", "marker": "o", "markerfacecolor": "white"},
    REPRODUCED: {"color": "#0072B2", "marker": "s"},
    NOT_RUN: {"color": "#888888", "marker": "o", "markerfacecolor": "white"},
}
WORDS = 44  # of a claim, characters beside its line
LINEAR = 5  # points; beyond them the axis is logarithmic
ROW, ROOM = 0.2, 0.62  # inches: height of a line; of a small panel's axis and title
BELOW = {"loc": "outside lower center", "frameon": False, "fontsize": 8, "ncols": 6}


def forest(table: pd.DataFrame) -> Figure:
    """Draw every judged claim: interval, mean and a dot a run, a panel for each unit.

    Args:
        table: of ``ledger_tables.forest``.
    """
    parts = dict(list(table.groupby("unit", sort=False)))
    first = max(parts, key=lambda unit: len(parts[unit]))
    others = [unit for unit in parts if unit != first]
    heights = [len(parts[unit]) * ROW + ROOM for unit in others]
    tall = max(len(parts[first]) * ROW + ROOM, sum(heights), 2.0)
    figure = plt.figure(figsize=(8.6, tall + 0.35))
    left, right = figure.add_gridspec(1, 2, width_ratios=(1.9, 1)) if others else (None, None)
    _panel(figure.add_subplot(left) if others else figure.add_subplot(), parts[first], words=True)
    cells = right.subgridspec(len(others), 1, height_ratios=heights) if others else ()
    for cell, unit in zip(cells, others, strict=True):
        _panel(figure.add_subplot(cell), parts[unit], words=False)
    looks = {state: look for state, look in LOOKS.items() if state in set(table["verdict"])}
    handles = [Line2D([], [], linestyle="", **look) for look in looks.values()]
    handles.append(Line2D([], [], linestyle="", marker="|", markersize=9, color="0.35"))
    figure.legend(handles, [*looks, "smallest effect of interest, or bound"], **BELOW)
    return figure


def _panel(axis: Axes, rows: pd.DataFrame, *, words: bool) -> None:
    runs = [column for column in rows.columns if column.startswith("run_")]
    for height, row in enumerate(rows.itertuples()):
        look = LOOKS[row.verdict]
        dots = rows.loc[row.Index, runs].dropna().astype(float)
        axis.plot(dots, np.full(len(dots), height + 0.27), ".", color="0.6", markersize=3, zorder=1)
        axis.plot([row.low, row.high], [height] * 2, color=look["color"], linewidth=1.6)
        axis.plot(row.mean, height, linestyle="", markersize=5.5, **look)
        for mark in row.margins.split():
            axis.plot(float(mark), height, "|", color="0.35", markersize=9, zorder=0)
    axis.axvline(0, color="0.3", linewidth=0.8, zorder=0)
    unit = rows["unit"].iloc[0]
    if unit == "points" and np.abs(rows[["low", "high"]]).to_numpy().max() > 3 * LINEAR:
        axis.set_xscale("symlog", linthresh=LINEAR, linscale=1.6)
        ticks = [-50, -20, -10, -5, -2, 0, 2, 5, 10, 20, 50]
        axis.set_xticks(ticks, [f"{tick}" for tick in ticks])
        axis.margins(x=0.06)
        unit += f" (linear within ±{LINEAR}, then logarithmic)"
    else:
        axis.xaxis.set_major_locator(MaxNLocator(4))
    room = WORDS + len("P1")  # of an id with its words
    names = [
        f"{row.claim}  {shorten(row.words, room - len(row.claim), placeholder=' …')}"
        for row in rows.itertuples()
    ]
    axis.set_yticks(range(len(rows)), names if words else rows["claim"], fontsize=7)
    for label in axis.get_yticklabels() if words else ():
        label.set_horizontalalignment("left")
    axis.tick_params(axis="y", pad=174 if words else 3, length=0)
    axis.tick_params(axis="x", labelsize=7)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlabel(unit, fontsize=8)


def closely(table: pd.DataFrame, claim: Claim, one: Verdict) -> Figure:
    """Draw one claim: test and control in each run, and their differences.

    Args:
        table: of ``ledger_tables.pairs``.
        claim: the claim.
        one: its verdict, which has an interval.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.6, 2.7), width_ratios=(1, 1.5))
    ranked = table.sort_values("difference", ignore_index=True)
    for line in ranked.itertuples():
        rises = line.difference > 0
        look = {"color": "0.45", "linestyle": "-" if rises else "--", "marker": "o"}
        left.plot([0, 1], [line.control, line.test], markersize=3, linewidth=0.9, **look)
    left.set_xticks([0, 1], ["control", "test"])
    left.set(xlim=(-0.3, 1.3), ylabel=claim.unit)
    right.plot(ranked["difference"], range(len(ranked)), "o", color="0.45", markersize=4)
    names = [f"data {line.data_seed}, seed {line.seed}" for line in ranked.itertuples()]
    right.set_yticks(range(len(ranked)), names, fontsize=7)
    look = LOOKS[one.state]
    right.plot([one.interval.low, one.interval.high], [-1.2] * 2, color=look["color"], linewidth=2)
    right.plot(one.interval.mean, -1.2, linestyle="", **look)
    right.axvline(0, color="0.3", linewidth=0.8)
    for mark in filter(None, claim.marks):
        right.axvline(mark, color="0.35", linewidth=0.8, linestyle=":")
    right.set(xlabel=f"test minus control, {claim.unit}", ylim=(-2, len(ranked) - 0.3))
    return figure


def power(table: pd.DataFrame, marks: pd.DataFrame, *, target: float = 0.8) -> Figure:
    """Draw power over runs for each open claim; a marker where the runs are, another where needed.

    Args:
        table: of ``ledger_tables.power_curves``.
        marks: of ``ledger_tables.further``.
        target: power that is asked for.
    """
    figure, axis = plt.subplots(figsize=(6.3, 3))
    known = marks.set_index("claim")
    dashes: Sequence[str] = ("-", "--", "-.", ":")
    for place, (claim, rows) in enumerate(table.groupby("claim", sort=False)):
        look = {"color": CYCLE[place % len(CYCLE)], "linestyle": dashes[place % len(dashes)]}
        mark = {"color": look["color"], "marker": MARKS[place % len(MARKS)], "linestyle": ""}
        one = known.loc[claim]
        needed = f"{claim}: {one.runs:.0f} + {one.more:.0f} runs"
        axis.plot(rows["runs"], rows["power"], label=needed, **look)
        axis.plot(one.runs, one.power, markerfacecolor="white", **mark)
        at = np.interp(one.runs + one.more, rows["runs"], rows["power"])
        axis.plot(one.runs + one.more, at, **mark)
    axis.axhline(target, color="0.6", linestyle=":", linewidth=0.8, zorder=0)
    axis.set_xscale("log")
    ticks = [2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000]
    ticks = [tick for tick in ticks if tick <= 1.1 * table["runs"].max()]
    axis.set_xticks(ticks, [f"{tick}" for tick in ticks])
    axis.set_xticks([], minor=True)
    axis.set(xlabel="independent runs", ylabel="power", ylim=(0, 1.02))
    title = "runs there are (hollow)\n+ runs it takes"
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), title=title, title_fontsize=8,
                frameon=False, fontsize=8)  # fmt: skip
    return figure
