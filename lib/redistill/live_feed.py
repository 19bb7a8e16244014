"""Clips with what a frozen network says of them as they are shown: no view is held in memory.

The counterpart of ``TaughtFeed`` for sets that are streamed with new views for ever, where the
teacher has to see each crop anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from redistill.feed import Feed
from redistill.files import sha256_json
from redistill.nets.video import Taps, VideoNet
from redistill.phase import digest
from redistill.predict import evaluating
from redistill.source import source_hash
from redistill.stream_feed import StreamFeed
from redistill.taught_feed import TaughtBatch


@dataclass(frozen=True, kw_only=True)
class LiveFeed:
    """Labelled clips with a teacher in the loop; the protocol of ``redistill.feed.Feed``.

    Attributes:
        feed: pictures and labels.
        classes: K.
        teacher: a frozen network, or None: labels alone.
        keep: of how many of its last stages the maps are kept.
        device: ``cpu`` or ``cuda``, where the teacher is.
        amp: bfloat16 autocast of its forward pass.
    """

    feed: Feed | StreamFeed
    classes: int
    teacher: VideoNet | None = None
    keep: int = 0
    device: str = "cpu"
    amp: bool = False

    @property
    def modality(self) -> str:
        """Of the pictures."""
        return self.feed.modality

    @property
    def manifest(self) -> str:
        """Hash of all that a student sees; of the teacher its weights and the source."""
        state = self.teacher.state_dict() if self.teacher is not None else {}
        weights = {name: digest(tensor) for name, tensor in state.items()}
        how = repr(self.teacher), weights, self.keep, self.amp, self.classes
        return sha256_json([self.feed.manifest, *how, source_hash(__name__)])

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.feed)

    def steps(self, batch: int) -> int:
        """Return the number of batches of an epoch."""
        return self.feed.steps(batch)

    def epoch(self, epoch: int, *, batch: int, seed: int) -> Iterator[TaughtBatch]:
        """Yield every clip once, with what the teacher says of it in this view."""
        for shown in self.feed.epoch(epoch, batch=batch, seed=seed):
            labels = F.one_hot(shown.labels, self.classes).float()
            yield TaughtBatch(
                inputs=shown.inputs,
                modality=shown.modality,
                labels=labels,
                weights=torch.ones(len(labels)),
                negatives=torch.zeros_like(labels, dtype=torch.bool),
                uppers=(self._hear(shown.ready(self.device)),) if self.teacher is not None else (),
                partner=None,
                clips=shown.clips,
            )

    def _hear(self, inputs: Tensor) -> Taps:
        with (
            evaluating(self.teacher),
            torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.amp),
        ):
            return self.teacher.taps(inputs, keep=self.keep).float()
