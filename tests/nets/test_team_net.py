"""TEAM-Net against a fusion unit written in loops, plain streams, and the counts of the spec."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from redistill.errors import ConfigError
from redistill.modality import CHANNELS, MODALITIES
from redistill.nets.team import FusionUnit, TeamICs, TeamNet, build_team, build_team_ics, total


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def small(seed: int = 0) -> TeamNet:
    """Unlike depths, so that the I-frame stream is wider in its later stages."""
    return build_team(depth_iframe=50, depth=10, width=4, classes=5, seed=seed)


def drawn(batch: int = 3, segments: int = 2, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, segments)
    return [torch.randn(*shape, CHANNELS[m], 32, 32, generator=generator) for m in MODALITIES]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def slow_unit(unit: FusionUnit, maps: list[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """Spec 2.2 word by word for one picture: maps (C_m, h, w) to gated maps and z."""
    squeeze = unit.squeeze.weight.detach().numpy()
    gates = [gate.weight.detach().numpy() for gate in unit.gates]
    kernels = unit.places.weight.detach().numpy()
    pooled = [sum(channel.ravel()) / channel.size for x in maps for channel in x]
    z = [max(0.0, sum(w * p for w, p in zip(row, pooled, strict=True))) for row in squeeze]
    opened = [
        np.stack([sigmoid(sum(row * z)) * channel for row, channel in zip(gate, x, strict=True)])
        for gate, x in zip(gates, maps, strict=True)
    ]
    means = [sum(x) / len(x) for x in opened]
    out = []
    height, width = means[0].shape
    for kernel, x in zip(kernels, opened, strict=True):
        gated = np.zeros_like(x)
        for i in range(height):
            for j in range(width):
                place = 0.0
                for m, mean in enumerate(means):
                    for di in (-1, 0, 1):
                        for dj in (-1, 0, 1):
                            if 0 <= i + di < height and 0 <= j + dj < width:
                                place += kernel[m, di + 1, dj + 1] * mean[i + di, j + dj]
                gated[:, i, j] = sigmoid(place) * x[:, i, j]
        out.append(gated)
    return out, np.array(z)


def test_fusion_unit_is_the_slow_definition():
    torch.manual_seed(0)
    unit = FusionUnit((8, 3, 5)).double()
    maps = [torch.randn(2, channels, 4, 5).double() for channels in (8, 3, 5)]
    fast, z = unit(maps)
    assert z.shape == (2, 4)
    for n in range(2):
        slow, vector = slow_unit(unit, [x[n].numpy() for x in maps])
        assert 0 < np.count_nonzero(vector) < len(vector)  # the ReLU is seen
        np.testing.assert_allclose(z[n].detach().numpy(), vector, rtol=1e-12)
        for m in range(3):
            np.testing.assert_allclose(fast[m][n].detach().numpy(), slow[m], rtol=1e-12)


def test_published_size_has_the_published_vectors_and_classifiers():
    """Spec 2.2 and 3.2: dims 48 to 384; ICs of 38,885, 77,669 and 155,237 numbers; no bias."""
    with torch.device("meta"):
        net = TeamNet(depth_iframe=50, depth=18, width=64, classes=101)
        ics = TeamICs(net.lengths(8), classes=101)
    assert [unit.squeeze.out_features for unit in net.units] == [48, 96, 192, 384]
    channels = [[gate.out_features for gate in unit.gates] for unit in net.units]
    assert channels == [[64, 64, 64], [256, 64, 64], [512, 128, 128], [1024, 256, 256]]
    counts = [sum(p.numel() for p in head.parameters()) for head in ics.heads]
    assert counts == [38_885, 77_669, 155_237]
    assert all(p.ndim > 1 for p in net.units.parameters())


def test_without_its_fusion_units_it_is_three_plain_streams():
    class Closed(nn.Module):
        def forward(self, maps):
            return list(maps), maps[0].mean((2, 3))

    net, inputs = small().eval(), drawn()
    fused = net(inputs)
    net.units = nn.ModuleList(Closed() for _ in range(4))
    plain = net(inputs)
    for m, stream in enumerate(net.streams):
        torch.testing.assert_close(plain[m], stream(inputs[m]))
        assert not torch.allclose(plain[m], fused[m], atol=1e-4)


@pytest.mark.parametrize("number", range(4))
def test_every_unit_lets_every_stream_reach_every_other(number):
    net, inputs = small().eval(), drawn()
    before = net(inputs)
    with torch.no_grad():
        net.units[number].squeeze.weight.mul_(-1)  # other vectors, other gates
    assert ((net(inputs) - before).abs().amax((1, 2)) > 0).all()


def test_vectors_hold_the_segments_of_a_clip_one_after_another():
    net, inputs = small().eval(), drawn()
    whole = net.squeezed(inputs)
    singles = [net.squeezed([x[:, s : s + 1] for x in inputs]) for s in range(2)]
    for k in range(3):
        torch.testing.assert_close(whole[k], torch.cat([z[k] for z in singles], -1))
    assert [z.shape[-1] for z in whole] == net.lengths(2)


def test_leaving_early_gives_the_vectors_of_the_whole_pass():
    net, inputs = small().eval(), drawn()
    squeezed, logits = net.exits(inputs)
    assert torch.equal(logits, net(inputs))
    for exits in (1, 2, 3):
        early = net.squeezed(inputs, exits)
        assert len(early) == exits
        assert all(torch.equal(a, b) for a, b in zip(early, squeezed, strict=False))


def test_leaving_early_runs_no_later_stage():
    net = small().eval()
    for stream in net.streams:
        stream.net.layer2 = None
    assert len(net.squeezed(drawn(), 2)) == 2


def test_permuted_clips_permute_the_logits_and_the_score_is_their_sum():
    net, inputs = small().eval(), drawn()
    order = torch.tensor([2, 0, 1])
    logits = net(inputs)
    torch.testing.assert_close(net([x[order] for x in inputs]), logits[:, order])
    torch.testing.assert_close(total(logits), logits[0] + logits[1] + logits[2])


def test_dropout_only_while_training():
    net, inputs = small(), drawn()
    assert torch.equal(net.eval()(inputs), net(inputs))
    net.train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    assert not torch.equal(net(inputs), net(inputs))


def test_weights_come_from_the_seed_alone():
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = small(3).state_dict()
    one = build_team_ics([6, 8, 9], classes=4, seed=5)
    assert torch.equal(state, torch.random.get_rng_state())
    torch.manual_seed(2)
    assert all(torch.equal(value, first[name]) for name, value in small(3).state_dict().items())
    assert not torch.equal(first["units.0.squeeze.weight"], small(4).units[0].squeeze.weight)
    many = build_team_ics([6, 8, 9], classes=4, seed=5, arms=3)
    vectors = [torch.randn(2, length) for length in (6, 8, 9)]
    for logits in many(vectors):
        torch.testing.assert_close(logits, one(vectors)[0])


def test_no_arm_reaches_another():
    ics = build_team_ics([6, 8, 9], classes=4, seed=0, arms=3)
    logits = ics([torch.randn(5, length) for length in (6, 8, 9)])
    assert logits.shape == (3, 3, 5, 4)
    logits[1].sum().backward()
    for head in ics.heads:
        touched = head.weight.grad.unflatten(0, (3, 4)).abs().sum((1, 2)) > 0
        assert touched.tolist() == [False, True, False]


def test_another_number_of_segments_is_refused():
    net = small()
    ics = build_team_ics(net.lengths(2), classes=5, seed=0)
    with pytest.raises(ConfigError, match=r"lengths \[6, .*segments is part of an IC"):
        ics(net.squeezed(drawn(segments=3)))
