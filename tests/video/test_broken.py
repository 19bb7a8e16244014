"""Files that are no sound video: one clear error each, never a crash, a print or a black frame."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from small_clips import lively, write, write_audio

from redistill.errors import VideoError
from redistill.video import load_clip, probe, read_gops


def clip(folder: Path) -> bytes:
    return write(folder / "whole.avi", lively(24)).read_bytes()


BROKEN: dict[str, tuple[str, Callable[[Path], bytes | None], str]] = {
    "missing": ("a.avi", lambda _: None, "no such file"),
    "empty": ("a.avi", lambda _: b"", "the file is empty"),
    "text": ("a.avi", lambda _: b"this is no video\n" * 99, "cannot be read as video"),
    "text named txt": ("a.txt", lambda _: b"1\n00:00:01,000 --> 00:00:02,000\nhi\n", "cannot be"),
    "playlist": ("a.avi", lambda f: f"ffconcat version 1.0\nfile {f}/whole.avi\n".encode(), "cann"),
    "hls": ("a.m3u8", lambda _: b"#EXTM3U\n#EXTINF:1,\nwhole.avi\n#EXT-X-ENDLIST\n", "cannot be"),
    "noise": ("a.mp4", lambda _: np.random.default_rng(0).bytes(5000), "cannot be read as video"),
    "headers only": ("a.avi", lambda f: clip(f)[:300], "."),
    "half": ("a.avi", lambda f: clip(f)[: len(clip(f)) // 2], "truncated"),
    "last packets cut": ("a.avi", lambda f: clip(f)[:-3000], "truncated"),
    "half mp4": ("a.mp4", lambda f: write(f / "w.mp4", lively()).read_bytes()[:9000], "."),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files(tmp_path: Path, kind: str) -> None:
    name, content, words = BROKEN[kind]
    path = tmp_path / name
    if (data := content(tmp_path)) is not None:
        path.write_bytes(data)
    for read in (lambda: next(read_gops(path)), lambda: load_clip(path), lambda: probe(path)):
        with pytest.raises(VideoError, match=words) as error:
            read()
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)


def test_audio_only_and_folder(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no video stream"):
        probe(write_audio(tmp_path / "a.wav"))
    with pytest.raises(VideoError, match="it is a folder"):
        probe(tmp_path)


def test_zero_frames(tmp_path: Path) -> None:
    """A well-formed file without a packet."""
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.start_encoding()
    with pytest.raises(VideoError, match=r"no frames|cannot be read"):
        probe(tmp_path / "a.avi")
    with pytest.raises(VideoError, match="no frames to encode"):
        write(tmp_path / "b.avi", iter(()))
    assert not (tmp_path / "b.avi").exists()


def test_damaged_files_raise_or_give_true_frames(tmp_path: Path) -> None:
    """Cut anywhere, or with bytes overwritten: an error, never a process that dies."""
    whole = clip(tmp_path)
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.avi"
    raised = 0
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), rng.integers(1, 30)):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            assert len(load_clip(path, segments=5)["mv"]) == 5
        except VideoError:
            raised += 1
    assert raised > 20


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_cut_anywhere_raises(tmp_path: Path, suffix: str) -> None:
    data = write(tmp_path / f"whole{suffix}", lively(24)).read_bytes()
    path = tmp_path / f"cut{suffix}"
    for keep in np.linspace(1, 0.97 * len(data), 25).astype(int):
        path.write_bytes(data[:keep])
        with pytest.raises(VideoError):
            load_clip(path)


def test_nothing_is_printed(tmp_path: Path) -> None:
    """Broken data makes no noise on stdout or stderr, and the reader needs no torch."""
    data = bytearray(clip(tmp_path))
    data[len(data) // 3 : len(data) // 2 : 50] = bytes(
        len(data[len(data) // 3 : len(data) // 2 : 50])
    )
    (tmp_path / "a.avi").write_bytes(data)
    (tmp_path / "b.avi").write_bytes(data[:2000])
    code = (
        "import sys\nfrom redistill.video import load_clip\n"
        "from redistill.errors import VideoError\n"
        "for name in ('a.avi', 'b.avi', 'c.avi'):\n"
        "    try: load_clip(name, segments=9)\n"
        "    except VideoError: pass\n"
        "assert 'torch' not in sys.modules, 'torch'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
