"""Losses small enough to be known by hand, and what of a network must never change."""

import torch
from torch import Tensor, nn

from redistill.curvature.loss import Loss
from redistill.nets.streams import Stream, build_stream

SIZE, CLASSES = 16, 3


class Point(nn.Module):
    """A network that is its weights: every clip's logits are w (K,)."""

    def __init__(self, w: Tensor) -> None:
        super().__init__()
        self.w = nn.Parameter(w[None].clone())

    def forward(self, x: Tensor) -> Tensor:
        return self.w.expand(len(x), -1)


class Bowl:
    """L(w) = w^T A w / 2 over clips whose label is always 0."""

    def __init__(self, w: Tensor, matrix: Tensor) -> None:
        self.w, self.matrix = w, matrix

    def __call__(self, w: Tensor) -> float:
        return float(w @ self.matrix @ w / 2)

    def loss(self) -> Loss:
        def criterion(logits: Tensor, labels: Tensor) -> Tensor:
            return torch.einsum("bi,ij,bj->b", logits, self.matrix, logits).mean() / 2

        batch = torch.zeros(4, 1), torch.zeros(4, dtype=torch.long)
        return Loss(net=Point(self.w).eval(), batches=[batch], criterion=criterion)


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def bowl(size: int = 5) -> Bowl:
    root = drawn(size, size, seed=1)
    return Bowl(drawn(size, seed=2), root @ root.T)


def small_stream(seed: int = 0) -> Stream:
    """A stream whose BatchNorm statistics are not those it started with."""
    net = build_stream("mv", depth=18, width=2, classes=CLASSES, seed=seed).double().train()
    with torch.no_grad():
        net(drawn(4, 2, 2, SIZE, SIZE, seed=10 + seed))
    return net.eval()


def small_batches() -> list[tuple[Tensor, Tensor]]:
    """Two batches of unequal size."""
    sizes = 4, 3
    return [
        (drawn(n, 2, 2, SIZE, SIZE, seed=n), torch.arange(n, dtype=torch.long) % CLASSES)
        for n in sizes
    ]


def stream_loss(seed: int = 0, **others: object) -> Loss:
    return Loss(net=small_stream(seed), batches=small_batches(), **others)


def state(net: nn.Module) -> tuple[dict[str, bytes], list[object]]:
    """All that a caller could see of a network, exactly."""
    tensors = {name: t.numpy().tobytes() for name, t in net.state_dict().items()}
    modes = [(m.training, getattr(m, "momentum", None)) for m in net.modules()]
    switches = [(w.requires_grad, w.grad) for w in net.parameters()]
    return tensors, [*modes, *switches]
