"""Networks over the RGB frames of a clip, of any width, and what they say at every stage.

Three kinds, by name: ``tsn10``, ``tsn18`` … are 2-D ResNets whose frames vote (segment consensus);
``shift10``, ``shift18`` … the same with a temporal shift; ``r3d_18`` and ``r2plus1d_18`` are
torchvision's 3-D networks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from redistill.errors import ConfigError
from redistill.nets.resnet import LAYOUTS, ResNet
from redistill.nets.shift import add_shift
from redistill.nets.slim import CONVOLUTIONS, VideoResNet

NETWORKS = (*(f"{kind}{depth}" for kind in ("shift", "tsn") for depth in LAYOUTS), *CONVOLUTIONS)
STAGES = 4
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

    Shapes:
        ``(B, T, 3, H, W)`` float to logits ``(B, K)``.
    """

    def __init__(self, name: str, *, width: int, classes: int, frames: int) -> None:
        super().__init__()
        if name not in NETWORKS:
            raise ConfigError(f"no video network {name!r}; choose one of {', '.join(NETWORKS)}")
        self.flat = name not in CONVOLUTIONS
        if not self.flat:
            self.net = VideoResNet(name, width=width, classes=classes)
            return
        depth = int(name.lstrip("shiftn"))
        self.net = ResNet(depth, width=width, channels=3, classes=classes)
        if name.startswith("shift"):
            add_shift(self.net, frames)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(B, K)``."""
        return self.taps(x, keep=0).logits

    def taps(self, x: Tensor, *, keep: int = STAGES) -> Taps:
        """Return what the network says, with the maps of its last ``keep`` stages.

        The mean over frames of a linear layer is that of the mean embedding, so consensus over
        frames needs no step of its own.
        """
        y = self._stem(x)
        maps = []
        for number in range(1, STAGES + 1):
            y = getattr(self.net, f"layer{number}")(y)
            if number > STAGES - keep:
                maps.append(self._as_clip(y, len(x)))
        embedding = self._as_clip(y, len(x)).mean((2, 3, 4))
        return Taps(self.net.fc(embedding), embedding, tuple(maps))

    def _stem(self, x: Tensor) -> Tensor:
        if not self.flat:
            return self.net.stem(x.transpose(1, 2))
        net = self.net
        return net.maxpool(net.relu(net.bn1(net.conv1(x.flatten(0, 1)))))

    def _as_clip(self, y: Tensor, clips: int) -> Tensor:
        """Return maps as (B, C, T, H, W)."""
        return y.unflatten(0, (clips, -1)).transpose(1, 2) if self.flat else y


def build_video(name: str, *, width: int, classes: int, frames: int, seed: int) -> VideoNet:
    """Return a network whose initial weights depend on ``seed`` and its shape alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return VideoNet(name, width=width, classes=classes, frames=frames)
