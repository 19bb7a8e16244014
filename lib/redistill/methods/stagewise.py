"""Distillation by depth: one stage of the student after another, the rest frozen (baseline B18).

Source: Kulkarni et al., arXiv 1911.06786; spec/substage.md 11.1.  This is the reading of "substage"
that the framework figure contradicts.  Each stage is trained to the teacher's maps by mean squared
error, the classifier last by the labels.  Frozen stages are in eval mode, which the public code
forgets.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from redistill.losses.feature.fitnet import fitnet
from redistill.methods.edge_loss import soft_label_loss
from redistill.methods.refine import SoftLabels
from redistill.methods.school import Learned, School
from redistill.nets.edge import widths
from redistill.nets.video import STAGES, VideoNet
from redistill.phase import Objective
from redistill.taught_feed import TaughtBatch

_CLASSIFIER = STAGES + 1


class StageOnly(nn.Module):
    """A network of which one stage learns: its adapted maps in training, logits in eval mode.

    Args:
        net: of the student.
        stage: 1 (with the stem) to 4, or 5, the classifier.
        upper: channels of the teacher's maps at that stage.
    """

    def __init__(self, net: VideoNet, stage: int, upper: int) -> None:
        super().__init__()
        self.net, self.stage = net.requires_grad_(False), stage
        own = widths(net, STAGES).maps
        learns = stage <= STAGES
        self.adapter = nn.Conv3d(own[stage - 1], upper, 1) if learns else nn.Identity()
        for module in self._learning():
            module.requires_grad_(True)

    def _learning(self) -> list[nn.Module]:
        if self.stage == _CLASSIFIER:
            return [self.net.head]
        return [self.net.stages[self.stage - 1], *(self.net.stem if self.stage == 1 else ())]

    def train(self, mode: bool = True) -> "StageOnly":
        """Put what learns, and nothing else, into training mode."""
        super().train(mode)
        self.net.eval()
        for module in self._learning():
            module.train(mode)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Return adapted maps (B, C, T, H, W) or logits (B, K)."""
        if not self.training or self.stage == _CLASSIFIER:
            return self.net(x)
        return self.adapter(self.net.taps(x).maps[self.stage - 1])


@dataclass(frozen=True)
class StageLoss:
    """An objective for ``run_phase``: the maps of the teacher, or the labels."""

    stage: int

    def __call__(self, out: Tensor, batch: TaughtBatch, done: float) -> Tensor:
        """Return the scalar loss."""
        if self.stage == _CLASSIFIER:
            return soft_label_loss(out, batch.labels.to(out.device), batch.weights.to(out.device))
        return fitnet(out, batch.uppers[0].maps[0].to(out.device))


def train_stagewise(school: School, teacher: Learned, labels: SoftLabels) -> Learned:
    """Train a student stage by stage, a fifth of the steps each."""
    net = school.build(school.config.network, school.config.student_width, 1)
    steps = max(1, school.config.steps // _CLASSIFIER)
    above, total, journal = school.macs(teacher.net), 0, []
    for stage in range(1, _CLASSIFIER + 1):
        bank = school.hear(teacher, keep=STAGES - stage + 1) if stage <= STAGES else None
        upper = bank.maps[0].shape[2] if bank else 0
        feed = school.taught(labels, uppers=[bank] if bank else [])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(school.config.seed + stage)
            learner = StageOnly(net, stage, upper)
        loss: Objective = StageLoss(stage)
        done = school.run("stage", learner, feed, loss, seed=stage, steps=steps, above=above)
        total, journal = total + done.macs, journal + done.journal
    net = net.requires_grad_(False).eval()
    return Learned(done.role, net, done.key, total, journal, whole=done.whole)
