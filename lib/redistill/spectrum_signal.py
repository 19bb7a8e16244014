"""A signal of a video that anybody can follow: the brightness of the patch that changes most."""

from pathlib import Path

import numpy as np

from redistill.modality import RGB
from redistill.video.gop import load_clip
from redistill.video.sampling import grid_positions

PATCH = 8  # pixels


def brightness(path: Path | str, *, frames: int = 48) -> np.ndarray:
    """Return the brightness of one patch of 8 x 8 pixels over time, its mean left out, (T,).

    Args:
        path: a video, or a folder of frames.
        frames: T, on a uniform grid over the whole clip; 48 are all of a synthetic one.

    Raises:
        VideoError: the file cannot be used.
    """
    clip = load_clip(
        path, modalities=(RGB,), sample=lambda n: {RGB: grid_positions(n, frames=frames)}
    )
    light = clip[RGB].astype(np.float64).mean(-1)
    height, width = (side // PATCH for side in light.shape[1:])
    patches = light[:, : height * PATCH, : width * PATCH]
    patches = (
        patches.reshape(len(light), height, PATCH, width, PATCH)
        .mean((2, 4))
        .reshape(len(light), -1)
    )
    signal = patches[:, patches.var(0).argmax()]
    return signal - signal.mean()
