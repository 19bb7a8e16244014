"""A phase of training: its settings, and the hash of all that determines its result."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from redistill.feed import Batch, Feed
from redistill.files import sha256_json
from redistill.source import source_hash

Objective = Callable[[Tensor, Batch], Tensor]  # (logits float32 (B, K), batch) -> scalar loss


def cross_entropy(logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy of logits (B, K) with the labels, mean over the batch."""
    return F.cross_entropy(logits, batch.labels.to(logits.device))


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What determines a trained network, besides its initial weights, its data and the source.

    Attributes:
        name: a slug, for example ``mv``.
        steps: optimiser steps wanted; whole epochs are trained, so at least this many are made.
        batch: clips a step.
        lr: peak learning rate of AdamW; warmed up over a tenth of the steps, then a half cosine.
        weight_decay: of AdamW, on matrices and kernels only.
        seed: of the order of clips.
        device: ``cpu`` or ``cuda``.
        threads: of torch; other counts sum in another order and end with other bits.
        amp: bfloat16 autocast of the forward pass; losses stay in float32.
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

    def epochs(self, feed: Feed) -> int:
        """Return the number of whole epochs that hold ``steps`` steps."""
        return -(-self.steps // feed.steps(self.batch))


def phase_key(
    phase: Phase, net: nn.Module, feed: Feed, *, val: Feed | None, objective: Objective, loop: str
) -> str:
    """Return the hash of all that determines the result of training by module ``loop``."""
    weights = {name: _digest(t) for name, t in net.state_dict().items()}
    return sha256_json(
        {
            "phase": asdict(phase),
            "weights": weights,
            "layout": repr(net),
            "data": [feed.modality, feed.manifest, val.manifest if val else None],
            "objective": f"{objective.__module__}.{objective.__qualname__}",
            "source": source_hash(loop, type(net).__module__, objective.__module__),
            "torch": torch.__version__,
        }
    )


def _digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
