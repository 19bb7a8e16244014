"""The slow per-block definition of accumulated motion and residual (spec 1.3, in RGB order)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import av
import numpy as np

EXPORT_MOTION = 1 << 28


def decode(
    path: Path, *, limit: int | None = None
) -> Iterator[tuple[bool, np.ndarray, np.ndarray]]:
    """Yield (is it an I-frame, RGB pixels, motion records) of each frame, decoded plainly."""
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.flags2 |= EXPORT_MOTION
        for count, frame in enumerate(container.decode(stream)):
            if count == limit:
                return
            vectors = frame.side_data.get("MOTION_VECTORS")
            records = np.zeros(0) if vectors is None else vectors.to_ndarray()
            yield frame.key_frame, frame.to_ndarray(format="rgb24"), records


Wanted = Mapping[str, Sequence[tuple[int, int]]]


def slow_maps(path: Path, *, limit: int | None = None) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield (I-frame, frame, source map (H, W, 2)) of each frame."""
    for key, frame, records in decode(path, limit=limit):
        if key:
            y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
            intra, source = frame, np.stack([x, y], axis=-1)
        else:
            source = slow_step(source, records)
        yield intra, frame, source


def slow_gops(path: Path, *, limit: int | None = None) -> list[list[tuple[np.ndarray, ...]]]:
    """Return for each GOP a list of (frame, motion, residual)."""
    gops: list[list[tuple[np.ndarray, ...]]] = []
    for intra, frame, source in slow_maps(path, limit=limit):
        if frame is intra:
            gops.append([])
        gops[-1].append((frame, slow_motion(source), slow_residual(intra, frame, source)))
    return gops


def slow_motion(source: np.ndarray) -> np.ndarray:
    """Return p - S(p)."""
    y, x = np.mgrid[: source.shape[0], : source.shape[1]]
    return np.stack([x, y], axis=-1) - source


def slow_residual(intra: np.ndarray, frame: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return frame(p) - I-frame(S(p))."""
    return frame.astype(int) - intra[source[..., 1], source[..., 0]]


def slow_clip(path: Path, chosen: Wanted) -> dict[str, list[np.ndarray]]:
    """Return what load_clip returns, by the slow definition."""
    wanted = {place for places in chosen.values() for place in places}
    found, gop, pos = {}, -1, 0
    for intra, frame, source in slow_maps(path):
        gop, pos = (gop + 1, 0) if frame is intra else (gop, pos + 1)
        if (gop, pos) in wanted:
            found[gop, pos] = intra, frame, source
    return {
        "iframe": [found[place][1] for place in chosen["iframe"]],
        "mv": [slow_motion(found[place][2]) for place in chosen["mv"]],
        "residual": [slow_residual(*found[place]) for place in chosen["residual"]],
    }


def slow_step(old: np.ndarray, records: np.ndarray) -> np.ndarray:
    """Move a source map (H, W, 2) by the blocks of one frame, one block after the other."""
    height, width = old.shape[:2]
    new = old.copy()
    names = ("w", "h", "src_x", "src_y", "dst_x", "dst_y")
    for w, h, src_x, src_y, dst_x, dst_y in (map(int, (r[n] for n in names)) for r in records):
        dx, dy = dst_x - src_x, dst_y - src_y
        if (dx, dy) == (0, 0):
            continue
        y, x = np.mgrid[dst_y - h // 2 : dst_y + h // 2, dst_x - w // 2 : dst_x + w // 2]
        here = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        there = (x - dx >= 0) & (x - dx < width) & (y - dy >= 0) & (y - dy < height)
        y, x = y[here & there], x[here & there]
        new[y, x] = old[y - dy, x - dx]
    return new
