"""The three networks of compressed video, each trained on its own modality (spec 2.1)."""

from collections.abc import Callable, Mapping
from typing import Any

from redistill.feeds import Feeds
from redistill.methods.progressive import ProgressiveConfig
from redistill.modality import MODALITIES
from redistill.nets.streams import Stream, build_stream
from redistill.nets.weights import load_weights
from redistill.phase import Phase
from redistill.train import Trained, run_phase

Tick = Callable[[str, Mapping[str, float]], None]


def stream(modality: str, config: ProgressiveConfig, *, classes: int) -> Stream:
    """Return the network of one modality with its initial weights."""
    depth = config.depth_iframe if modality == "iframe" else config.depth
    net = build_stream(modality, depth=depth, width=config.width, classes=classes, seed=config.seed)
    load_weights(net, config.weights)
    return net


PAPER_RATES = {"iframe": 3e-4, "mv": 1e-2, "residual": 5e-3}
_SHARES = (("net.fc.", 1.0), ("net.conv1.", 0.1), ("net.bn1.", 0.1), ("data_bn.", 0.1), ("", 0.01))


def settings(
    modality: str, config: ProgressiveConfig, *, steps: int, drops: tuple[float, ...], device: str
) -> dict[str, Any]:
    """Return the fields that the phases of networks and of classifiers share.

    Args:
        modality: of the network.
        config: of notebook 3.
        steps: of the optimiser.
        drops: of the rate, as shares of the steps, in the paper's recipe.
        device: ``cpu`` or ``cuda``.
    """
    shared = {
        "steps": steps,
        "batch": config.batch,
        "lr": config.lr,
        "weight_decay": config.weight_decay,
        "seed": config.seed,
        "device": device,
        "threads": config.threads,
    }
    if config.recipe == "paper":
        rate = PAPER_RATES[modality]
        shared |= {"optimizer": "adam", "eps": 1e-3, "lr": rate, "drops": drops}
    return shared


def phase(modality: str, config: ProgressiveConfig, *, device: str) -> Phase:
    """Return the phase that trains the network of one modality.

    With ``recipe = "paper"`` as spec/progressive.md 2.1 has it: Adam, a rate for each modality,
    falling tenfold after 150, 270 and 390 of 510 epochs, and shares of it by layer.
    """
    drops = tuple(epoch / 510 for epoch in (150, 270, 390))
    shared = settings(modality, config, steps=config.steps, drops=drops, device=device)
    if config.recipe == "paper":
        shared["scales"] = (_SHARES[0], ("", 0.01)) if modality == "iframe" else _SHARES
    return Phase(name=modality, amp=device == "cuda", **shared)


def train_stream(
    modality: str,
    config: ProgressiveConfig,
    feeds: Feeds,
    *,
    classes: int,
    device: str,
    tick: Tick | None = None,
) -> Trained:
    """Train the network of one modality, or find it trained; arguments as ``train_streams``."""
    show = (lambda line: tick(modality, line)) if tick else None
    net = stream(modality, config, classes=classes)
    settings = phase(modality, config, device=device)
    return run_phase(settings, net, feeds.train[modality], val=feeds.val[modality], tick=show)


def train_streams(
    config: ProgressiveConfig, feeds: Feeds, *, classes: int, device: str, tick: Tick | None = None
) -> dict[str, Trained]:
    """Train the three networks, or find them trained.

    Args:
        config: of notebook 3.
        feeds: of one fold; the journal notes the accuracy on its validation clips.
        classes: number of classes.
        device: ``cpu`` or ``cuda``.
        tick: called with the modality and each line of the journal.
    """
    about = {"classes": classes, "device": device, "tick": tick}
    return {modality: train_stream(modality, config, feeds, **about) for modality in MODALITIES}
