"""What every setting of the thresholds does to every test clip: looked up, never computed anew.

Two cascades are compared.  ``wise`` weighs the exits passed so far; ``plain_fused`` lets each exit
speak for itself and ends, as late fusion does, on 2:1:1 of the three final classifiers: the
stronger and so the fairer of the two plain ones (``plain`` ends on the I-frame network alone).
A level is a threshold, or EQUAL: that which validation clips put at the cost of the networks
without internal classifiers (ICs), in each fold its own.
Source: spec/progressive.md 5.2 and 8.1 item 9.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from redistill.errors import RedistillError, nearest
from redistill.exit_scores import FoldExits
from redistill.methods.wise import EXITS, order_of

WISE, PLAIN, FUSION = "wise", "plain_fused", "fusion_211"
EQUAL = "equal"
Level = float | str
LEVELS: tuple[float, ...] = (  # close together where softmaxes crowd
    *(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995),
    *(0.999, 0.9999, 0.99999, 0.999999, 1.0),
)


@dataclass(frozen=True)
class Outcome:
    """Where each test clip leaves under one setting.

    Attributes:
        exit: (N,) from 0 to 11.
        right: (N,) whether the answer given there is right.
        last: (N,) whether the last exit would have been right.
        macs: mean of a video.
        milliseconds: mean of a video, or None where nobody measured.
    """

    exit: NDArray
    right: NDArray
    last: NDArray
    macs: float
    milliseconds: float | None

    @property
    def early(self) -> NDArray:
        """Who leaves before the last exit, (N,)."""
        return self.exit < 3 * EXITS - 1

    @property
    def spoiled(self) -> NDArray:
        """Whom leaving early makes wrong: the last exit is right, (N,)."""
        return self.early & ~self.right & self.last

    @property
    def saved(self) -> NDArray:
        """Whom leaving early makes right: the last exit is wrong, (N,)."""
        return self.early & self.right & ~self.last


@dataclass(frozen=True)
class ExitsTable:
    """Confidence and correctness of the test clips of all folds at all 12 exits.

    Attributes:
        order: modalities, in the order in which their networks are asked.
        fold: (N,) which fold each clip is of, from 0.
        confidence: cascade to (12, N) float64, largest softmax.
        right: cascade to (12, N).
        equal: cascade to (F,), the thresholds that validation clips put at equal cost.
        costs: (F, 12) MACs of a video that leaves at each exit.
        plain: MACs of a video through the three networks without ICs, mean over clips.
        fused: accuracy of late fusion, 2:1:1, which needs no IC.
        times: (12,) milliseconds of a video that leaves at each exit, or None.
    """

    order: tuple[str, ...]
    fold: NDArray
    confidence: Mapping[str, NDArray]
    right: Mapping[str, NDArray]
    equal: Mapping[str, NDArray]
    costs: NDArray
    plain: float
    fused: float
    times: NDArray | None

    def levels(self, cascade: str) -> tuple[Level, ...]:
        """Return all levels in ascending order of their (median) thresholds."""
        middle = float(np.median(self.equal[cascade]))
        place = sum(level <= middle for level in LEVELS[:-1])
        return (*LEVELS[:place], EQUAL, *LEVELS[place:])

    def limits(self, cascade: str, level: Level) -> NDArray:
        """Return the threshold that each clip meets at this level, (N,)."""
        if level == EQUAL:
            return self.equal[cascade][self.fold]
        return np.full(len(self.fold), float(level))

    def outcome(self, cascade: str, levels: Sequence[Level]) -> Outcome:
        """Send every clip through the exits; one level for each network, in order."""
        sure, right = self.confidence[cascade], self.right[cascade]
        limits = np.stack([self.limits(cascade, level) for level in levels])
        opened = sure > limits.repeat(EXITS, axis=0)
        opened[-1] = True  # the last exit takes the rest
        exit = opened.argmax(0)
        clips = np.arange(len(exit))
        macs = float(self.costs[self.fold, exit].mean())
        times = None if self.times is None else float(self.times[exit].mean())
        return Outcome(exit, right[exit, clips], right[-1], macs, times)

    def curve(self, cascade: str) -> pd.DataFrame:
        """Return what one threshold for all networks gives, over all levels.

        Returns:
            Columns variant, threshold (a text), accuracy, macs, early, spoiled, saved; all but
            the MACs are shares of the test clips.
        """
        lines = []
        for level in self.levels(cascade):
            found = self.outcome(cascade, [level] * len(self.order))
            shares = [found.early.mean(), found.spoiled.mean(), found.saved.mean()]
            name = "equal cost" if level == EQUAL else f"{level:.7g}"
            lines.append((cascade, name, found.right.mean(), found.macs, *shares))
        names = ["variant", "threshold", "accuracy", "macs", "early", "spoiled", "saved"]
        return pd.DataFrame(lines, columns=names).round(4).round({"macs": 0})

    def extremes(self) -> tuple[float, float]:
        """Return the lowest and the highest accuracy of all settings, so that axes can be fixed."""
        ends = [self.fused]
        for cascade in (WISE, PLAIN):
            limits = np.stack([self.limits(cascade, x) for x in self.levels(cascade)])
            hits, stays = zip(*(self._network(cascade, k, limits) for k in range(3)), strict=True)
            both = (stays[0][:, None] * stays[1]).reshape(-1, len(self.fold))
            shape = (len(limits),) * 3
            third = (both @ hits[2].T).reshape(shape)
            summed = hits[0].sum(1)[:, None, None] + (stays[0] @ hits[1].T)[..., None] + third
            ends += [summed.min() / len(self.fold), summed.max() / len(self.fold)]
        return float(min(ends)), float(max(ends))

    def _network(self, cascade: str, number: int, limits: NDArray) -> tuple[NDArray, NDArray]:
        """Return who answers right in a network, and who passes it, under limits (L, N)."""
        part = slice(number * EXITS, (number + 1) * EXITS)
        opened = self.confidence[cascade][part] > limits[:, None]
        opened[:, -1] |= number == len(self.order) - 1
        at, left = opened.argmax(1), opened.any(1)
        right = self.right[cascade][part][at, np.arange(len(self.fold))]
        return (right & left).astype(np.float32), (~left).astype(np.float32)


def exits_table(
    folds: Sequence[FoldExits],
    *,
    arm: str | None = None,
    milliseconds: Mapping[str, Sequence[float]] | None = None,
) -> ExitsTable:
    """Fit both cascades in each fold on its validation clips, and ask them about the test clips.

    Args:
        folds: of all folds, asked in one order.
        arm: whose ICs; None: the only arm there is.
        milliseconds: modality to the times of a video to each of the 4 exits of its network.

    Raises:
        RedistillError: no folds, no such arm, folds of unlike order, times that do not fit.
    """
    arm = _arm(folds, arm)
    if len({fold.order for fold in folds}) > 1:
        raise RedistillError("folds ask their networks in unlike orders; give folds of one order")
    order = order_of(folds[0].order)
    fitted = [fold.ensembles(arm, names=(WISE, PLAIN, FUSION)) for fold in folds]
    labels = [fold.labels["test"].cpu().numpy() for fold in folds]
    sizes = [len(each) for each in labels]
    sure, right, equal = {}, {}, {}
    for name in (WISE, PLAIN, FUSION):
        scores = [found[name].scores["test"].double().softmax(-1).cpu() for found in fitted]
        sure[name] = np.concatenate([each.amax(-1).numpy() for each in scores], axis=1)
        said = [each[name].scores["test"].argmax(-1).cpu().numpy() for each in fitted]
        right[name] = np.concatenate([a == b for a, b in zip(said, labels, strict=True)], axis=1)
    for name in (WISE, PLAIN):
        both = zip(folds, fitted, strict=True)
        equal[name] = np.array([fold.threshold(found[name]) for fold, found in both])
    return ExitsTable(
        order=order,
        fold=np.repeat(np.arange(len(folds)), sizes),
        confidence=sure,
        right=right,
        equal=equal,
        costs=np.array([fold.costs for fold in folds], dtype=np.float64),
        plain=float(np.average([fold.plain for fold in folds], weights=sizes)),
        fused=float(right[FUSION].mean()),
        times=None if milliseconds is None else _times(milliseconds, order),
    )


def _arm(folds: Sequence[FoldExits], arm: str | None) -> str:
    """Return the arm to show; raise if there is none of that name, or several to choose from."""
    known = list(folds[0].logits["test"]) if folds else []
    if arm is None and len(known) == 1:
        return known[0]
    if arm not in known:
        raise RedistillError(
            f"exit explorer: no arm {arm!r}; there are exits of {', '.join(known) or 'none'}. "
            f"Name one of these.{nearest(str(arm), known)}"
        )
    return arm


def _times(milliseconds: Mapping[str, Sequence[float]], order: Sequence[str]) -> NDArray:
    """Return the time of a video to each of the 12 exits: those before it in full."""
    own = [np.asarray(milliseconds.get(name, ()), dtype=np.float64) for name in order]
    for name, each in zip(order, own, strict=True):
        if each.shape != (EXITS,) or not (each > 0).all() or not np.isfinite(each).all():
            raise RedistillError(
                f"milliseconds of network {name!r} are {each.tolist()}; give {EXITS} times above "
                "0, one for each exit, as exit_milliseconds measures them"
            )
    before = np.cumsum([0.0, *(each[-1] for each in own[:-1])])
    return np.concatenate([each + past for each, past in zip(own, before, strict=True)])
