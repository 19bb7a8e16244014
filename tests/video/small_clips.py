"""Small clips for the tests of the reader, each made in milliseconds."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from redistill.video import encode_h264, encode_mpeg4


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return a smooth random picture, uint8 (H, W, 3), on which motion search finds its way."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 4 + 3, width // 4 + 3, 3)).astype(float)
    fine = coarse.repeat(4, axis=0).repeat(4, axis=1)
    for axis in (0, 1):
        fine = sum(np.roll(fine, shift, axis) for shift in range(5)) / 5
    return fine[:height, :width].astype(np.uint8)


def panning(
    frames: int = 26, *, width: int = 112, height: int = 96, step: tuple[int, int] = (3, 2)
) -> Iterator[np.ndarray]:
    """Yield frames whose content moves by ``step`` = (right, down) pixels each, without wrap."""
    dx, dy = step
    room_x, room_y = abs(dx) * frames, abs(dy) * frames
    big = texture(height + room_y, width + room_x)
    for t in range(frames):
        x = room_x - dx * t if dx > 0 else -dx * t
        y = room_y - dy * t if dy > 0 else -dy * t
        yield big[y : y + height, x : x + width]


def lively(frames: int = 26, *, width: int = 116, height: int = 84) -> Iterator[np.ndarray]:
    """Yield a pan with fast squares that cross the border and a cut, noise on top."""
    rng = np.random.default_rng(7)
    squares = [texture(30, 30, seed) for seed in (1, 2, 3)]
    speeds = ((7, -5), (-6, 3), (2, 9))
    for t, frame in enumerate(panning(frames, width=width, height=height, step=(-2, 1))):
        frame = frame[:, ::-1].astype(int) if t > frames * 2 // 3 else frame.astype(int)
        for square, (dx, dy) in zip(squares, speeds, strict=True):
            y, x = (10 + dy * t) % (height - 8), (20 + dx * t) % (width - 8)
            part = frame[y : y + 30, x : x + 30]
            part[...] = square[: part.shape[0], : part.shape[1]]
        yield (frame + rng.integers(-3, 4, frame.shape)).clip(0, 255).astype(np.uint8)


def write(path: Path, frames: Iterator[np.ndarray], **options: object) -> Path:
    """Encode to .avi (MPEG-4) or .mp4 (H.264) by suffix; return the path."""
    encode = encode_mpeg4 if path.suffix == ".avi" else encode_h264
    encode(path, frames, **options)
    return path


def write_with(
    path: Path, codec: str, frames: Iterator[np.ndarray], options: dict[str, str] | None = None
) -> Path:
    """Encode with any encoder of FFmpeg, for streams that the house's own never writes."""
    with av.open(str(path), "w") as container:
        stream = None
        for index, pixels in enumerate(frames):
            if stream is None:
                stream = container.add_stream(codec, rate=25, options=options or {})
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_audio(path: Path) -> Path:
    """Write a file that holds sound and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    return path
