"""A ResNet of any width; at width 64 it is torchvision's, name for name and number for number.

torchvision fixes the widths of its ResNets at 64, 128, 256, 512.  Students, assistants and quick
runs need narrower ones, so this file lays torchvision's own blocks out at ``width * 2**stage``.
The module names are torchvision's (``conv1``, ``layer1`` ... ``fc``): a stage is reached by the
same path in either, and a state dict of one loads into the other where the widths agree.
"""

from torch import Tensor, nn

from redistill.errors import ConfigError
from redistill.nets.torchvision_ops import torchvision

BasicBlock = torchvision.models.resnet.BasicBlock
Bottleneck = torchvision.models.resnet.Bottleneck

LAYOUTS = {
    10: (BasicBlock, (1, 1, 1, 1)),
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(nn.Module):
    """Post-activation ResNet (He et al. 2016) with ``width`` channels in its first stage.

    Args:
        depth: 10, 18, 34, 50, 101 or 152 layers.
        width: channels of the first stage; 64 is the published width.
        channels: channels of the input, 3 for RGB, 2 for motion.
        classes: size of the output.

    Shapes:
        ``(B, channels, H, W)`` float to logits ``(B, classes)``.
    """

    def __init__(self, depth: int, *, width: int, channels: int, classes: int) -> None:
        super().__init__()
        if depth not in LAYOUTS:
            raise ConfigError(f"no ResNet of depth {depth}; choose one of {sorted(LAYOUTS)}")
        block, counts = LAYOUTS[depth]
        self.conv1 = nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        wide = width
        for stage, count in enumerate(counts):
            planes = width * 2**stage
            layer, wide = _stage(block, wide, planes, count, stride=1 if stage == 0 else 2)
            setattr(self, f"layer{stage + 1}", layer)
        self.fc = nn.Linear(wide, classes)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(B, classes)`` of ``x (B, channels, H, W)``."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))  # adaptive pooling has no deterministic backward on CUDA


def _stage(
    block: type[nn.Module], wide: int, planes: int, count: int, *, stride: int
) -> tuple[nn.Sequential, int]:
    """Return one stage and the channels that leave it."""
    out = planes * block.expansion
    shortcut = None
    if stride != 1 or wide != out:
        shortcut = nn.Sequential(
            nn.Conv2d(wide, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out)
        )
    # A Bottleneck takes its inner width from planes alone (base_width 64 means "as planes").
    blocks = [block(wide, planes, stride, shortcut)]
    blocks += [block(out, planes) for _ in range(count - 1)]
    return nn.Sequential(*blocks), out


def _initialise(module: nn.Module) -> None:
    """He initialisation of convolutions, as torchvision's ResNet does it."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
