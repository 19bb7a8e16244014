"""The three networks of compressed video, each trained and asked on its own modality (spec 2.1)."""

from collections.abc import Callable, Mapping

from torch import Tensor

from redistill.feed import Feed
from redistill.feeds import Feeds
from redistill.methods.progressive import ProgressiveConfig
from redistill.modality import MODALITIES
from redistill.nets.streams import Stream, build_stream
from redistill.phase import Phase
from redistill.predict import predict
from redistill.train import Trained, run_phase

Tick = Callable[[str, Mapping[str, float]], None]


def stream(modality: str, config: ProgressiveConfig, *, classes: int) -> Stream:
    """Return the network of one modality with its initial weights."""
    depth = config.depth_iframe if modality == "iframe" else config.depth
    return build_stream(
        modality, depth=depth, width=config.width, classes=classes, seed=config.seed
    )


def phase(modality: str, config: ProgressiveConfig, *, device: str) -> Phase:
    """Return the phase that trains the network of one modality."""
    return Phase(
        name=modality,
        steps=config.steps,
        batch=config.batch,
        lr=config.lr,
        weight_decay=config.weight_decay,
        seed=config.seed,
        device=device,
        threads=config.threads,
        amp=device == "cuda",
    )


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
    trained = {}
    for modality in MODALITIES:
        show = (lambda line, name=modality: tick(name, line)) if tick else None
        net = stream(modality, config, classes=classes)
        settings = phase(modality, config, device=device)
        trained[modality] = run_phase(
            settings, net, feeds.train[modality], val=feeds.val[modality], tick=show
        )
    return trained


def predict_all(
    trained: Mapping[str, Trained], parts: Mapping[str, Mapping[str, Feed]], *, device: str
) -> dict[str, dict[str, Tensor]]:
    """Return logits (N, K) by part ("val", "test") and modality, each network on its own."""
    return {
        part: {m: predict(each.net, feeds[m], device=device) for m, each in trained.items()}
        for part, feeds in parts.items()
    }
