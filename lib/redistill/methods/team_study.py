"""TEAM-Net on one fold: the joint network, then its classifiers for all arms of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from torch import Tensor

from redistill import stats
from redistill.feeds import Feeds
from redistill.joint_feed import join, joint_cross_entropy
from redistill.methods import streams
from redistill.methods.exits import exit_phase
from redistill.methods.progressive import ProgressiveConfig
from redistill.methods.team import TEAM_ARMS, squeezed_once, team_exit_logits, train_team_exits
from redistill.nets.team import TeamNet, build_team
from redistill.train import run_phase

RATE = {"lr": 0.02, "eps": 1e-3}  # spec/progressive.md 4.3, lower table
Tick = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True)
class TeamLogits:
    """What TEAM-Net's exits say of the clips of one fold.

    Attributes:
        net: trained, frozen.
        logits: split ("val", "test") to arm to (4, N, K): three ICs and the whole network.
    """

    net: TeamNet
    logits: Mapping[str, Mapping[str, Tensor]]


def study_team(
    config: ProgressiveConfig, feeds: Feeds, *, classes: int, device: str, tick: Tick | None = None
) -> TeamLogits:
    """Train TEAM-Net and the ICs of its arms on one fold, and ask them.

    The network trains as the three streams do, by the same schedule; the authors' gradient descent
    with clipped gradients is not built.

    Args:
        config: of notebook 3.
        feeds: the clips of the fold.
        classes: number of classes.
        device: ``cpu`` or ``cuda``.
        tick: called with a name and each line of the journal.
    """

    def show(name: str) -> Callable[[Mapping[str, Any]], None] | None:
        return (lambda line: tick(name, line)) if tick else None

    parts = {"train": join(feeds.train), "val": join(feeds.val), "test": join(feeds.test)}
    net = build_team(
        depth_iframe=config.depth_iframe,
        depth=config.depth,
        width=config.width,
        classes=classes,
        seed=config.seed,
    )
    phase = replace(streams.phase("iframe", config, device=device), name="team")
    trained = run_phase(
        phase,
        net,
        parts["train"],
        val=parts["val"],
        objective=joint_cross_entropy,
        tick=show("team"),
    )
    features = {s: squeezed_once(trained.net, part, device=device) for s, part in parts.items()}
    arms = tuple(TEAM_ARMS.values())
    ics = train_team_exits(
        exit_phase("team", "iframe", config, device=device, **RATE),
        features["train"],
        arms,
        seed=config.seed,
        val=features["val"],
        tick=show("team exits"),
    )
    asked = {
        s: team_exit_logits(ics.net, features[s], arms, device=device) for s in ("val", "test")
    }
    return TeamLogits(trained.net, asked)


def team_table(found: list[TeamLogits], labels: list[Mapping[str, Tensor]]) -> pd.DataFrame:
    """Return the accuracy of TEAM-Net's exits, folds pooled.

    Args:
        found: of each fold.
        labels: of each fold, split to (N,).

    Returns:
        Columns split, arm (with ``team_`` before), exit (1 to 4), accuracy, low, high, n.
    """
    lines = []
    for split in ("val", "test"):
        for arm in found[0].logits[split]:
            for exit in range(4):
                hits = [
                    (one.logits[split][arm][exit].argmax(-1) == truth[split])
                    for one, truth in zip(found, labels, strict=True)
                ]
                right, n = sum(int(h.sum()) for h in hits), sum(len(h) for h in hits)
                interval = stats.wilson(right, n)
                ends = interval.mean, interval.low, interval.high, n
                lines.append((split, f"team_{arm}", exit + 1, *ends))
    columns = ["split", "arm", "exit", "accuracy", "low", "high", "n"]
    return pd.DataFrame(lines, columns=columns)
