"""One classifier as a network by itself: the same numbers, a copy, and a curvature of its own."""

import copy

import pytest
import torch
from torch.nn import functional as F

from redistill.curvature.loss import Loss
from redistill.curvature.product import Product
from redistill.nets.exits import STAGES, LoneExit, build_exits, ic_plan, stage_features
from redistill.nets.streams import build_stream

ARMS, CLASSES, CLIPS, SEGMENTS = 4, 5, 6, 2
FROZEN = (1, 3)


def stir(net, seed):
    """Weights and BatchNorm statistics as after a training: none is what it started as.

    In double precision for the tests, single precision's numbers, as trainings leave them.
    """
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name.endswith(("learns", "start")) or not tensor.is_floating_point():
                continue
            noise = torch.rand(tensor.shape, generator=drawn, dtype=tensor.dtype)
            tensor.copy_(noise + 0.5 if name.endswith("running_var") else tensor + noise - 0.5)
    return net.double().eval()


@pytest.fixture
def trunk():
    return stir(build_stream("mv", depth=10, width=2, classes=CLASSES, seed=0), 1)


@pytest.fixture
def exits(trunk):
    plan = ic_plan(trunk.net)
    return stir(build_exits(plan, classes=CLASSES, seed=3, arms=ARMS, frozen_bias=FROZEN), 2)


@pytest.fixture
def clips():
    drawn = torch.Generator().manual_seed(4)
    return torch.randn(CLIPS, SEGMENTS, 2, 32, 32, generator=drawn, dtype=torch.float64)


LABELS = torch.arange(CLIPS) % CLASSES
EVERY = [(arm, number) for arm in range(ARMS) for number in range(3)]


@pytest.mark.parametrize(("arm", "number"), EVERY)
def test_it_says_what_its_arm_says_among_all(trunk, exits, clips, arm, number):
    features, _ = stage_features(trunk, clips)
    wanted = exits(features)[arm, number]
    alone = LoneExit(exits.ics[number], arm)
    whole = LoneExit(exits.ics[number], arm, trunk=trunk, stage=STAGES[number])
    torch.testing.assert_close(alone(features[number]), wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(whole(clips), wanted, rtol=1e-12, atol=1e-12)
    assert not any(module.training for module in whole.modules())


def test_its_arm_is_another_than_the_others(trunk, exits, clips):
    features, _ = stage_features(trunk, clips)
    said = [LoneExit(exits.ics[0], arm)(features[0]) for arm in range(ARMS)]
    for one in range(ARMS):
        for other in range(one):
            assert (said[one] - said[other]).abs().max() > 0.1


@pytest.mark.parametrize("arm", range(ARMS))
def test_the_bias_of_a_frozen_arm_is_not_curved_and_others_are(trunk, exits, clips, arm):
    features, _ = stage_features(trunk, clips)
    net = LoneExit(exits.ics[1], arm)
    start = net.ic.start if arm in FROZEN else exits.ics[1].bias.view(ARMS, -1)[arm]
    with torch.no_grad():
        net.ic.weight.zero_()
        assert torch.equal(net(features[1]), start.expand(CLIPS, -1))
    loss = Loss(net=net, batches=[(features[1].detach(), LABELS)])
    at = torch.cat([torch.full((w.numel(),), n == "ic.bias") for n, w in loss.weights.items()])
    with Product(loss) as product:
        curved = product(at.double() * torch.arange(loss.size))[at]
    assert bool(curved.any()) == (arm not in FROZEN)


def test_it_is_a_copy(trunk, exits, clips):
    features, _ = stage_features(trunk, clips)
    before = copy.deepcopy(exits.state_dict())
    net, twin = (LoneExit(exits.ics[1], 2) for _ in range(2))
    said = twin(features[1])
    with torch.no_grad():
        for tensor in net.state_dict().values():
            tensor.add_(1)
    assert not torch.equal(net(features[1]), said)
    assert torch.equal(twin(features[1]), said)
    assert all(torch.equal(x, before[name]) for name, x in exits.state_dict().items())
    with torch.no_grad():
        for tensor in exits.state_dict().values():
            tensor.add_(1)
    assert torch.equal(twin(features[1]), said)


def test_it_has_the_precision_of_what_it_was_made_of(exits):
    for dtype in (torch.float32, torch.float64):
        net = LoneExit(exits.ics[0].to(dtype), 0)
        assert {x.dtype for x in net.state_dict().values() if x.is_floating_point()} == {dtype}


def within(number):
    """Beginnings of the names of the weights that an exit depends on."""
    stages = tuple(f"trunk.net.layer{k}." for k in range(1, number + 2))
    return ("ic.", "trunk.data_bn.", "trunk.net.conv1.", "trunk.net.bn1.", *stages)


@pytest.mark.parametrize("number", range(3))
def test_gradients_reach_the_trunk_as_far_as_its_stage(trunk, exits, clips, number):
    net = LoneExit(exits.ics[number], 0, trunk=trunk, stage=STAGES[number]).requires_grad_(True)
    F.cross_entropy(net(clips), LABELS).backward()
    reached = {name for name, w in net.named_parameters() if w.grad is not None and w.grad.any()}
    wanted = {name for name, _ in net.named_parameters() if name.startswith(within(number))}
    assert reached == wanted
    assert len(wanted) < len(list(net.parameters()))


def slope(net, clips, ways, step=1e-6):
    """The central difference of the gradient along ``ways``, (n,)."""
    sides = []
    for sign in (1, -1):
        moved = copy.deepcopy(net).requires_grad_(True)
        with torch.no_grad():
            for weight, way in zip(moved.parameters(), ways, strict=True):
                weight.add_(way, alpha=sign * step)
        F.cross_entropy(moved(clips), LABELS).backward()
        grads = [torch.zeros_like(w) if w.grad is None else w.grad for w in moved.parameters()]
        sides.append(torch.cat([g.flatten() for g in grads]))
    return (sides[0] - sides[1]) / (2 * step)


@pytest.mark.parametrize("number", range(3))
def test_its_hessian_is_the_slope_of_its_gradient(trunk, exits, clips, number):
    """Over two batches of unequal size; weights behind the stage are not curved."""
    net = LoneExit(exits.ics[number], 2, trunk=trunk, stage=STAGES[number])
    drawn = torch.Generator().manual_seed(5)
    ways = [torch.randn(w.shape, generator=drawn, dtype=w.dtype) for w in net.parameters()]
    loss = Loss(net=net, batches=[(clips[:4], LABELS[:4]), (clips[4:], LABELS[4:])])
    with Product(loss) as product:
        found = product(torch.cat([way.flatten() for way in ways]))
    wanted = slope(net, clips, ways)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6 * wanted.abs().max().item())
    used = torch.cat(
        [torch.full((w.numel(),), n.startswith(within(number))) for n, w in loss.weights.items()]
    )
    assert not found[~used].any()
    assert (~used).any()
    assert found[used].any()
