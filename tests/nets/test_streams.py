"""The networks against torchvision's own, and the import repair against a healthy import."""

import subprocess
import sys

import pytest
import torch

from redistill.errors import ConfigError
from redistill.nets.resnet import ResNet, torchvision
from redistill.nets.streams import build_stream


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_width_64_is_torchvision(depth):
    """The reference is torchvision's network with the same weights: names and numbers agree."""
    reference = getattr(torchvision.models, f"resnet{depth}")(num_classes=7).eval()
    ours = ResNet(depth, width=64, channels=3, classes=7).eval()
    ours.load_state_dict(reference.state_dict())
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours(x), reference(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("width", "depth"), [(4, 10), (16, 18), (8, 50)])
def test_width_scales_every_stage(width, depth):
    net = ResNet(depth, width=width, channels=2, classes=3)
    expansion = 4 if depth >= 50 else 1
    convs = [net.get_submodule(f"layer{k}")[-1].conv1 for k in (1, 2, 3, 4)]
    assert [conv.out_channels for conv in convs] == [width * 2**k for k in range(4)]
    assert net.fc.in_features == width * 8 * expansion


def test_unknown_depth_names_the_depths_there_are():
    with pytest.raises(ConfigError, match=r"depth 20; choose one of \[10, 18"):
        ResNet(20, width=16, channels=3, classes=2)


def test_clip_score_is_the_mean_of_segment_logits():
    net = build_stream("mv", depth=10, width=4, classes=5, seed=0).eval()
    x = torch.randn(2, 3, 2, 32, 32)
    slow = torch.stack([net(x[:, s : s + 1]) for s in range(3)]).mean(0)
    torch.testing.assert_close(net(x), slow)


def test_input_batchnorm_only_where_the_paper_has_it():
    plain = build_stream("iframe", depth=10, width=4, classes=2, seed=0)
    assert not list(plain.data_bn.parameters())
    for modality, channels in (("mv", 2), ("residual", 3)):
        net = build_stream(modality, depth=10, width=4, classes=2, seed=0)
        assert net.data_bn.num_features == channels


def test_initial_weights_come_from_the_seed_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    a = build_stream("residual", depth=10, width=4, classes=2, seed=3).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    b = build_stream("residual", depth=10, width=4, classes=2, seed=3).state_dict()
    c = build_stream("residual", depth=10, width=4, classes=2, seed=4).state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["net.conv1.weight"], c["net.conv1.weight"])


def test_import_repair_leaves_other_errors_alone():
    """A broken installation of another kind must be seen, not papered over."""
    code = """
import importlib, sys
real = importlib.import_module
def broken(name, *rest):
    if name == "torchvision": raise RuntimeError("something else")
    return real(name, *rest)
importlib.import_module = broken
import redistill.nets.torchvision_ops
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert out.returncode == 1
    assert "something else" in out.stderr


def test_import_repair_does_not_touch_a_healthy_torchvision():
    code = """
import sys, types, torch
fake = types.ModuleType("torchvision"); sys.modules["torchvision"] = fake
from redistill.nets.torchvision_ops import torchvision, _declared
assert torchvision is fake and not _declared
"""
    subprocess.run([sys.executable, "-c", code], check=True)
