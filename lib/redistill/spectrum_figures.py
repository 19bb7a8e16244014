"""Figures of notebook 2, each drawn from a table that the reader can see.

What a colour says, a marker, a text or a place says too, so that all are readable in grey.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from redistill import arm_figures
from redistill.exit_figures import CYCLE, MARKS
from redistill.methods.spectrum_arms import PLAIN, PRESETS

LOOKS = {
    "teacher": ("#444444", "D"),
    "labels alone": (CYCLE[2], "^"),
    "image-level": (CYCLE[4], "v"),
    "features": (CYCLE[0], "o"),
    "parameters": (CYCLE[3], "P"),
    "both": (CYCLE[1], "s"),
}
PANELS = {  # of factors: what is asked, in the words of the axis
    "oscillating": "right on\noscillations", "direction": "right on\ndirections",
    "motion": "motion\nright", "shape": "shape\nright", "texture": "texture\nright",
    "texture_over_motion": "texture less\nmotion",
}  # fmt: skip
NOTHING = 1e-9  # a loss below it is rounding
HATCHES = ("", "///", "...", "xxx")
MAP = {"cmap": "cividis", "cbar": False, "annot_kws": {"fontsize": 7}, "linewidths": 0.5}
_DARKEST = 1e-3  # of the brightest value of a map


def family(arm: str) -> str:
    """Return what a method learns from besides labels, a key of ``LOOKS``."""
    if arm in PLAIN:
        return "image-level" if PLAIN[arm] else "labels alone"
    if arm not in PRESETS:
        return "teacher"
    left_out = PRESETS[arm].keys() & {"lambda_f", "lambda_p"}
    return (
        {"lambda_p": "features", "lambda_f": "parameters"}[left_out.pop()] if left_out else "both"
    )


def methods(table: pd.DataFrame, *, chance: float) -> Figure:
    """Draw methods sorted by test accuracy, and what each costs in training and in use.

    Args:
        table: of ``redistill.spectrum_tables.method_table``.
        chance: accuracy of a guess.
    """
    return arm_figures.methods(table, chance=chance, look=_look)


def _look(arm: str) -> Mapping[str, str]:
    colour, marker = LOOKS[family(arm)]
    return {"color": colour, "marker": marker, "label": family(arm)}


def signal(table: pd.DataFrame) -> Figure:
    """Draw signals over time, and beside them their amplitude spectra.

    Args:
        table: of ``redistill.spectrum_tables.signal_table``.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 2.3), width_ratios=(3, 2))
    names = list(table["what"].unique())
    wide = 0.8 / len(names)
    for number, name in enumerate(names):
        own = table[table["what"] == name]
        look = {"color": CYCLE[number % len(CYCLE)], "label": name}
        over, spectrum = (own[own["kind"] == kind] for kind in ("signal", "amplitude"))
        left.plot(over["x"], over["y"], marker=MARKS[number % len(MARKS)], **look)
        aside = (number - (len(names) - 1) / 2) * wide
        right.bar(spectrum["x"] + aside, spectrum["y"], wide, **look)
    for axis, label in ((left, "frame"), (right, "cycles per clip")):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set(xlabel=label)
    left.set(ylabel="value")
    right.set(ylabel="amplitude")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=3,
                  frameon=False, fontsize=8)  # fmt: skip
    return figure


def blindness(table: pd.DataFrame) -> Figure:
    """Draw how large two losses find changes of a clip's features.

    Args:
        table: of ``redistill.spectrum_tables.blindness_table``.
    """
    figure, axis = plt.subplots(figsize=(6, 0.8 + 0.42 * len(table)))
    places = np.arange(len(table))
    looks = {
        "amplitude": ("amplitude: the spectrum loss", CYCLE[0], ""),
        "complex": ("complex: the features themselves", CYCLE[4], "///"),
    }
    for number, (column, (label, colour, hatch)) in enumerate(looks.items()):
        heard = table[column].where(table[column] > NOTHING, 0.0)
        look = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
        bars = axis.barh(places + 0.4 * number - 0.2, heard, 0.38, label=label, **look)
        axis.bar_label(bars, [f"{x:.2g}" for x in heard], padding=3, fontsize=7)
    axis.set_xscale("symlog", linthresh=1e-3)
    axis.margins(x=0.12)
    axis.set_yticks(places, table["change"], fontsize=8)
    axis.set(xlabel="loss, mean over clips (logarithmic beyond 0.001)")
    axis.set_xlim(left=0)
    axis.invert_yaxis()
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=8)
    return figure


def factors(table: pd.DataFrame) -> Figure:
    """Draw how often each method is right, by kind of motion and by factor, with 95 % intervals.

    Args:
        table: of ``redistill.spectrum_tables.factor_table``, of a synthetic world.
    """
    arms = list(table["arm"].unique())
    shown = [name for name in PANELS if name in set(table["subset"])]
    size = 1.0 + 1.15 * len(shown), 1.1 + 0.22 * len(arms)
    figure, axes = plt.subplots(1, len(shown), figsize=size, sharey=True, squeeze=False)
    for axis, name in zip(axes[0], shown, strict=True):
        rows = table[table["subset"] == name]
        for row in rows.itertuples():
            colour, marker = LOOKS[family(row.arm)]
            times = 1 if row.unit == "points" else 100
            place = arms.index(row.arm)
            axis.plot([times * row.low, times * row.high], [place, place], color=colour)
            axis.plot(times * row.value, place, marker, color=colour, markersize=5)
        if name == "texture_over_motion":
            axis.axvline(0, color="0.6", linestyle=":", zorder=0)
        axis.set_title(PANELS[name], fontsize=8)
        axis.set(xlabel="points" if rows["unit"].iloc[0] == "points" else "%")
        axis.tick_params(axis="x", labelsize=7)
    axes[0, 0].set_yticks(range(len(arms)), arms, fontsize=8)
    axes[0, 0].set_ylim(len(arms) - 0.4, -0.6)
    return figure


def bins(table: pd.DataFrame) -> Figure:
    """Draw the energy of features over temporal frequency and, where known, the loss.

    Args:
        table: of ``redistill.spectrum_tables.bins_table``.
    """
    arms = list(table["arm"].unique())
    panels = {"share": ("share of the energy, %", 100), "error": ("part in the loss, 1/1000", 1000)}
    known = [column for column in panels if table[column].notna().any()]
    size = 0.8 + 2.9 * len(known), 1.1 + 0.25 * len(arms)
    figure, axes = plt.subplots(1, len(known), figsize=size, sharey=True, squeeze=False)
    for axis, column in zip(axes[0], known, strict=True):
        title, times = panels[column]
        square = times * table.pivot(index="arm", columns="bin", values=column).loc[arms]
        sns.heatmap(square, ax=axis, norm=_norm(square), annot=True, fmt=".3g", **MAP)
        axis.set_title(title, fontsize=8)
        axis.set(xlabel="cycles per clip", ylabel="")
        axis.tick_params(length=0, labelsize=8, rotation=0)
    return figure


def kernels(table: pd.DataFrame) -> Figure:
    """Draw the shares of energy of each stage's kernels, a row of squares for each network.

    Args:
        table: of ``redistill.spectrum_tables.kernels_table``, of the networks to draw.
    """
    arms, stages = list(table["arm"].unique()), list(table["stage"].unique())
    size = 1.2 + 1.15 * len(stages), 0.5 + 1.05 * len(arms)
    figure, axes = plt.subplots(len(arms), len(stages), figsize=size, squeeze=False)
    norm = _norm(100 * table["share"])
    for line, arm in zip(axes, arms, strict=True):
        for axis, stage in zip(line, stages, strict=True):
            own = table[(table["arm"] == arm) & (table["stage"] == stage)]
            square = 100 * own.pivot(index="u", columns="v", values="share")
            sns.heatmap(square, ax=axis, norm=norm, annot=True, fmt=".1f", square=True, **MAP)
            axis.set(xlabel="", ylabel="", xticks=[], yticks=[])
            if arm == arms[0]:
                axis.set_title(f"stage {stage}", fontsize=8)
        line[0].set_ylabel(arm, fontsize=8)
    figure.supxlabel("frequency to the right and downwards; share of the energy, %", fontsize=8)
    return figure


def noise(table: pd.DataFrame, *, clamp: float) -> Figure:
    """Draw the learned noise levels over training.

    Args:
        table: of ``redistill.spectrum_tables.noise_table``.
        clamp: the largest logarithm allowed, either sign.
    """
    terms = list(table["term"].unique())
    figure, axes = plt.subplots(
        1, len(terms), figsize=(1.2 + 2.2 * len(terms), 2.3), sharey=True, squeeze=False
    )
    arms = list(table["arm"].unique())
    for axis, term in zip(axes[0], terms, strict=True):
        for arm, rows in table[table["term"] == term].groupby("arm", sort=False):
            number = arms.index(arm)
            axis.plot(rows["epoch"], rows["log_variance"], color=CYCLE[number % len(CYCLE)],
                      marker=MARKS[number % len(MARKS)], markersize=4, label=arm)  # fmt: skip
        for bound in (-clamp, clamp):
            axis.axhline(bound, color="0.5", linestyle="--", linewidth=0.8, zorder=0)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_title(term, fontsize=8)
        axis.set(xlabel="epoch")
    axes[0, 0].set(ylabel=r"$s = \log \sigma^2$")
    _legend(figure)
    return figure


def loss_by_bin(table: pd.DataFrame) -> Figure:
    """Draw what each bin adds to a loss, a series of bars for each reading of it.

    Args:
        table: columns what (the reading), bin (cycles per clip), loss.
    """
    names = list(table["what"].unique())
    figure, axis = plt.subplots(figsize=(5, 2.3))
    wide = 0.8 / len(names)
    for number, (name, rows) in enumerate(table.groupby("what", sort=False)):
        aside = (number - (len(names) - 1) / 2) * wide
        axis.bar(rows["bin"] + aside, rows["loss"], wide, color=CYCLE[number % len(CYCLE)],
                 hatch=HATCHES[number % len(HATCHES)], edgecolor="white", label=name)  # fmt: skip
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set(xlabel="cycles per clip", ylabel="part in the loss")
    _legend(figure)
    return figure


def _norm(values: pd.DataFrame | pd.Series) -> LogNorm:
    """Return logarithmic brightness, over three decades at most."""
    known = values.to_numpy()
    most = np.nanmax(known)
    return LogNorm(max(np.nanmin(known), _DARKEST * most), most)


def _legend(figure: Figure) -> None:
    """Name each look once, beside the axes."""
    named = {}
    for axis in figure.axes:
        named |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(named.values(), named, loc="outside right upper", frameon=False, fontsize=8)
