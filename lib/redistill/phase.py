"""A phase of training: its settings, and the hash of all that determines its result."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from redistill.errors import ConfigError
from redistill.feed import Batch, Feed
from redistill.files import sha256_json
from redistill.hashes import sha256_tensors
from redistill.source import source_hash

OPTIMIZERS = ("adamw", "adam", "sgd")
# (logits float32 (..., B, K), batch, share of the steps already made) -> scalar loss
Objective = Callable[[Tensor, Batch, float], Tensor]


def cross_entropy(logits: Tensor, batch: Batch, done: float = 0.0) -> Tensor:
    """Cross-entropy of logits (B, K) with the labels, mean over the batch, at any time."""
    return F.cross_entropy(logits, batch.labels.to(logits.device))


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What determines a trained network, besides its initial weights, its data and the source.

    Attributes:
        name: a slug, for example ``mv``.
        steps: optimiser steps wanted; whole epochs are trained, so at least this many are made.
        batch: clips a step.
        lr: peak learning rate; warmed up over a tenth of the steps, then a half cosine.
        weight_decay: on matrices and kernels only.
        seed: of the order of clips.
        device: ``cpu`` or ``cuda``.
        threads: of torch; other counts sum in another order and end with other bits.
        amp: bfloat16 autocast of the forward pass; losses stay in float32.
        optimizer: ``adamw``; ``adam`` or ``sgd`` (momentum 0.9) as in the papers.
        clip: largest norm of the whole gradient; 0: any.
        eps: of the optimiser.
        drops: shares of the steps after which the rate is divided by ten, in place of the cosine.
        scales: (prefix of a parameter's name, its share of the learning rate); the first that
            fits counts.
    """

    name: str
    steps: int
    batch: int
    lr: float
    weight_decay: float
    seed: int
    device: str = "cpu"
    threads: int = 1
    amp: bool = False
    optimizer: str = "adamw"
    clip: float = 0.0
    eps: float = 1e-8
    drops: tuple[float, ...] = ()
    scales: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        """Refuse an optimiser that there is not."""
        if self.optimizer not in OPTIMIZERS:
            known = ", ".join(OPTIMIZERS)
            raise ConfigError(f"phase {self.name}: optimizer = {self.optimizer!r}: one of {known}")

    def epochs(self, feed: Feed) -> int:
        """Return the number of whole epochs that hold ``steps`` steps."""
        return -(-self.steps // feed.steps(self.batch))


def phase_key(
    phase: Phase, net: nn.Module, feeds: Sequence[Feed | None], *, objective: Objective, loop: str
) -> str:
    """Return the hash of all that determines the result of training by module ``loop``.

    An objective that is an object, not a function, tells its settings by its ``repr``.
    """
    weights = {name: digest(t) for name, t in net.state_dict().items()}
    name = getattr(objective, "__qualname__", None) or repr(objective)
    return sha256_json(
        {
            "phase": asdict(phase),
            "weights": weights,
            "layout": repr(net),
            "data": [feed.modality + feed.manifest if feed else None for feed in feeds],
            "objective": [objective.__module__, name],
            "source": source_hash(loop, type(net).__module__, objective.__module__),
            "torch": torch.__version__,
        }
    )


def digest(tensor: Tensor) -> str:
    """Return the SHA-256 of a tensor."""
    return sha256_tensors([tensor])
