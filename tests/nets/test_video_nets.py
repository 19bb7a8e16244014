"""Networks over clips: what they tap, how frames vote, and who sees their order."""

import pytest
import torch
from by_hand import settled
from torch.nn.functional import cross_entropy

from redistill.errors import ConfigError
from redistill.nets.torchvision_ops import torchvision
from redistill.nets.video import NETWORKS, Taps, build_video

KINDS = ("tsn10", "shift10", "tsn_mobilenet_v2", "shift_mobilenet_v2", "r3d_18", "r2plus1d_18")
every = pytest.mark.parametrize("name", KINDS)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def build(name, **changes):
    return build_video(name, **{"width": 4, "classes": 5, "frames": 4, "seed": 0} | changes)


def clips(batch=2, frames=4, side=32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, frames, 3, side, side, generator=generator)


def settle(net):
    return settled(net, clips(4, side=48))


@every
def test_taps_are_of_one_forward_pass(name):
    net = settle(build(name))
    with torch.no_grad():
        taps, logits = net.taps(clips()), net(clips())
    assert torch.equal(taps.logits, logits)
    torch.testing.assert_close(taps.embedding, taps.maps[-1].mean((2, 3, 4)))
    torch.testing.assert_close(taps.logits, net.head(taps.embedding))
    for keep in range(5):
        kept = net.taps(clips(), keep=keep).maps
        assert len(kept) == keep
        assert all(map(torch.equal, kept, taps.maps[4 - keep :]))


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("tsn10", [(4, 4, 12, 8), (8, 4, 6, 4), (16, 4, 3, 2), (32, 4, 2, 1)]),
        ("shift10", [(4, 4, 12, 8), (8, 4, 6, 4), (16, 4, 3, 2), (32, 4, 2, 1)]),
        ("r3d_18", [(4, 4, 24, 16), (8, 2, 12, 8), (16, 1, 6, 4), (32, 1, 3, 2)]),
        ("r2plus1d_18", [(4, 4, 24, 16), (8, 2, 12, 8), (16, 1, 6, 4), (32, 1, 3, 2)]),
    ],
)
def test_maps_are_channels_time_height_width(name, shapes):
    """Frames stay apart in 2-D; in 3-D three stages halve time, as the strides of 2 do space."""
    taps = build(name).taps(torch.randn(3, 4, 3, 48, 32))
    assert [tuple(m.shape) for m in taps.maps] == [(3, *shape) for shape in shapes]
    assert taps.embedding.shape == (3, 32)
    assert taps.logits.shape == (3, 5)


@pytest.mark.parametrize("name", ["tsn10", "tsn_mobilenet_v2"])
def test_frames_vote(name):
    """Segment consensus: the mean of the logits of single frames, whose maps stand in time."""
    net, x = settle(build(name)), clips()
    with torch.no_grad():
        taps = net.taps(x)
        votes = torch.stack([net.net(x[:, t]) for t in range(4)])
        torch.testing.assert_close(taps.logits, votes.mean(0))
        for t in range(4):
            single = net.taps(x[:, t : t + 1]).maps
            for ours, alone in zip(taps.maps, single, strict=True):
                torch.testing.assert_close(ours[:, :, t], alone[:, :, 0])


@pytest.mark.parametrize("name", ["r3d_18", "r2plus1d_18"])
def test_space_and_time_are_those_of_torchvision(name):
    """Frames come first here and channels there."""
    theirs = getattr(torchvision.models.video, name)(num_classes=5).eval()
    net, x = build(name, width=64).eval(), clips(1)
    net.net.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(net(x), theirs(x.transpose(1, 2)), rtol=1e-4, atol=1e-5)


@every
def test_who_sees_the_order_of_frames(name):
    net = settle(build(name))
    with torch.no_grad():
        forth, back = net(clips()), net(clips().flip(1))
    apart = (forth - back).abs().max() / forth.std()
    assert apart < 1e-4 if name.startswith("tsn") else apart > 1e-3


@every
def test_clips_of_a_batch_keep_to_themselves(name):
    net, x = settle(build(name)), clips(3)
    with torch.no_grad():
        alone = torch.cat([net(clip[None]) for clip in x])
        torch.testing.assert_close(net(x), alone, rtol=1e-4, atol=1e-5)


@every
def test_every_parameter_takes_part_in_training(name):
    torch.manual_seed(0)
    net = build(name)
    taps = net.taps(torch.randn(4, 8, 3, 32, 32) if name[0] == "r" else clips(4))
    (cross_entropy(taps.logits, torch.tensor([0, 1, 2, 3])) + taps.maps[1].mean()).backward()
    without = [k for k, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without


@every
def test_a_seed_fixes_the_weights_and_nothing_else(name):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, again, other = build(name), build(name), build(name, seed=1)
    assert torch.equal(torch.rand(3), expected)
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)]
    assert all(same)
    heads = [next(net.head.parameters()) for net in (first, other)]
    assert not torch.equal(*heads)


def test_networks_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match=r"no video network 'r3d_34'; choose one of .*tsn18"):
        build("r3d_34")
    with pytest.raises(ConfigError, match="needs 2 channels and this layer has 1"):
        build("shift10", width=1)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_name_builds_a_network(name):
    with torch.device("meta"):
        taps = build(name, width=2).taps(torch.zeros(1, 4, 3, 32, 32))
    assert taps.logits.shape == (1, 5)
    assert [m.shape[2] for m in taps.maps] == ([4, 2, 1, 1] if name[0] == "r" else [4, 4, 4, 4])


def test_a_change_reaches_all_that_a_network_says():
    taps = Taps(*(torch.ones(2, dtype=torch.bfloat16) for _ in range(2)), (torch.ones(2).half(),))
    for changed in (taps.float(), taps.float().to("cpu")):
        assert {t.dtype for t in (changed.logits, changed.embedding, *changed.maps)} == {
            torch.float32
        }
    halved = taps.apply(lambda x: x / 2)
    assert all(bool((t == 0.5).all()) for t in (halved.logits, halved.embedding, *halved.maps))
