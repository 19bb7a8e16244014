"""Time the reader against bare decoding: CPU time, one thread, medians, ratios within one run.

Run by ``make bench``; exits with 1 when a limit is broken.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np

from redistill.video import MODALITIES, encode_mpeg4, load_clip, probe, segment_positions

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "video"))

from slow_definition import EXPORT_MOTION, slow_clip  # noqa: E402

LIMITS = {"a": 3.5, "b": 3.0, "c": 20.0}
WIDTH, HEIGHT, FRAMES = 340, 256, 120


def moving_clip(seed: int = 0) -> Iterator[np.ndarray]:
    """Yield 120 frames of 340x256: four textured squares over a panning scene, and noise."""
    rng = np.random.default_rng(seed)
    scene = _texture(rng, HEIGHT * 2, WIDTH * 2, 3.0)
    squares = [(_texture(rng, 64, 64, 2.0), rng.integers(0, 190, 2)) for _ in range(4)]
    speeds = ((2, 1), (-3, 2), (1, -4), (0, 3))
    for t in range(FRAMES):
        frame = np.roll(scene, (-t, -2 * t), (0, 1))[:HEIGHT, :WIDTH].astype(np.int16)
        for (square, start), speed in zip(squares, speeds, strict=True):
            y, x = (start + np.multiply(speed, t)) % (HEIGHT - 64, WIDTH - 64)
            frame[y : y + 64, x : x + 64] = square
        frame += rng.normal(0, 3, frame.shape).round().astype(np.int16)
        yield frame.clip(0, 255).astype(np.uint8)


def _texture(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    y, x = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    low = np.exp(-2 * (np.pi * scale) ** 2 * (y**2 + x**2))[..., None]
    noise = np.fft.fft2(rng.standard_normal((height, width, 3)), axes=(0, 1))
    smooth = np.fft.ifft2(noise * low, axes=(0, 1)).real
    return (128 + 50 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def bare(path: Path, wanted: set[int] | None = None) -> None:
    """Open a clip and decode all frames, or the wanted ones, with motion export on."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.flags2 |= EXPORT_MOTION
        for index, packet in enumerate(container.demux(stream)):
            if wanted is None or index in wanted:
                packet.decode()


def frames_needed(path: Path, segments: int) -> set[int]:
    """Return the frames that must be decoded: from each wanted GOP's start to its last wanted."""
    lengths = probe(path).gop_lengths
    last: dict[int, int] = {}
    for modality in MODALITIES:
        for gop, pos in segment_positions(lengths, modality, segments=segments):
            last[gop] = max(pos, last.get(gop, 0))
    return {sum(lengths[:gop]) + pos for gop, end in last.items() for pos in range(end + 1)}


def ratio(work: Callable[[], object], base: Callable[[], object], repeats: int) -> float:
    """Return the median CPU time of ``work`` over that of ``base``, measured in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats + 2):
        for task, seconds in zip((work, base), times, strict=True):
            start = time.process_time()
            task()
            seconds.append(time.process_time() - start)
    ours, theirs = (statistics.median(seconds[2:]) for seconds in times)
    print(f"    {1000 * ours:8.2f} ms against {1000 * theirs:8.2f} ms")
    return ours / theirs


def main() -> int:
    """Print (a) to (c) with their limits; return 1 if one is broken."""
    broken = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.avi"
        encode_mpeg4(path, moving_clip())
        needed, lengths = frames_needed(path, 3), probe(path).gop_lengths
        chosen = {m: segment_positions(lengths, m, segments=25) for m in MODALITIES}
        print(f"{FRAMES} frames {WIDTH}x{HEIGHT}, {os.path.getsize(path)} bytes")
        figures = {
            "a": ratio(lambda: load_clip(path, segments=25), lambda: bare(path), 41),
            "b": ratio(lambda: load_clip(path), lambda: bare(path, needed), 41),
            "c": 1
            / ratio(lambda: load_clip(path, segments=25), lambda: slow_clip(path, chosen), 3),
        }
    texts = {
        "a": "25 segments x 3 modalities, times bare decoding (wanted 2.5)",
        "b": "3 segments x 3 modalities, times bare decoding of the frames needed",
        "c": "25 segments x 3 modalities, times faster than the slow definition",
    }
    for name, value in figures.items():
        limit, least = LIMITS[name], name == "c"
        holds = value >= limit if least else value <= limit
        word = "at least" if least else "at most"
        print(f"({name}) {value:6.2f}  {word} {limit:5.2f}  {texts[name]}")
        broken += [] if holds else [name]
    if broken:
        print(f"broken: {', '.join(broken)}")
    return int(bool(broken))


if __name__ == "__main__":
    raise SystemExit(main())
