"""The parameter loss over stages, and the readings on values of coefficients (3.2)."""

import numpy as np
import pytest
import torch
from loss_cases import drawn
from scipy import fft
from scipy.stats import entropy, kurtosis

from redistill.errors import ConfigError
from redistill.losses.spectrum.coefficient import COEFFICIENTS, coefficients, lowpass
from redistill.losses.spectrum.parameter import STATISTICS, ParameterSpectrum

OWN = [drawn(4, 2, 3, 3, seed=1), drawn(6, 4, 3, 3, seed=2)]
GIVEN = [drawn(4, 2, 3, 3, seed=3), 0.5 + drawn(6, 4, 3, 3, seed=4)]
WIDE = [drawn(8, 1, 3, 3, seed=5), drawn(12, 5, 3, 3, seed=6), drawn(9, 7, 3, 3, seed=7)]
EVERY = pytest.mark.parametrize("statistic", STATISTICS)


def as_stages(*stages):
    return [{f"{n}.conv": w for n, w in enumerate(stage)} for stage in stages]


def dcts(stage):
    """The coefficients of a stage over their root mean square, a row for each kernel."""
    rows = [fft.dctn(w, norm="ortho").ravel() for x in stage for w in x.numpy().reshape(-1, 3, 3)]
    return np.array(rows) / np.sqrt(np.mean(np.square(rows)))


def test_coefficients_are_those_of_scipy_in_units_of_their_size():
    np.testing.assert_allclose(coefficients(WIDE), dcts(WIDE), rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(coefficients([1e-5 * w for w in WIDE]), coefficients(WIDE))


@pytest.mark.parametrize("given", [GIVEN, WIDE])
def test_quantiles_frequency_by_frequency(given):
    at = [(i + 0.5) / 32 for i in range(32)]
    apart = np.quantile(dcts(OWN), at, axis=0) - np.quantile(dcts(given), at, axis=0)
    assert COEFFICIENTS["quantiles"](OWN, given).item() == pytest.approx(abs(apart).mean())


@pytest.mark.parametrize("given", [GIVEN, WIDE])
def test_moments_frequency_by_frequency(given):
    apart = []
    for column, other in zip(dcts(OWN).T, dcts(given).T, strict=True):
        apart += [np.log(column.var()) - np.log(other.var()), kurtosis(column) - kurtosis(other)]
    wanted = np.mean(np.square(apart))
    assert COEFFICIENTS["moments"](OWN, given).item() == pytest.approx(wanted, rel=1e-6)


LOW = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0)]


def test_lowpass_coefficient_by_coefficient():
    apart = []
    for own, given in zip(OWN, GIVEN, strict=True):
        pairs = zip(own.numpy().reshape(-1, 3, 3), given.numpy().reshape(-1, 3, 3), strict=True)
        dct = [fft.dctn(w, norm="ortho") - fft.dctn(v, norm="ortho") for w, v in pairs]
        apart.append(np.mean([d[at] ** 2 for d in dct for at in LOW]))
    assert lowpass(OWN, GIVEN).item() == pytest.approx(np.mean(apart), rel=1e-6)


def test_lowpass_averages_channels_in_groups_and_pairs_the_last_layers():
    def grouped(w, *size):
        for axis, wanted in enumerate(size):
            w = torch.stack([part.mean(axis) for part in w.tensor_split(wanted, axis)], axis)
        return w

    even = [drawn(3, 3, 3, 3), drawn(8, 4, 3, 3, seed=8), drawn(12, 8, 3, 3, seed=9)]
    wanted = lowpass(OWN, [grouped(even[1], 4, 2), grouped(even[2], 6, 4)])
    torch.testing.assert_close(lowpass(OWN, even), wanted)
    torch.testing.assert_close(lowpass(even, OWN), wanted)  # whichever is the narrower


def test_flat_as_the_public_code_does_it():
    def spectrum(stage):
        parts = [abs(np.fft.fft2(w.numpy().reshape(len(w), -1))).ravel() for w in stage]
        every = np.concatenate(parts) / np.concatenate(parts).sum()
        return every[: len(every) // 2]

    got = COEFFICIENTS["flat"](OWN, GIVEN).item()
    assert got == pytest.approx(entropy(spectrum(GIVEN), spectrum(OWN)), rel=1e-6)
    mixed = [w[torch.randperm(len(w))] for w in OWN]
    assert COEFFICIENTS["flat"](mixed, GIVEN).item() != pytest.approx(got, rel=1e-3)
    with pytest.raises(ConfigError, match=r"student has \[\(4, 2, 3, 3\).*or another statistic"):
        COEFFICIENTS["flat"](OWN, WIDE[:2])


@EVERY
def test_alike_kernels_are_at_no_distance_and_others_are(statistic):
    loss = ParameterSpectrum(statistic=statistic)
    assert abs(loss(as_stages(OWN), as_stages(OWN))) < 1e-14
    assert loss(as_stages(OWN), as_stages(GIVEN)) > 1e-3


@EVERY
def test_p15_gradients_reach_live_kernels_and_no_teacher(statistic):
    own = [x.clone().requires_grad_() for x in OWN]
    given = [x.clone().requires_grad_() for x in GIVEN]
    loss = ParameterSpectrum(statistic=statistic)
    loss(as_stages(own), as_stages(given)).backward()
    assert all(x.grad.norm() > 1e-6 for x in own)
    assert all(x.grad is None for x in given)
    silent = loss(as_stages([x.data for x in own]), as_stages(given))
    assert silent > 0
    assert not silent.requires_grad


@EVERY
def test_the_gradient_is_that_of_finite_differences(statistic):
    given = [x[:2, :2] for x in GIVEN]
    first, second = (x[:2, :2].clone().requires_grad_() for x in OWN)
    loss = ParameterSpectrum(statistic=statistic)
    assert torch.autograd.gradcheck(
        lambda *own: loss(as_stages(own), as_stages(given)), (first, second), fast_mode=True
    )


def test_the_loss_is_the_mean_of_stages_that_both_have():
    loss = ParameterSpectrum()
    own, given = as_stages(OWN, [], OWN[:1], WIDE), as_stages(GIVEN, WIDE, [], OWN)
    parts = loss.by_stage(own, given)
    assert len(parts) == 2
    torch.testing.assert_close(parts[0], loss(own[:1], given[:1]))
    torch.testing.assert_close(loss(own, given), (parts[0] + parts[1]) / 2)
    with pytest.raises(ConfigError, match=r"no stage has kernels of 3 x 3 .* take networks of"):
        loss(own[1:3], given[1:3])


def test_every_field_counts():
    def value(**fields):
        return ParameterSpectrum(**fields)(as_stages(OWN), as_stages(GIVEN)).item()

    readings = [{"statistic": name} for name in STATISTICS]
    readings += [{"divergence": name} for name in ("reverse_kl", "js", "l2", "hellinger")]
    readings += [{"transform": "dft"}, {"layers": "pooled"}]
    assert len({round(value(**fields), 9) for fields in readings}) == len(readings)


@EVERY
def test_kernels_of_several_sides_are_not_compared(statistic):
    with pytest.raises(ConfigError, match=r"kernels of sides \[3, 5\]"):
        ParameterSpectrum(statistic=statistic)(as_stages(OWN), as_stages([drawn(4, 2, 5, 5)]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"statistic": "quantile"}, r"statistic = 'quantile'.*Did you mean 'quantiles'\?"),
        ({"divergence": "w1"}, r"divergence = 'w1': expected one of kl, reverse_kl"),
        ({"transform": "haar"}, r"transform = 'haar': expected one of dct, dft"),
        ({"layers": "all"}, r"layers = 'all': expected one of normalised, pooled"),
    ],
)
def test_what_is_no_reading_is_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        ParameterSpectrum(**fields)
