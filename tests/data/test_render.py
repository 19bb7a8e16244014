import hashlib
from dataclasses import replace

import numpy as np
import pytest

from redistill.video.keyed import below, generator, order, unit, words
from redistill.video.synthetic import MOTIONS, SyntheticSpec, draw, motion_clock, path, render
from redistill.video.synthetic.render import _noise_table, _one_over_f

# Pixels are exact on every machine: a change here is a new GENERATOR_VERSION.
PINNED = {
    ("scene_led", 0): "09ece9280a8a3b14",
    ("crossed", 5): "253d48e6fd2433f7",
    ("motion_led", 7): "162eaf920b3644e2",
}
CLOCK = motion_clock("1111")


def still(world: str = "motion_led", label: int = 0, **changes):
    """A clip without pan, distractor and noise."""
    spec = SyntheticSpec(world=world, distractors=0, noise=0, **changes)
    return spec, replace(draw(spec, "train", label, 0), pan_x=0, pan_y=0)


@pytest.mark.parametrize(("world", "label"), list(PINNED))
def test_pixels_are_pinned(world, label):
    spec = SyntheticSpec(world=world, data_seed=1)
    frames = render(spec, draw(spec, "train", label, 3))
    assert frames.shape == (48, 112, 112, 3)
    assert frames.dtype == np.uint8
    assert hashlib.sha256(frames.tobytes()).hexdigest()[:16] == PINNED[world, label]


def test_keyed_numbers_are_pinned_and_uniform():
    assert [below(10, "pin", i) for i in range(8)] == [2, 7, 8, 3, 5, 3, 2, 5]
    assert words(3, "pin").tolist() == [316, 48497, 10993]
    assert generator("pin").bit_generator.random_raw() == words(4, "pin").view("<u8")[0]
    draws = np.array([below(7, "u", i) for i in range(7000)])
    assert np.bincount(draws).min() > 850
    assert np.bincount(draws).max() < 1150
    assert abs(np.mean([unit("v", i) for i in range(4000)]) - 0.5) < 0.02
    assert sorted(order(50, "p")) == list(range(50))


@pytest.mark.parametrize("motion", MOTIONS)
def test_every_step_is_two_pixels_on_one_axis(motion):
    _spec, clip = still(label=MOTIONS.index(motion))
    steps = np.diff(path(clip.target, CLOCK), axis=0)
    axis = int(motion in ("U", "D", "Vs", "Vf"))
    assert (np.abs(steps[:, axis]) == 2).all()
    assert (steps[:, 1 - axis] == 0).all()
    turns = int((np.diff(steps[:, axis]) != 0).sum())
    assert turns in {"s": (1, 2), "f": (5, 6)}.get(motion[-1], (0,))


def test_a_reversed_clip_is_a_clip_of_the_mirrored_motion():
    for motion, back in (("L", "R"), ("U", "D"), ("Hs", "Hs"), ("Vf", "Vf")):
        spec, clip = still(label=MOTIONS.index(motion))
        x, y = (
            path(clip.target, CLOCK)[-1] % 112 if motion in "LU" else (clip.target.x, clip.target.y)
        )
        phase = -(47 * 256 + clip.target.phase) % clip.target.period
        target = replace(clip.target, motion=back, x=int(x), y=int(y), phase=phase)
        other = render(spec, replace(clip, target=target))
        np.testing.assert_array_equal(render(spec, clip)[::-1], other)


def test_the_start_only_shifts_the_way_so_one_frame_tells_no_motion():
    # start uniform on the torus + an offset that does not depend on it = uniform at every frame
    for label in range(8):
        _, clip = still(label=label)
        moved = replace(clip.target, x=clip.target.x + 17, y=clip.target.y + 40)
        offset = path(moved, CLOCK) - path(clip.target, CLOCK)
        assert (offset == (17, 40)).all()


def test_the_camera_moves_all_and_leaves_no_seam():
    spec, clip = still()
    frames = render(spec, clip)
    panned = render(spec, replace(clip, pan_x=1, pan_y=-1))
    for t in (0, 11, 47):
        np.testing.assert_array_equal(panned[t], np.roll(frames[t], (-t, t), axis=(0, 1)))


def test_textures_differ_in_frequency_only():
    spec, clip = still()
    # Whole periods along x in a square of 25 pixels: 2 of the coarse, 5.5 of the fine stripes.
    peaks = []
    for texture in ("coarse", "fine"):
        target = replace(
            clip.target, shape="square", texture=texture, stripe_orientation=0, x=56, y=56
        )
        row = render(spec, replace(clip, target=target))[0, 56, 44:69, 0].astype(float)
        spectrum = np.abs(np.fft.rfft(row - row.mean(), 250))
        peaks.append((spectrum.argmax() / 250, row.std()))
    assert peaks[0][0] == pytest.approx(0.08, abs=0.01)
    assert peaks[1][0] == pytest.approx(0.22, abs=0.01)
    assert peaks[0][1] == pytest.approx(peaks[1][1], rel=0.1)


def test_the_noise_has_its_deviation_and_the_field_falls_as_one_over_f():
    for deviation in (0, 3, 8):
        table = _noise_table(deviation)
        assert table.std() == pytest.approx(deviation, rel=0.01)
        assert abs(table.mean()) < 0.02
    fields = np.stack([_one_over_f(("test", i)) for i in range(12)])
    power = (np.abs(np.fft.fft2(fields)) ** 2).mean(0)
    wave = np.fft.fftfreq(112, 1 / 112)
    radius = np.hypot(*np.meshgrid(wave, wave))
    rings = np.array([2, 4, 8, 16, 32])
    level = [np.sqrt(power[(radius > r * 0.8) & (radius < r * 1.25)].mean()) for r in rings]
    slope = np.polyfit(np.log(rings), np.log(level), 1)[0]
    assert slope == pytest.approx(-1, abs=0.2)


def test_shuffled_frames_are_the_same_frames():
    spec, clip = still()
    mixed = render(replace(spec, shuffled=True), clip)
    plain = render(spec, clip)
    assert not np.array_equal(mixed, plain)
    assert sorted(f.tobytes() for f in mixed) == sorted(f.tobytes() for f in plain)


def test_inexact_clips_rest_in_the_idle_gops():
    spec = SyntheticSpec(world="motion_led", inexact=True)
    counts = set()
    for number in range(30):
        clip = draw(spec, "train", 0, number)
        counts.add(clip.active_gops.count("1"))
        moving = np.diff(path(clip.target, motion_clock(clip.active_gops))[:, 0]) != 0
        for frame, step in enumerate(moving, 1):
            assert step == (clip.active_gops[frame // 12] == "1")
    assert counts == {1, 2, 3}


def test_jitter_takes_the_oscillation_off_its_bins():
    spec = SyntheticSpec(world="motion_led", cycles_jitter=20, speed_jitter=10)
    movers = [draw(spec, "train", 5, n).target for n in range(40)]
    assert len({m.period for m in movers}) > 20
    assert all(3276 <= m.period <= 4916 and 460 <= m.speed <= 564 for m in movers)
    extra = SyntheticSpec(world="motion_led", extra_motions=("static", "Ha"))
    assert extra.classes[-2:] == ("static", "Ha")
    assert (np.diff(path(draw(extra, "train", 8, 0).target, CLOCK), axis=0) == 0).all()
    assert draw(extra, "train", 9, 0).target.period == 8 * 256
