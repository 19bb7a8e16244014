r"""The loss of an edge, from a network to the one below it: labels, knowledge, distribution.

Source: spec/substage.md 7.1.  With soft labels q and their weights w, for one network u above:

$$L = c\,L_{ce}(q, w) + \textstyle\sum_j \beta_j D_j(u, s) + \gamma\,L_{fd}(u, s)
      + \rho\,L_{cor}(u, s) + \delta\,L_{neg}, \qquad
  L_{ce} = \frac{\sum_i w_i \left(-\sum_k q_{ik} \log p_{ik}\right)}{\sum_i w_i}.$$

With several networks above, everything but the labels is their weighted mean.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from redistill.errors import ConfigError, nearest
from redistill.losses.correlation.pair import pair
from redistill.losses.correlation.pearson import pearson
from redistill.losses.distribution.gauss import gauss
from redistill.losses.distribution.gauss_class import gauss_class
from redistill.losses.distribution.lgm import lgm
from redistill.losses.distribution.mmd import mmd
from redistill.losses.distribution.swd import swd
from redistill.losses.feature.attention import attention
from redistill.losses.feature.fitnet import fitnet
from redistill.losses.feature.norm_mse import norm_mse
from redistill.losses.feature.nst import nst
from redistill.losses.feature.reviewkd import reviewkd
from redistill.losses.relation.cc import cc
from redistill.losses.relation.cka import cka
from redistill.losses.relation.pkt import pkt
from redistill.losses.relation.rkd import rkd
from redistill.losses.relation.sp import sp
from redistill.losses.response.dkd import dkd
from redistill.losses.response.kd import kd
from redistill.losses.response.standardised import standardised
from redistill.nets.edge import Adapter, Learner
from redistill.nets.video import Taps
from redistill.taught_feed import TaughtBatch


@dataclass(frozen=True)
class Seen:
    """What a term reads: the lower network, itself and adapted, an upper one, and the labels."""

    lower: Taps
    adapted: Taps
    adapter: Adapter
    upper: Taps
    labels: Tensor
    temperature: float


Term = Callable[[Seen], Tensor]


def _stages(loss: Callable[[Tensor, Tensor], Tensor], *, adapted: bool) -> Term:
    """Return the mean of a loss of maps over the stages kept."""

    def term(seen: Seen) -> Tensor:
        own = (seen.adapted if adapted else seen.lower).maps
        each = [loss(a, b) for a, b in zip(own, seen.upper.maps, strict=True)]
        return torch.stack(each).mean()

    return term


def _embeddings(loss: Callable[[Tensor, Tensor], Tensor], *, adapted: bool = False) -> Term:
    return lambda seen: loss(
        (seen.adapted if adapted else seen.lower).embedding, seen.upper.embedding
    )


TERMS: Mapping[str, Term] = {
    "kd": lambda s: kd(s.lower.logits, s.upper.logits, temperature=s.temperature),
    "dkd": lambda s: dkd(
        s.lower.logits, s.upper.logits, s.labels.argmax(1), temperature=s.temperature
    ),
    "standardised": lambda s: standardised(s.lower.logits, s.upper.logits),  # has its own
    "norm_mse": _stages(norm_mse, adapted=True),
    "fitnet": _stages(fitnet, adapted=True),
    "at": _stages(attention, adapted=False),
    "nst": _stages(nst, adapted=False),
    "reviewkd": lambda s: reviewkd(s.adapted.maps, s.upper.maps),
    "sp": _embeddings(sp),
    "rkd": _embeddings(rkd),
    "cka": _embeddings(lambda a, b: 1 - cka(a, b)),
    "pkt": _embeddings(pkt),
    "cc": _embeddings(cc),
    "pair": _embeddings(pair),
    "pearson": lambda s: pearson(s.lower.logits, s.upper.logits),
    "gauss": _embeddings(gauss, adapted=True),
    "gauss_class": lambda s: gauss_class(
        s.adapted.embedding, s.upper.embedding, s.labels, queue=s.adapter.queue
    ),
    "mmd": _embeddings(mmd, adapted=True),
    "swd": _embeddings(swd, adapted=True),
    "lgm": lambda s: lgm(s.adapted.embedding, s.upper.embedding, s.labels.argmax(1)),
}
USES: Mapping[str, str] = {  # adapters that a term needs
    "norm_mse": "maps", "fitnet": "maps", "reviewkd": "review", "gauss": "embedding",
    "gauss_class": "queue", "mmd": "embedding", "swd": "embedding", "lgm": "embedding",
}  # fmt: skip
MAPS = ("norm_mse", "fitnet", "at", "nst", "reviewkd")  # terms that read maps
CORRELATIONS = ("pair", "pearson")
WEIGHTINGS = ("fixed", "fd", "uncertainty")
_FAR = 1.0  # temperature of the weights by distance


@dataclass(frozen=True, kw_only=True)
class EdgeLoss:
    """The loss of an edge: an objective for ``run_phase``.

    Attributes:
        ce: weight of the labels.
        terms: (name in ``TERMS``, weight).
        correlation: a term whose upper embedding is the batch's partner, where it has one.
        rho: weight of the correlation.
        temperature: of the response terms.
        negative: weight of negative labels.
        weighting: of several networks above: alike; by the distance of feature distributions, the
            farthest most; or by a learned noise (Kendall et al. 2018).
    """

    ce: float = 1.0
    terms: tuple[tuple[str, float], ...] = ()
    correlation: str = "pair"
    rho: float = 0.0
    temperature: float = 4.0
    negative: float = 0.0
    weighting: str = "fixed"

    def __post_init__(self) -> None:
        """Refuse unknown terms."""
        for name, _ in self.terms:
            if name not in TERMS:
                raise ConfigError(
                    f"no loss {name!r}; there are {', '.join(TERMS)}.{nearest(name, TERMS)}"
                )
        if self.correlation not in CORRELATIONS or self.weighting not in WEIGHTINGS:
            raise ConfigError(
                f"correlation = {self.correlation!r}, weighting = {self.weighting!r}: expected one "
                f"of {', '.join(CORRELATIONS)}, and one of {', '.join(WEIGHTINGS)}"
            )

    @property
    def uses(self) -> tuple[str, ...]:
        """Adapters that the terms need."""
        return tuple(sorted({USES[name] for name, _ in self.terms if name in USES}))

    @property
    def maps(self) -> bool:
        """Whether a term reads maps."""
        return any(name in MAPS for name, _ in self.terms)

    def __call__(self, learner: Learner, batch: TaughtBatch, done: float) -> Tensor:
        """Return the scalar loss."""
        logits = learner.taps.logits
        labels = batch.labels.to(logits.device)
        loss = self.ce * soft_label_loss(logits, labels, batch.weights.to(logits.device))
        if self.negative:
            negatives = batch.negatives.to(logits.device)
            loss = loss + self.negative * negative_label_loss(logits, negatives)
        if not batch.uppers:
            return loss
        seen = [
            Seen(learner.taps, adapted, adapter, upper.to(logits.device), labels, self.temperature)
            for adapted, adapter, upper in zip(
                learner.adapted, learner.adapters, batch.uppers, strict=True
            )
        ]
        each = torch.stack([self._knowledge(one) for one in seen])
        loss = loss + self._weigh(each, seen, learner.scales)
        if self.rho:
            loss = loss + self.rho * self._correlate(seen[0], batch.partner)
        return loss

    def _knowledge(self, seen: Seen) -> Tensor:
        return sum(
            (weight * TERMS[name](seen) for name, weight in self.terms), seen.labels.sum() * 0
        )

    def _correlate(self, seen: Seen, partner: Tensor | None) -> Tensor:
        if partner is None:
            return TERMS[self.correlation](seen)
        other = Taps(seen.upper.logits, partner.to(seen.labels.device))
        return TERMS[self.correlation](
            Seen(seen.lower, seen.adapted, seen.adapter, other, seen.labels, self.temperature)
        )

    def _weigh(self, each: Tensor, seen: list[Seen], scales: Tensor) -> Tensor:
        if self.weighting == "uncertainty":
            return (torch.exp(-scales) * each + scales).mean()
        if self.weighting == "fixed":
            return each.mean()
        with torch.no_grad():
            far = torch.stack([gauss(one.lower.embedding, one.upper.embedding) for one in seen])
            shares = torch.softmax(far / _FAR, 0)
        return (shares * each).sum()


def soft_label_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the cross-entropy with soft labels, the mean weighted by clip.

    Args:
        logits: (B, K).
        labels: (B, K), rows on the simplex.
        weights: (B,), not negative; a common factor changes nothing.
    """
    each = -(labels * torch.log_softmax(logits, 1)).sum(1)
    return (weights * each).sum() / weights.sum().clamp_min(1e-8)


def negative_label_loss(logits: Tensor, negatives: Tensor) -> Tensor:
    """Return the mean of -log(1 - p) over the classes that each clip is held not to show.

    Args:
        logits: (B, K).
        negatives: (B, K) bool; clips without any do not count.

    Source: Rizve et al. 2021 (UPS); spec/substage.md 5.6.
    """
    missed = -torch.log1p(-logits.softmax(1).clamp(max=1 - 1e-6))
    count = negatives.sum(1)
    each = (missed * negatives).sum(1) / count.clamp_min(1)
    return each.sum() / (count > 0).sum().clamp_min(1)
