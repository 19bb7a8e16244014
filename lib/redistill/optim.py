"""The learning rate over the steps, and which parameters take what share of it and decay."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from redistill.phase import Phase

_MOMENTUM = 0.9
_BUILD: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,  # the papers': weight decay goes through the moments
    "sgd": lambda groups, lr, eps: torch.optim.SGD(groups, lr=lr, momentum=_MOMENTUM),
}


def schedule(step: int, steps: int, drops: Sequence[float] = ()) -> float:
    """Return the learning rate at ``step`` of ``steps`` as a share of its peak.

    Linear from a tenth of the peak over the first tenth of the steps, then a half cosine to zero.
    With ``drops``: the peak, divided by ten after each of these shares of the steps.
    """
    if drops:
        return 0.1 ** sum(step >= round(drop * steps) for drop in drops)
    warm = max(1, steps // 10)
    if step < warm:
        return 0.1 + 0.9 * step / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def make_optimizer(phase: Phase, net: nn.Module) -> torch.optim.Optimizer:
    """Return the phase's optimiser over the trainable parameters of ``net``.

    Biases and BatchNorm do not decay.  Each group holds its share of the learning rate as "scale".
    """
    rows = [
        (_scale(name, phase.scales), phase.weight_decay if p.ndim > 1 else 0.0, p)
        for name, p in net.named_parameters()
        if p.requires_grad
    ]
    rows.sort(key=lambda row: row[:2], reverse=True)
    groups: list[dict[str, Any]] = [
        {"params": [p for _, _, p in part], "weight_decay": decay, "scale": scale}
        for (scale, decay), part in groupby(rows, key=lambda row: row[:2])
    ]
    return _BUILD[phase.optimizer](groups, lr=phase.lr, eps=phase.eps)


def update(optimizer: torch.optim.Optimizer, loss: Tensor, *, clip: float) -> None:
    """Make one step down the gradient of ``loss``, the gradient no longer than ``clip``."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if clip:
        every = [p for group in optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(every, clip)
    optimizer.step()


def _scale(name: str, scales: Sequence[tuple[str, float]]) -> float:
    return next((scale for prefix, scale in scales if name.startswith(prefix)), 1.0)
