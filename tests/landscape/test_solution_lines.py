"""The line between two solutions, and the numbers read off lines."""

import copy
import math

import numpy as np
import pytest
import torch
from small_losses import Bowl, bowl, drawn, small_batches, small_stream, state, stream_loss
from torch.optim.swa_utils import update_bn

from redistill.curvature.loss import Loss
from redistill.errors import ConfigError
from redistill.landscape import Surface, barrier, curvature_along, filter_direction, line, surface

STEPS = np.linspace(0, 1, 7)


def along(a, values) -> Surface:
    column = np.asarray(values, dtype=float)[:, None]
    return Surface(a=np.asarray(a, float), b=np.zeros(1), loss=column, accuracy=column, cosine=None)


def test_the_ends_are_the_two_networks_exactly():
    loss, other = stream_loss(), stream_loss(1)
    found = line(loss, other.net.state_dict(), a=STEPS)
    for end, known in ((0, loss), (-1, other)):
        assert (found.loss[end, 0], found.accuracy[end, 0]) == known.measure()
    assert loss.measure() != other.measure()


@pytest.mark.parametrize("reestimate", [False, True])
def test_between_the_ends_weights_and_statistics_are_mixed(reestimate):
    loss, other = stream_loss(), small_stream(1)
    found = line(loss, other.state_dict(), a=(-0.2, 0.3, 0.9), reestimate=reestimate)
    for row, a in enumerate(found.a):
        net, ends = copy.deepcopy(loss.net), other.state_dict()
        mixed = {
            name: (1 - a) * t + a * ends[name] if t.is_floating_point() else t
            for name, t in net.state_dict().items()
        }
        net.load_state_dict(mixed)
        if reestimate:
            update_bn([inputs for inputs, _ in loss.batches], net)
        value, share = Loss(net=net.eval(), batches=small_batches()).measure()
        assert found.loss[row, 0] == pytest.approx(value, rel=1e-9)
        assert found.accuracy[row, 0] == share


def test_only_the_named_weights_and_their_statistics_move():
    loss, other = stream_loss(only=("net.layer3.",)), small_stream(1)
    part = {k: v for k, v in other.state_dict().items() if k.startswith("net.layer3.")}
    found = line(loss, part, a=(1.0,))
    net = copy.deepcopy(loss.net)
    net.net.layer3 = copy.deepcopy(other.net.layer3)
    assert found.loss[0, 0] == Loss(net=net, batches=loss.batches).measure()[0]


def test_a_line_to_the_network_itself_is_flat():
    loss = stream_loss()
    found = line(loss, copy.deepcopy(loss.net.state_dict()), a=STEPS)
    assert np.ptp(found.loss) < 1e-12
    assert barrier(found) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("reestimate", [False, True])
def test_the_network_is_given_back_with_its_statistics(reestimate):
    loss = stream_loss()
    before = state(loss.net)
    line(loss, small_stream(1).state_dict(), a=STEPS, reestimate=reestimate)
    assert state(loss.net) == before


def test_another_network_at_the_end_is_refused():
    loss = stream_loss()
    lacking = small_stream(1).state_dict()
    del lacking["net.layer2.0.bn1.running_var"]
    with pytest.raises(ConfigError, match=r"net\.layer2\.0\.bn1\.running_var is missing"):
        line(loss, lacking, a=STEPS)
    wrong = small_stream(1).state_dict() | {"net.fc.weight": torch.zeros(5, 16)}
    with pytest.raises(ConfigError, match=r"net\.fc\.weight has shape \(5, 16\)"):
        line(loss, wrong, a=STEPS)


def test_the_barrier_of_a_hill_and_of_a_bowl():
    """On a quadratic, the rise above the chord is -a (1 - a) d^T A d / 2."""
    w, end = drawn(4, seed=0), drawn(4, seed=1)
    for sign, rise in ((-1, float((end - w).square().sum()) / 8), (1, 0.0)):
        hill = Bowl(w, sign * torch.eye(4, dtype=torch.float64))
        found = line(hill.loss(), {"w": end[None]}, a=np.linspace(-0.5, 1.5, 9))
        assert barrier(found) == pytest.approx(rise, rel=1e-12)


def test_a_barrier_is_above_the_chord_and_within_its_ends():
    a = [-1, 0, 0.25, 1, 2]
    assert barrier(along(a, [99, 4, 4, 0, 99])) == pytest.approx(1)
    assert barrier(along(a, [99, 4, math.inf, 0, 99])) == math.inf


def test_the_second_difference_of_a_quadratic_is_its_curvature():
    known, way = bowl(), drawn(5, seed=3)
    found = surface(known.loss(), [way], a=np.linspace(-1, 1, 5))
    assert curvature_along(found) == pytest.approx(float(way @ known.matrix @ way), rel=1e-10)


def test_the_second_difference_of_a_network_is_that_of_autograd():
    loss = stream_loss()
    loss.net.requires_grad_(True)
    way = filter_direction(loss, seed=0)
    inputs, labels = (torch.cat(x) for x in zip(*loss.batches, strict=True))
    weights = list(loss.net.parameters())
    value = torch.nn.functional.cross_entropy(loss.net(inputs), labels)
    slope = torch.cat([g.flatten() for g in torch.autograd.grad(value, weights, create_graph=True)])
    product = torch.cat([g.flatten() for g in torch.autograd.grad(slope @ way, weights)])
    found = surface(loss, [way], a=(-1e-4, 0.0, 1e-4))
    assert curvature_along(found) == pytest.approx(float(way @ product), rel=1e-3)


@pytest.mark.parametrize("a", [(0, 1, 2), (-2, -1, 0), (-1, 0, 2), (-1, 1, 2), (0,), (-1, 0)])
def test_a_centre_without_even_neighbours_is_refused(a):
    with pytest.raises(ConfigError, match="0 in the middle"):
        curvature_along(along(a, np.zeros(len(a))))


@pytest.mark.parametrize("a", [(0, 0.5), (0.5, 1), (-1, 2)])
def test_a_barrier_needs_both_ends(a):
    with pytest.raises(ConfigError, match="lacks 0 or 1"):
        barrier(along(a, [0, 0]))


@pytest.mark.parametrize("reading", [barrier, curvature_along])
def test_two_directions_have_no_such_number(reading):
    grid = np.zeros((3, 3))
    plane = Surface(a=np.arange(3) - 1.0, b=np.arange(3.0), loss=grid, accuracy=grid, cosine=0.0)
    with pytest.raises(ConfigError, match="one direction"):
        reading(plane)
