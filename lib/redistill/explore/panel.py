"""One instrument: controls, a picture, a sentence that says in words what the picture shows."""

import gc
import html
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ipywidgets as widgets
import pandas as pd
from IPython.display import display
from matplotlib.figure import Figure

from redistill.errors import RedistillError
from redistill.explore.canvas import Canvas
from redistill.explore.manners import Manners
from redistill.files import slug
from redistill.live import is_watched
from redistill.record import figure_bundle, show


class Panel:
    """Controls above a picture above a sentence; every change of a control moves both.

    ``react(**values)`` gets the value of every control by name, changes the moving artists of
    ``canvas`` and returns the sentence.  It looks things up in tables and computes nothing that
    takes longer than some milliseconds.  The controls are plain ipywidgets, which the keyboard
    reaches (Tab, arrow keys, space).

    Attributes:
        name: of the instrument and of its static twin among the figures of a run.
        controls: name to widget, as they stand on the page.
        canvas: what is drawn.
        said: the sentence, as plain text.
    """

    def __init__(
        self,
        *,
        name: str,
        controls: Mapping[str, widgets.ValueWidget],
        canvas: Canvas,
        react: Callable[..., str],
        twin: Callable[[], tuple[Figure, pd.DataFrame]],
        caption: str,
        extra: Iterable[widgets.Widget] = (),
        **comparison: Any,
    ) -> None:
        """``twin`` draws the static figure and its table; ``comparison`` is as ``show`` takes it.

        ``extra``: widgets that stand behind the controls and are no input of ``react`` (a Play
        button that is linked to a slider, say).
        """
        self.name, self.controls, self.canvas = slug(name), dict(controls), canvas
        self._react, self._twin = react, twin
        self._caption, self._comparison = caption, comparison
        self._busy, self.said = False, ""
        self._sentence = widgets.HTML()
        for key, control in self.controls.items():
            control.add_class(f"redistill-control-{key}")
            control.style.description_width = "initial"
            control.observe(self._changed, names="value")
        row = widgets.HBox([*self.controls.values(), *extra])
        row.layout.flex_flow = "row wrap"
        self.widget = widgets.VBox([row, canvas.widget, self._sentence, Manners(about=caption)])
        self.widget.add_class("redistill-panel")
        self.widget.add_class(f"redistill-panel-{self.name}")
        self.update()

    @property
    def values(self) -> dict[str, Any]:
        """The value of every control by name."""
        return {name: control.value for name, control in self.controls.items()}

    def set(self, **values: Any) -> None:
        """Move controls together, as a hand would; the picture follows once.

        Raises:
            RedistillError: a control that this panel does not have.
        """
        for name in values:
            if name not in self.controls:
                known = ", ".join(self.controls)
                raise RedistillError(f"panel {self.name} has no control {name!r}; it has {known}")
        with self.still():
            for name, value in values.items():
                self.controls[name].value = value
        self.update()

    def update(self) -> None:
        """Let picture and sentence follow the controls."""
        with self.still():
            self.said = self._react(**self.values)
        self.canvas.draw()
        said = html.escape(self.said)
        self._sentence.value = f'<div role="status" aria-live="polite">{said}</div>'

    @contextmanager
    def still(self) -> Iterator[None]:
        """Change controls inside without a reaction (``react`` itself runs so)."""
        before, self._busy = self._busy, True
        try:
            yield
        finally:
            self._busy = before

    def show(self) -> None:
        """Show the panel in an open notebook, and its twin's figure and table everywhere else.

        A notebook that was saved with the panel in it holds the twin beside it, for whoever reads
        it without a kernel.
        """
        figure, table = self._twin()
        if not is_watched():
            show(figure, table, name=self.name, caption=self._caption, **self._comparison)
            return
        _set_aside()
        about = {"name": self.name, "caption": self._caption, **self._comparison}
        view = self.widget._repr_mimebundle_()
        display(figure_bundle(figure, table, **about) | view, raw=True)

    def _changed(self, change: Any) -> None:
        if not self._busy:
            self.update()


def _set_aside() -> None:
    """Keep what lives now out of the collector's rounds until the next panel is shown.

    A full round over the objects of torch takes a third of a second, and would come while
    somebody drags a slider.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
