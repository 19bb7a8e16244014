"""What the loss of each edge of a cascade is made of when its training is over.

The journals hold the whole loss of each epoch and not its terms, so the terms are measured
afterwards, on a few batches drawn as in training: the network in training mode, as the last step
left it, under the labels and the teachers that it learned from.  Nothing is trained, and no sealed
label is read.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from redistill.errors import RedistillError
from redistill.explore.substage_lessons import DEPLOYED, NOISE, TEACHER, Lesson
from redistill.feed import Feed
from redistill.methods.branches import ALL
from redistill.methods.refine import SoftLabels, negatives
from redistill.methods.school import School
from redistill.methods.staged import Staged, settings
from redistill.methods.substage import SubstageConfig
from redistill.nets.video import Taps
from redistill.predict import forward
from redistill.taught_feed import TaughtBatch, TaughtFeed


@dataclass(frozen=True)
class Sample:
    """Some training clips, drawn as a step of the training draws them.

    Attributes:
        chosen: their places among all; a trusted clip may be drawn twice.
        view: which of their views the networks learn from here.
        school: of these clips alone; what networks say of them is kept in it.
    """

    chosen: Tensor
    view: int
    school: School


def draw(school: School, *, batches: int) -> tuple[Sample, ...]:
    """Return some batches of training clips.

    Raises:
        RedistillError: a school that reads its clips anew each time.
    """
    if not isinstance(school.train, Feed):
        kind = type(school.train).__name__
        raise RedistillError(f"the loss shares need clips held in memory, not a {kind}")
    blank = torch.zeros(len(school.train), school.classes)
    none = torch.zeros(len(school.train))
    feed = school.taught(SoftLabels(blank, none, none > 0, none, 0))
    place = {name: number for number, name in enumerate(school.train.clips)}
    drawn = feed.epoch(0, batch=school.config.batch, seed=school.seed(0))
    found = []
    for number, batch in zip(range(batches), drawn, strict=False):
        chosen = torch.tensor([place[name] for name in batch.clips])
        found.append(Sample(chosen, number, _school_of(school, chosen)))
    return tuple(found)


def measure(
    given: Sequence[Lesson], found: Staged, samples: Sequence[Sample], config: SubstageConfig
) -> dict[str, tuple[float, ...]]:
    """Return what each part of each loss comes to, weights included.

    Args:
        given: of ``lessons``.
        found: what the arm gave.
        samples: of ``draw``; all networks see the same ones.
        config: of the arm.

    Returns:
        Name of a network to the means over clips of its parts.
    """
    totals, seen = {one.name: [0.0] * len(one.parts) for one in given}, 0
    for sample in samples:
        few, size = replace(sample.school, config=config), len(sample.chosen)
        few.hear(found.networks[ALL, 0], keep=max(one.maps for one in given))  # once for all
        for one in given:
            values = _values(few, found, one, sample)
            pairs = zip(totals[one.name], values, strict=True)
            totals[one.name] = [total + size * value for total, value in pairs]
        seen += size
    return {name: tuple(total / seen for total in each) for name, each in totals.items()}


def _school_of(school: School, chosen: Tensor) -> School:
    """Return a school of some of the clips, all views of them."""
    feed = school.train
    mirrored = None if feed.mirrored is None else feed.mirrored[:, chosen]
    few = replace(
        feed,
        views=feed.views[:, chosen],
        labels=feed.labels[chosen],
        clips=tuple(feed.clips[i] for i in chosen.tolist()),
        mirrored=mirrored,
    )
    return replace(school, train=few, said={})


def _values(few: School, found: Staged, one: Lesson, sample: Sample) -> tuple[float, ...]:
    """Return the parts of a loss on one batch; the network itself is left alone."""
    batch = _batch(few, found, one, sample)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):  # a network may drop features out
        torch.manual_seed(0)
        edge = copy.deepcopy(one.learned.whole).train()
        learner = forward(edge, batch, device=few.device, amp=few.device == "cuda")
        values = [part.only(learner, batch, 1.0).item() for part in one.parts]
    if one.parts[-1].slot != NOISE:
        return tuple(values)
    noise = values[-1]  # is in every value
    return (*(value - noise for value in values[:-1]), noise)


def _batch(few: School, found: Staged, one: Lesson, sample: Sample) -> TaughtBatch:
    own = _labels_of(one.labels, sample.chosen)
    banks = [few.hear(found.networks[place], keep=one.maps) for place in one.uppers]
    if one.name == DEPLOYED and few.config.deploy_from == "ensemble":
        target = found.combination(banks)
        banks = [Taps(target, torch.zeros(*target.shape[:2], 1))]
    ruled_out = torch.zeros_like(own.q, dtype=torch.bool)
    if few.config.neg_labels and one.name not in (TEACHER, DEPLOYED):
        views = few.hear(found.networks[ALL, 0]).logits.softmax(-1)
        ruled_out = negatives(views, own, settings(few))
    everyone = torch.arange(len(own.q))
    feed = TaughtFeed(
        feed=few.train,
        labels=own.q,
        weights=own.w,
        negatives=ruled_out,
        pool=everyone,
        trusted=everyone[:0],
        uppers=tuple(few.target(bank) for bank in banks),
        partner=few.hear(found.networks[one.partner]) if one.partner else None,
    )
    return next(feed.epoch(sample.view, batch=len(own.q), seed=0))


def _labels_of(labels: SoftLabels, chosen: Tensor) -> SoftLabels:
    columns = (labels.q, labels.w, labels.selected, labels.uncertainty)
    return SoftLabels(*(column[chosen] for column in columns), labels.round)


def shares(values: Sequence[float]) -> tuple[float, ...]:
    """Return each value's size over the sum of all sizes; all 0 where there is nothing to share.

    Every term but the noise of learned weights is at least 0, and then these are shares of the
    loss.
    """
    total = sum(map(abs, values))
    return tuple(abs(value) / total if total else 0.0 for value in values)
