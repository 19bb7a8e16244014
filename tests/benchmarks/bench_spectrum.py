"""Time both spectrum losses against a whole step of training: CPU time, one thread, in turns.

A loss is timed forward and backward, down to the maps and kernels it reads, the map of channels
included.  A step is the teacher's forward (of the small pair: none, its features are at hand), the
student's forward and backward with these losses and that of the labels, and SGD.  Run by
``make bench``; exits with 1 when the losses of the published pair take more than their share.  Of
the small pair it is told only: its step has next to nothing else to do.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from redistill.losses.spectrum.feature import FeatureSpectrum
from redistill.losses.spectrum.parameter import ParameterSpectrum
from redistill.nets.kernels import stage_kernels
from redistill.nets.video import VideoNet, build_video

LIMITS = {"published": 0.03}  # of a step
FRAMES, CLASSES = 8, 10


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A teacher and its student, by name and width, and what they are shown."""

    teacher: tuple[str, int]
    student: tuple[str, int]
    size: int
    batch: int
    cached: bool  # the teacher's features are at hand
    repeats: int


PAIRS = {
    "published": Pair(
        teacher=("shift50", 64), student=("shift_mobilenet_v2", 64),
        size=224, batch=2, cached=False, repeats=5,
    ),
    "small": Pair(
        teacher=("shift10", 16), student=("shift10", 4),
        size=56, batch=32, cached=True, repeats=15,
    ),
}  # fmt: skip


class Bench:
    """A pair with noise for clips, and the two things that are timed."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.teacher = _network(pair.teacher).eval()
        self.student = _network(pair.student).train()
        widths = self.student.stage_widths[-1], self.teacher.stage_widths[-1]
        self.project = nn.Linear(*widths, bias=False)
        self.clips = torch.randn(pair.batch, FRAMES, 3, pair.size, pair.size)
        self.labels = torch.arange(pair.batch) % CLASSES
        self.given = self._given()
        self.maps = torch.rand(pair.batch, widths[0], *self.given.shape[2:], requires_grad=True)
        self.modules = [*self.student.parameters(), *self.project.parameters()]
        self.optimizer = torch.optim.SGD(self.modules, lr=0.01, momentum=0.9)

    def _given(self) -> Tensor:
        with torch.no_grad():
            return self.teacher.taps(self.clips, keep=1).maps[0]

    def feature(self) -> None:
        """Run the loss of the features."""
        FeatureSpectrum()(self.maps, self.given, self.project).backward()

    def parameter(self) -> None:
        """Run the loss of the kernels."""
        self._kernels().backward()

    def _kernels(self) -> Tensor:
        return ParameterSpectrum()(stage_kernels(self.student), stage_kernels(self.teacher))

    def step(self) -> None:
        """Run a step of training."""
        given = self.given if self.pair.cached else self._given()
        taps = self.student.taps(self.clips, keep=1)
        loss = F.cross_entropy(taps.logits, self.labels)
        loss = loss + FeatureSpectrum()(taps.maps[0], given, self.project) / 2
        loss = loss + self._kernels() / 2
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


def _network(kind: tuple[str, int]) -> VideoNet:
    return build_video(kind[0], width=kind[1], classes=CLASSES, frames=FRAMES, seed=0)


def measure(bench: Bench) -> dict[str, list[float]]:
    """Return CPU seconds of each thing timed, in turns after one turn to warm up."""
    tasks: dict[str, Callable[[], None]] = {
        "feature": bench.feature, "parameter": bench.parameter, "step": bench.step,
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(bench.pair.repeats + 1):
        for name, task in tasks.items():
            start = time.process_time()
            task()
            times[name].append(time.process_time() - start)
    return {name: each[1:] for name, each in times.items()}


def main() -> int:
    """Print what both losses cost of a step; return 1 if it is more than the limit."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    broken = []
    for name, pair in PAIRS.items():
        times = measure(Bench(pair))
        print(f"{name}: {pair.teacher} teaches {pair.student}, {pair.batch} x {pair.size} px")
        for part, each in times.items():
            least, middle = 1000 * min(each), 1000 * statistics.median(each)
            print(f"    {part:9} CPU ms: least {least:9.2f}, median {middle:9.2f}")
        shares = [
            (of(times["feature"]) + of(times["parameter"])) / of(times["step"])
            for of in (min, statistics.median)
        ]
        limit = LIMITS.get(name)
        print(f"    both losses / step: least {shares[0]:.2%}, median {shares[1]:.2%}", end="")
        print(f"  at most {limit:.0%}" if limit else "")
        broken += [name] if limit and shares[1] > limit else []
    if broken:
        print(f"broken: {', '.join(broken)}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
