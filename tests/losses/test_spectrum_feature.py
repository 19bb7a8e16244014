"""The spectrum loss against its definition, and what must hold of it (spec/spectrum.md 9)."""

import numpy as np
import pytest
import torch
from loss_cases import drawn
from slow_spectrum import BANDS, DISTANCES, slow_loss

from redistill.losses.spectrum.feature import FeatureSpectrum

B, C = 3, 4
EVEN = drawn(B, C, 8, 2, 3, seed=1), drawn(B, C, 8, 2, 3, seed=2)
ODD = drawn(B, C, 7, 2, 3, seed=3), drawn(B, C, 7, 2, 3, seed=4)
PLAIN = {"normalise": "none", "reduction": "mean"}


def pooled(maps):
    """(B, C, T, H, W) to (B, 1, T, C)."""
    return maps.numpy().mean((3, 4)).transpose(0, 2, 1)[:, None]


def slope(loss, student, teacher):
    leaf = student.clone().requires_grad_()
    loss(leaf, teacher).backward()
    return leaf.grad


@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("normalise", ["clip", "channel", "constant", "none"])
@pytest.mark.parametrize("component", DISTANCES)
def test_the_loss_term_by_term(component, normalise, band):
    loss = FeatureSpectrum(component=component, normalise=normalise, bands=band)
    for s, t in (EVEN, ODD):
        how = {"normalise": normalise, "band": band}
        wanted = slow_loss(pooled(s), pooled(t), component, **how)
        assert loss(s, t).item() == pytest.approx(wanted, rel=1e-6)


def test_the_parts_of_the_bins_add_up_and_lie_in_their_bins():
    s, t = EVEN
    parts = FeatureSpectrum().by_bin(s, t)
    assert parts.shape == (5,)
    torch.testing.assert_close(parts.sum(), FeatureSpectrum()(s, t))
    time = torch.arange(8, dtype=torch.float64)
    wave = (2 * torch.pi * 2 * time / 8).cos()[:, None, None].expand(1, 1, 8, 1, 1)
    alone = FeatureSpectrum(**PLAIN).by_bin(wave, torch.zeros_like(wave))
    torch.testing.assert_close(alone, torch.tensor([0, 0, 0.5, 0, 0]).double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["dft", "dct"])
@pytest.mark.parametrize(("s", "t"), [EVEN, ODD])
def test_p4_complex_bins_are_squared_error_of_the_features(s, t, name):
    loss = FeatureSpectrum(component="complex", transform=name, **PLAIN)

    def plain(one, other):
        return (one.mean((3, 4)) - other.mean((3, 4))).square().mean()

    torch.testing.assert_close(loss(s, t), plain(s, t), rtol=1e-6, atol=0)
    torch.testing.assert_close(slope(loss, s, t), slope(plain, s, t), rtol=1e-6, atol=1e-14)
    bare = FeatureSpectrum(component="complex", multiplicity=False, **PLAIN)
    assert abs(bare(s, t) / plain(s, t) - 1) > 0.05


@pytest.mark.parametrize("change", [lambda f: f.roll(3, 2), lambda f: f.flip(2), torch.neg])
def test_p5_rolled_reversed_and_negated_features_are_alike(change):
    for s, t in (EVEN, ODD):
        assert FeatureSpectrum()(change(t), t) < 1e-12
        assert FeatureSpectrum(component="complex")(change(t), t) > 1e-2
        assert FeatureSpectrum()(s, t) > 1e-2


def test_p7_the_amplitude_loss_lies_between_zero_and_squared_error():
    for seed in range(20):
        s, t = drawn(2, C, 8, 1, 1, seed=seed), drawn(2, C, 8, 1, 1, seed=100 + seed)
        least = FeatureSpectrum(**PLAIN)(s, t)
        most = FeatureSpectrum(component="complex", **PLAIN)(s, t)
        assert 0 < least < most


def test_p8_unscaled_it_grows_with_the_square_and_scaled_not_at_all():
    for s, t in (EVEN, ODD):
        plain, scaled = FeatureSpectrum(normalise="none"), FeatureSpectrum()
        torch.testing.assert_close(plain(3 * s, 3 * t), 9 * plain(s, t), rtol=1e-6, atol=0)
        for factor in (1e-4, 1e4):
            torch.testing.assert_close(scaled(factor * s, t), scaled(s, t), rtol=1e-6, atol=0)
            torch.testing.assert_close(scaled(s, factor * t), scaled(s, t), rtol=1e-6, atol=0)


def test_p8_to_scale_features_or_spectra_is_one():
    s, t = (f.mean((3, 4), keepdim=True) for f in EVEN)
    units = (f / f.flatten(1).norm(dim=1).view(-1, 1, 1, 1, 1) for f in (s, t))
    got = FeatureSpectrum(normalise="none")(*units)
    torch.testing.assert_close(got, FeatureSpectrum()(s, t), rtol=1e-6, atol=0)


def wave(frames, cycles=2, phase=0.3):
    time = torch.arange(frames, dtype=torch.float64) / frames
    both = torch.stack([(2 * torch.pi * c * time + phase).cos() for c in (cycles, 1)])
    return both[None, :, :, None, None]


def test_p8_one_motion_is_alike_in_8_and_16_frames():
    assert FeatureSpectrum()(wave(8), wave(16)) < 1e-12
    assert FeatureSpectrum(normalise="none")(wave(16), wave(8)) < 1e-12
    assert FeatureSpectrum()(wave(8), wave(16, cycles=3)) > 0.5
    assert FeatureSpectrum().by_bin(wave(8), wave(16)).shape == (5,)
    assert FeatureSpectrum().by_bin(wave(7), wave(16)).shape == (4,)
    eight, sixteen = (np.abs(np.fft.rfft(wave(n)[0, 0, :, 0, 0], norm="ortho")) for n in (8, 16))
    assert sixteen[2] / eight[2] == pytest.approx(2**0.5)  # the other norm would not do


def test_p8_the_fastest_bin_of_the_shorter_clip_counts_once():
    fast = (-1.0) ** torch.arange(8, dtype=torch.float64).view(1, 1, 8, 1, 1)
    none = torch.zeros(1, 1, 16, 1, 1, dtype=torch.float64)
    got = FeatureSpectrum(normalise="none").by_bin(fast, none)
    torch.testing.assert_close(got, torch.tensor([0, 0, 0, 0, 1]).double(), rtol=0, atol=1e-5)


def test_p10_the_size_of_the_gradient_follows_from_the_loss():
    loss = FeatureSpectrum(**PLAIN)
    for s, t in (EVEN, ODD):
        s, t = (f.mean((3, 4), keepdim=True) for f in (s, t))
        wanted = 4 * loss(s, t) / s.numel()
        torch.testing.assert_close(slope(loss, s, t).square().sum(), wanted, rtol=1e-6, atol=0)


@pytest.mark.parametrize("normalise", ["clip", "channel", "constant", "none"])
@pytest.mark.parametrize("component", [*DISTANCES, "distribution"])
def test_p10_the_gradient_is_that_of_finite_differences(component, normalise):
    loss = FeatureSpectrum(component=component, normalise=normalise, bands="ac", space="per_pixel")
    s, t = (f[:2, :2, :, :1].clone() for f in ODD)
    assert torch.autograd.gradcheck(lambda x: loss(x, t), (s.requires_grad_(),), fast_mode=True)


def test_p10b_the_order_is_pool_transform_amplitude():
    """The map of channels may come before or after; the amplitude may not."""
    s, t = EVEN
    matrix = drawn(C, C, seed=8)
    loss = FeatureSpectrum(normalise="none")
    mapped = torch.einsum("dc,bcthw->bdthw", matrix, s)
    within = loss(s, t, lambda f: f @ matrix.T)
    torch.testing.assert_close(within, loss(mapped, t), rtol=1e-6, atol=0)
    places = torch.fft.rfft(s, dim=2, norm="ortho")
    pooled_first = torch.fft.rfft(s.mean((3, 4)), dim=2, norm="ortho")
    torch.testing.assert_close(places.mean((3, 4)), pooled_first)
    assert (pooled_first.abs() <= places.abs().mean((3, 4)) + 1e-12).all()
    counts = torch.tensor([1, 2, 2, 2, 1]).double()
    other = torch.fft.rfft(t.mean((3, 4)), dim=2, norm="ortho")
    wanted = (counts * (pooled_first.abs() - other.abs()).square()).sum() / B
    torch.testing.assert_close(loss(s, t), wanted, rtol=1e-6, atol=0)
