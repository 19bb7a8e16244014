"""WISE weights against autograd, a slow loop and scipy; the order of the exits."""

import numpy as np
import pytest
import torch
from exit_logits import drawn
from scipy.optimize import minimize
from torch.nn import functional as F

from redistill.errors import ConfigError, RedistillError
from redistill.methods.wise import exits, fit, fit_prefixes, objective, stack

LOGITS, LABELS = drawn(60, 5)


def by_autograd(logits, labels, l1, steps=500, lr=0.1, start=None):
    """The released recipe, word for word: torch's own SGD, loss and norm."""
    w = torch.ones(len(logits)) if start is None else torch.tensor(start)
    w.requires_grad_()
    descent = torch.optim.SGD([w], lr=lr)
    for _ in range(steps):
        descent.zero_grad()
        score = sum(w[j] * logits[j] for j in range(len(logits)))
        (F.cross_entropy(score, labels) + l1 * torch.norm(w, 1)).backward()
        descent.step()
    return w.detach()


def by_loops(logits, labels, l1, steps, lr):
    """Gradient clip by clip: mean of (sum_c p_c z_jc - z_jy), plus the sign of w_j."""
    z = logits.double().numpy()
    w = np.ones(len(z))
    for _ in range(steps):
        gradient = l1 * np.sign(w)
        for n, y in enumerate(labels.tolist()):
            score = w @ z[:, n]
            p = np.exp(score - score.max())
            p /= p.sum()
            gradient += (z[:, n] @ p - z[:, n, y]) / len(labels)
        w = w - lr * gradient
    return w


@pytest.mark.parametrize("l1", [0.0, 0.1])
def test_the_fit_is_sgd_of_torch(l1):
    three = LOGITS[[1, 6, 11]]
    wanted = by_autograd(three, LABELS, l1)
    torch.testing.assert_close(fit(three, LABELS, l1=l1), wanted, atol=2e-4, rtol=1e-4)


def test_the_fit_is_the_gradient_written_clip_by_clip():
    got = fit(LOGITS.double(), LABELS, l1=0.1, steps=40, lr=0.07)
    np.testing.assert_allclose(got, by_loops(LOGITS, LABELS, 0.1, 40, 0.07), rtol=1e-10)


def test_without_a_penalty_a_long_fit_finds_the_minimum_of_scipy():
    few = LOGITS[[0, 4, 8]].double()  # weak exits: strong ones part these few clips at infinity

    def loss(w):
        return objective(torch.as_tensor(w), few, LABELS, l1=0.0)

    best = minimize(loss, np.ones(3), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12})
    np.testing.assert_allclose(fit(few, LABELS, l1=0.0, steps=1500), best.x, atol=1e-5)


def test_objective_is_cross_entropy_and_the_sum_of_absolute_weights():
    w = torch.tensor([1.0, -2.0])
    score = LOGITS[0] - 2 * LOGITS[1]
    wanted = F.cross_entropy(score, LABELS).item() + 0.5 * 3
    assert objective(w, LOGITS[:2], LABELS, l1=0.5) == pytest.approx(wanted)


def test_all_prefixes_at_once_are_the_fits_one_by_one():
    rows = fit_prefixes(LOGITS, LABELS, steps=60)
    assert rows[0].tolist() == [1] + 11 * [0]
    for k in range(2, 13):
        alone = fit(LOGITS[:k], LABELS, l1=0.1 if k >= 6 else 0.0, steps=60)
        torch.testing.assert_close(rows[k - 1, :k], alone, atol=1e-5, rtol=1e-5)
        assert not rows[k - 1, k:].any()


def test_the_penalty_starts_at_the_prefix_it_is_told():
    rows = fit_prefixes(LOGITS[:4], LABELS, l1=0.2, l1_from=3, steps=60)
    for k, l1 in ((2, 0.0), (3, 0.2), (4, 0.2)):
        alone = fit(LOGITS[:k], LABELS, l1=l1, steps=60)
        torch.testing.assert_close(rows[k - 1, :k], alone, atol=1e-5, rtol=1e-5)


def test_another_start_is_taken():
    start = [0.0, 0.0, 1.2]
    assert fit(LOGITS[:3], LABELS, steps=0, start=start).tolist() == pytest.approx(start)
    with pytest.raises(RedistillError, match="start has 2 weights for 3 exits"):
        fit(LOGITS[:3], LABELS, start=[0.0, 1.0])


def test_the_order_of_the_clips_changes_nothing():
    turned = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    mixed = LOGITS[:, turned], LABELS[turned]
    a, b = (fit_prefixes(z, y, steps=60) for z, y in ((LOGITS, LABELS), mixed))
    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_an_exit_that_knows_nothing_is_weighted_to_nothing():
    noise = torch.randn(1, 400, 5, generator=torch.Generator().manual_seed(7))
    logits, labels = drawn(400, 5)
    w = fit(torch.cat([noise, logits[-1:]]), labels)
    assert abs(w[0]) < 0.05 < 0.5 < w[1]


def test_exits_stand_in_the_order_of_the_code_or_of_the_text():
    parts = {m: torch.full((4, 2, 3), float(i)) for i, m in enumerate(("iframe", "mv", "residual"))}
    for m in parts:
        parts[m] += 0.1 * torch.arange(1, 5)[:, None, None]
    for order, firsts in (("coded", (2, 1, 0)), ("text", (1, 2, 0))):
        names = ("iframe", "mv", "residual")
        wanted = [f + 0.1 * k for f in firsts for k in range(1, 5)]
        assert stack(parts, order)[:, 0, 0].tolist() == pytest.approx(wanted)
        assert exits(order) == tuple((names[f], k) for f in firsts for k in range(1, 5))


def test_an_unknown_order_and_a_missing_network_are_named():
    with pytest.raises(ConfigError, match=r"order of exits 'code'.*Did you mean 'coded'"):
        exits("code")
    with pytest.raises(RedistillError, match=r"each of residual, mv, iframe, got \{'mv'"):
        stack({"mv": torch.zeros(4, 2, 3)})
    three = {m: torch.zeros(3, 2, 3) for m in ("mv", "iframe", "residual")}
    with pytest.raises(RedistillError, match=r"one shape \(4, N, K\)"):
        stack(three)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (LOGITS, LABELS[:-1], r"labels \(59,\)"),
        (LOGITS[0], LABELS, r"expected \(J, N, K\)"),
        (LOGITS / 0, LABELS, "not finite; find the exit"),
        (LOGITS, LABELS + 1, "labels from 1 to 5, but logits of 5 classes"),
        (LOGITS * 1e30, LABELS, r"after 500 steps of lr = 0.1.*lower lr"),
    ],
)
def test_what_cannot_be_fitted_is_named(logits, labels, message):
    with pytest.raises(RedistillError, match=message):
        fit(logits, labels)
