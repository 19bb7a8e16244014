"""Correlation of answers, against SciPy; and the learned noise of weighted losses."""

import numpy as np
import pytest
import torch
from loss_cases import drawn
from scipy.special import softmax
from scipy.stats import pearsonr

from redistill.losses.correlation.pearson import pearson
from redistill.methods.edge_loss import EdgeLoss
from redistill.methods.refine import uncertainty

S, T = drawn(9, 5, seed=1), drawn(9, 5, seed=2)


def test_pearson_by_scipy_over_rows_and_columns():
    p, q = (softmax(x.numpy(), axis=1) for x in (S, T))
    rows = np.mean([1 - pearsonr(a, b).statistic for a, b in zip(p, q, strict=True)])
    columns = np.mean([1 - pearsonr(a, b).statistic for a, b in zip(p.T, q.T, strict=True)])
    assert pearson(S, T).item() == pytest.approx(rows + columns, rel=1e-10)


def test_pearson_of_nearly_uniform_answers_is_not_damped():
    """A young student: probabilities that differ little still correlate."""
    low = pearson(1e-5 * S, 1e-5 * T)
    p, q = (softmax(1e-5 * x.numpy(), axis=1) for x in (S, T))
    rows = np.mean([1 - pearsonr(a, b).statistic for a, b in zip(p, q, strict=True)])
    columns = np.mean([1 - pearsonr(a, b).statistic for a, b in zip(p.T, q.T, strict=True)])
    assert low.item() == pytest.approx(rows + columns, rel=1e-4)


def test_pearson_lies_between_alike_and_opposite():
    assert pearson(S, S).item() == pytest.approx(0, abs=1e-12)
    two = S[:, :2]
    assert pearson(two, -two).item() == pytest.approx(4)


def test_a_learned_noise_settles_at_the_inverse_of_the_loss():
    losses = torch.tensor([0.2, 1.0, 5.0], dtype=torch.float64)
    scales = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    descent = torch.optim.LBFGS([scales], max_iter=200, tolerance_grad=1e-12)
    weighted = EdgeLoss(weighting="uncertainty")._weigh

    def closure():
        descent.zero_grad()
        total = weighted(losses, [], scales)
        total.backward()
        return total

    descent.step(closure)
    torch.testing.assert_close(torch.exp(-scales.detach()), 1 / losses, rtol=1e-5, atol=0)


def test_the_spread_of_three_distributions_is_at_most_log_3():
    """Jensen-Shannon over log 3: 0 where all are equal, 1 where none overlap."""
    drawn_views = drawn(3, 50, 4, seed=3).mul(3).softmax(2)
    found = uncertainty(drawn_views, "js")
    assert 0 < found.min() <= found.max() < 1
    equal = drawn_views[:1].expand(3, -1, -1)
    assert uncertainty(equal, "js").abs().max() < 1e-12
    apart = torch.eye(3, 4, dtype=torch.float64)[:, None]
    assert uncertainty(apart, "js").item() == pytest.approx(1)
