import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from redistill.errors import CatalogError
from redistill.files import sha256_file
from redistill.video import load_clip, probe
from redistill.video.catalog import open_catalog
from redistill.video.synthetic import (
    SyntheticSpec,
    draw,
    encoder_version,
    ensure,
    read_rows,
    render,
)
from redistill.video.synthetic.write import TRUTH, stream_path

PINNED_ENCODER = "libavcodec 62.28.102"
PINNED = {"train-c00-g00-0": "7461cb8d63932ca8", "test-c07-g00-1": "9769c6a0c387ee95"}
ONE = SyntheticSpec(world="motion_led", per_class=(1, 1, 1))


def test_streams_are_pinned(small_set):
    if encoder_version() != PINNED_ENCODER:
        pytest.skip(f"streams are pinned for {PINNED_ENCODER}; this is {encoder_version()}")
    found = {r["clip"]: r["sha256"][:16] for r in read_rows(small_set) if r["clip"] in PINNED}
    assert found == PINNED


def test_the_manifest_tells_all(small_set, small_spec):
    rows = read_rows(small_set)
    assert len(rows) == 8 * 6
    for row in rows[::7]:
        path = stream_path(small_set, row, "mpeg4")
        assert sha256_file(path) == row["sha256"]
        info = probe(path)
        assert (info.reason, info.gop_lengths) == (None, (12,) * 4)
        assert row["encoder"] == encoder_version()
        factors = draw(small_spec, row["split"], int(row["label"]), int(row["clip"][-1]))
        assert {k: str(v) for k, v in factors.row().items()}.items() <= row.items()
    assert "active_gops" not in rows[0]
    assert {r["active_gops"] for r in read_rows(small_set, TRUTH)} == {"1111"}


def test_decoded_frames_are_the_rendered_ones_but_for_coding_loss(small_set, small_spec):
    row = read_rows(small_set)[0]
    got = load_clip(
        stream_path(small_set, row, "mpeg4"),
        modalities=["iframe"],
        sample=lambda lengths: {"iframe": [(0, 0), (3, 11)]},
    )["iframe"]
    want = render(small_spec, draw(small_spec, row["split"], 0, 0))[[0, 47]]
    assert abs(got.astype(int) - want).mean() < 8


def test_an_interrupted_set_is_finished_to_the_same_bytes(tmp_path):
    whole = ensure(ONE, root=tmp_path / "whole", workers=2)
    part = ensure(ONE, root=tmp_path / "part")
    manifest = (part / "manifest.csv").read_bytes()
    assert manifest == (whole / "manifest.csv").read_bytes()
    streams = sorted(part.glob("*/*.avi"))
    (part / "manifest.csv").unlink()
    streams[0].unlink()
    kept = streams[1].stat().st_mtime_ns
    with pytest.raises(CatalogError, match="no complete synthetic set"):
        read_rows(part)
    assert ensure(ONE, root=tmp_path / "part") == part
    assert (part / "manifest.csv").read_bytes() == manifest
    assert streams[1].stat().st_mtime_ns == kept


def test_a_killed_writer_leaves_whole_streams_only(tmp_path):
    code = (
        "import sys; from pathlib import Path; from redistill.video.synthetic import *\n"
        "ensure(SyntheticSpec(world='motion_led', per_class=(1, 1, 1)), root=Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    deadline = time.monotonic() + 30
    while len(list(tmp_path.glob("*/*/*.avi"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(tmp_path.glob("*/manifest.csv"))
    streams = list(tmp_path.glob("*/*/*.avi"))
    assert streams
    assert all(probe(path).frames == 48 for path in streams)
    folder = ensure(ONE, root=tmp_path)
    assert len(read_rows(folder)) == 24


def test_a_damaged_stream_is_noticed(tmp_path):
    catalog = open_catalog("synthetic", tmp_path, world="motion_led", per_class=(1, 1, 1))
    path = catalog.clips[5].path
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CatalogError, match=path.name):
        open_catalog("synthetic", tmp_path, world="motion_led", per_class=(1, 1, 1))


def test_the_same_frames_as_h264(tmp_path):
    spec = SyntheticSpec(world="motion_led", codec="h264", per_class=(1, 1, 1))
    folder = ensure(spec, root=tmp_path, workers=2)
    info = probe(next(Path(folder).glob("train/*.mp4")))
    assert (info.codec, info.reason, info.gop_lengths) == ("h264", None, (12,) * 4)


def test_sets_lie_in_the_cache(cache):
    spec = SyntheticSpec(world="motion_led", per_class=(1, 1, 1))
    assert ensure(spec, workers=2).parent == cache / "synthetic"
    assert spec.key("a") != spec.key("b")
