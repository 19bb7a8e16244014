"""Figures of loss landscapes: surfaces in one camera and scale, slices, lines between solutions.

Each is drawn from a table that the reader can see.  A loss above a common height is drawn at that
height, and the label says so: what lies above is cliffs whose height tells nothing of the minimum.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure

from redistill.exit_figures import CYCLE, MARKS
from redistill.figures import LOOK, NAMES
from redistill.landscape import Surface

CAMERA = {"elev": 28, "azim": -55}
MAP = "viridis"
STEP = "step, in units of the filters' norms"


def surface_table(surfaces: Mapping[str, Surface]) -> pd.DataFrame:
    """Return a line a point: modality, a, b, loss (infinite: no number), accuracy (of 1).

    Args:
        surfaces: by modality.
    """
    return pd.DataFrame(
        [
            (modality, a, b, each.loss[i, j], each.accuracy[i, j])
            for modality, each in surfaces.items()
            for i, a in enumerate(each.a)
            for j, b in enumerate(each.b)
        ],
        columns=["modality", "a", "b", "loss", "accuracy"],
    )


def square(table: pd.DataFrame) -> pd.DataFrame:
    """Return the losses of ``surface_table`` as squares, a line for each a, a column for each b.

    The same numbers in a quarter of the room, for a notebook that keeps them.
    """
    wide = table.pivot(index=["modality", "a"], columns="b", values="loss")
    wide.columns = [f"b = {b:.4g}" for b in wide.columns]
    return wide.reset_index()


def slices_table(named: Mapping[str, Sequence[Surface]]) -> pd.DataFrame:
    """Return the mean over directions, and the least and the largest, at every step.

    Columns modality, a, directions (how many), then loss and accuracy, each with _low and _high.

    Args:
        named: by modality, surfaces of one direction over the same steps.
    """
    points = pd.concat([surface_table({m: each}) for m, all_ in named.items() for each in all_])
    groups = points.groupby(["modality", "a"], sort=False)
    columns = {"directions": groups["loss"].size()}
    for column in ("loss", "accuracy"):
        columns[column] = groups[column].mean()
        columns[f"{column}_low"] = groups[column].min()
        columns[f"{column}_high"] = groups[column].max()
    return pd.DataFrame(columns).reset_index()


def lines_table(named: Mapping[str, Surface]) -> pd.DataFrame:
    """Return a line a point: line, a, loss, accuracy.

    Args:
        named: surfaces of ``redistill.landscape.line``, by what is to stand beside each.
    """
    return surface_table(named).rename(columns={"modality": "line"}).drop(columns="b")


def surfaces(table: pd.DataFrame, *, top: float | None = None) -> Figure:
    """Draw the surfaces of several modalities in one camera and scale, and from above.

    Args:
        table: of ``surface_table``.
        top: the height at which the loss is cut; none: that of ``common_top``.
    """
    top = top or common_top(table)
    low = table["loss"].min()
    levels = np.linspace(low, top, 13)
    modalities = table["modality"].unique()
    figure = plt.figure(figsize=(6, 3.8))
    cells = figure.add_gridspec(2, len(modalities), height_ratios=(1.3, 1))
    flat: list[Axes] = []
    for column, modality in enumerate(modalities):
        grid = table[table["modality"] == modality].pivot(index="b", columns="a", values="loss")
        upright = figure.add_subplot(cells[0, column], projection="3d")
        _upright(upright, grid.clip(upper=top), low, top)
        upright.set_title(NAMES[modality], y=1.0)
        flat.append(figure.add_subplot(cells[1, column], sharey=flat[0] if flat else None))
        drawn = _from_above(flat[-1], grid, levels)
        flat[-1].label_outer()
    upright.set_zlabel("loss", fontsize=8, labelpad=-8)  # of all: it would lie on a neighbour
    return _scaled(figure, flat, drawn, top)


def contours(table: pd.DataFrame, *, top: float | None = None) -> Figure:
    """Draw the surfaces of several modalities in one scale, from above alone.

    Args:
        table: of ``surface_table``.
        top: the height at which the loss is cut; none: that of ``common_top``.
    """
    top = top or common_top(table)
    levels = np.linspace(table["loss"].min(), top, 13)
    groups = table.groupby("modality", sort=False)
    figure, flat = plt.subplots(1, len(groups), figsize=(6, 2.1), sharey=True)
    for axis, (modality, rows) in zip(flat, groups, strict=True):
        drawn = _from_above(axis, rows.pivot(index="b", columns="a", values="loss"), levels)
        axis.set_title(NAMES[modality])
    return _scaled(figure, flat, drawn, top)


def _scaled(figure: Figure, flat: Sequence[Axes], drawn: QuadContourSet, top: float) -> Figure:
    flat[0].set_ylabel("along $d_2$")
    bar = figure.colorbar(drawn, ax=flat, aspect=14, pad=0.02, format="%.2g")
    bar.set_label(f"loss, cut at {top:.3g}")
    return figure


def common_top(table: pd.DataFrame) -> float:
    """Return one height for all: the median of the modalities' largest finite losses."""
    finite = table[np.isfinite(table["loss"])]
    return float(finite.groupby("modality")["loss"].max().median())


def _upright(axis: Axes, grid: pd.DataFrame, low: float, top: float) -> None:
    a, b = np.meshgrid(grid.columns, grid.index)
    look = {"cmap": MAP, "vmin": low, "vmax": top, "linewidth": 0.15, "edgecolor": "0.3"}
    axis.plot_surface(a, b, grid.fillna(top).to_numpy(), rcount=len(a), ccount=len(a.T), **look)
    axis.set(zlim=(low, top))
    axis.view_init(**CAMERA)
    axis.set_box_aspect((1, 1, 0.8), zoom=1.12)
    axis.tick_params(labelsize=6, pad=-3)
    axis.locator_params(nbins=4)
    axis.set_xlabel("$d_1$", fontsize=8, labelpad=-9)
    axis.set_ylabel("$d_2$", fontsize=8, labelpad=-9)


def _from_above(axis: Axes, grid: pd.DataFrame, levels: np.ndarray) -> QuadContourSet:
    # Beyond the last level is one colour; a loss that is no number, or missing, has it too.
    finite = grid.clip(upper=10 * levels[-1]).fillna(10 * levels[-1])
    drawn = axis.contourf(grid.columns, grid.index, finite, levels, cmap=MAP, extend="max")
    axis.contour(grid.columns, grid.index, finite, levels, colors="white", linewidths=0.3)
    axis.plot(0, 0, "+", color="white", markersize=6)
    axis.set(xlabel="along $d_1$", box_aspect=1)
    return drawn


def slices(table: pd.DataFrame, *, top: float | None = None) -> Figure:
    """Draw loss and accuracy along random directions: the mean, and a band from least to largest.

    Args:
        table: of ``slices_table``.
        top: where the axis of the loss ends; none: at that of ``common_top``.
    """
    top = top or common_top(table)
    figure, axes = plt.subplots(1, 2, figsize=(6, 2.9))
    for modality, rows in table.groupby("modality", sort=False):
        look = LOOK[modality] | {"markersize": 3, "markevery": max(1, len(rows) // 12)}
        for axis, column, unit in zip(axes, ("loss", "accuracy"), (1, 100), strict=True):
            shown = {
                k: unit * rows[f"{column}{k}"].clip(upper=9 * top) for k in ("", "_low", "_high")
            }
            axis.plot(rows["a"], shown[""], label=NAMES[modality], **look)
            band = {"color": look["color"], "alpha": 0.2, "linewidth": 0}
            axis.fill_between(rows["a"], shown["_low"], shown["_high"], **band)
    axes[0].set(xlabel=STEP, ylabel=f"loss, cut at {top:.3g}", ylim=(0, top))
    axes[1].set(xlabel=STEP, ylabel="accuracy on the same clips, %", ylim=(0, 102))
    return _named(figure, axes, f"band: least to largest of {_counts(table['directions'])}")


def _counts(directions: pd.Series) -> str:
    low, high = directions.min(), directions.max()
    return f"{low} directions" if low == high else f"{low} to {high} directions"


def lines(table: pd.DataFrame, *, ends: tuple[str, str]) -> Figure:
    """Draw loss and accuracy along the lines between solutions.

    Args:
        table: of ``lines_table``.
        ends: what stands at 0 and at 1.
    """
    figure, axes = plt.subplots(1, 2, figsize=(6, 2.9))
    for index, (name, rows) in enumerate(table.groupby("line", sort=False)):
        look = {"color": CYCLE[index % len(CYCLE)], "marker": MARKS[index % len(MARKS)]}
        look |= {"markersize": 3, "markevery": max(1, len(rows) // 12)}
        axes[0].plot(rows["a"], rows["loss"].replace(np.inf, np.nan), label=name, **look)
        axes[1].plot(rows["a"], 100 * rows["accuracy"], **look)
    for axis in axes:
        axis.set_xlabel(f"from {ends[0]} (0) to {ends[1]} (1)")
        for end in (0, 1):
            axis.axvline(end, color="0.6", linestyle=":", linewidth=0.9, zorder=0)
    axes[0].set_ylabel("loss")
    axes[1].set_ylabel("accuracy on the same clips, %")
    return _named(figure, axes)


def _named(figure: Figure, axes: np.ndarray, title: str | None = None) -> Figure:
    handles, labels = axes[0].get_legend_handles_labels()
    place = {"loc": "outside upper center", "ncols": min(5, len(labels)), "title": title}
    figure.legend(handles, labels, frameon=False, fontsize=8, title_fontsize=8, **place)
    return figure
