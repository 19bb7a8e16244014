"""What networks might say of a batch, and an edge below them."""

import torch
from torch.nn import functional as F

from redistill.methods.edge_loss import EdgeLoss
from redistill.nets.edge import Edge, Learner, Widths, build_edge
from redistill.nets.video import Taps, build_video
from redistill.taught_feed import TaughtBatch

B, K, FRAMES, SIDE = 13, 3, 2, 32
KEEP = 2


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def said(width, seed) -> Taps:
    """What a network of some width might say of B clips, its last two stages kept."""
    maps = tuple(drawn(B, width * 2**k, FRAMES, 4 >> k - 2, 4 >> k - 2, seed=seed) for k in (2, 3))
    return Taps(2 * drawn(B, K, seed=seed), drawn(B, 8 * width, seed=seed).abs(), maps)


def batch_of(uppers=(), *, partner=None, labels=None, weights=None) -> TaughtBatch:
    q = torch.softmax(2 * drawn(B, K, seed=1), 1) if labels is None else labels
    return TaughtBatch(
        inputs=torch.zeros(B, FRAMES, 3, SIDE, SIDE, dtype=torch.uint8),
        modality="rgb",
        labels=q,
        weights=torch.rand(B, generator=torch.Generator().manual_seed(2))
        if weights is None
        else weights,
        negatives=drawn(B, K, seed=3) > 0.5,
        uppers=tuple(uppers),
        partner=partner,
        clips=tuple(map(str, range(B))),
    )


def edge_of(loss: EdgeLoss, uppers, *, width=2, seed=0) -> Edge:
    net = build_video("shift10", width=width, classes=K, frames=FRAMES, seed=seed)
    keep = KEEP if loss.maps else 0
    over = [
        Widths(tuple(x.shape[1] for x in u.maps) if keep else (), u.embedding.shape[1])
        for u in uppers
    ]
    return build_edge(net, over, keep=keep, uses=loss.uses, seed=seed).train()


def learner_of(loss: EdgeLoss, uppers, *, inputs=None, width=2) -> tuple[Edge, Learner]:
    edge = edge_of(loss, uppers, width=width)
    x = drawn(B, FRAMES, 3, SIDE, SIDE, seed=4) if inputs is None else inputs
    return edge, edge(x).float()


def one_hot(seed=5):
    labels = torch.randint(K, (B,), generator=torch.Generator().manual_seed(seed))
    return labels, F.one_hot(labels, K).float()
