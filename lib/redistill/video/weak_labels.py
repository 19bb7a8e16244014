"""Weak labels for the training clips of any data set; the truth is sealed.

Source: spec/substage.md 1; spec/synthetic.md 5.  Nothing past this module sees the labels that
the clips carry: it gets initial labels, which clips are trusted, and a sealed truth to report on.

- ``few``: a share of each class is trusted, the rest has no label.
- ``noisy``: all have a label; of those not trusted a stated share is wrong.
- ``sources``: labelling functions vote; no vote or a tie leaves a clip without a label.
- ``inexact``: all have their clip's label, and what is weak is that the action shows in some GOPs
  only, so that a network may look where nothing happens.  As labels of clips all of them are
  right: refinement can do harm here, or none, but cannot gain.  Accuracy of labels decides
  nothing in this mode; the student's does.
- ``full``: all are trusted (the upper bound).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from redistill.errors import ConfigError, nearest
from redistill.video.keyed import order
from redistill.video.sealed import SealedLabels
from redistill.video.splits import Clip
from redistill.video.synthetic.factors import plan
from redistill.video.synthetic.spec import SyntheticSpec
from redistill.video.synthetic.weak import ABSTAIN, few, flip, labels_of, lookalikes, noisy, vote
from redistill.video.synthetic.write import Row

MODES = ("few", "noisy", "sources", "inexact", "full")
KINDS = ("symmetric", "confusable")
LOOKALIKES = 2  # classes that a simulated source takes for a class, where no world says which


@dataclass(frozen=True, eq=False)
class WeakLabels:
    """What may be known of the labels of N training clips.

    Attributes:
        initial: int64 (N,), a class, or -1 where there is no label.
        trusted: bool (N,): verified, so that the initial label is the true one.
        truth: sealed; for reporting only, and every read is counted.
        mode: one of ``MODES``.
    """

    initial: np.ndarray
    trusted: np.ndarray
    truth: SealedLabels
    mode: str


def weaken(
    clips: Sequence[Clip],
    *,
    classes: int,
    mode: str,
    seed: int,
    label_frac: float = 0.1,
    noise_rate: float = 0.4,
    noise_kind: str = "symmetric",
    trusted_share: float = 0.05,
    accuracy: Sequence[float] = (0.7, 0.75, 0.65),
    coverage: Sequence[float] = (0.8, 0.7, 0.9),
    spec: SyntheticSpec | None = None,
) -> WeakLabels:
    """Return weak labels of the training clips, in their order.

    Draws are keyed by seed and clip, so the order of the clips plays no part.  A smaller
    ``label_frac`` trusts a subset of what a larger one does, a smaller ``noise_rate`` errs on one.

    Args:
        clips: of the training side only; validation stays trusted.
        classes: their number.
        mode: one of ``MODES``.
        seed: of the draws.
        label_frac: ``few``: share of each class that is trusted, whole groups first, at least
            one clip.
        noise_rate: ``noisy``: share of wrong labels among the clips not trusted.
        noise_kind: ``symmetric`` (any other class) or ``confusable`` (with ``spec`` the class of
            the same appearance; otherwise the next one, a pair flip).
        trusted_share: trusted share of each class in ``noisy``, ``sources`` and ``inexact``.
        accuracy: ``sources``: probability that a vote is right, per source.
        coverage: ``sources``: probability that a source votes.
        spec: the synthetic set that the clips are of, where they are.

    Raises:
        ConfigError: a setting with which there are no such labels.
    """
    rows = [{"clip": c.id, "group": c.group, "label": c.label} for c in clips]
    truth = labels_of(rows)
    _check_classes(truth, classes, spec)
    _choose("mode", mode, MODES)
    share = {"few": label_frac, "full": 1.0}.get(mode, trusted_share)
    name = "label_frac" if mode == "few" else "trusted_share"
    _within(name, share, 0 < share <= 1, "above 0 and at most 1")
    trusted, initial = few(rows, fraction=share, seed=seed), truth.copy()
    rest = [row for row, known in zip(rows, trusted, strict=True) if not known]
    if mode == "few":
        initial[~trusted] = ABSTAIN
    elif mode == "noisy":
        initial[~trusted] = _noisy(rest, classes, noise_rate, noise_kind, seed, spec)
    elif mode == "sources":
        initial[~trusted] = _sources(rest, classes, accuracy, coverage, seed, spec)
    elif mode == "inexact" and not (spec and spec.inexact):
        raise ConfigError(
            "weak labels of mode 'inexact' need clips in which the action fills some GOPs only: "
            "open the synthetic set with inexact = True and give its spec; for other clips choose "
            "few, noisy or sources"
        )
    return WeakLabels(initial, trusted, SealedLabels(truth), mode)


def majority(votes: np.ndarray, classes: int) -> np.ndarray:
    """Return the class with most votes, int64 (N,); -1 at a tie or without votes.

    Args:
        votes: int64 (N, M), a class or -1.
        classes: at least 2.
    """
    counts = (votes[:, :, None] == np.arange(classes)).sum(1)
    tied = (counts == counts.max(1, keepdims=True)).sum(1) > 1
    return np.where(tied, ABSTAIN, counts.argmax(1))


def _noisy(
    rows: Sequence[Row], classes: int, rate: float, kind: str, seed: int, spec: SyntheticSpec | None
) -> np.ndarray:
    _choose("noise_kind", kind, KINDS)
    _within("noise_rate", rate, 0 <= rate < 1, "at least 0 and below 1")
    if kind == "confusable" and spec is not None:
        factors = {clip.clip: clip.row() for clip in plan(spec)}
        strange = [row["clip"] for row in rows if row["clip"] not in factors]
        if strange:
            raise ConfigError(
                f"clip {strange[0]} is not of the synthetic set whose spec is given; give the spec "
                "that the catalogue was opened with, or none for other data"
            )
        # The clip's own label last: a sham control has permuted it.
        whole = [factors[row["clip"]] | row for row in rows]
        return noisy(spec, whole, rate=rate, kind=kind, seed=seed)
    other = None if kind == "symmetric" else lambda label: (label + 1) % classes
    names = [row["clip"] for row in rows]
    return flip(labels_of(rows), names, classes=classes, rate=rate, seed=seed, other=other)


def _sources(
    rows: Sequence[Row],
    classes: int,
    accuracy: Sequence[float],
    coverage: Sequence[float],
    seed: int,
    spec: SyntheticSpec | None,
) -> np.ndarray:
    if not accuracy or len(accuracy) != len(coverage) or (spec and len(accuracy) != 3):
        raise ConfigError(
            f"accuracy {tuple(accuracy)} and coverage {tuple(coverage)}: give one number of each "
            "for every source (three of each for a synthetic set)"
        )
    for name, rates in (("accuracy", accuracy), ("coverage", coverage)):
        for rate in rates:
            _within(f"{name} of a source", rate, 0 <= rate <= 1, "from 0 to 1")
    alike = partial(_drawn_alike, classes, len(accuracy), seed)
    if spec is not None:
        alike = partial(lookalikes, spec)
    labels, names = labels_of(rows), [row["clip"] for row in rows]
    votes = vote(labels, names, alike, seed=seed, accuracy=accuracy, coverage=coverage)
    heard = set(labels[(votes != ABSTAIN).any(1)].tolist())
    silent = sorted(set(labels.tolist()) - heard)
    if silent:
        raise ConfigError(
            f"coverage {tuple(coverage)}: no source votes on any clip of class {_listed(silent)} "
            f"(seed {seed}); raise the coverage (0.4 to 0.9 each is usual) or give more clips"
        )
    return majority(votes, classes)


def _drawn_alike(classes: int, sources: int, seed: int, label: int) -> list[list[int]]:
    """Return for each source the classes that it takes for ``label``: drawn once per seed."""
    steps = [order(classes - 1, "look-alikes", seed, k, label)[:LOOKALIKES] for k in range(sources)]
    return [[int((label + 1 + step) % classes) for step in drawn] for drawn in steps]


def _check_classes(truth: np.ndarray, classes: int, spec: SyntheticSpec | None) -> None:
    if classes < 2:
        raise ConfigError(f"classes = {classes}: weak labels need at least 2 classes")
    if spec is not None and len(spec.classes) != classes:
        raise ConfigError(
            f"classes = {classes}, but the synthetic spec given has {len(spec.classes)} "
            f"({spec.world}); give the spec that the catalogue was opened with"
        )
    wrong = sorted(set(truth.tolist()) - set(range(classes)))
    if wrong:
        raise ConfigError(
            f"clips carry the label {_listed(wrong)}, of {classes} classes from 0; sealed clips "
            "(-1) cannot be weakened: hand on the training clips of a split"
        )
    empty = sorted(set(range(classes)) - set(truth.tolist()))
    if empty:
        raise ConfigError(
            f"class {_listed(empty)} has no training clips, so none can be trusted; add clips of "
            "it, or leave the class out"
        )


def _choose(what: str, value: str, options: Sequence[str]) -> None:
    if value not in options:
        raise ConfigError(
            f"weak labels of {what} {value!r}: choose from {', '.join(options)}."
            f"{nearest(str(value), options)}"
        )


def _within(what: str, value: float, holds: bool, expected: str) -> None:
    if not holds:
        raise ConfigError(f"{what} = {value}: must be {expected}")


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
