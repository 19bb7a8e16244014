"""How three losses work together: closed forms of the noise levels, weights of every mode."""

import math

import pytest
import torch
from scipy.optimize import minimize_scalar

from redistill.methods.collaboration import COLLABORATIONS, Collaboration, noise_weighted

LEARNED, CONSTANT = ("learned", "map"), ("fixed", "alternate", "stochastic", "mutual")


def number(x):
    return torch.tensor(x, dtype=torch.float64)


def total(collab, ce=1.3, fsd=0.7, pdd=0.2, noise=(0.3, -0.4, 0.9), *, step=0, done=0.5):
    losses = (number(x) for x in (ce, fsd, pdd))
    return collab(*losses, number(noise), step=step, done=done).item()


# Closed forms.


@pytest.mark.parametrize("loss", [1e-3, 0.2, 1.0, 7.0])
@pytest.mark.parametrize("half", [True, False])
def test_p17_the_best_noise_level_is_the_logarithm_of_the_loss(loss, half):
    best = minimize_scalar(
        lambda s: noise_weighted(number(loss), number(s), half=half).item(),
        bounds=(-15, 15), method="bounded", options={"xatol": 1e-9},
    )  # fmt: skip
    expected = math.log(loss) if half else math.log(2 * loss)
    assert best.x == pytest.approx(expected, abs=1e-5)
    assert best.fun == pytest.approx(0.5 * (1 + expected), rel=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_p18_there_the_gradient_knows_no_unit(scale):
    theta = number([0.4, -1.1, 2.0]).requires_grad_()
    loss = scale * (theta.pow(4).sum() + theta.sum().square())
    s = loss.detach().log()
    (given,) = torch.autograd.grad(noise_weighted(loss, s), theta)
    with torch.no_grad():
        slope = 4 * theta.pow(3) + 2 * theta.sum()
        torch.testing.assert_close(given, 0.5 * slope * scale / loss, rtol=1e-9, atol=0)


@pytest.mark.parametrize(("labels", "levels"), [(False, 2), (True, 3)])
def test_p19_losses_that_vanish_are_bounded_by_the_clamp_alone(labels, levels):
    collab = Collaboration(labels=labels)
    for s in (-4.0, -400.0):
        assert total(collab, 0, 0, 0, (s, s, s)) == pytest.approx(levels * s / 2)
    draw = torch.Generator().manual_seed(0)
    for row in torch.rand(200, 6, generator=draw, dtype=torch.float64):
        losses, noise = (row[:3] * 10).tolist(), (row[3:] * 8 - 4).tolist()
        assert total(collab, *losses, noise) >= -2 * levels


# Modes.


def test_learned_is_the_negative_logarithm_of_the_likelihood_written_out():
    y, f, p = 0.3, -0.4, 0.9
    kernels = 0.5 * math.exp(-p) * 0.2 + 0.5 * p
    features = 0.5 * math.exp(-f) * 0.7 + 0.5 * f
    assert total(Collaboration()) == pytest.approx(1.3 + features + kernels, rel=1e-12)
    labels = math.exp(-y) * 1.3 + 0.5 * y
    given = total(Collaboration(labels=True))
    assert given == pytest.approx(labels + features + kernels, rel=1e-12)
    prior = Collaboration(mode="map", lambda_p=0.6, labels=True)
    assert total(prior) == pytest.approx(1.3 + features + 0.6 * 0.2, rel=1e-12)


def test_each_level_is_that_of_its_own_loss():
    """The gradient on a level is half of one minus its weighted loss (labels: without the half)."""
    noise = number([0.3, -0.4, 0.9]).requires_grad_()
    collab = Collaboration(labels=True)
    losses = number(1.3), number(0.7), number(0.2)
    collab(*losses, noise, step=0, done=0.5).backward()
    expected = [
        0.5 - math.exp(-0.3) * 1.3,
        0.5 - 0.5 * math.exp(0.4) * 0.7,
        0.5 - 0.5 * math.exp(-0.9) * 0.2,
    ]
    assert noise.grad.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("mode", CONSTANT)
@pytest.mark.parametrize("labels", [False, True])
def test_constant_weights_leave_the_noise_levels_alone(mode, labels):
    noise = number([1.0, 2.0, 3.0]).requires_grad_()
    losses = (number(1.0).requires_grad_(), number(2.0), number(3.0))
    collab = Collaboration(mode=mode, labels=labels)
    collab(*losses, noise, step=0, done=0.5).backward()
    assert noise.grad is None


@pytest.mark.parametrize("mode", ["fixed", "mutual"])
def test_constant_weights_are_those_given(mode):
    collab = Collaboration(mode=mode, lambda_f=3.0, lambda_p=0.25)
    assert total(collab) == pytest.approx(1.3 + 3 * 0.7 + 0.25 * 0.2, rel=1e-12)


def test_learned_weights_are_not_given():
    assert total(Collaboration(lambda_f=3.0, lambda_p=0.25)) == total(Collaboration())
    prior = {"mode": "map", "lambda_p": 0.25}
    assert total(Collaboration(lambda_f=3.0, **prior)) == total(Collaboration(**prior))


@pytest.mark.parametrize("mode", COLLABORATIONS)
def test_a_weight_of_zero_leaves_a_loss_out_and_its_level_too(mode):
    collab = Collaboration(mode=mode, lambda_f=0.0, lambda_p=0.0)
    for step in range(4):
        assert total(collab, noise=(0.0, 3.0, 3.0), step=step) == 1.3


def test_alternate_takes_features_in_even_steps_and_kernels_in_odd_ones():
    collab = Collaboration(mode="alternate", lambda_f=3.0, lambda_p=0.25)
    for step in range(6):
        expected = 0.25 * 0.2 if step % 2 else 3 * 0.7
        assert total(collab, step=step) == pytest.approx(1.3 + expected, rel=1e-12)


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_stochastic_is_fixed_in_expectation(share):
    ways = {"lambda_f": 3.0, "lambda_p": 2.0, "warmup": 0.8}
    collab = Collaboration(mode="stochastic", share_f=share, **ways)
    torch.manual_seed(0)
    drawn = [collab.weights(step=0, done=0.4) for _ in range(4000)]
    fixed = Collaboration(mode="fixed", **ways).weights(step=0, done=0.4)
    assert fixed == (1.5, 1.0)
    assert all((f == 0) != (p == 0) for f, p in drawn)
    taken = sum(f > 0 for f, _ in drawn) / len(drawn)
    assert taken == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / len(drawn)))
    for place, (weight, chance) in enumerate(zip(fixed, (share, 1 - share), strict=True)):
        values = {row[place] for row in drawn}
        assert sorted(values) == pytest.approx([0.0, weight / chance])
        mean = sum(row[place] for row in drawn) / len(drawn)
        error = weight * math.sqrt((1 - chance) / chance / len(drawn))
        assert mean == pytest.approx(weight, abs=4 * error)


def test_stochastic_draws_from_the_generator_that_checkpoints_hold():
    collab = Collaboration(mode="stochastic")
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    first = [collab.weights(step=k, done=0.5) for k in range(32)]
    torch.random.set_rng_state(state)
    assert [collab.weights(step=k, done=0.5) for k in range(32)] == first
    assert [collab.weights(step=k, done=0.5) for k in range(32)] != first


@pytest.mark.parametrize("mode", [m for m in COLLABORATIONS if m != "stochastic"])
def test_only_stochastic_draws(mode):
    before = torch.random.get_rng_state()
    Collaboration(mode=mode).weights(step=3, done=0.5)
    assert torch.equal(before, torch.random.get_rng_state())


# Fading in.


@pytest.mark.parametrize("mode", ["learned", "map", "fixed", "mutual"])
@pytest.mark.parametrize(
    ("done", "fade"), [(0.0, 0.0), (0.05, 0.25), (0.1, 0.5), (0.2, 1.0), (0.9, 1.0)]
)
def test_spectra_fade_in_linearly_and_then_stay(mode, done, fade):
    whole = total(Collaboration(mode=mode), done=done)
    faded = total(Collaboration(mode=mode, warmup=0.2), done=done)
    assert faded - 1.3 == pytest.approx(fade * (whole - 1.3), rel=1e-9, abs=1e-12)


def test_a_level_does_not_undo_the_fading_in():
    """Were the loss alone to fade, its level would fall until the gradient is whole again."""
    collab = Collaboration(warmup=1.0)
    noise = number([0.0, math.log(0.7), math.log(0.2)]).requires_grad_()  # the best for the losses
    losses = number(1.3), number(0.7), number(0.2)
    collab(*losses, noise, step=0, done=0.1).backward()
    assert noise.grad.tolist() == pytest.approx([0, 0, 0], abs=1e-12)
