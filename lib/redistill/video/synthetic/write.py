"""Write a synthetic set to disk: in parallel, restartable, whole or not there."""

import csv
import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import av

from redistill.errors import CatalogError
from redistill.files import cache_root, sha256_file, write_atomic
from redistill.video.encode import encode_h264, encode_mpeg4
from redistill.video.parallel import Progress, spread
from redistill.video.synthetic.factors import ClipFactors, draw, plan
from redistill.video.synthetic.render import render
from redistill.video.synthetic.spec import GOP, SyntheticSpec

MANIFEST = "manifest.csv"
TRUTH = "truth.csv"
Row = Mapping[str, Any]


def encoder_version() -> str:
    """Return the encoding library's version: another one may write other bits."""
    return "libavcodec " + ".".join(map(str, av.library_versions["libavcodec"]))


def ensure(
    spec: SyntheticSpec,
    *,
    root: Path | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Return the folder of a set, making what is missing.

    A set is complete once its ``manifest.csv`` is there; it is written last.  Streams appear by
    renaming, so that a killed run leaves whole streams only and the next one goes on from them.

    Args:
        spec: what to make.
        root: folder of all synthetic sets; None is the cache.
        workers: processes; 0 works in this one.
        progress: called with (done, total) clips.
    """
    folder = (root or cache_root() / "synthetic") / spec.key(encoder_version())
    if (folder / MANIFEST).exists():
        return folder
    clips = list(plan(spec))
    write = partial(_write_clip, spec, folder)
    hashes = list(spread(write, clips, workers=workers, progress=progress))
    truth = [{"clip": c.clip, "label": c.label, "active_gops": c.active_gops} for c in clips]
    write_atomic(folder / TRUTH, _csv(truth))
    common = {"world": spec.world, "encoder": encoder_version()}
    rows = [c.row() | common | {"sha256": h} for c, h in zip(clips, hashes, strict=True)]
    write_atomic(folder / MANIFEST, _csv(rows))
    return folder


def example(*, label: int = 0) -> Path:
    """Return the stream of one clip of the default world, made where it is missing."""
    spec = SyntheticSpec()
    path = cache_root() / "synthetic" / f"example-{spec.key(encoder_version())}-{label}.avi"
    if not path.exists():
        encode_mpeg4(path, render(spec, draw(spec, "example", label, number=0)))
    return path


def stream_path(folder: Path, row: Row, codec: str) -> Path:
    """Return where a clip's stream lies in its set's folder."""
    return folder / row["split"] / f"{row['clip']}{'.mp4' if codec == 'h264' else '.avi'}"


def read_rows(folder: Path, name: str = MANIFEST) -> list[Row]:
    """Return the rows of a set's manifest; the values are strings as written.

    Raises:
        CatalogError: the set is not there or not complete.
    """
    try:
        with (folder / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise CatalogError(
            f"{folder} holds no complete synthetic set ({name} cannot be read: {error}); "
            "open the data set again to finish it"
        ) from error


def _write_clip(spec: SyntheticSpec, folder: Path, clip: ClipFactors) -> str:
    """Write one stream if it is not there; return its SHA-256."""
    path = stream_path(folder, clip.row(), spec.codec)
    if not path.exists():
        encode = encode_h264 if spec.codec == "h264" else encode_mpeg4
        encode(path, render(spec, clip), fps=25, gop=GOP)
    return sha256_file(path)


def _csv(rows: list[Row]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
