"""Weights for networks over clips: Kinetics-400's, ImageNet's, or a file.  Offline."""

from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file

from redistill.errors import ConfigError
from redistill.nets.streams import build_stream
from redistill.nets.torchvision_ops import torchvision
from redistill.nets.video import build_video
from redistill.nets.weights import load_weights

both = pytest.mark.parametrize("name", ["r3d_18", "r2plus1d_18"])


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def video(name, **changes):
    return build_video(name, **{"width": 64, "classes": 5, "frames": 4, "seed": 0} | changes)


@pytest.fixture
def offered(monkeypatch):
    """Stand in for torchvision's download; keep what was asked for and what was given."""
    asked, nets = [], {}

    def give(weights, **options):
        asked.append((str(weights), options))
        name = str(weights).partition("_Weights")[0].lower()
        nets[name] = torchvision.models.get_model(name)
        return nets[name].state_dict()

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", give)
    return asked, nets


def save(net, path, **changes):
    state = {k: v.contiguous().clone() for k, v in net.state_dict().items()} | changes
    save_file({k: v for k, v in state.items() if v is not None}, path)
    return path


@both
def test_kinetics_gives_the_numbers_of_torchvision(offered, name):
    """With 400 classes the whole network computes what torchvision's does."""
    asked, nets = offered
    net = video(name, classes=400)
    assert load_weights(net, "kinetics") == ()
    x = torch.randn(1, 4, 3, 32, 32)
    with torch.no_grad():
        expected = nets[name].eval()(x.transpose(1, 2))
        torch.testing.assert_close(net.eval()(x), expected, rtol=1e-4, atol=1e-5)
    ((weights, options),) = asked
    assert weights.lower() == f"{name}_weights.kinetics400_v1"
    assert options["weights_only"] is True
    assert options["check_hash"] is True


@pytest.mark.parametrize(
    ("name", "source", "head"),
    [
        ("r3d_18", "kinetics", "fc"),
        ("r2plus1d_18", "kinetics", "fc"),
        ("tsn18", "imagenet", "fc"),
        ("tsn_mobilenet_v2", "imagenet", "classifier.1"),
    ],
)
def test_the_head_for_other_classes_is_left_as_it_was(offered, name, source, head):
    net, before = video(name), video(name).state_dict()
    assert load_weights(net, source) == (f"net.{head}.weight", f"net.{head}.bias")
    (theirs,) = offered[1].values()
    for key, tensor in net.state_dict().items():
        plain = key.removeprefix("net.")
        expected = before[key] if plain.startswith(head) else theirs.state_dict()[plain]
        assert torch.equal(tensor, expected), key


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("18", "ResNet18_Weights.IMAGENET1K_V1"),
        ("50", "ResNet50_Weights.IMAGENET1K_V1"),
        ("_mobilenet_v2", "MobileNet_V2_Weights.IMAGENET1K_V1"),
    ],
)
def test_imagenet_gives_a_frame_the_logits_of_torchvision(offered, name, weights):
    """Of frames side by side, and of a shift: its weights are the same, one level deeper."""
    net, shifted = (video(f"{kind}{name}", classes=1000) for kind in ("tsn", "shift"))
    assert load_weights(net, "imagenet") == ()
    ((asked, _),), (theirs,) = offered[0], offered[1].values()
    assert asked == weights
    x = torch.randn(2, 1, 3, 64, 64)
    with torch.no_grad():
        expected = theirs.eval()(x[:, 0])
        torch.testing.assert_close(net.eval()(x), expected, rtol=1e-3, atol=1e-4)

    assert load_weights(shifted, "imagenet") == ()
    (theirs,) = offered[1].values()
    for ours, (key, tensor) in zip(
        shifted.state_dict().items(), theirs.state_dict().items(), strict=True
    ):
        assert torch.equal(ours[1], tensor), key


@pytest.mark.parametrize("name", ["18", "50", "_mobilenet_v2"])
def test_a_shift_starts_from_weights_of_pictures(offered, tmp_path, name):
    """A shift has no numbers of its own: it takes a plain network's, and its own file's."""
    net = video(f"shift{name}")
    head = len(list(net.head.parameters()))
    assert len(load_weights(net, "imagenet")) == head == 2
    (theirs,) = (other.state_dict() for other in offered[1].values())
    inner = [f".{path}.net." for path in ("conv1", "conv.0.0")]
    ours = {}
    for key, tensor in net.state_dict().items():
        plain = key.removeprefix("net.")
        for deeper in inner:
            plain = plain.replace(deeper, deeper.removesuffix("net."))
        ours[plain] = tensor
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[k], theirs[k]) for k in list(theirs)[:-head])

    for trained in (video(f"{kind}{name}", width=4, seed=5) for kind in ("tsn", "shift")):
        net = video(f"shift{name}", width=4)
        assert load_weights(net, save(trained, tmp_path / "w.safetensors")) == ()
        pairs = zip(net.parameters(), trained.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("net", "source", "words"),
    [
        (("r3d_18", 32), "kinetics", "no Kinetics weights for r3d_18 of width 32: .*at width 64"),
        (("tsn18", 64), "kinetics", "no Kinetics weights for a ResNet: .*r3d_18 and r2plus1d_18"),
        (("r2plus1d_18", 64), "imagenet", "no ImageNet weights for r2plus1d_18 of width 64"),
        (("tsn18", 32), "imagenet", "no ImageNet weights for a ResNet-18 of width 32"),
        (
            ("shift_mobilenet_v2", 8),
            "imagenet",
            "no ImageNet weights for a MobileNetV2 of width 8: .*MobileNetV2 of width 64",
        ),
        (
            ("tsn_mobilenet_v2", 64),
            "kinetics",
            "no Kinetics weights for a MobileNetV2 of width 64: .*r3d_18 and r2plus1d_18",
        ),
    ],
)
def test_weights_of_another_kind_or_width_are_refused(offered, net, source, words):
    with pytest.raises(ConfigError, match=words):
        load_weights(video(net[0], width=net[1]), source)
    assert not offered[0]


def test_streams_have_no_kinetics_weights(offered):
    with pytest.raises(ConfigError, match="no Kinetics weights for a ResNet"):
        load_weights(build_stream("iframe", depth=18, width=64, classes=5, seed=0), "kinetics")
    assert not offered[0]


@both
def test_without_a_network_the_message_says_what_to_fetch(monkeypatch, name):
    def fail(*args, **options):
        raise URLError("no route")

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", fail)
    with pytest.raises(ConfigError, match=rf"no route.*Fetch \S+{name}\S+\.pth where there is"):
        load_weights(video(name), "kinetics")


@both
def test_a_file_of_our_own_names_or_of_torchvisions(tmp_path, name):
    trained = video(name, width=4, seed=5)
    net = video(name, width=4)
    assert load_weights(net, save(trained, tmp_path / "ours.safetensors")) == ()
    assert all(torch.equal(t, trained.state_dict()[k]) for k, t in net.state_dict().items())

    plain = save(trained.net, tmp_path / "plain.safetensors")
    net = video(name, width=4, classes=9)
    assert load_weights(net, str(plain)) == ("net.fc.weight", "net.fc.bias")
    assert torch.equal(net.net.layer4[0].conv1[1].weight, trained.net.layer4[0].conv1[1].weight)
    assert torch.equal(net.net.stem[0].weight, trained.net.stem[0].weight)


@pytest.mark.parametrize(
    ("given", "changes", "words"),
    [
        (("r3d_18", 4), {"net.stem.0.weight": None}, r"1 missing: net\.stem\.0\.weight"),
        (("r3d_18", 4), {"net.extra": torch.zeros(1)}, r"1 unknown: net\.extra"),
        (
            ("r3d_18", 4),
            {"net.stem.0.weight": torch.zeros(4, 1, 3, 7, 7)},
            r"1 of another shape: net\.stem\.0\.weight has shape \(4, 1, 3, 7, 7\), expected "
            r"\(4, 3, 3, 7, 7\)",
        ),
        (("r3d_18", 3), {}, r"of another shape: net\.stem\.0\.weight has shape \(3, 3, 3, 7, 7\)"),
        (("r2plus1d_18", 4), {}, r"missing: net\.layer1\.0\.conv1\.0\.weight"),
        (("tsn18", 4), {}, r"missing: net\.stem\.0\.weight"),
        (("tsn_mobilenet_v2", 4), {}, r"unknown: net\.features\."),
    ],
)
def test_files_of_another_network_are_refused_by_name(tmp_path, given, changes, words):
    path = save(video(given[0], width=given[1]), tmp_path / "w.safetensors", **changes)
    net = video("r3d_18", width=4, seed=1)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    with pytest.raises(ConfigError, match=rf"w\.safetensors are not those of this.*{words}"):
        load_weights(net, path)
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())
