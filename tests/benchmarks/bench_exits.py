"""Time the classifiers of all arms in one pass against the released scheme: CPU time, one thread.

The released scheme forwards the student and every teacher in every step of every arm, one arm at
a time, each internal classifier (IC) with an optimiser of its own; it is written here from that
definition.  The networks, batches and counts of steps are those of profile ``quick``.  Run by
``make bench``; exits with 1 when a limit is broken.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from redistill.config import resolve
from redistill.feature_feed import FeatureBatch, feature_feeds
from redistill.feed import Feed
from redistill.methods.arms import ARM_NAMES, Arm, choose
from redistill.methods.distil import Distil
from redistill.methods.exits import exit_phase, exits_of
from redistill.methods.progressive import ProgressiveConfig
from redistill.methods.streams import stream
from redistill.modality import CHANNELS, MODALITIES
from redistill.nets.exits import Exits
from redistill.nets.streams import Stream
from redistill.optim import make_optimizer
from redistill.predict import settle
from redistill.train import first_losses
from redistill.trunk_feed import TrunkFeed
from redistill.video.synthetic.spec import PER_CLASS

CLASSES, CLIPS, STEPS = 12, 64, 2  # clips passed here; steps timed for each student
LIMITS = {"once": 2.0, "shared": 2.0}  # times cheaper than the released scheme, with all arms
Networks = Mapping[str, Stream]


def pictures(config: ProgressiveConfig) -> dict[str, Feed]:
    """Return noise as large as the clips of the profile, one view."""
    rng = np.random.default_rng(0)
    feeds = {}
    for modality in MODALITIES:
        shape = 1, CLIPS, config.segments, CHANNELS[modality], config.size, config.size
        feeds[modality] = Feed(
            views=torch.as_tensor(rng.integers(0, 256, shape, dtype=np.uint8)),
            modality=modality,
            labels=torch.arange(CLIPS) % CLASSES,
            clips=tuple(map(str, range(CLIPS))),
            manifest="noise",
        )
    return feeds


def seconds(work: Callable[..., object], *args: object) -> float:
    """Return the CPU time of ``work``."""
    start = time.process_time()
    work(*args)
    return time.process_time() - start


def batches(feed: Feed, config: ProgressiveConfig) -> Iterator[FeatureBatch]:
    """Yield the batches of ``STEPS`` steps; they are an epoch."""
    return feed.epoch(0, batch=config.batch, seed=0)


def together(exits: Exits, feed: Feed, arms: Sequence[Arm], config: ProgressiveConfig) -> None:
    """Train the ICs of all arms for an epoch, as ``run_phase`` does."""
    optimizer = make_optimizer(exit_phase("x", "mv", config, device="cpu"), exits.train())
    objective = Distil(tuple(arms))
    for number, batch in enumerate(batches(feed, config)):
        loss = objective(exits(batch.ready("cpu")), batch, number / STEPS)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def released(
    modality: str, exits: Exits, nets: Networks, feeds: Mapping[str, Feed], arm: Arm,
    config: ProgressiveConfig,
) -> None:  # fmt: skip
    """Train the ICs of one arm for an epoch: everything forwarded in every step."""
    rates = {"lr": config.lr, "weight_decay": config.weight_decay}
    optimizers = [torch.optim.AdamW(ic.train().parameters(), **rates) for ic in exits.ics]
    orders = [feeds[m].epoch(0, batch=config.batch, seed=0) for m in nets]
    student = nets[modality]
    for number, parts in enumerate(zip(*orders, strict=True)):
        seen = dict(zip(nets, parts, strict=True))
        features = []
        with torch.no_grad():
            teachers = {m: net(seen[m].ready("cpu")) for m, net in nets.items()}
            h = student.data_bn(seen[modality].ready("cpu").flatten(0, 1))
            h = student.net.maxpool(student.net.relu(student.net.bn1(student.net.conv1(h))))
            for name in ("layer1", "layer2", "layer3", "layer4"):
                h = getattr(student.net, name)(h)
                features.append(h.unflatten(0, (-1, config.segments)))
            own = student.net.fc(h.mean((2, 3))).unflatten(0, (-1, config.segments)).mean(1)
        name = arm.teacher(number / STEPS)
        for ic, optimizer, x in zip(exits.ics, optimizers, features[:3], strict=True):
            z = ic(x)[0]
            if name is None:
                loss = F.cross_entropy(z, seen[modality].labels)
            else:
                t = teachers.get(name, own) / arm.temperature
                loss = F.cross_entropy(z / arm.temperature, t.softmax(-1))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()


def measure(names: Sequence[str], config: ProgressiveConfig) -> dict[str, float]:
    """Return CPU seconds of a step of all three students under each scheme."""
    arms = choose(tuple(names), seed=0)
    nets = {m: settle(stream(m, config, classes=CLASSES)) for m in MODALITIES}
    feeds = pictures(config)
    features = feature_feeds(nets, feeds, device="cpu")  # warm
    one = seconds(partial(feature_feeds, nets, feeds, device="cpu")) / CLIPS
    computing = one * CLASSES * PER_CLASS["quick"][0] * config.views / config.ic_steps
    found = {"computing": computing, "once": computing, "shared": 0.0, "released": 0.0}
    for modality, net in nets.items():
        kept = features[modality]
        live = TrunkFeed(
            modality=modality, student=net, nets=nets, feeds=feeds, device="cpu", name=""
        )
        exits, objective = exits_of(net, arms, config), Distil(tuple(arms))
        phase = exit_phase("x", modality, config, device="cpu")
        first_losses(phase, exits, kept, objective=objective, steps=1)  # warm
        found["once"] += seconds(together, exits, kept, arms, config) / STEPS
        found["shared"] += seconds(together, exits, live, arms, config) / STEPS
        for arm in arms:
            alone = exits_of(net, [arm], config)
            spent = seconds(released, modality, alone, nets, feeds, arm, config)
            found["released"] += spent / STEPS
    return found


def main() -> int:
    """Print the ratios for the arms of ``quick`` and for all; return 1 if a limit is broken."""
    torch.set_num_threads(1)
    config = resolve(ProgressiveConfig, {})
    broken = []
    for names in (config.arms, ARM_NAMES):
        found = measure(names, config)
        print(f"{len(names)} arms, CPU ms of a step of all three students:")
        print("    " + ", ".join(f"{k} {1000 * v:.0f}" for k, v in found.items()))
        for scheme, limit in LIMITS.items():
            ratio, held = found["released"] / found[scheme], len(names) == len(ARM_NAMES)
            print(f"    released / {scheme}: {ratio:.2f}" + (f"  at least {limit}" if held else ""))
            broken += [scheme] if held and ratio < limit else []
    if broken:
        print(f"broken: {', '.join(broken)}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
