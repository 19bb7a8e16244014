"""What an exit costs: by hand, on networks of any make, and what is counted is what is run."""

import time

import pytest
import torch
from torch import nn

from redistill.cost import count, macs
from redistill.errors import RedistillError
from redistill.exit_cost import elementwise, exit_costs, exit_milliseconds, ptflops, run_to_exit
from redistill.nets.exits import build_exits, ic_plan, stage_features
from redistill.nets.streams import build_stream
from redistill.nets.torchvision_ops import torchvision

SHAPE = (1, 2, 3, 40, 40)


class Folded(nn.Module):
    """Any network on pictures, as one on clips."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(1)


class Flat(nn.Module):
    """An IC of one matrix product on everything."""

    def __init__(self, size, classes):
        super().__init__()
        self.fc = nn.Linear(size, classes)

    def forward(self, x):
        return self.fc(x.flatten(2)).mean(1)


class Sleep(nn.Module):
    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def forward(self, x):
        time.sleep(self.seconds)
        return x


@pytest.fixture
def stream():
    return build_stream("residual", depth=10, width=4, classes=5, seed=0)


@pytest.fixture
def ics(stream):
    return build_exits(ic_plan(stream.net), classes=5, seed=0).ics


def by_hand():
    """Two convolutions, an IC after each, a classifier; 8 x 8 maps."""
    stages = {"first": nn.Conv2d(2, 4, 3, padding=1), "second": nn.Conv2d(4, 6, 1)}
    net = Folded(nn.Sequential())
    for name, stage in stages.items():
        net.net.add_module(name, stage)
    net.net.append(nn.Flatten()).append(nn.Linear(6 * 64, 3))
    return net, [Flat(4 * 64, 3), Flat(6 * 64, 3)], ("net.first", "net.second")


def test_every_exit_by_hand():
    net, ics, paths = by_hand()
    first = 64 * 4 * 2 * 9
    second = 64 * 6 * 4
    one, two, last = 4 * 64 * 3, 6 * 64 * 3, 6 * 64 * 3
    assert exit_costs(net, ics, (1, 1, 2, 8, 8), paths=paths) == (
        first + one,
        first + one + second + two,
        first + one + second + two + last,
    )


def test_an_exit_pays_the_ics_it_passes(stream, ics):
    """The last exit is the network without ICs and each IC run by itself."""
    stream.eval().to("meta"), ics.to("meta")
    features, _ = stage_features(stream, torch.zeros(SHAPE, device="meta"))
    alone = [macs(lambda ic=ic, x=x: ic(x)) for ic, x in zip(ics, features, strict=True)]
    costs = exit_costs(stream, ics, SHAPE)
    assert costs[-1] == count(stream, SHAPE).macs + sum(alone)
    assert all(cost > 0 for cost in alone)
    assert list(costs) == sorted(set(costs))


def test_cost_is_linear_in_segments(stream, ics):
    stream.to("meta"), ics.to("meta")
    one = exit_costs(stream, ics, (1, 1, 3, 40, 40))
    assert exit_costs(stream, ics, (1, 5, 3, 40, 40)) == tuple(5 * each for each in one)


def test_what_is_priced_is_what_the_exit_answers(stream, ics):
    x = torch.randn(4, 2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    stream.eval(), ics.eval()
    features, last = stage_features(stream, x)
    slow = [ic(each) for ic, each in zip(ics, features, strict=True)] + [last]
    for number, logits in enumerate(slow, start=1):
        assert torch.equal(run_to_exit(stream, ics, x, number), logits)


def test_counting_on_meta_gives_what_counting_gives(stream, ics):
    counted = exit_costs(stream, ics, SHAPE, counter=ptflops)
    stream.to("meta"), ics.to("meta")
    assert exit_costs(stream, ics, SHAPE, counter=ptflops) == counted


def test_nothing_beyond_an_exit_runs(stream, ics):
    ran = []
    for name in ("layer1", "layer2", "layer3", "layer4"):
        part = stream.net.get_submodule(name)
        part.register_forward_pre_hook(lambda *_, name=name: ran.append(name))
    run_to_exit(stream, ics, torch.zeros(SHAPE), 2)
    assert ran == ["layer1", "layer2"]


def test_pricing_leaves_a_network_as_it_was(stream, ics):
    stream.train(), ics.train()
    stream.net.layer2.eval()
    before = {k: v.clone() for k, v in stream.state_dict().items()}
    exit_costs(stream, ics, SHAPE)
    exit_milliseconds(stream, ics, SHAPE, repeats=1)
    assert all(torch.equal(v, before[k]) for k, v in stream.state_dict().items())
    assert stream.training
    assert ics[0].training
    assert not stream.net.layer2.training
    assert not any(module._forward_hooks for module in stream.modules())


def test_any_torchvision_network_by_module_path():
    """MobileNet has no stages by name; on the device meta nothing is computed."""
    with torch.device("meta"):
        net = Folded(torchvision.models.mobilenet_v2(num_classes=5))
        ics = [Flat(24 * 16 * 16, 5), Flat(96 * 4 * 4, 5)]
    shape, paths = (1, 3, 3, 64, 64), ("net.features.3", "net.features.11")
    costs = exit_costs(net, ics, shape, paths=paths)
    own = 3 * 5 * (24 * 16 * 16 + 96 * 4 * 4)
    assert costs[0] < costs[1] < costs[2] == count(net, shape).macs + own


def test_pooling_is_under_one_in_two_hundred_of_an_ic():
    """The pooling of an IC is a matrix product; the published sizes of spec/progressive.md 3.1."""
    for depth, side in ((18, 56), (50, 56)):
        with torch.device("meta"):
            net = build_stream("residual", depth=depth, width=64, classes=101, seed=0)
            ics = build_exits(ic_plan(net.net), classes=101, seed=0).ics
        for number, (ic, plan) in enumerate(zip(ics, ic_plan(net.net), strict=True)):
            channels, inner, kernel = plan
            x = torch.zeros(1, 1, channels, side >> number, side >> number, device="meta")
            maps = ((side >> number) + 3 - kernel) ** 2
            rest = maps * channels * inner * kernel**2 + 16 * inner * 101
            assert rest < macs(lambda ic=ic, x=x: ic(x)) < rest * (1 + 1 / 200)


def test_each_stage_adds_its_time():
    net = Folded(nn.Sequential(Sleep(0.004), Sleep(0.1), nn.Flatten(), nn.Linear(8, 3)))
    ics = [Flat(8, 3), Flat(8, 3)]
    times = exit_milliseconds(net, ics, (1, 1, 2, 2, 2), paths=("net.0", "net.1"), repeats=3)
    assert 4 <= times[0] < 100
    assert min(times[1:]) >= 104


def test_elements_by_hand():
    net = nn.Sequential(
        nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Conv2d(2, 3, 1)
    ).eval()
    x = torch.zeros(5, 2, 8, 8)
    elements = 5 * 2 * 64
    assert elementwise(lambda: net(x)) == 2 * elements + elements + elements + elements // 4
    assert ptflops(lambda: net(x)) == elementwise(lambda: net(x)) + 5 * 2 * 3
    assert elementwise(lambda: None) == 0


def test_exits_that_cannot_be_are_named(stream, ics):
    x = torch.zeros(SHAPE)
    for number in (0, 5):
        with pytest.raises(RedistillError, match=f"exit {number} of a network with 3 ICs"):
            run_to_exit(stream, ics, x, number)
    with pytest.raises(RedistillError, match="with 2 ICs after"):
        run_to_exit(stream, ics[:2], x, 1)
    with pytest.raises(RedistillError, match=r"Stream has no module 'net.layer9'; it has data_bn"):
        run_to_exit(stream, ics[:2], x, 1, paths=("net.layer1", "net.layer9"))
    assert not stream.net.layer1._forward_hooks
    turned = ("net.layer2", "net.layer1")
    with pytest.raises(RedistillError, match="on the way to exit 2 the network passed 1 exits"):
        run_to_exit(stream, [nn.Identity(), nn.Identity()], x, 2, paths=turned)
