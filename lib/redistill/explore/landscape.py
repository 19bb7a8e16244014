"""The landscape pair: two networks in one camera and scale, and a walk from CE to PKD."""

from collections.abc import Mapping

import ipywidgets as widgets
import pandas as pd

from redistill import landscape_figures
from redistill.explore.landscape_board import Board
from redistill.explore.landscape_said import said
from redistill.explore.landscape_table import LOSS, Landscapes, landscapes
from redistill.explore.panel import Panel
from redistill.figures import NAMES
from redistill.landscape import Surface

TURN = 30  # degrees between two views
FIRST, LAST = -175, 155  # the camera of the other figures, -55, is among them
CAPTION = (
    "Loss around the three solutions. Two directions of some hundred thousand: no barrier, "
    "no other minimum and no single steep direction can be seen in them."
)


def landscape_pair(
    *,
    planes: Mapping[str, pd.DataFrame],
    lines: Mapping[tuple[str, int], Surface],
    ends: pd.DataFrame,
    clips: int,
) -> Panel:
    """Return the instrument; elsewhere its twin is the figure of the surfaces of the first plane.

    Args:
        planes: by name, tables of ``landscape_figures.surface_table``.
        lines: of ``flatness_views.lines``, by modality and number of the classifier.
        ends: of ``flatness_tables.ends``.
        clips: how many training clips the loss is over.

    Raises:
        ConfigError: as ``redistill.explore.landscape_table.landscapes``.
    """
    data = landscapes(planes=planes, lines=lines, ends=ends, clips=clips)
    board = Board(data)
    first = planes[data.planes[0]]
    _, top = data.scales[data.planes[0], LOSS]

    def react(*, place: float, **chosen: str | int) -> str:
        step = int(abs(data.steps - place).argmin())
        board.move(step=step, **chosen)
        return said(data, step=step, **chosen)

    return Panel(
        name="surfaces",
        controls=_controls(data),
        canvas=board.canvas,
        react=react,
        twin=lambda: (landscape_figures.surfaces(first, top=top), landscape_figures.square(first)),
        caption=CAPTION,
        free=True,
    )


def _controls(data: Landscapes) -> dict[str, widgets.ValueWidget]:
    networks = [(NAMES[network], network) for network in data.networks]
    places = [(f"{place:.4g}", float(place)) for place in data.steps]
    start = int(abs(data.steps).argmin())  # the first end of the line
    controls = {
        "left": _dropdown(networks, data.networks[0], "left"),
        "right": _dropdown(networks, data.networks[-1], "right"),
        "plane": _dropdown(data.planes, data.planes[0], "plane"),
        "quantity": _dropdown(data.quantities, LOSS, "height"),
        "camera": widgets.IntSlider(
            min=FIRST, max=LAST, step=TURN, value=landscape_figures.CAMERA["azim"],
            description="camera, degrees",
        ),
        "classifier": _dropdown(data.exits, data.exits[-1], "classifier"),
        "place": widgets.SelectionSlider(
            options=places, value=places[start][1], description="from CE (0) to PKD (1)"
        ),
    }  # fmt: skip
    for control in controls.values():
        control.layout.width = "auto" if isinstance(control, widgets.Dropdown) else "27em"
        control.layout.margin = "2px 14px 2px 2px"
    return controls


def _dropdown(options: object, value: object, description: str) -> widgets.Dropdown:
    return widgets.Dropdown(options=options, value=value, description=description)
