"""Codecs: right ones pass, and each thing that can be wrong with one is told as itself."""

from itertools import pairwise

import av
import numpy as np
import pytest

from redistill.doctor import codecs
from redistill.doctor.examine import Asked
from redistill.doctor.finding import FAIL, OK, WARN
from redistill.errors import VideoError
from redistill.video import encode_mpeg4, gop


def test_here_all_codecs_work():
    assert codecs.check_codecs(Asked()).state == OK


def test_the_picture_moves_as_said():
    frames = codecs.moving()
    for before, after in pairwise(frames):
        np.testing.assert_array_equal(after[1:, 2:], before[:-1, :-2])


@pytest.mark.parametrize(("codec", "state"), [("mpeg4", FAIL), ("libx264", WARN), ("vp9", WARN)])
def test_a_missing_codec(monkeypatch, codec, state):
    """An encoder that this build of FFmpeg lacks is asked for, as its absence would look."""
    real = av.container.OutputContainer.add_stream

    class Without:
        def __init__(self, target):
            self._target = target

        def __getattr__(self, name):
            return getattr(self._target, name)

        def __enter__(self):
            self._target.__enter__()
            return self

        def __exit__(self, *about):
            return self._target.__exit__(*about)

        def add_stream(self, name, *args, **options):
            name = f"no_{name}" if codec in name else name
            return real(self._target, name, *args, **options)

    opened = av.open

    def without(file, mode="r", *args, **options):
        target = opened(file, mode, *args, **options)
        return Without(target) if mode == "w" else target

    monkeypatch.setattr(av, "open", without)
    found = codecs.check_codecs(Asked())
    assert found.state == state
    assert f"no_{'libvpx-vp9' if codec == 'vp9' else codec}" in found.found
    assert "pip install --force-reinstall av" in found.todo


@pytest.fixture
def written(tmp_path):
    def write(frames):
        encode_mpeg4(tmp_path / "clip.avi", frames)
        return tmp_path / "clip.avi"

    return write


def test_a_picture_that_moves_otherwise_than_its_vectors(written, monkeypatch):
    path = written(codecs.moving())
    assert codecs.motion_fault(path) == ""
    real = gop.Gop.motion
    monkeypatch.setattr(gop.Gop, "motion", lambda self, pos: -real(self, pos))
    assert "are not the" in codecs.motion_fault(path)


def test_no_vectors(written, monkeypatch):
    path = written(codecs.moving())
    real = gop.Gop.motion
    monkeypatch.setattr(gop.Gop, "motion", lambda self, pos: 0 * real(self, pos))
    assert "no motion vectors" in codecs.motion_fault(path)


def test_a_residual_that_is_one_off(written, monkeypatch):
    path = written(codecs.moving())
    real = gop.Gop.residual
    monkeypatch.setattr(gop.Gop, "residual", lambda self, pos: real(self, pos) + 1)
    assert codecs.motion_fault(path) == "moved pixels plus residual are not the frame"


def test_other_vectors_with_a_residual_that_makes_up_for_them(written, monkeypatch):
    """The sum alone cannot tell: it is right by construction for any vectors."""
    path = written(codecs.moving())
    real = gop.Gop.residual

    def residual(self, pos):
        return (self.frame(pos).astype(int) - self.frame(0)) if pos else real(self, pos)

    monkeypatch.setattr(gop.Gop, "residual", residual)
    monkeypatch.setattr(gop.Gop, "motion", lambda self, pos: _zero_but_one(self, pos))
    assert "of motion vectors are not the motion of the picture" in codecs.motion_fault(path)


def _zero_but_one(self, pos):
    found = np.zeros((*self.frame(pos).shape[:2], 2), np.int16)
    found[0, 0] = 1
    return found


def test_other_pictures_and_too_few(written):
    assert "grey levels off" in codecs.motion_fault(written(255 - codecs.moving()))
    assert codecs.picture_fault([*codecs.moving()][:4]) == "4 of 6 frames come back"
    assert codecs.picture_fault([*codecs.moving()]) == ""


def test_a_codec_that_raises_is_told_by_its_error(monkeypatch):
    def broken():
        raise VideoError("clip.avi: mpeg4 cannot encode it")

    monkeypatch.setattr(codecs, "mpeg4_fault", broken)
    found = codecs.check_codecs(Asked())
    assert (found.state, "cannot encode it" in found.found) == (FAIL, True)
