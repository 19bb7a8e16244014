"""Open video files of any kind and read their packets; every failure is one VideoError."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from redistill.errors import VideoError
from redistill.video.matroska import segment_end

# Text, playlists and images would open too; playlists even other files.
_FORMATS = (
    "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,m4v,h264,hevc,av1,obu,ivf,mpeg,mpegts,mpegvideo,"
    "asf,flv,ogg,nut,rm,dv,wav,mp3,aac,flac"
)


def decode_all(path: Path) -> tuple[Fraction, Iterator[VideoFrame]]:
    """Return the frame rate of a clip of any kind and its frames, in the order they are shown.

    Raises:
        VideoError: now or while iterating: the file is missing, broken, truncated or no video.
    """
    context, rate, packets = read_packets(path)
    rate = rate or Fraction(25)
    # MPEG-4 Part 2 counts time in at most 65535 ticks a second.
    rate = rate.limit_denominator(max(1, min(1001, int(65535 / rate))))
    return rate, decode_packets(path, context, packets)


def decode_packets(
    path: Path, context: VideoCodecContext, packets: Sequence[Packet]
) -> Iterator[VideoFrame]:
    """Decode all packets from the start, in the order the frames are shown.

    Raises:
        VideoError: while iterating: broken data.
    """
    for packet in (*packets, None):
        for frame in decode(path, context, packet):
            if frame.is_corrupt:
                raise VideoError(f"{path}: one of its frames is broken. Get it again.")
            yield frame


def decode(path: Path, context: VideoCodecContext, packet: Packet | None) -> list[VideoFrame]:
    """Return the frames that a packet brings to light; None asks for those still held back."""
    with _named(path):
        return context.decode(packet)


def read_packets(path: Path) -> tuple[VideoCodecContext, Fraction | None, list[Packet]]:
    """Return the decoder, frame rate and packets of a file's first video stream.

    Raises:
        VideoError: the file is missing, broken, holds no video or ends before its last packet.
    """
    with _open(path) as container:
        if not container.streams.video:
            raise VideoError(f"{path}: it has no video stream. Remove it from the data set.")
        stream = container.streams.video[0]
        context = stream.codec_context
        if context is None:
            raise VideoError(f"{path}: its video codec is unknown. Get it in another format.")
        with _named(path):
            packets = [packet for packet in container.demux(stream) if packet.size]
        avi = container.format.name == "avi"
        ends = (entry.pos + entry.size for entry in stream.index_entries)
        short = len(packets) < stream.frames if avi else max(ends, default=0) > path.stat().st_size
        if "matroska" in container.format.name:
            with path.open("rb") as file:
                short = short or segment_end(file.read(4096)) > path.stat().st_size
        if short or any(packet.is_corrupt for packet in packets):
            announced = f" of {stream.frames}" if stream.frames else ""
            raise VideoError(
                f"{path}: it is truncated ({len(packets)}{announced} frames found). Get it again."
            )
        context.thread_count = 1
        context.options = {"err_detect": "explode"}  # broken data is an error, not a grey block
        return context, stream.average_rate or stream.base_rate, packets


def _open(path: Path) -> InputContainer:
    if not path.is_file():
        what = "it is a folder" if path.is_dir() else "there is no such file"
        raise VideoError(f"{path}: {what}. Give the path of a video file.")
    if not path.stat().st_size:
        raise VideoError(f"{path}: the file is empty. Remove it or get it again.")
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    with _named(path):
        return av.open(str(path.absolute()), metadata_errors="replace", container_options=options)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn every failure of FFmpeg into a VideoError that names the file."""
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        if getattr(error, "errno", None) == errno.EACCES:
            raise VideoError(f"{path}: no permission to read it. Change its mode.") from error
        text = getattr(error, "strerror", None) or str(error)
        raise VideoError(
            f"{path}: it cannot be read as video ({text}). Get it again or remove it."
        ) from error
