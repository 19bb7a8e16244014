"""Read a clip: decoded frames, accumulated motion, residuals (spec 1.3, in RGB)."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from redistill.errors import VideoError
from redistill.modality import MODALITIES, RGB, check_modality
from redistill.video.motion import widen
from redistill.video.sampling import Position, segment_positions
from redistill.video.source import Source
from redistill.video.whole import load_frames, load_pictures

Sample = Callable[[tuple[int, ...]], Mapping[str, Sequence[Position]]]
_KINDS = {"iframe": (3, np.uint8), "mv": (2, np.int16), "residual": (3, np.int16)}
_KINDS |= {RGB: _KINDS["iframe"]}
"""Channels and type of each modality."""


class Gop:
    """One group of pictures: an I-frame and the P frames that build on it.

    Nothing is decoded before it is asked for.  Positions asked for in rising order cost one
    pass; going back, or to another GOP of the clip and back, starts this GOP again.
    """

    def __init__(self, source: Source, index: int, *, stop: int | None = None) -> None:
        """Bind a GOP of ``source``; frames from ``stop`` on will not be asked for."""
        lengths = source.info.gop_lengths
        self.index, self.start = index, sum(lengths[:index])
        self._source, self._length = source, lengths[index]
        self._stop = self._length if stop is None else stop
        self._frames: Iterator[VideoFrame] = iter(())
        self._pos = -1
        self._held: dict[int, VideoFrame | np.ndarray] = {}
        self._wide: np.ndarray | None = None
        self._pending: list[bytes] = []

    def __len__(self) -> int:
        return self._length

    def frame(self, pos: int, *, out: np.ndarray | None = None) -> np.ndarray:
        """Return the decoded frame as uint8 (H, W, 3) RGB.

        Raises:
            VideoError: ``pos`` lies outside the GOP, or the data is broken.
        """
        out = self._seek(pos, "iframe", out)
        np.copyto(out, self._rgb(pos))
        return out

    def motion(self, pos: int, *, out: np.ndarray | None = None) -> np.ndarray:
        """Return accumulated motion as int16 (H, W, 2): (x, y), current minus source.

        Raises:
            VideoError: ``pos`` lies outside the GOP, or the data is broken.
        """
        out = self._seek(pos, "mv", out)
        self._accumulate()
        self._source.maps.motion(out)
        return out

    def residual(self, pos: int, *, out: np.ndarray | None = None) -> np.ndarray:
        """Return the frame minus the motion-compensated I-frame as int16 (H, W, 3) RGB.

        Raises:
            VideoError: ``pos`` lies outside the GOP, or the data is broken.
        """
        out = self._seek(pos, "residual", out)
        self._accumulate()
        if self._wide is None:
            self._wide = widen(self._rgb(0))
        predicted = self._source.maps.fetch(self._wide)
        np.subtract(self._rgb(pos), predicted, out=out, dtype=np.int16)
        return out

    def _seek(self, pos: int, modality: str, out: np.ndarray | None) -> np.ndarray:
        """Decode up to ``pos``, keeping the vectors passed on the way; return what is to fill."""
        if not 0 <= pos < self._length:
            raise VideoError(
                f"{self._source.path}: GOP {self.index} has no position {pos}. "
                f"Use 0 to {self._length - 1}."
            )
        if self._source.owner is not self or pos < self._pos:
            self._source.owner = self
            self._source.maps.reset()
            self._frames = self._source.frames(self.index, self._stop)
            self._pos = -1
            self._pending.clear()
        while self._pos < pos:
            frame = next(self._frames)
            self._pos += 1
            vectors = frame.side_data.get(Type.MOTION_VECTORS)
            if vectors is not None and self._pos:
                self._pending.append(bytes(vectors))
            # The I-frame and the current frame are held, and no other.
            self._held = {0: self._held[0], self._pos: frame} if self._pos else {0: frame}
        info, (channels, dtype) = self._source.info, _KINDS[modality]
        return np.empty((info.height, info.width, channels), dtype) if out is None else out

    def _rgb(self, pos: int) -> np.ndarray:
        held = self._held[pos]
        if isinstance(held, VideoFrame):
            held = self._held[pos] = self._source.rgb(held)
        return held

    def _accumulate(self) -> None:
        self._source.maps.add(self._pending)
        self._pending.clear()


def read_gops(path: Path | str) -> Iterator[Gop]:
    """Give the GOPs of a clip; nothing is decoded before a GOP is asked for a position.

    Raises:
        VideoError: the file is missing, broken or truncated, or the guard refuses it.
    """
    source = Source(path).admitted()
    return (Gop(source, index) for index in range(len(source.info.gop_lengths)))


def load_clip(
    path: Path | str,
    *,
    segments: int = 3,
    modalities: Sequence[str] = MODALITIES,
    sample: Sample | None = None,
) -> dict[str, np.ndarray]:
    """Load a clip's segments: GOPs without a wanted frame are not decoded, others to the last one.

    Where "rgb" is all that is wanted, a folder of pictures or a video that the guard refuses
    will do: it counts as one GOP of all its frames and is decoded from its start.

    Args:
        path: the clip.
        segments: number of segments; not used when ``sample`` is given.
        modalities: any of "iframe", "mv", "residual", "rgb".
        sample: maps the GOP lengths to (GOP, position) pairs per modality; None takes the
            centres of the segments (spec 1.6, test); of "rgb" a uniform grid.

    Returns:
        "iframe" and "rgb" uint8 (S, H, W, 3), "mv" int16 (S, H, W, 2), "residual" int16
        (S, H, W, 3).

    Raises:
        ConfigError: an unknown modality, or no segment.
        VideoError: the file cannot be used, the guard refuses it and motion is wanted, or a
            position that the clip does not have.
    """
    wanted = dict.fromkeys(check_modality(modality) for modality in modalities)
    sample = sample or partial(_centres, tuple(wanted), segments)
    choose = partial(_rgb_of_one, path, sample)
    if Path(path).is_dir():
        if set(wanted) != {RGB}:
            raise VideoError(
                f"{path}: it is a folder of pictures, and motion is in video alone. Use the rgb "
                "modality."
            )
        return {RGB: load_pictures(Path(path), choose)}
    source = Source(path)
    if source.info.reason is not None and set(wanted) == {RGB}:
        return {RGB: load_frames(source, choose)}
    source.admitted()
    info, lengths = source.info, source.info.gop_lengths
    chosen = sample(lengths)
    # Each distinct (GOP, position, modality) is computed once, in decoding order, then copied.
    plan: dict[int, dict[tuple[int, str], list[int]]] = defaultdict(lambda: defaultdict(list))
    result = {}
    for modality in wanted:
        channels, dtype = _KINDS[modality]
        shape = len(chosen[modality]), info.height, info.width, channels
        result[modality] = np.empty(shape, dtype)
        for segment, (gop, pos) in enumerate(chosen[modality]):
            _check(path, lengths, gop, pos)
            plan[gop][pos, modality].append(segment)
    for index, places in sorted(plan.items()):
        gop = Gop(source, index, stop=1 + max(places)[0])
        read = {"iframe": gop.frame, RGB: gop.frame, "mv": gop.motion, "residual": gop.residual}
        for (pos, modality), (first, *others) in sorted(places.items()):
            read[modality](pos, out=result[modality][first])
            result[modality][others] = result[modality][first]
    return result


def _centres(
    modalities: Sequence[str], segments: int, lengths: tuple[int, ...]
) -> dict[str, list[Position]]:
    return {m: segment_positions(lengths, m, segments=segments) for m in modalities}


def _rgb_of_one(path: Path | str, sample: Sample, lengths: tuple[int, ...]) -> Sequence[Position]:
    chosen = sample(lengths)[RGB]
    for gop, pos in chosen:
        _check(path, lengths, gop, pos)
    return chosen


def _check(path: Path | str, lengths: tuple[int, ...], gop: int, pos: int) -> None:
    if not (0 <= gop < len(lengths) and 0 <= pos < lengths[gop]):
        raise VideoError(
            f"{path}: there is no position {pos} in GOP {gop} of {lengths}. Sample from the GOP "
            "lengths given."
        )
