"""The journal: batches and runs as they are on disk, followed while they train.

It reads and never writes, so it can be closed, reopened or shown twice, and a run does not notice.
``launch`` starts a batch that outlives notebook, kernel and browser.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import ipywidgets as widgets
import pandas as pd
from matplotlib.figure import Figure

from redistill.errors import RedistillError
from redistill.explore.detached import Launched, launch
from redistill.explore.journal_course import Course, course
from redistill.explore.journal_picture import JournalPicture, clip, runs_text, times
from redistill.explore.journal_table import Line, Look, Reader
from redistill.explore.panel import Panel
from redistill.explore.parts import PartCanvas
from redistill.live import is_watched
from redistill.reference import REFERENCE, records_in
from redistill.running.status import read_status

__all__ = ["JournalPanel", "Launched", "journal", "launch"]

AT_WORK = "the run at work"  # the choice that goes along from run to run
_TASK = "redistill-journal"
_CAUSE = 300  # letters of a cause


class JournalPanel(Panel):
    """The panel that ``journal`` returns; it follows the disk until it is closed or replaced."""

    def __init__(self, view: "_View", **about: Any) -> None:
        """``view``: what it shows."""
        self._view = view
        super().__init__(name="journal", react=view.react, canvas=view.canvas, **about)

    def show(self) -> None:
        """Show the panel and, where somebody watches, follow the disk from now on."""
        super().show()
        if is_watched():
            self.follow()

    def follow(self, *, every: float = 1.0) -> "asyncio.Task[None]":
        """Look at the disk every so many seconds, in place of any journal that did so before.

        Raises:
            RuntimeError: no event loop runs here.
        """
        loop = asyncio.get_running_loop()
        for task in asyncio.all_tasks(loop):
            if task.get_name() == _TASK:
                task.cancel()
        return loop.create_task(self._follow(every), name=_TASK)

    def look(self) -> None:
        """Look at the disk now."""
        self._view.look()
        self.update()

    async def _follow(self, every: float) -> None:
        while self.widget.comm is not None:  # that is, until it is closed
            if self.controls["follow"].value and await asyncio.to_thread(self._view.look):
                self.update()
            await asyncio.sleep(every)


class _View:
    """What the panel shows: the last look, and the course of the run chosen."""

    def __init__(self, reports: Path, controls: dict[str, widgets.ValueWidget]) -> None:
        self._named, self._reader, self._controls = str(reports), Reader(reports), controls
        self._picture = JournalPicture()
        self.canvas = PartCanvas(self._picture.figure, self._picture.parts)
        self._seen, self._course = Look(), Course()
        self.look()

    def look(self) -> bool:
        """Look at the disk; whether anything has changed."""
        before = self._seen, self._course
        try:
            self._seen = self._reader.look()
        except (RedistillError, OSError) as error:
            self._seen = Look(problems=(str(error),))
        self._course = course(self._chosen(self._controls["run"].value))
        return before != (self._seen, self._course)

    def react(self, *, run: str, curve: str | None, follow: bool) -> str:
        """Draw what was seen last, and say it."""
        names = [AT_WORK, *(line.name for line in self._seen.lines if line.folder)]
        run = self._offer("run", names, run)
        chosen = self._chosen(run)
        self._course = course(chosen)
        curves = self._course.curves
        curve = self._offer("curve", list(curves), curve)
        found = curves.get(curve)
        self._picture.draw(self._seen.lines, chosen, curve, found, paused=not follow)
        return self._said(chosen, curve, follow=follow)

    def _offer(self, name: str, options: list[str], wanted: str | None) -> str | None:
        """Let a control offer these; what is chosen stays, where it can, else it is the first."""
        control = self._controls[name]
        if list(control.options) != options:
            control.options = options
            control.value = wanted if wanted in options else next(iter(options), None)
        return control.value

    def _chosen(self, name: str | None) -> Line | None:
        """Return the run chosen; of those at work the first, or if there is none the newest."""
        there = [line for line in self._seen.lines if line.folder]
        working = [line for line in there if line.state == "running"]
        named = [line for line in there if line.name == name]
        newest = sorted(there, key=lambda line: line.begun)[-1:]
        return next(iter(named or working or newest), None)

    def _said(self, chosen: Line | None, curve: str | None, *, follow: bool) -> str:
        lines, done = self._seen.lines, self._course
        states = Counter(line.state for line in lines)
        counts = ", ".join(f"{count} {name}" for name, count in sorted(states.items()))
        parts = [f"{self._named}: {runs_text(len(lines))}" + f" ({counts})" * bool(lines)]
        parts += self._seen.batches
        if chosen:
            results = f"{done.rows} results, {done.figures} figures"
            parts.append("; ".join([clip(chosen.text(), _CAUSE), *done.phases, results]))
        if curve:
            parts.append(_ends(curve, done.curves[curve].points, done.curves[curve].axis))
        parts += [clip(problem, _CAUSE) for problem in self._seen.problems]
        return ". ".join(parts) + ("." if follow else ". Paused: the disk may say more by now.")


def journal(reports: Path | str, *, reference: Path = REFERENCE) -> JournalPanel:
    """Return the journal of a reports folder, which need not be there yet.

    Args:
        reports: the folder that batches and runs write into.
        reference: a folder of finished runs, whose times the static twin shows.
    """
    wide = widgets.Layout(width="26em")
    controls = {
        "run": widgets.Dropdown(options=[AT_WORK], value=AT_WORK, description="run", layout=wide),
        "curve": widgets.Dropdown(description="curve", layout=wide),
        "follow": widgets.Checkbox(True, description="follow"),
    }
    refresh = widgets.Button(description="look now")
    refresh.add_class("redistill-look")
    panel = JournalPanel(
        _View(Path(reports), controls),
        controls=controls,
        extra=[refresh],
        twin=lambda: _twin(reference),
        caption="Minutes that the reference runs took, by notebook and data.",
        rtol=1e-6,
    )
    refresh.on_click(lambda _: panel.look())
    return panel


def reference_times(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the times of the recorded runs in a folder: by kind in minutes, and each in seconds.

    Columns runs_of, state, runs, shortest, median, longest; and runs_of, seconds.
    """
    kinds: dict[tuple[str, str], list[float]] = {}
    for record in records_in(folder):
        given = record["parameters"]
        data = given.get("world" if given.get("dataset") == "synthetic" else "dataset", "")
        state = "completed"  # a record says so; a status may say less
        with suppress(RedistillError):
            state = read_status(folder / record["run"]).state
        name = f"{record['notebook'].removesuffix('.ipynb')} {data}".strip()
        kinds.setdefault((name, state), []).append(record["seconds"])
    lines = [
        (*kind, len(found), *(round(f(found) / 60, 3) for f in (min, median, max)))
        for kind, found in sorted(kinds.items())
    ]
    each = [(name, seconds) for (name, _), found in sorted(kinds.items()) for seconds in found]
    columns = ["runs_of", "state", "runs", "shortest", "median", "longest"]
    return pd.DataFrame(lines, columns=columns), pd.DataFrame(each, columns=["runs_of", "seconds"])


def _twin(folder: Path) -> tuple[Figure, pd.DataFrame]:
    table, each = reference_times(folder)
    return times(table, each), table


def _ends(label: str, points: Mapping[int, float], axis: str) -> str:
    first, last = min(points), max(points)
    begin, end = points[first], points[last]
    return f"Shown: {label}, {begin:.4g} at {axis} {first}, {end:.4g} at {axis} {last}"
