"""Figures of notebook 4, each drawn from a table that the reader can see.

What a colour says, a marker, a text or a place says too, so that all are readable in grey.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from redistill.curvature.density import Density
from redistill.exit_figures import CYCLE, MARKS, SHORT
from redistill.figures import LOOK, NAMES
from redistill.flatness_tables import MEASURES, log10, rounded
from redistill.methods.solutions import IC, SAME

ORDER = ("iframe", "residual", "mv")  # from flat to sharp, as the third paper claims
CURVATURES, SHIFT, TOP = (1.0, 16.0), 0.3, 1.2  # of the drawing: lambda, s, the curves' height
LINEAR = 1e-3  # of the largest eigenvalue: below it the axis of a density is linear
WIDTH = 0.02  # standard deviation of a density's Gaussians, in lengths of the axis
AT = {  # hollow where training losses differ, and large, so that both are seen at one value
    "end": {"linestyle": ":", "markerfacecolor": "white", "markersize": 8, "markeredgewidth": 0.8},
    "equal": {"linestyle": "-", "markersize": 5, "zorder": 3},
}
SAID = {"end": "at the end", "equal": "at equal loss"}
STAGES = {"data_bn": "input\nnorm", "conv1": "first\nlayer", "bn1": "its\nnorm"}
STAGES |= {f"layer{number}": f"stage\n{number}" for number in range(1, 5)} | {"fc": "last\nlayer"}
LOOKS = {m: LOOK[m] | {"label": NAMES[m], "markersize": 5} for m in ORDER}
RIGHT = {"loc": "outside right upper", "frameon": False, "fontsize": 8}
BELOW = RIGHT | {"loc": "outside lower center", "ncols": 5}


def two_minima() -> tuple[Figure, pd.DataFrame]:
    """Draw a flat and a sharp minimum, and what a shift of the test loss costs at each.

    Returns:
        Beside the figure what it draws, the formula lambda w^2 / 2 and no measurement: columns
        curvature, loss ("training", "test"), weight, value.
    """
    lines = []
    for curvature in CURVATURES:
        for w in np.linspace(-1, 1, 13) * (2 * TOP / curvature) ** 0.5:
            for loss, shift in (("training", 0), ("test", SHIFT)):
                lines.append((curvature, loss, w + shift, curvature * w * w / 2))
    table = rounded(pd.DataFrame(lines, columns=["curvature", "loss", "weight", "value"]))
    figure, axes = plt.subplots(1, 2, figsize=(6, 2.6), sharex=True, sharey=True)
    for axis, (curvature, rows) in zip(axes, table.groupby("curvature"), strict=True):
        rise = curvature * SHIFT**2 / 2
        for loss, look in (("training", "-"), ("test", "--")):
            part = rows[rows["loss"] == loss]
            axis.plot(part["weight"], part["value"], look, color="0.2", label=f"{loss} loss")
        axis.plot([0, 0], [0, rise], "o-", color=CYCLE[1], markersize=4, label="rise")
        axis.set_title(f"curvature λ = {curvature:.0f}, rise λs²/2 = {rise:.2g}", fontsize=9)
        axis.set(xlabel="weight")
    axes[0].set_ylabel("loss above its minimum")
    figure.legend(*axes[0].get_legend_handles_labels(), **BELOW)
    figure.suptitle(f"a drawing, no measurement; test loss moved by s = {SHIFT}", fontsize=9)
    return figure, table


def eigenvalues(table: pd.DataFrame) -> Figure:
    """Draw the largest eigenvalues by rank: a table of ``flatness_tables.eigenvalues``."""
    figure, axis = plt.subplots(figsize=(6, 2.6))
    for side, (modality, look) in zip((-0.12, 0, 0.12), LOOKS.items(), strict=True):
        rows = table[table["modality"] == modality]
        thin = {"yerr": rows["error"], "linestyle": ":", "linewidth": 0.8}
        axis.errorbar(rows["rank"] + side, rows["value"], **thin, **look)
    largest = 100 * (table["error"] / table["value"].abs()).max()
    axis.set_title(f"largest error bar: {largest:.1g} % of the eigenvalue", fontsize=9)
    axis.axhline(0, color="0.6", linestyle=":", linewidth=0.8, zorder=0)
    axis.set(xlabel="rank", ylabel="eigenvalue of the Hessian", xmargin=0.2)
    axis.set_xticks(table["rank"].unique())
    figure.legend(**RIGHT)
    return figure


def density_table(densities: Mapping[str, Density], *, points: int = 120) -> pd.DataFrame:
    """Return the densities at common eigenvalues, most of them near 0, where the bulk is.

    A node becomes a Gaussian on the axis arsinh(eigenvalue / unit), the unit ``LINEAR`` of the
    largest eigenvalue and the width ``WIDTH`` of the axis: near 0 a fixed width, far out a fixed
    share of the eigenvalue.  The density is per unit of eigenvalue nonetheless, its integral 1.

    Returns:
        Columns modality, eigenvalue, density (mean over probes), low, high (least and most of
        a probe).
    """
    unit = LINEAR * max(float(one.nodes.abs().max()) for one in densities.values())
    bent = {name: replace(d, nodes=(d.nodes / unit).asinh()) for name, d in densities.items()}
    first, last = torch.cat([one.nodes.flatten() for one in bent.values()]).aminmax()
    width = WIDTH * (last - first)
    axis = torch.linspace(first - 4 * width, last + 4 * width, points, dtype=torch.float64)
    grid, slope = unit * axis.sinh().numpy(), unit * axis.cosh().numpy()
    parts = []
    for name, one in bent.items():
        each = one.smoothed(axis, width).numpy() / slope
        each[each < 1e-14 * each.max()] = 0  # rounding
        found = {"density": each.mean(0), "low": each.min(0), "high": each.max(0)}
        parts.append(pd.DataFrame({"modality": name, "eigenvalue": grid} | found))
    return rounded(pd.concat(parts, ignore_index=True), digits=3)


def densities(table: pd.DataFrame) -> Figure:
    """Draw spectral densities on one axis, each with its band over probes: ``density_table``."""
    figure, axis = plt.subplots(figsize=(6, 3))
    unit = 10 ** np.ceil(np.log10(LINEAR * table["eigenvalue"].abs().max()))
    axis.set_xscale("symlog", linthresh=unit)
    axis.set_yscale("log")
    for start, (modality, look) in zip((0, 3, 6), LOOKS.items(), strict=True):
        rows = table[table["modality"] == modality]
        band = rows["eigenvalue"], rows["low"], rows["high"]
        axis.fill_between(*band, color=look["color"], alpha=0.25, linewidth=0)
        axis.plot(rows["eigenvalue"], rows["density"], markevery=(start, 9), **look)
    heights, each = table["density"], table.groupby("modality")["density"]
    peaks = heights[(heights >= each.shift()) & (heights > each.shift(-1))]
    axis.set_ylim(peaks.min() / 10, 3 * table["high"].max())
    axis.set(xlabel=f"eigenvalue of the Hessian (linear within ±{unit:g}, then logarithmic)")
    axis.set(ylabel="density per unit of eigenvalue")
    figure.legend(**RIGHT)
    return figure


def sharpness_table(table: pd.DataFrame, ends: pd.DataFrame) -> pd.DataFrame:
    """Return what ``sharpness`` draws: ``flatness_tables.long`` with the intervals of its ``ends``.

    Returns:
        Columns measure, modality, at, value, low, high, in log10; low and high are missing at
        equal loss, where measures are interpolated, and low where an interval reaches 0.
    """
    known = ends[ends["network"].isin(table["network"])].set_index("modality")
    table = table[["measure", "modality", "at", "value"]].copy()
    for side in ("low", "high"):
        found = [log10(known.loc[m, f"{n}_{side}"]) for n, m in table.to_numpy()[:, :2]]
        table[side] = pd.Series(found, table.index).where(table["at"] == "end")
    return rounded(table)


def sharpness(table: pd.DataFrame) -> Figure:
    """Draw each measure, from left to right in the order that is claimed: ``sharpness_table``.

    An interval that reaches 0 is drawn down to the lowest value of the measure.
    """
    figure, axes = plt.subplots(1, len(MEASURES), figsize=(6.3, 3))
    for axis, (measure, name) in zip(axes, MEASURES.items(), strict=True):
        title, part = [name], table[table["measure"] == measure]
        lowest = part[["value", "low"]].min(axis=None)
        for at, look in AT.items():
            rows = part[part["at"] == at].set_index("modality").reindex(ORDER)
            axis.plot(range(3), rows["value"], color="0.5", linewidth=1, **look)
            bars = rows["low"].fillna(lowest), rows["high"]
            axis.vlines(range(3), *bars, color="0.5", linewidth=1)
            for place, (modality, value) in enumerate(rows["value"].items()):
                axis.plot(place, value, **look | LOOK[modality])
            title.append(f"order {SAID[at]}: {_rising(rows['value'])}")
        axis.set_title("\n".join(title), fontsize=8)
        axis.set_xticks(range(3), [NAMES[m] for m in ORDER], fontsize=8)
        axis.set(xlim=(-0.4, 2.4), xlabel="flat → sharp, as claimed")
    axes[0].set_ylabel("log10 of the measure")
    _legend(figure, {said: AT[at] | {"color": "0.4", "marker": "o"} for at, said in SAID.items()})
    return figure


def _rising(values: pd.Series) -> str:
    rises = values.diff()[1:].gt(0).all()
    return "not known" if values.isna().any() else "holds" if rises else "no"


def _legend(figure: Figure, looks: Mapping[str, dict]) -> None:
    figure.legend([Line2D([], [], **look) for look in looks.values()], looks, **BELOW)


def stages(table: pd.DataFrame) -> Figure:
    """Draw the trace of each part of the networks: a table of ``flatness_tables.stages``."""
    figure, axis = plt.subplots(figsize=(6.3, 2.8))
    names = [name for name in STAGES if name in set(table["stage"])]
    for side, (modality, look) in zip((-0.22, 0, 0.22), LOOKS.items(), strict=True):
        rows = table[table["modality"] == modality]
        place = [names.index(stage) + side for stage in rows["stage"]]
        axis.vlines(place, rows["low"], rows["high"], color=look["color"], linewidth=1.5)
        axis.plot(place, rows["trace"], linestyle="", **look)
    axis.axhline(0, color="0.6", linestyle=":", linewidth=0.8, zorder=0)
    axis.set_xticks(range(len(names)), [STAGES[name] for name in names], fontsize=8)
    axis.set(xlabel="part of the network", ylabel="trace of its part of the Hessian")
    figure.legend(**RIGHT)
    return figure


def classifiers(table: pd.DataFrame) -> Figure:
    """Draw the trace of each internal classifier by arm: ``flatness_tables.long`` of these."""
    table = table[table["measure"] == "trace"]
    arms = _arms(table["arm"].unique())
    spots = [(m, e) for m in ORDER for e in sorted(table["exit"].unique())]
    sides = dict(zip(arms, np.linspace(-0.3, 0.3, len(arms)), strict=True))
    figure, axis = plt.subplots(figsize=(6.3, 3.2))
    for (arm, at), rows in table.groupby(["arm", "at"], sort=False):
        place = [spots.index((row.modality, row.exit)) + sides[arm] for row in rows.itertuples()]
        axis.plot(place, rows["value"], **AT[at] | arms[arm])
    axis.set_xticks(range(len(spots)), [f"{SHORT[m]}{e}" for m, e in spots])
    axis.set_xticks(np.arange(len(spots) - 1) + 0.5, minor=True)
    axis.grid(axis="x", which="minor", linewidth=0.6, color="0.8")
    axis.set(xlabel="exit (I I-frame, R residual, M motion)", ylabel="log10 of the trace")
    plain = {"color": "0.4", "marker": "o", "linestyle": ""}
    _legend(figure, arms | {said: AT[at] | plain for at, said in SAID.items()})
    return figure


def _arms(names: Iterable[str]) -> dict[str, dict]:
    """Return how arms look: unlike any modality."""
    return {
        name: {"color": CYCLE[n % len(CYCLE)], "marker": MARKS[n % len(MARKS)], "linestyle": ""}
        for n, name in enumerate(names, start=len(ORDER))
    }


def gaps(table: pd.DataFrame, *, tau: float | None) -> Figure:
    """Draw gap over trace, lines join what may be compared: ``equal`` and ``gap_tau`` of tables."""
    known = table.dropna(subset="log_trace").sort_values("log_trace")
    same, ics = (known[known["network"] == network] for network in (SAME, IC))
    arms = _arms(table.loc[table["network"] == IC, "arm"].unique())
    figure, axes = plt.subplots(1, 1 + len(ORDER), figsize=(6.3, 3), sharey=True)
    _stratum(axes[0], same, [LOOKS[m] | {"linestyle": ""} for m in same["modality"]])
    axes[0].set(title="networks", ylabel="test minus training loss")
    axes[0].legend(handles=axes[0].lines[1:], fontsize=7, frameon=False)
    for axis, modality in zip(axes[1:], ORDER, strict=True):
        axis.set(title=f"exits, {NAMES[modality]}")
        for exit_, rows in ics[ics["modality"] == modality].groupby("exit"):
            _stratum(axis, rows, [arms[arm] for arm in rows["arm"]], f"{exit_}")
    for axis in axes:
        axis.set(xlabel="log10 of the trace", xmargin=0.15)
        axis.locator_params(axis="x", nbins=3)
    said = "nothing to compare" if tau is None else f"{tau:+.2f} (below 0: flatter, smaller gap)"
    figure.suptitle(f"Kendall's tau of flatness with the gap: {said}", fontsize=9)
    _legend(figure, arms)
    return figure


def _stratum(axis: Axes, rows: pd.DataFrame, looks: Sequence[dict], name: str = "") -> None:
    """Draw solutions that may be compared, and a name beside the sharpest."""
    axis.plot(rows["log_trace"], rows["gap"], color="0.6", linewidth=0.8, zorder=1)
    for row, look in zip(rows.itertuples(), looks, strict=True):
        axis.plot(row.log_trace, row.gap, **look)
    for row in rows.tail(1).itertuples():
        place = {"xytext": (6, 0), "textcoords": "offset points", "va": "center"}
        axis.annotate(name, (row.log_trace, row.gap), fontsize=8, **place)
