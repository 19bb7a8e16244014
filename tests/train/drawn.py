"""Pictures without video."""

import numpy as np
import torch

from redistill.feed import Feed


def drawn_feed() -> Feed:
    """Noise with a class-dependent brightness, two views: learnable in a few steps."""
    labels = torch.arange(21) % 3
    noise = np.random.default_rng(0).integers(0, 60, (2, 21, 2, 2, 16, 16))
    views = torch.as_tensor(noise) + 60 * labels.view(1, -1, 1, 1, 1, 1)
    return Feed(
        views=views.to(torch.uint8),
        modality="mv",
        labels=labels,
        clips=tuple(f"clip{i:02d}" for i in range(21)),
        manifest="drawn",
    )
