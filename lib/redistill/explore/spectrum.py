"""The spectrum lens: a clip's features over time, teacher beside student, and the loss by bin."""

from collections.abc import Mapping

import ipywidgets as widgets
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from redistill.errors import RedistillError
from redistill.explore.canvas import Canvas
from redistill.explore.panel import Panel
from redistill.explore.spectrum_look import Shown, in_band, readings
from redistill.explore.spectrum_picture import Limits, Picture
from redistill.explore.spectrum_table import Heard
from redistill.losses.spectrum.feature import FeatureSpectrum

SIZE, SMALL = (8, 3.6), (6.4, 2.5)  # inches: in an open notebook, and of the twin
WIDTHS = {"student": "220px", "stage": "110px", "component": "200px", "channel": "440px"}
FIRST = "fsd"  # the arm of the spectrum loss, where there is one
CAPTION = "One channel of a validation clip over time, its amplitudes, and the clip's loss by bin."


def spectrum_lens(heard: Heard, loss: FeatureSpectrum) -> Panel:
    """Return the lens: clip, student, stage, channel, loss, and a box for every bin.

    Args:
        heard: of ``hear_clips``.
        loss: what the run compares spectra by; its alternatives are to choose from too, and
            without the bins outside its band the lens begins.

    Raises:
        RedistillError: no student to look at.
    """
    if not heard.pairs:
        raise RedistillError(
            "spectrum lens: no student imitates features channel by channel; name one in arms or "
            "also (fsd, mse, ...), or do not show the lens"
        )
    lens = _Lens(heard, loss)
    canvas = Canvas(lens.picture.figure, lens.picture.moving)
    return Panel(
        name="lens", controls=lens.controls, canvas=canvas, react=lens.react, twin=lens.twin,
        caption=CAPTION, free=True,
    )  # fmt: skip


class _Lens:
    """What the panel's reactions share.

    Attributes:
        controls: by name; those of bins are ``bin0``, ``bin1``, ...
        picture: what is drawn.
    """

    def __init__(self, heard: Heard, loss: FeatureSpectrum) -> None:
        self._heard, self._losses = heard, readings(loss)
        self._frames = next(iter(heard.pairs.values())).ours.shape[1]
        self._begin = in_band(loss, self._frames)
        self._limits = self._largest()
        self.controls = self._widgets()
        self.picture = self._picture(SIZE)
        self._first = {name: control.value for name, control in self.controls.items()}

    def react(
        self, clip: int, student: str, stage: int, channel: int, component: str, **bins: bool
    ) -> str:
        """Move the picture and return the sentence."""
        stage, rank = self._settle(student, stage, channel)
        shown = self._shown(clip, student, stage, rank, component, bins)
        self.picture.show(shown.view())
        return shown.sentence()

    def _shown(
        self,
        clip: int,
        student: str,
        stage: int,
        channel: int,
        component: str,
        bins: Mapping[str, bool],
    ) -> Shown:
        pair, loss = self._heard.pairs[student, stage], self._losses[component]
        column = int(pair.order[channel - 1])
        name, label = self._heard.clips[clip], self._heard.classes[clip]
        where = (
            f"Validation clip {name} (class {label!r}), stage {stage}, channel {column + 1} of "
            f"{len(pair.order)} (number {channel} by how much the teacher's varies): student "
            f"{student}. {component[0].upper()}{component[1:].replace('_', ' ')} loss of this clip"
        )
        used = np.array(list(bins.values()), dtype=bool)
        return Shown(loss, pair.ours[clip], pair.theirs[clip], column, used, where)

    def _settle(self, student: str, stage: int, channel: int) -> tuple[int, int]:
        """Let stages and channels be those of this student; return the ones to show."""
        stages, control = self._heard.stages(student), self.controls["stage"]
        if tuple(control.options) != stages:
            control.options = stages
            control.value = stage if stage in stages else stages[0]
        control.disabled = len(stages) == 1
        slider = self.controls["channel"]
        slider.max = len(self._heard.pairs[student, control.value].order)
        return control.value, min(channel, slider.max)

    def _widgets(self) -> dict[str, widgets.ValueWidget]:
        heard, arms = self._heard, self._heard.arms
        arm = FIRST if FIRST in arms else arms[0]
        stages = heard.stages(arm)
        clips = [
            (f"{c}: {n}", i)
            for i, (n, c) in enumerate(zip(heard.clips, heard.classes, strict=True))
        ]
        found = {
            "clip": widgets.Dropdown(options=clips, description="clip"),
            "student": widgets.Dropdown(options=arms, value=arm, description="student"),
            "stage": widgets.Dropdown(options=stages, description="stage"),
            "component": widgets.Dropdown(options=tuple(self._losses), description="loss"),
            "channel": widgets.IntSlider(1, 1, 9999, description="channel, the liveliest first"),
        }
        for name, wide in WIDTHS.items():
            found[name].layout.width = wide
        for number, used in enumerate(self._begin):
            name = f"bin {number} (constant)" if number == 0 else f"bin {number}"
            box = widgets.Checkbox(used, description=name, indent=False)
            box.layout.width, box.layout.margin = "max-content", "2px 8px 2px 2px"
            found[f"bin{number}"] = box
        return found

    def _picture(self, size: tuple[float, float]) -> Picture:
        cosine = next(iter(self._losses.values())).transform == "dct"
        unit = "half cycles per clip" if cosine else "cycles per clip"
        return Picture(self._frames, len(self._begin), self._limits, size=size, unit=unit)

    def _largest(self) -> Limits:
        """Return how far the axes must go, whatever is chosen."""
        most = np.zeros(3)
        every = np.ones(len(self._begin), dtype=bool)
        for pair in self._heard.pairs.values():
            for loss in self._losses.values():
                for ours, theirs in zip(pair.ours, pair.theirs, strict=True):
                    look = loss.look(ours, theirs)
                    both = np.stack([look.ours, look.theirs], 1)
                    waves = loss.rebuilt(both, self._frames, every)
                    swing = waves - waves.mean(0)
                    tops = max(abs(waves).max(), abs(swing).max()), abs(both).max()
                    most = np.maximum(most, [*tops, look.parts.sum(1).max()])
        return Limits(*np.where(most > 0, most, 1.0))

    def twin(self) -> tuple[Figure, pd.DataFrame]:
        """Return the picture as the lens begins, and its table.

        Columns kind (signal, amplitude, part), x (frame, or bin), student, teacher; of a part in
        the loss, which is of both, the teacher's is missing.
        """
        names = ("clip", "student", "stage", "channel", "component")
        bins = {name: used for name, used in self._first.items() if name not in names}
        view = self._shown(*(self._first[name] for name in names), bins).view()
        picture = self._picture(SMALL)
        picture.show(view)
        nothing = np.full(len(view.parts), np.nan)
        kinds = {"signal": view.rebuilt, "amplitude": view.amplitudes,
                 "part": (view.parts, nothing)}  # fmt: skip
        lines = [
            (kind, x, *row)
            for kind, rows in kinds.items()
            for x, row in enumerate(zip(*rows, strict=True))
        ]
        return picture.figure, pd.DataFrame(lines, columns=["kind", "x", "student", "teacher"])
