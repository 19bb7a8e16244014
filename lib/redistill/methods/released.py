"""The released training of the internal classifiers, defect by defect, beside the corrected one.

Source: spec/progressive.md 4.3, 4.4 and 8.1 items 2 to 4.  Each pass trains some arms again with
one thing as the authors' code has it; ``released`` has all of its recipe at once but the drift.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from redistill.feed import Batch, Feed
from redistill.feeds import Feeds
from redistill.methods.arms import PASSES, Arm, Pass
from redistill.methods.distil import Distil
from redistill.methods.exits import exit_logits, exit_phase, exits_of, train_exits
from redistill.methods.progressive import ProgressiveConfig
from redistill.predict import evaluating
from redistill.train import Trained, run_phase
from redistill.trunk_feed import TrunkFeed, exit_feeds
from redistill.video.colour import jitter
from redistill.video.keyed import generator

Parts = Mapping[str, Mapping[str, Any]]  # "train", "val", "test" to modality to features
Tick = Callable[[str, Mapping[str, Any]], None]
_SETTLED = 150  # batches after which what BatchNorm saw before weighs less than 1e-6


def train_released(
    names: Sequence[str],
    config: ProgressiveConfig,
    trained: Mapping[str, Trained],
    feeds: Feeds,
    features: Parts,
    *,
    device: str,
    tick: Tick | None = None,
) -> dict[str, dict[str, dict[str, Tensor]]]:
    """Train the passes called ``names`` on each network.

    Args:
        names: of ``PASSES``; the arms get them as a suffix.
        config: of notebook 3.
        trained: the networks, frozen.
        feeds: pictures, of which the drifting pass makes its own features.
        features: "train", "val" and "test" to modality to features.
        device: ``cpu`` or ``cuda``.
        tick: called with the modality and each line of the journal.

    Returns:
        Split ("val", "test") to arm to modality to logits (4, N, K).
    """
    found: dict[str, dict[str, dict[str, Tensor]]] = {"val": {}, "test": {}}
    for name in names:
        for number, one in enumerate(PASSES[name]):
            arms, label = one.renamed(name), f"{name}{number}"
            if one.drift:
                parts = _drifting(one, config, trained, feeds, arms, device=device, tick=tick)
            else:
                exits = train_exits(
                    config, trained, features, arms, device=device, name=label, tick=tick,
                    **_changes(one, config),
                )  # fmt: skip
                parts = {s: exit_logits(exits, features[s], arms, device=device) for s in found}
            for split, logits in parts.items():
                found[split] |= logits
    return found


def _drifting(
    one: Pass,
    config: ProgressiveConfig,
    trained: Mapping[str, Trained],
    feeds: Feeds,
    arms: Sequence[Arm],
    *,
    device: str,
    tick: Tick | None,
) -> dict[str, dict[str, dict[str, Tensor]]]:
    """Train ICs on a student in training mode, and ask the student that has drifted."""
    nets = {modality: each.net for modality, each in trained.items()}
    name = " ".join(each.key for each in trained.values())
    exits, drifted = {}, {}
    for modality, net in nets.items():
        live = TrunkFeed(
            modality=modality, student=copy.deepcopy(net), nets=nets, feeds=feeds.train,
            device=device, name=name, drift=True,
        )  # fmt: skip
        phase = exit_phase("drift", modality, config, device=device, **_changes(one, config))
        show = (lambda line, name=modality: tick(name, line)) if tick else None
        bearing = exits_of(net, arms, config)
        exits[modality] = run_phase(phase, bearing, live, objective=Distil(tuple(arms)), tick=show)
        drifted[modality] = drift(
            net, feeds.train[modality], epochs=phase.epochs(live), batch=phase.batch,
            seed=phase.seed, device=device,
        )  # fmt: skip
    stream = {"stream": config.stream, "device": device, "name": f"{name} drifted"}
    asked = {s: exit_feeds(drifted, getattr(feeds, s), **stream) for s in ("val", "test")}
    return {split: exit_logits(exits, part, arms, device=device) for split, part in asked.items()}


def _changes(one: Pass, config: ProgressiveConfig) -> dict[str, Any]:
    """Return the fields of the phase in which a pass differs from the corrected training."""
    found: dict[str, Any] = {"steps": one.budget * config.ic_steps}
    if one.drops:  # of its own; else the recipe's
        found["drops"] = one.drops
    return found if one.decay else found | {"weight_decay": 0.0}


def drift(
    net: nn.Module, feed: Feed, *, epochs: int, batch: int, seed: int, device: str
) -> nn.Module:
    """Return a copy of ``net`` whose BatchNorm saw the batches of a training in training mode.

    Only the last epochs are replayed: what came before weighs less than rounding.
    """
    copied = copy.deepcopy(net)
    first = max(0, epochs - -(-_SETTLED // feed.steps(batch)))
    with evaluating(copied):
        copied.train()
        for epoch in range(first, epochs):
            for seen in feed.epoch(epoch, batch=batch, seed=seed):
                with torch.no_grad():
                    copied(seen.ready(device))
    return copied.eval()


@dataclass(frozen=True)
class Jittered:
    """I-frames of test clips with their colours shaken, as the released code does (8.2.7)."""

    feed: Feed
    seed: int

    def inorder(self, *, batch: int = 64) -> Iterator[Batch]:
        """Yield every clip once, in the order of the catalogue."""
        for seen in self.feed.inorder(batch=batch):
            pairs = zip(seen.clips, seen.inputs, strict=True)
            frames = [jitter(x, generator(self.seed, 0, name, "test")) for name, x in pairs]
            yield replace(seen, inputs=torch.stack(frames))
