"""Streams and files that must be refused, each with its reason, and never crash or print."""

from pathlib import Path

import pytest
from small_clips import lively, panning, write, write_with

from redistill.errors import VideoError
from redistill.video import load_clip, probe, read_gops
from redistill.video.bits import Bits
from redistill.video.guard import examine
from redistill.video.h264 import read_parameters, stored_parameters

REFUSED = {
    "RATRACE_wave_f_nm_np1_fr_goo_37.avi": "B frames",
    "SOX5yA1l24A.mp4": "B frames",
    "carphone_pristine.mp4": "B frames",
    "flipping_a_pancake.mkv": "refer to 3 frames",
    "hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi": "B frames",
    "v_BabyCrawling_asp_bframes.avi": "B frames",
    "v_shooting_01_01.mpg": "mpeg1video",
}


def refused(path: Path, words: str) -> None:
    """Assert that the guard refuses a stream for a reason, with the remedy."""
    assert words in (probe(path).reason or "admitted")
    for read in (lambda: next(read_gops(path)), lambda: load_clip(path)):
        with pytest.raises(VideoError) as error:
            read()
        message = str(error.value)
        assert message.startswith(f"{path}: ")
        assert words in message
        assert "redistill prepare SOURCE TARGET" in message


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("b.avi", {"bframes": 2}, "B frames (packet 2 is the first)"),
        ("b.mp4", {"bframes": 2}, "B frames"),
        ("open.mp4", {"bframes": 2, "open_gop": True}, "B frames"),
        ("r2.mp4", {"refs": 2}, "refer to 2 frames"),
        ("r3.mp4", {"refs": 3}, "refer to 3 frames"),
        ("r3open.mp4", {"refs": 3, "open_gop": True}, "refer to 3 frames"),
    ],
)
def test_refused_streams(tmp_path: Path, name: str, options: dict, words: str) -> None:
    refused(write(tmp_path / name, panning(), **options), words)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mkv", "libx265", {"x265-params": "log-level=none"}),
        ("a.webm", "libvpx-vp9", {}),
        ("a.mpg", "mpeg2video", {}),
        ("a.avi", "mjpeg", {"strict": "-2"}),
        ("a.flv", "flv", {}),
    ],
)
def test_other_codecs(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    path = write_with(tmp_path / name, codec, panning(6, width=352, height=288), options)
    refused(path, "motion cannot be accumulated over")


@pytest.mark.parametrize(
    ("name", "codec", "options", "words"),
    [
        ("i.avi", "mpeg4", {"flags": "+ildct+ilme"}, "interlaced"),
        ("i.mp4", "libx264", {"x264-params": "tff=1:ref=1:bframes=0"}, "interlaced|refer to"),
        ("w.mp4", "libx264", {"x264-params": "ref=1:bframes=0:intra-refresh=1"}, ""),
    ],
)
def test_unusual_settings(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], words: str
) -> None:
    path = write_with(tmp_path / name, codec, panning(14, width=176, height=144), options)
    reason = probe(path).reason
    assert any(word in reason for word in words.split("|")) if words else reason is None


def test_i_frames_that_start_no_gop(tmp_path: Path) -> None:
    """H.264 I-frames that are no IDR frames, as at a cut: a decoder cannot start there."""
    frames = [*panning(6), *(255 - frame[::-1] for frame in lively(8, width=112, height=96))]
    options = {"x264-params": "ref=1:bframes=0:keyint=250:min-keyint=125:scenecut=100"}
    path = write_with(tmp_path / "a.mp4", "libx264", iter(frames), options)
    refused(path, "the I-frame in packet 6 starts no closed GOP")


def test_verdict_on_slices_and_reference_marks() -> None:
    """A picture with any B slice is a B frame; one that nothing refers to breaks the chain."""
    parameters = bytes.fromhex("6742c01fda01e0089f97010000030001000003003c8f1832a0")  # 1 reference
    start = b"\0\0\1"
    idr, p, b, idle = b"\x65\x88", b"\x41\xe0", b"\x41\xa0", b"\x01\xe0"
    head = start + parameters
    assert examine("h264", head, [start + idr, start + p]) == (["I", "P"], None)
    for mixed in (start + p + start + b, start + b + start + p):
        assert "B frames (packet 1" in examine("h264", head, [start + idr, mixed])[1]
    types, reason = examine("h264", head, [start + idr, start + idle, start + p])
    assert types == ["I", "P", "P"]
    assert "packet 1 is left out as a reference" in reason
    assert "begin with an I-frame" in examine("h264", head, [start + p, start + idr])[1]
    assert "no H.264 sequence parameter set" in examine("h264", b"", [start + idr])[1]


@pytest.mark.parametrize(("name", "words"), REFUSED.items())
def test_real_clips_refused(shared_data: Path, name: str, words: str) -> None:
    refused(shared_data / "clips" / name, words)


def test_every_real_clip_has_a_verdict(shared_data: Path) -> None:
    """Weizmann is admitted, UT-Interaction is not; both say how many frames there are."""
    for path in sorted((shared_data / "weizmann").rglob("*.avi")):
        info = probe(path)
        assert info.reason is None
        assert info.frames == sum(info.gop_lengths)
        assert set(info.gop_lengths[:-1]) == {12}
    for path in sorted((shared_data / "ut_interaction").rglob("*.avi"))[::6]:
        assert "B frames" in probe(path).reason


def test_probe_of_an_admitted_clip(tmp_path: Path) -> None:
    info = probe(write(tmp_path / "a.mp4", panning(30), fps=30, gop=8))
    assert (info.codec, info.width, info.height, info.fps) == ("h264", 112, 96, 30.0)
    assert (info.frames, info.gop_lengths, info.reason) == (30, (8, 8, 8, 6), None)


def test_raw_and_annexb_streams(tmp_path: Path) -> None:
    """Elementary streams, under any name, as the authors' scripts write them."""
    raw = write_with(
        tmp_path / "raw.m4v", "mpeg4", panning(14), {"g": "12", "bf": "0", "flags": "+qscale"}
    )
    raw.rename(tmp_path / "raw.mp4")
    for path in (
        tmp_path / "raw.mp4",
        write_with(
            tmp_path / "raw.h264", "libx264", panning(14),
            {"x264-params": "ref=1:bframes=0:keyint=12:min-keyint=12:scenecut=0"},
        ),
    ):  # fmt: skip
        assert probe(path).gop_lengths == (12, 2)
        assert next(read_gops(path)).motion(11).any()


def test_bits_and_golomb_codes() -> None:
    bits = Bits(bytes([0b1_010_011_0, 0b0100_0010, 0b1_0000000]))
    assert [bits.golomb() for _ in range(4)] == [0, 1, 2, 3]
    assert bits.golomb() == 4
    assert Bits(b"").golomb() >= 0


def test_reference_counts_in_both_layouts(tmp_path: Path) -> None:
    """The count is found in avcC extradata and among start codes (Annex B) alike."""
    import av

    for refs in (1, 2, 4):
        path = write(tmp_path / f"{refs}.mp4", panning(6), refs=refs)
        with av.open(str(path)) as container:
            extradata = container.streams.video[0].codec_context.extradata
        (unit,) = stored_parameters(extradata)
        assert read_parameters(unit).references == refs
        (again,) = stored_parameters(b"\0\0\0\1" + unit + b"\0\0\1\x68\xce")
        assert read_parameters(again).references == refs
