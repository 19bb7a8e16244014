"""Colour jitter of I-frames in training (spec 1.5): a shift of hue, lightness and saturation.

The released code also jitters test frames, without a seed; here only training frames are.
"""

import numpy as np
import torch

HUE, LIGHTNESS, SATURATION = 36 / 180, 50 / 255, 50 / 255
"""Largest shifts, as shares of the circle of hues and of the ranges (OpenCV's 180 and 255)."""


def jitter(frames: torch.Tensor, rng: np.random.Generator, *, alike: bool = False) -> torch.Tensor:
    """Shift the colours of each frame by one draw of its own, or of all ``alike`` by one.

    Args:
        frames: uint8 (S, 3, h, w) RGB.
        rng: generator of this item.
        alike: one draw for all frames.

    Returns:
        uint8 (S, 3, h, w) RGB.
    """
    shifts = rng.uniform(-1, 1, (1 if alike else len(frames), 3)) * (HUE, LIGHTNESS, SATURATION)
    hue, lightness, saturation = torch.as_tensor(shifts, dtype=torch.float32).T[..., None, None]
    h, light, s = to_hls(frames.float() / 255)
    rgb = to_rgb((h + hue) % 1, (light + lightness).clamp(0, 1), (s + saturation).clamp(0, 1))
    return (rgb * 255).round().to(torch.uint8)


def to_hls(rgb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return hue, lightness and saturation (S, h, w), all in [0, 1], of RGB (S, 3, h, w)."""
    high, low = rgb.amax(1), rgb.amin(1)
    spread, light = high - low, (high + low) / 2
    r, g, b = rgb.unbind(1)
    safe = torch.where(spread > 0, spread, 1)
    sector = torch.where(
        high == r, (g - b) / safe, torch.where(high == g, 2 + (b - r) / safe, 4 + (r - g) / safe)
    )
    hue = torch.where(spread > 0, sector / 6 % 1, 0)
    room = 1 - (2 * light - 1).abs()
    return hue, light, torch.where(room > 0, spread / torch.where(room > 0, room, 1), 0).clamp(0, 1)


def to_rgb(hue: torch.Tensor, light: torch.Tensor, saturation: torch.Tensor) -> torch.Tensor:
    """Return RGB (S, 3, h, w) in [0, 1] of hue, lightness and saturation (S, h, w)."""
    reach = saturation * torch.minimum(light, 1 - light)
    places = [(shift + 12 * hue) % 12 for shift in (0, 8, 4)]
    waves = [torch.minimum(k - 3, 9 - k).clamp(-1, 1) for k in places]
    return torch.stack([light - reach * wave for wave in waves], 1)
