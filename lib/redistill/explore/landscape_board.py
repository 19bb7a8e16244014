"""What the landscape pair draws: two surfaces, a ruler of flatness, the line from CE to PKD."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from redistill.explore.canvas import Canvas
from redistill.explore.landscape_ruler import ruler
from redistill.explore.landscape_table import ACCURACY, LOSS, Landscapes
from redistill.explore.surfaces import Picture, Surfaces
from redistill.figures import COLOURS, LOOK, MARKERS, NAMES

DPI, WIDE, HIGH = 100, 840, 500  # the figure, pixels; boxes of axes are shares of it
PICTURE = 280, 262  # of a surface: width, height
SIDES = {"left": 2, "right": 282}  # where its picture begins
SIGNS = {"o": "●", "s": "■", "^": "▲", "D": "◆"}  # markers as letters
RULERS = {"top": (0.77, 0.755, 0.175, 0.185), "trace": (0.77, 0.46, 0.175, 0.185)}
WALKS = {LOSS: (0.07, 0.105, 0.40, 0.24), ACCURACY: (0.56, 0.105, 0.40, 0.24)}
LETTER = {"left": ("L", 1.04), "right": ("R", 1.13)}  # beside the ruler's axis
ALIKE = {"left": {"linestyle": "-"}, "right": {"linestyle": "--"}}


class Board:
    """The figure and its moving parts.

    Attributes:
        canvas: what is shown.
        surfaces: the pictures of surfaces, kept.
    """

    def __init__(self, data: Landscapes) -> None:
        """Draw what stays: axes, rulers, scales."""
        self._data = data
        self._figure = plt.figure(figsize=(WIDE / DPI, HIGH / DPI), dpi=DPI, layout="none")
        self.surfaces = Surfaces(heights=data.heights, scales=data.scales, pixels=PICTURE, dpi=DPI)
        self._pictures: dict[str, Picture] = {}
        self._titles, self._marks, self._curves, self._dots = {}, {}, {}, {}
        for side, x in SIDES.items():
            self._pictures[side] = Picture(x, HIGH - 24 - PICTURE[1])
            self._figure.add_artist(self._pictures[side])
            middle = (x + PICTURE[0] / 2) / WIDE, 1 - 14 / HIGH
            self._titles[side] = self._figure.text(
                *middle, "", ha="center", va="center", fontsize=10
            )
        for measure, box in RULERS.items():
            self._ruler(self._figure.add_axes(box), measure)
        self._at = []
        for quantity, box in WALKS.items():
            self._walk(self._figure.add_axes(box), quantity)
        self._whose = self._figure.text(0.515, 0.36, "", ha="center", va="bottom", fontsize=9)
        self.canvas = Canvas(self._figure, list(self._moving()), dpi=DPI)

    def _moving(self) -> Iterator[Artist]:
        parts = (self._pictures, self._titles, self._marks, self._curves, self._dots)
        yield from (*self._at, self._whose)
        for each in parts:
            yield from each.values()

    def _ruler(self, axis: Axes, measure: str) -> None:
        """Draw a ruler, and beside it the letters that name the sides."""
        ruler(axis, self._data, measure)
        for side, (letter, x) in LETTER.items():
            place = {"transform": axis.get_yaxis_transform(), "va": "center", "fontsize": 9}
            self._marks[measure, side] = axis.text(x, 0, letter, weight="bold", **place)

    def _walk(self, axis: Axes, quantity: str) -> None:
        """Draw the axis of a line from CE to PKD; the scale holds all classifiers of all."""
        steps = self._data.steps
        margin = 0.03 * (steps.max() - steps.min()) or 1.0
        finite = [each.loss[np.isfinite(each.loss)] for each in self._data.lines.values()]
        high = max(np.concatenate(finite), default=0.0) or 1.0
        ylim = (0, 1.08 * high) if quantity == LOSS else (-8, 108)
        axis.set(xlim=(steps.min() - margin, steps.max() + margin), ylim=ylim)
        for end in (0, 1):
            axis.axvline(end, color="0.6", linestyle=":", linewidth=0.9, zorder=0)
        axis.set_xlabel("from CE (0) to PKD (1)", fontsize=9, labelpad=1)
        axis.set_ylabel(quantity if quantity == LOSS else f"{quantity}, %", fontsize=9)
        axis.tick_params(labelsize=8)
        self._at.append(axis.axvline(0, color="0.4", linewidth=1))
        for side, look in ALIKE.items():
            (self._curves[quantity, side],) = axis.plot([], [], markersize=3, linewidth=1, **look)
            ring = {"markersize": 9, "markeredgecolor": "black", "markeredgewidth": 1.2}
            (self._dots[quantity, side],) = axis.plot([], [], linestyle="", **ring)

    def move(
        self, *, left: str, right: str, plane: str, quantity: str, camera: int, classifier: int,
        step: int,
    ) -> None:  # fmt: skip
        """Show two networks; the arguments are those of ``landscape_said.said``."""
        _, top = self._data.scales[plane, quantity]
        height = f"loss, cut at {top:.3g}" if quantity == LOSS else "accuracy, %"
        for side, network in {"left": left, "right": right}.items():
            picture = self.surfaces.picture((plane, network, quantity), camera)
            self._pictures[side].pixels = picture
            sign = SIGNS[MARKERS[network]]
            title = f"{side}: {sign} {NAMES[network]}, {height}"
            self._titles[side].set(text=title, color=COLOURS[network])
            for measure in RULERS:
                self._marks[measure, side].set_y(self._data.networks.index(network))
            self._place(side, network, classifier, step)
        self._whose.set_text(f"classifier {classifier} of each network")
        for line in self._at:
            line.set_xdata([self._data.steps[step]] * 2)

    def _place(self, side: str, network: str, classifier: int, step: int) -> None:
        places = [self._data.at(network, classifier, n) for n in range(len(self._data.steps))]
        for quantity, values in zip(WALKS, np.transpose(places), strict=True):
            curve, dot = self._curves[quantity, side], self._dots[quantity, side]
            curve.set_data(self._data.steps, values)
            dot.set_data([self._data.steps[step]], [values[step]])
            for artist in (curve, dot):
                artist.set(**LOOK[network])
