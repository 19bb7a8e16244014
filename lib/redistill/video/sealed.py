"""Labels that are read once, at the end, and counted (design 4)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from redistill.errors import CatalogError

if TYPE_CHECKING:
    from redistill.video.splits import Clip


class SealedLabels:
    """True labels behind a counter.

    Attributes:
        reasons: why they were read, in order.
    """

    def __init__(self, labels: Sequence[int] | np.ndarray) -> None:
        kept = np.array(labels, np.int64)
        # In a closure: no attribute shows the labels to a debugger, a repr or a careless loop.
        self._read = kept.copy
        self._count = len(kept)
        self.reasons: list[str] = []

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"<{self._count} sealed labels, read {self.reads} times>"

    def __reduce__(self) -> str:
        raise CatalogError("sealed labels cannot be copied or sent to a worker; hand on the clips")

    @property
    def reads(self) -> int:
        """How often the labels were read."""
        return len(self.reasons)

    def open(self, reason: str) -> np.ndarray:
        """Return the labels, int64 (N,), and count the read.

        Args:
            reason: what they are read for; goes into the record.

        Raises:
            CatalogError: no reason given.
        """
        if not reason.strip():
            raise CatalogError("sealed labels were opened without a reason; say what they are for")
        self.reasons.append(reason)
        return self._read()

    def score(self, predictions: np.ndarray, reason: str) -> float:
        """Return the share of ``predictions`` (N,) that are right, and count the read.

        Raises:
            CatalogError: another number of predictions than of labels.
        """
        if np.shape(predictions) != (self._count,):
            raise CatalogError(
                f"predictions have shape {np.shape(predictions)}; there are {self._count} sealed "
                "labels: give one class number per test clip, in order"
            )
        return float(np.mean(np.asarray(predictions) == self.open(reason)))


class SealedClips(SealedLabels):
    """Test clips with their labels sealed: each ``Clip`` carries the label -1.

    Attributes:
        clips: the clips, in the order of the labels.
    """

    def __init__(self, clips: Sequence["Clip"]) -> None:
        super().__init__([clip.label for clip in clips])
        self.clips = tuple(replace(clip, label=-1) for clip in clips)
