"""Clips of which one can tell from a batch which clip and view stands in it, and edges below."""

import numpy as np
import torch

from redistill.feed import Feed
from redistill.methods.edge_loss import EdgeLoss
from redistill.nets.edge import Edge, build_edge, widths
from redistill.nets.video import Taps, build_video
from redistill.phase import Phase
from redistill.taught_feed import TaughtFeed, say

CLIPS, CLASSES, FRAMES, SIDE, VIEWS = 12, 3, 4, 32, 2
PHASE = Phase(name="edge", steps=6, batch=12, lr=1e-2, weight_decay=0.05, seed=0)

# Edges that keep something between steps besides the network.
EDGES = {
    "adapters": EdgeLoss(ce=0.5, terms=(("norm_mse", 1.0), ("gauss", 0.1)), rho=0.1),
    "queue": EdgeLoss(ce=0.5, terms=(("gauss_class", 0.5),)),
    "noise": EdgeLoss(ce=0.5, terms=(("kd", 0.5),), weighting="uncertainty"),
    "lines": EdgeLoss(ce=0.5, terms=(("swd", 0.5),)),
    "review": EdgeLoss(ce=0.5, terms=(("reviewkd", 0.5),)),
    "all": EdgeLoss(
        ce=0.5,
        terms=(("norm_mse", 1.0), ("gauss_class", 0.5), ("swd", 0.1)),
        weighting="uncertainty",
    ),
}


def pictures(views: int = VIEWS) -> Feed:
    """Noise; the first pixel of each frame names clip and view."""
    shape = (views, CLIPS, FRAMES, 3, SIDE, SIDE)
    inputs = torch.as_tensor(np.random.default_rng(0).integers(0, 200, shape)).to(torch.uint8)
    for view in range(views):
        for clip in range(CLIPS):
            inputs[view, clip, ..., 0, 0] = 20 * view + clip
    labels = torch.arange(CLIPS) % CLASSES
    inputs[..., 1:, :] += (15 * labels).to(torch.uint8).view(1, -1, 1, 1, 1, 1)
    names = tuple(f"clip{i:02d}" for i in range(CLIPS))
    return Feed(views=inputs, modality="rgb", labels=labels, clips=names, manifest="drawn")


def named_bank(views: int = VIEWS, *, of: float = 0.0) -> Taps:
    """What a network says, each number naming view and clip."""
    number = 100 * torch.arange(views)[:, None] + torch.arange(CLIPS)[None] + of
    number = number.float()
    return Taps(
        number[..., None].expand(-1, -1, CLASSES).contiguous(),
        number[..., None].expand(-1, -1, 5).contiguous(),
        (number.view(views, CLIPS, 1, 1, 1, 1).expand(-1, -1, 2, 2, 2, 2).contiguous(),),
    )


def taught_feed(**changes: object) -> TaughtFeed:
    draw = torch.Generator().manual_seed(0)
    whole = {
        "feed": pictures(),
        "labels": torch.rand(CLIPS, CLASSES, generator=draw).softmax(1),
        "weights": torch.rand(CLIPS, generator=draw),
        "negatives": torch.rand(CLIPS, CLASSES, generator=draw) > 0.7,
        "pool": torch.arange(CLIPS),
        "trusted": torch.tensor([0, 5, 7]),
        "trusted_share": 0.25,
    }
    return TaughtFeed(**whole | changes)


def edge_and_feed(name: str) -> tuple[Edge, TaughtFeed, EdgeLoss]:
    """A student of width 2 below two networks of width 3."""
    loss = EDGES[name]
    keep = 2 if loss.maps else 0
    nets = [build_video("shift10", width=3, classes=CLASSES, frames=FRAMES, seed=s) for s in (7, 8)]
    feed = taught_feed()
    banks = tuple(say(net, feed.feed, device="cpu", keep=keep) for net in nets)
    own = build_video("shift10", width=2, classes=CLASSES, frames=FRAMES, seed=0)
    edge = build_edge(own, [widths(n, keep) for n in nets], keep=keep, uses=loss.uses, seed=0)
    return edge, taught_feed(uppers=banks), loss
