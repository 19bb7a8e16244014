"""Early exits: who leaves where, what it costs, and thresholds chosen on validation clips.

A clip leaves at the first exit whose largest softmax exceeds the threshold; the last exit takes
the rest.  Source: spec/progressive.md 5.2, 5.6 and 8.1 item 9.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from redistill.errors import ConfigError, RedistillError
from redistill.methods.wise import EXITS, order_of

Judged = tuple[Tensor, Tensor]  # scores (J, N, K) and labels (N,) of the same clips


@dataclass(frozen=True)
class Walk:
    """Where each clip left.

    Attributes:
        exit: (N,) int64, from 0.
        predicted: (N,) int64, class.
        confidence: (N,) float64, largest softmax at that exit.
    """

    exit: Tensor
    predicted: Tensor
    confidence: Tensor


@dataclass(frozen=True)
class Point:
    """An operating point: a threshold, and the accuracy and mean cost of a clip under it."""

    threshold: float
    accuracy: float
    macs: float


def walk(scores: Tensor, threshold: float | Sequence[float]) -> Walk:
    """Send every clip through the exits.

    Args:
        scores: u (J, N, K).
        threshold: one for all exits or J of them, the last of which is never asked.  At 1 or more
            nobody leaves early: a softmax can round to exactly 1, but never exceeds it.
    """
    limits = torch.as_tensor(threshold, dtype=torch.float64, device=scores.device)
    if limits.ndim > 1 or limits.numel() not in (1, len(scores)):
        raise ConfigError(
            f"threshold has {limits.numel()} values for {len(scores)} exits; "
            "give one number, or one for each exit"
        )
    sure = _confidence(scores)
    where = _leave(sure, limits.expand(len(scores))[:-1, None])
    clips = torch.arange(scores.shape[1], device=scores.device)
    return Walk(where, scores.argmax(-1)[where, clips], sure[where, clips])


def _confidence(scores: Tensor) -> Tensor:
    # In float32, as released, all margins above 17 are a confidence of 1 and no threshold tells
    # them apart; in float64 all up to 36 stay distinct.
    return scores.double().softmax(-1).amax(-1)


def _leave(confidence: Tensor, limits: Tensor) -> Tensor:
    """Exit (..., N) of each clip; limits (..., J-1, 1) or less."""
    opened = confidence[:-1] > limits
    return (opened.cumsum(-2) == 0).sum(-2)


def cascade_costs(
    per_network: Mapping[str, Sequence[int]], order: str = "coded"
) -> tuple[int, ...]:
    """Return the cost of a video that leaves at each of the 12 exits.

    Args:
        per_network: modality to 4 cumulative costs (MACs), each with the internal classifiers
            passed on the way.
        order: of the networks; a later one starts only when all exits of those before failed.

    Raises:
        RedistillError: a network that is missing, or costs that are not cumulative.
    """
    total, costs = 0, []
    for modality in order_of(order):
        own = tuple(per_network.get(modality, ()))
        if len(own) != EXITS or list(own) != sorted(own) or own[0] <= 0:
            raise RedistillError(
                f"cost of network {modality!r} is {own}; expected {EXITS} cumulative counts, "
                "one for each exit and none below the one before"
            )
        costs += [total + each for each in own]
        total += own[-1]
    return tuple(costs)


def mean_cost(exits: Tensor, costs: Sequence[int], *, charged: Tensor | None = None) -> float:
    """Return the mean cost of a video; all are charged, right or wrong.

    Args:
        exits: (N,) int64, where each left, from 0.
        costs: of leaving at each exit.
        charged: (N,) how many times each video is counted, for the authors' figures, which left
            out early wrong ones or counted some twice (spec 8.2 items 1 and 4); None: once.
    """
    each = torch.as_tensor(costs, dtype=torch.float64, device=exits.device)[exits]
    return (each if charged is None else each * charged).mean().item()


def curve(judged: Judged, costs: Sequence[int], thresholds: Sequence[float]) -> pd.DataFrame:
    """Return what each threshold gives: columns threshold, accuracy, macs, early.

    ``macs`` is the mean cost of a video, ``early`` the share that left before the last exit.

    Raises:
        RedistillError: costs of another number of exits.
    """
    scores, labels = judged
    if len(costs) != len(scores) or labels.shape != scores.shape[1:2]:
        raise RedistillError(
            f"cascade has scores {tuple(scores.shape)}, {len(costs)} costs and "
            f"{tuple(labels.shape)} labels; give one cost for each exit, one label for each clip"
        )
    sure, right = _confidence(scores), scores.argmax(-1) == labels
    clips = torch.arange(len(labels), device=scores.device)
    lines = []
    for threshold in map(float, thresholds):
        left = _leave(sure, torch.tensor(threshold, dtype=torch.float64))
        hits = right[left, clips].double().mean().item()
        early = (left < len(scores) - 1).double().mean().item()
        lines.append((threshold, hits, mean_cost(left, costs), early))
    return pd.DataFrame(lines, columns=["threshold", "accuracy", "macs", "early"])


def thresholds(scores: Tensor, *, points: int = 200) -> np.ndarray:
    """Return thresholds worth trying, ascending: 0, confidences that occur, 1.

    At 0 everybody leaves at the first exit, at 1 nobody before the last.  Between them lie
    quantiles of the confidences at all exits but the last.
    """
    sure = _confidence(scores)[:-1].cpu().numpy()
    levels = np.linspace(0, 1, points)
    found = np.quantile(sure, levels, method="nearest") if sure.size else ()
    return np.unique([0.0, *found, 1.0])


def choose_threshold(
    scores: Tensor,
    labels: Tensor,
    costs: Sequence[int],
    *,
    accuracy: float | None = None,
    budget: float | None = None,
) -> Point:
    """Choose a threshold on validation clips.

    Args:
        scores: (J, N, K) of validation clips.
        labels: (N,) int64.
        costs: of leaving at each exit.
        accuracy: share of 1; the cheapest point that reaches it.
        budget: mean cost of a video; the most accurate point within it.

    Raises:
        ConfigError: not exactly one of accuracy and budget, or one out of reach.
    """
    if (accuracy is None) == (budget is None):
        raise ConfigError("choose_threshold takes either an accuracy or a budget; give one")
    table = curve((scores, labels), costs, thresholds(scores))
    if budget is None:
        reached, best = table[table["accuracy"] >= accuracy], table["accuracy"].max()
        wanted, by = f"accuracy = {accuracy}", {"macs": True, "accuracy": False}
    else:
        reached, best = table[table["macs"] <= budget], table["macs"].min()
        wanted, by = f"budget = {budget}", {"accuracy": False, "macs": True}
    if reached.empty:
        raise ConfigError(
            f"{wanted} is out of reach on these {len(labels)} clips; the best is {best:.6g}"
        )
    chosen = reached.sort_values(list(by), ascending=list(by.values()), kind="stable").iloc[0]
    return Point(*chosen[["threshold", "accuracy", "macs"]].tolist())


def frontier(val: Judged, test: Judged, costs: Sequence[int], *, points: int = 200) -> pd.DataFrame:
    """Return accuracy and mean cost over thresholds taken from the validation clips.

    Returns:
        Columns threshold, then accuracy, macs and early with ``val_`` and ``test_`` before.
    """
    tried = thresholds(val[0], points=points)
    parts = {"val": curve(val, costs, tried), "test": curve(test, costs, tried)}
    named = [part.drop(columns="threshold").add_prefix(f"{k}_") for k, part in parts.items()]
    return pd.concat([parts["val"][["threshold"]], *named], axis=1)


def area(table: pd.DataFrame) -> float:
    """Return the mean test accuracy over all budgets from the cheapest exit to the last.

    For each budget the point with the best validation accuracy within it is taken, as
    ``choose_threshold`` does, and its test accuracy counted: the normalised area under a curve of
    steps, no point of which was chosen on test clips.

    Args:
        table: of ``frontier``.

    Raises:
        RedistillError: a table with one cost only, under which there is no area.
    """
    steps = table.sort_values(["val_macs", "val_accuracy"], ascending=[True, False])
    macs = steps["val_macs"].to_numpy()
    if macs[0] == macs[-1]:
        raise RedistillError(f"all points cost {macs[0]:.6g}: no area; compare their accuracies")
    best = np.maximum.accumulate(steps["val_accuracy"].to_numpy())
    better = np.r_[True, best[1:] > best[:-1]]
    chosen = np.maximum.accumulate(np.where(better, np.arange(len(steps)), 0))
    heights = steps["test_accuracy"].to_numpy()[chosen]
    return float(np.average(heights[:-1], weights=np.diff(macs)))
