"""The pictures of the clip inspector: a frame of a GOP, taken apart."""

from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from redistill.explore.gop_player import ARROWS, Look, places
from redistill.explore.parts import Part
from redistill.figures import COLOURS

TITLES = {  # of the pictures, in reading order
    "intra": "I-frame",
    "frame": "this frame",
    "step": "motion, this frame",
    "motion": "motion since I-frame",
    "moved": "I-frame moved",
    "residual": "residual (grey = 0)",
    "rebuilt": "moved + residual",
    "error": "error",
}
LETTERS = 8  # points


class Pictures(Part):
    """A frame taken apart: one picture for each name of ``TITLES`` that has axes."""

    def __init__(self, axes: Mapping[str, Axes]) -> None:
        """``axes``: name to where it is drawn; those that are no picture's are left alone."""
        self._axes = {name: axes[name] for name in TITLES if name in axes}
        self._images, self._arrows = {}, {}
        blank = np.full((1, 1), 255, np.uint8)
        for name, axis in self._axes.items():
            axis.axis("off")
            self._images[name] = axis.imshow(
                blank, cmap="gray", vmin=0, vmax=255, aspect="auto", interpolation="nearest"
            )
            if name in ("step", "motion"):
                self._arrows[name] = _quiver(axis)
            if name != "error":
                axis.set_title(TITLES[name], fontsize=LETTERS, pad=2)
        boxes = np.array([axis.get_position().extents for axis in self._axes.values()])
        moving = [*self._images.values(), *self._arrows.values()]
        if "error" in self._axes:
            axis = self._axes["error"]
            at = {"ha": "center", "va": "bottom", "transform": axis.transAxes}
            self._largest = axis.text(0.5, 1.02, "", fontsize=LETTERS, **at)
            moving.append(self._largest)
        title = 0.18 / axis.figure.get_figheight()
        low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
        super().__init__(moving, (low[0], low[1], high[0], high[1] + title))

    def draw(self, look: Look | None) -> None:
        """Show a frame, or nothing."""
        for artist in self.moving:
            artist.set_visible(look is not None)
        if look is None:
            return
        for name, image in self._images.items():
            image.set_data(look.pictures["pale" if name in self._arrows else name])
            width, height = look.size
            image.set_extent((-0.5, width - 0.5, height - 0.5, -0.5))
            _fit(self._axes[name], width, height)
        for name, arrows in self._arrows.items():
            _point(arrows, look.size, getattr(look, name))
        if "error" in self._axes:
            self._largest.set_text(f"{TITLES['error']}, largest {look.error}")


def _quiver(axis: Axes) -> Artist:
    zeros = np.zeros(ARROWS * ARROWS)
    way = {"angles": "xy", "scale_units": "xy", "scale": 1, "pivot": "tip", "width": 0.014}
    return axis.quiver(zeros, zeros, zeros, zeros, color=COLOURS["mv"], **way)


def _point(arrows: Artist, size: tuple[int, int], vectors: np.ndarray) -> None:
    """Let arrows end on the grid of a picture; where nothing moved there is none."""
    spots = places(size)
    arrows.XY = spots  # what angles are computed from
    arrows.set_offsets(spots)
    still = ~vectors.any(1)
    arrows.set_UVC(*(np.ma.masked_array(part, still) for part in vectors.T.astype(float)))


def _fit(axis: Axes, width: int, height: int) -> None:
    """Hang a picture into its axes without stretching it (what is animated has no aspect)."""
    box = axis.get_position()
    inches = axis.figure.get_size_inches()
    wide = box.width * inches[0] / (box.height * inches[1])
    spans = max(width, height * wide), max(height, width / wide)
    middle = (width - 1) / 2
    axis.set_xlim(middle - spans[0] / 2, middle + spans[0] / 2)
    axis.set_ylim(spans[1] - 0.5, -0.5)
