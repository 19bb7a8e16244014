"""The loss and the accuracy at every point of a grid, row by row, restartable."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from redistill.curvature.loss import Loss, borrowed
from redistill.files import read_json, write_json
from redistill.hashes import sha256_tensors

Row = Callable[[float], Callable[[float], None]]  # of a: what writes the weights of (a, b), of b


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """What the loss is over a grid of one or two directions."""

    a: np.ndarray  # (A,) float64, steps along the first direction; 0: the weights themselves
    b: np.ndarray  # (B,) float64, along the second; (0,) where there is one direction
    loss: np.ndarray  # (A, B) float64; infinite where it is not a number
    accuracy: np.ndarray  # (A, B) float64, share of the clips
    cosine: float | None  # between the two directions, which nothing makes orthogonal; None: one


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The points of a surface, and where its finished rows are kept."""

    a: Sequence[float]
    b: Sequence[float] = (0.0,)
    reestimate: bool = False
    folder: Path | None = None

    def of(self, kind: str, tensors: Iterable[Tensor]) -> Path | None:
        """Return the folder of the rows along ``tensors``, which other switches do not share."""
        if self.folder is None:
            return None
        steps = [[float(x) for x in axis] for axis in (self.a, self.b)]
        return self.folder / f"{kind}-{sha256_tensors(tensors, (steps, self.reestimate))[:16]}"


def measure(
    loss: Loss, grid: Grid, row: Row, *, folder: Path | None, cosine: float | None = None
) -> Surface:
    """Return the surface of weights written by ``row``; the network gets its own back."""
    norms = [m for m in loss.net.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    rows = []
    with torch.no_grad(), borrowed(loss):
        for number, x in enumerate(map(float, grid.a)):
            path = None if folder is None else folder / f"row-{number:03d}.json"
            if path is not None and path.exists():
                rows.append(read_json(path))
                continue
            rows.append({"a": x} | _points(loss, grid, row(x), norms))
            if path is not None:
                write_json(path, rows[-1])
    return Surface(
        a=np.asarray(grid.a, dtype=np.float64),
        b=np.asarray(grid.b, dtype=np.float64),
        loss=np.array([[math.inf if x is None else x for x in each["loss"]] for each in rows]),
        accuracy=np.array([each["accuracy"] for each in rows], dtype=np.float64),
        cosine=cosine,
    )


def _points(
    loss: Loss, grid: Grid, place: Callable[[float], None], norms: Sequence[_BatchNorm]
) -> dict[str, Any]:
    points = []
    for y in map(float, grid.b):
        place(y)
        if grid.reestimate:
            _reestimate(loss, norms)
        value, right = loss.read()
        points.append((value if math.isfinite(value) else None, right))
    return dict(zip(("loss", "accuracy"), zip(*points, strict=True), strict=True))


def _reestimate(loss: Loss, norms: Sequence[_BatchNorm]) -> None:
    """Give BatchNorm the plain average of its statistics over the batches (update_bn's rule)."""
    with _averaging(norms):
        for inputs, _ in loss.batches if norms else ():
            loss.net(inputs)


@contextmanager
def _averaging(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
