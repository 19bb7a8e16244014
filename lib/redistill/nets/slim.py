"""Residual networks over space and time, of any width; at width 64 they are torchvision's.

torchvision fixes the widths of its ``r3d_18`` and ``r2plus1d_18`` at 64, 128, 256, 512.  Cascades
need narrower ones of the same kind, so this file lays torchvision's own blocks out at ``width *
2**stage``, as ``nets/resnet.py`` does in two dimensions.  The module names are torchvision's
(``stem``, ``layer1`` ... ``fc``): a state dict of one loads into the other at width 64.

Source: Tran et al. 2018 (arXiv:1711.11248); spec/substage.md 7.2.
"""

from torch import Tensor, nn

from redistill.errors import ConfigError
from redistill.nets.torchvision_ops import torchvision

_published = torchvision.models.video.resnet

PUBLISHED_WIDTH = 64
CONVOLUTIONS = {"r3d_18": _published.Conv3DSimple, "r2plus1d_18": _published.Conv2Plus1D}
_STAGES = 4
_STEM_PLANES = 45  # between the two convolutions of the (2+1)D stem, at the published width


class VideoResNet(nn.Module):
    """A ResNet-18 over clips with ``width`` channels in its first stage.

    Args:
        name: ``r3d_18`` (3 x 3 x 3 convolutions) or ``r2plus1d_18`` (each split into one over
            space and one over time).
        width: channels of the first stage, at least 1; 64 is the published width.
        classes: size of the output.

    Attributes:
        name: as given.
        width: as given.

    Shapes:
        ``(B, 3, T, H, W)`` float to logits ``(B, classes)``.

    Raises:
        ConfigError: another name, or no channels.
    """

    def __init__(self, name: str, *, width: int, classes: int) -> None:
        super().__init__()
        if name not in CONVOLUTIONS:
            raise ConfigError(f"no video network {name!r}; choose one of {sorted(CONVOLUTIONS)}")
        if width < 1:
            raise ConfigError(f"width = {width}: {name} needs at least 1 channel")
        self.name, self.width = name, width
        self.stem = _stem(width) if name == "r3d_18" else _split_stem(width)
        wide = width
        for stage in range(_STAGES):
            planes = width * 2**stage
            layer = _stage(CONVOLUTIONS[name], wide, planes, stride=1 if stage == 0 else 2)
            setattr(self, f"layer{stage + 1}", layer)
            wide = planes
        self.fc = nn.Linear(wide, classes)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(B, classes)`` of ``x (B, 3, T, H, W)``."""
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(x.mean((2, 3, 4)))  # adaptive pooling is not deterministic on CUDA


def _stem(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(3, width, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
    )


def _split_stem(width: int) -> nn.Sequential:
    """Return the stem of R(2+1)D: first over space, then over time."""
    inner = max(1, _STEM_PLANES * width // PUBLISHED_WIDTH)
    return nn.Sequential(
        nn.Conv3d(3, inner, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False),
        nn.BatchNorm3d(inner),
        nn.ReLU(inplace=True),
        nn.Conv3d(inner, width, (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
    )


def _stage(convolution: type[nn.Module], wide: int, planes: int, *, stride: int) -> nn.Sequential:
    """Return two blocks; the first halves T, H and W if ``stride`` is 2."""
    shortcut = None
    if stride != 1:
        shortcut = nn.Sequential(
            nn.Conv3d(wide, planes, 1, stride=stride, bias=False), nn.BatchNorm3d(planes)
        )
    # The inner planes of (2+1)D are the block's own doing; they grow in proportion to its widths.
    first = _published.BasicBlock(wide, planes, convolution, stride, shortcut)
    return nn.Sequential(first, _published.BasicBlock(planes, planes, convolution))


def _initialise(module: nn.Module) -> None:
    """As torchvision's VideoResNet does it; BatchNorm starts so by itself."""
    if isinstance(module, nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0, 0.01)
        nn.init.zeros_(module.bias)
