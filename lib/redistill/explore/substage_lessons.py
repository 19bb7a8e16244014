"""What each network of a trained cascade learned from: loss, labels, and who taught it.

Who teaches whom is planned in ``methods.branches`` and carried out in ``methods.staged``; here it
is told of a cascade that is trained.  Source: spec/substage.md 4 and 7.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from redistill.methods.branches import ALL, Place, branch_loss, plan_edges, students
from redistill.methods.edge_loss import EdgeLoss
from redistill.methods.recipes import KINDS
from redistill.methods.refine import SoftLabels
from redistill.methods.school import Learned, School
from redistill.methods.staged import SHARE, Staged

TEACHER, DEPLOYED = "teacher", "deployed"  # as substage_tables.cascade_table names them
NOISE = "noise"  # what learned weights of several teachers add: the mean logarithm of their noise


@dataclass(frozen=True)
class Part:
    """A term of a loss.

    Attributes:
        slot: what it compares: labels, response, feature, relation, distribution, ...
        name: of the loss function, as ``edge_loss.TERMS`` has it.
        weight: in the loss.
        only: the loss without all the others.
    """

    slot: str
    name: str
    weight: float
    only: EdgeLoss


@dataclass(frozen=True)
class Lesson:
    """One network and what it learned from.

    Attributes:
        name: as ``substage_tables.cascade_table`` names it.
        learned: the network.
        parts: of its loss.
        round: of the labels, as a place in ``Staged.rounds``.
        labels: of all training clips.
        uppers: who taught it; of the deployed student the students.
        partner: whom the correlation is measured to, if not the first upper.
        maps: of how many last stages the maps are compared.
    """

    name: str
    learned: Learned
    parts: tuple[Part, ...]
    round: int
    labels: SoftLabels
    uppers: tuple[Place, ...] = ()
    partner: Place | None = None
    maps: int = 0


def parts_of(loss: EdgeLoss, kinds: Sequence[str]) -> tuple[Part, ...]:
    """Return the terms of a loss, those of weight 0 left out.

    Args:
        loss: of an edge.
        kinds: branches, in the order of its first terms; what follows is a distance of
            distributions.
    """
    bare = replace(loss, ce=0.0, terms=(), rho=0.0, negative=0.0)
    found = [Part("labels", "labels", loss.ce, replace(bare, ce=loss.ce))]
    for number, (name, weight) in enumerate(loss.terms):
        slot = KINDS[kinds[number]] if number < len(kinds) else "distribution"
        found.append(Part(slot, name, weight, replace(bare, terms=((name, weight),))))
    found.append(Part("correlation", loss.correlation, loss.rho, replace(bare, rho=loss.rho)))
    only = replace(bare, negative=loss.negative)
    found.append(Part("negative labels", "negative labels", loss.negative, only))
    found = [part for part in found if part.weight]
    if loss.weighting == "uncertainty":
        found.append(Part(NOISE, "log noise", 1.0, bare))
    return tuple(found)


def lessons(school: School, found: Staged, truth: Tensor) -> tuple[Lesson, ...]:
    """Return what each network of a cascade learned from, in the order of training.

    Args:
        school: of the fold, under the config of the arm.
        found: what the arm gave.
        truth: (N,) labels of the training clips; looked at only where the teacher knew them all
            (``teacher_labels = "full"``), as it did then.
    """
    config, rounds = school.config, found.rounds
    first = rounds[0].labels
    if config.teacher_labels == "full":
        q = F.one_hot(truth, school.classes).float()
        first = replace(first, q=q, w=torch.ones(len(q)))
    lines = [Lesson(TEACHER, found.networks[ALL, 0], parts_of(EdgeLoss(), ()), 0, first)]
    edges = plan_edges(config)
    levels = list(dict.fromkeys(edge.level for edge in edges))
    for edge in edges:
        loss = branch_loss(config, edge.kind)
        parts = parts_of(loss, config.kinds if edge.kind == ALL else (edge.kind,))
        turn = min(levels.index(edge.level) + 1, len(rounds) - 1)  # refined once: always the last
        above = edge.uppers, edge.partner, config.fea_layers if loss.maps else 0
        name, net = f"{edge.kind} {edge.level}", found.networks[edge.place]
        lines.append(Lesson(name, net, parts, turn, rounds[turn].labels, *above))
    last = tuple(students(config).values())
    if len(last) > 1:
        several = config.weighting if config.deploy_from == "branches" else "fixed"
        loss = EdgeLoss(
            ce=1 - SHARE, terms=(("kd", SHARE),), temperature=config.temperature, weighting=several
        )
        turn, parts = len(rounds) - 1, parts_of(loss, ("res",))
        lines.append(Lesson(DEPLOYED, found.single, parts, turn, rounds[turn].labels, last))
    return tuple(lines)
