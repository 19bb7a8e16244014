"""Forward passes: scaled inputs, frozen networks that stay frozen, logits of a whole set."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from redistill.feed import Batch, Feed


def forward(net: nn.Module, batch: Batch, *, device: str, amp: bool) -> Tensor:
    """Return float32 logits (..., B, K): the transfer, the scaling of the modality, the network."""
    inputs = batch.ready(device)
    with torch.autocast(device, dtype=torch.bfloat16, enabled=amp):
        return net(inputs).float()


def settle(net: nn.Module) -> nn.Module:
    """Freeze a network: eval mode (BatchNorm statistics included) and no gradients."""
    return net.eval().requires_grad_(False)


@contextmanager
def evaluating(net: nn.Module) -> Iterator[nn.Module]:
    """Put ``net`` into eval mode without gradients; afterwards each module is as it was."""
    modes = [(module, module.training) for module in net.modules()]
    try:
        with torch.no_grad():
            yield net.eval()
    finally:
        for module, training in modes:
            module.training = training


def predict(net: nn.Module, feed: Feed, *, device: str = "cpu", amp: bool = False) -> Tensor:
    """Return the logits (..., N, K) of all clips, float32 on the CPU, in the order of the feed.

    The network is read in eval mode and left in the mode it was in: not a bit of it changes.
    """
    with evaluating(net):
        logits = [forward(net, b, device=device, amp=amp).cpu() for b in feed.inorder()]
        return torch.cat(logits, dim=-2)


def accuracy(logits: Tensor, labels: Tensor) -> float | list:
    """Return the share of clips whose largest logit is at its label (N,).

    Args:
        logits: (N, K), or several networks' (..., N, K): then nested lists of shares.
        labels: (N,) int64.
    """
    return (logits.argmax(-1) == labels).float().mean(-1).tolist()
