"""Write clips as real bitstreams, bit for bit the same on every run."""

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from redistill.errors import VideoError
from redistill.files import write_atomic

# Without these two flags swscale's result depends on the vector unit it finds.
_EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT

Frames = Iterable[np.ndarray | VideoFrame]
Size = tuple[int, int] | None


def encode_mpeg4(
    path: Path | str,
    frames: Frames,
    *,
    fps: Fraction | int = 25,
    gop: int = 12,
    quantiser: int = 3,
    bframes: int = 0,
    size: Size = None,
) -> int:
    """Write an MPEG-4 Part 2 .avi of I + P frames in strict GOPs (spec 1.2).

    Args:
        path: target; appears whole or not at all.
        frames: uint8 (H, W, 3) RGB arrays or decoded frames, all of one size.
        fps: frames per second.
        gop: frames per GOP; no other I-frames are inserted.
        quantiser: fixed quantiser scale, 1 (finest) to 31.
        bframes: B frames between references; above 0 only to test the guard.
        size: (width, height) to scale to, aspect ratio not kept; None keeps the size.

    Returns:
        The number of frames written.

    Raises:
        VideoError: no frames, frames of unlike sizes, or a stream the encoder refuses.
    """
    options = {
        "flags": "+qscale+bitexact" + ("" if bframes else "+cgop"),
        "global_quality": str(118 * quantiser),  # FF_QP2LAMBDA
        "qmin": str(quantiser),
        "qmax": str(quantiser),
        "g": str(gop),
        "bf": str(bframes),
        "sc_threshold": "1000000000",
        "dct": "int",
        "idct": "simple",
    }
    return _encode(Path(path), frames, "mpeg4", Fraction(fps), options, size)


def encode_h264(
    path: Path | str,
    frames: Frames,
    *,
    fps: Fraction | int = 25,
    gop: int = 12,
    refs: int = 1,
    bframes: int = 0,
    qp: int = 20,
    open_gop: bool = False,
    size: Size = None,
) -> int:
    """Write an H.264 .mp4; the defaults give a stream on which motion can be accumulated.

    Args:
        path: target; appears whole or not at all.
        frames: uint8 (H, W, 3) RGB arrays or decoded frames, all of one even size.
        fps: frames per second.
        gop: frames per GOP; no other I-frames are inserted.
        refs: reference frames; above 1 only to test the guard.
        bframes: B frames between references; above 0 only to test the guard.
        qp: fixed quantiser, 0 to 51.
        open_gop: let frames refer across GOPs; only to test the guard.
        size: (width, height) to scale to; None keeps the size.

    Returns:
        The number of frames written.

    Raises:
        VideoError: no frames, frames of unlike sizes, or a stream the encoder refuses.
    """
    x264 = (
        f"keyint={gop}:min-keyint={1 if open_gop else gop}:scenecut=0:open-gop={int(open_gop)}:"
        f"ref={refs}:bframes={bframes}:b-adapt=0:weightp=0:weightb=0:qp={qp}:threads=1:"
        "lookahead-threads=1"
    )
    options = {"flags": "+bitexact", "preset": "medium", "x264-params": x264}
    return _encode(Path(path), frames, "libx264", Fraction(fps), options, size)


def _encode(
    path: Path, frames: Frames, codec: str, fps: Fraction, options: dict[str, str], size: Size
) -> int:
    """Encode in memory, then write the file whole or not at all."""
    planar = _planar(path, frames, size)
    first = next(planar, None)
    if first is None:
        raise VideoError(f"{path}: no frames to encode. Give at least one.")
    data, count, container = io.BytesIO(), 0, "avi" if codec == "mpeg4" else "mp4"
    try:
        with av.open(data, "w", format=container, options={"fflags": "+bitexact"}) as target:
            stream = target.add_stream(codec, rate=fps, options=options)
            stream.width, stream.height, stream.pix_fmt = first.width, first.height, "yuv420p"
            stream.codec_context.thread_count = 1
            stream.time_base = stream.codec_context.time_base = 1 / fps
            for count, frame in enumerate(chain([first], planar), 1):
                frame.pts, frame.time_base = count - 1, 1 / fps
                target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(
            f"{path}: {codec} cannot encode it ({error}). Check size and fps."
        ) from error
    write_atomic(path, data.getvalue())
    return count


def _planar(path: Path, frames: Frames, size: Size) -> Iterator[VideoFrame]:
    """Yield 4:2:0 frames of one size, with the picture type left to the encoder."""
    seen, reformatter = size, VideoReformatter()
    for index, frame in enumerate(frames):
        if not isinstance(frame, VideoFrame):
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        width, height = size or (frame.width, frame.height)
        seen = seen or (width, height)
        if (width, height) != seen:
            raise VideoError(
                f"{path}: frame {index} is {width}x{height} after {seen[0]}x{seen[1]}. "
                "Give frames of one size."
            )
        planar = reformatter.reformat(
            frame, width, height, "yuv420p", interpolation=_EXACT, threads=1
        )
        # A decoded frame carries its old type, which would force I-frames where it had them.
        planar.pict_type = 0
        yield planar
