"""Internal classifiers: their sizes, their pooling, and that arms side by side stay apart."""

import pytest
import torch
from torch import nn

from redistill.errors import ConfigError
from redistill.nets.exits import STAGES, build_exits, ic_plan, pool, stage_features
from redistill.nets.streams import build_stream
from redistill.nets.torchvision_ops import torchvision

# spec/progressive.md 3.1: parameters at 101 and 51 classes, by network.
SIZES = {
    (18, 101): (304_357, 354_661, 1_004_133),
    (18, 51): (253_107, 252_211, 799_283),
    (50, 101): (251_109, 1_593_957, 11_094_117),
    (50, 51): (199_859, 1_389_107, 10_274_867),
}


def full_size(depth: int):
    with torch.device("meta"):
        return build_stream("residual", depth=depth, width=64, classes=101, seed=0).net


@pytest.mark.parametrize(("depth", "classes"), SIZES)
def test_the_sizes_of_the_released_classifiers(depth, classes):
    exits = build_exits(ic_plan(full_size(depth)), classes=classes, seed=0)
    sizes = tuple(sum(p.numel() for p in ic.parameters()) for ic in exits.ics)
    assert sizes == SIZES[depth, classes]


@pytest.mark.parametrize("size", [(4, 4), (14, 14), (7, 9), (52, 52), (2, 3), (1, 5)])
def test_pooling_is_adaptive_average_pooling(size):
    x = torch.randn(3, 5, *size, dtype=torch.float64)
    assert torch.allclose(pool(x), nn.functional.adaptive_avg_pool2d(x, 4), atol=1e-12)


def test_pooling_is_differentiable_twice():
    x = torch.randn(1, 2, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: pool(x).pow(3), x)


class Released(nn.Module):
    """One classifier, as the released code lays it out."""

    def __init__(self, channels: int, inner: int, classes: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, inner, kernel, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(inner)
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.fc = nn.Linear(16 * inner, classes)

    def forward(self, x):
        maps = self.pool(self.bn(self.conv(x.flatten(0, 1))))
        return self.fc(maps.flatten(1)).unflatten(0, x.shape[:2]).mean(1)


def test_arms_side_by_side_are_classifiers_by_themselves():
    """Outputs, gradients and BatchNorm statistics of each arm as those of one classifier alone."""
    torch.manual_seed(1)
    (ic,) = build_exits([(6, 4, 3)], classes=5, seed=3, arms=3).ics
    with torch.no_grad():
        for parameter in ic.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    x, weight = torch.randn(7, 2, 6, 5, 5), torch.randn(3, 7, 5)
    together = ic(x)
    (together * weight).sum().backward()
    for arm in range(3):
        alone = Released(6, 4, 5, 3)
        part = slice(4 * arm, 4 * arm + 4)
        alone.conv.weight.data = ic.conv.weight.data[part]
        alone.bn.weight.data, alone.bn.bias.data = ic.bn.weight.data[part], ic.bn.bias.data[part]
        alone.fc.weight.data = ic.weight.data[arm]
        alone.fc.bias.data = ic.bias.data.view(3, 5)[arm]
        z = alone(x)
        (z * weight[arm]).sum().backward()
        assert torch.allclose(z, together[arm], atol=1e-5)
        assert torch.allclose(alone.conv.weight.grad, ic.conv.weight.grad[part], atol=1e-4)
        assert torch.allclose(alone.fc.weight.grad, ic.weight.grad[arm], atol=1e-4)
        assert torch.allclose(alone.fc.bias.grad, ic.bias.grad.view(3, 5)[arm], atol=1e-5)
        assert torch.allclose(alone.bn.running_var, ic.bn.running_var[part], atol=1e-5)


def test_all_arms_start_alike_whatever_their_number():
    x = torch.randn(4, 2, 6, 5, 5)
    one = build_exits([(6, 4, 3)], classes=5, seed=3, arms=1)([x])
    many = build_exits([(6, 4, 3)], classes=5, seed=3, arms=4)([x])
    for arm in range(4):
        assert torch.allclose(many[arm], one[0], atol=1e-6)


def test_a_frozen_bias_stays_as_it_started_and_the_others_learn():
    (ic,) = build_exits([(6, 4, 3)], classes=5, seed=3, arms=2, frozen_bias=(1,)).ics
    ic(torch.randn(4, 2, 6, 5, 5)).square().sum().backward()
    assert ic.bias.grad.view(2, 5)[0].abs().min() > 0
    assert ic.bias.grad.view(2, 5)[1].abs().max() == 0


@pytest.mark.parametrize("modality", ["iframe", "mv"])
def test_features_are_what_leaves_the_stages(modality):
    net = build_stream(modality, depth=10, width=4, classes=3, seed=0).eval()
    x = torch.randn(2, 3, 2 if modality == "mv" else 3, 32, 32)
    features, logits = stage_features(net, x)
    inner = net.net
    h = inner.maxpool(inner.relu(inner.bn1(inner.conv1(net.data_bn(x.flatten(0, 1))))))
    for stage, found in enumerate(features, start=1):
        h = getattr(inner, f"layer{stage}")(h)
        assert torch.equal(found.flatten(0, 1), h)
    assert torch.equal(logits, net(x))
    assert not any(module._forward_hooks for module in net.modules())


def test_any_network_of_torchvision_is_reached_by_path():
    class Folded(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = torchvision.models.mobilenet_v2(num_classes=4)

        def forward(self, x):
            return self.net(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(1)

    features, logits = stage_features(
        Folded().eval(), torch.randn(2, 2, 3, 64, 64), ("net.features.3", "net.features.6")
    )
    assert [tuple(x.shape) for x in features] == [(2, 2, 24, 16, 16), (2, 2, 32, 8, 8)]
    assert logits.shape == (2, 4)


def test_a_path_that_leads_nowhere_is_named():
    net = build_stream("mv", depth=10, width=4, classes=3, seed=0)
    with pytest.raises(ConfigError, match=r"no module 'layer1'; it has data_bn, net"):
        stage_features(net, torch.randn(1, 1, 2, 32, 32), ("layer1",))
    assert STAGES[0] == "net.layer1"
