"""What each exit of a network costs, as built: multiply-accumulates and milliseconds per video.

An exit is priced by taking it: the network runs up to the exit's stage and no further, and every
internal classifier (IC) on the way runs too, because an IC that is passed is paid.  So what is
counted is what is timed, on any network whose stages have module paths.

Source: spec/progressive.md 5.6.  Entropy decoding and extraction are not in these figures.
"""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from redistill.cost import macs, milliseconds
from redistill.errors import RedistillError
from redistill.nets.exits import STAGES, module_at
from redistill.predict import evaluating

_ELEMENTS = {  # operations per element of the input, by the convention of the ptflops counter
    nn.modules.batchnorm._BatchNorm: 2,
    nn.ReLU: 1,
    nn.modules.pooling._MaxPoolNd: 1,
    nn.modules.pooling._AdaptiveAvgPoolNd: 1,
}


class _Reached(Exception):
    """Not an error: it ends a forward pass at an exit."""


def run_to_exit(
    net: nn.Module, ics: Sequence[nn.Module], x: Tensor, exit: int, *, paths: Sequence[str] = STAGES
) -> Tensor:
    """Run ``net`` to an exit, with the ICs passed on the way; return that exit's logits.

    Args:
        net: takes ``x``, and calls each module of ``paths`` once, on all segments of all clips.
        ics: one for each path, from features (B, S, C, h, w) to logits.
        x: (B, S, C, h, w), the input of the network.
        exit: from 1; ``len(paths) + 1`` is the network's own classifier.
        paths: modules whose output the ICs read.

    Raises:
        RedistillError: an exit that there is not, or a network that never calls a path.
    """
    if len(ics) != len(paths) or not 1 <= exit <= len(paths) + 1:
        raise RedistillError(
            f"exit {exit} of a network with {len(ics)} ICs after {list(paths)}: give one IC for "
            f"each path and an exit from 1 to {len(paths) + 1}"
        )
    logits = []

    def take(number: int, _module: nn.Module, _inputs: object, features: Tensor) -> None:
        logits.append(ics[number](features.unflatten(0, x.shape[:2])))
        if number + 1 == exit:
            raise _Reached

    watched = [module_at(net, path) for path in paths]  # all found before one is watched
    hooks = [
        module.register_forward_hook(partial(take, number))
        for number, module in enumerate(watched[:exit])
    ]
    try:
        logits.append(net(x))
    except _Reached:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    if len(logits) != exit:
        raise RedistillError(
            f"on the way to exit {exit} the network passed {len(logits)} exits; it must call each "
            f"of {list(paths)} once and in this order"
        )
    return logits[-1]


def exit_costs(
    net: nn.Module,
    ics: Sequence[nn.Module],
    shape: tuple[int, ...],
    *,
    paths: Sequence[str] = STAGES,
    counter: Callable[[Callable[[], object]], int] = macs,
) -> tuple[int, ...]:
    """Count one video of ``shape`` (1, S, C, h, w) at every exit, the ICs before it included.

    The last figure is the whole network with all its ICs; without ICs it is
    ``redistill.cost.count``.  Give the ICs of one arm: several arms side by side cost a multiple.
    On the device "meta" nothing is computed, only counted.  An IC pools by matrix products, which
    are counted as what they are: under 1 in 200 of an IC at the published widths.
    ``counter=ptflops`` counts by the convention of the authors' table.
    """
    calls = _calls(net, ics, shape, paths)
    with evaluating(net), evaluating(nn.ModuleList(ics)):
        return tuple(counter(call) for call in calls)


def exit_milliseconds(
    net: nn.Module,
    ics: Sequence[nn.Module],
    shape: tuple[int, ...],
    *,
    paths: Sequence[str] = STAGES,
    repeats: int = 7,
) -> tuple[float, ...]:
    """Time one video of ``shape`` (1, S, C, h, w) to every exit: the median of ``repeats``, in ms.

    Every call ends with the logits on the CPU, so that the time on a GPU is whole.
    """
    calls = _calls(net, ics, shape, paths)
    with evaluating(net), evaluating(nn.ModuleList(ics)):
        rounds = [
            [milliseconds(lambda c=call: c().cpu(), repeats=1) for call in calls]
            for _ in range(repeats)  # in turns, so that another's burst of work hits all alike
        ]
    return tuple(map(median, zip(*rounds, strict=True)))


def _calls(
    net: nn.Module, ics: Sequence[nn.Module], shape: tuple[int, ...], paths: Sequence[str]
) -> list[Callable[[], Tensor]]:
    """Return one forward pass of zeros for each exit."""
    x = torch.zeros(shape, device=next(net.parameters()).device)
    exits = range(1, len(paths) + 2)
    return [partial(run_to_exit, net, ics, x, number, paths=paths) for number in exits]


def elementwise(call: Callable[[], object]) -> int:
    """Count what ``macs`` leaves out, in the forward passes of ``call``.

    The convention of ptflops, in which the authors' figures are (spec/progressive.md 5.6):
    BatchNorm 2, ReLU 1 and pooling 1 for each element that goes in.
    """
    total = 0

    def add(module: nn.Module, inputs: tuple[object, ...], _output: object) -> None:
        nonlocal total
        each = next((cost for kind, cost in _ELEMENTS.items() if isinstance(module, kind)), 0)
        total += each and each * inputs[0].numel()

    hook = register_module_forward_hook(add)
    try:
        call()
    finally:
        hook.remove()
    return total


def ptflops(call: Callable[[], object]) -> int:
    """Return ``macs`` plus ``elementwise`` of ``call``, run twice."""
    return macs(call) + elementwise(call)
