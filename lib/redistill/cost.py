"""What a prediction costs: multiply-accumulates, parameters, milliseconds, each per video."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from redistill.predict import evaluating


@dataclass(frozen=True)
class Cost:
    """Cost of one video through one network.

    Attributes:
        macs: multiply-accumulates of convolutions and matrix products, all segments.
        parameters: number of trained numbers.
    """

    macs: int
    parameters: int


def count(net: nn.Module, shape: tuple[int, ...]) -> Cost:
    """Count one video of ``shape`` (1, S, C, h, w) through ``net`` as it is built."""
    video = torch.zeros(shape, device=next(net.parameters()).device)
    parameters = sum(p.numel() for p in net.parameters())
    with evaluating(net):
        return Cost(macs=macs(lambda: net(video)), parameters=parameters)


def macs(call: Callable[[], object]) -> int:
    """Count the multiply-accumulates of convolutions and matrix products in ``call``.

    torch's counter counts floating-point operations, two for each multiply-accumulate, so its sum
    is halved.  BatchNorm, ReLU and pooling are not in it (in a ResNet about 1 in 100).
    """
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() // 2


def milliseconds(call: Callable[[], object], *, repeats: int = 7) -> float:
    """Return the median wall-clock time of ``call`` in milliseconds, after one call to warm up.

    On a GPU the call must end with a synchronising copy for the figure to mean anything.
    """
    call()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - started))
    return median(times)
