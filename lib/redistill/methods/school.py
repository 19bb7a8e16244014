"""Networks in training on one fold: the teacher, and every student of whatever is above it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from redistill.cost import count
from redistill.feed import Feed
from redistill.feeds import Feeds
from redistill.live_feed import LiveFeed
from redistill.methods.edge_loss import EdgeLoss
from redistill.methods.refine import SoftLabels
from redistill.methods.spectrum import SpectrumConfig
from redistill.methods.substage import SubstageConfig
from redistill.modality import INPUTS, RGB
from redistill.nets.edge import Edge, Widths, build_edge, widths
from redistill.nets.video import Taps, VideoNet, build_video
from redistill.nets.weights import load_weights
from redistill.phase import Objective, Phase
from redistill.stream_feed import StreamFeed
from redistill.taught_feed import TaughtFeed, averaged, say
from redistill.train import run_phase
from redistill.video.weak_labels import WeakLabels

Tick = Callable[[str, Mapping[str, Any]], None]
_SEEDS = 1_000_000  # between the seeds of two runs
TEACHER = "teacher"
TEACHER_SEED = 0


@dataclass(frozen=True)
class Learned:
    """A trained network.

    Attributes:
        role: ``teacher``, ``edge`` or ``stage``.
        net: frozen.
        key: of its phase: equal keys are equal networks, to the bit.
        macs: multiply-accumulates of its training.
        journal: one dict an epoch.
        whole: the network with what was trained beside it.
    """

    role: str
    net: VideoNet
    key: str
    macs: int
    journal: list[dict[str, Any]] = field(repr=False)
    whole: nn.Module = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class School:
    """What the training of one fold shares.

    Attributes:
        config: of notebook 1 or 2.
        train: training clips under their initial labels, -1 where hidden.
        feeds: validation and test clips.
        weak: what may be known of the training clips' labels.
        classes: number of classes.
        device: ``cpu`` or ``cuda``.
        tick: called with a name and each line of a journal.
        said: what networks say of the clips of a split, by the key of their phase.
    """

    config: SubstageConfig | SpectrumConfig
    train: Feed | StreamFeed
    feeds: Feeds
    weak: WeakLabels
    classes: int
    device: str
    tick: Tick | None = None
    said: dict[tuple[str, str], Taps] = field(default_factory=dict, repr=False)

    @property
    def trusted(self) -> Tensor:
        """Places of the trusted clips, int64."""
        return torch.as_tensor(self.weak.trusted).nonzero()[:, 0]

    def teacher(self, feed: TaughtFeed | LiveFeed) -> Learned:
        """Train the teacher on clips that nobody teaches, or find it trained."""
        config = self.config
        net = self.build(config.teacher_network, config.teacher_width, TEACHER_SEED)
        load_weights(net, config.weights)
        edge = self.edge(net, feed, EdgeLoss(), TEACHER_SEED)
        how = {"seed": TEACHER_SEED, "steps": config.teacher_steps, "lr": config.teacher_lr}
        return self.run(TEACHER, edge, feed, EdgeLoss(), **how)

    def student(
        self, feed: TaughtFeed, loss: EdgeLoss, *, seed: int, width: int | None = None, **how: Any
    ) -> Learned:
        """Train an assistant or a student, or find it trained.

        Args:
            feed: clips, labels and what the networks above say of them.
            loss: of the edge.
            seed: of its weights and of the order of clips, within this run.
            width: of its first stage; the student's if not given.
            **how: ``start`` (weights it starts from), ``steps``, ``above`` (multiply-accumulates
                of the networks above, for one clip).
        """
        start, above = how.pop("start", None), how.pop("above", 0)
        steps = how.pop("steps", self.config.steps)
        net = self.build(self.config.network, width or self.config.student_width, seed)
        if start is not None:
            _inherit(net, start)
        edge = self.edge(net, feed, loss, seed)
        return self.run("edge", edge, feed, loss, seed=seed, steps=steps, above=above)

    def build(self, name: str, width: int, seed: int) -> VideoNet:
        """Return a network with its first weights."""
        config = self.config
        how = {"frames": config.frames, "background": config.background}
        return build_video(name, width=width, classes=self.classes, seed=self.seed(seed), **how)

    def taught(
        self,
        labels: SoftLabels,
        *,
        pool: Tensor | None = None,
        uppers: Sequence[Taps] = (),
        partner: Taps | None = None,
        negatives: Tensor | None = None,
        turn: int = 0,
    ) -> TaughtFeed:
        """Return clips with labels and teachers; the whole pool unless another is given."""
        pool = torch.arange(len(self.train)) if pool is None else pool
        untrusted = len(set(pool.tolist()) - set(self.trusted.tolist()))
        return TaughtFeed(
            feed=self.train,
            labels=labels.q,
            weights=labels.w,
            negatives=torch.zeros_like(labels.q, dtype=torch.bool)
            if negatives is None
            else negatives,
            pool=pool,
            trusted=self.trusted,
            trusted_share=self.config.trusted_share if untrusted else 0.0,
            uppers=tuple(uppers),
            partner=partner,
            turn=turn,
        )

    def hear(self, learned: Learned, *, keep: int = 0) -> Taps:
        """Return what a network says of every view of every training clip.

        Logits and embeddings are kept for whoever asks next; maps, which are large, only of the
        teacher, from whom most methods learn.
        """
        found = self.said.get((learned.key, "train"))
        if found is None or len(found.maps) < keep:
            found = self._say(learned, self.train, keep=keep)
            maps = found.maps if learned.role == TEACHER else ()
            self.said[learned.key, "train"] = Taps(found.logits, found.embedding, maps)
        return Taps(found.logits, found.embedding, found.maps[len(found.maps) - keep :])

    def ask(self, learned: Learned, split: str) -> Taps:
        """Return what a network says of validation or test clips: logits (N, K), embeddings.

        Of several views of a clip the probabilities are averaged; logits are their logarithms.
        """
        key = learned.key, split
        if key not in self.said:
            found = self._say(learned, getattr(self.feeds, split)[RGB], keep=0)
            found = averaged(found) if len(found.logits) > 1 else found
            self.said[key] = found.apply(lambda x: x[0])
        return self.said[key]

    def _say(self, learned: Learned, feed: Feed, *, keep: int) -> Taps:
        return say(learned.net, feed, device=self.device, keep=keep, amp=self.device == "cuda")

    def target(self, bank: Taps) -> Taps:
        """Return what is taught of a bank: in the mean over views, unless otherwise set."""
        return averaged(bank) if self.config.kd_target == "tta" else bank

    def macs(self, net: VideoNet) -> int:
        """Return the multiply-accumulates of one clip."""
        shape = (1, self.config.frames, INPUTS[RGB], self.config.size, self.config.size)
        return count(net, shape).macs

    def seed(self, seed: int) -> int:
        """Return a seed of this run alone."""
        return self.config.seed * _SEEDS + seed

    def run(
        self,
        name: str,
        module: nn.Module,
        feed: TaughtFeed | LiveFeed,
        objective: Objective,
        *,
        seed: int,
        steps: int,
        lr: float | None = None,
        above: int = 0,
    ) -> Learned:
        """Train a module that holds a video network as ``net``, or find it trained."""
        config = self.config
        phase = Phase(
            name=name,
            steps=steps,
            batch=config.batch,
            lr=lr or config.lr,
            weight_decay=config.weight_decay,
            seed=self.seed(seed),
            device=self.device,
            threads=config.threads,
            amp=self.device == "cuda",
            **config.recipe,
        )
        tick = partial(self.tick, name) if self.tick else None
        trained = run_phase(phase, module, feed, objective=objective, tick=tick)
        made = phase.epochs(feed) * feed.steps(phase.batch) * phase.batch
        cost = made * (3 * self.macs(trained.net.net) + above)
        return Learned(name, trained.net.net, trained.key, cost, trained.journal, trained.net)

    def edge(self, net: VideoNet, feed: TaughtFeed | LiveFeed, loss: EdgeLoss, seed: int) -> Edge:
        """Return a network with the adapters that its loss asks for."""
        if isinstance(feed, LiveFeed):
            keep = feed.keep if loss.maps else 0
            over = [widths(feed.teacher, keep)] if feed.teacher else []
        else:
            keep = len(feed.uppers[0].maps) if loss.maps and feed.uppers else 0
            over = [_widths_of(bank, keep) for bank in feed.uppers]
        return build_edge(net, over, keep=keep, uses=loss.uses, seed=self.seed(seed))


def _widths_of(bank: Taps, keep: int) -> Widths:
    maps = tuple(x.shape[2] for x in bank.maps) if keep else ()
    return Widths(maps, bank.embedding.shape[-1])


def _inherit(net: VideoNet, upper: VideoNet) -> None:
    """Copy the leading channels of a wider network into a narrower one (spec 4)."""
    given = upper.state_dict()
    with torch.no_grad():
        for name, own in net.state_dict().items():
            other = given.get(name)
            if other is not None and other.ndim == own.ndim and other.dtype == own.dtype:
                part = other[
                    tuple(slice(min(a, b)) for a, b in zip(own.shape, other.shape, strict=True))
                ]
                own[tuple(slice(n) for n in part.shape)] = part.to(own.device)
