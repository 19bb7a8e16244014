"""A tiny training on noise, the same everywhere: for its numbers and for its time."""

import time
from typing import Any

import torch

from redistill.feed import Feed
from redistill.modality import RGB
from redistill.nets.video import build_video
from redistill.phase import Phase
from redistill.train import first_losses

_CLASSES, _CLIPS, _FRAMES = 12, 16, 4
# Of the network that sets the pace: as in the quick and standard profiles.
_WIDTH, _SIZE = 16, 56


def tiny(*, threads: int, steps: int, device: str = "cpu") -> list[float]:
    """Return the loss before and after each of some steps of a very small network."""
    return _losses(width=4, size=16, threads=threads, steps=steps, device=device)


def step_seconds(*, budget: float, device: str = "cpu") -> float:
    """Return the seconds of a training step with one thread, the least of several.

    The least, and on the CPU without the time for which others had it, since whatever else a
    machine does can only lengthen a step.

    Args:
        budget: seconds after which no further step is timed; two are timed in any case.
        device: ``cpu`` or ``cuda``.
    """
    clock = time.process_time if device == "cpu" else time.perf_counter
    started, least, made = time.perf_counter(), float("inf"), 0
    while made < 3 or time.perf_counter() - started < budget:
        before = clock()
        _losses(width=_WIDTH, size=_SIZE, threads=1, steps=1, device=device)
        made += 1
        if made > 1:  # the first one warms up
            least = min(least, clock() - before)
    return least


def _losses(*, width: int, size: int, threads: int, steps: int, device: str) -> list[float]:
    generator = torch.Generator().manual_seed(0)
    shape = 1, _CLIPS, _FRAMES, 3, size, size
    feed = Feed(
        views=torch.randint(256, shape, dtype=torch.uint8, generator=generator),
        modality=RGB,
        labels=torch.arange(_CLIPS) % _CLASSES,
        clips=("",) * _CLIPS,
        manifest="",
    )
    about: dict[str, Any] = {"lr": 1e-3, "weight_decay": 0.05, "seed": 0}
    phase = Phase(name="doctor", steps=steps, batch=_CLIPS, device=device, threads=threads, **about)
    net = build_video("shift10", width=width, classes=_CLASSES, frames=_FRAMES, seed=0)
    before = torch.get_num_threads()
    try:
        return first_losses(phase, net, feed, steps=steps)
    finally:
        torch.set_num_threads(before)
