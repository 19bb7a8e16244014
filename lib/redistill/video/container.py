"""Open video files of any kind and read their packets; every failure is one VideoError."""

import errno
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from redistill.errors import VideoError

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
    with open_clip(path) as container:
        stream = video_stream(path, container)
        packets = read_packets(path, container, stream)
        context = stream.codec_context
        rate = stream.average_rate or stream.base_rate or Fraction(25)
    # MPEG-4 Part 2 counts time in at most 65535 ticks a second.
    rate = Fraction(rate).limit_denominator(max(1, min(1001, int(65535 / rate))))
    return rate, _decode_packets(path, context, packets)


def _decode_packets(
    path: Path, context: VideoCodecContext, packets: Sequence[Packet]
) -> Iterator[VideoFrame]:
    context.thread_count = 1
    context.options = {"err_detect": "explode"}
    for packet in (*packets, None):
        try:
            frames = context.decode(packet)
        except av.error.FFmpegError as error:
            raise VideoError(f"{path}: {broken(error)}") from error
        for frame in frames:
            if frame.is_corrupt:
                raise VideoError(f"{path}: one of its frames is broken. Get it again.")
            yield frame


def open_clip(path: Path) -> InputContainer:
    """Open a file as a video container; every failure is a VideoError that names it."""
    if not path.is_file():
        what = "it is a folder" if path.is_dir() else "there is no such file"
        raise VideoError(f"{path}: {what}. Give the path of a video file.")
    if not path.stat().st_size:
        raise VideoError(f"{path}: the file is empty. Remove it or get it again.")
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    try:
        return av.open(str(path.absolute()), metadata_errors="replace", container_options=options)
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: {broken(error)}") from error


def video_stream(path: Path, container: InputContainer) -> VideoStream:
    """Return the first video stream of a file."""
    if not container.streams.video:
        raise VideoError(f"{path}: it has no video stream. Remove it from the data set.")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise VideoError(f"{path}: its video codec is unknown. Get it in another format.")
    return stream


def read_packets(path: Path, container: InputContainer, stream: VideoStream) -> list[Packet]:
    """Read all packets of a stream.

    Raises:
        VideoError: the file ends before its last packet.
    """
    try:
        packets = [packet for packet in container.demux(stream) if packet.size]
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: {broken(error)}") from error
    declared = stream.frames if container.format.name == "avi" else 0
    size = path.stat().st_size
    ends = (entry.pos + entry.size for entry in stream.index_entries)
    if (
        any(packet.is_corrupt for packet in packets)
        or len(packets) < declared
        or (container.format.name != "avi" and max(ends, default=0) > size)
    ):
        raise VideoError(
            f"{path}: it is truncated ({len(packets)} of {max(declared, stream.frames)} frames "
            "found). Get it again."
        )
    return packets


def broken(error: Exception) -> str:
    """Return a sentence for an error of FFmpeg."""
    if getattr(error, "errno", None) == errno.EACCES:
        return "no permission to read it. Change its mode."
    text = getattr(error, "strerror", None) or str(error)
    return f"it cannot be read as video ({text}). Get it again or remove it."
