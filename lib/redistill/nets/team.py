r"""TEAM-Net: the three streams joined after the stem and after stages 1, 2 and 3.

Source: spec/progressive.md 2.2 and 3.2.  A fusion unit squeezes the pooled channels of all streams
and opens, per segment, a gate for each channel and one for each place of a stream:

$$z = \mathrm{ReLU}(W_s [\bar x_I; \bar x_M; \bar x_R]), \quad
x'_m = \sigma(W_m z)\, x_m, \quad
x''_m = \sigma(k_m * [\bar x'_I; \bar x'_M; \bar x'_R])\, x'_m.$$

An internal classifier (IC) is one linear layer on the squeezed z of all segments, so the number of
segments is part of it.  The score of the network is the sum of the logits of its three streams.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from redistill.errors import ConfigError
from redistill.modality import MODALITIES
from redistill.nets.streams import Stream

RATIO = 4  # channels of all streams to the length of z
EXITS = 3  # ICs: on z of units 0, 1 and 2; unit 3 has none


class FusionUnit(nn.Module):
    """Channel gates and spatial gates of three streams, each computed from all of them.

    Args:
        channels: of the three streams, in the order of ``MODALITIES``.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        dim = sum(channels) // RATIO
        self.squeeze = nn.Linear(sum(channels), dim, bias=False)
        self.gates = nn.ModuleList(nn.Linear(dim, each, bias=False) for each in channels)
        # Kernel i, over the three maps of channel means, is the released one of stream i.
        self.places = nn.Conv2d(len(channels), len(channels), 3, padding=1, bias=False)

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return the gated maps and z ``(N, dim)`` of maps ``(N, C_m, h, w)``, h and w shared."""
        z = torch.relu(self.squeeze(torch.cat([x.mean((2, 3)) for x in maps], 1)))
        maps = [
            torch.sigmoid(gate(z))[..., None, None] * x
            for gate, x in zip(self.gates, maps, strict=True)
        ]
        places = torch.sigmoid(self.places(torch.cat([x.mean(1, keepdim=True) for x in maps], 1)))
        return [places[:, m : m + 1] * x for m, x in enumerate(maps)], z


class TeamNet(nn.Module):
    """Three ResNets of one width whose features gate each other.

    Args:
        depth_iframe: layers of the I-frame stream.
        depth: layers of the motion and the residual stream.
        width: channels of the first stage of each.
        classes: size of the output.
        dropout: before each stream's classifier.

    Shapes:
        Three inputs ``(B, S, C, H, W)`` in the order of ``MODALITIES`` to the clip logits of the
        three streams, ``(3, B, K)``, each the mean over S; ``total`` makes one score of them.
    """

    def __init__(
        self, *, depth_iframe: int, depth: int, width: int, classes: int, dropout: float = 0.5
    ) -> None:
        super().__init__()
        depths = {m: depth_iframe if m == "iframe" else depth for m in MODALITIES}
        self.streams = nn.ModuleList(
            Stream(m, depth=deep, width=width, classes=classes) for m, deep in depths.items()
        )
        for stream in self.streams:
            stream.net.fc = nn.Sequential(nn.Dropout(dropout), stream.net.fc)
        stages = [(s.net.layer1, s.net.layer2, s.net.layer3, s.net.layer4) for s in self.streams]
        self.units = nn.ModuleList(  # before each stage, so of its width
            FusionUnit([stage[0].conv1.in_channels for stage in same])
            for same in zip(*stages, strict=True)
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the clip logits of the streams, ``(3, B, K)``."""
        return self.exits(inputs)[1]

    def lengths(self, segments: int) -> list[int]:
        """Return the lengths of the vectors that the ICs read."""
        return [segments * unit.squeeze.out_features for unit in self.units[:EXITS]]

    def exits(self, inputs: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return what the ICs read, ``(B, S * dim)`` each, and the logits ``(3, B, K)``."""
        maps, squeezed = self.fused(inputs)
        shape = inputs[0].shape[:2]
        logits = [
            s.net.fc(s.net.layer4(x).mean((2, 3))).unflatten(0, shape).mean(1)
            for s, x in zip(self.streams, maps, strict=True)
        ]
        return squeezed[:EXITS], torch.stack(logits)

    def squeezed(self, inputs: Sequence[Tensor], exits: int = EXITS) -> list[Tensor]:
        """Return what the first ICs read, ``(B, S * dim)`` each; nothing behind them runs."""
        return self.fused(inputs, units=exits)[1]

    def fused(
        self, inputs: Sequence[Tensor], units: int = EXITS + 1
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return what leaves the last of the first ``units`` fusion units.

        Returns:
            The maps of the three streams, ``(B * S, C_m, h, w)``, and z of each unit, the segments
            of a clip one after another, ``(B, S * dim)``.
        """
        maps, squeezed = [x.flatten(0, 1) for x in inputs], []
        for number, unit in enumerate(self.units[:units]):
            maps = [_stage(s, number, x) for s, x in zip(self.streams, maps, strict=True)]
            maps, z = unit(maps)
            squeezed.append(z.unflatten(0, inputs[0].shape[:2]).flatten(1))
        return maps, squeezed


def _stage(stream: Stream, number: int, x: Tensor) -> Tensor:
    """Return what a stream computes before fusion unit ``number``: the stem, or a stage."""
    net = stream.net
    if number:
        return net.get_submodule(f"layer{number}")(x)
    return net.maxpool(net.relu(net.bn1(net.conv1(stream.data_bn(x)))))


def total(logits: Tensor) -> Tensor:
    """Return the score of the whole network, ``(B, K)``: its streams count alike."""
    return logits.sum(0)


class TeamICs(nn.Module):
    """The three ICs of several arms, side by side in one linear layer an exit.

    Args:
        lengths: of the vectors that they read; ``TeamNet.lengths``.
        classes: size of the output.
        arms: how many; all start from the same weights, and none reaches another.

    Shapes:
        Vectors ``(B, S * dim)`` of the first E units, E <= 3, to logits ``(A, E, B, K)``.
    """

    def __init__(self, lengths: Sequence[int], *, classes: int, arms: int = 1) -> None:
        super().__init__()
        self.arms = arms
        ones = [nn.Linear(length, classes) for length in lengths]  # before any other draw
        self.heads = nn.ModuleList(_beside(one, arms) for one in ones)

    def forward(self, squeezed: Sequence[Tensor]) -> Tensor:
        """Return logits ``(A, E, B, K)``.

        Raises:
            ConfigError: vectors of another number of segments.
        """
        pairs = list(zip(self.heads, squeezed, strict=False))
        wanted, got = [h.in_features for h, _ in pairs], [z.shape[-1] for _, z in pairs]
        if wanted != got:
            raise ConfigError(
                f"the ICs of TEAM-Net read vectors of lengths {wanted}, got {got}: the number of "
                "segments is part of an IC; use the number that they were built for"
            )
        logits = [head(z).unflatten(1, (self.arms, -1)).transpose(0, 1) for head, z in pairs]
        return torch.stack(logits, 1)


def _beside(one: nn.Linear, arms: int) -> nn.Linear:
    """Return a linear layer that is ``one`` so many times."""
    head = nn.Linear(one.in_features, arms * one.out_features)
    head.weight.data = one.weight.data.repeat(arms, 1)
    head.bias.data = one.bias.data.repeat(arms)
    return head


def build_team(*, depth_iframe: int, depth: int, width: int, classes: int, seed: int) -> TeamNet:
    """Return a TEAM-Net whose initial weights depend on ``seed`` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TeamNet(depth_iframe=depth_iframe, depth=depth, width=width, classes=classes)


def build_team_ics(lengths: Sequence[int], *, classes: int, seed: int, arms: int = 1) -> TeamICs:
    """Return ICs whose initial weights depend on ``seed`` alone, not on the number of arms."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TeamICs(lengths, classes=classes, arms=arms)
