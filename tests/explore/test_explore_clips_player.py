"""The player of the clip inspector: against the slow definition of motion, and tables.gop."""

import sys
from pathlib import Path

import numpy as np
import pytest
from clip_folds import encode, files

from redistill.errors import VideoError
from redistill.explore.gop_player import ARROWS, KEPT, WIDE, Player, places, take_apart
from redistill.tables import gop as gop_table
from redistill.video import read_gops
from redistill.video.synthetic import example

sys.path.insert(0, str(Path(__file__).parents[1] / "video"))
from slow_definition import decode, slow_gops, slow_motion, slow_step


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return files(tmp_path_factory.mktemp("clips"))


def steps(path):
    """Motion of each frame since the one before, (H, W, 2) each, block by block."""
    for key, frame, records in decode(path):
        y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
        own = np.stack([x, y], axis=-1)
        yield slow_motion(own if key else slow_step(own, records))


def test_every_frame_is_taken_apart_as_defined(paths):
    for path in paths:
        player, single = Player(path), list(steps(path))
        slow = slow_gops(path)
        assert player.lengths == tuple(map(len, slow))
        moving, place = 0, 0
        for number, frames in enumerate(slow):
            for pos, (frame, motion, residual) in enumerate(frames):
                look = player.look(number, pos)
                x, y = places(look.size).T
                assert look.size == frame.shape[1::-1]
                assert (look.pictures["frame"] == frame).all()
                assert (look.pictures["intra"] == frames[0][0]).all()
                assert (look.pictures["rebuilt"] == frame).all()
                assert (look.pictures["moved"] == frame - residual).all()
                assert (look.pictures["residual"] == (residual + 128).clip(0, 255)).all()
                assert not look.pictures["error"].any()
                assert look.error == 0
                assert (look.motion == motion[y, x]).all()
                assert (look.step == single[place][y, x]).all()
                lengths = np.sqrt((single[place].astype(float) ** 2).sum(2))
                assert look.stepped == pytest.approx(lengths.mean())
                moving += look.stepped > 0
                place += 1
        assert moving >= place - 2 * len(slow)  # or nothing was tested


def test_numbers_are_those_of_the_gop_table():
    (gop, *_), player = list(read_gops(example())), Player(example())
    table = gop_table(gop)
    for line in table.itertuples():
        look = player.look(0, line.frame)
        assert look.moved == pytest.approx(line.motion)
        assert look.left == pytest.approx(line.residual)
        assert look.error == line.error == 0


def test_frames_in_any_order_are_the_same(paths):
    forward, jumping = Player(paths[0]), Player(paths[0])
    for gop, pos in [(1, 11), (0, 3), (2, 0), (1, 2), (1, 3), (0, 11), (0, 0)]:
        one, other = forward, jumping
        expected = [one.look(gop, earlier) for earlier in range(pos + 1)][-1]
        found = other.look(gop, pos)
        assert found.stepped == expected.stepped
        assert (found.step == expected.step).all()
        for name, picture in found.pictures.items():
            assert (picture == expected.pictures[name]).all(), name


def test_looks_are_kept_and_the_oldest_forgotten(tmp_path):
    player = Player(encode(tmp_path / "a.avi", KEPT + 3, gop=KEPT + 3))
    first = player.look(0, 0)
    assert player.look(0, 0) is first
    looks = [player.look(0, pos) for pos in range(1, KEPT)]
    assert player.look(0, 0) is first  # used last
    player.look(0, KEPT)
    assert player.look(0, 0) is first
    assert player.look(0, 2) is looks[1]
    assert player.look(0, 1) is not looks[0]
    assert player.look(0, 1).stepped == looks[0].stepped


def test_an_error_is_seen_where_there_is_one():
    still = np.zeros((20, 30, 2), np.int16)
    intra = np.full((20, 30, 3), 100, np.uint8)
    residual = np.zeros((20, 30, 3), np.int16)
    residual[3, 4] = (5, -9, 0)
    look = take_apart(intra, intra, still, still, residual)
    assert look.error == 9
    assert look.pictures["error"].sum() == 9
    assert look.pictures["error"][3, 4] == 9
    assert look.left == pytest.approx(14 / 1800)
    assert look.stepped == look.moved == 0


def test_wide_pictures_are_thinned_and_their_numbers_are_not():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (40, 2 * WIDE + 2, 3)).astype(np.uint8)
    still = np.zeros((*frame.shape[:2], 2), np.int16)
    residual = np.zeros(frame.shape, np.int16)
    residual[1, 1] = 7  # a pixel that is not shown
    look = take_apart(frame, frame, still, still, residual)
    assert look.pictures["frame"].shape == (14, 134, 3)
    assert (look.pictures["frame"] == frame[::3, ::3]).all()
    assert look.size == (402, 40)
    assert look.error == 7


def test_arrows_stand_evenly_inside_the_picture():
    for size in [(64, 64), (180, 144), (16, 90), (8, 8)]:
        spots = places(size)
        assert spots.shape == (ARROWS**2, 2)
        assert (spots >= 0).all()
        assert (spots < size).all()
        assert len({tuple(spot) for spot in spots.tolist()}) == ARROWS**2


def test_what_is_not_there_is_named(paths, tmp_path):
    player = Player(paths[1])
    with pytest.raises(VideoError, match=r"short.avi: there is no GOP 1. Use 0 to 0"):
        player.look(1, 0)
    with pytest.raises(VideoError, match=r"no position 5. Use 0 to 4"):
        player.look(0, 5)
    assert player.look(0, 4).error == 0  # and goes on
    with pytest.raises(VideoError, match=r"gone.avi"):
        Player(tmp_path / "gone.avi")


def test_real_clips(shared_data):
    for name in ("walk/daria_walk.avi", "jack/ido_jack.avi"):
        path = shared_data / "weizmann" / name
        player = Player(path)
        last = player.lengths[-1] - 1
        look = player.look(len(player.lengths) - 1, last)
        frame, motion, residual = slow_gops(path)[-1][last]
        assert look.error == 0
        assert (look.pictures["frame"] == frame).all()
        assert look.moved == pytest.approx(np.sqrt((motion.astype(float) ** 2).sum(2)).mean())
        assert look.left == pytest.approx(np.abs(residual).mean())
