"""The frames of one clip, taken apart one by one as they are asked for, and kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from redistill.errors import VideoError
from redistill.figures import compensate, pale, visible
from redistill.video.gop import Gop
from redistill.video.motion import SourceMap
from redistill.video.source import Source

ARROWS = 8  # across and down
KEPT = 48  # looks
WIDE = 200  # pixels; larger pictures are shown with every second, third, ... pixel


@dataclass(frozen=True, eq=False)
class Look:
    """One frame of a GOP, taken apart; numbers are of all pixels, pictures of what is shown.

    Attributes:
        pictures: uint8 (h, w, 3) or (h, w) by name: intra, frame, pale, moved, residual, rebuilt,
            error.
        size: (width, height) of the clip, pixels.
        step: int16 (ARROWS**2, 2), vectors since the frame before at ``places``, (x, y) pixels.
        motion: the same, accumulated since the I-frame.
        stepped: mean length of all vectors since the frame before, pixels.
        moved: mean length of all accumulated vectors, pixels.
        left: mean absolute residual, grey levels of 255.
        error: largest difference of the frame and the moved I-frame plus residual.
    """

    pictures: dict[str, np.ndarray]
    size: tuple[int, int]
    step: np.ndarray
    motion: np.ndarray
    stepped: float
    moved: float
    left: float
    error: int


class Player:
    """A clip of which any frame can be looked at.

    Forwards a frame costs its own decoding; the last ``KEPT`` looks cost nothing.

    Attributes:
        lengths: frames of each GOP.
    """

    def __init__(self, path: Path | str) -> None:
        """Read the packets of a clip.

        Raises:
            VideoError: the file is missing or broken, or motion cannot be read from it.
        """
        self._source = Source(path).admitted()
        self._steps = _Steps(Source(path))
        self._gop = Gop(self._source, 0)
        self._intra: np.ndarray | None = None
        self._looks: dict[tuple[int, int], Look] = {}
        self.lengths = self._source.info.gop_lengths

    def look(self, gop: int, pos: int) -> Look:
        """Return a frame of a GOP, both from 0.

        Raises:
            VideoError: there is none, or its data is broken.
        """
        if not 0 <= gop < len(self.lengths):
            raise VideoError(
                f"{self._source.path}: there is no GOP {gop}. Use 0 to {len(self.lengths) - 1}."
            )
        try:
            found = self._looks.pop((gop, pos), None) or self._take(gop, pos)
        except VideoError:
            self._intra = None  # a decoder that has failed goes on from nowhere
            self._steps.forget()
            raise
        self._looks[gop, pos] = found  # last in, last out
        if len(self._looks) > KEPT:
            del self._looks[next(iter(self._looks))]
        return found

    def _take(self, gop: int, pos: int) -> Look:
        if gop != self._gop.index or self._intra is None:
            self._gop = Gop(self._source, gop)
            self._intra = self._gop.frame(0)
        frame, motion = self._gop.frame(pos), self._gop.motion(pos)
        residual, intra = self._gop.residual(pos), self._intra
        return take_apart(intra, frame, self._steps.motion(gop, pos), motion, residual)


class _Steps:
    """Motion of single frames: the vectors of a frame alone, on the pixels they move."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._map = SourceMap(source.info.width, source.info.height)
        self._frames: Iterator[VideoFrame] = iter(())
        self.forget()

    def forget(self) -> None:
        """Start anew at the next frame."""
        self._at = -1, 0

    def motion(self, gop: int, pos: int) -> np.ndarray:
        """Return int16 (H, W, 2), pixel's place minus its place in the frame before."""
        if self._at[0] != gop or self._at[1] >= pos:
            self._frames = self._source.frames(gop, self._source.info.gop_lengths[gop])
            self._at = gop, -1
        vectors = None
        while self._at[1] < pos:
            vectors = next(self._frames).side_data.get(Type.MOTION_VECTORS)
            self._at = gop, self._at[1] + 1
        self._map.reset()
        if vectors is not None and pos:
            self._map.add([bytes(vectors)])
        out = np.empty((self._source.info.height, self._source.info.width, 2), np.int16)
        self._map.motion(out)
        return out


def places(size: tuple[int, int]) -> np.ndarray:
    """Return where arrows end, int (ARROWS**2, 2), (x, y) pixels: an even grid of any picture."""
    xs, ys = ((np.arange(ARROWS) + 0.5) * side // ARROWS for side in size)
    return np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).astype(int)


def take_apart(
    intra: np.ndarray, frame: np.ndarray, step: np.ndarray, motion: np.ndarray, residual: np.ndarray
) -> Look:
    """Return what is to be seen and said of a frame.

    Args:
        intra: uint8 (H, W, 3), the GOP's I-frame.
        frame: uint8 (H, W, 3).
        step: int16 (H, W, 2), motion since the frame before.
        motion: int16 (H, W, 2), motion since the I-frame.
        residual: int16 (H, W, 3).
    """
    moved = compensate(intra, motion)
    rebuilt = moved + residual
    error = np.abs(rebuilt - frame).max(2)
    whole = {"intra": intra, "frame": frame, "pale": pale(frame), "moved": moved}
    whole |= {"residual": visible(residual), "rebuilt": rebuilt, "error": error}
    size = frame.shape[1], frame.shape[0]
    thin = -(-size[0] // WIDE)
    x, y = places(size).T
    return Look(
        pictures={
            name: np.clip(picture[::thin, ::thin], 0, 255).astype(np.uint8)
            for name, picture in whole.items()
        },
        size=size,
        step=step[y, x],
        motion=motion[y, x],
        stepped=float(np.hypot(step[..., 0], step[..., 1]).mean()),
        moved=float(np.hypot(motion[..., 0], motion[..., 1]).mean()),
        left=float(np.abs(residual).mean()),
        error=int(error.max()),
    )
