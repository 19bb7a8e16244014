"""The loss of a network over fixed clips, as a function of some of its weights."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from redistill.errors import ConfigError, RunError
from redistill.hashes import sha256_tensors

Criterion = Callable[[Tensor, Tensor], Tensor]  # (logits (B, K), labels (B,)) -> mean over B


@dataclass(frozen=True, kw_only=True, eq=False)
class Loss:
    r"""The function whose curvature is asked for.

    $$L(w) = \tfrac1N \sum_n \ell(f_w(x_n), y_n)$$

    over clips that never change, with the network at rest: in eval mode, BatchNorm normalising by
    its running statistics.

    Attributes:
        net: in eval mode; its weights are where the loss is looked at.
        batches: (inputs, labels (B,)) each, ready for the network and on its device.
        criterion: the mean loss of a batch.
        only: the weights that vary, by the beginnings of their names (``"net.layer3."`` is a
            stage); none: all of them.

    Raises:
        ConfigError: no batch, no weight of such a name, or a module in training mode, whose loss
            changes from one call to the next.
    """

    net: nn.Module
    batches: Sequence[tuple[Tensor, Tensor]]
    criterion: Criterion = F.cross_entropy
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what has no curvature, or no single one."""
        if not self.batches:
            raise ConfigError("the loss has no batches; give one or more")
        if not self.weights:
            known = ", ".join(
                dict.fromkeys(n.split(".")[0] for n, _ in self.net.named_parameters())
            )
            raise ConfigError(
                f"only = {self.only}: no weight's name begins so; the network has {known}"
            )
        check_still(self.net)

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """The weights that vary, by name, in the order of the flat vectors."""
        return {
            name: weight
            for name, weight in self.net.named_parameters()
            if not self.only or name.startswith(self.only)
        }

    @property
    def size(self) -> int:
        """How many numbers vary, n."""
        return sum(weight.numel() for weight in self.weights.values())

    @property
    def clips(self) -> int:
        """How many clips the mean is over, N."""
        return sum(len(labels) for _, labels in self.batches)

    def key(self) -> str:
        """Return a hash of the weights, the clips and what varies: the identity of a result."""
        shown = (tensor for batch in self.batches for tensor in batch)
        about = (self.only, self.criterion.__qualname__)
        return sha256_tensors((*self.net.state_dict().values(), *shown), about)

    def measure(self) -> tuple[float, float]:
        """Return the loss and the accuracy (a share) at the weights as they are.

        Raises:
            RunError: a loss that is not finite.
        """
        value, right = self.read()
        if not math.isfinite(value):
            raise RunError(f"the loss is {value} over {self.clips} clips; there is no minimum here")
        return value, right

    def read(self) -> tuple[float, float]:
        """Return what ``measure`` returns, a loss that is not finite too: far from a minimum."""
        total, right = 0.0, 0
        with torch.no_grad():
            for inputs, labels in self.batches:
                logits = self.net(inputs)
                total += self.criterion(logits, labels).item() * len(labels)
                said = (logits.argmax(-1) == labels) & ~logits.isnan().any(-1)
                right += int(said.sum())
        return total / self.clips, right / self.clips


def check_still(net: nn.Module) -> None:
    """Refuse a network whose output is drawn, or depends on the batch.

    Raises:
        ConfigError: names the modules in training mode.
    """
    moving = [name or type(net).__name__ for name, m in net.named_modules() if m.training]
    if moving:
        some = ", ".join(moving[:4]) + (", …" if len(moving) > 4 else "")
        raise ConfigError(
            f"{len(moving)} modules are in training mode ({some}): dropout is drawn anew and "
            "BatchNorm depends on the batch, so the loss has no one curvature; call net.eval()"
        )


@contextmanager
def borrowed(loss: Loss) -> Iterator[dict[str, nn.Parameter]]:
    """Lend the weights that vary, with gradients switched on for them alone.

    Afterwards every weight, buffer, gradient and switch of the network is as it was, bit for bit.
    """
    held = {name: t.detach().clone() for name, t in loss.net.state_dict().items()}
    before = [(w, w.requires_grad, w.grad) for w in loss.net.parameters()]
    weights = loss.weights
    try:
        for weight, _, _ in before:
            weight.requires_grad_(False)
        for weight in weights.values():
            weight.requires_grad_(True)
        yield weights
    finally:
        with torch.no_grad():
            for name, tensor in loss.net.state_dict().items():
                tensor.copy_(held[name])
        for weight, wanted, gradient in before:
            weight.requires_grad_(wanted)
            weight.grad = gradient


def flat(tensors: Sequence[Tensor]) -> Tensor:
    """Return tensors as one vector (n,)."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def shaped(vector: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Return a vector (n,) as tensors of the shapes of ``like``; the inverse of ``flat``."""
    parts = vector.split([tensor.numel() for tensor in like])
    return [part.view_as(tensor) for part, tensor in zip(parts, like, strict=True)]
