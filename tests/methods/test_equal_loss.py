"""A ladder of shorter trainings and a point between two rungs, on made-up solutions."""

import math

import pytest
import torch

from redistill.curvature.loss import Loss
from redistill.methods.equal_loss import Between, climb, worst
from redistill.methods.solutions import Solution

NET = torch.nn.Linear(1, 2).eval()
LOSS = Loss(net=NET, batches=[(torch.zeros(2, 1), torch.tensor([0, 1]))])


def solution(loss, *, share=1.0, accuracy=0.5, modality="mv"):
    return Solution(
        modality=modality, network="same", share=share, loss=LOSS, train=(loss, accuracy),
        test=torch.zeros(2, 2),
    )  # fmt: skip


class Ladder:
    """Trainings of known losses, and which were asked for."""

    def __init__(self, losses):
        self.losses, self.asked = losses, []

    def __call__(self, share):
        self.asked.append(share)
        return solution(self.losses[share], share=share)

    def climb(self, end, level):
        return climb(solution(end), level, self, sorted(self.losses))


def loss_of(one):
    return one.train[0]


@pytest.mark.parametrize(
    ("low", "high", "level", "way"),
    [(2.0, 1.0, 1.25, 0.75), (2.0, 1.0, 2.0, 0.0), (2.0, 1.0, 1.0, 1.0), (0.5, 0.1, 0.4, 0.25)],
)
def test_the_way_is_the_share_of_the_drop(low, high, level, way):
    place = Between(low=solution(low, share=0.5), high=solution(high), level=level)
    assert place.way == pytest.approx(way, abs=1e-12)


def test_a_quantity_is_read_by_the_formula():
    """3 at the shorter training, 7 at the longer one; a quarter of the drop is left."""
    place = Between(low=solution(2.0, share=0.5), high=solution(1.0), level=1.25)
    values = {0.5: 3.0, 1.0: 7.0}
    assert place.read(lambda one: values[one.share]) == pytest.approx(3 + 0.75 * 4)
    assert place.read(lambda one: -values[one.share]) == pytest.approx(-6)


@pytest.mark.parametrize("slope", [-3.0, 0.0, 2.5])
@pytest.mark.parametrize("level", [0.31, 0.5, 0.69, 0.7])
def test_what_is_linear_in_the_loss_is_read_exactly(slope, level):
    ladder = Ladder({0.25: 1.3, 0.5: 0.7})
    place = ladder.climb(0.3, level)
    assert place.read(loss_of) == pytest.approx(level, abs=1e-12)
    read = place.read(lambda one: 4 + slope * one.train[0])
    assert read == pytest.approx(4 + slope * level, abs=1e-12)


def test_what_is_not_known_at_one_of_two_rungs_is_not_known_between():
    place = Between(low=solution(2.0, share=0.5), high=solution(1.0), level=1.5)
    assert math.isnan(place.read(lambda one: math.nan if one.share == 1 else 1.0))


@pytest.mark.parametrize(
    ("level", "asked", "between"),
    [
        (2.5, [0.1, 0.2], (0.1, 0.2)),
        (1.7, [0.1, 0.2, 0.4], (0.2, 0.4)),
        (1.2, [0.1, 0.2, 0.4, 0.8], (0.4, 0.8)),
        (0.9, [0.1, 0.2, 0.4, 0.8], (0.8, 1.0)),  # below the longest rung, above the end
        (3.5, [0.1], None),  # even the shortest training is below
        (0.5, [], (1.0, 1.0)),  # exactly at the end
        (0.4, [], None),  # above the level even at the end
    ],
)
def test_no_rung_is_trained_that_is_not_needed(level, asked, between):
    ladder = Ladder({0.1: 3.0, 0.2: 2.0, 0.4: 1.5, 0.8: 1.0})
    place = ladder.climb(0.5, level)
    assert ladder.asked == asked
    assert (place and (place.low.share, place.high.share)) == between


@pytest.mark.parametrize("share", [0.1, 0.2, 0.8])
def test_a_rung_at_the_level_is_the_place_itself(share):
    """The shortest one too: it has the level, so something can be said."""
    ladder = Ladder({0.1: 3.0, 0.2: 2.0, 0.8: 1.0})
    place = ladder.climb(0.5, ladder.losses[share])
    assert place.low is place.high
    assert place.low.share == share == ladder.asked[-1]
    assert place.read(loss_of) == place.level == ladder.losses[share]


def test_an_end_at_the_level_stands_for_itself():
    end = solution(1.5)
    place = climb(end, 1.5, Ladder({}), ())
    assert place.low is place.high is end
    assert place.read(loss_of) == place.level == 1.5
    assert place.way == 0


def test_an_end_above_the_level_says_nothing_there():
    """Nothing is extrapolated, and nothing trained."""
    ladder = Ladder({0.5: 0.1})
    assert ladder.climb(1.5, 1.0) is None
    assert ladder.asked == []


def test_without_rungs_only_the_end_can_be_read():
    assert climb(solution(0.5), 1.0, Ladder({}), ()) is None


@pytest.mark.parametrize(
    ("losses", "level", "between"),
    [
        ((2.0, 2.6, 1.0), 1.5, (0.2, 0.4)),  # the second training is worse than the first
        ((2.0, 1.2, 1.8), 1.5, (0.1, 0.2)),  # crosses twice: the first time counts
        ((1.2, 2.6, 1.0), 1.5, None),  # the shortest is below
        ((2.0, 1.8, 2.4), 1.5, (0.4, 1.0)),
    ],
)
def test_a_ladder_that_does_not_fall(losses, level, between):
    place = Ladder(dict(zip((0.1, 0.2, 0.4), losses, strict=True))).climb(0.5, level)
    assert (place and (place.low.share, place.high.share)) == between
    if place:
        assert place.low.train[0] >= place.level >= place.high.train[0]
        assert 0 <= place.way <= 1


def test_the_level_is_the_loss_of_the_worst():
    assert worst([solution(0.3), solution(1.2), solution(0.7)]) == 1.2
    assert worst([solution(0.3)]) == 0.3
