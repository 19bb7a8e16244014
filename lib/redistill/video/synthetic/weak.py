"""Scarce and weak labels for the training clips: pure functions of the manifest (spec 5).

Each takes the manifest's rows of one split and a seed and returns arrays in the order of the
rows.  What is true stays in the manifest and in ``truth.csv``; hand it on as ``SealedLabels``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from redistill.errors import CatalogError
from redistill.video.keyed import below, order, unit
from redistill.video.synthetic.spec import FRAMES, GOP, SyntheticSpec
from redistill.video.synthetic.write import Row

ABSTAIN = -1


def labels_of(rows: Sequence[Row]) -> np.ndarray:
    """Return the true labels, int64 (N,)."""
    return np.array([int(row["label"]) for row in rows], np.int64)


def few(rows: Sequence[Row], *, fraction: float, seed: int) -> np.ndarray:
    """Return which clips keep their label, bool (N,).

    Per class round(fraction * n) clips, at least one, from as few groups as they fill; a smaller
    fraction keeps a subset of what a larger one keeps.
    """
    if not 0 < fraction <= 1:
        raise CatalogError(f"fraction = {fraction}: must lie above 0 and at most at 1")
    labels, kept = labels_of(rows), np.zeros(len(rows), bool)
    draws = [[below(1 << 60, "few", seed, row[name]) for name in ("group", "clip")] for row in rows]
    for label in np.unique(labels):
        members = sorted(np.flatnonzero(labels == label), key=draws.__getitem__)
        kept[members[: max(1, round(fraction * len(members)))]] = True
    return kept


def noisy(
    spec: SyntheticSpec, rows: Sequence[Row], *, rate: float, kind: str, seed: int
) -> np.ndarray:
    """Return labels of which round(rate * N) are wrong, int64 (N,).

    ``symmetric``: any other class.  ``confusable``: the partner class, which shares the
    appearance and differs in its motion (in ``motion_led`` the motion of the same axis); clips
    under a moving camera, or whose first distractor moves otherwise than the target, are three
    times as likely each.
    """
    if kind not in ("symmetric", "confusable") or not 0 <= rate < 1:
        raise CatalogError(
            f"noisy labels of kind {kind!r} at rate {rate}: give 'symmetric' or 'confusable' and "
            "a rate from 0 to below 1"
        )
    labels, names = labels_of(rows), [row["clip"] for row in rows]
    common = {"classes": len(spec.classes), "rate": rate, "seed": seed}
    if kind == "symmetric":
        return flip(labels, names, **common)
    odds = [_odds(row) for row in rows]
    return flip(labels, names, other=partial(partner, spec), odds=odds, **common)


def flip(
    labels: np.ndarray,
    names: Sequence[str],
    *,
    classes: int,
    rate: float,
    seed: int,
    other: Callable[[int], int] | None = None,
    odds: Sequence[float] | None = None,
) -> np.ndarray:
    """Return ``labels`` of which round(rate * N) are wrong, int64 (N,); any data set.

    A larger rate keeps the wrong labels of a smaller one.

    Args:
        labels: true, int64 (N,).
        names: of the clips: what the draws depend on.
        classes: their number.
        rate: share of wrong labels.
        seed: of the draws.
        other: the wrong class of a class; None draws any other class.
        odds: how much likelier than others a clip is to be hit; None: all alike.
    """
    wrong = labels.copy()
    # Exponential clocks: those that ring first are a weighted draw without replacement.
    rings = np.array([-np.log1p(-unit("noisy", seed, name)) for name in names])
    hit = np.argsort(rings / (1.0 if odds is None else np.array(odds)))
    for index in hit[: round(rate * len(names))]:
        if other is not None:
            wrong[index] = other(int(labels[index]))
        else:
            wrong[index] += 1 + below(classes - 1, "wrong", seed, names[index])
    return wrong % classes


def _odds(row: Row) -> float:
    moving = int(row["pan_x"]) != 0 or int(row["pan_y"]) != 0
    misled = row.get("distractor1_motion", row["target_motion"]) != row["target_motion"]
    return 3.0**moving * 3.0**misled


def partner(spec: SyntheticSpec, label: int) -> int:
    """Return the class that is most easily taken for ``label``: classes come in such pairs."""
    other = label ^ 1
    return other if other < len(spec.classes) else label - 1


def inexact(rows: Sequence[Row]) -> np.ndarray:
    """Return the initial label of every GOP, int64 (N, 4): that of its clip.

    Use with a set of ``SyntheticSpec(inexact=True)``; which GOPs truly show the action is the
    column ``active_gops`` of ``truth.csv``.
    """
    return np.repeat(labels_of(rows)[:, None], FRAMES // GOP, axis=1)


@dataclass(frozen=True)
class Sources:
    """Votes of labelling functions.

    Attributes:
        names: what each function looks at.
        votes: int64 (N, 3), a class or ``ABSTAIN``.
        accuracy: probability that a vote is right, per function.
        coverage: probability that a function votes.
    """

    names: tuple[str, ...]
    votes: np.ndarray
    accuracy: tuple[float, ...]
    coverage: tuple[float, ...]


def sources(
    spec: SyntheticSpec,
    rows: Sequence[Row],
    *,
    seed: int,
    accuracy: tuple[float, float, float] = (0.7, 0.75, 0.65),
    coverage: tuple[float, float, float] = (0.8, 0.7, 0.9),
    correlation: float = 0.5,
) -> Sources:
    """Simulate three labelling functions whose errors fall on the same clips.

    A wrong vote is a class that looks the same to the function: of the same shape (blind to
    colour and texture), the partner in motion sign, the next scene.  With probability
    ``correlation`` a function errs by the clip's common difficulty instead of its own luck.
    """
    votes = vote(
        labels_of(rows),
        [row["clip"] for row in rows],
        partial(lookalikes, spec),
        seed=seed,
        accuracy=accuracy,
        coverage=coverage,
        correlation=correlation,
    )
    return Sources(("shape", "motion sign", "scene"), votes, accuracy, coverage)


def vote(
    labels: np.ndarray,
    names: Sequence[str],
    alike: Callable[[int], Sequence[Sequence[int]]],
    *,
    seed: int,
    accuracy: Sequence[float],
    coverage: Sequence[float],
    correlation: float = 0.5,
) -> np.ndarray:
    """Return the votes of M labelling functions, int64 (N, M), or ``ABSTAIN``; any data set.

    Args:
        labels: true, int64 (N,).
        names: of the clips: what the draws depend on.
        alike: for a class and each function the classes that it takes for it.
        seed: of the draws.
        accuracy: probability that a vote is right, per function.
        coverage: probability that a function votes.
        correlation: probability that it errs by the clip's common difficulty.
    """
    votes = np.full((len(names), len(accuracy)), ABSTAIN, np.int64)
    for index, (name, label) in enumerate(zip(names, labels.tolist(), strict=True)):
        key = (seed, name)
        common = unit("difficulty", *key)
        for k, confused in enumerate(alike(label)):
            if unit("votes", *key, k) >= coverage[k]:
                continue
            shared = unit("shared", *key, k) < correlation
            luck = common if shared else unit("luck", *key, k)
            wrong = confused[below(len(confused), "alike", *key, k)]
            votes[index, k] = label if luck < accuracy[k] else wrong
    return votes


def lookalikes(spec: SyntheticSpec, label: int) -> tuple[list[int], list[int], list[int]]:
    """Return for each of the three functions the classes that look like ``label`` to it."""
    count = len(spec.classes)
    per_shape = 1 if spec.world == "motion_led" else count // 3
    first = label // per_shape * per_shape
    shape = [c for c in range(first, first + per_shape) if c != label]
    others = [c for c in range(count) if c != label]
    return shape or others, [partner(spec, label)], [(label + 1) % count]


def permuted(rows: Sequence[Row], *, seed: int) -> np.ndarray:
    """Return the labels in a random order (sham control: every arm at chance)."""
    return labels_of(rows)[order(len(rows), "permuted", seed)]
