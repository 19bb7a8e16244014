"""A student of spectra on the clips of ``said``, and what its teacher says of them."""

import torch
from said import FRAMES, SIDE, B, K, batch_of, drawn
from torch import Tensor, nn

from redistill.methods.collaboration import Collaboration
from redistill.nets.follower import Follower, build_follower
from redistill.nets.video import VideoNet, build_video
from redistill.optim import make_optimizer
from redistill.phase import Objective, Phase
from redistill.predict import settle
from redistill.taught_feed import TaughtBatch

FIXED = Collaboration(mode="fixed")
ALONE = Collaboration(mode="fixed", lambda_p=0.0)
KERNELS = Collaboration(mode="fixed", lambda_f=0.0)
PHASE = Phase(name="x", steps=9, batch=B, lr=1e-2, weight_decay=0.05, seed=0)


def build(width: int, seed: int) -> VideoNet:
    return build_video("shift10", width=width, classes=K, frames=FRAMES, seed=seed)


def above() -> VideoNet:
    return settle(build(3, 7))


def clips(seed: int = 4) -> Tensor:
    return drawn(B, FRAMES, 3, SIDE, SIDE, seed=seed)


def follower_of(teacher: VideoNet | None = None, *, keep: int = 1, **how: bool) -> Follower:
    return build_follower(build(2, 0), teacher or above(), keep=keep, seed=0, **how).train()


def lesson(*, keep: int = 1) -> TaughtBatch:
    with torch.no_grad():
        return batch_of([above().taps(clips(), keep=keep)])


def step(
    module: nn.Module, loss: Objective, batch: TaughtBatch, steps: int = 1
) -> dict[str, Tensor]:
    optimizer = make_optimizer(PHASE, module)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(module(clips()), batch, 0.5).backward()
        optimizer.step()
    return {name: x.clone() for name, x in module.net.state_dict().items()}
