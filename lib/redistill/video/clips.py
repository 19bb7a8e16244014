"""From clips to the tensors a network trains on: sampling, scaling, crops."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch.utils.data import Dataset

from redistill.errors import ConfigError
from redistill.modality import MODALITIES, PICTURES, RGB, check_modality
from redistill.video.colour import jitter
from redistill.video.gop import load_clip
from redistill.video.keyed import generator, unit
from redistill.video.protocol import read_protocol
from redistill.video.sampling import Position, grid_positions, segment_positions
from redistill.video.scaling import scale, to_bytes
from redistill.video.splits import Clip
from redistill.video.transforms import (
    SCALES,
    SHARED_SCALES,
    apply_view,
    centre_view,
    draw_view,
    full_side,
    third_view,
)

__all__ = ["ClipDataset", "ClipLoader", "scale"]


@dataclass(frozen=True, kw_only=True)
class ClipLoader:
    """How a clip becomes tensors.

    Attributes:
        size: side of the network's input, in pixels.
        train: random segments, crops, flips and colours of pictures; else segment centres and
            the centre crop.
        modalities: which to load.
        segments: parts of the clip that are looked at.
        seed: of every draw, together with the view, the clip's id and the modality.
        flip: whether training may mirror (the catalogue's ``flip``); with the label that each
            label becomes, mirrored clips take that.
        shared_crop: one crop and flip for all modalities of an item; else one for each.
        sampling: of rgb in training: ``grid`` (one offset a clip) or ``segments`` (TSN: each
            frame anywhere in its segment).
        protocol: of rgb outside training, ``<offsets>x<crops>`` (``read_protocol``).
    """

    size: int
    train: bool
    modalities: tuple[str, ...] = MODALITIES
    segments: int = 3
    seed: int = 0
    flip: bool | tuple[int, ...] = False
    shared_crop: bool = True
    sampling: str = "grid"
    protocol: str = "1x1"

    def __post_init__(self) -> None:
        """Refuse impossible numbers."""
        for modality in self.modalities:
            check_modality(modality)
        if self.size < 8 or self.segments < 1 or not self.modalities:
            raise ConfigError(
                f"size {self.size}, segments {self.segments}, modalities {self.modalities}: give "
                "a size of at least 8, at least 1 segment and 1 modality"
            )
        if self.sampling not in ("grid", "segments"):
            raise ConfigError(f"sampling = {self.sampling!r}: choose 'grid' or 'segments'")
        plain = self.sampling == "grid" and read_protocol(self.protocol) == (1, 1)
        if not plain and self.modalities != (RGB,):
            raise ConfigError(
                f"sampling = {self.sampling!r}, protocol = {self.protocol!r} with modalities "
                f"{self.modalities}: only 'rgb' alone has these; take 'grid' and '1x1'"
            )

    @property
    def views(self) -> int:
        """Number of views outside training."""
        offsets, crops = read_protocol(self.protocol)
        return offsets * crops

    @property
    def side(self) -> int:
        """Side of what is loaded, in pixels: crops in three are larger than ``size``."""
        whole = not self.train and read_protocol(self.protocol)[1] > 1
        return full_side(self.size) if whole else self.size

    def label(self, clip: Clip, view: int) -> int:
        """Return a view's label: of a mirrored one, what its clip's label becomes."""
        turned = clip.label >= 0 and self.mirrors(clip.id, view)
        return self.flip[clip.label] if turned else clip.label

    def mirrors(self, clip: str, view: int) -> bool:
        """Tell, where labels turn, whether a view is mirrored: by its key, in all modalities."""
        turns = self.train and isinstance(self.flip, tuple)
        return turns and unit(self.seed, view, clip, "mirror") < 0.5

    def load(self, clip: Clip, views: Sequence[int]) -> dict[str, torch.Tensor]:
        """Load several views of a clip in one decoding pass.

        Args:
            clip: the clip.
            views: numbers of the views; without ``train`` they repeat after ``views``.

        Returns:
            For each modality uint8 (V, S, C, side, side) in the integer stage of spec 1.4.

        Raises:
            VideoError: the file cannot be used.
        """
        # Crops of one moment share its frames.
        moments = tuple(dict.fromkeys(map(self._moment, views)))
        sample = partial(self._sample, clip.id, moments)
        raw = load_clip(clip.path, modalities=self.modalities, sample=sample)
        result = {}
        for modality, values in raw.items():
            x = torch.from_numpy(to_bytes(values, modality)).permute(0, 3, 1, 2)
            parts = dict(zip(moments, x.split(self.segments), strict=True))
            windows = [self._window(parts[self._moment(v)], clip.id, v, modality) for v in views]
            result[modality] = torch.stack(windows)
        return result

    def _moment(self, view: int) -> int:
        """Return what a view's frames depend on: in training the view, else its offset."""
        return view if self.train else view % self.views // read_protocol(self.protocol)[1]

    def _sample(
        self, clip: str, moments: Sequence[int], lengths: tuple[int, ...]
    ) -> Mapping[str, Sequence[Position]]:
        def draw(modality: str, moment: int) -> list[Position]:
            rng = generator(self.seed, moment, clip, modality, "time") if self.train else None
            if modality != RGB:
                return segment_positions(lengths, modality, segments=self.segments, rng=rng)
            shift = (moment + 0.5) / read_protocol(self.protocol)[0]
            apart = self.sampling == "segments"
            return grid_positions(lengths, frames=self.segments, rng=rng, shift=shift, apart=apart)

        return {m: [place for one in moments for place in draw(m, one)] for m in self.modalities}

    def _window(self, x: torch.Tensor, clip: str, view: int, modality: str) -> torch.Tensor:
        if not self.train:
            crops = read_protocol(self.protocol)[1]
            if crops == 1:
                return centre_view(x, size=self.size)
            return third_view(x, view % crops, size=self.size)
        owner, scales = ("all", SHARED_SCALES) if self.shared_crop else (modality, SCALES[modality])
        rng = generator(self.seed, view, clip, owner, "crop")
        height, width = x.shape[-2:]
        chosen = draw_view(
            rng, width, height, size=self.size, scales=scales, flip=self.flip is True
        )
        if isinstance(self.flip, tuple):
            chosen = replace(chosen, mirrored=self.mirrors(clip, view))
        window = apply_view(x, chosen, size=self.size, modality=modality)
        if modality not in PICTURES:
            return window
        # Colours that change from frame to frame would be a motion of their own.
        return jitter(window, generator(self.seed, view, clip, "colour"), alike=modality == RGB)


class ClipDataset(Dataset):
    """Items: modality -> uint8 (S, C, size, size), ``label`` (-1 where sealed) and ``index``.

    An item depends on its clip, the seed and the view alone: the same with any number of
    workers and after a resume.  A file that cannot be used raises VideoError; ``bank`` can drop
    it instead.

    Args:
        clips: the clips, in order.
        loader: how they are loaded.
        views: the epoch's view is epoch % views; None draws new views for ever.
    """

    def __init__(
        self, clips: Sequence[Clip], loader: ClipLoader, *, views: int | None = None
    ) -> None:
        if views is not None and (views < 1 or (views != loader.views and not loader.train)):
            raise ConfigError(
                f"views = {views}: at least 1, and outside training those of its protocol, "
                f"{loader.views}"
            )
        self.clips, self.loader, self.views = tuple(clips), loader, views
        # Shared, so that workers that outlive an epoch see the next one.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the items to come, in running workers too."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor | int]:
        clip, epoch = self.clips[index], int(self._epoch)
        view = epoch % self.views if self.views else epoch
        tensors = self.loader.load(clip, [view])
        item = {modality: views[0] for modality, views in tensors.items()}
        return item | {"label": self.loader.label(clip, view), "index": index}
