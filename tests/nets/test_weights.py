"""Weights from elsewhere: what is taken, what is left, and what is refused.  No network."""

from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file

from redistill.errors import ConfigError
from redistill.nets.resnet import torchvision
from redistill.nets.streams import build_stream
from redistill.nets.weights import load_weights


def reference(depth=18, classes=1000):
    return getattr(torchvision.models, f"resnet{depth}")(num_classes=classes)


def stream(modality="iframe", **changes):
    return build_stream(modality, **{"depth": 18, "width": 64, "classes": 101, "seed": 0} | changes)


@pytest.fixture
def offered(monkeypatch):
    """Stand in for torchvision's download; hand out what it was asked for."""
    asked, nets = [], {}

    def give(weights, **options):
        asked.append((weights, options))
        depth = int(str(weights).partition("_")[0].removeprefix("ResNet"))
        return nets.setdefault(depth, reference(depth)).state_dict()

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", give)
    return asked, nets


def save(net, path, **changes):
    state = {k: v.contiguous().clone() for k, v in net.state_dict().items()} | changes
    save_file({k: v for k, v in state.items() if v is not None}, path)
    return path


@pytest.mark.parametrize("depth", [18, 50])
def test_imagenet_gives_the_numbers_of_torchvision(offered, depth):
    """The whole network with 1000 classes computes what torchvision's does."""
    asked, nets = offered
    net = stream(depth=depth, classes=1000)
    assert load_weights(net, "imagenet") == ()
    x = torch.randn(2, 1, 3, 64, 64)
    expected = nets[depth].eval()(x[:, 0])
    torch.testing.assert_close(net.eval()(x), expected, rtol=1e-4, atol=1e-4)
    ((weights, options),) = asked
    assert str(weights) == f"ResNet{depth}_Weights.IMAGENET1K_V1"
    assert options["weights_only"] is True
    assert options["check_hash"] is True


@pytest.mark.parametrize(
    ("modality", "kept"),
    [
        ("iframe", {"net.fc"}),
        ("residual", {"net.fc", "data_bn"}),
        ("mv", {"net.fc", "data_bn", "net.conv1"}),
    ],
)
def test_what_does_not_fit_is_left_as_it_was_and_named(offered, modality, kept):
    """The head for another number of classes; BatchNorm on the input; two channels of motion."""
    net, before = stream(modality), stream(modality).state_dict()
    left = load_weights(net, "imagenet")
    theirs = offered[1][18].state_dict()
    assert {name.rpartition(".")[0] for name in left} == kept
    for name, tensor in net.state_dict().items():
        expected = before[name] if name in left else theirs[name.removeprefix("net.")]
        assert torch.equal(tensor, expected), name


def test_no_weights_change_nothing():
    net, before = stream(depth=10, width=4), stream(depth=10, width=4).state_dict()
    assert set(load_weights(net, "")) == before.keys()
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())


@pytest.mark.parametrize("changes", [{"width": 32}, {"depth": 10}])
def test_imagenet_is_refused_where_there_is_none(offered, changes):
    with pytest.raises(ConfigError, match=r"no ImageNet weights for a ResNet-1. of width"):
        load_weights(stream(**changes), "imagenet")
    assert not offered[0]


def test_without_a_network_the_message_says_what_to_fetch(monkeypatch):
    def fail(*args, **options):
        raise URLError("no route")

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", fail)
    with pytest.raises(ConfigError, match=r"no route.*Fetch \S+resnet18\S+\.pth where there is"):
        load_weights(stream(), "imagenet")


def test_a_file_of_our_own_names_or_of_torchvisions(tmp_path):
    trained = stream("mv", depth=10, width=4, seed=5)
    path = save(trained, tmp_path / "ours.safetensors")
    net = stream("mv", depth=10, width=4)
    assert load_weights(net, path) == ()
    assert all(torch.equal(t, trained.state_dict()[k]) for k, t in net.state_dict().items())

    theirs = reference(classes=101)
    net = stream()
    assert load_weights(net, str(save(theirs, tmp_path / "theirs.safetensors"))) == ()
    assert torch.equal(net.net.layer3[1].conv2.weight, theirs.layer3[1].conv2.weight)


def test_files_without_batch_counters_are_read(tmp_path):
    """As torchvision's oldest files are."""
    old = stream(depth=10, width=4, seed=5)
    without = {k: None for k in old.state_dict() if k.endswith("num_batches_tracked")}
    net = stream(depth=10, width=4)
    left = load_weights(net, save(old, tmp_path / "old.safetensors", **without))
    assert set(left) == without.keys()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"net.layer2.0.conv1.weight": None}, r"1 missing: net\.layer2\.0\.conv1\.weight;?"),
        ({"net.extra": torch.zeros(1)}, r"1 unknown: net\.extra"),
        (
            {"net.bn1.weight": torch.zeros(9)},
            r"1 of another shape: net\.bn1\.weight has shape \(9,\), expected \(4,\)",
        ),
        ({"net.fc.weight": torch.zeros(7, 3)}, r"net\.fc\.weight has shape \(7, 3\)"),
        ({"net.conv1.weight": torch.zeros(4, 3, 5, 5)}, r"expected \(4, 3, 7, 7\)"),
        ({"data_bn.bias": None}, r"1 missing: data_bn\.bias"),
    ],
)
def test_weights_of_another_network_are_refused_by_name(tmp_path, changes, words):
    modality = "residual"
    path = save(stream(modality, depth=10, width=4), tmp_path / "w.safetensors", **changes)
    net, before = stream(modality, depth=10, width=4, seed=1), None
    before = {name: t.clone() for name, t in net.state_dict().items()}
    with pytest.raises(ConfigError, match=rf"w\.safetensors are not those of this.*{words}"):
        load_weights(net, path)
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent: no such file; give 'imagenet'"):
        load_weights(stream(depth=10, width=4), tmp_path / "absent")
    (tmp_path / "torn.safetensors").write_bytes(b"no weights")
    with pytest.raises(ConfigError, match=r"torn\.safetensors: not a whole safetensors file"):
        load_weights(stream(depth=10, width=4), tmp_path / "torn.safetensors")
