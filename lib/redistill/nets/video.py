"""Networks over the RGB frames of a clip, of any width, and what they say at every stage.

Three kinds, by name: ``tsn10``, ``tsn18`` … and ``tsn_mobilenet_v2`` are 2-D networks whose frames
vote (segment consensus); ``shift10``, ``shift18`` … and ``shift_mobilenet_v2`` the same with a
temporal shift; ``r3d_18`` and ``r2plus1d_18`` are torchvision's 3-D networks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from redistill.errors import ConfigError
from redistill.nets.mobilenet import MobileNetV2
from redistill.nets.resnet import LAYOUTS, ResNet
from redistill.nets.shift import add_shift
from redistill.nets.slim import CONVOLUTIONS, VideoResNet

_SHIFT = "shift"
_FLAT = {
    f"{kind}{depth}": partial(ResNet, depth, channels=3)
    for kind in (_SHIFT, "tsn")
    for depth in LAYOUTS
} | {f"{kind}_mobilenet_v2": MobileNetV2 for kind in (_SHIFT, "tsn")}
NETWORKS = (*_FLAT, *CONVOLUTIONS)
STAGES = 4
BACKGROUNDS = ("keep", "subtract")
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Taps:
    """What a network says of a batch of clips.

    Attributes:
        logits: (B, K).
        embedding: (B, d), the last maps averaged over time and space.
        maps: what leaves each stage kept, (B, C, T, H, W).
    """

    logits: Tensor
    embedding: Tensor
    maps: tuple[Tensor, ...] = ()

    def float(self) -> "Taps":
        """Return all in float32."""
        return self.apply(lambda x: x.float())

    def to(self, device: str | torch.device) -> "Taps":
        """Return all on a device."""
        return self.apply(lambda x: x.to(device, non_blocking=True))

    def apply(self, change: Change) -> "Taps":
        """Return all, each tensor changed alike."""
        maps = tuple(change(x) for x in self.maps)
        return Taps(change(self.logits), change(self.embedding), maps)


class VideoNet(nn.Module):
    """A network over clips.

    Args:
        name: one of ``NETWORKS``.
        width: channels of the first stage; 64 is the published width of all.
        classes: size of the output.
        frames: of a clip; a shift must know them.
        background: ``keep``, or ``subtract`` the clip's mean frame from each: what stands still
            goes.  Small networks from scratch learn no motion of small things in front of a
            picture in any time that a CPU has; of what is left they do.

    Attributes:
        flat: whether frames go through the network one by one.
        classes: as given.

    Shapes:
        ``(B, T, 3, H, W)`` float to logits ``(B, K)``.
    """

    def __init__(
        self, name: str, *, width: int, classes: int, frames: int, background: str = "keep"
    ) -> None:
        super().__init__()
        if background not in BACKGROUNDS:
            raise ConfigError(f"background = {background!r}: one of {', '.join(BACKGROUNDS)}")
        self.background = background
        if name not in NETWORKS:
            raise ConfigError(f"no video network {name!r}; choose one of {', '.join(NETWORKS)}")
        self.flat, self.classes = name in _FLAT, classes
        build = _FLAT[name] if self.flat else partial(VideoResNet, name)
        self.net = build(width=width, classes=classes)
        if name.startswith(_SHIFT):
            add_shift(self.net, frames)

    @property
    def stem(self) -> tuple[nn.Module, ...]:
        """What comes before the first stage, in order."""
        net = self.net
        if isinstance(net, ResNet):
            return net.conv1, net.bn1, net.relu, net.maxpool
        return (net.stem,)

    @property
    def stages(self) -> tuple[nn.Sequential, ...]:
        """The four stages (spec/spectrum.md 1.3)."""
        net = self.net
        if isinstance(net, MobileNetV2):
            return net.stages
        return net.layer1, net.layer2, net.layer3, net.layer4

    @property
    def head(self) -> nn.Module:
        """From embeddings (B, d) to logits (B, K); of a MobileNetV2 with its dropout."""
        return self.net.classifier if isinstance(self.net, MobileNetV2) else self.net.fc

    @property
    def stage_widths(self) -> tuple[int, ...]:
        """Channels that leave each stage: those of its last normalisation."""
        norms = nn.BatchNorm2d | nn.BatchNorm3d
        return tuple(
            [m.num_features for m in stage.modules() if isinstance(m, norms)][-1]
            for stage in self.stages
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(B, K)``."""
        return self.taps(x, keep=0).logits

    def taps(self, x: Tensor, *, keep: int = STAGES) -> Taps:
        """Return what the network says, with the maps of its last ``keep`` stages.

        The mean over frames of a linear layer is that of the mean embedding, so consensus over
        frames needs no step of its own.
        """
        if self.background == "subtract":
            x = x - x.mean(1, keepdim=True)
        y = x.flatten(0, 1) if self.flat else x.transpose(1, 2)
        for part in self.stem:
            y = part(y)
        maps = []
        for number, stage in enumerate(self.stages, 1):
            y = stage(y)
            if number > STAGES - keep:
                maps.append(self._as_clip(y, len(x)))
        embedding = self._as_clip(y, len(x)).mean((2, 3, 4))
        return Taps(self.head(embedding), embedding, tuple(maps))

    def _as_clip(self, y: Tensor, clips: int) -> Tensor:
        """Return maps as (B, C, T, H, W)."""
        return y.unflatten(0, (clips, -1)).transpose(1, 2) if self.flat else y

    def extra_repr(self) -> str:
        """Name what is done to the input: part of what tells one network from another."""
        return "" if self.background == "keep" else f"background={self.background}"


def build_video(
    name: str, *, width: int, classes: int, frames: int, seed: int, background: str = "keep"
) -> VideoNet:
    """Return a network whose initial weights depend on ``seed`` and its shape alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        about = {"classes": classes, "frames": frames, "background": background}
        return VideoNet(name, width=width, **about)
