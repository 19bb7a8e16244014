"""Losses on maps, against slow loops and torch's adaptive pooling."""

import numpy as np
import pytest
import torch
from loss_cases import drawn
from torch.nn import functional as F

from redistill.losses.feature.attention import attention
from redistill.losses.feature.fitnet import fitnet
from redistill.losses.feature.match import match
from redistill.losses.feature.norm_mse import norm_mse
from redistill.losses.feature.nst import nst
from redistill.losses.feature.reviewkd import ReviewFusion, reviewkd

S, T = drawn(4, 3, 2, 4, 5, seed=1), drawn(4, 3, 2, 4, 5, seed=2)
WIDE = drawn(4, 7, 2, 4, 5, seed=3)


def unit(v):
    return v / np.sqrt((v**2).sum())


def test_match_is_adaptive_pooling_to_the_smaller_grid():
    one, other = drawn(2, 3, 8, 7, 4), drawn(2, 5, 4, 9, 3, seed=1)
    got = match(one, other)
    assert [x.shape[2:] for x in got] == [(4, 7, 3)] * 2
    for x, y in zip((one, other), got, strict=True):
        torch.testing.assert_close(y, F.adaptive_avg_pool3d(x, (4, 7, 3)))


def test_match_leaves_equal_maps_alone():
    one, other = match(S, WIDE)
    assert one is S
    assert other is WIDE


def test_norm_mse_clip_by_clip():
    rows = zip(S.numpy(), T.numpy(), strict=True)
    wanted = np.mean([((unit(a) - unit(b)) ** 2).sum() for a, b in rows])
    assert norm_mse(S, T).item() == pytest.approx(wanted, rel=1e-12)


def test_norm_mse_lies_between_alike_and_opposite():
    assert norm_mse(S, 3 * S).item() == pytest.approx(0, abs=1e-12)
    assert norm_mse(S, -S).item() == pytest.approx(4)
    positive = norm_mse(S.abs(), T.abs()).item()
    assert 0 < positive < 2


def test_fitnet_is_the_mean_squared_error():
    assert fitnet(S, T).item() == pytest.approx(((S - T).numpy() ** 2).mean(), rel=1e-12)
    assert fitnet(S, S + 3).item() == pytest.approx(9)


def test_attention_position_by_position():
    total = 0.0
    for a, b in zip(S.numpy(), WIDE.numpy(), strict=True):
        maps = [unit((x**2).mean(0)) for x in (a, b)]
        total += ((maps[0] - maps[1]) ** 2).sum() / len(S)
    assert attention(S, WIDE).item() == pytest.approx(total, rel=1e-12)


def test_attention_sees_neither_channels_order_nor_sign_but_time():
    assert attention(S, -2 * S[:, [2, 0, 1]]).item() == pytest.approx(0, abs=1e-12)
    assert attention(S, S.flip(2)).item() > 1e-3  # frames in reverse


def test_nst_channel_by_channel():
    total = 0.0
    for a, b in zip(S.numpy(), WIDE.numpy(), strict=True):
        rows = [[unit(c.ravel()) for c in x] for x in (a, b)]

        def kernel(left, right):
            return np.mean([(x @ y) ** 2 for x in left for y in right])

        total += kernel(rows[0], rows[0]) + kernel(rows[1], rows[1]) - 2 * kernel(*rows)
    assert nst(S, WIDE).item() == pytest.approx(total / len(S), rel=1e-12)


def test_nst_is_a_discrepancy_of_channels_as_a_set():
    assert nst(S, S[:, [1, 2, 0]]).item() == pytest.approx(0, abs=1e-12)
    assert nst(S, torch.cat([S, S], 1)).item() == pytest.approx(0, abs=1e-12)
    assert nst(S, WIDE) > 0


def test_the_context_loss_of_one_stage_is_a_weighted_mean_over_grids():
    one, other = drawn(2, 3, 2, 8, 8), drawn(2, 3, 2, 8, 8, seed=1)
    total, weights = ((one - other) ** 2).mean(), 1.0
    for number, grid in enumerate((4, 2, 1), start=1):
        size = (2, grid, grid)
        a, b = (F.adaptive_avg_pool3d(x, size) for x in (one, other))
        total += 0.5**number * ((a - b) ** 2).mean()
        weights += 0.5**number
    torch.testing.assert_close(reviewkd([one], [other]), total / weights)
    twice = reviewkd([one, one], [other, other])
    torch.testing.assert_close(twice, 2 * total / weights)


def test_fusion_lets_shallow_maps_see_deep_ones_and_not_the_reverse():
    torch.manual_seed(0)
    fusion = ReviewFusion((2, 4), (6, 8)).double()
    shallow, deep = drawn(1, 2, 4, 4, 4).requires_grad_(), drawn(1, 4, 4, 2, 2).requires_grad_()
    low, high = fusion([shallow, deep])
    assert low.shape == (1, 6, 4, 4, 4)
    assert high.shape == (1, 8, 4, 2, 2)
    grads = torch.autograd.grad(low.sum(), [shallow, deep], retain_graph=True)
    assert all(g.abs().max() > 0 for g in grads)
    (none,) = torch.autograd.grad(high.sum(), [shallow], allow_unused=True)
    assert none is None


def test_an_open_gate_passes_the_deep_map_to_every_place_it_covers():
    fusion = ReviewFusion((2, 4), (6, 8)).double()
    torch.nn.init.zeros_(fusion.gates[0].weight)
    fusion.gates[0].bias.data = torch.tensor([-80.0, 80.0]).double()  # shut for the shallow map
    deep = drawn(1, 4, 2, 2, 2)
    low, _ = fusion([drawn(1, 2, 4, 4, 4), deep])
    spread = fusion.into[1](deep)
    for axis in (2, 3, 4):
        spread = spread.repeat_interleave(2, axis)
    torch.testing.assert_close(low, fusion.out[0](spread))
