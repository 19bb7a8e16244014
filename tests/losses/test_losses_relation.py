"""Losses on relations, against loops over pairs, triples and quadruples of clips."""

from itertools import permutations

import numpy as np
import pytest
import torch
from loss_cases import drawn
from scipy.stats import entropy

from redistill.errors import ConfigError
from redistill.losses.correlation.matrix import matrix
from redistill.losses.correlation.pair import pair
from redistill.losses.relation.cc import cc
from redistill.losses.relation.cka import cka
from redistill.losses.relation.pkt import pkt
from redistill.losses.relation.rkd import rkd
from redistill.losses.relation.sp import sp

N = 7
S, T = drawn(N, 4, seed=1), drawn(N, 6, seed=2)
A, Z = S.numpy(), T.numpy()


def units(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def huber(x):
    return x**2 / 2 if abs(x) < 1 else abs(x) - 0.5


def test_sp_row_by_row():
    wanted = sum(((units(A @ A[i]) - units(Z @ Z[i])) ** 2).sum() for i in range(N)) / N
    assert sp(S, T).item() == pytest.approx(wanted, rel=1e-12)


def test_sp_lies_between_zero_and_four_and_sees_where_the_origin_is():
    assert sp(S, -5 * S).item() == pytest.approx(0, abs=1e-12)
    assert 0 < sp(S, T) < 4
    assert 0 < sp(S.abs(), T.abs()) < 2
    assert (sp(S + 1, T) - sp(S, T)).abs() > 1e-3


def test_rkd_pair_by_pair_and_triple_by_triple():
    def distances(x):
        d = {(i, j): np.linalg.norm(x[i] - x[j]) for i, j in permutations(range(N), 2)}
        mean = np.mean(list(d.values()))
        return {key: value / mean for key, value in d.items()}

    def angle(x, i, j, k):
        return units(x[j] - x[i]) @ units(x[k] - x[i])

    ours, theirs = distances(A), distances(Z)
    pairs = np.mean([huber(ours[key] - theirs[key]) for key in ours])
    triples = permutations(range(N), 3)
    angles = np.mean([huber(angle(A, *one) - angle(Z, *one)) for one in triples])
    assert rkd(S, T).item() == pytest.approx(25 * pairs + 50 * angles, rel=1e-10)
    assert rkd(S, T, distance=1, angle=0).item() == pytest.approx(pairs, rel=1e-10)


def test_rkd_sees_neither_place_nor_size():
    torch.testing.assert_close(rkd(3 * S + 8, T), rkd(S, T))


def slow_hsic(k, m):
    """The unbiased estimate by its definition: a mean over pairs, triples, quadruples apart."""
    pairs = np.mean([k[i, j] * m[i, j] for i, j in permutations(range(N), 2)])
    triples = np.mean([k[i, j] * m[i, q] for i, j, q in permutations(range(N), 3)])
    fours = np.mean([k[i, j] * m[q, r] for i, j, q, r in permutations(range(N), 4)])
    return pairs - 2 * triples + fours


def test_cka_by_the_definition_of_the_unbiased_estimate():
    k, m = A @ A.T, Z @ Z.T
    wanted = slow_hsic(k, m) / np.sqrt(slow_hsic(k, k) * slow_hsic(m, m))
    assert cka(S, T).item() == pytest.approx(wanted, rel=1e-9)


def test_biased_cka_is_the_ratio_of_norms_of_covariances():
    a, z = (x - x.mean(0) for x in (A, Z))
    wanted = np.linalg.norm(a.T @ z) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(z.T @ z))
    assert cka(S, T, debiased=False).item() == pytest.approx(wanted, rel=1e-12)


def test_debiased_cka_of_independent_clouds_is_near_zero_and_biased_is_not():
    """The reason for debiasing: many dimensions, few clips."""
    pairs = [(drawn(16, 64, seed=n), drawn(16, 64, seed=100 + n)) for n in range(50)]
    debiased = torch.stack([cka(a, b) for a, b in pairs])
    biased = torch.stack([cka(a, b, debiased=False) for a, b in pairs])
    assert debiased.mean().abs() < 0.03
    assert debiased.min() < 0
    assert biased.mean() > 0.7
    assert 0 <= biased.min() <= biased.max() <= 1
    assert debiased.max() <= 1


def test_cka_sees_neither_place_nor_size_nor_rotation():
    turned = S @ torch.linalg.qr(drawn(4, 4, seed=9)).Q
    for debiased in (True, False):
        got = cka(100 * turned + 3, T, debiased=debiased)
        torch.testing.assert_close(got, cka(S, T, debiased=debiased), rtol=1e-8, atol=1e-10)
        assert cka(S, turned, debiased=debiased).item() == pytest.approx(1)


def test_pkt_is_the_divergence_of_scipy_row_by_row():
    def near(x):
        return (1 + units(x) @ units(x).T) / 2

    rows = zip(near(Z), near(A), strict=True)
    wanted = np.mean([entropy(p, q) for p, q in rows])  # entropy makes distributions of them
    assert pkt(S, T).item() == pytest.approx(wanted, rel=1e-6)


def test_pkt_bears_opposite_clips():
    opposite = torch.cat([S, -S]).requires_grad_()
    loss = pkt(opposite, drawn(2 * N, 6))
    loss.backward()
    assert loss.isfinite()
    assert opposite.grad.isfinite().all()


def test_cc_entry_by_entry_and_near_the_gaussian_kernel():
    def taylor(x, i, j):
        c = 0.8 * (units(x)[i] @ units(x)[j])
        return np.exp(-0.8) * (1 + c + c**2 / 2)

    def gaussian(x, i, j):
        return np.exp(-0.4 * ((units(x)[i] - units(x)[j]) ** 2).sum())

    def loss(kernel):
        pairs = [(i, j) for i in range(N) for j in range(N)]
        return np.mean([(kernel(A, i, j) - kernel(Z, i, j)) ** 2 for i, j in pairs])

    assert cc(S, T).item() == pytest.approx(loss(taylor), rel=1e-12)
    assert cc(S, T).item() == pytest.approx(loss(gaussian), rel=0.15)


def test_cc_is_not_the_product_of_neighbours():
    """RepDistiller's is 0 where every second row matches, and depends on the order."""
    half = drawn(N, 6, seed=3)
    half[::2] = T[::2]
    assert cc(half, T) > 1e-3


def test_the_matrix_of_branches_is_the_sum_over_pairs():
    lower = [drawn(N, 3, seed=n) for n in range(3)]
    upper = [drawn(N, 5, seed=10 + n) for n in range(3)]
    wanted = 0.0
    for i, j in ((0, 1), (0, 2), (1, 2)):
        wanted += (cka(lower[i], lower[j]) - cka(upper[i], upper[j])) ** 2
    torch.testing.assert_close(matrix(lower, upper), wanted)
    turned = [x @ torch.linalg.qr(drawn(3, 3, seed=8)).Q for x in lower]
    assert matrix(turned, lower).item() == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(matrix(lower[::-1], upper[::-1]), wanted)


def test_pair_is_one_minus_the_alignment():
    torch.testing.assert_close(pair(S, T), 1 - cka(S, T))


@pytest.mark.parametrize(("loss", "least"), [(cka, 4), (rkd, 3)])
def test_a_batch_too_small_is_refused_and_says_what_to_do(loss, least):
    z = torch.randn(least - 1, 5)
    with pytest.raises(
        ConfigError, match=rf"at least {least} clips .* has {least - 1}; raise batch"
    ):
        loss(z, z)
    assert torch.isfinite(loss(torch.randn(least, 5), torch.randn(least, 5)))
