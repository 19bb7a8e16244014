"""Accumulate block vectors over a GOP into a map of source pixels (spec 1.3), at array speed."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided

# FFmpeg's AVMotionVector: block size, centre in the reference, centre in the frame (pixels).
RECORD = np.dtype(
    {
        "names": ["size", "w", "h", "src", "dst"],
        "formats": ["u2", "u1", "u1", ("i2", 2), ("i2", 2)],
        "offsets": [4, 4, 5, 6, 10],
        "itemsize": 40,
    }
)
_SQUARE16 = 0x1010
_BATCH = 12


class SourceMap:
    """Where in the I-frame each pixel of the current frame comes from, as flat indices.

    Vectors lie on a grid of 16 or 8 pixel cells, the finest that both codecs export.  A frame
    is one gather: ``new(p) = old(p - d(p))``, with ``p`` itself where ``p - d(p)`` leaves the
    frame.  Rows are padded to whole cells; no pixel of the frame ever points into the padding.
    """

    def __init__(self, width: int, height: int) -> None:
        self._size = width, height
        self._columns, self._rows = -(-width // 16) * 2, -(-height // 16) * 2
        pixels = 8 * self._rows * width
        self._x = np.arange(width, dtype=np.int16)
        self._y = np.arange(8 * self._rows, dtype=np.int16)
        self._row_start = np.arange(0, pixels, width, dtype=np.intp).repeat(width)
        self._step = np.empty(pixels, np.intp)
        self._map, self._next = np.empty(pixels, np.int32), np.empty(pixels, np.int32)
        self._quads = np.empty(width * height, np.uint32)
        self._place = np.empty((height, width, 2), np.int16)
        self._place[..., 0], self._place[..., 1] = self._x, self._y[:height, None]
        self.moved = False

    def reset(self) -> None:
        """Start a GOP: every pixel comes from its own place."""
        self.moved = False

    def motion(self, out: np.ndarray) -> None:
        """Write int16 (H, W, 2): the pixel's place minus its source's place, as (x, y)."""
        if not self.moved:
            out[...] = 0
            return
        places = self._place.view(np.int32).reshape(-1)
        np.take(places, self._sources(), out=out.view(np.int32).reshape(-1), mode="wrap")
        np.subtract(self._place, out, out=out)

    def fetch(self, pixels: np.ndarray) -> np.ndarray:
        """Return uint8 (H, W, 3): pixels of the I-frame moved to where they are now.

        Args:
            pixels: the I-frame as ``widen`` gives it, uint32 (H * W,).
        """
        if self.moved:
            pixels = np.take(pixels, self._sources(), out=self._quads, mode="wrap")
        return narrow(pixels).reshape(*self._size[::-1], 3)

    def add(self, frames: Sequence[bytes]) -> None:
        """Compose the map with the next frames, each given as FFmpeg's motion records."""
        for start in range(0, len(frames), _BATCH):
            self._add(frames[start : start + _BATCH])

    def _add(self, frames: Sequence[bytes]) -> None:
        """Prepare some frames together on their grids of cells, then gather one by one."""
        records = np.frombuffer(b"".join(frames), RECORD)
        vectors = records["dst"] - records["src"]
        moving = np.flatnonzero(vectors.view(np.int32))
        counts = [len(frame) // RECORD.itemsize for frame in frames]
        when = np.repeat(np.arange(len(frames)), counts)[moving]
        field = self._field(records[moving], vectors[moving], when, len(frames))
        columns, strips = self._columns_of(field), list(self._strips(field[1]))
        step = self._step.reshape(len(columns[0]), -1, self._size[0])
        for time in np.flatnonzero(np.bincount(when)):
            # Two plain passes are faster than one sum of a row and a column.
            np.copyto(step, columns[time][:, None])
            np.add(self._step, self._row_start, out=self._step)
            for rows, own, outside in strips:
                np.copyto(self._step.reshape(-1, own.shape[1])[rows], own, where=outside[time])
            self._gather()

    def _gather(self) -> None:
        if not self.moved:
            np.copyto(self._map, self._step, casting="same_kind")
            self.moved = True
            return
        # An index never leaves the map; "wrap" is merely numpy's fastest way to be sure.
        np.take(self._map, self._step, out=self._next, mode="wrap")
        self._map, self._next = self._next, self._map

    def _sources(self) -> np.ndarray:
        """Return intp (H * W,): for each pixel the flat index of its source in the I-frame."""
        width, height = self._size
        sources = self._step[: width * height]  # free between two frames
        np.copyto(sources, self._map[: width * height])
        return sources

    def _field(
        self, records: np.ndarray, vectors: np.ndarray, when: np.ndarray, times: int
    ) -> np.ndarray:
        """Return vectors (n, 2) of frames ``when`` on cells, int16 (2, times, rows, columns)."""
        if (records["size"] == _SQUARE16).all():
            field = np.zeros((2, times, self._rows // 2, self._columns // 2), np.int16)
            _put(field, when, records["dst"] >> 4, vectors)
            return field
        field = np.zeros((2, times, self._rows, self._columns), np.int16)
        half = np.stack([records["w"], records["h"]], axis=1) >> 1
        corner = (records["dst"] - half) >> 3
        for down in (0, 1):
            for right in (0, 1):
                inside = (records["w"] > 8 * right) & (records["h"] > 8 * down)
                cells = corner[inside] + np.int16([right, down])
                _put(field, when[inside], cells, vectors[inside])
        return field

    def _columns_of(self, field: np.ndarray) -> np.ndarray:
        """Return int32 (times, rows, W): the source of x, as an offset from the row's start.

        The vertical part of the vector is included; x itself where x - dx lies outside.
        """
        width, _ = self._size
        cell = self._y.size // field.shape[2]
        across = np.repeat(field[0], cell, axis=2)[..., :width]
        offsets = np.multiply(field[1], width, dtype=np.int32) + field[0]
        offsets = np.repeat(offsets, cell, axis=2)[..., :width]
        # As unsigned numbers, columns left of the frame are large too.
        outside = (self._x - across).view(np.uint16) >= width
        np.copyto(offsets, 0, where=outside)
        return self._x - offsets

    def _strips(self, down: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Find sources above or below the frame: near its upper and lower border only.

        Args:
            down: vertical vectors, int16 (times, rows, columns).

        Yields:
            rows, the flat indices of their pixels (n, W), and where the source lies outside,
            bool (times, n, W).
        """
        width, height = self._size
        cell = self._y.size // down.shape[1]
        first = self._y[::cell, None]
        above, below = down > first, down < first + (cell - height)
        tops = slice(0, min(int(down[above].max(initial=0)), height))
        bottoms = slice(max(height + int(down[below].min(initial=0)), 0), height)
        for rows in (tops, bottoms):
            y = self._y[rows]
            if y.size:
                vertical = np.repeat(down[:, y // cell], cell, axis=2)[..., :width]
                outside = (y[:, None] - vertical).view(np.uint16) >= height
                yield rows, width * y[:, None].astype(np.intp) + self._x, outside


def widen(pixels: np.ndarray) -> np.ndarray:
    """Return each pixel of uint8 (H, W, 3), and a byte that does not matter, as uint32 (H * W,)."""
    flat = np.append(pixels.reshape(-1), np.uint8(0))
    return as_strided(flat[:4].view(np.uint32), (flat.size // 3,), (3,)).copy()


def narrow(quads: np.ndarray) -> np.ndarray:
    """Return the first 3 bytes of each uint32 (N,), as uint8 (N, 3)."""
    flat = np.empty(3 * quads.size + 1, np.uint8)
    # Each write spills one byte into the next pixel, which the next write then sets; numpy
    # copies one-dimensional arrays in rising order.
    as_strided(flat[:4].view(np.uint32), quads.shape, (3,))[...] = quads
    return flat[:-1].reshape(-1, 3)


def _put(field: np.ndarray, when: np.ndarray, cells: np.ndarray, vectors: np.ndarray) -> None:
    """Write vectors (n, 2) at cells (n, 2), both (x, y); what lies beyond the grid is dropped."""
    rows, columns = field.shape[2:]
    x, y = cells[:, 0], cells[:, 1]
    fits = (x < columns) & (y < rows)
    if not fits.all():
        when, x, y, vectors = when[fits], x[fits], y[fits], vectors[fits]
    field[0, when, y, x], field[1, when, y, x] = vectors[:, 0], vectors[:, 1]
