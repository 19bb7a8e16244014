"""The learning rate over the steps, and which parameters decay."""

import math
from typing import Any

from torch import nn


def schedule(step: int, steps: int) -> float:
    """Return the learning rate at ``step`` of ``steps`` as a share of its peak.

    Linear from a tenth of the peak over the first tenth of the steps, then a half cosine to zero.
    """
    warm = max(1, steps // 10)
    if step < warm:
        return 0.1 + 0.9 * step / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def decayed(net: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay kernels and matrices; leave biases and BatchNorm alone."""
    decay = [p for p in net.parameters() if p.requires_grad and p.ndim > 1]
    plain = [p for p in net.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": decay, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
