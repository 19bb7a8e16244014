"""The video networks of any width against torchvision's own, name for name."""

from itertools import pairwise

import pytest
import torch
from torch.nn.functional import cross_entropy

from redistill.cost import count
from redistill.errors import ConfigError
from redistill.nets.slim import VideoResNet
from redistill.nets.torchvision_ops import torchvision

NAMES = ("r3d_18", "r2plus1d_18")
both = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def parameters(name, width, classes=10):
    with torch.device("meta"):
        net = VideoResNet(name, width=width, classes=classes)
    return sum(p.numel() for p in net.parameters())


@both
def test_at_the_published_width_it_is_torchvisions(name):
    """From one seed both start from the same numbers; after that they compute the same."""
    torch.manual_seed(3)
    theirs = getattr(torchvision.models.video, name)(num_classes=7)
    torch.manual_seed(3)
    ours = VideoResNet(name, width=64, classes=7)
    expected = theirs.state_dict()
    assert list(ours.state_dict()) == list(expected)
    assert all(torch.equal(t, expected[k]) for k, t in ours.state_dict().items())

    x = torch.randn(2, 3, 4, 32, 32)
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours.train()(x), theirs.train()(x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-4, atol=1e-5)


@both
def test_costs_are_those_torchvision_publishes(name):
    """Its table holds parameters, and multiply-accumulates in billions (it calls them ops)."""
    meta = torchvision.models.get_model_weights(name).KINETICS400_V1.meta
    with torch.device("meta"):
        cost = count(VideoResNet(name, width=64, classes=400), (1, 3, 16, 112, 112))
    assert cost.parameters == meta["num_params"]
    assert round(cost.macs / 1e9, 3) == meta["_ops"]


def layers(net):
    """Return (kind, in, out, kernel, stride) of every convolution and linear layer."""
    return [
        (
            type(m).__name__,
            *m.weight.shape[1::-1],
            *getattr(m, "kernel_size", ()),
            *getattr(m, "stride", ()),
        )
        for m in net.modules()
        if isinstance(m, torch.nn.Conv3d | torch.nn.Linear)
    ]


@both
@pytest.mark.parametrize("width", [16, 32])
def test_every_layer_scales_with_the_width(name, width):
    """Channels are torchvision's times width / 64, rounded down; 3 and the classes stay."""
    with torch.device("meta"):
        theirs = getattr(torchvision.models.video, name)(num_classes=7)
        ours = VideoResNet(name, width=width, classes=7)

    def scaled(n):
        return n if n in (3, 7) else n * width // 64

    expected = [(k, scaled(i), scaled(o), *rest) for k, i, o, *rest in layers(theirs)]
    assert layers(ours) == expected
    assert list(ours.state_dict()) == list(theirs.state_dict())


@both
def test_parameters_fall_strictly_with_the_width(name):
    counts = [parameters(name, width) for width in (64, 45, 32, 23, 16, 8, 4, 3, 2, 1)]
    assert all(wider > narrower for wider, narrower in pairwise(counts))
    assert counts[2] / counts[0] == pytest.approx(1 / 4, rel=0.02)


@both
def test_a_training_step_moves_every_parameter_and_lowers_the_loss(name):
    torch.manual_seed(0)
    net = VideoResNet(name, width=2, classes=3)
    before = {k: p.detach().clone() for k, p in net.named_parameters()}
    x, y = torch.randn(6, 3, 8, 32, 32), torch.tensor([0, 1, 2, 0, 1, 2])
    optimiser = torch.optim.SGD(net.parameters(), lr=0.02)
    loss = cross_entropy(net(x), y)
    loss.backward()
    optimiser.step()
    still = [k for k, p in net.named_parameters() if torch.equal(p, before[k])]
    assert not still
    assert cross_entropy(net(x), y) < loss


@both
def test_a_clip_of_any_size_gives_one_row_of_logits(name):
    net = VideoResNet(name, width=1, classes=5).eval()
    for shape in ((1, 3, 1, 16, 16), (2, 3, 5, 20, 28)):
        assert net(torch.randn(shape)).shape == (shape[0], 5)


def test_unknown_names_and_no_channels_are_refused():
    with pytest.raises(ConfigError, match=r"no video network 'r3d_34'; .*r2plus1d_18.*r3d_18"):
        VideoResNet("r3d_34", width=8, classes=5)
    with pytest.raises(ConfigError, match="width = 0: r3d_18 needs at least 1 channel"):
        VideoResNet("r3d_18", width=0, classes=5)
