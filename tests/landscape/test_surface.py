"""Surfaces: closed forms, the slow way on copies, and a network that never notices."""

import copy
import math

import numpy as np
import pytest
import torch
from small_losses import Bowl, bowl, drawn, state, stream_loss
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.optim.swa_utils import update_bn

from redistill.curvature.loss import Loss
from redistill.errors import ConfigError
from redistill.landscape import filter_direction, surface

A, B = (-1.0, 0.0, 0.5), (-0.3, 0.0, 0.2, 0.9)


def slowly(loss: Loss, point: torch.Tensor, *, reestimate: bool) -> tuple[float, float]:
    """Evaluate a copy at ``point``, all clips of a batch one after the other."""
    net = copy.deepcopy(loss.net)
    vector_to_parameters(point, net.parameters())
    if reestimate:
        update_bn([inputs for inputs, _ in loss.batches], net)
        net.eval()
    losses, right = [], []
    with torch.no_grad():
        for inputs, labels in loss.batches:
            for x, y in zip(inputs, labels, strict=True):
                logits = net(x[None])[0]
                losses.append(F.cross_entropy(logits, y).item())
                right.append(int(logits.argmax()) == int(y))
    return float(np.mean(losses)), float(np.mean(right))


def test_of_a_quadratic_every_point_is_known():
    known = bowl()
    ways = [drawn(5, seed=s) for s in (3, 4)]
    found = surface(known.loss(), ways, a=A, b=B)
    for i, a in enumerate(A):
        for j, b in enumerate(B):
            point = known.w + a * ways[0] + b * ways[1]
            assert found.loss[i, j] == pytest.approx(known(point), rel=1e-12)
            assert found.accuracy[i, j] == float(point.argmax() == 0)
    assert found.a.tolist() == list(A)
    assert found.b.tolist() == list(B)
    assert 0 < found.accuracy.mean() < 1
    assert found.cosine == pytest.approx(
        float(ways[0] @ ways[1] / ways[0].norm() / ways[1].norm()), rel=1e-12
    )


def test_one_direction_is_a_column_and_has_no_cosine():
    known, way = bowl(), drawn(5, seed=3)
    found = surface(known.loss(), [way], a=A)
    assert found.loss.shape == found.accuracy.shape == (3, 1)
    assert found.b.tolist() == [0.0]
    assert found.cosine is None
    assert found.loss[:, 0] == pytest.approx([known(known.w + a * way) for a in A], rel=1e-12)


@pytest.mark.parametrize("reestimate", [False, True])
def test_points_are_those_of_copies(reestimate):
    loss = stream_loss()
    ways = [filter_direction(loss, seed=s) for s in (0, 1)]
    found = surface(loss, ways, a=A, b=B, reestimate=reestimate)
    base = parameters_to_vector(loss.net.parameters()).detach()
    for i, a in enumerate(A):
        for j, b in enumerate(B):
            point = base + a * ways[0] + b * ways[1]
            value, share = slowly(loss, point, reestimate=reestimate)
            assert found.loss[i, j] == pytest.approx(value, rel=1e-9)
            assert found.accuracy[i, j] == pytest.approx(share)


def test_the_centre_is_the_solution_itself():
    loss = stream_loss()
    found = surface(loss, [filter_direction(loss, seed=0)], a=A)
    assert (found.loss[1, 0], found.accuracy[1, 0]) == loss.measure()


def test_only_the_named_weights_move():
    loss = stream_loss(only=("net.layer2.",))
    way = filter_direction(loss, seed=0)
    found = surface(loss, [way], a=(0.8,))
    net = copy.deepcopy(loss.net)
    vector_to_parameters(
        parameters_to_vector(net.net.layer2.parameters()).detach() + 0.8 * way,
        net.net.layer2.parameters(),
    )
    assert found.loss[0, 0] == pytest.approx(
        Loss(net=net, batches=loss.batches).measure()[0], rel=1e-12
    )


def unrest(loss: Loss) -> None:
    """Give a network what a caller may have left on it."""
    weights = list(loss.net.parameters())
    weights[0].grad = torch.ones_like(weights[0])
    weights[1].requires_grad_(False)


@pytest.mark.parametrize("reestimate", [False, True])
def test_the_network_is_given_back(reestimate):
    loss = stream_loss(only=("net.layer4.",))
    unrest(loss)
    before = state(loss.net)
    surface(loss, [filter_direction(loss, seed=0)], a=A, reestimate=reestimate)
    assert state(loss.net) == before


def test_the_network_is_given_back_after_a_fault_in_the_criterion():
    def broken(logits, labels):
        raise KeyboardInterrupt

    loss = stream_loss(criterion=broken)
    unrest(loss)
    before = state(loss.net)
    with pytest.raises(KeyboardInterrupt):
        surface(loss, [filter_direction(loss, seed=0)], a=A, reestimate=True)
    assert state(loss.net) == before


def test_the_network_is_given_back_after_a_fault_in_the_re_estimation():
    def broken(module, inputs, output):
        if module.training:
            raise KeyboardInterrupt

    loss = stream_loss()
    before = state(loss.net)
    handle = loss.net.net.layer3[0].bn1.register_forward_hook(broken)
    with pytest.raises(KeyboardInterrupt):
        surface(loss, [filter_direction(loss, seed=0)], a=A, reestimate=True)
    handle.remove()
    assert state(loss.net) == before


def test_re_estimation_leaves_dropout_at_rest():
    loss = stream_loss()
    loss.net.net.fc = torch.nn.Sequential(torch.nn.Dropout(0.5), loss.net.net.fc).eval()
    way = [filter_direction(loss, seed=0)]
    first, again = (surface(loss, way, a=A, reestimate=True) for _ in range(2))
    assert np.array_equal(first.loss, again.loss)


def test_far_away_the_loss_may_be_no_number(tmp_path):
    """Infinite in the surface, null in the file, the same when read again."""
    known = Bowl(torch.ones(2), torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    loss, way = known.loss(), torch.tensor([1.0, 0.5])
    steps = 0.0, 1e25, 1e38  # finite; inf - inf; overflowing on both sides
    first, again = (surface(loss, [way], a=steps, folder=tmp_path) for _ in range(2))
    assert first.loss[0, 0] == 0
    assert first.loss[1:, 0].tolist() == [math.inf, math.inf]
    assert np.array_equal(first.loss, again.loss)
    assert sum("null" in path.read_text() for path in tmp_path.rglob("*.json")) == 2


def test_a_clip_whose_logits_are_no_numbers_is_not_right():
    """torch's argmax of them is a class, and here the right one."""
    known = Bowl(torch.ones(2), torch.eye(2))
    loss = known.loss()
    found = surface(loss, [torch.tensor([math.nan, 0.0])], a=(0.0, 1.0))
    assert found.accuracy[1, 0] == 0


def test_what_does_not_fit_is_refused():
    loss = bowl().loss()
    way = torch.ones(5)
    with pytest.raises(ConfigError, match="3 directions"):
        surface(loss, [way] * 3, a=A)
    with pytest.raises(ConfigError, match="no second direction"):
        surface(loss, [way], a=A, b=B)
    with pytest.raises(ConfigError, match=r"shape \(4,\)"):
        surface(loss, [way, way[:4]], a=A, b=B)
