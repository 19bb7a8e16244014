"""Losses on answers, against SciPy, torch and closed forms."""

import numpy as np
import pytest
import torch
from loss_cases import drawn
from scipy.special import rel_entr, softmax
from torch.nn import functional as F

from redistill.losses.response.dkd import dkd
from redistill.losses.response.kd import kd

S, T = drawn(10, 5, seed=1), drawn(10, 5, seed=2)
LABELS = torch.arange(10) % 5


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_kd_is_the_divergence_of_scipy(temperature):
    p, q = (softmax(x.numpy() / temperature, axis=1) for x in (T, S))
    wanted = temperature**2 * rel_entr(p, q).sum(1).mean()
    assert kd(S, T, temperature=temperature).item() == pytest.approx(wanted, rel=1e-12)


def test_kd_is_batchmean_and_not_mean():
    """The mean over classes too, torch's default, is 1/K of the definition."""
    ours = kd(S, T, temperature=1.0)
    args = S.log_softmax(1), T.softmax(1)
    torch.testing.assert_close(ours, F.kl_div(*args, reduction="batchmean"))
    torch.testing.assert_close(ours, 5 * F.kl_div(*args, reduction="none").mean())


def test_kd_does_not_see_a_constant_and_is_not_negative():
    ours = kd(S, T, temperature=4.0)
    torch.testing.assert_close(kd(S + 7.0, T - 3.0, temperature=4.0), ours)
    assert ours > 0
    assert kd(S, S, temperature=4.0).abs() < 1e-15


def test_kd_at_high_temperature_is_a_match_of_centred_logits():
    leaf = S.clone().requires_grad_()
    kd(leaf, T, temperature=1000.0).backward()
    centred = [x - x.mean(1, keepdim=True) for x in (S, T)]
    wanted = (centred[0] - centred[1]) / (5 * 10)
    assert (leaf.grad - wanted).abs().max() < 6e-5
    assert wanted.abs().max() > 1e-2


def slow_dkd(s, t, label, temperature, alpha, beta):
    p, q = (softmax(x / temperature) for x in (t, s))
    rest = [k for k in range(len(p)) if k != label]
    pairs = [np.array([x[label], x[rest].sum()]) for x in (p, q)]
    others = [x[rest] / x[rest].sum() for x in (p, q)]
    return temperature**2 * (alpha * rel_entr(*pairs).sum() + beta * rel_entr(*others).sum())


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 2.0), (0.3, 8.0), (1.0, 0.0)])
def test_dkd_is_the_two_parts_clip_by_clip(alpha, beta):
    rows = zip(S.numpy(), T.numpy(), LABELS.tolist(), strict=True)
    wanted = np.mean([slow_dkd(s, t, y, 2.5, alpha, beta) for s, t, y in rows])
    got = dkd(S, T, LABELS, temperature=2.5, alpha=alpha, beta=beta)
    assert got.item() == pytest.approx(wanted, rel=1e-10)


def test_dkd_holds_plain_distillation_as_a_case():
    """With alpha 1 and beta the teacher's share of the other classes, clip by clip."""
    for s, t, y in zip(S.split(1), T.split(1), LABELS.split(1), strict=True):
        beta = 1 - (t / 4).softmax(1)[0, y].item()
        got = dkd(s, t, y, temperature=4.0, alpha=1.0, beta=beta)
        torch.testing.assert_close(got, kd(s, t, temperature=4.0))


def test_dkd_stays_finite_for_a_certain_teacher():
    sure = 60.0 * F.one_hot(LABELS, 5).float()
    leaf = (-sure).requires_grad_()
    loss = dkd(leaf, sure, LABELS, temperature=1.0)
    loss.backward()
    assert loss.isfinite()
    assert leaf.grad.isfinite().all()
