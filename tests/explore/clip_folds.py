"""Small clips, and drawn logits of 12 exits for them; and all sums the slow way."""

import math

import numpy as np
import torch

from redistill.exit_scores import FoldExits
from redistill.video import encode_mpeg4
from redistill.video.splits import Clip

CLASSES = ("walking", "running", "waving")
ORDER = ("residual", "mv", "iframe")
NAMES = [f"{name} {n}" for name in ("residual", "motion", "I-frame") for n in (1, 2, 3, 4)]
MACS = {"residual": (10, 20, 30, 40), "mv": (11, 22, 33, 44), "iframe": (50, 100, 150, 200)}


def encode(path, frames, width=64, height=48, gop=12):
    """Write a picture that moves right by 3 pixels a frame, with a square that moves otherwise."""
    rng = np.random.default_rng(frames)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 2, 3)).astype(np.uint8)
    wide = coarse.repeat(8, 0).repeat(8, 1)
    pictures = []
    for t in range(frames):
        x = 3 * (frames - t)
        picture = wide[:height, x : x + width].copy()
        y = 2 + 4 * t % (height - 14)
        picture[y : y + 12, 8:20] = rng.integers(0, 256, (12, 12, 3))
        pictures.append(picture)
    encode_mpeg4(path, iter(pictures), gop=gop)
    return path


def files(folder):
    """Three clips: of GOPs of 12, 12 and 1; of 5 frames; of one frame and another size."""
    return [
        encode(folder / "long.avi", 25),
        encode(folder / "short.avi", 5),
        encode(folder / "single.avi", 1, width=80, height=64),
    ]


def drawn_logits(labels, seed):
    """Logits (12, N, 3) that know more and more."""
    rng = np.random.default_rng(seed)
    truth = np.eye(3)[labels]
    quality = np.linspace(0.3, 2.5, 12)[:, None, None]
    return torch.tensor(
        quality * truth + rng.normal(size=(12, len(labels), 3)), dtype=torch.float32
    )


def fold_of(number, clips, seed):
    """A fold with so many test clips and 40 validation clips."""
    rng = np.random.default_rng(seed)
    logits, labels = {}, {}
    for split, count in (("val", 40), ("test", clips)):
        truth = rng.integers(0, 3, count)
        logits[split] = {
            "pkd": dict(zip(ORDER, drawn_logits(truth, seed + count).split(4), strict=True))
        }
        labels[split] = torch.tensor(truth)
    return FoldExits(number, logits, labels, MACS, 230)


def clips_of(fold, paths):
    """The test clips of a fold, labels sealed; three files serve for all."""
    return [
        Clip(f"f{fold.fold}/clip{n}", paths[n % 3], -1, "g")
        for n in range(len(fold.labels["test"]))
    ]


def slow_scores(fold, weights, n):
    """u of test clip n after each exit, by two loops; (12, 3)."""
    logits = torch.cat([fold.logits["test"]["pkd"][m] for m in ORDER])[:, n].tolist()
    return [
        [sum(weights[k][j] * logits[j][c] for j in range(k + 1)) for c in range(3)]
        for k in range(12)
    ]


def slow_share(scores):
    """Softmax of a few numbers."""
    powers = [math.exp(u - max(scores)) for u in scores]
    return [power / sum(powers) for power in powers]


def slow_exit(scores, threshold):
    """The first exit, from 0, that is surer than the threshold, or the last."""
    sure = [max(slow_share(row)) for row in scores]
    return next((k for k in range(11) if sure[k] > threshold), 11)
