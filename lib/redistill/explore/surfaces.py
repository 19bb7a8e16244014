"""Pictures of surfaces, each drawn when it is first asked for and kept."""

from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from redistill.explore.landscape_table import Heights
from redistill.landscape_figures import CAMERA, MAP

Key = tuple[str, str, str]  # plane, network, quantity


class Picture(Artist):
    """Pixels laid into a figure as they are; matplotlib's own image would resample them."""

    def __init__(self, x: int, y: int) -> None:
        """``x`` and ``y``: pixels from the left and the lower edge of the figure."""
        super().__init__()
        self._place, self.pixels = (x, y), np.zeros((1, 1, 4), np.uint8)

    def draw(self, renderer: RendererBase) -> None:
        """Draw ``pixels``, uint8 (height, width, 4), the upper row first."""
        renderer.draw_image(
            renderer.new_gc(), *self._place, np.ascontiguousarray(self.pixels[::-1])
        )


class Surfaces:
    """Draws surfaces in one camera and the scale of their plane.

    The frame around them, its numbers above all, takes some 20 ms and a surface 5: too much at
    every move, and little enough once, when a view is first seen.  So a frame is drawn once for
    all networks, and pictures are kept; those of all views of notebook 4 take 40 MB together.
    """

    def __init__(
        self,
        *,
        heights: Mapping[Key, Heights],
        scales: Mapping[tuple[str, str], tuple[float, float]],
        pixels: tuple[int, int],
        dpi: int,
    ) -> None:
        """``heights`` and ``scales`` are those of ``Landscapes``; ``pixels``: width, height."""
        self._heights, self._scales = heights, scales
        self._size, self._dpi = [side / dpi for side in pixels], dpi
        self._frames: dict[tuple[str, str], _Frame] = {}
        self._kept: dict[tuple[Key, int], np.ndarray] = {}

    def picture(self, key: Key, azimuth: int) -> np.ndarray:
        """Return uint8 (height, width, 4): a surface seen from ``azimuth``, in degrees."""
        if (key, azimuth) not in self._kept:
            plane, network, quantity = key
            frame = self._frames.get((plane, quantity)) or self._frame(plane, quantity)
            self._kept[key, azimuth] = frame.picture(network, azimuth)
        return self._kept[key, azimuth]

    def _frame(self, plane: str, quantity: str) -> "_Frame":
        figure = Figure(figsize=self._size, dpi=self._dpi, layout="none")
        surfaces = {k[1]: one for k, one in self._heights.items() if k[::2] == (plane, quantity)}
        frame = _Frame(figure, surfaces, self._scales[plane, quantity])
        self._frames[plane, quantity] = frame
        return frame


class _Frame:
    """The axes of a plane, and the surfaces of all networks in them, of which one is seen."""

    def __init__(
        self, figure: Figure, surfaces: Mapping[str, Heights], scale: tuple[float, float]
    ) -> None:
        self._canvas = FigureCanvasAgg(figure)
        self._axis = figure.add_axes((0.01, 0.05, 0.96, 0.95), projection="3d")
        self._surfaces = {k: _surface(self._axis, one, scale) for k, one in surfaces.items()}
        for surface in self._surfaces.values():
            surface.set_visible(False)
        self._axis.set(zlim=scale)
        self._axis.set_box_aspect((1, 1, 0.8), zoom=0.97)
        self._axis.tick_params(labelsize=8, pad=-2)
        self._axis.locator_params(nbins=4)
        self._axis.set_xlabel("$d_1$", fontsize=9, labelpad=-3)
        self._axis.set_ylabel("$d_2$", fontsize=9, labelpad=-3)
        self._azimuth, self._empty = None, None

    def picture(self, network: str, azimuth: int) -> np.ndarray:
        """Return uint8 (height, width, 4): the surface of a network."""
        if azimuth != self._azimuth:
            self._axis.view_init(elev=CAMERA["elev"], azim=azimuth)
            self._canvas.draw()
            self._empty = self._canvas.copy_from_bbox(self._axis.figure.bbox)
            self._azimuth = azimuth
        self._canvas.restore_region(self._empty)
        surface = self._surfaces[network]
        surface.set_visible(True)
        surface.do_3d_projection()
        surface.draw(self._canvas.get_renderer())
        surface.set_visible(False)
        return np.array(self._canvas.buffer_rgba())


def _surface(axis: Axes3D, heights: Heights, scale: tuple[float, float]) -> Poly3DCollection:
    """Draw one surface; what is above the scale, or no number, lies at its upper end."""
    low, top = scale
    a, b = np.meshgrid(heights.a, heights.b)
    shown = np.nan_to_num(heights.values, nan=top).clip(low, top)
    look = {"cmap": MAP, "vmin": low, "vmax": top, "linewidth": 0.15, "edgecolor": "0.3"}
    return axis.plot_surface(a, b, shown, rcount=len(a), ccount=len(a.T), **look)
