"""The three networks of compressed video: one stream for each modality.

Source: spec/progressive.md 2.1 (CoViAR).  The I-frame stream is a plain ResNet on RGB; the motion
and residual streams put a BatchNorm before the first convolution, because the value ranges of
those inputs are far from those of pictures, and motion has two channels.
"""

import torch
from torch import Tensor, nn

from redistill.modality import CHANNELS, MODALITIES, check_modality
from redistill.nets.resnet import ResNet


class Stream(nn.Module):
    """A ResNet over the segments of one modality; the clip's score is the mean of its logits.

    Shapes:
        ``(B, S, C, H, W)`` float, scaled by ``redistill.video.clips.scale``, to logits ``(B, K)``.
    """

    def __init__(self, modality: str, *, depth: int, width: int, classes: int) -> None:
        super().__init__()
        channels = CHANNELS[check_modality(modality)]
        self.modality = modality
        self.data_bn = nn.Identity() if modality == "iframe" else nn.BatchNorm2d(channels)
        self.net = ResNet(depth, width=width, channels=channels, classes=classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return clip logits ``(B, K)``: the mean over the S segments (spec 1.6)."""
        batch, segments = x.shape[:2]
        logits = self.net(self.data_bn(x.flatten(0, 1)))
        return logits.unflatten(0, (batch, segments)).mean(1)


def build_stream(modality: str, *, depth: int, width: int, classes: int, seed: int) -> Stream:
    """Return a stream whose initial weights depend on ``seed`` and ``modality`` alone.

    The global generator is put back afterwards, so building one network never changes another.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed * len(MODALITIES) + MODALITIES.index(modality))
        return Stream(modality, depth=depth, width=width, classes=classes)
