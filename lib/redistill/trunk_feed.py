"""The classifiers' batches made in every step, by one pass over each frozen network.

For sets whose features do not fit into memory, and for one defect of the released code: there the
"frozen" student runs in training mode, so that its BatchNorm statistics drift.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from redistill.feature_feed import FeatureBatch, FeatureFeed, feature_feeds
from redistill.feed import Batch, Feed
from redistill.methods.arms import OWN
from redistill.nets.exits import stage_features
from redistill.predict import evaluating, predict


def exit_feeds(
    nets: Mapping[str, nn.Module],
    feeds: Mapping[str, Feed],
    *,
    stream: bool,
    device: str,
    name: str,
) -> "dict[str, FeatureFeed | TrunkFeed]":
    """Return what classifiers train on, by modality of the student.

    Args:
        nets: modality to its trained network.
        feeds: modality to its pictures.
        stream: make the features in every step instead of keeping them.
        device: ``cpu`` or ``cuda``.
        name: identity of the networks.
    """
    if not stream:
        return feature_feeds(nets, feeds, device=device)
    shared = {"nets": nets, "feeds": feeds, "device": device, "name": name}
    return {m: TrunkFeed(modality=m, student=net, **shared) for m, net in nets.items()}


@dataclass(frozen=True, kw_only=True)
class TrunkFeed:
    """What ``FeatureFeed`` yields, the same numbers, without keeping anything.

    Attributes:
        modality: of the student.
        student: the network that bears the classifiers; a copy of its own if it may drift.
        nets: modality to its trained network; all teach.
        feeds: modality to its pictures; the same clips and views for all.
        device: ``cpu`` or ``cuda``.
        drift: pass the student in training mode, as released: its BatchNorm normalises by the
            batch and its running statistics change (spec/progressive.md 4.4).
        name: identity of the networks, for the hash of a phase.
    """

    modality: str
    student: nn.Module
    nets: Mapping[str, nn.Module]
    feeds: Mapping[str, Feed]
    device: str
    name: str
    drift: bool = False

    @property
    def _own(self) -> Feed:
        return self.feeds[self.modality]

    @property
    def labels(self) -> Tensor:
        """Labels of the clips, (N,)."""
        return self._own.labels

    @property
    def clips(self) -> tuple[str, ...]:
        """Names of the clips."""
        return self._own.clips

    @property
    def manifest(self) -> str:
        """Identity of pictures and networks."""
        return f"{self._own.manifest} {self.name} {'drift' if self.drift else ''}"

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self._own)

    def steps(self, batch: int) -> int:
        """Return the number of batches of an epoch."""
        return self._own.steps(batch)

    def epoch(self, epoch: int, *, batch: int, seed: int) -> Iterator[FeatureBatch]:
        """Yield every clip once, in the order of the feeds of pictures."""
        views = [feed.epoch(epoch, batch=batch, seed=seed) for feed in self.feeds.values()]
        for batches in zip(*views, strict=True):
            yield self._features(dict(zip(self.feeds, batches, strict=True)), drift=self.drift)

    def inorder(self, *, batch: int = 64) -> Iterator[FeatureBatch]:
        """Yield every clip once, in the order of the catalogue, the networks at rest."""
        views = [feed.inorder(batch=batch) for feed in self.feeds.values()]
        for batches in zip(*views, strict=True):
            yield self._features(dict(zip(self.feeds, batches, strict=True)), drift=False)

    def last(self) -> Tensor:
        """Return the logits (N, K) of the student's own last exit, in view 0."""
        return predict(self.student, self._own, device=self.device)

    def _features(self, batches: Mapping[str, Batch], *, drift: bool) -> FeatureBatch:
        own = batches[self.modality]
        with evaluating(self.student):
            self.student.train(drift)
            stages, logits = stage_features(self.student, own.ready(self.device))
        teachers = {OWN: logits.float()}
        for modality, net in self.nets.items():
            with evaluating(net):
                teachers[modality] = net(batches[modality].ready(self.device)).float()
        return FeatureBatch(
            features=tuple(x.float() for x in stages),
            teachers=teachers,
            labels=own.labels,
            clips=own.clips,
        )
