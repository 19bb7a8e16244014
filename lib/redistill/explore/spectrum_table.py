"""What the trained networks of notebook 2 say over time of a few clips, stage by stage.

Source: spec/spectrum.md 7, the diagnostics.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from redistill.feed import Feed
from redistill.losses.spectrum.feature import DISTRIBUTION
from redistill.losses.spectrum.signal import group_mean
from redistill.methods.school import TEACHER, Learned, School
from redistill.methods.spectrum import SpectrumConfig
from redistill.methods.spectrum_arms import PRESETS
from redistill.methods.spectrum_study import STUDENT_SEED, follow
from redistill.modality import RGB
from redistill.nets.follower import Follower
from redistill.nets.video import STAGES, VideoNet
from redistill.nets.weights import load_weights
from redistill.predict import evaluating
from redistill.stream_feed import StreamFeed

MOST = 12  # clips to choose from
UNTRAINED = "untrained"
PLAINLY = "collab"  # the arm that changes nothing in the config


@dataclass(frozen=True)
class Pair:
    """What a student and its teacher say at one stage, averaged over space.

    Attributes:
        ours: the student's features, brought to the teacher's channels, (N, T, C) float32.
        theirs: the teacher's, (N, T, C); in groups of channels where the student learns so.
        order: channels, those first in which the teacher varies most over time, (C,).
    """

    ours: Tensor
    theirs: Tensor
    order: np.ndarray

    @classmethod
    def of(cls, ours: Tensor, theirs: Tensor) -> "Pair":
        """Return both with the order of the channels."""
        varies = (theirs - theirs.mean(1, keepdim=True)).double().square().sum((0, 1))
        return cls(ours, theirs, np.argsort(-varies.numpy(), kind="stable"))


@dataclass(frozen=True)
class Heard:
    """What students and their teacher say of a few validation clips.

    Attributes:
        clips: their names, N.
        classes: the name of each clip's class, N.
        pairs: by arm and stage (1 to 4); empty where no arm imitates features.
    """

    clips: tuple[str, ...]
    classes: tuple[str, ...]
    pairs: Mapping[tuple[str, int], Pair]

    @property
    def arms(self) -> tuple[str, ...]:
        """The students, in order."""
        return tuple(dict.fromkeys(arm for arm, _ in self.pairs))

    def stages(self, arm: str) -> tuple[int, ...]:
        """Return the stages at which a student was compared, the last first."""
        return tuple(sorted((stage for name, stage in self.pairs if name == arm), reverse=True))


def hear_clips(
    school: School, networks: Mapping[str, Learned], classes: Sequence[str], *, most: int = MOST
) -> Heard:
    """Return what the trained networks of one fold say of a few validation clips.

    Arms that imitate no features, or none that can be told channel by channel, are left out; a
    student before its first step stands last.

    Args:
        school: of the fold.
        networks: by arm, ``teacher`` among them.
        classes: names of all classes.
        most: clips, taken class by class in turn.
    """
    feed = school.feeds.val[RGB]
    places = in_turn(feed.labels.tolist(), most)
    shown = _few(feed, places)
    given = _over_time(school, networks[TEACHER].net, shown)
    pairs = {}
    for name, net, own, follower in _followers(school, networks):
        ours = _over_time(school, net, shown)[-own.keep :]
        maps = copy.deepcopy(follower.project).cpu() if len(follower.project) else [None] * own.keep
        stages = range(STAGES - own.keep + 1, STAGES + 1)
        for stage, x, y, project in zip(stages, ours, given[-own.keep :], maps, strict=True):
            with torch.no_grad():
                x = project(x) if project is not None else x
            y = group_mean(y, x.shape[-1]) if own.channels == "group_mean" else y
            pairs[name, stage] = Pair.of(x, y)
    names = tuple(classes[feed.labels[place]] for place in places)
    return Heard(tuple(feed.clips[place] for place in places), names, pairs)


def in_turn(labels: Sequence[int], most: int) -> list[int]:
    """Return the places of some clips: the first of each class, the second of each, and so on."""
    seen: dict[int, int] = {}
    turns = []
    for place, label in enumerate(labels):
        seen[label] = seen.get(label, 0) + 1
        turns.append((seen[label], place))
    return sorted(place for _, place in sorted(turns)[:most])


def _few(feed: Feed | StreamFeed, places: Sequence[int]) -> Feed | StreamFeed:
    """Return a feed of some of its clips, to be read in order."""
    if isinstance(feed, StreamFeed):
        return replace(feed, source=[feed.source[place] for place in places], workers=0)
    chosen = torch.tensor(places)
    names = tuple(feed.clips[place] for place in places)
    return replace(feed, views=feed.views[:, chosen], labels=feed.labels[chosen], clips=names)


def _over_time(school: School, net: VideoNet, feed: Feed | StreamFeed) -> list[Tensor]:
    """Return the maps of every stage averaged over space, (N, T, C) each."""
    parts = []
    with evaluating(net):
        for batch in feed.inorder():
            maps = net.taps(batch.ready(school.device), keep=STAGES).maps
            parts.append([x.float().mean((3, 4)).transpose(1, 2).cpu() for x in maps])
    return [torch.cat(stage) for stage in zip(*parts, strict=True)]


def _followers(
    school: School, networks: Mapping[str, Learned]
) -> Iterator[tuple[str, VideoNet, SpectrumConfig, Follower]]:
    """Yield the students that imitate features, with what they were trained in."""
    config = school.config
    for name, learned in networks.items():
        if _imitates(config, name):
            yield name, learned.net, config.of_arm(name), learned.whole
    if _imitates(config, PLAINLY):
        net = school.build(config.network, config.student_width, STUDENT_SEED).to(school.device)
        load_weights(net, config.student_weights)
        yield UNTRAINED, net, *follow(school, net, networks[TEACHER].net, PLAINLY)


def _imitates(config: SpectrumConfig, name: str) -> bool:
    """Tell whether an arm compares student and teacher channel by channel."""
    own = config.of_arm(name)
    apart = own.space == "attention" or own.component == DISTRIBUTION
    return name in PRESETS and own.lambda_f > 0 and not apart
