"""Clips with soft labels and with what frozen networks say of them: what a student trains on.

A frozen network sees every view of every clip once (`say`), whoever learns from it afterwards.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from redistill.feed import Feed, shuffled, steps
from redistill.files import sha256_json
from redistill.nets.video import Taps, VideoNet
from redistill.phase import digest
from redistill.predict import evaluating
from redistill.stream_feed import StreamFeed
from redistill.video.scaling import scale


@dataclass(frozen=True)
class TaughtBatch:
    """What one step of a student sees.

    Attributes:
        inputs: (B, T, C, h, w) uint8.
        modality: of the inputs.
        labels: (B, K) float32, soft.
        weights: (B,) float32, how much each label counts.
        negatives: (B, K) bool, classes that a clip is held not to show.
        uppers: what each network above says of these clips in this view.
        partner: embeddings (B, d) of the network that the correlation is measured to, if that is
            another than the first upper.
        clips: names of the clips, for messages.
    """

    inputs: Tensor
    modality: str
    labels: Tensor
    weights: Tensor
    negatives: Tensor
    uppers: tuple[Taps, ...]
    partner: Tensor | None
    clips: tuple[str, ...]

    def ready(self, device: str) -> Tensor:
        """Return what the network takes: the inputs on the device, scaled, float32."""
        return scale(self.inputs.to(device, non_blocking=True), self.modality)


@dataclass(frozen=True, kw_only=True)
class TaughtFeed:
    """Clips with their soft labels and teachers; the protocol of ``redistill.feed.Feed``.

    Attributes:
        feed: the pictures; their own labels are not looked at.
        labels: (N, K) float32, soft.
        weights: (N,) float32.
        negatives: (N, K) bool.
        pool: clips that are visited once an epoch, places in the feed, int64.
        trusted: clips of which each batch holds a share besides, places in the feed.
        trusted_share: of a batch, at least; drawn with replacement.
        uppers: what each network above says, (V, N, …); its logits may be (1, N, K).
        partner: as ``uppers``, for the correlation.
        turn: views are taken from this one on, so that branches may see different ones.
    """

    feed: Feed
    labels: Tensor
    weights: Tensor
    negatives: Tensor
    pool: Tensor
    trusted: Tensor
    trusted_share: float = 0.0
    uppers: tuple[Taps, ...] = ()
    partner: Taps | None = None
    turn: int = 0

    @property
    def modality(self) -> str:
        """Of the pictures."""
        return self.feed.modality

    @property
    def manifest(self) -> str:
        """Hash of all that a student sees; of the networks above what they say."""
        said = [digest(bank.logits) for bank in self.uppers]
        other = digest(self.partner.embedding) if self.partner else ""
        ours = (self.labels, self.weights, self.negatives, self.pool, self.trusted)
        parts = [self.feed.manifest, [digest(x) for x in ours], said, other]
        return sha256_json([*parts, self.trusted_share, self.turn])

    def __len__(self) -> int:
        """Return the number of clips of the pool."""
        return len(self.pool)

    def steps(self, batch: int) -> int:
        """Return the number of batches of an epoch."""
        return steps(len(self.pool), batch - self._extra(batch))

    def epoch(self, epoch: int, *, batch: int, seed: int) -> Iterator[TaughtBatch]:
        """Yield every clip of the pool once, and in each batch the share of trusted ones."""
        extra = self._extra(batch)
        for number, part in enumerate(
            shuffled(len(self.pool), epoch, batch=batch - extra, seed=seed)
        ):
            chosen = self.pool[part]
            if extra:
                drawn = np.random.default_rng([seed, epoch, number, 1])
                places = torch.as_tensor(drawn.integers(len(self.trusted), size=extra))
                chosen = torch.cat([chosen, self.trusted[places]])
            yield self._take(chosen, (epoch + self.turn) % len(self.feed.views))

    def _extra(self, batch: int) -> int:
        return int(np.ceil(self.trusted_share * batch)) if len(self.trusted) else 0

    def _take(self, chosen: Tensor, view: int) -> TaughtBatch:
        labels = self.labels[chosen]
        if self.feed.mirrored is not None:  # what a mirror shows may be another class
            turned = self.feed.mirrored[view, chosen]
            labels = torch.where(turned[:, None], labels[:, list(self.feed.swap)], labels)
        return TaughtBatch(
            inputs=self.feed.views[view].index_select(0, chosen),
            modality=self.modality,
            labels=labels,
            weights=self.weights[chosen],
            negatives=self.negatives[chosen],
            uppers=tuple(_of(bank, view, chosen) for bank in self.uppers),
            partner=_of(self.partner, view, chosen).embedding if self.partner else None,
            clips=tuple(self.feed.clips[i] for i in chosen.tolist()),
        )


def _of(bank: Taps, view: int, chosen: Tensor) -> Taps:
    """Return what a network says of some clips in one view; what has one view has it for all."""
    return bank.apply(lambda x: x[min(view, len(x) - 1)].index_select(0, chosen))


def say(
    net: VideoNet, feed: Feed | StreamFeed, *, device: str, keep: int = 0, amp: bool = False
) -> Taps:
    """Pass every view of every clip through a frozen network once.

    Args:
        net: not a bit of it changes.
        feed: the clips.
        device: ``cpu`` or ``cuda``; what is said is kept on the CPU.
        keep: of how many of the last stages the maps are kept.
        amp: bfloat16 autocast.

    Returns:
        Logits (V, N, K), embeddings (V, N, d), maps (V, N, C, T, H, W); float32.
    """
    held: list[Tensor] = []
    views = feed.views if isinstance(feed, StreamFeed) else len(feed.views)
    with evaluating(net):
        for view in range(views):
            start = 0
            for batch in feed.inorder(view=view):
                with torch.autocast(device, dtype=torch.bfloat16, enabled=amp):
                    taps = net.taps(batch.ready(device), keep=keep).float()
                parts = (taps.logits, taps.embedding, *taps.maps)
                if not held:
                    held = [torch.empty(views, len(feed), *x.shape[1:]) for x in parts]
                for kept, x in zip(held, parts, strict=True):
                    kept[view, start : start + len(x)] = x
                start += len(batch.clips)
    logits, embedding, *maps = held
    return Taps(logits, embedding, tuple(maps))


def averaged(bank: Taps) -> Taps:
    """Return a bank whose logits are one for all views: the logarithm of the mean probability.

    A network that saw few labels errs on single views; its mean over views is a better teacher
    (spec/substage.md 7.4).
    """
    mean = torch.log_softmax(bank.logits, -1).logsumexp(0, keepdim=True)
    return Taps(mean - np.log(len(bank.logits)), bank.embedding, bank.maps)
