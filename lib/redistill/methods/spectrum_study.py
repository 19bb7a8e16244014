"""Notebook 2 on one fold: a teacher, and every student that learns from it or without it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from redistill.feeds import Feeds
from redistill.live import Line
from redistill.live_feed import LiveFeed
from redistill.methods.baselines import Arm, one
from redistill.methods.edge_loss import EdgeLoss
from redistill.methods.frequencies import Frequencies, frequencies, over_time
from redistill.methods.label_quality import initial_labels
from redistill.methods.school import Learned, School
from redistill.methods.spectrum import SpectrumConfig
from redistill.methods.spectrum_arms import PLAIN
from redistill.methods.spectrum_loss import spectrum_loss
from redistill.modality import RGB
from redistill.nets.follower import Follower, build_follower
from redistill.nets.video import VideoNet
from redistill.nets.weights import load_weights
from redistill.phase import Phase
from redistill.taught_feed import TaughtFeed
from redistill.train import first_losses
from redistill.video.weak_labels import weaken

STUDENT_SEED = 1


@dataclass(frozen=True)
class SpectrumStudy:
    """What one fold gave.

    Attributes:
        fold: its number.
        arms: by name; ``teacher`` among them.
        labels: split to (N,) int64.
        frequencies: by name of the arm, on validation clips; ``untrained`` is a student before
            its first step.
        journals: by name of the arm.
        reads: how often the test labels were read.
        undecoded: (id, reason) of clips that failed to decode, under ``on_bad="drop"``.
        networks: by name of the arm, ``teacher`` among them.
    """

    fold: int
    arms: Mapping[str, Arm]
    labels: Mapping[str, Tensor]
    frequencies: Mapping[str, Frequencies]
    journals: Mapping[str, list[dict[str, float]]] = field(repr=False)
    reads: int
    undecoded: tuple[tuple[str, str], ...]
    networks: Mapping[str, Learned] = field(default_factory=dict, repr=False)


def study_fold(
    config: SpectrumConfig, feeds: Feeds, fold: int, *, classes: int, device: str, line: Line
) -> SpectrumStudy:
    """Train the teacher and every arm on one fold, then open its test labels, once.

    Args:
        config: of notebook 2.
        feeds: its clips.
        fold: its number.
        classes: number of classes.
        device: ``cpu`` or ``cuda``.
        line: told how far it is.
    """
    school = open_school(config, feeds, classes=classes, device=device, line=line)
    teacher = train_teacher(school)
    found = {"teacher": teacher}
    for name in (*config.arms, *config.also):
        found[name] = train_arm(school, teacher, name)
    arms = {name: one(school, learned) for name, learned in found.items()}
    about = teacher.net, over_time(school, teacher.net)
    heard = {
        name: frequencies(school, learned.net, *about, learned.whole)
        for name, learned in found.items()
    }
    untrained = school.build(config.network, config.student_width, STUDENT_SEED).to(device)
    load_weights(untrained, config.student_weights)
    heard["untrained"] = frequencies(school, untrained, *about, None)

    # Nothing is chosen below this line: here the sealed labels are read, once.
    test = feeds.open_test("accuracy of the fold")
    return SpectrumStudy(
        fold=fold,
        arms=arms,
        labels={"val": feeds.val_labels, "test": test},
        frequencies=heard,
        journals={name: learned.journal for name, learned in found.items()},
        reads=feeds.split.test.reads,
        undecoded=feeds.dropped,
        networks=found,
    )


def open_school(
    config: SpectrumConfig, feeds: Feeds, *, classes: int, device: str, line: Line | None = None
) -> School:
    """Return the school of one fold; all labels of its training clips are known."""
    kept = set(feeds.train[RGB].clips)
    clips = [clip for clip in feeds.split.train if clip.id in kept]
    weak = weaken(clips, classes=classes, mode="full", seed=config.seed)
    return School(
        config=config, train=feeds.train[RGB], feeds=feeds, weak=weak, classes=classes,
        device=device, tick=line.epoch if line else None,
    )  # fmt: skip


def train_teacher(school: School) -> Learned:
    """Train the teacher on all labels, or find it trained."""
    return school.teacher(lesson(school, None))


def train_arm(school: School, teacher: Learned, name: str) -> Learned:
    """Train the student of one arm, or find it trained.

    All have the same first weights, order of clips and number of steps (but for ``alone_long``),
    so that what differs is what they are taught.
    """
    config = school.config
    net = school.build(config.network, config.student_width, STUDENT_SEED)
    load_weights(net, config.student_weights)
    how = {"seed": STUDENT_SEED, "steps": config.steps}
    if name in PLAIN:
        loss = EdgeLoss(terms=PLAIN[name], temperature=config.temperature)
        if not loss.terms:
            how["steps"] *= _as_long(school, teacher, net) if name == "alone_long" else 1
            feed = lesson(school, None)
        else:
            feed = lesson(school, teacher, keep=config.map_layers if loss.maps else 0)
            how["above"] = school.macs(teacher.net)
        how["steps"] = round(how["steps"])
        return school.run(name, school.edge(net, feed, loss, STUDENT_SEED), feed, loss, **how)
    own, follower = follow(school, net, teacher.net, name)
    together = own.collab == "mutual"
    heard = together or own.lambda_f or own.kd_weight  # kernels teach without a word
    feed = lesson(school, teacher if heard and not together else None, keep=own.keep)
    above = school.macs(teacher.net) * (3 if together else 1) if heard else 0
    return school.run(name, follower, feed, spectrum_loss(own), above=above, **how)


def follow(
    school: School, net: VideoNet, teacher: VideoNet, name: str
) -> tuple[SpectrumConfig, Follower]:
    """Return the config of an arm of ``PRESETS``, and a student ready to learn by it."""
    own = school.config.of_arm(name)
    how = {"keep": own.keep, "project": own.maps_channels, "clamp": own.clamp}
    together = own.collab == "mutual"
    seed = school.seed(STUDENT_SEED)
    return own, build_follower(net, teacher, together=together, seed=seed, **how)


def first_steps(school: School, teacher: VideoNet, name: str) -> list[float]:
    """Return the first losses of a student of an arm of ``PRESETS`` under some teacher."""
    config = school.config
    net = school.build(config.network, config.student_width, STUDENT_SEED)
    own, follower = follow(school, net, teacher, name)
    feed = LiveFeed(feed=school.train, classes=school.classes, teacher=teacher, keep=own.keep)
    phase = Phase(
        name=name, steps=3, batch=config.batch, lr=config.lr, weight_decay=config.weight_decay,
        seed=config.seed, threads=config.threads,
    )  # fmt: skip
    return first_losses(phase, follower, feed, objective=spectrum_loss(own))


def lesson(school: School, teacher: Learned | None, *, keep: int = 0) -> TaughtFeed | LiveFeed:
    """Return the training clips, and what the teacher says of them: from memory, or as it sees."""
    config = school.config
    if config.stream:
        net = teacher.net if teacher else None
        amp = school.device == "cuda"
        return LiveFeed(
            feed=school.train, classes=school.classes, teacher=net, keep=keep,
            device=school.device, amp=amp,
        )  # fmt: skip
    labels = initial_labels(school.weak, school.classes)
    return school.taught(labels, uppers=[school.hear(teacher, keep=keep)] if teacher else ())


def _as_long(school: School, teacher: Learned, net: VideoNet) -> float:
    """Return how many steps alone cost as much as one with the teacher's words."""
    own = 3 * school.macs(net)
    return (own + school.macs(teacher.net)) / own
