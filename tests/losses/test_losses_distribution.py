"""Distances of clouds of features, against closed forms, NumPy and optimal assignment."""

import numpy as np
import pytest
import torch
from loss_cases import drawn
from scipy.optimize import approx_fprime, linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.special import log_softmax
from scipy.stats import wasserstein_distance
from torch.nn import functional as F

from redistill.losses.distribution.gauss import gauss
from redistill.losses.distribution.gauss_class import Queue, gauss_class
from redistill.losses.distribution.lgm import lgm
from redistill.losses.distribution.mmd import mmd
from redistill.losses.distribution.swd import swd

N, D = 14, 3
S, T = drawn(N, D, seed=1), 2 * drawn(N, D, seed=2) + 1
ONES = torch.full((D,), 1 - 1e-3, dtype=torch.float64)  # with the floor: no scaling at all
TURN = torch.linalg.qr(drawn(D, D, seed=9)).Q


def moments(a, b):
    """The distance of means and covariances of unscaled clouds."""
    means = ((a.mean(0) - b.mean(0)) ** 2).sum() / a.shape[1]
    covariances = np.cov(a.T, bias=True) - np.cov(b.T, bias=True)
    return means + (covariances**2).sum() / a.shape[1] ** 2


def test_gauss_is_the_distance_of_moments_over_the_teachers_deviation():
    deviation = T.numpy().std(0) + 1e-3
    wanted = moments(S.numpy() / deviation, T.numpy() / deviation)
    assert gauss(S, T).item() == pytest.approx(wanted, rel=1e-12)
    given = gauss(S, T, deviation=ONES)
    assert given.item() == pytest.approx(moments(S.numpy(), T.numpy()), rel=1e-12)


def test_gauss_of_known_laws():
    """N(0, I) and N((1, 2, 0, 0), 4 I): 5/4 + 9 * 4 / 16 = 3.5."""
    n = 400_000
    other = 2 * drawn(n, 4, seed=1) + torch.tensor([1.0, 2.0, 0.0, 0.0])
    got = gauss(drawn(n, 4), other, deviation=torch.full((4,), 1 - 1e-3))
    assert got.item() == pytest.approx(3.5, abs=0.03)


def test_gauss_of_two_samples_of_one_law_falls_with_their_size():
    one = torch.full((32,), 1 - 1e-3, dtype=torch.float64)

    def floor(b):
        pairs = [(drawn(b, 32, seed=n), drawn(b, 32, seed=500 + n)) for n in range(100)]
        return np.mean([gauss(x, y, deviation=one).item() for x, y in pairs])

    found = {b: floor(b) for b in (8, 32, 128)}
    assert found == pytest.approx({8: 0.456, 32: 0.125, 128: 0.032}, rel=0.05)


def test_the_deviation_is_no_way_to_shrink_the_distance():
    """It is detached: the teacher's gradient is that with the deviation held."""
    leaf = T.clone().requires_grad_()
    gauss(S, leaf).backward()
    held = T.clone().requires_grad_()
    gauss(S, held, deviation=T.std(0, correction=0)).backward()
    torch.testing.assert_close(leaf.grad, held.grad)


def unscaled(s, t):
    return gauss(s, t, deviation=ONES)


@pytest.mark.parametrize("loss", [unscaled, mmd])
def test_a_common_rotation_or_shift_changes_nothing(loss):
    torch.testing.assert_close(loss(S @ TURN, T @ TURN), loss(S, T))
    torch.testing.assert_close(loss(S + 5, T + 5), loss(S, T))


def test_a_rotation_of_one_side_is_seen():
    spread = S * torch.tensor([1.0, 3.0, 0.2])
    assert (unscaled(spread @ TURN, T) - unscaled(spread, T)).abs() > 1e-3
    assert unscaled(spread @ TURN, spread) > 1e-3


def test_the_covariance_of_a_batch_lacks_rank():
    """Why classes need a queue: 8 clips in 64 dimensions have a covariance of rank 7."""
    few = drawn(8, 64)
    centred = few - few.mean(0)
    assert torch.linalg.matrix_rank(centred.T @ centred) == 7


def test_gauss_class_is_the_mean_over_classes_with_four_clips():
    labels = torch.tensor([0] * 5 + [1] * 6 + [2] * 3)
    deviation = T.numpy().std(0) + 1e-3
    a, b = S.numpy() / deviation, T.numpy() / deviation
    wanted = np.mean([moments(a[labels == k], b[labels == k]) for k in (0, 1)])
    got = gauss_class(S, T, F.one_hot(labels, 3).double(), queue=Queue(D, 3))
    assert got.item() == pytest.approx(wanted, rel=1e-10)


def test_gauss_class_counts_softly():
    """Weights of 1/2 for clips that come twice are the clips once; and four halves are not four."""
    twice = [torch.cat([x, x]) for x in (S, T)]
    half = torch.full((2 * N, 1), 0.5, dtype=torch.float64)
    got = gauss_class(*twice, half, queue=Queue(D, 1))
    torch.testing.assert_close(got, gauss(S, T))
    assert gauss_class(S[:6], T[:6], half[:6], queue=Queue(D, 1)) == 0


def test_the_queue_is_what_lets_a_small_batch_count():
    labels = torch.ones(N, 1, dtype=torch.float64)
    queue = Queue(D, 1)
    for rows in (slice(0, 3), slice(3, 6)):
        gauss_class(S[rows], T[rows], labels[rows], queue=queue)
    leaf = S[6:].clone().requires_grad_()
    got = gauss_class(leaf, T[6:], labels[6:], queue=queue)
    torch.testing.assert_close(got, gauss(S, T), rtol=1e-5, atol=1e-6)  # kept in float32
    got.backward()
    assert leaf.grad.abs().max() > 0


def test_the_queue_forgets_the_oldest_and_keeps_no_graph():
    queue = Queue(D, 2, length=5)
    labels = F.one_hot(torch.zeros(4, dtype=torch.int64), 2).float()
    rows = [torch.full((4, D), float(n)) for n in range(3)]
    for row in rows:
        found, _, _ = queue.extend(row.requires_grad_(), row, labels)
    assert found[:, 0].tolist() == [2.0] * 4 + [1.0] * 4 + [0.0]
    assert queue.student[:, 0].tolist() == [2.0] * 4 + [1.0]
    assert not queue.student.requires_grad


def test_the_queue_comes_back_from_its_state():
    labels = torch.ones(N, 1)
    first, second = Queue(D, 1, length=9), Queue(D, 1, length=9)
    gauss_class(S.float(), T.float(), labels, queue=first)
    second.load_state_dict(first.state_dict())
    again = [
        gauss_class(T[:4].float(), S[:4].float(), labels[:4], queue=q) for q in (first, second)
    ]
    assert again[0] == again[1] != 0


def slow_mmd(a, b, median=None):
    """Kernels by SciPy's distances; the median over explicit pairs of different rows."""
    both = np.concatenate([a, b])
    squared = cdist(both, both, "sqeuclidean")
    if median is None:
        pairs = sorted(squared[i, j] for i in range(len(both)) for j in range(len(both)) if i != j)
        median = pairs[(len(pairs) - 1) // 2]
    k = sum(np.exp(-squared / (m * median)) for m in (0.25, 0.5, 1, 2, 4))
    n = len(a)
    return k[:n, :n].mean() + k[n:, n:].mean() - 2 * k[:n, n:].mean(), median


def test_mmd_is_the_biased_estimate_over_five_kernels():
    wanted, _ = slow_mmd(S.numpy(), T.numpy())
    assert mmd(S, T).item() == pytest.approx(wanted, rel=1e-12)


def test_the_gradient_of_mmd_is_that_with_the_bandwidth_held():
    _, median = slow_mmd(S.numpy(), T.numpy())
    leaf = S.clone().requires_grad_()
    mmd(leaf, T).backward()

    def held(flat):
        return slow_mmd(flat.reshape(N, D), T.numpy(), median)[0]

    wanted = approx_fprime(S.numpy().ravel(), held, 1e-7).reshape(N, D)
    np.testing.assert_allclose(leaf.grad, wanted, atol=1e-6)
    assert np.abs(wanted).max() > 1e-3


def test_mmd_is_not_negative_and_bears_alike_clips():
    for n in range(20):
        assert mmd(drawn(16, 4, seed=n), drawn(16, 4, seed=50 + n)) > 0
    leaf = S.clone().requires_grad_()
    mmd(leaf, S).backward()
    assert leaf.grad.abs().max() < 1e-12
    assert mmd(torch.ones(4, 2), torch.ones(4, 2)) == 0


def test_swd_in_one_dimension_is_the_best_assignment():
    a, b = S[:, :1], T[:, :1]
    cost = cdist(a, b, "sqeuclidean")
    wanted = cost[linear_sum_assignment(cost)].mean()
    assert swd(a, b).item() == pytest.approx(wanted, rel=1e-12)
    shifted = wasserstein_distance(a[:, 0], a[:, 0] + 3) ** 2  # of a shift, both orders agree
    assert swd(a, a + 3).item() == pytest.approx(shifted)


def test_swd_of_a_shift_is_its_mean_square_along_the_lines():
    """Exactly |v|^2 / d over all lines; 64 of them come near."""
    shift = torch.tensor([1.0, -2.0, 2.0])
    found = [swd(S, S + shift, generator=torch.Generator().manual_seed(n)) for n in range(100)]
    assert torch.stack(found).mean().item() == pytest.approx(9 / 3, rel=0.03)


def test_swd_draws_its_lines_from_the_generator_given():
    def draw(seed):
        return swd(S, T, generator=torch.Generator().manual_seed(seed))

    state = torch.get_rng_state()
    assert draw(1) == draw(1) != draw(2)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(("margin", "likelihood"), [(0.1, 0.1), (0.3, 0.0), (0.0, 0.01)])
def test_lgm_clip_by_clip(margin, likelihood):
    labels = torch.arange(N) % 3 + 4  # classes 0 to 3 are not there
    means = np.stack([T[labels == k].numpy().mean(0) for k in (4, 5, 6)])
    total = 0.0
    for z, y in zip(S.numpy(), labels.tolist(), strict=True):
        apart = ((z - means) ** 2).sum(1) / (2 * D)
        own = apart[y - 4]
        apart[y - 4] *= 1 + margin
        total += -log_softmax(-apart)[y - 4] + likelihood * own
    got = lgm(S, T, labels, margin=margin, likelihood=likelihood)
    assert got.item() == pytest.approx(total / N, rel=1e-10)


def test_a_margin_asks_for_more():
    labels = torch.arange(N) % 3
    assert lgm(S, T, labels, margin=0.3) > lgm(S, T, labels, margin=0.0)


def test_lgm_draws_clips_to_their_own_mean():
    labels = torch.arange(N) % 2
    far = T + 20.0 * F.one_hot(labels, 3)
    means = torch.stack([far[labels == k].mean(0) for k in (0, 1)])
    assert lgm(means[labels], far, labels).item() == pytest.approx(0, abs=1e-6)
    assert lgm(means[1 - labels], far, labels) > 10
