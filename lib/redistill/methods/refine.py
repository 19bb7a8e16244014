r"""Pseudo-label optimisation: soft labels of a weakly labelled pool from several views of it.

With $\bar p_i$ the mean of the S views, $u_i \in [0, 1]$ their uncertainty and $g_i \in \{0, 1\}$
the gate, a clip without a label, and one with a label that is not trusted, become

$$q_i \propto \bar p_i^{\,1/T}, \quad w_i = g_i (1 - u_i) + (1 - g_i)\, w_{\min}$$

$$q_i \leftarrow (1 - \lambda_i)\, q_i + \lambda_i \bar p_i, \quad
\lambda_i = \lambda_{\max}\, g_i (1 - u_i), \quad w_i = \max(w_{\min}, 1 - u_i)$$

Trusted clips keep their label and $w_i = 1$.  Source: spec/substage.md 5, a reconstruction: the
paper's own rule is not public.  A one-hot label cannot change its class in a round while
$\lambda_i \le 1/2$, so $\lambda_{\max}$ is .6 here (corrections 6); 1 replaces sure labels.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from redistill.errors import ConfigError, nearest
from redistill.methods.label_quality import SoftLabels, as_views, initial_labels, raw_labels
from redistill.video.weak_labels import WeakLabels

__all__ = [
    "Refinement",
    "SoftLabels",
    "guarded",
    "initial_labels",
    "negatives",
    "raw_labels",
    "refine",
    "uncertainty",
]

UNCERTAINTIES = ("js", "entropy", "std")
GATES = ("quantile", "absolute")
_RATES = ("rho_sel", "rho_step", "rho_cap", "lam_max", "w_min", "tau_p", "kappa_p")


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """How labels are refined; spec/substage.md 7.3, with ``lam_max`` as corrections 6 has it.

    Attributes:
        unc_kind: ``js`` (disagreement of the views), ``entropy`` of their mean, ``std`` of the
            top class over the views.
        gate: ``quantile`` (a share of each predicted class) or ``absolute`` (``tau_p`` and
            ``kappa_p``, the thresholds of UPS, which are uncalibrated).
        rho_sel: share selected in round 1.
        rho_step: what each further round adds to it.
        rho_cap: its largest value.
        lam_max: how far a sure prediction moves a label in one round.
        w_min: weight of a clip that the gate holds back.
        T_sharpen: temperature of the pseudo-labels; 1 leaves them as they are.
        neg_labels: whether ``negatives`` names classes that a clip is not.
        tau_p: ``absolute``: the mean probability of the top class is at least this ...
        kappa_p: ... and its standard deviation over the views below this.
        tau_n: a negative label has a mean probability below this ...
        kappa_n: ... and a standard deviation below this.
    """

    unc_kind: str = "js"
    gate: str = "quantile"
    rho_sel: float = 0.5
    rho_step: float = 0.15
    rho_cap: float = 0.9
    lam_max: float = 0.6
    w_min: float = 0.2
    T_sharpen: float = 0.5
    neg_labels: bool = False
    tau_p: float = 0.7
    kappa_p: float = 0.05
    tau_n: float = 0.05
    kappa_n: float = 0.005

    def __post_init__(self) -> None:
        """Refuse what is no refinement."""
        _choose("unc_kind", self.unc_kind, UNCERTAINTIES)
        _choose("gate", self.gate, GATES)
        for name in (*_RATES, "tau_n", "kappa_n"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} = {getattr(self, name)}: must lie between 0 and 1")
        if self.rho_sel > self.rho_cap:
            raise ConfigError(
                f"rho_sel = {self.rho_sel} lies above rho_cap = {self.rho_cap}; raise rho_cap"
            )
        if not 0 < self.T_sharpen <= 1:
            raise ConfigError(f"T_sharpen = {self.T_sharpen}: must lie above 0 and at most at 1")

    def share(self, round: int) -> float:
        """Return the share of each predicted class that the quantile gate selects in a round."""
        return min(self.rho_cap, self.rho_sel + self.rho_step * (round - 1))


def refine(
    previous: SoftLabels, weak: WeakLabels, views: Tensor, settings: Refinement, *, round: int
) -> SoftLabels:
    """Return the labels after one more round.

    Args:
        previous: labels of the round before.
        weak: initial labels and which clips are trusted.
        views: probabilities (S, N, K) of one or more networks on S views of each clip.
        settings: how.
        round: from 1.

    Raises:
        ConfigError: views that are no probabilities or too few for the uncertainty asked for, or
            an absolute gate that no clip passes.
    """
    if round < 1:
        raise ConfigError(f"round = {round}: refinement counts its rounds from 1")
    views = as_views(views, *previous.q.shape)
    trusted, hidden = torch.tensor(weak.trusted), torch.tensor(weak.initial < 0)
    mean, unsure = views.mean(0), uncertainty(views, settings.unc_kind)
    if settings.gate == "quantile":
        gate = _quantile(mean, unsure, ~trusted, settings.share(round))
    else:
        gate = _absolute(views, ~trusted, settings)
    sure = 1 - unsure
    step = (settings.lam_max * gate * sure)[:, None]
    q = previous.q + step * (mean - previous.q)
    q = torch.where(hidden[:, None], torch.softmax(mean.log() / settings.T_sharpen, 1), q)
    w = sure.clamp(min=settings.w_min)
    w = torch.where(hidden, torch.where(gate, sure, settings.w_min), w)
    return SoftLabels(
        q=q.float(),  # trusted rows to the bit as before: they pass no gate, so their step is 0
        w=w.float().masked_fill(trusted, 1),
        selected=gate | trusted,
        uncertainty=unsure.float().masked_fill(trusted, 0),
        round=round,
    )


def negatives(views: Tensor, labels: SoftLabels, settings: Refinement) -> Tensor:
    """Return which classes a clip surely is not, (N, K) bool; none unless ``neg_labels``.

    Only for clips that are not selected, and never the class that the views favour (as UPS does;
    UPS asks a softmax of temperature 2, here the views are taken as they are).

    Args:
        views: probabilities (S, N, K), S at least 2.
        labels: of the same round.
        settings: the thresholds.
    """
    if not settings.neg_labels:
        return torch.zeros_like(labels.q, dtype=torch.bool)
    views = as_views(views, *labels.q.shape)
    mean = views.mean(0)
    sure = (mean < settings.tau_n) & (_spread(views) < settings.kappa_n)
    sure.scatter_(1, mean.argmax(1, keepdim=True), False)
    return sure & ~labels.selected[:, None]


def guarded(
    previous: SoftLabels, new: SoftLabels, agreement_before: float, agreement_now: float, n_val: int
) -> tuple[SoftLabels, bool]:
    """Return the labels to go on with and whether they are the new ones.

    The previous ones stay where the agreement of the views' mean with the trusted validation
    labels fell by more than one standard error, sqrt(a (1 - a) / n_val) of the agreement before.

    Args:
        previous: labels of the round before.
        new: labels of this round.
        agreement_before: share, when the previous labels were made.
        agreement_now: share now.
        n_val: clips that the shares are of.
    """
    shares = (agreement_before, agreement_now)
    if n_val < 1 or not all(0 <= share <= 1 for share in shares):
        raise ConfigError(
            f"agreements {shares} on {n_val} validation clips: give shares from 0 to 1 of at "
            "least one trusted clip, or leave the guard off"
        )
    error = math.sqrt(agreement_before * (1 - agreement_before) / n_val)
    keep = agreement_now < agreement_before - error
    return (previous, False) if keep else (new, True)


def uncertainty(views: Tensor, kind: str) -> Tensor:
    """Return how unsure the views (S, N, K) are of each clip, (N,), 0 to 1.

    ``js``: Jensen-Shannon divergence over log S.  ``entropy``: of the mean, over log K.  ``std``:
    sample standard deviation of the mean's top class over the views.
    """
    _choose("uncertainty", kind, UNCERTAINTIES)
    mean = views.mean(0)
    if kind == "entropy":
        return (torch.special.entr(mean).sum(1) / math.log(views.shape[2])).clamp(0, 1)
    if kind == "std":
        return _top_spread(views).clamp(0, 1)
    _several(views, "uncertainty 'js'")
    apart = torch.special.entr(mean).sum(1) - torch.special.entr(views).sum(2).mean(0)
    return (apart / math.log(len(views))).clamp(0, 1)


def _quantile(mean: Tensor, unsure: Tensor, pool: Tensor, share: float) -> Tensor:
    """Return which clips are selected: the surest of each predicted class, ties by place."""
    top, predicted = mean.max(1)
    score, gate = unsure - top, torch.zeros_like(pool)
    for label in predicted[pool].unique():
        members = (pool & (predicted == label)).nonzero()[:, 0]
        first = score[members].argsort(stable=True)[: int(share * len(members) + 0.5)]
        gate[members[first]] = True
    return gate


def _absolute(views: Tensor, pool: Tensor, settings: Refinement) -> Tensor:
    top, spread = views.mean(0).amax(1), _top_spread(views)
    gate = pool & (top >= settings.tau_p) & (spread < settings.kappa_p)
    if gate.any() or not pool.any():
        return gate
    best = torch.where(pool, top, -1).argmax()
    tau = min(settings.tau_p, math.floor(1000 * top[best]) / 1000)
    kappa = max(settings.kappa_p, (math.floor(1000 * spread[best]) + 1) / 1000)
    raise ConfigError(
        f"the absolute gate selects none of {int(pool.sum())} clips at tau_p = {settings.tau_p} "
        f"and kappa_p = {settings.kappa_p}: the best confidence is {top[best]:.3f}, with a "
        f"standard deviation of {spread[best]:.3f} over the views. It would pass at tau_p = {tau} "
        f"and kappa_p = {kappa}; gate = 'quantile' needs no thresholds"
    )


def _spread(views: Tensor) -> Tensor:
    """Return the sample standard deviation over the views, (N, K)."""
    _several(views, "a standard deviation")
    return views.std(0)


def _top_spread(views: Tensor) -> Tensor:
    return _spread(views).gather(1, views.mean(0).argmax(1, keepdim=True))[:, 0]


def _several(views: Tensor, what: str) -> None:
    if len(views) < 2:
        raise ConfigError(
            f"{what} needs at least 2 views, got {len(views)}; take more views of each clip, or "
            "choose unc_kind = 'entropy' and gate = 'quantile'"
        )


def _choose(what: str, value: str, options: tuple[str, ...]) -> None:
    if value not in options:
        raise ConfigError(
            f"{what} = {value!r}: choose from {', '.join(options)}.{nearest(str(value), options)}"
        )
