"""Open a clip, sort its packets into GOPs, decode the GOPs that are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from av.codec.context import Flags2
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from redistill.errors import VideoError
from redistill.video.container import decode, decode_packets, read_packets
from redistill.video.guard import REMEDY, examine
from redistill.video.motion import SourceMap


@dataclass(frozen=True)
class VideoInfo:
    """What the headers of a clip tell; ``reason`` is None where motion can be accumulated.

    ``frames`` and ``gop_lengths`` are exact where the clip is admitted; else ``gop_lengths``
    is empty and ``frames`` counts packets, of which some may give no frame or two.
    """

    path: Path
    codec: str
    width: int
    height: int
    fps: float
    frames: int
    gop_lengths: tuple[int, ...]
    reason: str | None


class Source:
    """A clip whose packets are in memory and whose file is closed again.

    Raises:
        VideoError: the file is missing, broken, truncated, or holds no video.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        context, fps, packets = read_packets(self.path)
        context.flags2 |= Flags2.export_mvs
        types, reason = examine(context.name, context.extradata or b"", [*map(bytes, packets)])
        if reason is None and any(packet.is_discard for packet in packets):
            reason = "an edit list hides some of its frames"
        gops: list[list[tuple[Packet, bool]]] = []
        for packet, kind in zip(packets, types, strict=True) if reason is None else ():
            if kind == "I":
                gops.append([])
            if gops:
                gops[-1].append((packet, bool(kind)))
        lengths = tuple(sum(coded for _, coded in gop) for gop in gops)
        # What an edit list hides is decoded and not shown.
        seen = sum(not packet.is_discard for packet in packets)
        frames = sum(lengths) if reason is None else seen
        if not frames or not context.width or not context.height:
            raise VideoError(f"{path}: it holds no frames. Remove it or get it again.")
        self.info = VideoInfo(
            self.path, context.name, context.width, context.height, float(fps or 0), frames,
            lengths, reason,
        )  # fmt: skip
        self.owner: object = None
        self._context, self._gops, self._reformatter = context, gops, VideoReformatter()
        self._packets = packets

    def rgb(self, frame: VideoFrame) -> np.ndarray:
        """Return a view of the frame as uint8 (H, W, 3) RGB; its rows may be padded."""
        # One reformatter for all frames: a frame's own would set up its tables anew each time.
        # rgb24 and no other target: several leave right-hand columns unwritten.
        plane = self._reformatter.reformat(frame, format="rgb24", threads=1).planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(frame.height, plane.line_size)
        return rows[:, : 3 * frame.width].reshape(frame.height, frame.width, 3)

    @cached_property
    def maps(self) -> SourceMap:
        """The source map of the GOP being decoded."""
        return SourceMap(self.info.width, self.info.height)

    def admitted(self) -> "Source":
        """Return the source itself, or raise VideoError with the guard's reason."""
        if self.info.reason is not None:
            raise VideoError(f"{self.path}: {self.info.reason}. {REMEDY}")
        return self

    def frames(self, gop: int, stop: int) -> Iterator[VideoFrame]:
        """Decode the first ``stop`` frames of a GOP, sending no packet beyond them.

        The decoder serves one GOP at a time; ``owner`` says which.

        Raises:
            VideoError: broken data, or fewer frames than the headers announce.
        """
        self._context.flush_buffers()
        given = sent = 0
        for packet, coded in (*self._gops[gop], (None, False)):
            if given == stop:
                return
            if sent == stop and packet is not None:
                continue
            sent += coded
            for frame in self._send(packet):
                yield self._check(frame, gop, given)
                given += 1
        if given < stop:
            raise VideoError(
                f"{self.path}: GOP {gop} gives {given} frames where its headers announce {stop}. "
                f"{REMEDY}"
            )

    def shown(self) -> Iterator[VideoFrame]:
        """Decode all frames of any clip, refused or not, in the order they are shown.

        Raises:
            VideoError: while iterating: broken data.
        """
        self._context.flush_buffers()
        return decode_packets(self.path, self._context, self._packets)

    def _send(self, packet: Packet | None) -> list[VideoFrame]:
        return decode(self.path, self._context, packet)

    def _check(self, frame: VideoFrame, gop: int, pos: int) -> VideoFrame:
        info = self.info
        if frame.is_corrupt:
            raise VideoError(f"{self.path}: frame {pos} of GOP {gop} is broken. Get it again.")
        if (frame.width, frame.height) != (info.width, info.height):
            raise VideoError(
                f"{self.path}: frame {pos} of GOP {gop} is {frame.width}x{frame.height} in a "
                f"{info.width}x{info.height} clip. {REMEDY}"
            )
        return frame


def probe(path: Path | str) -> VideoInfo:
    """Read a clip's headers and the guard's verdict, decoding nothing.

    Raises:
        VideoError: the file is missing, broken, truncated, or holds no video.
    """
    return Source(path).info
