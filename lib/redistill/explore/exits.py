"""The exit explorer: move thresholds, and see accuracy, cost and the clips that change sides."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import pandas as pd
from matplotlib.figure import Figure

from redistill.exit_scores import FoldExits
from redistill.explore.canvas import Canvas
from redistill.explore.exits_picture import PAGE, millions, picture
from redistill.explore.exits_table import (
    EQUAL,
    PLAIN,
    WISE,
    ExitsTable,
    Level,
    Outcome,
    exits_table,
)
from redistill.explore.panel import Panel
from redistill.figures import NAMES

CAPTION = (
    "Test clips under thresholds on the confidence of early exits; the marks with black edges are "
    "where validation clips put the cost of the networks without early exits."
)
Twin = Callable[[], tuple[Figure, pd.DataFrame]]


def exit_explorer(
    folds: Sequence[FoldExits],
    *,
    arm: str | None = None,
    milliseconds: Mapping[str, Sequence[float]] | None = None,
    name: str = "exits",
    caption: str = CAPTION,
    twin: Twin | None = None,
    **comparison: Any,
) -> Panel:
    """Return the explorer of the exits of one arm, all folds together.

    It opens at the equal cost that validation clips chose.  Thresholds that are moved are moved on
    test clips: that is for looking, and gives no result.

    Args:
        folds: what the exits say, on "val" and "test".
        arm: whose internal classifiers; None: the only arm there is.
        milliseconds: modality to the times of a video to each of the 4 exits of its network, as
            ``exit_milliseconds`` measures them; they are said, and never compared.
        name: of the panel and of its static figure.
        caption: of the static figure.
        twin: draws another static figure and its table than the explorer as it opens.
        **comparison: of the static figure, as ``redistill.record.show`` takes it.

    Raises:
        RedistillError: as ``redistill.explore.exits_table.exits_table``.
    """
    table = exits_table(folds, arm=arm, milliseconds=milliseconds)
    explorer = _Explorer(table)
    panel = Panel(
        name=name,
        controls=explorer.controls,
        canvas=Canvas(explorer.drawn.figure, explorer.drawn.moving),
        react=explorer.react,
        twin=twin or (lambda: static(table)),
        caption=caption,
        **comparison,
    )
    for modality in table.order:  # so that the tracks begin below each other
        panel.controls[modality].style.description_width = "310px"
    return panel


def static(table: ExitsTable) -> tuple[Figure, pd.DataFrame]:
    """Draw the explorer as it opens; return it with both curves, one after the other."""
    drawn = picture(table)
    drawn.place(table.outcome(WISE, [EQUAL] * len(table.order)), WISE)
    return drawn.figure, pd.concat([table.curve(WISE), table.curve(PLAIN)], ignore_index=True)


class _Explorer:
    """Controls and picture; it remembers the levels, to tell which of them a hand has moved."""

    def __init__(self, table: ExitsTable) -> None:
        self.table, self.drawn = table, picture(table)
        self._levels: list[Level] = [EQUAL] * len(table.order)
        self._cascade = WISE
        self._sliders = [_slider(table, modality) for modality in table.order]
        linked = widgets.ToggleButtons(
            options=[("one threshold for all networks", True), ("one for each network", False)]
        )
        linked.style.button_width = "auto"
        wise = widgets.Checkbox(value=True, description="weigh the exits (WISE)", indent=False)
        linked.layout.width, wise.layout.width = "410px", "calc(100% - 430px)"  # a row of its own
        self.controls: dict[str, widgets.ValueWidget] = {"linked": linked, "wise": wise}
        self.controls |= dict(zip(table.order, self._sliders, strict=True))
        pages = -(-len(table.fold) // PAGE)
        if pages > 1:
            self.controls["page"] = widgets.IntSlider(
                value=1, min=1, max=pages, description="page of clips"
            )

    def react(self, *, linked: bool, wise: bool, page: int = 1, **levels: Level) -> str:
        cascade = WISE if wise else PLAIN
        wanted = [levels[modality] for modality in self.table.order]
        if linked:
            moved = [new for new, old in zip(wanted, self._levels, strict=True) if new != old]
            wanted = [*moved, wanted[0]][:1] * len(wanted)
        self._set(wanted, cascade)
        found = self.table.outcome(cascade, wanted)
        self.drawn.place(found, cascade, page=page)
        return sentence(self.table, found, cascade, wanted[:1] if linked else wanted)

    def _set(self, levels: list[Level], cascade: str) -> None:
        """Let the sliders show these levels, sorted for this cascade: its equal cost is its own."""
        for slider, level in zip(self._sliders, levels, strict=True):
            with slider.hold_sync():
                if cascade != self._cascade:
                    slider.options = _options(self.table, cascade)
                slider.value = level
        self._levels, self._cascade = levels, cascade


def _slider(table: ExitsTable, modality: str) -> widgets.SelectionSlider:
    slider = widgets.SelectionSlider(
        options=_options(table, WISE),
        value=EQUAL,
        description=f"leave the {NAMES[modality]} network at exits surer than",
    )
    slider.layout.width = "calc(100% - 8px)"  # a row of its own: a long track is easy to hit
    return slider


def _options(table: ExitsTable, cascade: str) -> list[tuple[str, Level]]:
    return [("equal cost" if x == EQUAL else f"{x:.7g}", x) for x in table.levels(cascade)]


def sentence(table: ExitsTable, found: Outcome, cascade: str, levels: Sequence[Level]) -> str:
    """Say an outcome in words and numbers; one level is one for all networks."""
    named = [_named(table, cascade, level) for level in levels]
    if len(named) > 1:
        named = [f"{NAMES[m]} {name}" for m, name in zip(table.order, named, strict=True)]
    asked = f"Threshold {named[0]} for all" if len(named) == 1 else f"Thresholds {', '.join(named)}"
    clips, hits = len(found.right), int(found.right.sum())
    most = table.costs.max(axis=1)[table.fold].mean()
    time = "" if found.milliseconds is None else f" and {found.milliseconds:.1f} ms on this machine"
    how = {WISE: "exits weighed by WISE", PLAIN: "each exit by itself, the last fused 2:1:1"}
    return (
        f"{asked}; {how[cascade]}: {hits} of {clips} test clips right "
        f"({100 * hits / clips:.1f} %) at {millions(found.macs)} million MACs{time} a video "
        f"({100 * found.macs / most:.0f} % of all exits; {100 * found.macs / table.plain:.0f} % of "
        f"the three networks without early exits, whose late fusion has {100 * table.fused:.1f} % "
        f"right). {_early(found)} Thresholds moved on test clips are for looking, not a result."
    )


def _early(found: Outcome) -> str:
    """Say who leaves early, and what that changes."""
    early, wrong = int(found.early.sum()), int((found.early & ~found.right).sum())
    if not early:
        return "No clip leaves early."
    return (
        f"{early} leave early, {wrong} of them with a wrong answer; the last exit would get "
        f"{int(found.spoiled.sum())} of these {wrong} right, and {int(found.saved.sum())} of the "
        f"other {early - wrong} wrong."
    )


def _named(table: ExitsTable, cascade: str, level: Level) -> str:
    """Return a level as a text; the equal cost with its threshold, where there is one fold."""
    if level != EQUAL:
        return f"{level:.7g}"
    found = table.equal[cascade]
    each = f"{found[0]:.6g}" if len(found) == 1 else "by fold"
    return f"equal cost ({each})"
