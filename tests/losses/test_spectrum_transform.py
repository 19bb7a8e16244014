"""Transforms over time: energy, constant part, circular shifts (spec/spectrum.md 9, P1 to P3)."""

import numpy as np
import pytest
import torch
from loss_cases import drawn
from scipy import fft
from slow_spectrum import slow_dft

from redistill.errors import ConfigError
from redistill.losses.spectrum.component import amplitude, squared
from redistill.losses.spectrum.signal import group_mean
from redistill.losses.spectrum.transform import band, dct, dct_matrix, dft, multiplicity
from redistill.nets.shift import shift

LENGTHS = pytest.mark.parametrize("frames", [1, 2, 7, 8, 16])


def signal(frames):
    return drawn(3, frames, 5, seed=frames)


@LENGTHS
def test_the_spectrum_is_the_first_half_of_the_sum_over_frames(frames):
    f = signal(frames)
    wanted = slow_dft(f.numpy().transpose(1, 0, 2)).transpose(1, 0, 2)[:, : frames // 2 + 1]
    np.testing.assert_allclose(dft(f), wanted, rtol=1e-6, atol=1e-12)
    forward = dft(f, norm="forward")
    np.testing.assert_allclose(forward, wanted / np.sqrt(frames), rtol=1e-6, atol=1e-12)


@LENGTHS
def test_p1_the_energy_of_the_bins_is_that_of_the_frames(frames):
    f, counts = signal(frames), multiplicity(frames)
    assert len(counts) == frames // 2 + 1 == dft(f).shape[1]
    assert counts.sum() == frames
    got = (counts[:, None] * squared(dft(f))).sum(1)
    torch.testing.assert_close(got, f.square().sum(1), rtol=1e-6, atol=0)


@LENGTHS
def test_p2_the_first_bin_is_the_mean_and_the_others_the_variance(frames):
    f, x = signal(frames), dft(signal(frames))
    mean = f.mean(1)
    torch.testing.assert_close(x[:, 0].real, frames**0.5 * mean, rtol=1e-6, atol=1e-14)
    rest = (multiplicity(frames)[1:, None] * squared(x[:, 1:])).sum(1)
    wanted = (f - mean[:, None]).square().sum(1)
    torch.testing.assert_close(rest, wanted, rtol=1e-6, atol=1e-14)


@pytest.mark.parametrize("frames", [7, 8])
def test_p3_amplitudes_do_not_see_a_circular_shift_but_one_filled_with_zeros(frames):
    f = signal(frames)
    for step in range(frames):
        rolled = amplitude(dft(f.roll(step, 1)))
        torch.testing.assert_close(rolled, amplitude(dft(f)), rtol=1e-6, atol=1e-14)
    of_network = shift(f.reshape(-1, 5, 1, 1), frames, fold=2).view_as(f)
    assert (amplitude(dft(of_network)) - amplitude(dft(f))).abs().max() > 1e-2


@LENGTHS
def test_the_dct_over_time_is_that_of_scipy(frames):
    f = signal(frames)
    np.testing.assert_allclose(dct(f), fft.dct(f.numpy(), axis=1, norm="ortho"), atol=1e-12)
    np.testing.assert_allclose(
        dct_matrix(frames) @ dct_matrix(frames).T, np.eye(frames), atol=1e-12
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("transform", [dft, dct])
def test_p10c_half_precision_is_transformed_in_single(transform, dtype):
    f = signal(8).to(dtype)
    assert transform(f).real.dtype == torch.float32
    torch.testing.assert_close(transform(f), transform(f.float()), rtol=0, atol=0)


def test_bands_by_bin():
    assert band("all", 5).tolist() == [1, 1, 1, 1, 1]
    assert band("ac", 5).tolist() == [0, 1, 1, 1, 1]
    assert band("dc", 5).tolist() == [1, 0, 0, 0, 0]
    assert band("high", 5).tolist() == [0, 0, 0, 1, 1]
    assert band("high", 4).tolist() == [0, 0, 1, 1]


def test_a_band_without_bins_or_of_no_name_is_refused():
    for name in ("ac", "high"):
        with pytest.raises(ConfigError, match=rf"'{name}' is empty.* 1 bins; give more frames"):
            band(name, 1)
    with pytest.raises(ConfigError, match=r"bands = 'low': expected one of all, ac, dc, high"):
        band("low", 5)


@pytest.mark.parametrize(("channels", "groups"), [(12, 4), (7, 3), (5, 5)])
def test_groups_of_channels_are_those_of_adaptive_pooling(channels, groups):
    f = drawn(2, 8, channels)
    wanted = torch.nn.functional.adaptive_avg_pool1d(f, groups)
    torch.testing.assert_close(group_mean(f, groups), wanted, rtol=1e-6, atol=1e-12)
