"""What the exits say of each test clip, and what its weights make of that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from redistill.errors import RedistillError
from redistill.exit_scores import FoldExits
from redistill.figures import NAMES
from redistill.methods.cascade import walk
from redistill.methods.wise import exits
from redistill.video.splits import Clip


@dataclass(frozen=True, eq=False)
class ClipScores:
    """What WISE makes of one test clip.

    Attributes:
        number: of the clip among all test clips, from 1.
        clip: its name and file.
        label: its class.
        logits: z (12, K) float64, the exits in order.
        weights: (12, 12) float64, row k-1 for the first k exits.
        scores: u (12, K) float64, as the ensemble has them.
        threshold: of its fold, at equal mean cost of validation clips.
        left: exit at which it leaves under that threshold, from 0.
        says: class that WISE says after each exit.
        says_alone: class that each exit says by itself.
        names: of the exits, "motion 1".
    """

    number: int
    clip: Clip
    label: int
    logits: Tensor
    weights: Tensor
    scores: Tensor
    threshold: float
    left: int
    says: list[int]
    says_alone: list[int]
    names: tuple[str, ...]

    @property
    def shares(self) -> Tensor:
        """Probability of each class after each exit, by all exits passed, (12, K)."""
        return self.scores.softmax(-1)

    @property
    def alone(self) -> Tensor:
        """Probability of each class by each exit alone, (12, K)."""
        return self.logits.softmax(-1)

    @property
    def right(self) -> bool:
        """Whether the class that it leaves with is its own."""
        return self.says[self.left] == self.label

    @property
    def saved(self) -> bool:
        """Whether it leaves rightly where that exit alone would be wrong."""
        return self.right and self.says_alone[self.left] != self.label

    @property
    def hasty(self) -> bool:
        """Whether it leaves early and wrongly."""
        return not self.right and self.left < len(self.scores) - 1

    @property
    def regretted(self) -> bool:
        """Whether it leaves wrongly, and the last exit would have been right."""
        return self.hasty and self.says[-1] == self.label

    def parts(self, after: int, label: int) -> list[float]:
        """Return what each of the first ``after`` exits adds to the score of a class."""
        return (self.weights[after - 1, :after] * self.logits[:after, label]).tolist()

    def rival(self, after: int) -> int:
        """Return the true class, or where that is said after so many exits, the second best."""
        if self.says[after - 1] != self.label:
            return self.label
        others = self.scores[after - 1].clone()
        others[self.label] = -torch.inf
        return int(others.argmax())


def clip_scores(
    folds: Sequence[FoldExits], clips: Sequence[Sequence[Clip]], *, arm: str, classes: Sequence[str]
) -> tuple[ClipScores, ...]:
    """Return what WISE makes of all test clips, fold after fold.

    Weights and thresholds are those of ``FoldExits.ensembles`` and ``FoldExits.threshold``; the
    labels are the folds' own, so that sealed labels are not read again.

    Args:
        folds: what the exits say.
        clips: of each fold, the test clips in the order of its tensors, without those that failed
            to decode.
        arm: whose classifiers.
        classes: names of the classes.

    Raises:
        RedistillError: clips that do not fit the folds, or an arm that they do not have.
    """
    if not folds or len(folds) != len(clips):
        raise RedistillError(
            f"{len(folds)} folds and test clips of {len(clips)}; give at least one fold, and its "
            "clips for each"
        )
    found: list[ClipScores] = []
    for fold, own in zip(folds, clips, strict=True):
        _check(fold, own, arm, classes)
        found += _of_fold(fold, own, arm, start=len(found) + 1)
    return tuple(found)


def _check(fold: FoldExits, clips: Sequence[Clip], arm: str, classes: Sequence[str]) -> None:
    known = fold.logits["test"]
    if arm not in known:
        raise RedistillError(f"fold {fold.fold} has no arm {arm!r}; it has {', '.join(known)}")
    labels = fold.labels["test"].tolist()
    _, count, width = next(iter(known[arm].values())).shape
    if len(clips) != count or not count:
        raise RedistillError(
            f"fold {fold.fold} has scores of {count} test clips and {len(clips)} clips are given; "
            "give those of its split, at least one, without the ones that failed to decode"
        )
    if len(classes) != width:
        raise RedistillError(
            f"fold {fold.fold} has scores of {width} classes and {len(classes)} class names are "
            "given; give the classes of the catalogue"
        )
    for clip, label in zip(clips, labels, strict=True):
        if clip.label not in (-1, label):
            raise RedistillError(
                f"clip {clip.id} has label {clip.label}, and fold {fold.fold} has {label} in its "
                "place; give the clips in the order in which they were predicted"
            )


def _of_fold(fold: FoldExits, clips: Sequence[Clip], arm: str, *, start: int) -> list[ClipScores]:
    wise = fold.ensembles(arm, names=["wise"])["wise"]
    threshold = fold.threshold(wise)
    logits, scores = fold.stacked(arm)["test"].double(), wise.scores["test"]
    left = walk(scores, threshold).exit.tolist()
    says, says_alone = (each.argmax(-1).T.tolist() for each in (scores, logits))
    labels, scores = fold.labels["test"].tolist(), scores.double()
    names = tuple(f"{NAMES[m]} {number}" for m, number in exits(fold.order))
    about = {"weights": wise.weights.double(), "threshold": threshold, "names": names}
    return [
        ClipScores(
            number=start + n,
            clip=clip,
            label=labels[n],
            logits=logits[:, n],
            scores=scores[:, n],
            left=left[n],
            says=says[n],
            says_alone=says_alone[n],
            **about,
        )
        for n, clip in enumerate(clips)
    ]


KINDS: dict[str, Callable[[ClipScores], bool]] = {
    "all clips": lambda clip: True,
    "wrong where they leave": lambda clip: not clip.right,
    "wrong and early": lambda clip: clip.hasty,
    "wrong and early, right at the end": lambda clip: clip.regretted,
    "right by weighting alone": lambda clip: clip.saved,
}


def kinds(found: Sequence[ClipScores]) -> dict[str, tuple[int, ...]]:
    """Return the places of the clips of each kind that there is."""
    groups = {
        name: tuple(n for n, clip in enumerate(found) if of_kind(clip))
        for name, of_kind in KINDS.items()
    }
    return {name: members for name, members in groups.items() if members}


def telling(found: Sequence[ClipScores]) -> int:
    """Return the place of the clip to begin with: wrong early and right at the end, if any is."""
    tests: tuple[Callable[[ClipScores], bool], ...] = (
        lambda clip: clip.regretted,
        lambda clip: clip.right and clip.says[0] != clip.label,
        lambda clip: clip.saved,
        lambda clip: True,
    )
    return next(n for test in tests for n, clip in enumerate(found) if test(clip))


def exit_lines(clip: ClipScores, classes: Sequence[str]) -> pd.DataFrame:
    """Return one line an exit.

    Returns:
        Columns after, exit; says (class by WISE), share (its probability); alone, own_share (of
        the exit by itself); part (what the exit adds to the last score of the true class).
    """
    rows = zip(
        range(1, len(clip.names) + 1),
        clip.names,
        [classes[label] for label in clip.says],
        clip.shares.amax(-1).tolist(),
        [classes[label] for label in clip.says_alone],
        clip.alone.amax(-1).tolist(),
        clip.parts(len(clip.names), clip.label),
        strict=True,
    )
    names = ["after", "exit", "says", "share", "alone", "own_share", "part"]
    return pd.DataFrame(rows, columns=names).round(4)


def short(name: str, letters: int = 21) -> str:
    """Return a name that fits beside its bar: of a long one, how it begins and ends."""
    half = (letters - 1) // 2
    return name if len(name) <= letters else f"{name[: letters - 1 - half]}…{name[-half:]}"
