"""The three modalities of the same clips in one batch, and the loss of a network that sees them.

A file of its own, so that the hash of a jointly trained network depends on nothing else.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from redistill.errors import RedistillError
from redistill.feed import Batch, Feed, steps
from redistill.files import sha256_json
from redistill.modality import MODALITIES


@dataclass(frozen=True)
class JointBatch:
    """What one step of TEAM-Net sees: the same clips in the three modalities.

    Attributes:
        parts: in the order of ``MODALITIES``.
        labels: (B,) int64.
        clips: names of the clips, for messages.
    """

    parts: tuple[Batch, ...]
    labels: Tensor
    clips: tuple[str, ...]

    def ready(self, device: str) -> tuple[Tensor, ...]:
        """Return what the network takes: three inputs (B, S, C, h, w), scaled."""
        return tuple(part.ready(device) for part in self.parts)


@dataclass(frozen=True, kw_only=True)
class JointFeed:
    """The feeds of the three modalities as one; the protocol of ``redistill.feed.Feed``.

    The order of a feed comes from its length, the seed and the epoch alone, so feeds of the same
    clips stay abreast.

    Attributes:
        parts: in the order of ``MODALITIES``; ``StreamFeed`` serves as well.
        views: of each clip; None without end.
        labels, clips, manifest: as in a feed.
        modality: a name for the three.
    """

    parts: tuple[Feed, ...]
    views: int | None
    labels: Tensor
    clips: tuple[str, ...]
    manifest: str
    modality: str = "joint"

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.clips)

    def steps(self, batch: int) -> int:
        """Return the number of batches of an epoch."""
        return steps(len(self), batch)

    def epoch(self, epoch: int, *, batch: int, seed: int) -> Iterator[JointBatch]:
        """Yield every clip once, in the order in which each part yields it."""
        return _abreast(part.epoch(epoch, batch=batch, seed=seed) for part in self.parts)

    def inorder(self, *, batch: int = 64, view: int = 0) -> Iterator[JointBatch]:
        """Yield every clip once, in the order of the catalogue, in one view."""
        return _abreast(part.inorder(batch=batch, view=view) for part in self.parts)


def _abreast(batches: Iterable[Iterator[Batch]]) -> Iterator[JointBatch]:
    for parts in zip(*batches, strict=True):
        if len({part.clips for part in parts}) > 1:
            raise RedistillError(f"feeds out of step: {[part.clips for part in parts]}")
        yield JointBatch(parts, parts[0].labels, parts[0].clips)


def join(feeds: Mapping[str, Feed]) -> JointFeed:
    """Return one feed of the feeds of the three modalities.

    Raises:
        RedistillError: a modality is missing, or the feeds are not of the same clips.
    """
    if set(feeds) != set(MODALITIES):
        raise RedistillError(
            f"a joint feed of {sorted(feeds)}: give one feed for each of {', '.join(MODALITIES)}"
        )
    parts = tuple(feeds[modality] for modality in MODALITIES)
    views = [len(part.views) if isinstance(part, Feed) else part.views for part in parts]
    same = {(part.clips, tuple(part.labels.tolist())) for part in parts}
    if len(same) > 1 or len(set(views)) > 1:
        raise RedistillError(
            f"a joint feed of unlike clips: {[len(part) for part in parts]} clips in {views} "
            "views; give three feeds of the same clips, labels and views, in one order"
        )
    return JointFeed(
        parts=parts,
        views=views[0],
        labels=parts[0].labels,
        clips=parts[0].clips,
        manifest=sha256_json([part.manifest for part in parts]),
    )


def joint_cross_entropy(logits: Tensor, batch: JointBatch, done: float = 0.0) -> Tensor:
    """Cross-entropy of the sum of the streams' logits (3, B, K): the loss of TEAM-Net."""
    return F.cross_entropy(logits.sum(0), batch.labels.to(logits.device))
