"""Read a clip GOP by GOP: decoded frames, accumulated motion, residuals (spec 1.3, in RGB)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from redistill.errors import VideoError
from redistill.video.motion import widen
from redistill.video.source import Source


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
        self._pixels: dict[int, np.ndarray] = {}
        self._shown: dict[int, VideoFrame] = {}
        self._wide: np.ndarray | None = None
        self._pending: list[bytes] = []

    def __len__(self) -> int:
        return self._length

    def frame(self, pos: int, *, out: np.ndarray | None = None) -> np.ndarray:
        """Return the decoded frame as uint8 (H, W, 3) RGB.

        Raises:
            VideoError: ``pos`` lies outside the GOP, or the data is broken.
        """
        self._seek(pos)
        out = self._empty(3, np.uint8) if out is None else out
        np.copyto(out, self._rgb(pos))
        return out

    def motion(self, pos: int, *, out: np.ndarray | None = None) -> np.ndarray:
        """Return accumulated motion as int16 (H, W, 2): (x, y), current minus source.

        Raises:
            VideoError: ``pos`` lies outside the GOP, or the data is broken.
        """
        self._seek(pos)
        out = self._empty(2, np.int16) if out is None else out
        self._accumulate()
        self._source.maps.motion(out)
        return out

    def residual(self, pos: int, *, out: np.ndarray | None = None) -> np.ndarray:
        """Return the frame minus the motion-compensated I-frame as int16 (H, W, 3) RGB.

        Raises:
            VideoError: ``pos`` lies outside the GOP, or the data is broken.
        """
        self._seek(pos)
        out = self._empty(3, np.int16) if out is None else out
        self._accumulate()
        if self._wide is None:
            self._wide = widen(self._rgb(0))
        predicted = self._source.maps.fetch(self._wide)
        np.subtract(self._rgb(pos), predicted, out=out, dtype=np.int16)
        return out

    def _empty(self, channels: int, dtype: type) -> np.ndarray:
        info = self._source.info
        return np.empty((info.height, info.width, channels), dtype)

    def _seek(self, pos: int) -> None:
        """Decode up to ``pos``, keeping the vectors passed on the way."""
        if not 0 <= pos < self._length:
            raise VideoError(
                f"{self._source.path}: GOP {self.index} has no position {pos}. "
                f"Use 0 to {self._length - 1}."
            )
        if self._source.owner is not self or pos < self._pos:
            self._restart()
        while self._pos < pos:
            frame = next(self._frames)
            self._pos += 1
            vectors = frame.side_data.get(Type.MOTION_VECTORS)
            if vectors is not None and self._pos:
                self._pending.append(bytes(vectors))
            self._keep(frame)

    def _restart(self) -> None:
        self._source.owner = self
        self._source.maps.reset()
        self._frames = self._source.frames(self.index, self._stop)
        self._pos = -1
        self._pixels.clear(), self._shown.clear(), self._pending.clear()

    def _keep(self, frame: VideoFrame) -> None:
        """Hold the I-frame and the current frame, as decoded and as RGB, and no other."""
        for held in (self._shown, self._pixels):
            held.pop(self._pos - 1 if self._pos > 1 else -1, None)
        self._shown[self._pos] = frame

    def _rgb(self, pos: int) -> np.ndarray:
        if pos not in self._pixels:
            view = self._source.rgb(self._shown[pos])
            self._pixels[pos] = view
        return self._pixels[pos]

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
