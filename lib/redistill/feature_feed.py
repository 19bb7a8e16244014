"""Features of a frozen network, computed once: what the classifiers of all arms train on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from redistill.feed import Feed, shuffled, steps
from redistill.files import sha256_json
from redistill.hashes import sha256_tensors
from redistill.methods.arms import OWN
from redistill.nets.exits import STAGES, stage_features
from redistill.predict import evaluating


@dataclass(frozen=True)
class FeatureBatch:
    """What one step of the classifiers sees.

    Attributes:
        features: of each stage (B, S, C, h, w), float32.
        teachers: network to its logits (B, K) for these clips; ``own`` is the student's last exit.
        labels: (B,) int64.
        clips: names of the clips, for messages.
    """

    features: tuple[Tensor, ...]
    teachers: Mapping[str, Tensor]
    labels: Tensor
    clips: tuple[str, ...]

    def ready(self, device: str) -> list[Tensor]:
        """Return what the classifiers take: the features on the device."""
        return [x.to(device, non_blocking=True) for x in self.features]


@dataclass(frozen=True, kw_only=True)
class FeatureFeed:
    """All views of all clips as features; the protocol of ``redistill.feed.Feed``.

    Attributes:
        features: of each stage (V, N, S, C, h, w), float32.
        teachers: network to logits (V, N, K).
        modality, labels, clips, manifest: as in a feed; the manifest covers the networks too.
    """

    features: tuple[Tensor, ...]
    teachers: Mapping[str, Tensor]
    modality: str
    labels: Tensor
    clips: tuple[str, ...]
    manifest: str

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.clips)

    def steps(self, batch: int) -> int:
        """Return the number of batches of an epoch."""
        return steps(len(self), batch)

    def epoch(self, epoch: int, *, batch: int, seed: int) -> Iterator[FeatureBatch]:
        """Yield every clip once, in the order in which a feed of pictures yields them."""
        for part in shuffled(len(self), epoch, batch=batch, seed=seed):
            yield self._take(part, epoch % len(self.features[0]))

    def inorder(self, *, batch: int = 64) -> Iterator[FeatureBatch]:
        """Yield every clip once, in the order of the catalogue, in view 0."""
        for part in torch.arange(len(self)).split(batch):
            yield self._take(part, 0)

    def last(self) -> Tensor:
        """Return the logits (N, K) of the student's own last exit, in view 0."""
        return self.teachers[OWN][0]

    def _take(self, chosen: Tensor, view: int) -> FeatureBatch:
        return FeatureBatch(
            features=tuple(x[view].index_select(0, chosen) for x in self.features),
            teachers={name: z[view].index_select(0, chosen) for name, z in self.teachers.items()},
            labels=self.labels[chosen],
            clips=tuple(self.clips[i] for i in chosen.tolist()),
        )


def feature_feeds(
    nets: Mapping[str, nn.Module],
    feeds: Mapping[str, Feed],
    *,
    device: str,
    paths: Sequence[str] = STAGES,
) -> dict[str, FeatureFeed]:
    """Pass every view of every clip through each frozen network once; the networks teach another.

    Args:
        nets: modality to its network; not a bit of it changes.
        feeds: modality to its pictures; the same clips and views for all.
        device: ``cpu`` or ``cuda``; the features are kept on the CPU.
        paths: modules whose output is kept.

    Returns:
        By modality of the student.
    """
    found = {m: _features(net, feeds[m], device=device, paths=paths) for m, net in nets.items()}
    logits = {modality: z for modality, (_, z) in found.items()}
    known = {name: sha256_tensors([z]) for name, z in logits.items()}
    return {
        modality: FeatureFeed(
            features=stages,
            teachers=logits | {OWN: own},
            modality=modality,
            labels=feeds[modality].labels,
            clips=feeds[modality].clips,
            manifest=sha256_json([feeds[modality].manifest, known, list(paths)]),
        )
        for modality, (stages, own) in found.items()
    }


def _features(
    net: nn.Module, feed: Feed, *, device: str, paths: Sequence[str]
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return what leaves each stage, (V, N, S, C, h, w), and the logits (V, N, K)."""
    held: list[Tensor] = []
    with evaluating(net):
        for view in range(len(feed.views)):
            start = 0
            for batch in feed.inorder(view=view):
                caught, logits = stage_features(net, batch.ready(device), paths)
                parts = [*caught, logits]
                if not held:
                    held = [torch.empty(len(feed.views), len(feed), *x.shape[1:]) for x in parts]
                for kept, x in zip(held, parts, strict=True):
                    kept[view, start : start + len(x)] = x
                start += len(batch.clips)
    *stages, own = held
    return tuple(stages), own
