r"""Surfaces around a solution, and the line between two.

$$S(a, b) = L(w + a\,d_1 + b\,d_2), \qquad S(a) = L((1 - a)\,w + a\,w')$$

Source: Li et al. 2018, Visualizing the Loss Landscape of Neural Nets, sections 3 and 4;
spec/progressive.md 6.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from redistill.curvature.loss import Loss, flat, shaped
from redistill.errors import ConfigError
from redistill.landscape.directions import check_direction
from redistill.landscape.grid import Grid, Surface, measure


def surface(
    loss: Loss,
    directions: Sequence[Tensor],
    *,
    a: Sequence[float],
    b: Sequence[float] = (0.0,),
    reestimate: bool = False,
    folder: Path | None = None,
) -> Surface:
    """Return the loss and the accuracy at w + a d1 + b d2.

    The weights are written in place; afterwards the network is as it was, bit for bit.

    Args:
        loss: its ``only`` says which weights move.
        directions: one or two, (n,) each.
        a: steps along the first direction.
        b: steps along the second.
        reestimate: let every BatchNorm of the network measure its statistics anew at every point,
            over the same batches, before the loss is taken in eval mode.
        folder: rows found there are not made again; one file a row.

    Raises:
        ConfigError: directions that are too many, or do not fit the weights or the steps.
    """
    if len(directions) not in (1, 2):
        raise ConfigError(f"{len(directions)} directions; a surface has one or two")
    if len(directions) == 1 and tuple(b) != (0.0,):
        raise ConfigError(f"b = {tuple(b)}, but there is no second direction; give two, or no b")
    for direction in directions:
        check_direction(loss, direction)
    weights = [weight.detach() for weight in loss.weights.values()]
    base = flat(weights)
    ways = [direction.to(base) for direction in directions]
    second = shaped(ways[1] if len(ways) == 2 else torch.zeros_like(base), weights)

    def row(x: float) -> Callable[[float], None]:
        starts = shaped(torch.add(base, ways[0], alpha=x), weights)

        def place(y: float) -> None:
            torch._foreach_copy_(weights, starts)  # on CUDA one kernel for all weights
            torch._foreach_add_(weights, second, alpha=y)

        return place

    grid = Grid(a=a, b=b, reestimate=reestimate, folder=folder)
    cosine = float(torch.cosine_similarity(*ways, dim=0)) if len(ways) == 2 else None
    return measure(loss, grid, row, folder=grid.of("surface", ways), cosine=cosine)


def line(
    loss: Loss,
    other: Mapping[str, Tensor],
    *,
    a: Sequence[float],
    reestimate: bool = False,
    folder: Path | None = None,
) -> Surface:
    """Return the loss and the accuracy from the weights as they are (a = 0) to others (a = 1).

    The running statistics of BatchNorm go along, so that both ends are the two networks exactly.

    Args:
        loss: its ``only`` says which weights and buffers move, by the beginnings of their names.
        other: a state dict of the same network; what ``loss.only`` leaves out may be missing.
        a: steps; those beyond [0, 1] go on past the ends.
        reestimate: as of ``surface``.
        folder: as of ``surface``.

    Raises:
        ConfigError: ``other`` lacks a weight or a buffer, or has it in another shape.
    """
    moving = {
        name: tensor
        for name, tensor in loss.net.state_dict().items()
        if tensor.is_floating_point() and (not loss.only or name.startswith(loss.only))
    }
    starts = {name: tensor.clone() for name, tensor in moving.items()}
    ends = {name: _end(name, tensor, other) for name, tensor in moving.items()}

    def row(x: float) -> Callable[[float], None]:
        def place(_: float) -> None:
            for name, tensor in moving.items():
                torch.lerp(starts[name], ends[name], x, out=tensor)

        return place

    grid = Grid(a=a, reestimate=reestimate, folder=folder)
    return measure(loss, grid, row, folder=grid.of("line", ends.values()))


def _end(name: str, tensor: Tensor, other: Mapping[str, Tensor]) -> Tensor:
    found = other.get(name)
    if found is None or found.shape != tensor.shape:
        what = "is missing" if found is None else f"has shape {tuple(found.shape)}"
        raise ConfigError(
            f"{name} {what} at the other end of the line; expected {tuple(tensor.shape)}: both "
            "ends are weights of one network"
        )
    return found.detach().to(tensor)
