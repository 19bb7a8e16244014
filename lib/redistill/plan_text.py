"""A plan in numbers, and how it reads."""

from collections.abc import Mapping
from dataclasses import dataclass

from redistill.methods.progressive import ProgressiveConfig
from redistill.modality import CHANNELS
from redistill.rules import RUNS_WANTED


@dataclass(frozen=True)
class Work:
    """One phase of training.

    Attributes:
        name: as it is printed.
        steps: optimiser steps.
        seconds: of a step at the profile's batch, without decoding.
        batch: clips a step was measured with; the time was scaled by clips.
        needs: modalities decoded for it.
    """

    name: str
    steps: int
    seconds: float
    batch: int
    needs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Clips:
    """What was measured on some clips, a clip each.

    Attributes:
        count: files of the whole set.
        train: training clips of a fold.
        sample: clips measured.
        nbytes: size after ``prepare``.
        prepare: seconds of one process.
        decode: modality to seconds in which one process loads one view.
    """

    count: int
    train: int
    sample: int
    nbytes: float
    prepare: float
    decode: Mapping[str, float]


@dataclass(frozen=True)
class Runs:
    """Independent runs that an effect takes, in points; ``needed`` is None above 10,000.

    A printed effect is the largest of several differences (spec claims), so an optimistic one.
    """

    claim: str
    effect: float
    sd: float
    origin: str
    needed: int | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run would take.

    Attributes:
        config: of the run.
        device: where it was measured.
        works: the phases of one fold.
        folds: trained one after another.
        clips: None where there was no folder to measure.
        gibibytes: of the largest phase at the profile's batch: what the backward pass needs,
            weights, gradients and the optimiser's state.
        free: GiB of main memory.
        runs: for each claim with a printed gap.
    """

    config: ProgressiveConfig
    device: str
    works: tuple[Work, ...]
    folds: int
    clips: Clips | None
    gibibytes: float
    free: float
    runs: tuple[Runs, ...]

    def seconds(self, work: Work) -> float:
        """Return the seconds of a step: training or decoding, whichever is slower, if streamed."""
        if self.clips is None or not self.config.stream:
            return work.seconds
        once = self.config.batch * sum(self.clips.decode[m] for m in work.needs)
        workers = self.config.workers
        return max(work.seconds, once / workers) if workers else work.seconds + once

    def hours(self, work: Work) -> float:
        """Return the hours of a phase."""
        return work.steps * self.seconds(work) / 3600

    @property
    def total(self) -> float:
        """Hours of one run: all phases, all folds."""
        return self.folds * sum(map(self.hours, self.works))

    def text(self) -> str:
        """Return the plan as printed."""
        c = self.config
        head = [
            f"Plan, not run: profile {c.profile}, dataset {c.dataset}, "
            f"{c.segments} x {c.size} px, batch {c.batch}, arms {', '.join(c.arms)}",
            f"Measured on {self.device}: {self._how()}",
        ]
        return "\n".join([*head, "", *self._table(), "", *self._data(), "", *self._seeds()])

    def _how(self) -> str:
        batch = min(work.batch for work in self.works)
        scaled = f", times {self.config.batch / batch:g}" if batch < self.config.batch else ""
        return (
            f"one step to warm up, then the median of 2, with batch {batch}{scaled}. Validation "
            "after each epoch, features and figures are not counted."
        )

    def _table(self) -> list[str]:
        rows = [
            f"{work.name:26}{work.steps:>9,}{work.seconds:>10.3f}{self.seconds(work):>12.3f}"
            f"{self.hours(work):>10.1f}"
            for work in self.works
        ]
        hours = (
            "GPU hours"
            if self.device != "CPU"
            else ("hours of this CPU; for GPU hours ask for the plan where the GPU is")
        )
        return [
            f"{'phase (one fold)':26}{'steps':>9}{'s/step':>10}{'with clips':>12}{'hours':>10}",
            *rows,
            f"One run of {self.folds} {'fold' if self.folds == 1 else 'folds'}: "
            f"{self.total:,.1f} {hours}",
        ]

    def _data(self) -> list[str]:
        c, clips = self.config, self.clips
        lines = [f"Memory of the largest step: {self.gibibytes:.2f} GiB, without work space"]
        if clips is None:
            return [*lines, "Clips: not measured, since data_root is not given."]
        pixels = c.segments * sum(CHANNELS.values()) * c.size**2
        bank = clips.train * c.views * pixels / 2**30
        held = "streamed, not held" if c.stream else f"{bank:.1f} GiB ({self.free:.1f} free)"
        workers = max(c.workers, 1)
        hours = clips.count * clips.prepare / workers / 3600
        speeds = ", ".join(f"{m} {1 / s:.1f}" for m, s in clips.decode.items())
        return [
            *lines,
            f"Views of {clips.train:,} training clips: {held}",
            f"Disk: {clips.count:,} prepared clips of {clips.nbytes / 2**20:.2f} MiB (mean of "
            f"{clips.sample}): {clips.count * clips.nbytes / 2**30:.1f} GiB",
            f"redistill prepare: {hours:.1f} hours with {workers} workers",
            f"Decoding, clips a second and worker: {speeds}",
        ]

    def _seeds(self) -> list[str]:
        rows = [
            f"{one.claim:14}{one.effect:>8.2f}{one.sd:>7.2f}  {one.origin:24}"
            + ("   more than 10,000" if one.needed is None else self._price(one.needed))
            for one in self.runs
        ]
        title = (
            "Seeds for 80 % power at 5 % (paired t; a verdict takes at least "
            f"{RUNS_WANTED}), effect and sd between seeds in points:"
        )
        return [
            title,
            f"{'claim':14}{'effect':>8}{'sd':>7}  {'sd is':24}{'runs':>6}{'hours':>12}",
            *rows,
        ]

    def _price(self, runs: int) -> str:
        return f"{runs:>6}{runs * self.total:>12,.0f}"
