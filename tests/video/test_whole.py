"""Whole frames of what gives no motion: foreign codecs, B frames, folders of pictures."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from small_clips import lively, write, write_with

from redistill.errors import VideoError
from redistill.modality import RGB
from redistill.video import load_clip, probe
from redistill.video.clips import ClipLoader
from redistill.video.matroska import segment_end
from redistill.video.source import Source
from redistill.video.splits import Clip
from redistill.video.whole import load_frames

CODECS = {
    "a.webm": ("libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "8"}),
    "b.webm": ("libvpx-vp9", {"cpu-used": "8", "lag-in-frames": "16"}),
    "c.mp4": ("libx264", {"bf": "2", "threads": "1"}),
    "d.avi": ("mpeg4", {"bf": "2"}),
    "e.mkv": ("libx264", {"bf": "2", "threads": "1"}),
    "f.mpg": ("mpeg1video", {"bf": "2"}),
}
FRAMES = 23


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("whole")
    frames = list(lively(FRAMES, width=64, height=48))
    return {n: write_with(folder / n, c, iter(frames), o) for n, (c, o) in CODECS.items()}


def plainly(path: Path) -> np.ndarray:
    """All frames, through PyAV's own door to NumPy."""
    with av.open(str(path), metadata_errors="replace") as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("wanted", [1, 5, 40])
def test_any_codec_gives_the_frames_of_the_grid(videos, name, wanted):
    whole = plainly(videos[name])
    assert len(whole) == FRAMES
    got = load_clip(videos[name], segments=wanted, modalities=(RGB,))
    assert list(got) == [RGB]
    assert got[RGB].dtype == np.uint8
    places = [int((i + 0.5) * FRAMES / wanted) for i in range(wanted)]
    assert np.array_equal(got[RGB], whole[places])


@pytest.mark.parametrize("name", CODECS)
def test_motion_of_such_clips_is_refused_as_before(videos, name):
    reason = probe(videos[name]).reason
    assert reason
    for modalities in (("mv",), (RGB, "mv"), ("iframe",)):
        with pytest.raises(VideoError, match="redistill prepare") as error:
            load_clip(videos[name], modalities=modalities)
        assert reason in str(error.value)


@pytest.mark.parametrize("told", [FRAMES - 4, FRAMES + 3])
def test_the_decoder_counts_not_the_packets(videos, told):
    """A wrong guess, as of packed streams, changes no frame: the sample is drawn again."""
    path = videos["d.avi"]
    source = Source(path)
    source.info = replace(source.info, frames=told)
    asked = []

    def choose(lengths):
        asked.append(lengths)
        return [(0, int((i + 0.5) * lengths[0] / 6)) for i in range(6)]

    right = load_clip(path, segments=6, modalities=(RGB,))[RGB]
    assert np.array_equal(load_frames(source, choose), right)
    assert asked == [(told,), (FRAMES,)]


def test_a_frame_that_is_not_there_is_refused(videos):
    with pytest.raises(VideoError, match="no position 23 in GOP 0"):
        load_clip(videos["a.webm"], modalities=(RGB,), sample=lambda n: {RGB: [(0, n[0])]})


@pytest.mark.parametrize("name", ["a.webm", "b.webm", "c.mp4", "e.mkv"])
def test_cut_files_raise(videos, name, tmp_path):
    data = videos[name].read_bytes()
    path = tmp_path / name
    for keep in np.linspace(1, 0.98 * len(data), 12).astype(int):
        path.write_bytes(data[:keep])
        with pytest.raises(VideoError) as error:
            load_clip(path, modalities=(RGB,))
        assert str(error.value).startswith(f"{path}: ")


def test_damaged_files_raise_or_give_true_frames(videos, tmp_path):
    rng, raised = np.random.default_rng(0), 0
    for name in ("b.webm", "c.mp4", "d.avi"):
        for _ in range(8):
            data = bytearray(videos[name].read_bytes())
            for at in rng.integers(0, len(data), 20):
                data[at] = rng.integers(0, 256)
            (tmp_path / name).write_bytes(data)
            try:
                assert load_clip(tmp_path / name, segments=3, modalities=(RGB,))[RGB].any()
            except VideoError:
                raised += 1
    assert raised > 6


def test_matroska_tells_where_it_ends(videos):
    for name in ("a.webm", "e.mkv"):
        data = videos[name].read_bytes()
        assert segment_end(data[:4096]) == len(data)
        at = data.index(b"\x18\x53\x80\x67") + 4  # the size of the segment, in eight bytes
        assert segment_end(data[:at] + b"\x01" + b"\xff" * 7 + data[at + 8 :]) == 0
        assert segment_end(data[:at] + b"\xff" + data[at + 8 :]) == 0
        assert segment_end(data[: at - 2]) == 0
    assert segment_end(b"RIFF" + bytes(60)) == segment_end(b"") == 0
    for cut in range(60):  # whatever follows, it comes to an end
        for filler in (b"\0", b"\x80", b"\xff"):
            segment_end(data[:cut] + filler * (60 - cut))


# Folders of pictures.


def pictures(folder: Path, frames, pattern: str = "{:05}.png") -> Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, 1):
        Image.fromarray(np.ascontiguousarray(frame)).save(folder / pattern.format(number))
    return folder


@pytest.mark.parametrize("pattern", ["{:05}.png", "{}.png", "img_{}.PNG"])
def test_pictures_are_in_the_order_of_their_numbers(tmp_path, pattern):
    frames = list(lively(12, width=20, height=16))
    folder = pictures(tmp_path / "7", frames, pattern)
    (folder / ".hidden.png").write_text("passed over")
    (folder / "notes.txt").write_text("passed over")
    got = load_clip(folder, segments=12, modalities=(RGB,))[RGB]
    assert np.array_equal(got, np.stack(frames))
    assert np.array_equal(load_clip(str(folder), segments=4, modalities=(RGB,))[RGB], got[1::3])


def test_pictures_of_all_kinds_become_rgb(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    (tmp_path / "g").mkdir()
    Image.fromarray(grey).save(tmp_path / "g" / "1.png")
    Image.fromarray(grey).save(tmp_path / "g" / "2.jpg", quality=100)
    got = load_clip(tmp_path / "g", segments=2, modalities=(RGB,))[RGB]
    assert got.shape == (2, 16, 16, 3)
    assert np.array_equal(got[0], np.stack([grey] * 3, -1))
    assert abs(got[1].astype(int) - got[0]).max() < 12


def test_broken_folders_are_named(tmp_path):
    frames = list(lively(4, width=20, height=16))
    folder = pictures(tmp_path / "7", frames, "{:05}.jpg")

    def said(wanted: str, modalities=(RGB,)) -> None:
        with pytest.raises(VideoError, match=wanted) as error:
            load_clip(folder, segments=4, modalities=modalities)
        assert str(folder) in str(error.value)

    said("folder of pictures, and motion is in video alone", ("mv",))
    said("motion is in video alone", (RGB, "iframe"))
    whole = (folder / "00003.jpg").read_bytes()
    (folder / "00003.jpg").write_bytes(whole[: len(whole) // 2])
    said(r"00003.jpg: it cannot be read as a picture")
    (folder / "00003.jpg").write_text("no picture")
    said(r"00003.jpg: it cannot be read as a picture")
    Image.fromarray(frames[0][:, :18]).save(folder / "00003.jpg")
    said(r"00003.jpg: it is 18x16 and 00001.jpg is 20x16")
    for path in folder.iterdir():
        path.unlink()
    said("a folder without pictures")


def test_a_loader_reads_them_as_any_clip(tmp_path, videos):
    """The same frames as pictures and as an admitted clip give the same views, draws and all."""
    path = write(tmp_path / "x.avi", lively(FRAMES, width=64, height=48))
    folder = pictures(tmp_path / "frames", plainly(path))
    assert probe(path).reason is None
    for train in (True, False):
        loader = ClipLoader(size=32, train=train, modalities=(RGB,), segments=5, flip=True)
        one, two = (loader.load(Clip("same", p, 0, ""), [0, 1])[RGB] for p in (path, folder))
        assert np.array_equal(one, two)


REAL = {
    "RATRACE_wave_f_nm_np1_fr_goo_37.avi": 72,
    "hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi": 83,
    "v_BabyCrawling_asp_bframes.avi": 127,
    "v_shooting_01_01.mpg": 108,
    "SOX5yA1l24A.mp4": 332,
    "flipping_a_pancake.mkv": 310,
}


@pytest.mark.parametrize("name", REAL)
def test_real_originals(shared_data, name):
    """HMDB-51 (packed B frames: fewer frames than packets), UCF-101, UCF11 and Kinetics."""
    path = shared_data / "clips" / name
    whole = plainly(path)
    assert len(whole) == REAL[name]
    places = [int((i + 0.5) * len(whole) / 8) for i in range(8)]
    assert np.array_equal(load_clip(path, segments=8, modalities=(RGB,))[RGB], whole[places])
