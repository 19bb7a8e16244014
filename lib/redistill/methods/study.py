"""Notebook 3 on one fold, from clips to what every exit says: the whole method in one place."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from redistill import tables
from redistill.exit_scores import FoldExits, epoch_optimism
from redistill.feeds import Feeds
from redistill.live import Line
from redistill.methods.arms import choose
from redistill.methods.exits import exit_logits, train_exits
from redistill.methods.progressive import ProgressiveConfig
from redistill.methods.released import Jittered, train_released
from redistill.methods.streams import train_streams
from redistill.methods.team_study import TeamLogits, study_team
from redistill.predict import accuracy, predict
from redistill.scores import FoldScores
from redistill.trunk_feed import exit_feeds

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Study:
    """What one fold gave.

    Attributes:
        scores: of the networks' last exits.
        exits: of all exits of all arms; arms of released passes have val and test only.
        journal: of the networks.
        epochs: accuracy of the ICs with the epoch chosen on test, on val, and the last; of a stream
            nothing.
        shaken: accuracy of the I-frame network's last exit, colours of test frames shaken.
        reads: how often the test labels were read.
        team: TEAM-Net's exits, if asked for.
        undecoded: (id, reason) of clips that failed to decode, under ``on_bad="drop"``.
    """

    scores: FoldScores
    exits: FoldExits
    journal: pd.DataFrame
    epochs: Mapping[str, float]
    shaken: float
    reads: int
    team: TeamLogits | None
    undecoded: tuple[tuple[str, str], ...]


def study_fold(
    config: ProgressiveConfig,
    feeds: Feeds,
    fold: int,
    *,
    classes: int,
    macs: Mapping[str, tuple[int, ...]],
    plain: int,
    device: str,
    line: Line,
) -> Study:
    """Train three networks and the ICs of all arms on one fold, and ask them.

    Args:
        config: of notebook 3.
        feeds: the clips of the fold.
        fold: its number.
        classes: number of classes.
        macs: modality to the cumulative MACs of a video at the 4 exits of its network.
        plain: MACs of a video through the three networks without ICs.
        device: ``cpu`` or ``cuda``.
        line: told how far it is.
    """
    trained = train_streams(config, feeds, classes=classes, device=device, tick=line.epoch)

    # The trunk is frozen, so each view of each clip passes it once, for all arms.
    nets = {modality: each.net for modality, each in trained.items()}
    name = " ".join(each.key for each in trained.values())
    way = {"stream": config.stream, "device": device, "name": name}
    features = {part: exit_feeds(nets, getattr(feeds, part), **way) for part in PARTS}
    arms = choose(config.arms, seed=config.seed)
    exits = train_exits(config, trained, features, arms, device=device, tick=line.epoch)
    said = {part: exit_logits(exits, features[part], arms, device=device) for part in PARTS}
    again = train_released(
        config.released, config, trained, feeds, features, device=device, tick=line.epoch
    )
    for part, logits in again.items():
        said[part] |= logits
    colours = Jittered(feeds.test["iframe"], seed=config.seed)
    shaken = predict(nets["iframe"], colours, device=device)
    team = None
    if config.team:
        team = study_team(config, feeds, classes=classes, device=device, tick=line.epoch)

    # Nothing is chosen below this line: here the test labels are read, once.
    labels = {"train": feeds.train["mv"].labels, "val": feeds.val_labels}
    labels["test"] = feeds.open_test("accuracy of the fold")
    number = config.arms.index(config.wise_arm)
    own = {p: {m: z[-1] for m, z in said[p][config.wise_arm].items()} for p in ("val", "test")}
    return Study(
        scores=FoldScores(fold, own, labels),
        exits=FoldExits(fold, said, labels, macs, plain),
        journal=tables.journal(trained),
        epochs={} if config.stream else epoch_optimism(exits, labels["test"], number),
        shaken=accuracy(shaken, labels["test"]),
        reads=feeds.split.test.reads,
        team=team,
        undecoded=feeds.dropped,
    )
