"""Crops and flips, the same for all frames of a clip (spec 1.5)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import interpolate

SHARED_SCALES = (1.0, 0.875, 0.75)
"""Those that all three modalities have: used where they share one crop."""
SCALES = {
    "iframe": (*SHARED_SCALES, 0.66),
    "mv": SHARED_SCALES,
    "residual": SHARED_SCALES,
    "rgb": SHARED_SCALES,
}
SNAP = 3


@dataclass(frozen=True)
class View:
    """A window of the picture, in pixels, and whether it is mirrored."""

    left: int
    top: int
    width: int
    height: int
    mirrored: bool = False


def draw_view(
    rng: np.random.Generator, width: int, height: int, *, size: int, scales: tuple, flip: bool
) -> View:
    """Draw a multi-scale crop and a flip for training.

    Args:
        rng: generator of this item.
        width: of the picture, in pixels.
        height: of the picture.
        size: side of the network's input.
        scales: sides to choose from, as shares of the shorter side of the picture.
        flip: whether to mirror every second item.
    """
    base = min(width, height)
    sides = [int(base * scale) for scale in scales]
    # A side within 3 pixels of the target is the target: no resampling for nothing.
    sides = [size if abs(side - size) < SNAP and size <= base else side for side in sides]
    pairs = [(w, h) for i, w in enumerate(sides) for j, h in enumerate(sides) if abs(i - j) <= 1]
    w, h = pairs[rng.integers(len(pairs))]
    left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    return View(left, top, w, h, mirrored=bool(rng.random() < 0.5) and flip)


def apply_view(x: torch.Tensor, view: View, *, size: int, modality: str) -> torch.Tensor:
    """Crop, resize to ``size`` and mirror.

    Args:
        x: uint8 (S, C, H, W) in the integer stage.
        view: the window.
        size: side of the result.
        modality: mirrored motion also turns its x component round (about 128).

    Returns:
        uint8 (S, C, size, size).
    """
    window = x[..., view.top : view.top + view.height, view.left : view.left + view.width]
    out = resize(window, size)
    if not view.mirrored:
        return out
    out = out.flip(-1)
    if modality == "mv":
        out[:, 0] = (256 - out[:, 0].to(torch.int16)).clamp(max=255).to(torch.uint8)
    return out


def centre_view(x: torch.Tensor, *, size: int) -> torch.Tensor:
    """Return the test view: squash to a square 256/224 of ``size``, take the centre.

    Args:
        x: uint8 (S, C, H, W).
        size: side of the result.

    Returns:
        uint8 (S, C, size, size).
    """
    whole = resize(x, full_side(size))
    edge = (whole.shape[-1] - size) // 2
    return whole[..., edge : edge + size, edge : edge + size]


def full_side(size: int) -> int:
    """Return the short side of the picture from which the centre of side ``size`` is cut."""
    return round(size * 256 / 224)


def third_view(x: torch.Tensor, which: int, *, size: int) -> torch.Tensor:
    """Return one of three square crops that cover a picture, as TSM's accurate protocol takes them.

    The short side is scaled to E = 256/224 of ``size`` with the aspect kept; the crops of side E
    lie at the start, in the middle and at the end of the longer side (spec/spectrum.md 7).

    Args:
        x: uint8 (S, C, H, W).
        which: 0, 1, 2.
        size: side of the network's input in training.

    Returns:
        uint8 (S, C, E, E).
    """
    side, (height, width) = full_side(size), x.shape[-2:]
    scale = side / min(height, width)
    whole = resize(x, round(height * scale), round(width * scale))
    rows, columns = whole.shape[-2:]
    top, left = ((length - side) * which // 2 for length in (rows, columns))
    return whole[..., top : top + side, left : left + side]


def resize(x: torch.Tensor, height: int, width: int | None = None) -> torch.Tensor:
    """Resize uint8 (S, C, H, W), bilinearly, without antialiasing; to a square without a width."""
    goal = height, width or height
    if x.shape[-2:] == goal:
        return x
    out = interpolate(x.float(), goal, mode="bilinear", align_corners=False)
    return out.round().clamp(0, 255).to(torch.uint8)
