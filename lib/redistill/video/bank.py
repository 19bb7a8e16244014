"""All views of all clips in memory, decoded once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from redistill.errors import ConfigError, VideoError
from redistill.video.clips import ClipDataset, ClipLoader
from redistill.video.parallel import Progress, spread
from redistill.video.splits import Clip


@dataclass(frozen=True, kw_only=True)
class ViewBank:
    """All views of all clips in memory, bit-equal to the items of the data set.

    Attributes:
        clips: those that could be loaded.
        labels: int64 (N,), -1 where sealed; of unmirrored clips.
        views: modality -> uint8 (V, N, S, C, size, size).
        dropped: (id, reason) of the others.
    """

    clips: tuple[Clip, ...]
    labels: torch.Tensor
    views: Mapping[str, torch.Tensor]
    dropped: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(x.nbytes for x in self.views.values())

    def batch(self, indices: torch.Tensor | Sequence[int], view: int) -> dict[str, torch.Tensor]:
        """Return modality -> uint8 (B, S, C, size, size); views repeat after the last."""
        chosen = torch.as_tensor(indices)
        return {m: x[view % x.shape[0]].index_select(0, chosen) for m, x in self.views.items()}


def bank(
    dataset: ClipDataset,
    *,
    workers: int = 0,
    on_bad: str = "raise",
    progress: Progress | None = None,
) -> ViewBank:
    """Decode all views of a data set once: its ``views``, or outside training the protocol's.

    Args:
        dataset: what to load.
        workers: processes; 0 works in this one.
        on_bad: ``raise`` at a clip that fails to decode, or ``drop`` and list it.
        progress: called with (done, total) clips.

    Raises:
        ConfigError: the data set draws new views for ever, or an unknown ``on_bad``.
        VideoError: a clip failed, or no clip is left.
    """
    loader = dataset.loader
    count = dataset.views or (0 if loader.train else loader.views)
    if not count or on_bad not in ("raise", "drop"):
        raise ConfigError(
            f"bank of a data set with views = {dataset.views}, on_bad = {on_bad!r}: give it views "
            "and 'raise' or 'drop'"
        )
    load = partial(_load, loader, range(count), on_bad == "drop")
    held: dict[str, torch.Tensor] = {}
    kept, dropped = [], []
    results = spread(load, dataset.clips, workers=workers, progress=progress)
    for clip, result in zip(dataset.clips, results, strict=True):
        if isinstance(result, str):
            dropped.append((clip.id, result))
            continue
        for modality, array in result.items():
            if modality not in held:
                shape = array.shape[0], len(dataset), *array.shape[1:]
                held[modality] = torch.empty(shape, dtype=torch.uint8)
            held[modality][:, len(kept)] = torch.from_numpy(array)
        kept.append(clip)
    if not kept:
        raise VideoError(f"none of {len(dataset)} clips could be loaded; first: {dropped[:1]}")
    labels = torch.tensor([clip.label for clip in kept])
    tensors = {modality: x[:, : len(kept)] for modality, x in held.items()}
    return ViewBank(clips=tuple(kept), labels=labels, views=tensors, dropped=tuple(dropped))


def _load(
    loader: ClipLoader, views: Sequence[int], drop: bool, clip: Clip
) -> dict[str, np.ndarray] | str:
    # Arrays, not tensors: those would travel as open files, and there are too few of them.
    try:
        return {m: x.numpy() for m, x in loader.load(clip, views).items()}
    except VideoError as error:
        if not drop:
            raise
        return str(error)
