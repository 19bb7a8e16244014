"""What a temporal shift moves, where it sits in a ResNet, and that it costs nothing."""

from functools import partial

import pytest
import torch
from by_hand import moved, settled

from redistill.cost import count
from redistill.nets.mobilenet import MobileNetV2
from redistill.nets.resnet import LAYOUTS, ResNet
from redistill.nets.shift import ShiftedConv, shift
from redistill.nets.torchvision_ops import torchvision
from redistill.nets.video import build_video


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def build(name, **changes):
    return build_video(name, **{"width": 4, "classes": 5, "frames": 4, "seed": 0} | changes)


def clips(batch=2, frames=4, side=32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, frames, 3, side, side, generator=generator)


@pytest.mark.parametrize(
    ("ending", "picture"),
    [
        ("18", partial(ResNet, 18, channels=3)),
        ("50", partial(ResNet, 50, channels=3)),
        ("_mobilenet_v2", MobileNetV2),
    ],
)
def test_a_shift_costs_nothing_and_starts_from_the_same_weights(ending, picture):
    flat, shifted = build(f"tsn{ending}"), build(f"shift{ending}")
    pairs = zip(flat.parameters(), shifted.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    shape = (1, 4, 3, 32, 32)
    picture = count(picture(width=4, classes=5), (1, 3, 32, 32))
    head = flat.stage_widths[-1] * 5  # of the consensus: once a clip, not once a frame
    assert count(flat, shape) == count(shifted, shape)
    assert count(flat, shape).macs == 4 * (picture.macs - head) + head


@pytest.mark.parametrize(("channels", "fold"), [(8, 1), (8, 2), (2, 1), (5, 2)])
def test_shift_moves_channels_by_a_frame(channels, fold):
    """Slow definition, frame by frame and channel by channel; outside the clip is zero."""
    x = torch.randn(2, 3, channels, 2, 2)
    expected = torch.stack(moved(list(x.unbind(1)), fold), dim=1)
    assert torch.equal(shift(x.flatten(0, 1), 3, fold=fold), expected.flatten(0, 1))


@pytest.mark.parametrize("width", [2, 3, 8])
def test_the_narrowest_layer_still_shifts(width):
    """An eighth of 2 channels is none; one must go each way all the same."""
    net = build("shift10", width=width)
    folds = [m.fold for m in net.modules() if hasattr(m, "fold")]
    assert folds == [max(1, n // 8) for n in (width, width, 2 * width, 4 * width)]


def paths_of_shifts(net):
    return [path for path, m in net.named_modules() if isinstance(m, ShiftedConv)]


@pytest.mark.parametrize("depth", LAYOUTS)
def test_every_block_is_shifted_and_of_the_deepest_every_second(depth):
    with torch.device("meta"):
        net = build(f"shift{depth}")
        theirs = getattr(torchvision.models, f"resnet{max(depth, 18)}")()
    counts = [1] * 4 if depth == 10 else [len(getattr(theirs, f"layer{k}")) for k in (1, 2, 3, 4)]
    step = 2 if depth in (101, 152) else 1
    assert paths_of_shifts(net) == [
        f"net.layer{k}.{block}.conv1"
        for k, blocks in enumerate(counts, 1)
        for block in range(0, blocks, step)
    ]


def test_resnet50_over_frames_is_torchvisions():
    """All but the shift: the names, the numbers, and what one frame gives."""
    theirs = torchvision.models.resnet50(num_classes=5).eval()
    state, x = theirs.state_dict(), clips(2, frames=1, side=64)
    net = build("tsn50", width=64).eval()
    assert list(net.net.state_dict()) == list(state)
    net.net.load_state_dict(state)
    with torch.no_grad():
        torch.testing.assert_close(net(x), theirs(x[:, 0]), rtol=1e-4, atol=1e-5)
    names = [name.replace(".conv1.net.", ".conv1.") for name in build("shift50").net.state_dict()]
    assert names == list(state)


def bottleneck(block, own, seen):
    """Compute a block of a frame by hand: ``own`` takes the shortcut, ``seen`` the branch."""
    conv1 = getattr(block.conv1, "net", block.conv1)
    y = torch.relu(block.bn1(conv1(seen)))
    y = block.bn3(block.conv3(torch.relu(block.bn2(block.conv2(y)))))
    return torch.relu(y + (block.downsample(own) if block.downsample else own))


@pytest.mark.parametrize(("name", "step"), [("shift50", 1), ("shift101", 2)])
def test_a_clip_goes_through_as_its_frames_do_one_by_one(name, step):
    """Of bottlenecks the 1 x 1 convolution sees the shift and the shortcut does not."""
    net, x = settled(build(name, width=2), clips(4, side=48)), clips()
    with torch.no_grad():
        frames = [net.net.maxpool(net.net.relu(net.net.bn1(net.net.conv1(f)))) for f in x.unbind(1)]
        for stage in net.stages:
            for number, block in enumerate(stage):
                fold = 0 if number % step else max(1, frames[0].shape[1] // 8)
                seen = moved(frames, fold)
                frames = [bottleneck(block, a, b) for a, b in zip(frames, seen, strict=True)]
        maps = net.taps(x, keep=1).maps[0]
    torch.testing.assert_close(maps, torch.stack(frames, 2), rtol=1e-3, atol=1e-4)
