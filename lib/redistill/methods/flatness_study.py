"""Notebook 4 on one fold: the networks of notebook 3, how sharp their minima are, and where."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from redistill.feeds import Feeds
from redistill.live import Line
from redistill.methods.equal_loss import Between, climb, worst
from redistill.methods.flatness import FlatnessConfig
from redistill.methods.solutions import SAME, Solution, classifiers, gather, spread
from redistill.modality import MODALITIES
from redistill.sharpness import Sharpness, measure

COMPARED = ("ce", "kd_iframe", "pkd")  # claim P6; one of the other arms may end far above them
Sharp = Mapping[tuple[tuple[str, str, str, int], float], Sharpness]


@dataclass(frozen=True, kw_only=True)
class Flatness:
    """What one fold gave.

    Attributes:
        fold: its number.
        ends: solutions of whole trainings: of three networks of one depth, of the networks of
            notebook 3, of the classifiers of all arms.
        equal: where networks of one depth, and the arms of a classifier, have one training loss;
            what cannot be brought there is left out.
        sharp: sharpness of each solution that these name, by its place and share.
        labels: of the test clips, (N,) int64.
        reads: how often the test labels were read.
    """

    fold: int
    ends: tuple[Solution, ...]
    equal: tuple[Between, ...]
    sharp: Sharp = field(repr=False)
    labels: Tensor = field(repr=False)
    reads: int

    @property
    def clips(self) -> int:
        """How many clips the loss is over whose curvature is measured."""
        return self.ends[0].loss.clips

    def of(self, solution: Solution) -> Sharpness:
        """Return the sharpness of a solution."""
        return self.sharp[solution.place, solution.share]


def study_fold(
    config: FlatnessConfig, feeds: Feeds, fold: int, *, classes: int, device: str, line: Line
) -> Flatness:
    """Train or find all networks and classifiers of a fold, and measure their minima.

    Args:
        config: of notebook 4.
        feeds: the clips of the fold.
        fold: its number.
        classes: number of classes.
        device: ``cpu`` or ``cuda``.
        line: told how far it is.
    """
    sample = spread(feeds.split.train, config.sample, seed=config.seed)
    about = {"feeds": feeds, "classes": classes, "device": device, "line": line}
    workshop = gather(sample, config, **about)

    # Networks: each by itself, then those of one depth down to one training loss.
    trunks = workshop.own()
    own = [workshop.solution_of(trunks[modality], modality) for modality in MODALITIES]
    same = [workshop.network(modality, 1.0) for modality in MODALITIES]
    level = worst(same)
    levelled = [
        climb(end, level, lambda share, m=end.modality: workshop.network(m, share), config.rungs)
        for end in same
    ]

    # Classifiers: the arms of an exit down to one loss as well.
    school = classifiers(workshop, trunks)
    rungs = {share: _by_place(school.trained(share)) for share in (*config.rungs, 1.0)}
    ics = list(rungs[1.0].values())
    for group in _groups(ics):
        level = worst([end for end in group if end.arm in COMPARED] or group)
        for end in group:
            found = climb(end, level, lambda share, p=end.place: rungs[share][p], config.rungs)
            levelled.append(found)

    ends, equal = (*same, *own, *ics), tuple(place for place in levelled if place)
    every = [*ends, *(one for place in equal for one in (place.low, place.high))]
    return Flatness(
        fold=fold,
        ends=ends,
        equal=equal,
        sharp=_measured(config, every, line),
        labels=feeds.open_test("gap between test and training loss"),
        reads=feeds.split.test.reads,
    )


def _measured(config: FlatnessConfig, solutions: Iterable[Solution], line: Line) -> Sharp:
    """Measure every solution once, those of one depth in full."""
    wanted = {(one.place, one.share): one for one in solutions}
    sharp, known = {}, {}
    for number, (key, one) in enumerate(wanted.items(), start=1):
        line.say(f"curvature: solution {number} of {len(wanted)}")
        name = one.loss.key()
        if name not in known:  # a network of notebook 3 may be one of the networks of one depth
            full = one.network == SAME and one.share == 1.0
            top = config.top if full else int(config.top_everywhere)
            extent = {"full": full, "relative": config.top_everywhere}
            known[name] = measure(one.loss, top=top, probes=config.probes, **extent)
        sharp[key] = known[name]
    return sharp


def _by_place(solutions: Sequence[Solution]) -> dict[tuple[str, str, str, int], Solution]:
    return {one.place: one for one in solutions}


def _groups(ics: Sequence[Solution]) -> list[list[Solution]]:
    """Return the arms of each classifier."""
    groups: dict[tuple[str, int], list[Solution]] = defaultdict(list)
    for one in ics:
        groups[one.modality, one.exit].append(one)
    return list(groups.values())
