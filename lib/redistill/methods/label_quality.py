"""Soft labels of a weakly labelled pool, those before any refinement, and how good they are.

Source: spec/substage.md 1, 5 and 11 (baseline B2); claim S7.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from redistill.errors import ConfigError
from redistill.video.weak_labels import WeakLabels

BINS = 15
SMALLEST = 1e-6  # of a label's probability inside the logarithm: a one-hot label may be wrong


@dataclass(frozen=True, eq=False)
class SoftLabels:
    """Labels of a pool of N clips over K classes.

    Attributes:
        q: (N, K) float32, rows on the simplex.
        w: (N,) float32, weight in the loss, 0 to 1.
        selected: (N,) bool: counts as labelled; trusted, or the gate is open (before any gate:
            has a label).
        uncertainty: (N,) float32, 0 to 1, of the views that made the label; 0 of a label given,
            1 where nothing is known.
        round: of refinement; 0 before the first.
    """

    q: Tensor
    w: Tensor
    selected: Tensor
    uncertainty: Tensor
    round: int


def initial_labels(weak: WeakLabels, classes: int) -> SoftLabels:
    """Return the labels before any refinement.

    One-hot of weight 1 where there is a label, uniform of weight 0 where there is none.

    Raises:
        ConfigError: a label beyond ``classes``.
    """
    return _filled(weak, torch.full((len(weak.initial), classes), 1 / classes), weight=0.0)


def raw_labels(weak: WeakLabels, probabilities: Tensor) -> SoftLabels:
    """Return raw pseudo-labels: the hard prediction, weight 1, where there is no label.

    Args:
        weak: initial labels; those given stay as they are.
        probabilities: (N, K) of one view.

    Raises:
        ConfigError: no probabilities of these clips, or a label beyond K.
    """
    (view,) = as_views(probabilities[None], len(weak.initial))
    labels = F.one_hot(view.argmax(1), view.shape[1]).float()
    return _filled(weak, labels, weight=1.0)


def as_views(views: Tensor, clips: int, classes: int | None = None) -> Tensor:
    """Return probabilities (S, N, K) in float64 on the CPU, where sums are exact enough to rank.

    Raises:
        ConfigError: another shape, or rows that are no distributions.
    """
    wanted = (clips, views.shape[-1] if classes is None else classes)
    if views.ndim != 3 or tuple(views.shape[1:]) != wanted or not views.numel():
        raise ConfigError(
            f"views of shape {tuple(views.shape)}: expected (views, {wanted[0]} clips, "
            f"{wanted[1]} classes), the clips in the order of the labels"
        )
    views = views.detach().to("cpu", torch.float64)
    if not (views.sum(2) - 1).abs().max() < 1e-3 or views.min() < 0:
        raise ConfigError(
            "views are not probabilities (a row does not sum to 1, is negative or not finite); "
            "give the softmax of the logits"
        )
    return views / views.sum(2, keepdim=True)  # float32 rows sum to 1 only nearly


def _filled(weak: WeakLabels, others: Tensor, *, weight: float) -> SoftLabels:
    """Return the initial labels; ``others`` (N, K), of ``weight``, where there is none."""
    initial = torch.tensor(weak.initial)
    hidden, classes = initial < 0, others.shape[1]
    if (initial >= classes).any():
        raise ConfigError(
            f"initial label {initial.max()} among {classes} classes, which count from 0; give the "
            "number of classes that the labels were weakened with"
        )
    own = F.one_hot(initial.clamp(min=0), classes).float()
    return SoftLabels(
        q=torch.where(hidden[:, None], others, own),
        w=torch.where(hidden, weight, 1.0),
        selected=~hidden | (weight > 0),
        uncertainty=hidden.float(),
        round=0,
    )


@dataclass(frozen=True)
class LabelQuality:
    """How good the labels of the clips are that are not trusted.

    Attributes:
        round: of refinement.
        clips: how many are judged.
        accuracy: share whose most probable class is the true one; a tie of m classes, among them
            the true one, counts 1/m, so that no label at all scores chance.
        selected_accuracy: the same over the clips selected; NaN where none is.
        coverage: share selected.
        ece: expected calibration error, 15 equal bins of the largest probability.
        log_likelihood: mean log probability of the true class in nats, each clamped from below
            at 1e-6 (about -13.8 nats): what a wrong one-hot label costs is this convention's.
    """

    round: int
    clips: int
    accuracy: float
    selected_accuracy: float
    coverage: float
    ece: float
    log_likelihood: float


def label_quality(labels: SoftLabels, truth: np.ndarray, *, trusted: np.ndarray) -> LabelQuality:
    """Judge labels against the truth.

    Args:
        labels: of N clips.
        truth: int64 (N,), opened by the caller.
        trusted: bool (N,); these clips are left out, for their label was given.

    Raises:
        ConfigError: arrays that do not fit, or no clip to judge.
    """
    n, classes = labels.q.shape
    truth = np.asarray(truth)
    if truth.shape != (n,) or np.shape(trusted) != (n,):
        raise ConfigError(
            f"truth {truth.shape} and trusted {np.shape(trusted)} beside labels of {n} clips; "
            "give all for the same clips in the same order"
        )
    if truth.min() < 0 or truth.max() >= classes:
        raise ConfigError(f"truth from {truth.min()} to {truth.max()} beside {classes} classes")
    rest = ~np.asarray(trusted)
    if not rest.any():
        raise ConfigError("every clip is trusted, so no label is uncertain; do not ask its quality")
    q = labels.q.double().numpy()[rest]
    selected = labels.selected.numpy()[rest]
    own, top = q[np.arange(len(q)), truth[rest]], q.max(1)
    right = (own == top) / (q == top[:, None]).sum(1)
    return LabelQuality(
        round=labels.round,
        clips=len(q),
        accuracy=float(right.mean()),
        selected_accuracy=float(right[selected].mean()) if selected.any() else float("nan"),
        coverage=float(selected.mean()),
        ece=calibration_error(top, right),
        log_likelihood=float(np.log(own.clip(min=SMALLEST)).mean()),
    )


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error over 15 equal bins [i/15, (i+1)/15), the last closed.

    The gap of mean confidence and accuracy in each bin, averaged by the bins' shares of clips.
    """
    bins = np.minimum((np.asarray(confidence) * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=np.asarray(confidence) - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(bins))


def label_table(rounds: Sequence[LabelQuality]) -> pd.DataFrame:
    """Return one row per round, in the order given; columns as the fields of ``LabelQuality``."""
    columns = [field.name for field in fields(LabelQuality)]
    return pd.DataFrame([asdict(one) for one in rounds], columns=columns)
