"""Time a surface against the forward passes it cannot do without: CPU time, one thread.

A surface of 21 x 21 points is 441 passes over the clips; all else (writing the weights, the loss,
keeping the rows on disk, giving the network back) is overhead.  The bare passes are run inside the
criterion, one after each point: turns so short that both meet the same machine.  Run by
``make bench``; exits with 1 when the surface takes more than its share.
"""

import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from redistill.curvature.loss import Loss
from redistill.landscape import filter_direction, surface
from redistill.nets.streams import build_stream

LIMIT = 1.1  # times the forward passes
SIDE = 21  # points along each direction
CLIPS, SIZE, CLASSES = 64, 56, 12


class Timed:
    """Cross-entropy, with a bare pass over the clips whose time is kept apart."""

    def __init__(self, net: nn.Module, clips: Tensor) -> None:
        self.net, self.clips, self.passes, self.seconds = net, clips, 0, 0.0

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch."""
        start = time.process_time()
        self.net(self.clips)
        self.seconds += time.process_time() - start
        self.passes += 1
        return F.cross_entropy(logits, labels)


def measure() -> tuple[float, float, int]:
    """Return CPU seconds of a surface, of as many bare passes, and how many they were."""
    net = build_stream("iframe", depth=18, width=16, classes=CLASSES, seed=0).eval()
    clips, labels = torch.randn(CLIPS, 1, 3, SIZE, SIZE), torch.arange(CLIPS) % CLASSES
    timed, steps = Timed(net, clips), torch.linspace(-1, 1, SIDE).tolist()
    loss = Loss(net=net, batches=[(clips, labels)], criterion=timed)
    ways = [filter_direction(loss, seed=s) for s in (0, 1)]
    surface(loss, ways, a=steps[:2], b=steps)  # warm
    timed.passes, timed.seconds = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        surface(loss, ways, a=steps, b=steps, folder=Path(folder))
        spent = time.process_time() - start
    return spent - timed.seconds, timed.seconds, timed.passes


def main() -> int:
    """Print what a surface costs in forward passes; return 1 if it is more than the limit."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    whole, bare, count = measure()
    print(f"{SIDE} x {SIDE} surface of a width-16 ResNet-18, {CLIPS} x {SIZE} px, CPU seconds:")
    print(f"    surface {whole:.2f}, {count} forward passes {bare:.2f}")
    print(f"    surface / passes: {whole / bare:.3f}  at most {LIMIT}")
    return int(whole / bare > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
