"""A student of its teacher's spectra, with maps of channels, noise levels, the teacher's kernels.

All but the student itself is thrown away after training, so in use it costs what a plain one does.

Source: spec/spectrum.md 2.1 (step 2), 4.1 and 5.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from redistill.nets.kernels import stage_kernels
from redistill.nets.video import Taps, VideoNet

NOISES = ("labels", "features", "parameters")


@dataclass(frozen=True)
class Followed:
    """What a student says of a batch in training.

    Attributes:
        taps: its own; maps of the stages kept.
        project: for each map, a layer from its channels to the teacher's.
        kernels: its live kernels, by stage.
        given: the teacher's kernels, by stage.
        noise: logarithms of the variances of labels, features and parameters, (3,), learned.
        step: number of this step.
        upper: what the teacher says, where it learns too.
    """

    taps: Taps
    project: Sequence[nn.Module]
    kernels: Sequence[Mapping[str, Tensor]]
    given: Sequence[Mapping[str, Tensor]]
    noise: Tensor
    step: int
    upper: Taps | None

    def float(self) -> "Followed":
        """Return all in float32."""
        upper = self.upper.float() if self.upper else None
        about = self.project, self.kernels, self.given, self.noise, self.step
        return Followed(self.taps.float(), *about, upper)


class Follower(nn.Module):
    """A student with what is needed to compare it: ``Followed`` in training, logits in eval mode.

    Args:
        net: the student.
        teacher: whose channels and kernels are taught; not a bit of it changes.
        keep: number of last stages whose maps are compared.
        project: learn maps of channels.
        together: a copy of the teacher learns too.
        clamp: bound of the noise levels; without one a loss that can vanish would be weighted
            without end (P19).
    """

    def __init__(
        self,
        net: VideoNet,
        teacher: VideoNet,
        *,
        keep: int,
        project: bool,
        together: bool,
        clamp: float,
    ) -> None:
        super().__init__()
        self.net, self.keep, self.clamp = net, keep, clamp
        pairs = zip(net.stage_widths[-keep:], teacher.stage_widths[-keep:], strict=True)
        self.project = nn.ModuleList(
            nn.Linear(own, other, bias=False) for own, other in pairs if project
        )
        self.noise = nn.Parameter(torch.zeros(len(NOISES)))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.upper = copy.deepcopy(teacher).requires_grad_(True) if together else None
        self._names = [list(stage) for stage in stage_kernels(teacher)]
        for place, stage in enumerate(stage_kernels(teacher) if not together else ()):
            for number, kernel in enumerate(stage.values()):
                self.register_buffer(f"given_{place}_{number}", kernel.detach().clone())

    def forward(self, x: Tensor) -> Followed | Tensor:
        """Return what the objective reads, or the logits."""
        if not self.training:
            return self.net(x)
        with torch.no_grad():  # projected, so that the gradient can lead back inside
            self.noise.clamp_(-self.clamp, self.clamp)
        step = int(self.step)
        self.step += 1
        upper = self.upper.taps(x, keep=self.keep) if self.upper is not None else None
        taps = self.net.taps(x, keep=self.keep)
        kernels = stage_kernels(self.net)
        return Followed(taps, self.project, kernels, self.given(), self.noise, step, upper)

    def given(self) -> list[dict[str, Tensor]]:
        """Return the teacher's kernels, by stage and name."""
        if self.upper is not None:
            return [{n: k.detach() for n, k in s.items()} for s in stage_kernels(self.upper)]
        return [
            {name: getattr(self, f"given_{place}_{number}") for number, name in enumerate(names)}
            for place, names in enumerate(self._names)
        ]

    def tell(self) -> dict[str, float]:
        """Return what a journal notes after each epoch: the logarithms of the variances."""
        levels = self.noise.clamp(-self.clamp, self.clamp).tolist()  # as the next step has them
        return {f"noise_{n}": x for n, x in zip(NOISES, levels, strict=True)}

    def extra_repr(self) -> str:
        """Name the stages kept and the clamp: part of what tells one follower from another."""
        return f"keep={self.keep}, clamp={self.clamp}"


def build_follower(
    net: VideoNet,
    teacher: VideoNet,
    *,
    keep: int,
    project: bool = True,
    together: bool = False,
    clamp: float = 4.0,
    seed: int,
) -> Follower:
    """Return a follower whose maps of channels depend on ``seed`` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        how = {"keep": keep, "project": project, "together": together, "clamp": clamp}
        return Follower(net, teacher, **how)
