"""The reader against the slow definition, known motion, and plain decoding."""

from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from slow_definition import decode, slow_clip, slow_gops
from small_clips import lively, panning, write

from redistill.errors import ConfigError, VideoError
from redistill.video import load_clip, probe, read_gops, segment_positions, shared_positions
from redistill.video import source as source_module

ADMITTED = (
    "p3_backhand_s3.avi", "person01_walking_d1_uncomp.avi", "realshort.mp4",
    "v_Basketball_g01_c01.avi", "v_SoccerJuggling_g23_c01.avi",
)  # fmt: skip
MODALITIES = ("iframe", "mv", "residual")


def check_against_slow(path: Path, limit: int | None = None) -> int:
    """Compare every frame of the first GOPs; return how many moved."""
    moved = 0
    for gop, expected in zip(read_gops(path), slow_gops(path, limit=limit), strict=limit is None):
        for pos, (frame, motion, residual) in enumerate(expected):
            np.testing.assert_array_equal(gop.frame(pos), frame)
            np.testing.assert_array_equal(gop.motion(pos), motion)
            np.testing.assert_array_equal(gop.residual(pos), residual)
            moved += bool(motion.any())
    return moved


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two streams of the same lively clip: a.avi and a.mp4."""
    folder = tmp_path_factory.mktemp("clips")
    write(folder / "a.avi", lively())
    write(folder / "a.mp4", lively())
    return folder


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_equals_slow_definition(clips: Path, name: str) -> None:
    assert check_against_slow(clips / name) == 23


@pytest.mark.parametrize(
    ("width", "height"), [(180, 144), (340, 256), (112, 112), (75, 51), (18, 34), (16, 16)]
)
def test_any_size(tmp_path: Path, width: int, height: int) -> None:
    path = write(tmp_path / "a.avi", lively(14, width=width, height=height))
    assert check_against_slow(path) > 0


def test_four_vectors_per_block(tmp_path: Path) -> None:
    """8x8 blocks: the finer grid of cells, also mixed with 16x16 ones."""
    path = tmp_path / "a.mp4"
    write(path, lively(14), qp=4)
    sizes = {tuple(r[["w", "h"]]) for _, _, records in decode(path) for r in records}
    assert len(sizes) > 2
    assert check_against_slow(path) > 0


@pytest.mark.parametrize("name", ADMITTED)
def test_real_clips_equal_slow_definition(shared_data: Path, name: str) -> None:
    check_against_slow(shared_data / "clips" / name, limit=26)


def test_weizmann_equals_slow_definition(shared_data: Path) -> None:
    paths = sorted((shared_data / "weizmann").rglob("*.avi"))[::11]
    assert sum(check_against_slow(path, limit=26) for path in paths) > 50


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
@pytest.mark.parametrize("step", [(3, 2), (-2, 4), (5, -3)])
def test_known_motion(tmp_path: Path, name: str, step: tuple[int, int]) -> None:
    """Content that moves by (3, 2) a frame came from (33, 22) less after 11 P frames."""
    path = write(tmp_path / name, panning(26, width=192, height=176, step=step))
    for gop in islice(read_gops(path), 2):
        for pos in (1, 5, 11):
            inner = gop.motion(pos)[56:-56, 64:-64]
            assert np.median(inner, axis=(0, 1)).tolist() == [pos * step[0], pos * step[1]]
            assert (inner == np.multiply(pos, step)).all(axis=-1).mean() > 0.98
    with pytest.raises(VideoError, match="may refer to 3 frames"):
        next(read_gops(write(tmp_path / "r3.mp4", panning(26, step=step), refs=3)))


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_each_gop_starts_anew(clips: Path, name: str) -> None:
    for gop in read_gops(clips / name):
        assert not gop.motion(0).any()
        assert not gop.residual(0).any()
        gop.motion(len(gop) - 1)  # leaves a map behind for the next GOP to put back


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_reconstruction(clips: Path, name: str) -> None:
    """frame(pos) is residual(pos) plus the I-frame at p - motion, to the integer."""
    for gop in read_gops(clips / name):
        intra = gop.frame(0).astype(int)
        y, x = np.mgrid[: intra.shape[0], : intra.shape[1]]
        for pos in range(len(gop)):
            motion, residual = gop.motion(pos), gop.residual(pos)
            moved = intra[y - motion[..., 1], x - motion[..., 0]]
            np.testing.assert_array_equal(gop.frame(pos), residual + moved)


@pytest.mark.parametrize("width", [180, 340, 116, 75])
def test_right_hand_columns_are_written(tmp_path: Path, width: int) -> None:
    frames = [np.full((48, width, 3), 200, np.uint8)] * 3
    gop = next(read_gops(write(tmp_path / "a.avi", iter(frames))))
    for pos in range(3):
        assert abs(gop.frame(pos)[:, -20:].astype(int) - 200).max() < 8
        assert abs(gop.residual(pos)[:, -20:]).max() < 8


def test_types_and_lengths(clips: Path) -> None:
    gops = list(read_gops(clips / "a.avi"))
    assert [(len(gop), gop.index, gop.start) for gop in gops] == [
        (12, 0, 0),
        (12, 1, 12),
        (2, 2, 24),
    ]
    gop = gops[0]
    for read, channels, dtype in (
        (gop.frame, 3, np.uint8), (gop.motion, 2, np.int16), (gop.residual, 3, np.int16),
    ):  # fmt: skip
        array = read(3)
        assert array.shape == (84, 116, channels)
        assert array.dtype == dtype
        array[...] = 7  # what is given out is the caller's own
        assert (read(3) != 7).any()


def test_order_of_asking_does_not_matter(clips: Path) -> None:
    """Going back, changing the GOP and asking twice give the same numbers."""
    gops = list(read_gops(clips / "a.avi"))
    expected = slow_gops(clips / "a.avi")
    for index, pos in [(0, 7), (1, 3), (0, 8), (0, 2), (2, 1), (1, 3), (1, 11), (1, 0), (0, 8)]:
        frame, motion, residual = expected[index][pos]
        np.testing.assert_array_equal(gops[index].residual(pos), residual)
        np.testing.assert_array_equal(gops[index].motion(pos), motion)
        np.testing.assert_array_equal(gops[index].frame(pos), frame)
    # Vectors that were passed but never asked for must not leak into the next start.
    gops[1].frame(9)
    np.testing.assert_array_equal(gops[1].motion(2), expected[1][2][1])


def test_positions_outside_are_refused(clips: Path) -> None:
    tail = list(read_gops(clips / "a.avi"))[-1]
    for pos in (-1, 2, 11):
        with pytest.raises(VideoError, match=r"GOP 2 has no position .*Use 0 to 1"):
            tail.motion(pos)


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
@pytest.mark.parametrize("segments", [1, 3, 25])
def test_load_clip_equals_both(clips: Path, name: str, segments: int) -> None:
    """load_clip, read_gops and the slow definition agree, repeated segments included."""
    lengths = probe(clips / name).gop_lengths
    chosen = {m: segment_positions(lengths, m, segments=segments) for m in MODALITIES}
    loaded = load_clip(clips / name, segments=segments)
    slow = slow_clip(clips / name, chosen)
    gops = list(read_gops(clips / name))
    for modality in MODALITIES:
        np.testing.assert_array_equal(loaded[modality], slow[modality])
        for array, (gop, pos) in zip(loaded[modality], chosen[modality], strict=True):
            read = {"iframe": "frame", "mv": "motion", "residual": "residual"}[modality]
            np.testing.assert_array_equal(array, getattr(gops[gop], read)(pos))


def test_load_clip_arguments(clips: Path) -> None:
    shared = load_clip(
        clips / "a.avi", sample=lambda lengths: shared_positions(lengths, segments=4)
    )
    assert shared["mv"].shape == (4, 84, 116, 2)
    assert list(load_clip(clips / "a.avi", modalities=("mv",))) == ["mv"]
    with pytest.raises(ConfigError, match="Did you mean 'residual'"):
        load_clip(clips / "a.avi", modalities=("residuals",))
    for place in [(2, 2), (3, 0), (-1, 0), (0, 12)]:
        with pytest.raises(VideoError, match="there is no position"):
            load_clip(clips / "a.avi", sample=lambda _, p=place: {key: [p] for key in MODALITIES})


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_decoding_stops_after_the_last_wanted_frame(
    clips: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []
    send = source_module.Source._send

    def count(self: source_module.Source, packet: object) -> list:
        sent.append(packet)
        return send(self, packet)

    monkeypatch.setattr(source_module.Source, "_send", count)
    gops = read_gops(clips / name)
    first = next(gops)
    assert not sent
    first.frame(0)
    assert len(sent) == 1
    first.motion(4)
    first.residual(4)
    assert len(sent) == 5
    sent.clear()
    places = [(1, 4), (1, 2), (1, 4)]
    load_clip(clips / name, sample=lambda _: dict.fromkeys(MODALITIES, places))
    assert len([packet for packet in sent if packet]) == 5
    assert all(a.pts < b.pts for a, b in pairwise(sent) if a and b)


def test_gop_alone_equals_gop_in_sequence(shared_data: Path) -> None:
    """Decoding can start at any GOP of a real clip."""
    for name in ("v_Basketball_g01_c01.avi", "realshort.mp4", "p3_backhand_s3.avi"):
        path = shared_data / "clips" / name
        frames = [frame for _, frame, _ in decode(path)]
        last = list(read_gops(path))[-1]
        for pos in range(len(last)):
            np.testing.assert_array_equal(last.frame(pos), frames[last.start + pos])
