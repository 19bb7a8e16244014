r"""Temporal shift: a 2-D network that sees time, at no cost in multiplications.

Source: Lin, Gan, Han, *TSM*, ICCV 2019; spec/spectrum.md 1.2, spec/corrections.md 7.  Before the
first convolution of a residual block an eighth of the channels comes from the frame after, an
eighth from the frame before, the rest stays:

$$\tilde x_{t,c} = x_{t+1,c}\ (c < f), \quad x_{t-1,c}\ (f \le c < 2f), \quad x_{t,c}\ (c \ge 2f).$$

Frames outside the clip are zero.  The shortcut of the block is not shifted.
"""

import torch
from torch import Tensor, nn

from redistill.errors import ConfigError
from redistill.nets.mobilenet import InvertedResidual, MobileNetV2
from redistill.nets.resnet import ResNet

SHARE = 8  # one channel of so many goes each way
_DEEP = 23  # blocks in the third stage, from which on every second block is shifted


def shift(x: Tensor, frames: int, *, fold: int) -> Tensor:
    """Shift ``fold`` channels each way in time.

    Args:
        x: (B * T, C, H, W), the frames of a clip side by side.
        frames: T.
        fold: channels that go each way, at most C / 2.
    """
    clips = x.unflatten(0, (-1, frames))
    ahead, behind, rest = clips.split([fold, fold, x.shape[1] - 2 * fold], dim=2)
    none = torch.zeros_like(ahead[:, :1])
    ahead = torch.cat([ahead[:, 1:], none], dim=1)
    behind = torch.cat([none, behind[:, :-1]], dim=1)
    return torch.cat([ahead, behind, rest], dim=2).flatten(0, 1)


class ShiftedConv(nn.Module):
    """A convolution that sees its input shifted: ``(B * T, C, H, W)`` as the convolution takes it.

    An eighth of a narrow layer rounds to nothing and would silently remove time, so at least one
    channel goes each way.
    """

    def __init__(self, net: nn.Conv2d, frames: int) -> None:
        super().__init__()
        if net.in_channels < 2:
            raise ConfigError(
                f"a temporal shift needs 2 channels and this layer has {net.in_channels}; choose a "
                "width of at least 2"
            )
        self.net, self.frames, self.fold = net, frames, max(1, net.in_channels // SHARE)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of the shifted input."""
        return self.net(shift(x, self.frames, fold=self.fold))

    def extra_repr(self) -> str:
        """Name the frames and the channels that move."""
        return f"frames={self.frames}, fold={self.fold}"


def add_shift(net: ResNet | MobileNetV2, frames: int) -> None:
    """Shift the input of the first convolution of residual blocks, in place.

    In a ResNet of all, or of every second one of each stage if the third has 23 or more; in a
    MobileNetV2 of those with a shortcut and an expansion (spec 1.2).
    """
    if isinstance(net, MobileNetV2):
        for block in net.features:
            if isinstance(block, InvertedResidual) and _is_shifted(block):
                block.conv[0][0] = ShiftedConv(block.conv[0][0], frames)
        return
    step = 2 if len(net.layer3) >= _DEEP else 1
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        for block in stage[::step]:
            block.conv1 = ShiftedConv(block.conv1, frames)


def _is_shifted(block: InvertedResidual) -> bool:
    """Tell whether a block has a shortcut and begins with a 1 x 1 convolution, its expansion."""
    return block.use_res_connect and block.conv[0][0].kernel_size == (1, 1)
