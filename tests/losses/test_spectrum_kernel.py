"""Shares of the kernels' energy per frequency, and their divergences (P11 to P15)."""

import numpy as np
import pytest
import torch
from loss_cases import drawn
from scipy import fft
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from redistill.errors import ConfigError
from redistill.losses.spectrum.kernel import (
    DIVERGENCES,
    ENERGIES,
    LAYERS,
    energy_shares,
    kernel_dct,
    radial,
)

SMALL, LARGE = drawn(4, 3, 3, 3, seed=1), 5 * drawn(8, 6, 3, 3, seed=2)
SIDES = pytest.mark.parametrize("k", [3, 5, 7])


MIRRORS = (lambda w: w.flip(2), lambda w: w.flip(3))  # the DFT sees on which diagonal a wave runs


def smooth(kernels):
    """Each kernel averaged with its neighbours, zero outside."""
    return torch.nn.functional.avg_pool2d(kernels, 3, stride=1, padding=1)


@pytest.mark.parametrize("k", [1, 3, 5, 7])
def test_p11_the_dct_is_that_of_scipy_and_keeps_distances(k):
    w, v = drawn(5, 2, k, k, seed=3), drawn(5, 2, k, k, seed=4)
    wanted = fft.dctn(w.numpy(), type=2, norm="ortho", axes=(2, 3))
    np.testing.assert_allclose(kernel_dct(w), wanted, rtol=1e-6, atol=1e-12)
    apart = (kernel_dct(w) - kernel_dct(v)).square().sum()
    torch.testing.assert_close(apart, (w - v).square().sum(), rtol=1e-6, atol=0)


def test_p12_a_kernel_of_one_number_is_its_own_transform_and_refused():
    w = drawn(5, 2, 1, 1)
    torch.testing.assert_close(kernel_dct(w), w, rtol=1e-6, atol=0)
    with pytest.raises(ConfigError, match=r"sides \[1\].*one side of at least 3; take the k x k"):
        energy_shares([w])


@SIDES
@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("transform", ENERGIES)
def test_shares_kernel_by_kernel(transform, layers, k):
    stage = [drawn(4, 3, k, k, seed=1), 5 * drawn(6, 1, k, k, seed=2)]
    total = np.zeros((k, k))
    for layer in stage:
        energy = np.zeros((k, k))
        for kernel in layer.numpy().reshape(-1, k, k):
            dct = fft.dctn(kernel, norm="ortho")
            energy += abs(np.fft.fft2(kernel)) ** 2 if transform == "dft" else dct**2
        total += energy / energy.sum() if layers == "normalised" else energy
    shares = energy_shares(stage, transform=transform, layers=layers)
    np.testing.assert_allclose(shares, total / total.sum(), rtol=1e-6)


@SIDES
@pytest.mark.parametrize("shape", [(1, 1), (8, 1), (3, 7)])
def test_p13_shares_add_up_to_one_and_know_no_width(shape, k):
    shares = energy_shares([drawn(*shape, k, k)])
    assert shares.shape == (k, k)
    assert (shares > 0).all()
    assert shares.sum().item() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("transform", ENERGIES)
def test_p13_what_shares_do_not_see(transform):
    def shares(*stage):
        return energy_shares(stage, transform=transform)

    wanted = shares(SMALL, LARGE)
    signs = drawn(4, 3, 1, 1, seed=9).sign()
    for change in (
        lambda w: w[torch.randperm(len(w))],
        lambda w: w[:, torch.randperm(w.shape[1])],
        lambda w: w * signs,
        lambda w: 1e-4 * w,
        lambda w: w.flip(2, 3),
        *(MIRRORS if transform == "dct" else ()),
    ):
        torch.testing.assert_close(shares(change(SMALL), LARGE), wanted, rtol=1e-6, atol=0)
    turned = shares(SMALL.mT, LARGE.mT)
    torch.testing.assert_close(turned, wanted.T, rtol=1e-6, atol=0)
    assert (turned - wanted).abs().max() > 1e-3
    torch.testing.assert_close(radial(turned), radial(wanted), rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_p13_the_gradient_is_orthogonal_to_the_weights(name):
    """No scale: a step along the gradient neither shrinks nor grows them (Euler)."""
    w = SMALL.clone().requires_grad_()
    DIVERGENCES[name](energy_shares([w]), energy_shares([LARGE])).backward()
    assert w.grad.norm() > 1e-4
    assert abs((w.grad * w).sum()) < 1e-10 * w.grad.norm() * w.norm()


@pytest.mark.parametrize("name", DIVERGENCES)
def test_the_gradient_is_that_of_finite_differences(name):
    given = energy_shares([LARGE])
    leaf = SMALL[:2, :2].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda w: DIVERGENCES[name](energy_shares([w]), given), (leaf,))


SLOW = {
    "kl": lambda s, t: entropy(t, s),
    "reverse_kl": entropy,
    "js": lambda s, t: jensenshannon(s, t) ** 2,
    "l2": lambda s, t: sum((a - b) ** 2 for a, b in zip(s, t, strict=True)),
    "hellinger": lambda s, t: 1 - sum((a * b) ** 0.5 for a, b in zip(s, t, strict=True)),
}


@pytest.mark.parametrize("name", DIVERGENCES)
def test_p14_divergences_are_zero_where_shares_agree_and_positive_elsewhere(name):
    own, given = energy_shares([SMALL]), energy_shares([LARGE])
    wanted = SLOW[name](own.flatten().numpy(), given.flatten().numpy())
    assert DIVERGENCES[name](own, given).item() == pytest.approx(wanted, rel=1e-6)
    assert DIVERGENCES[name](own, given) > 1e-4
    assert abs(DIVERGENCES[name](given, given)) < 1e-14


def test_p14_noise_is_flat_and_smooth_kernels_are_low():
    noise = drawn(200, 100, 3, 3)
    np.testing.assert_allclose(energy_shares([noise]), np.full((3, 3), 1 / 9), rtol=0.05)
    place = torch.arange(3, dtype=torch.float64)
    far = (place[:, None].square() + place.square()).sqrt()
    centroid, low = ((energy_shares([w]) * far).sum() for w in (noise, smooth(noise)))
    assert centroid.item() == pytest.approx(1.65, abs=0.02)
    assert low < 1.0


def test_rings_of_frequencies_one_by_one():
    shares = energy_shares([drawn(4, 3, 5, 5)])
    rings = np.zeros(7)
    for u in range(5):
        for v in range(5):
            rings[round((u * u + v * v) ** 0.5)] += shares[u, v]
    np.testing.assert_allclose(radial(shares), rings, rtol=1e-6)


def distance(kernels):
    return DIVERGENCES["kl"](energy_shares(kernels), energy_shares([LARGE]))


def test_p15_live_weights_have_a_gradient_and_their_data_none():
    conv = torch.nn.Conv2d(3, 4, 3).double()
    live, dead = distance([conv.weight]), distance([conv.weight.data])
    assert live == dead
    assert live.requires_grad
    assert not dead.requires_grad  # the same value: that alone would not tell
    live.backward()
    assert conv.weight.grad.norm() > 0


def test_a_layer_of_zeros_has_no_say_and_a_finite_gradient():
    zero = torch.zeros(4, 3, 3, 3, requires_grad=True)
    small = SMALL.float()
    torch.testing.assert_close(energy_shares([small, zero]), energy_shares([small]))
    for stage in ([small, zero], [zero]):
        distance(stage).backward()
        assert zero.grad.isfinite().all()


def test_half_precision_kernels_are_taken_in_single():
    for transform in ENERGIES:
        shares = energy_shares([SMALL.half()], transform=transform)
        assert shares.dtype == torch.float32
        wanted = energy_shares([SMALL.half().double()], transform=transform)
        torch.testing.assert_close(shares.double(), wanted, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("kernels", "message"),
    [
        ([], r"kernels of sides \[\]"),
        ([SMALL, drawn(2, 2, 5, 5)], r"kernels of sides \[3, 5\]: .* take the k x k convolutions"),
        ([SMALL[..., :2]], r"kernels of shape \(4, 3, 3, 2\): expected \(\.\.\., k, k\)"),
    ],
)
def test_kernels_that_make_no_distribution_are_refused(kernels, message):
    with pytest.raises(ConfigError, match=message):
        energy_shares(kernels)
