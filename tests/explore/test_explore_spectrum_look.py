"""How a clip looks to the spectrum loss, against sums written out and the suite's own loss."""

import cmath
import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from redistill.errors import ConfigError
from redistill.explore.spectrum_look import LensLoss, in_band, readings
from redistill.losses.spectrum.feature import NORMALISE, FeatureSpectrum

IDENTITY = {"channels": "identity"}


def drawn(frames, channels, seed=0):
    made = torch.Generator().manual_seed(seed)
    return [torch.randn(frames, channels, generator=made, dtype=torch.float64) for _ in range(2)]


def as_maps(signal):
    return signal.T[None, :, :, None, None]


def suite(ours, theirs, **how):
    """The suite's loss of this one clip, by bin."""
    return FeatureSpectrum(**IDENTITY | how).by_bin(as_maps(ours), as_maps(theirs)).numpy()


def slow_spectrum(signal):
    """One-sided and unitary, by its sum."""
    frames = len(signal)
    turn = [[cmath.exp(-2j * cmath.pi * k * t / frames) for t in range(frames)]
            for k in range(frames // 2 + 1)]  # fmt: skip
    return np.array([
        [sum(row[t] * float(x) for t, x in enumerate(column)) for column in signal.T]
        for row in turn
    ]) / math.sqrt(frames)  # fmt: skip


def times(frames):
    """How often each one-sided bin stands in the two-sided spectrum."""
    ks = [min(k, frames - k) for k in range(frames)]
    return np.array([ks.count(k) for k in range(frames // 2 + 1)])


def slow_loss(ours, theirs, bins, component="amplitude", normalise="clip"):
    """The loss of one clip on some bins alone, term by term."""
    x, y, many = slow_spectrum(ours), slow_spectrum(theirs), times(len(ours))
    total = 0.0
    for channel, k in product(range(x.shape[1]), np.flatnonzero(bins)):
        pair = []
        for z in (x, y):
            whose = range(z.shape[1]) if normalise == "clip" else (channel,)
            held = sum(many[j] * abs(z[j, c]) ** 2 for j in np.flatnonzero(bins) for c in whose)
            pair.append(z[k, channel] / math.sqrt(held))
        apart = abs(pair[0] - pair[1]) if component == "complex" else abs(pair[0]) - abs(pair[1])
        total += many[k] * abs(apart) ** 2
    return total


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_amplitudes_are_those_of_the_sum_written_out(frames, channels):
    ours, theirs = drawn(frames, channels)
    look = LensLoss(**IDENTITY, normalise="none").look(ours, theirs)
    np.testing.assert_allclose(look.ours, slow_spectrum(ours), atol=1e-12)
    np.testing.assert_allclose(look.theirs, slow_spectrum(theirs), atol=1e-12)
    assert look.parts.shape == (frames // 2 + 1, channels)


READINGS = [
    *({"normalise": n, "component": c} for n in NORMALISE for c in ("amplitude", "complex")),
    {"component": "power"}, {"component": "log_amplitude", "reduction": "mean"},
    {"component": "amp_phase"}, {"phase": 0.25}, {"multiplicity": False}, {"transform": "dct"},
    {"distance": "l1", "reduction": "mean"}, {"space": "volume"},
]  # fmt: skip


@pytest.mark.parametrize("how", READINGS, ids=str)
@pytest.mark.parametrize("frames", [7, 8])
@pytest.mark.parametrize("band", ["all", "ac", "dc", "high"])
def test_parts_add_up_to_the_loss_of_the_suite_on_every_band(how, frames, band):
    ours, theirs = drawn(frames, 3)
    plain = FeatureSpectrum(**IDENTITY | how)
    loss = next(iter(readings(plain).values()))
    bins = in_band(FeatureSpectrum(**how, bands=band), frames)
    alone = loss.look(ours, theirs, bins).parts.sum(1)
    np.testing.assert_allclose(alone, suite(ours, theirs, bands=band, **how), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("normalise", NORMALISE)
def test_a_sum_of_parts_is_the_loss_of_a_band_where_the_divisor_knows_no_band(normalise):
    """``none`` and ``constant`` divide alike whatever the band; ``clip``, ``channel`` do not."""
    ours, theirs = drawn(8, 3)
    loss = LensLoss(**IDENTITY, normalise=normalise)
    left = loss.look(ours, theirs).parts[1:].sum()
    restricted = suite(ours, theirs, normalise=normalise, bands="ac").sum()
    assert math.isclose(left, restricted, rel_tol=1e-9) == (not loss.divides_by_bins)
    assert loss.divides_by_bins == (normalise in ("clip", "channel"))


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 9), st.integers(1, 3), st.integers(0, 99), st.data())
def test_any_bins_alone_against_the_loss_term_by_term(frames, channels, seed, data):
    ours, theirs = drawn(frames, channels, seed)
    bins = data.draw(st.lists(st.booleans(), min_size=frames // 2 + 1, max_size=frames // 2 + 1))
    for component, normalise in product(("amplitude", "complex"), ("clip", "channel")):
        loss = LensLoss(**IDENTITY, component=component, normalise=normalise)
        expected = slow_loss(ours, theirs, bins, component, normalise)
        # Amplitudes are smooth at zero by 1e-6, and so is their difference.
        np.testing.assert_allclose(
            loss.look(ours, theirs, bins).parts.sum(), expected, rtol=1e-5, atol=1e-9
        )


@pytest.mark.parametrize("frames", [1, 7, 8])
def test_the_complex_loss_is_the_squared_error_of_the_signals(frames):
    ours, theirs = drawn(frames, 4)
    parts = LensLoss(**IDENTITY, component="complex", normalise="none").look(ours, theirs).parts
    error = (ours - theirs).square()
    np.testing.assert_allclose(parts.sum(), error.sum(), rtol=1e-12)
    np.testing.assert_allclose(parts.sum(0), error.sum(0), rtol=1e-12)  # channel by channel too


@pytest.mark.parametrize("transform", ["dft", "dct"])
@pytest.mark.parametrize("frames", [1, 2, 7, 8])
def test_signals_are_rebuilt_from_bins(transform, frames):
    ours, theirs = drawn(frames, 2)
    loss = LensLoss(**IDENTITY, transform=transform)
    spectrum = loss.look(ours, theirs).ours
    count = loss.bins(frames)
    scaled = ours.numpy() / np.linalg.norm(ours)
    every = loss.rebuilt(spectrum, frames, np.ones(count, bool))
    np.testing.assert_allclose(every, scaled, atol=1e-12)
    assert not loss.rebuilt(spectrum, frames, np.zeros(count, bool)).any()
    single = [loss.rebuilt(spectrum, frames, np.arange(count) == k) for k in range(count)]
    np.testing.assert_allclose(sum(single), scaled, atol=1e-12)
    np.testing.assert_allclose(single[0], np.broadcast_to(scaled.mean(0), scaled.shape), atol=1e-12)
    energy = [(one**2).sum() for one in single]
    assert sum(energy) == pytest.approx(1)  # bins are orthogonal
    one = loss.rebuilt(spectrum[:, 1], frames, np.ones(count, bool))
    np.testing.assert_allclose(one, scaled[:, 1], atol=1e-12)


def test_one_wave_lives_in_one_bin():
    wave = torch.cos(2 * torch.pi * 3 * torch.arange(8, dtype=torch.float64) / 8)[:, None]
    loss = LensLoss(**IDENTITY)
    look = loss.look(wave, wave)
    np.testing.assert_allclose(abs(look.ours[:, 0]), [0, 0, 0, math.sqrt(0.5), 0], atol=1e-12)
    assert not loss.rebuilt(look.ours, 8, [True, True, True, False, True]).round(12).any()


@pytest.mark.parametrize("normalise", NORMALISE)
@pytest.mark.parametrize("kind", ["constant", "zero", "one of both"])
def test_what_does_not_vary_gives_no_nan(normalise, kind):
    ours, theirs = (torch.full((8, 2), level) for level in (0.3, 0.7))
    if kind == "zero":
        ours = torch.zeros(8, 2)
    if kind == "one of both":
        theirs = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    loss = LensLoss(**IDENTITY, normalise=normalise)
    for bins in (None, [False, True, True, True, True], [False] * 5):
        look = loss.look(ours, theirs, bins)
        assert all(np.isfinite(x).all() for x in (look.ours, look.theirs, look.parts))
        if kind == "constant" and bins:
            assert look.parts.sum() < 1e-9


def test_the_losses_to_look_through():
    assert list(readings(FeatureSpectrum())) == ["amplitude", "complex"]
    assert list(readings(FeatureSpectrum(component="complex"))) == ["complex", "amplitude"]
    assert list(readings(FeatureSpectrum(component="power"))) == ["power", "amplitude", "complex"]
    assert list(readings(FeatureSpectrum(component="distribution"))) == ["amplitude", "complex"]
    between = readings(FeatureSpectrum(phase=0.5, bands="ac", normalise="none"))
    assert list(between) == ["phase 0.5", "amplitude", "complex"]
    assert [loss.phase for loss in between.values()] == [0.5, 0, 0]
    assert {loss.normalise for loss in between.values()} == {"none"}
    assert {loss.bands for loss in between.values()} == {"all"}


def test_bins_of_a_band():
    assert in_band(FeatureSpectrum(), 8) == (True,) * 5
    assert in_band(FeatureSpectrum(bands="ac"), 7) == (False, True, True, True)
    assert in_band(FeatureSpectrum(bands="dc", transform="dct"), 4) == (True, False, False, False)
    with pytest.raises(ConfigError, match="bands = 'ac' is empty"):
        in_band(FeatureSpectrum(bands="ac"), 1)
