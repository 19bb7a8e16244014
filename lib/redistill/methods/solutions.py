"""The networks and internal classifiers whose curvature is compared, trained and asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor, nn
from torch.nn import functional as F

from redistill.curvature.loss import Loss
from redistill.feature_feed import FeatureFeed, feature_feeds
from redistill.feed import Feed
from redistill.feeds import Feeds, centred
from redistill.live import Line
from redistill.methods.arms import choose
from redistill.methods.exits import train_exits
from redistill.methods.flatness import FlatnessConfig
from redistill.methods.streams import train_stream, train_streams
from redistill.modality import MODALITIES
from redistill.nets.exits import LoneExit
from redistill.predict import predict
from redistill.train import Trained
from redistill.trunk_feed import exit_feeds
from redistill.video.keyed import below
from redistill.video.splits import Clip

SAME, OWN, IC = "same", "own", "ic"  # one depth for all; the depths of notebook 3; a classifier
LAST = 4  # number of a network's own last exit


@dataclass(frozen=True, kw_only=True)
class Solution:
    """Where one training ended.

    Attributes:
        modality: of the network.
        network: "same", "own" or "ic".
        arm: who taught; the networks themselves learn from the labels.
        exit: 1 to 3 of an internal classifier, 4 of a network.
        share: of the steps of a whole training.
        loss: cross-entropy over the clips of the Hessian, as a function of what was trained.
        train: loss and accuracy over the sample of training clips.
        test: logits (N, K) of the test clips.
    """

    modality: str
    network: str
    arm: str = "ce"
    exit: int = LAST
    share: float = 1.0
    loss: Loss = field(repr=False)
    train: tuple[float, float]
    test: Tensor = field(repr=False)

    @property
    def place(self) -> tuple[str, str, str, int]:
        """What it is a solution of: all but the share."""
        return self.modality, self.network, self.arm, self.exit


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """What the trainings of one fold share.

    Attributes:
        config: of notebook 4.
        feeds: of the fold.
        sample: modality to training clips in the middle view, balanced over classes; the first
            ``hessian_clips`` of them are those of the Hessian.
        classes: number of classes.
        device: ``cpu`` or ``cuda``.
        line: told how far it is.
    """

    config: FlatnessConfig
    feeds: Feeds = field(repr=False)
    sample: Mapping[str, Feed] = field(repr=False)
    classes: int
    device: str
    line: Line = field(repr=False)

    def network(self, modality: str, share: float) -> Solution:
        """Train one of the networks of one depth for a share of the steps."""
        config, depth = self.config.networks, self.config.same_depth
        steps = self.steps(config.steps, share)
        config = replace(config, depth=depth, depth_iframe=depth, steps=steps)
        trained = train_stream(modality, config, self.feeds, **self._about)
        return self._solution(trained.net, modality, SAME, share)

    def steps(self, whole: int, share: float) -> int:
        """Return the steps of a share of a training, up to a whole epoch.

        Whole epochs are trained in any case; so two shares that come to as many are one training.
        """
        epoch = next(iter(self.feeds.train.values())).steps(self.config.batch)
        wanted = epoch * -(-max(1, round(share * whole)) // epoch)
        return whole if wanted >= whole else wanted

    def own(self) -> dict[str, Trained]:
        """Train the networks of notebook 3, or find them."""
        return train_streams(self.config.networks, self.feeds, **self._about)

    def solution_of(self, trained: Trained, modality: str) -> Solution:
        """Return a network of notebook 3 as a solution."""
        return self._solution(trained.net, modality, OWN, 1.0)

    @property
    def _about(self) -> dict:
        return {"classes": self.classes, "device": self.device, "tick": self.line.epoch}

    def _solution(self, net: nn.Module, modality: str, network: str, share: float) -> Solution:
        clips, size = self.sample[modality], self.config.hessian_batch
        batches = list(_first(clips, self.config.hessian_clips).inorder(batch=size))
        shown = [(b.ready(self.device), b.labels.to(self.device)) for b in batches]
        logits = predict(net, clips, device=self.device)
        return Solution(
            modality=modality,
            network=network,
            share=share,
            loss=Loss(net=net, batches=shown),
            train=score(logits, clips.labels),
            test=predict(net, self.feeds.test[modality], device=self.device),
        )


def gather(sample: Sequence[Clip], config: FlatnessConfig, **shared: object) -> Workshop:
    """Return a workshop with the sample decoded; ``shared`` are its other fields."""
    return Workshop(config=config, sample=centred(sample, config), **shared)


@dataclass(frozen=True, kw_only=True)
class Classifiers:
    """The internal classifiers of all arms on the networks of notebook 3, and their features."""

    workshop: Workshop
    trunks: Mapping[str, Trained] = field(repr=False)
    features: Mapping[str, Mapping[str, FeatureFeed]] = field(repr=False)
    sample: Mapping[str, FeatureFeed] = field(repr=False)

    def trained(self, share: float) -> list[Solution]:
        """Train the classifiers of all arms for a share of the steps: modality x arm x exit."""
        config, device = self.workshop.config.networks, self.workshop.device
        config = replace(config, ic_steps=self.workshop.steps(config.ic_steps, share))
        arms = choose(config.arms, seed=config.seed)
        exits = train_exits(
            config, self.trunks, self.features, arms, device=device, tick=self.workshop.line.epoch
        )
        found = []
        for modality, each in exits.items():
            known = predict(each.net, self.sample[modality], device=device)
            tested = predict(each.net, self.features["test"][modality], device=device)
            for number, arm in enumerate(arms):
                for exit_, ic in enumerate(each.net.ics, start=1):
                    found.append(
                        Solution(
                            modality=modality,
                            network=IC,
                            arm=arm.name,
                            exit=exit_,
                            share=share,
                            loss=self._loss(LoneExit(ic, number), modality, exit_),
                            train=score(known[number, exit_ - 1], self.sample[modality].labels),
                            test=tested[number, exit_ - 1],
                        )
                    )
        return found

    def _loss(self, net: LoneExit, modality: str, exit_: int) -> Loss:
        """Return the loss over the features of the clips of the Hessian."""
        config, feed = self.workshop.config, self.sample[modality]
        chosen = slice(config.hessian_clips)
        features = feed.features[exit_ - 1][0, chosen].split(config.hessian_batch)
        labels = feed.labels[chosen].split(config.hessian_batch)
        device = self.workshop.device
        batches = [(x.to(device), y.to(device)) for x, y in zip(features, labels, strict=True)]
        return Loss(net=net, batches=batches)


def classifiers(workshop: Workshop, trunks: Mapping[str, Trained]) -> Classifiers:
    """Pass all clips through the frozen networks, for the classifiers to train on."""
    nets = {modality: trunks[modality].net for modality in MODALITIES}
    name = " ".join(trunks[modality].key for modality in MODALITIES)
    way = {"stream": workshop.config.stream, "device": workshop.device, "name": name}
    feeds = {part: getattr(workshop.feeds, part) for part in ("train", "val", "test")}
    return Classifiers(
        workshop=workshop,
        trunks=trunks,
        features={part: exit_feeds(nets, feed, **way) for part, feed in feeds.items()},
        sample=feature_feeds(nets, workshop.sample, device=workshop.device),
    )


def spread(clips: Sequence[Clip], wanted: int, *, seed: int) -> tuple[Clip, ...]:
    """Return ``wanted`` clips, class by class in turn, so that any beginning of them is balanced.

    All clips if there are fewer.  Within a class their order is drawn, keyed by seed and clip.
    """
    by_class: dict[int, list[Clip]] = {}
    for clip in sorted(clips, key=lambda clip: below(1 << 60, "sample", seed, clip.id)):
        by_class.setdefault(clip.label, []).append(clip)
    turns = max(len(members) for members in by_class.values())
    classes = [by_class[label] for label in sorted(by_class)]
    order = [members[turn] for turn in range(turns) for members in classes if turn < len(members)]
    return tuple(order[:wanted])


def score(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return cross-entropy and accuracy (a share) of logits (N, K)."""
    right = (logits.argmax(-1) == labels).float().mean()
    return F.cross_entropy(logits, labels).item(), right.item()


def _first(feed: Feed, count: int) -> Feed:
    views, labels = feed.views[:, :count], feed.labels[:count]
    return replace(feed, views=views, labels=labels, clips=feed.clips[:count])
