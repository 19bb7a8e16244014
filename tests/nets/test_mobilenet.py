"""MobileNetV2 of any width against torchvision's own, and its clips against a slow definition."""

import pytest
import torch
from by_hand import moved, settled
from torch.nn import functional as F

from redistill.cost import count
from redistill.errors import ConfigError
from redistill.nets.mobilenet import MobileNetV2
from redistill.nets.shift import ShiftedConv
from redistill.nets.torchvision_ops import torchvision
from redistill.nets.video import build_video

# Sandler et al. 2018, table 2: expansion, channels, repeats, stride of the first.
TABLE = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
SHIFTED = (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)  # every repeat after the first, at width 64
FRAMES = 3


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def clips(batch=2, side=32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, FRAMES, 3, side, side, generator=generator)


def build(name, width=4, classes=5):
    return build_video(name, width=width, classes=classes, frames=FRAMES, seed=0)


def rounded(channels):
    """Return the nearest multiple of 8 that is not below nine tenths, the greater of two as near.

    Of the MobileNet papers: channels in multiples of 8, of which rounding takes a tenth at most.
    """
    fitting = [m for m in range(8, int(channels) + 17, 8) if 10 * m >= 9 * channels]
    return min(fitting, key=lambda m: (abs(m - channels), -m))


def blocks(width):
    """Return (in, out, stride, expansion) of the inverted residuals by their number."""
    rows, wide = [], rounded(32 * width / 64)
    for expansion, channels, repeats, stride in TABLE:
        for repeat in range(repeats):
            out = rounded(channels * width / 64)
            rows.append((wide, out, 1 if repeat else stride, expansion))
            wide = out
    return dict(enumerate(rows, 1))


def test_at_the_published_width_it_is_torchvisions():
    """From one seed both start from the same numbers; after that they compute the same."""
    torch.manual_seed(3)
    theirs = torchvision.models.mobilenet_v2(num_classes=7)
    torch.manual_seed(3)
    ours = MobileNetV2(width=64, classes=7)
    expected = theirs.state_dict()
    assert list(ours.state_dict()) == list(expected)
    assert all(torch.equal(t, expected[k]) for k, t in ours.state_dict().items())

    x = torch.randn(3, 3, 48, 64)
    with torch.no_grad():
        for training in (True, False):
            outs = []
            for net in (theirs.train(training), ours.train(training)):
                torch.manual_seed(9)  # of the dropout
                outs.append(net(x))
            torch.testing.assert_close(*outs, rtol=1e-4, atol=1e-5)
    theirs.load_state_dict(ours.state_dict())


def test_costs_are_those_torchvision_publishes():
    """Parameters, and multiply-accumulates in billions; its pictures are 224 pixels wide."""
    meta = torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1.meta
    with torch.device("meta"):
        cost = count(MobileNetV2(width=64, classes=1000), (1, 3, 224, 224))
    assert cost.parameters == meta["num_params"]
    assert round(cost.macs / 1e9, 3) == meta["_ops"]


@pytest.mark.parametrize("width", [1, 4, 8, 16, 45, 64, 128])
def test_every_layer_scales_with_the_width(width):
    with torch.device("meta"):
        net = MobileNetV2(width=width, classes=7)
    found = [tuple(m.weight.shape) for m in net.modules() if hasattr(m, "kernel_size")]
    expected = [(rounded(32 * width / 64), 3, 3, 3)]
    for wide, out, _, expansion in blocks(width).values():
        inner = wide * expansion
        expected += [(inner, wide, 1, 1)] * (expansion > 1)
        expected += [(inner, 1, 3, 3), (out, inner, 1, 1)]
    last = max(1280, 1280 * width // 64)  # narrower networks keep the published one
    assert found == [*expected, (last, out, 1, 1)]
    assert net.classifier[1].weight.shape == (7, last)


@pytest.mark.parametrize("width", [4, 8, 64])
@pytest.mark.parametrize("kind", ["shift", "tsn"])
def test_maps_leave_the_stages_of_the_specification(kind, width):
    """Blocks 3, 6, 13 and the last convolution, at a quarter ... a thirty-second of the size."""
    with torch.device("meta"):
        net = build(f"{kind}_mobilenet_v2", width)
        taps = net.taps(torch.zeros(2, FRAMES, 3, 64, 96))
    wide = [*(blocks(width)[number][1] for number in (3, 6, 13)), 1280]
    assert [tuple(m.shape) for m in taps.maps] == [
        (2, c, FRAMES, 64 // by, 96 // by) for c, by in zip(wide, (4, 8, 16, 32), strict=True)
    ]
    assert net.stage_widths == tuple(wide)
    if width == 64:
        assert wide == [24, 32, 96, 1280]


def test_stem_and_stages_are_the_whole_of_it_in_order():
    net = build("tsn_mobilenet_v2")
    parts = [module for part in (*net.stem, *net.stages) for module in part]
    assert len(parts) == len(net.net.features) == 19
    assert all(a is b for a, b in zip(parts, net.net.features, strict=True))
    assert [len(part) for part in (*net.stem, *net.stages)] == [2, 2, 3, 7, 5]


def shifted(net):
    """Return the fold of every shifted convolution by its path."""
    return {k: m.fold for k, m in net.named_modules() if isinstance(m, ShiftedConv)}


@pytest.mark.parametrize("width", [2, 4, 8, 16, 64])
def test_what_is_shifted_has_a_shortcut_and_an_expansion(width):
    """The first block has no expansion; of narrow ones more have a shortcut, by rounding."""
    with torch.device("meta"):
        net = build("shift_mobilenet_v2", width)
        flat = build("tsn_mobilenet_v2", width)
    expected = {
        f"net.features.{number}.conv.0.0": max(1, wide // 8)
        for number, (wide, out, stride, expansion) in blocks(width).items()
        if stride == 1 and wide == out and expansion > 1
    }
    assert shifted(net) == expected
    assert not shifted(flat)
    if width == 64:
        assert list(expected) == [f"net.features.{number}.conv.0.0" for number in SHIFTED]
    if width == 4:
        assert "net.features.11.conv.0.0" in expected


def test_a_clip_goes_through_as_its_frames_do_one_by_one():
    """Through torchvision's network, frame by frame; the shortcut takes the frame unmoved."""
    net = settled(build("shift_mobilenet_v2", 16), clips(4, side=48))
    theirs = torchvision.models.MobileNetV2(num_classes=5, width_mult=1 / 4).eval()
    state = {k.removeprefix("net."): v for k, v in net.state_dict().items()}
    theirs.load_state_dict({k.replace(".0.0.net.", ".0.0."): v for k, v in state.items()})
    x = clips()
    with torch.no_grad():
        frames = list(x.unbind(1))
        for number, layer in enumerate(theirs.features):
            if number in SHIFTED:
                inner = moved(frames, max(1, frames[0].shape[1] // 8))
                frames = [a + layer.conv(b) for a, b in zip(frames, inner, strict=True)]
            else:
                frames = [layer(frame) for frame in frames]
        votes = torch.stack([theirs.classifier(frame.mean((2, 3))) for frame in frames])
        taps = net.taps(x)
    torch.testing.assert_close(taps.logits, votes.mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(taps.maps[-1], torch.stack(frames, 2), rtol=1e-4, atol=1e-5)
    assert taps.maps[-1].min() >= 0
    assert taps.maps[-1].max() <= 6  # after ReLU6


def test_dropout_falls_on_the_embedding_of_a_clip_in_training_alone():
    net, x = build("shift_mobilenet_v2"), clips()
    linear = net.head[1]
    torch.manual_seed(5)
    taps = net.train().taps(x)
    torch.manual_seed(5)
    torch.testing.assert_close(taps.logits, linear(F.dropout(taps.embedding, 0.2)))
    torch.testing.assert_close(taps.embedding, taps.maps[-1].mean((2, 3, 4)))
    assert not torch.allclose(taps.logits, linear(taps.embedding))
    taps = net.eval().taps(x)
    torch.testing.assert_close(taps.logits, linear(taps.embedding))


def test_no_channels_are_refused():
    with pytest.raises(ConfigError, match="width = 0: a MobileNetV2 needs at least 1"):
        build("tsn_mobilenet_v2", width=0)
