"""The other readings of the spectrum loss: phase, bands, spaces, channels, distances, errors."""

import numpy as np
import pytest
import torch
from loss_cases import drawn
from scipy import fft
from scipy.stats import entropy
from slow_spectrum import DISTANCES, slow_loss

from redistill.errors import ConfigError
from redistill.losses.spectrum.feature import FeatureSpectrum

B, C = 3, 4
S, T = drawn(B, C, 8, 4, 2, seed=1), drawn(B, C, 8, 4, 2, seed=2)
ODD = drawn(B, C, 7, 2, 3, seed=3), drawn(B, C, 7, 2, 3, seed=4)
PLAIN = {"normalise": "none", "reduction": "mean"}
LAMBDAS = (0.0, 0.25, 0.5, 0.75, 1.0)


def slope(loss):
    leaf = S.clone().requires_grad_()
    loss(leaf, T).backward()
    return leaf.grad


@pytest.mark.parametrize("bands", ["all", "ac"])
def test_phase_0_is_amplitude_and_phase_1_complex_and_between_them_a_line(bands):
    ends = [FeatureSpectrum(component=name, bands=bands) for name in ("amplitude", "complex")]
    for phase in LAMBDAS:
        loss = FeatureSpectrum(phase=phase, bands=bands)
        a, c = (one(S, T) for one in ends)
        torch.testing.assert_close(loss(S, T), a + phase * (c - a), rtol=1e-12, atol=0)
        a, c = (slope(one) for one in ends)
        torch.testing.assert_close(slope(loss), a + phase * (c - a), rtol=1e-12, atol=1e-15)


def test_the_family_is_that_of_amplitudes_and_angles():
    def distance(x, y):
        a, b, turn = abs(x), abs(y), np.angle(x) - np.angle(y)
        return (a - b) ** 2 + 0.25 * 2 * a * b * (1 - np.cos(turn))

    signals = (f.numpy().mean((3, 4)).transpose(0, 2, 1)[:, None] for f in (S, T))
    DISTANCES["quarter"] = distance
    wanted = slow_loss(*signals, "quarter", band="ac")
    del DISTANCES["quarter"]
    got = FeatureSpectrum(phase=0.25, bands="ac")(S, T).item()
    assert got == pytest.approx(wanted, rel=1e-6)


def test_p2_without_the_first_bin_no_constant_counts():
    """Here each channel and clip has its own; bands with the first bin do see it."""
    constant = 3 * drawn(B, C, 1, 1, 1, seed=5)
    for normalise in ("clip", "channel", "none"):
        for component in ("amplitude", "complex", "distribution"):
            loss = FeatureSpectrum(bands="ac", normalise=normalise, component=component)
            got = loss(S + constant, T)
            torch.testing.assert_close(got, loss(S, T), rtol=1e-6, atol=0)
    assert abs(FeatureSpectrum()(S + constant, T) - FeatureSpectrum()(S, T)) > 0.1
    only = FeatureSpectrum(bands="dc")
    torch.testing.assert_close(only(S.flip(2).cumsum(2).diff(dim=2, prepend=S * 0), T), only(S, T))


@pytest.mark.parametrize("bands", ["all", "ac", "dc", "high"])
def test_each_band_normalised_by_itself_is_bounded_and_can_be_large(bands):
    """However small a band's share: opposite features are 4 apart, disjoint amplitudes 2."""
    far = FeatureSpectrum(bands=bands, component="complex")
    small = 50 + S  # nearly all of the energy lies in the first bin
    for seed in range(5):
        other = drawn(B, C, 8, 1, 1, seed=seed)
        assert 0 < FeatureSpectrum(bands=bands)(small, other) <= 2
        assert 0 < far(small, other) <= 4
    opposite = small if bands in ("all", "dc") else 50 - S
    opposite = -opposite if bands in ("all", "dc") else opposite
    assert far(small, opposite).item() == pytest.approx(4)
    first = torch.tensor([1.0, 1, 0, 0]).double().view(1, C, 1, 1, 1)
    disjoint = FeatureSpectrum(bands=bands)(S * first, T * (1 - first))
    assert disjoint.item() == pytest.approx(2, rel=1e-4)  # an amplitude is at least 1e-6


@pytest.mark.parametrize("normalise", ["clip", "none"])
@pytest.mark.parametrize("component", ["amplitude", "log_amplitude", "power", "complex"])
def test_dct_bin_by_bin(component, normalise):
    x, y = (fft.dct(f.numpy().mean((3, 4)), axis=2, norm="ortho")[..., 1:] for f in (S, T))
    if normalise == "clip":
        x, y = (z / np.sqrt((z**2).sum((1, 2), keepdims=True)) for z in (x, y))
    wanted = DISTANCES[component](x, y).sum() / B
    loss = FeatureSpectrum(transform="dct", component=component, normalise=normalise, bands="ac")
    assert loss(S, T).item() == pytest.approx(wanted, rel=1e-6)
    assert loss.by_bin(S, T).shape == (8,)


def test_dct_knows_a_sign_where_the_dft_knows_a_phase():
    x, y = (fft.dct(f.numpy().mean((3, 4)), axis=2, norm="ortho") for f in (S, T))
    wanted = DISTANCES["amp_phase"](x + 0j, y + 0j).sum() / B
    loss = FeatureSpectrum(transform="dct", component="amp_phase", normalise="none")
    assert loss(S, T).item() == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("normalise", ["clip", "channel", "constant", "none"])
@pytest.mark.parametrize("component", DISTANCES)
def test_per_pixel_is_place_by_place(component, normalise):
    s, t = (f.numpy().transpose(0, 3, 4, 2, 1).reshape(B, -1, 7, C) for f in ODD)
    loss = FeatureSpectrum(space="per_pixel", component=component, normalise=normalise)
    wanted = slow_loss(s, t, component, normalise=normalise)
    assert loss(*ODD).item() == pytest.approx(wanted, rel=1e-6)


def test_places_are_those_of_the_smaller_grid():
    small = T.unflatten(3, (2, 2)).mean(4)
    for space in ("per_pixel", "volume", "attention"):
        loss = FeatureSpectrum(space=space)
        torch.testing.assert_close(loss(small, S), loss(small, S.unflatten(3, (2, 2)).mean(4)))


@pytest.mark.parametrize("component", ["amplitude", "complex", "power"])
def test_volume_is_the_whole_transform_over_time_and_space(component):
    for s, t in ((S, T), ODD):
        x, y = (np.fft.fftn(f.numpy(), axes=(2, 3, 4), norm="ortho") for f in (s, t))
        wanted = DISTANCES[component](x, y).sum() / B
        plain = FeatureSpectrum(space="volume", component=component, normalise="none")
        assert plain(s, t).item() == pytest.approx(wanted, rel=1e-6)
        x, y = (z / np.sqrt((abs(z) ** 2).sum((1, 2, 3, 4), keepdims=True)) for z in (x, y))
        wanted = DISTANCES[component](x, y).sum() / B
        scaled = FeatureSpectrum(space="volume", component=component)
        assert scaled(s, t).item() == pytest.approx(wanted, rel=1e-6)


def test_attention_is_where_the_energy_is_from_frame_to_frame():
    maps = []
    for f in (S[:, :2], T):
        energy = (f.numpy() ** 2).mean(1).reshape(B, 1, 8, -1)
        maps.append(energy / np.linalg.norm(energy, axis=-1, keepdims=True))
    got = FeatureSpectrum(space="attention", bands="ac")(S[:, :2], T)  # widths need not agree
    assert got.item() == pytest.approx(slow_loss(*maps, band="ac"), rel=1e-6)


def test_groups_of_the_teachers_channels():
    means = torch.stack([T[:, :2].mean(1), T[:, 2:].mean(1)], 1)
    got = FeatureSpectrum(channels="group_mean")(S[:, :2], T)
    torch.testing.assert_close(got, FeatureSpectrum()(S[:, :2], means), rtol=1e-6, atol=0)


def test_distribution_is_the_divergence_of_energies_and_free_of_scale():
    def shares(f):
        energy = (abs(np.fft.rfft(f.numpy().mean((3, 4)), axis=2)) ** 2).sum(1)
        energy[:, 1:4] *= 2
        shares = energy[:, 1:] / energy[:, 1:].sum(1, keepdims=True)
        return shares + 1e-6 * np.array([2, 2, 2, 1])  # the least that a bin has

    wanted = np.mean([entropy(p, q) for p, q in zip(shares(T), shares(S), strict=True)])
    loss = FeatureSpectrum(component="distribution", bands="ac", channels="identity")
    assert loss(S, T).item() == pytest.approx(wanted, rel=1e-6)
    for factor in (1e-5, 1e5):
        assert loss(factor * S, T).item() == pytest.approx(wanted, rel=1e-6)
    assert loss(S[:, :3], T).isfinite()  # nor does it know channels


def test_the_other_distance_is_the_root_and_zero_where_both_are_alike():
    x, y = (np.abs(np.fft.fft(f.numpy().mean((3, 4)), axis=2, norm="ortho")) for f in (S, T))
    got = FeatureSpectrum(distance="l1", normalise="none")(S, T).item()
    assert got == pytest.approx(np.abs(x - y).sum() / B, rel=1e-4)
    assert FeatureSpectrum(distance="l1")(S, S) == 0


@pytest.mark.parametrize("space", ["gap", "per_pixel", "volume", "attention"])
def test_the_mean_is_the_sum_over_frames_places_and_channels(space):
    size = {"gap": 8 * C, "attention": 8 * 8}.get(space, 8 * 8 * C)
    total = FeatureSpectrum(space=space)(S, T)
    torch.testing.assert_close(FeatureSpectrum(space=space, reduction="mean")(S, T), total / size)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"component": "amplitud"}, r"component = 'amplitud'.*Did you mean 'amplitude'\?"),
        ({"space": "time"}, r"space = 'time': expected one of gap, per_pixel"),
        ({"bands": "low"}, r"bands = 'low': expected one of"),
        ({"phase": 1.5}, r"phase = 1.5: expected from 0 \(amplitude\) to 1 \(complex\)"),
        ({"phase": float("nan")}, r"phase = nan: expected from 0"),
        ({"phase": 0.5, "component": "power"}, r"'power'; take component = 'amplitude'"),
        ({"component": "distribution", "bands": "dc"}, r"'dc' holds one bin.*take bands"),
    ],
)
def test_what_is_no_reading_is_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        FeatureSpectrum(**fields)


def test_what_cannot_be_compared_is_refused_and_says_what_to_do():
    for channels in ("linear", "identity"):
        wanted = rf"channels = '{channels}': the student has 2 channels and the teacher 4; take"
        with pytest.raises(ConfigError, match=wanted):
            FeatureSpectrum(channels=channels)(S[:, :2], T)
    with pytest.raises(ConfigError, match=r"not of 8 and 7 frames; take transform = 'dft'"):
        FeatureSpectrum(transform="dct")(S, T[:, :, :7])
    for space in ("per_pixel", "attention", "volume"):
        with pytest.raises(ConfigError, match=rf"'{space}' .* 8 and 7 frames; .*space = 'gap'"):
            FeatureSpectrum(space=space)(S, T[:, :, :7])
