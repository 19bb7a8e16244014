"""Notebook 1 on one fold, from weak labels to what every method says: all of it in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import torch
from torch import Tensor

from redistill.errors import ConfigError
from redistill.feeds import Feeds
from redistill.live import Line
from redistill.methods.baselines import (
    SPLITS,
    Arm,
    distilled,
    mean,
    one,
    train_students,
    true_labels,
)
from redistill.methods.branches import ALL
from redistill.methods.label_quality import initial_labels
from redistill.methods.recipes import DISTILLED, VARIANTS
from redistill.methods.school import Learned, School
from redistill.methods.staged import Round, Staged, first_rounds, train_staged, varied
from redistill.methods.stagewise import train_stagewise
from redistill.methods.substage import SubstageConfig
from redistill.modality import RGB
from redistill.video.splits import Clip
from redistill.video.synthetic.spec import PER_CLASS, SyntheticSpec
from redistill.video.weak_labels import WeakLabels, weaken


@dataclass(frozen=True)
class SubstageStudy:
    """What one fold gave.

    Attributes:
        fold: its number.
        arms: by name; ``teacher`` among them.
        labels: split to (N,) int64.
        rounds: of the pseudo-labels of ``staged``, or of the teacher's alone.
        truth: true labels of the training clips, read at the end.
        trusted: which of them the method knew, bool (N,).
        journals: name of an arm's network to its journal.
        reads: how often the test labels, and the hidden ones, were read.
        undecoded: (id, reason) of clips that failed to decode, under ``on_bad="drop"``.
        cascades: name of a staged arm to its networks and rounds.
    """

    fold: int
    arms: Mapping[str, Arm]
    labels: Mapping[str, Tensor]
    rounds: tuple[Round, ...]
    truth: Tensor
    trusted: Tensor
    journals: Mapping[str, list[dict[str, float]]] = field(repr=False)
    reads: tuple[int, int]
    undecoded: tuple[tuple[str, str], ...]
    cascades: Mapping[str, Staged] = field(default_factory=dict, repr=False)


def weak_labels(
    config: SubstageConfig, clips: Sequence[Clip], kept: Sequence[str], *, classes: int
) -> WeakLabels:
    """Return what may be known of the labels of the training clips.

    Args:
        config: of notebook 1.
        clips: training clips of the split, with their labels.
        kept: ids of those that were decoded, in their order.
        classes: number of classes.
    """
    names = set(kept)
    spec = None
    if config.dataset == "synthetic":
        spec = SyntheticSpec(
            world=config.world,
            data_seed=config.data_seed,
            per_class=PER_CLASS[config.set_size],
            inexact=config.weak_mode == "inexact",
        )
    return weaken(
        [clip for clip in clips if clip.id in names],
        classes=classes,
        mode=config.weak_mode,
        seed=config.seed,
        label_frac=config.label_frac,
        noise_rate=config.noise_rate,
        noise_kind=config.noise_kind,
        spec=spec,
    )


def study_fold(
    config: SubstageConfig,
    feeds: Feeds,
    weak: WeakLabels,
    fold: int,
    *,
    classes: int,
    device: str,
    line: Line,
) -> SubstageStudy:
    """Train the teacher and all methods on one fold, and ask them.

    Args:
        config: of notebook 1.
        feeds: the clips of the fold.
        weak: what may be known of the training clips' labels.
        fold: its number.
        classes: number of classes.
        device: ``cpu`` or ``cuda``.
        line: told how far it is.
    """
    hidden = replace(feeds.train[RGB], labels=torch.as_tensor(weak.initial))
    school = School(
        config=config, train=hidden, feeds=feeds, weak=weak, classes=classes, device=device,
        tick=line.epoch,
    )  # fmt: skip
    teacher = _teacher(school)
    rounds = first_rounds(school, teacher)
    arms = {"teacher": one(school, teacher)}
    journals, cascades = {"teacher": teacher.journal}, {}
    trained: dict[str, tuple[Learned, ...]] = {}
    for name in dict.fromkeys((*config.arms, *config.also)):
        if name in VARIANTS:
            own = varied(school, VARIANTS[name])
            found = cascades[name] = train_staged(own, _teacher(own))
            arms |= _staged_arms(own, name, found)
            journals[name] = found.single.journal
            rounds = found.rounds if name == "staged" else rounds
        elif name in DISTILLED:
            of = DISTILLED[name]
            team = trained.get(of) or train_students(school, teacher, of, rounds)
            arms[name] = distilled(school, team, rounds[1].labels)
        elif name == "stagewise":
            arms[name] = one(school, train_stagewise(school, teacher, rounds[1].labels))
        else:
            trained[name] = train_students(school, teacher, name, rounds)
            arms[name] = mean(school, trained[name])
            journals[name] = trained[name][0].journal

    # Nothing is chosen below this line: here the sealed labels are read, once each.
    test = feeds.open_test("accuracy of the fold")
    truth = torch.as_tensor(weak.truth.open("quality of the pseudo-labels"))
    return SubstageStudy(
        fold=fold,
        arms=arms,
        labels={"val": feeds.val_labels, "test": test},
        rounds=rounds,
        truth=truth,
        trusted=torch.as_tensor(weak.trusted),
        journals=journals,
        reads=(feeds.split.test.reads, weak.truth.reads),
        undecoded=feeds.dropped,
        cascades=cascades,
    )


def _teacher(school: School) -> Learned:
    """Return the teacher on the labels at hand, or on all true ones (A2)."""
    if school.config.teacher_labels == "same":
        labels = initial_labels(school.weak, school.classes)
    else:
        labels = true_labels(school, "a teacher that knows all labels (A2)")
    return school.teacher(school.taught(labels, pool=labels.w.nonzero()[:, 0]))


def _staged_arms(school: School, name: str, found: Staged) -> dict[str, Arm]:
    """Return the deployed student, the combination and, of the method itself, all its parts."""
    single = replace(one(school, found.single), training=found.macs)
    if not name.startswith("staged"):
        return {name: single}
    arms = {f"{name}_single": single}
    kinds, team = list(found.students), list(found.students.values())
    if len(team) == 1:
        return arms
    cost = sum(school.macs(each.net) for each in team)
    both = {
        split: found.combination([school.ask(each, split) for each in team]) for split in SPLITS
    }
    branches = found.macs - found.single.macs
    arms[f"{name}_ens"] = Arm(both, branches, cost)
    if name not in ("staged", "staged_m0"):
        return arms
    for size in (1, 2):
        for some in combinations(range(len(team)), size):
            part = mean(school, tuple(team[i] for i in some))
            chosen = [kinds[i] for i in some]
            cost = sum(
                each.macs
                for (kind, level), each in found.networks.items()
                if level and kind in (*chosen, ALL)
            )
            arms["_".join([name, *chosen])] = replace(part, training=cost)
    return arms


def check_arms(config: SubstageConfig) -> None:
    """Refuse methods that need what is not there, before anything is decoded.

    Raises:
        ConfigError: an arm that is named twice, or a variant that the widths do not allow.
    """
    both = (*config.arms, *config.also)
    twice = {name for name in both if both.count(name) > 1}
    if twice:
        raise ConfigError(
            f"parameters arms and also name {', '.join(sorted(twice))} twice; name each once"
        )
    for name in both:
        if name in VARIANTS:
            try:
                replace(config, **VARIANTS[name])
            except ConfigError as error:
                raise ConfigError(f"arm {name} cannot be trained: {error}") from error
