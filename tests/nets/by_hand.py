"""A temporal shift by its definition, and networks whose BatchNorms matter."""

import torch
from torch import Tensor, nn


def moved(frames: list[Tensor], fold: int) -> list[Tensor]:
    """Shift a list of frames (B, C, h, w), channel by channel; outside the clip is zero."""
    out = [torch.zeros_like(x) for x in frames]
    for t in range(len(frames)):
        for c in range(frames[0].shape[1]):
            source = t + 1 if c < fold else t - 1 if c < 2 * fold else t
            if 0 <= source < len(frames):
                out[t][:, c] = frames[source][:, c]
    return out


def settled(net: nn.Module, x: Tensor) -> nn.Module:
    """Return the network in evaluation, its BatchNorms those of a batch, so that they matter."""
    net.train()
    for module in net.modules():
        if hasattr(module, "momentum"):
            module.momentum = 1.0  # near their start they damp a deep narrow network to nothing
    with torch.no_grad():
        net(x)
    return net.eval()
