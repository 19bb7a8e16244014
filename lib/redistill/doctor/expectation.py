"""What runs would take here: the times of earlier runs, scaled by one measurement.  No promise."""

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from redistill.doctor import limits
from redistill.doctor.finding import OK, WARN, Finding
from redistill.doctor.known import REFERENCE, Record, by_notebook, records, size

if TYPE_CHECKING:
    from redistill.doctor.examine import Asked

NOTEBOOKS = (
    *("0_start_here", "1_substage_kd", "2_spectrum_kd"),
    *("3_progressive_kd", "4_flatness", "5_verdicts"),
)
_BUDGET = 0.5  # seconds for timing
# `training.step_seconds` on the machine of the reference runs (AMD EPYC, 2 cores, torch 2.13).
_THERE = 0.048
# What profile quick is made to take at most there, in seconds; see also `redistill run --plan`.
_QUICK = dict(zip(NOTEBOOKS, (10, 75, 75, 120, 45, 10), strict=True))
_MANY = 10  # runs, the fewest that a verdict takes
_SLOW = 3.0  # times the reference machine


@dataclass(frozen=True)
class Pace:
    """How fast this machine trains.

    Attributes:
        seconds: of one step of a fixed small network with one thread, the least of several.
        gpu: the same on the GPU; None if there is none.
    """

    seconds: float
    gpu: float | None = None

    @property
    def factor(self) -> float:
        """Times as long as on the machine of the reference runs."""
        return self.seconds / _THERE


def measure() -> Pace:
    """Time a small training step here."""
    import torch

    from redistill.doctor.training import step_seconds

    gpu = step_seconds(budget=_BUDGET / 2, device="cuda") if torch.cuda.is_available() else None
    return Pace(step_seconds(budget=_BUDGET), gpu)


def check_pace(asked: "Asked") -> Finding:
    """Compare a step here with one on the machine of the reference runs."""
    pace = asked.pace
    text = (
        f"a small step takes {1e3 * pace.seconds:.0f} ms on one thread (the least of some "
        f"in {_BUDGET:g} s), {pace.factor:.1f} times as long as where the reference runs were made"
    )
    gpu = f"{1e3 * pace.gpu:.0f} ms on the GPU; " if pace.gpu else ""
    text += f"; {gpu}GPU hours of a run not known, since no reference run was made on one"
    if pace.factor > _SLOW:
        return Finding("pace", WARN, text, "a slow machine, or a busy one: try again when idle")
    return Finding("pace", OK, text)


def check_notebook(name: str, asked: "Asked") -> Finding:
    """Say what the runs of a notebook would take: quick, standard, ten of them, GPU, disk."""
    factor, own = asked.pace.factor, records(asked.reports, notebook=name)
    parts = [_quick(name, own, factor)]
    like = by_notebook(_like(records(REFERENCE, notebook=name), asked), profile="standard")
    for found in like.values():
        parts += _standard(found, factor)
    return Finding(f"expect {name[0]}", OK, f"{name}: {'; '.join(parts)}")


def _quick(name: str, own: list[Record], factor: float) -> str:
    done = [one["seconds"] for found in by_notebook(own, profile="quick").values() for one in found]
    if done:
        runs = f"{len(done)} run{'' if len(done) == 1 else 's'}"
        return f"quick {rough(median(done))}, as {runs} took in the folder of runs"
    return f"quick at most {rough(_QUICK[name] * max(1.0, factor))}"


def _standard(found: list[Record], factor: float) -> list[str]:
    """Return sentences from reference runs, times scaled."""
    from redistill.batch.pace import packed

    seconds = sorted(one["seconds"] * factor for one in found)
    peak = max(one["peak_memory"] for one in found)
    slots = max(1, min(int(limits.cores()), int(limits.memory()[0] // peak)))
    together = rough(packed([median(seconds)] * _MANY, slots, []))
    written = [sum(one["disk"].values()) for one in found if one.get("disk")]
    disk = f"{size(_MANY * median(written))} of disk" if written else "disk not recorded"
    low, high = rough(seconds[0]), rough(seconds[-1])
    return [
        f"standard about {rough(median(seconds))} ({low} to {high}), as {len(found)} reference "
        f"runs took on one thread, times {factor:.2g}",
        f"{_MANY} such runs {together}, {slots} at once, {disk}",
    ]


def rough(seconds: float) -> str:
    """Return a time no finer than it can be foretold: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{5 * max(1, round(seconds / 5))} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _like(found: list[Record], asked: "Asked") -> list[Record]:
    """Return the records of the data set asked for, if there are any; else those of synthetic."""
    of = {name: [] for name in (asked.dataset, "synthetic")}
    for one in found:
        of.setdefault(one["parameters"].get("dataset"), []).append(one)
    return of[asked.dataset] or of["synthetic"]
