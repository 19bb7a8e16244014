"""A canvas in parts, of which only those are drawn anew that have changed."""

from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox, TransformedBbox

from redistill.explore.canvas import Canvas


class Part:
    """Artists that change together, inside a box of their own.

    Attributes:
        moving: all that changes, in the order of drawing.
        box: (left, bottom, right, top), shares of the figure; nothing moving leaves it.
        stale: whether what is on the canvas is not what was last shown.
    """

    def __init__(self, moving: Sequence[Artist], box: tuple[float, float, float, float]) -> None:
        self.moving, self.box, self.stale = list(moving), box, True
        self._shown: tuple[Any, ...] | None = None

    def show(self, *what: Any) -> None:
        """Draw, unless it is what was drawn last."""
        if what != self._shown:
            self._shown, self.stale = what, True
            self.draw(*what)

    def draw(self, *what: Any) -> None:
        """Change the artists; each part says how."""
        raise NotImplementedError


class PartCanvas(Canvas):
    """A canvas that draws its stale parts alone: text and small bars are what costs time."""

    def __init__(self, figure: Figure, parts: Sequence[Part], *, dpi: int = 100) -> None:
        """``parts``: their boxes do not overlap."""
        self._parts = tuple(parts)
        for artist in (artist for part in parts for artist in part.moving):
            artist.set_animated(True)
        super().__init__(figure, dpi=dpi)

    def _draw(self) -> None:
        """Draw the stale parts over what is under them."""
        if self._still is None:
            self._draw_still()
        for part, under in zip(self._parts, self._still, strict=True):
            if part.stale:
                self._agg.restore_region(under)
                for artist in part.moving:
                    artist.axes.draw_artist(artist)
                part.stale = False

    def _draw_still(self) -> None:
        """Draw what does not move, and keep what is under each part."""
        self._agg.draw()
        boxes = (Bbox.from_extents(part.box) for part in self._parts)
        whole = (TransformedBbox(box, self.figure.transFigure) for box in boxes)
        self._still = [self._agg.copy_from_bbox(box) for box in whole]
        for part in self._parts:
            part.stale = True


def around(
    axis: Axes, *, left: float = 0, below: float = 0, right: float = 0
) -> tuple[float, float, float, float]:
    """Return the box of axes and so many inches more, as shares of the figure."""
    (width, height), (x0, y0, x1, y1) = axis.figure.get_size_inches(), axis.get_position().extents
    return x0 - left / width, y0 - below / height, x1 + right / width, y1
