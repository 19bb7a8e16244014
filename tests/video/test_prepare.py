"""Re-encoding a data set: before and after, restart, refusals, paths."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from slow_definition import decode
from small_clips import lively, panning, write, write_audio
from test_reader import check_against_slow

from redistill.errors import CatalogError
from redistill.video import encode_mpeg4, prepare, probe


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A data set of two classes with a B-frame clip, an H.264 one, and files that are broken."""
    root = tmp_path / "data"
    for name in ("run", "deep/er"):
        (root / name).mkdir(parents=True)
    write(root / "run" / "a.avi", lively(20), bframes=2)
    write(root / "run" / "a.mp4", panning(14), refs=3, bframes=2)
    write(root / "deep" / "er" / "odd näme %d.avi", panning(13))
    (root / "run" / "broken.avi").write_bytes((root / "run" / "a.avi").read_bytes()[:-2500])
    (root / "run" / "text.mp4").write_text("no video")
    (root / "run" / "notes.txt").write_text("not looked at")
    write_audio(root / "run" / "sound.wav").rename(root / "run" / "sound.avi")
    (root / "index.csv").write_text("file,class\nrun/a.avi,run\n")
    return root


def hashes(root: Path) -> dict[str, tuple[bytes, int]]:
    paths = (path for path in root.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def test_tree(tree: Path, tmp_path: Path) -> None:
    before = hashes(tree)
    manifest = prepare(tree, tmp_path / "out", size=(64, 48))
    assert hashes(tree) == before
    ready = {e.source: e.target for e in manifest.entries if not e.reason}
    assert ready == {
        "run/a.avi": "run/a.avi",
        "run/a.mp4": "run/a.mp4.avi",
        "deep/er/odd näme %d.avi": "deep/er/odd näme %d.avi",
    }
    reasons = {entry.source: entry.reason for entry in manifest.refused}
    assert set(reasons) == {"run/broken.avi", "run/text.mp4", "run/sound.avi"}
    assert "truncated" in reasons["run/broken.avi"]
    assert "no video stream" in reasons["run/sound.avi"]
    for entry in manifest.entries:
        if not entry.reason:
            info = probe(tmp_path / "out" / entry.target)
            assert (info.reason, info.width, info.height) == (None, 64, 48)
            assert (info.frames, info.gop_lengths) == (entry.frames, entry.gop_lengths)
    assert "3 clips ready, 3 refused" in str(manifest)
    assert (tmp_path / "out" / "index.csv").read_bytes() == (tree / "index.csv").read_bytes()
    saved = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (saved["ready"], saved["refused"], len(saved["files"])) == (3, 3, 6)
    files = [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [name for name in files if name.endswith(".tmp")]


def test_again_does_only_what_changed(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = prepare(tree, out, size=None)
    before = hashes(out)
    assert prepare(tree, out, size=None, workers=2).entries == first.entries
    after = hashes(out)
    for name in ("manifest.json", "index.csv"):
        assert before.pop(str(out / name))[0] == after.pop(str(out / name))[0]
    assert after == before
    # A changed source, a lost target, a spoilt target, and another recipe are done again.
    write(tree / "run" / "a.avi", lively(9), bframes=2)
    (out / "run" / "a.mp4.avi").unlink()
    odd = out / "deep" / "er" / "odd näme %d.avi"
    odd.write_bytes(odd.read_bytes()[:-10])
    second = {entry.source: entry for entry in prepare(tree, out, size=None).entries}
    assert second["run/a.avi"].frames == 9
    assert probe(out / "run" / "a.mp4.avi").frames == 14
    assert probe(odd).frames == 13
    assert prepare(tree, out, size=(32, 32)).entries != tuple(second.values())
    assert probe(odd).width == 32


def test_same_bits_with_any_number_of_workers(tree: Path, tmp_path: Path) -> None:
    one = prepare(tree, tmp_path / "one", workers=0)
    two = prepare(tree, tmp_path / "two", workers=2)
    assert [e.target_sha256 for e in one.entries] == [e.target_sha256 for e in two.entries]


def test_killed_and_started_again(tmp_path: Path) -> None:
    """SIGKILL at several moments: whole files only, and the next run finishes the rest."""
    root, out = tmp_path / "data" / "c", tmp_path / "out"
    root.mkdir(parents=True)
    for index in range(12):
        write(root / f"{index:02}.mp4", panning(30, width=320, height=240, step=(index - 6, 1)))
    code = (
        "import sys; from redistill.video import prepare\n"
        "prepare(sys.argv[1], sys.argv[2], workers=0, size=None)\n"
    )
    command = [sys.executable, "-c", code, str(root.parent), str(out)]
    for wanted in (2, 6):
        process = subprocess.Popen(command)
        while len(list(out.rglob("*.avi"))) < wanted and process.poll() is None:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        for path in (path for path in out.rglob("*.avi") if not path.name.startswith(".")):
            assert probe(path).frames == 30
        if (out / "manifest.json").exists():
            json.loads((out / "manifest.json").read_text())
    manifest = prepare(root.parent, out, workers=0, size=None)
    fresh = prepare(root.parent, tmp_path / "fresh", workers=0, size=None)
    assert manifest.entries == fresh.entries
    assert not list(out.rglob(".*.tmp"))


def test_folders_that_hold_one_another(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree)
    for target in (tree, tree / "out", tmp_path, tmp_path / "link" / "out"):
        with pytest.raises(CatalogError, match="hold one another"):
            prepare(tree, target)
    with pytest.raises(CatalogError, match="is no folder"):
        prepare(tmp_path / "none", tmp_path / "out")
    (tmp_path / "bare").mkdir()
    with pytest.raises(CatalogError, match="holds no clips"):
        prepare(tmp_path / "bare", tmp_path / "out")


def test_nothing_is_written_outside_the_target(tree: Path, tmp_path: Path) -> None:
    """A link inside the target that leads elsewhere is not followed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run").symlink_to(elsewhere)
    manifest = prepare(tree, tmp_path / "out")
    assert not list(elsewhere.iterdir())
    assert all("leaves" in e.reason for e in manifest.refused if e.source == "run/a.avi")


def test_links_and_odd_names_in_the_source(tree: Path, tmp_path: Path) -> None:
    (tree / "loop").symlink_to(tree)
    os.rename(tree / "run" / "a.mp4", os.fsencode(tree / "run") + b"/\xff\n.mp4")
    manifest = prepare(tree, tmp_path / "out", size=(32, 32))
    assert len(manifest.entries) == 6
    assert sum(not entry.reason for entry in manifest.entries) >= 2


def test_every_frame_once_in_order(tmp_path: Path, shared_data: Path) -> None:
    """B-frame sources keep all their frames, in the order they are shown."""
    root = tmp_path / "data"
    root.mkdir()
    sources = sorted((shared_data / "ut_interaction").rglob("*.avi"))[::40]
    names = ("hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi", "realshort.mp4")
    sources += [shared_data / "clips" / name for name in names]
    for path in sources:
        (root / path.name).symlink_to(path)
    manifest = prepare(root, tmp_path / "out", size=None)
    assert not manifest.refused
    for path, entry in zip(sorted(sources, key=lambda p: p.name), manifest.entries, strict=True):
        pairs = zip(decode(path), decode(tmp_path / "out" / entry.target), strict=True)
        worst = max(np.abs(a[1].astype(int) - b[1]).mean() for a, b in pairs)
        assert worst < 3
        assert set(entry.gop_lengths[:-1]) == {12}


def test_real_clips_after_prepare_equal_slow_definition(tmp_path: Path, shared_data: Path) -> None:
    """Clips of every kind are refused or admitted before, admitted after, and then exact."""
    root = tmp_path / "data"
    root.mkdir()
    clips = sorted((shared_data / "clips").iterdir())
    for path in clips:
        if path.stat().st_size < 500_000:
            (root / path.name).symlink_to(path)
    manifest = prepare(root, tmp_path / "out", workers=0)
    assert len(manifest.entries) >= 6
    assert not manifest.refused
    for entry in manifest.entries:
        check_against_slow(tmp_path / "out" / entry.target, limit=13)


def test_encoding_is_exact_and_atomic(tmp_path: Path) -> None:
    """The same frames give the same bytes; a failure leaves the old file and no other."""
    for name in ("a.avi", "a.mp4"):
        path = write(tmp_path / name, lively())
        again = write(tmp_path / f"b{path.suffix}", lively())
        assert path.read_bytes() == again.read_bytes()
        old = path.read_bytes()

        def failing() -> object:
            yield from lively(5)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write(path, failing())
        assert path.read_bytes() == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.avi", "a.mp4", "b.avi", "b.mp4"]


def test_quantiser_and_types(tmp_path: Path) -> None:
    """The quantiser is as asked in every frame, also across a cut, and types are I and P."""
    for quantiser in (1, 3, 9):
        path = write(tmp_path / "a.avi", lively(26), quantiser=quantiser)
        with av.open(str(path)) as container:
            for index, packet in enumerate(p for p in container.demux(video=0) if p.size):
                data = bytes(packet)
                start = data.index(b"\0\0\1\xb6") + 4
                word = int.from_bytes(data[start : start + 8], "big")
                # type 2, modulo time "0", marker, 5 bits of time (25 per second), marker, coded
                head = f"{word:064b}"
                assert head[:2] == ("00" if index % 12 == 0 else "01")
                assert head[2] in "01"
                at = head.index("0", 2) + 1 + 1 + 5 + 1 + 1
                at += 0 if index % 12 == 0 else 1  # rounding type of P frames
                assert int(head[at + 3 : at + 8], 2) == quantiser


def test_frames_of_unlike_sizes(tmp_path: Path) -> None:
    frames = [np.zeros((32, 32, 3), np.uint8), np.zeros((32, 48, 3), np.uint8)]
    with pytest.raises(Exception, match="frame 1 is 48x32 after 32x32"):
        encode_mpeg4(tmp_path / "a.avi", frames)
