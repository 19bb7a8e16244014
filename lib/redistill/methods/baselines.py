"""The methods that staged distillation is compared with: students of one teacher, and teams.

Source: spec/substage.md 11 (B1 to B15, B19 to B22); what each is, is data in ``recipes``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from redistill.cost import count
from redistill.methods.branches import training_macs
from redistill.methods.edge_loss import EdgeLoss
from redistill.methods.label_quality import SoftLabels, raw_labels
from redistill.methods.recipes import SINGLES, Single
from redistill.methods.school import Learned, School
from redistill.methods.staged import Round, distil_into_one
from redistill.methods.substage import SubstageConfig
from redistill.modality import INPUTS, RGB
from redistill.nets.video import Taps, build_video

SPLITS = ("val", "test")
_APART = 100  # between the seeds of students of one team


@dataclass(frozen=True)
class Arm:
    """What one method gave.

    Attributes:
        logits: split to (N, K).
        training: multiply-accumulates of its training, the teacher's not counted.
        inference: multiply-accumulates of one clip.
    """

    logits: Mapping[str, Tensor]
    training: int
    inference: int


def one(school: School, learned: Learned) -> Arm:
    """Return what one network says."""
    return mean(school, (learned,))


def mean(school: School, team: tuple[Learned, ...]) -> Arm:
    """Return the mean of the logits of several students."""
    logits = {
        split: torch.stack([school.ask(each, split).logits for each in team]).mean(0)
        for split in SPLITS
    }
    cost = sum(school.macs(each.net) for each in team)
    return Arm(logits, sum(each.macs for each in team), cost)


def distilled(school: School, team: tuple[Learned, ...], labels: SoftLabels) -> Arm:
    """Return one student distilled from the mean of several."""
    target = torch.stack([school.hear(each).logits for each in team]).mean(0)
    above = sum(school.macs(each.net) for each in team)
    single = distil_into_one(school, target, labels, above=above)
    alone = one(school, single)
    return replace(alone, training=alone.training + sum(each.macs for each in team))


def true_labels(school: School, reason: str) -> SoftLabels:
    """Return the true labels of all training clips, for upper bounds; the read is counted."""
    truth = torch.as_tensor(school.weak.truth.open(reason))
    one_hot = torch.nn.functional.one_hot(truth, school.classes).float()
    known = torch.ones(len(truth), dtype=torch.bool)
    return SoftLabels(one_hot, torch.ones(len(truth)), known, torch.zeros(len(truth)), 0)


def train_students(
    school: School, teacher: Learned, name: str, rounds: tuple[Round, ...]
) -> tuple[Learned, ...]:
    """Train the students of one baseline."""
    config, recipe = school.config, SINGLES[name]
    pool = None
    if recipe.labels == "trusted":
        labels, pool = rounds[0].labels, school.trusted
    elif recipe.labels == "raw":
        view = school.hear(teacher).logits[0].softmax(-1)
        labels = raw_labels(school.weak, view)
    elif recipe.labels == "true":
        labels = true_labels(school, "the upper bound: all labels (B4)")
    else:
        labels = rounds[1].labels
    loss = _loss(config, recipe)
    uppers: list[Taps] = []
    above = 0
    if loss.terms:
        keep = config.fea_layers if loss.maps else 0
        uppers = [school.target(school.hear(teacher, keep=keep))]
        above = school.macs(teacher.net)
    feed = school.taught(labels, pool=pool, uppers=uppers)
    steps = config.steps if recipe.budget == "one" else _equal_steps(school, above, recipe.students)
    # The first has the seed of a response branch without assistants, which is plain KD.
    seeds = [1 + _APART * number for number in range(recipe.students)]
    return tuple(school.student(feed, loss, seed=seed, above=above, steps=steps) for seed in seeds)


def _loss(config: SubstageConfig, recipe: Single) -> EdgeLoss:
    """Return the loss of a baseline, its weights read from the config where they name one."""

    def weight(given: float | str) -> float:
        if given == "1-lam":
            return 1 - config.lam
        return getattr(config, given) if isinstance(given, str) else given

    terms = tuple((name, weight(share)) for name, share in recipe.terms)
    return EdgeLoss(ce=weight(recipe.ce), terms=terms, temperature=config.temperature)


def _equal_steps(school: School, above: int, students: int) -> int:
    """Return the steps of each of some students that cost together what the staged method does."""
    config = school.config
    macs = width_macs(config, classes=school.classes)
    own = macs[config.student_width]
    total = training_macs(config, macs)
    if students > 1:  # a student will be distilled from the team as from the branches
        total -= (3 + students) * own * config.steps * config.batch
    return round(total / (students * config.batch * (3 * own + above)))


def width_macs(config: SubstageConfig, *, classes: int) -> dict[int, int]:
    """Return the multiply-accumulates of one clip, by the widths of a cascade."""
    found = {}
    for level, width in enumerate(config.widths):
        name = config.network if level else config.teacher_network
        net = build_video(name, width=width, classes=classes, frames=config.frames, seed=0)
        shape = (1, config.frames, INPUTS[RGB], config.size, config.size)
        found[width] = count(net, shape).macs
    return found
