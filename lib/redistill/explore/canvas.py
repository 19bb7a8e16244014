"""A figure that stays, drawn into an image widget: what moves is drawn anew, the rest is kept."""

import io
from collections.abc import Iterable

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image


class Canvas:
    """Draws a figure as PNG into ``widget``.

    What does not move is drawn once and copied back under the moving artists at every ``draw``, so
    that a move costs some ten milliseconds where a whole figure costs a hundred.

    Attributes:
        figure: the persistent figure; it is taken from pyplot, which would show it once more.
        widget: the image that shows it.
    """

    def __init__(self, figure: Figure, moving: Iterable[Artist] = (), *, dpi: int = 100) -> None:
        """Lay the figure out and draw it once.

        Args:
            figure: to be shown.
            moving: the artists that are changed between draws, in the order of drawing; they are
                drawn above everything else, and one that is added later is not seen.
            dpi: dots per inch.
        """
        plt.close(figure)
        figure.set_dpi(dpi)
        self.figure, self._moving = figure, tuple(moving)
        self._agg = FigureCanvasAgg(figure)
        for artist in self._moving:
            artist.set_animated(True)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once: nothing may jump under a slider
        self.widget = widgets.Image(format="png")
        self.widget.layout.max_width = "100%"
        self.widget.layout.object_fit = "contain"
        self.refresh()

    def refresh(self) -> None:
        """Draw everything: for changes of what does not move (limits, ticks, titles)."""
        self._agg.draw()  # leaves animated artists out
        self._still = self._agg.copy_from_bbox(self.figure.bbox)
        self.draw()

    def draw(self) -> None:
        """Draw the moving artists over what is kept, and show the picture."""
        self._agg.restore_region(self._still)
        for artist in self._moving:
            artist.axes.draw_artist(artist) if artist.axes else self.figure.draw_artist(artist)
        pixels = np.asarray(self._agg.buffer_rgba())[..., :3]
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "png", compress_level=1)
        self.widget.value = buffer.getvalue()
