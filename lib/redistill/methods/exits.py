"""The internal classifiers of the three networks, trained for all arms in one pass."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from redistill.feature_feed import FeatureFeed
from redistill.methods.arms import Arm
from redistill.methods.distil import Distil
from redistill.methods.progressive import ProgressiveConfig
from redistill.methods.streams import settings
from redistill.modality import MODALITIES
from redistill.nets.exits import Exits, build_exits, ic_plan
from redistill.nets.streams import Stream
from redistill.phase import Phase
from redistill.predict import predict
from redistill.train import Trained, run_phase
from redistill.trunk_feed import TrunkFeed

Tick = Callable[[str, Mapping[str, Any]], None]


def exits_of(stream: Stream, arms: Sequence[Arm], config: ProgressiveConfig) -> Exits:
    """Return the ICs of all arms on one network, each arm with the same initial weights."""
    frozen = [number for number, arm in enumerate(arms) if not arm.bias]
    classes = stream.net.fc.out_features
    seed = config.seed * len(MODALITIES) + MODALITIES.index(stream.modality)
    plan = ic_plan(stream.net)
    return build_exits(plan, classes=classes, seed=seed, arms=len(arms), frozen_bias=frozen)


def exit_phase(
    name: str, modality: str, config: ProgressiveConfig, *, device: str, **changes: Any
) -> Phase:
    """Return the phase that trains the ICs of a network; ``changes`` are other fields of it.

    With ``recipe = "paper"`` as spec/progressive.md 4.3 has it for all arms but PKD: Adam, a rate
    for each modality, falling tenfold after 50 and 100 of 150 epochs.
    """
    drops = (1 / 3, 2 / 3)
    shared = settings(modality, config, steps=config.ic_steps, drops=drops, device=device)
    return Phase(name=f"exits-{name}-{modality}", **(shared | changes))


def train_exits(
    config: ProgressiveConfig,
    trained: Mapping[str, Trained],
    feeds: Mapping[str, Mapping[str, FeatureFeed | TrunkFeed]],
    arms: Sequence[Arm],
    *,
    device: str,
    name: str = "ics",
    tick: Tick | None = None,
    **changes: Any,
) -> dict[str, Trained]:
    """Train the ICs of all arms on each network, or find them trained.

    Args:
        config: of notebook 3.
        trained: the networks, frozen.
        feeds: "train", "val" and "test" to modality to features; test classes after each epoch
            are kept, labels unread, unless clips are streamed (that would decode them again).
        arms: who teaches.
        device: ``cpu`` or ``cuda``.
        name: of the phases.
        tick: called with the modality and each line of the journal.
        **changes: fields of the phase that differ from the config's.

    Returns:
        By modality.
    """
    result = {}
    for modality, each in trained.items():
        show = (lambda line, name=modality: tick(name, line)) if tick else None
        result[modality] = run_phase(
            exit_phase(name, modality, config, device=device, **changes),
            exits_of(each.net, arms, config),
            feeds["train"][modality],
            val=feeds["val"][modality],
            watch=None if config.stream else feeds["test"][modality],
            objective=Distil(tuple(arms)),
            tick=show,
        )
    return result


def exit_logits(
    exits: Mapping[str, Trained],
    feeds: Mapping[str, FeatureFeed | TrunkFeed],
    arms: Sequence[Arm],
    *,
    device: str,
) -> dict[str, dict[str, Tensor]]:
    """Return arm to modality to logits (4, N, K): three ICs, then the network's own last exit."""
    found: dict[str, dict[str, Tensor]] = {arm.name: {} for arm in arms}
    for modality, each in exits.items():
        own = feeds[modality].last()
        logits = predict(each.net, feeds[modality], device=device)
        for arm, z in zip(arms, logits.unbind(0), strict=True):
            found[arm.name][modality] = torch.cat([z, own[None]])
    return found
