"""A network that learns from those above it, with the adapters that let them be compared.

Source: spec/substage.md 2.3.  Adapters sit on the lower network's side, so that the target does
not move; they train with it and are thrown away afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from redistill.losses.distribution.gauss_class import Queue
from redistill.losses.feature.reviewkd import ReviewFusion
from redistill.nets.video import STAGES, Taps, VideoNet

ADAPTERS = ("maps", "embedding", "review", "queue")  # what a loss may ask for


@dataclass(frozen=True)
class Widths:
    """Channels of the stages kept, the last one's size being that of the embedding."""

    maps: tuple[int, ...]
    embedding: int


@dataclass(frozen=True)
class Learner:
    """What the lower network of an edge says of a batch in training.

    Attributes:
        taps: its own.
        adapted: for each network above, its maps and embedding in that network's widths; what no
            loss asks for is left out.
        adapters: for each network above, its adapter (for what it keeps between steps).
        scales: logarithms of the noise of each network above, (U,), learned.
    """

    taps: Taps
    adapted: tuple[Taps, ...]
    adapters: tuple["Adapter", ...]
    scales: Tensor

    def float(self) -> "Learner":
        """Return all in float32."""
        adapted = tuple(taps.float() for taps in self.adapted)
        return Learner(self.taps.float(), adapted, self.adapters, self.scales)


class Adapter(nn.Module):
    """From the widths of the lower network to those of one above."""

    def __init__(self, lower: Widths, upper: Widths, *, classes: int, uses: Sequence[str]) -> None:
        super().__init__()
        pairs = list(zip(lower.maps, upper.maps, strict=True))
        self.maps = nn.ModuleList(nn.Conv3d(a, b, 1) for a, b in pairs if "maps" in uses)
        same = not {"embedding", "queue"} & set(uses) or lower.embedding == upper.embedding
        self.embedding = nn.Identity() if same else nn.Linear(lower.embedding, upper.embedding)
        self.review = ReviewFusion(*zip(*pairs, strict=True)) if "review" in uses else None
        self.queue = Queue(upper.embedding, classes) if "queue" in uses else None

    def forward(self, taps: Taps) -> Taps:
        """Return the lower network's taps in the widths of the upper one."""
        maps = taps.maps
        if self.review is not None:
            maps = tuple(self.review(maps))
        elif len(self.maps):
            maps = tuple(conv(x) for conv, x in zip(self.maps, maps, strict=True))
        return Taps(taps.logits, self.embedding(taps.embedding), maps)


class Edge(nn.Module):
    """A network with its adapters: a ``Learner`` in training, logits (B, K) in eval mode."""

    def __init__(
        self, net: VideoNet, uppers: Sequence[Widths], *, keep: int, uses: Sequence[str]
    ) -> None:
        super().__init__()
        self.net, self.keep = net, keep
        own = widths(net, keep)
        self.adapters = nn.ModuleList(
            Adapter(own, upper, classes=net.classes, uses=uses) for upper in uppers
        )
        self.scales = nn.Parameter(torch.zeros(len(uppers)))

    def forward(self, x: Tensor) -> Learner | Tensor:
        """Return what the objective reads, or the logits."""
        if not self.training:
            return self.net(x)
        taps = self.net.taps(x, keep=self.keep)
        adapted = tuple(adapter(taps) for adapter in self.adapters)
        return Learner(taps, adapted, tuple(self.adapters), self.scales)

    def extra_repr(self) -> str:
        """Name the stages kept: part of what tells one edge from another."""
        return f"keep={self.keep}"


def widths(net: VideoNet, keep: int) -> Widths:
    """Return the channels of the last ``keep`` stages and of the embedding."""
    own = net.stage_widths
    return Widths(own[STAGES - keep :], own[-1])


def build_edge(
    net: VideoNet, uppers: Sequence[Widths], *, keep: int, uses: Sequence[str], seed: int
) -> Edge:
    """Return an edge whose adapters depend on ``seed`` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Edge(net, uppers, keep=keep, uses=uses)
