"""The ICs of TEAM-Net, the second backbone of the third paper, trained for all arms in one pass.

The network itself is trained by ``run_phase`` on a ``redistill.joint_feed.JointFeed``.

Source: spec/progressive.md 2.2, 3.2, 4.2 and 4.3, lower tables.  The teachers are the three stream
heads of the network itself, read in eval mode (as released their dropout is left on, 4.4); the
students are its three internal classifiers (ICs), which see all modalities.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256

import torch
from torch import Tensor

from redistill.cost import macs
from redistill.feature_feed import OWN, FeatureFeed
from redistill.files import sha256_json
from redistill.joint_feed import JointFeed
from redistill.methods.arms import Arm
from redistill.methods.distil import Distil
from redistill.modality import CHANNELS, MODALITIES
from redistill.nets.team import EXITS, TeamICs, TeamNet, build_team_ics, total
from redistill.phase import Phase
from redistill.predict import evaluating, predict
from redistill.train import Tick, Trained, run_phase

TEAM_ARMS: Mapping[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm(name="ce"),
        Arm(name="kd_iframe", teachers=(("iframe", 1.0),)),
        Arm(name="pkd", teachers=(("mv", 3 / 40), ("residual", 3 / 40), ("iframe", 34 / 40))),
        Arm(name="pkd_thirds", teachers=(("mv", 1 / 3), ("residual", 1 / 3), ("iframe", 1 / 3))),
        Arm(
            name="anticurriculum",
            teachers=(("iframe", 15 / 30), ("residual", 10 / 30), ("mv", 5 / 30)),
        ),
    )
}


def squeezed_once(net: TeamNet, feed: JointFeed, *, device: str) -> FeatureFeed:
    """Pass every view of every clip through a frozen TEAM-Net once; of endless views, the first.

    Returns:
        What the ICs read, (V, N, S * dim) each, and as teachers the logits (V, N, K) of the three
        streams and, as ``own``, of the whole network, which is left as it was, bit for bit.
    """
    rows, views = [], feed.views or 1
    with evaluating(net):
        for view in range(views):
            for batch in feed.inorder(view=view):
                squeezed, logits = net.exits(batch.ready(device))
                rows.append([x.cpu() for x in (*squeezed, *logits, total(logits))])
    found = [torch.cat(part).unflatten(0, (views, len(feed))) for part in zip(*rows, strict=True)]
    content = [sha256(x.numpy()).hexdigest() for x in found]
    return FeatureFeed(
        features=tuple(found[:EXITS]),
        teachers=dict(zip((*MODALITIES, OWN), found[EXITS:], strict=True)),
        modality=feed.modality,
        labels=feed.labels,
        clips=feed.clips,
        manifest=sha256_json([feed.manifest, content]),
    )


def train_team_exits(
    phase: Phase,
    feed: FeatureFeed,
    arms: Sequence[Arm],
    *,
    seed: int,
    val: FeatureFeed | None = None,
    watch: FeatureFeed | None = None,
    tick: Tick | None = None,
) -> Trained:
    """Train the ICs of all arms in one pass, each as it would train alone.

    Args:
        phase: the settings; one schedule for all arms.
        feed: of ``squeezed_once``.
        arms: who teaches; ``TEAM_ARMS`` has those of the paper.
        seed: of the initial weights, which all arms share.
        val: the journal notes the accuracy on it by arm and exit.
        watch: its classes after each epoch are kept, labels unread.
        tick: called with each new line of the journal.
    """
    ics = build_team_ics(
        [x.shape[-1] for x in feed.features],
        classes=feed.teachers[OWN].shape[-1],
        seed=seed,
        arms=len(arms),
    )
    return run_phase(
        phase, ics, feed, val=val, watch=watch, objective=Distil(tuple(arms)), tick=tick
    )


def team_exit_logits(
    ics: TeamICs, feed: FeatureFeed, arms: Sequence[Arm], *, device: str
) -> dict[str, Tensor]:
    """Return by arm the logits (4, N, K) of IC 1 to 3 and of the whole network, in view 0."""
    final = feed.teachers[OWN][:1]
    logits = predict(ics, feed, device=device)
    return {arm.name: torch.cat([z, final]) for arm, z in zip(arms, logits, strict=True)}


def team_costs(
    net: TeamNet,
    ics: TeamICs,
    *,
    segments: int,
    size: int,
    counter: Callable[[Callable[[], object]], int] = macs,
) -> tuple[int, ...]:
    """Count one video at each of the four exits, the ICs before it included.

    Args:
        net: on any device; on "meta" nothing is computed, only counted.
        ics: of one arm.
        segments: of the video.
        size: side of the pictures.
        counter: ``macs``, or ``redistill.exit_cost.ptflops`` for the convention of the authors.
    """
    device = next(net.parameters()).device
    inputs = [torch.zeros(1, segments, CHANNELS[m], size, size, device=device) for m in MODALITIES]
    with evaluating(net), evaluating(ics):
        early = [counter(lambda k=k: ics(net.squeezed(inputs, k))) for k in range(1, EXITS + 1)]
        return (*early, counter(lambda: ics(net.exits(inputs)[0])))
