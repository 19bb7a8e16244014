"""A MobileNetV2 of any width; at width 64 it is torchvision's, name for name and number for number.

torchvision's own class takes a width multiplier, so nothing is laid out anew here: ``width / 64``
of the published channels, in multiples of 8 and never fewer, 1280 before the classifier at any
width below the published one.  What is added is where its four stages begin and end.

Source: Sandler et al. 2018 (arXiv:1801.04381); spec/spectrum.md 1.3.
"""

from torch import Tensor, nn

from redistill.errors import ConfigError
from redistill.nets.slim import PUBLISHED_WIDTH
from redistill.nets.torchvision_ops import torchvision

InvertedResidual = torchvision.models.mobilenetv2.InvertedResidual

_STEM = slice(0, 2)  # to half the size
_STAGES = slice(2, 4), slice(4, 7), slice(7, 14), slice(14, 19)  # to 1/4, 1/8, 1/16, 1/32 of it


class MobileNetV2(nn.Module):
    """Inverted residuals over pictures (Sandler et al. 2018) of any width.

    The last stage ends after the 1 x 1 convolution and its ReLU6, so that the classifier reads the
    mean of the last map.

    Args:
        width: 64 is the published width.
        classes: size of the output.

    Attributes:
        width: as given.

    Shapes:
        ``(B, 3, H, W)`` float to logits ``(B, classes)``.

    Raises:
        ConfigError: no channels.
    """

    def __init__(self, *, width: int, classes: int) -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"width = {width}: a MobileNetV2 needs at least 1")
        published = torchvision.models.mobilenetv2.MobileNetV2
        net = published(num_classes=classes, width_mult=width / PUBLISHED_WIDTH)
        self.width = width
        self.features, self.classifier = net.features, net.classifier

    @property
    def stem(self) -> nn.Sequential:
        """What comes before the first stage."""
        return self.features[_STEM]

    @property
    def stages(self) -> tuple[nn.Sequential, ...]:
        """The four stages, each module under its number in ``features``."""
        return tuple(self.features[part] for part in _STAGES)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(B, classes)`` of ``x (B, 3, H, W)``."""
        return self.classifier(self.features(x).mean((2, 3)))
