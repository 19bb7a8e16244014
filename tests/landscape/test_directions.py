"""Directions: every filter as long as the network's, and steps that rescaling does not change."""

import pytest
import torch
from small_losses import drawn, stream_loss
from torch import nn

from redistill.curvature.filters import filters
from redistill.curvature.loss import Loss
from redistill.errors import ConfigError
from redistill.landscape import eigen_direction, filter_direction, surface
from redistill.nets.exits import InternalClassifier

STEPS = (-0.7, 0.0, 0.4)


def parts_of(loss: Loss, direction: torch.Tensor) -> dict[str, torch.Tensor]:
    """Cut a direction by hand, in the order of the network's parameters."""
    found, start = {}, 0
    for name, weight in loss.weights.items():
        found[name] = direction[start : start + weight.numel()].reshape(weight.shape)
        start += weight.numel()
    assert start == len(direction)
    return found


@pytest.mark.parametrize(
    ("shape", "count"),
    [((6, 2, 3, 3), 6), ((4, 2, 1, 3, 3), 4), ((5, 7), 5), ((2, 5, 7), 10), ((3, 2, 5), 6)],
)
def test_what_a_filter_is(shape, count):
    weight = torch.arange(float(torch.tensor(shape).prod())).reshape(shape)
    rows = filters(weight)
    assert rows.shape == (count, weight.numel() // count)
    assert rows.flatten().tolist() == weight.flatten().tolist()


def test_filters_are_as_long_as_the_networks_and_vectors_are_zero():
    loss = stream_loss()
    direction = filter_direction(loss, seed=3)
    assert direction.shape == (loss.size,)
    assert direction.dtype == torch.float64
    for name, part in parts_of(loss, direction).items():
        weight = loss.weights[name].detach()
        if weight.dim() == 1:
            assert not part.any()
        else:  # a convolution or the linear map: one filter for each output
            for mine, own in zip(part, weight, strict=True):
                torch.testing.assert_close(mine.norm(), own.norm())


def test_classifiers_side_by_side_have_a_filter_for_each_class_of_each_arm():
    net = InternalClassifier(4, 2, 3, arms=2).eval()
    with torch.no_grad():
        net.weight[1] *= 10
    loss = Loss(net=net, batches=[(torch.zeros(1), torch.zeros(1))], only=("weight",))
    direction = filter_direction(loss, seed=0).view(2, 3, -1)
    torch.testing.assert_close(direction.norm(dim=2), net.weight.detach().norm(dim=2))


def test_a_seed_is_a_direction_and_no_other_generator_moves():
    loss = stream_loss()
    before = torch.random.get_rng_state()
    first, again, other = (filter_direction(loss, seed=s) for s in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first, again)
    assert abs(torch.cosine_similarity(first, other, dim=0)) < 0.1


def test_within_a_filter_the_direction_is_gaussian():
    """Fourth moment 3 of a normal; 1.8 if uniform, 1 if of signs."""
    net = nn.Linear(50_000, 2, bias=False).double().eval()
    loss = Loss(net=net, batches=[(torch.zeros(1), torch.zeros(1))])
    row = filter_direction(loss, seed=0).view(2, -1)[0]
    assert row.mean().abs() < 5 * row.std() / 50_000**0.5
    assert ((row / row.std()) ** 4).mean() == pytest.approx(3, abs=0.2)


def test_an_eigenvector_keeps_its_direction_and_gets_the_length_of_a_random_one():
    loss = stream_loss(only=("net.layer1.", "net.fc."))
    vector = drawn(loss.size, seed=5)
    scaled = eigen_direction(loss, vector)
    assert torch.cosine_similarity(scaled, vector, dim=0) == pytest.approx(1, abs=1e-12)
    random = filter_direction(loss, seed=8).norm()
    assert scaled.norm().item() == pytest.approx(random.item(), rel=1e-12)
    torch.testing.assert_close(eigen_direction(loss, 7 * vector), scaled)


def test_a_vector_of_another_network_is_refused():
    loss = stream_loss()
    with pytest.raises(ConfigError, match=f"give \\({loss.size},\\)"):
        eigen_direction(loss, torch.ones(3))


def pair(scale: float) -> Loss:
    """Two networks that compute the same: a filter bank times ``scale``, its readers by it."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(12, 3),
    ).double().eval()  # fmt: skip
    with torch.no_grad():
        net[0].weight *= scale
        net[0].bias *= scale
        net[2].weight /= scale
    return Loss(net=net, batches=[(drawn(6, 2, 6, 6, seed=0), torch.arange(6) % 3)])


def test_rescaling_a_pair_of_layers_does_not_change_the_surface():
    found = []
    for scale in (1.0, 16.0):
        loss = pair(scale)
        ways = [filter_direction(loss, seed=s) for s in (0, 1)]
        found.append(surface(loss, ways, a=STEPS, b=STEPS).loss)
    torch.testing.assert_close(*map(torch.as_tensor, found), rtol=1e-10, atol=0)


def test_without_the_norms_of_the_filters_rescaling_would_change_it():
    """The test above can fail."""
    found = []
    for scale in (1.0, 16.0):
        loss = pair(scale)
        found.append(surface(loss, [drawn(loss.size, seed=0)], a=STEPS).loss)
    assert abs(found[0] - found[1]).max() > 0.1
