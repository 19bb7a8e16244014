"""Batches for the training loop: every clip once an epoch, in an order keyed by seed and epoch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from redistill.video.scaling import scale


@dataclass(frozen=True)
class Batch:
    """What one step sees.

    Attributes:
        inputs: (B, S, C, h, w) uint8, the integer stage of one modality.
        modality: of the inputs.
        labels: (B,) int64.
        clips: names of the clips, for messages.
    """

    inputs: Tensor
    modality: str
    labels: Tensor
    clips: tuple[str, ...]

    def ready(self, device: str) -> Tensor:
        """Return what the network takes: the inputs on the device, scaled, float32."""
        return scale(self.inputs.to(device, non_blocking=True), self.modality)


@dataclass(frozen=True, kw_only=True)
class Feed:
    """Clips of one modality with their labels.

    Attributes:
        views: uint8 (V, N, S, C, h, w), V augmented views of each clip, in the integer stage.
        modality: of the pictures.
        labels: (N,) int64.
        clips: N names.
        manifest: hash of pictures, labels and names.
        mirrored: (V, N) bool, the views whose label is turned, as mirroring turns "left" into
            "right"; None: labels are the same in all views.
        swap: the label that each label becomes there.
    """

    views: Tensor
    modality: str
    labels: Tensor
    clips: tuple[str, ...]
    manifest: str
    mirrored: Tensor | None = None
    swap: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.clips)

    def steps(self, batch: int) -> int:
        """Return the number of batches of an epoch."""
        return steps(len(self), batch)

    def epoch(self, epoch: int, *, batch: int, seed: int) -> Iterator[Batch]:
        """Yield every clip once, in an order drawn from (seed, epoch) alone."""
        for part in shuffled(len(self), epoch, batch=batch, seed=seed):
            yield self._take(part, epoch % len(self.views))

    def inorder(self, *, batch: int = 64, view: int = 0) -> Iterator[Batch]:
        """Yield every clip once, in the order of the catalogue, in one view."""
        for part in torch.arange(len(self)).split(batch):
            yield self._take(part, view)

    def _take(self, chosen: Tensor, view: int) -> Batch:
        labels = self.labels[chosen]
        if self.mirrored is not None:
            turned = torch.tensor(self.swap)[labels.clamp(min=0)]
            labels = turned.where(self.mirrored[view, chosen] & (labels >= 0), labels)
        return Batch(
            inputs=self.views[view].index_select(0, chosen),
            modality=self.modality,
            labels=labels,
            clips=tuple(self.clips[i] for i in chosen.tolist()),
        )


def steps(clips: int, batch: int) -> int:
    """Return the number of batches of an epoch."""
    return -(-clips // batch)


def shuffled(clips: int, epoch: int, *, batch: int, seed: int) -> list[Tensor]:
    """Return the places of the clips in each batch of an epoch, int64 (B,) each.

    The batches are as even as can be: a remainder of one clip would leave BatchNorm nothing to
    normalise over.
    """
    order = np.random.default_rng([seed, epoch]).permutation(clips)
    return [torch.as_tensor(part) for part in np.array_split(order, steps(clips, batch))]
