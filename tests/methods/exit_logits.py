"""Drawn logits of 12 exits: networks that know different things, exits that know more and more."""

import torch

QUALITY = (0.8, 1.2, 1.7, 2.2, 0.6, 0.9, 1.2, 1.6, 1.0, 1.6, 2.2, 3.0)
PER_NETWORK = {"residual": (10, 18, 25, 30), "mv": (10, 18, 25, 29), "iframe": (13, 33, 65, 74)}


def drawn(clips: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (12, N, K) and labels (N,); exits of a network share part of their noise."""
    noise = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (clips,), generator=noise)
    truth = torch.nn.functional.one_hot(labels, classes)
    shared = torch.randn(3, clips, classes, generator=noise).repeat_interleave(4, 0)
    own = torch.randn(12, clips, classes, generator=noise)
    return torch.tensor(QUALITY)[:, None, None] * truth + 0.8 * shared + 0.7 * own, labels
