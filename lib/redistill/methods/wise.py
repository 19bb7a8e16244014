r"""WISE: one learned weight for each exit, another set for each number of exits passed.

$$\min_w \; \mathrm{CE}\Bigl(\sum_{j \le k} w_j z_j,\; y\Bigr) + a_k \lVert w \rVert_1$$

Source: spec/progressive.md 5.1 (the authors' CoViAR scripts) and 3.3 (order of the exits).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from redistill.errors import ConfigError, RedistillError, nearest

ORDERS = {  # which network is asked first; the released code and the paper's text disagree
    "coded": ("residual", "mv", "iframe"),
    "text": ("mv", "residual", "iframe"),
}
EXITS = 4  # of each network: three internal classifiers and its own final one
L1, L1_FROM = 0.1, 6  # penalty as released, and the number of exits from which it holds


def order_of(name: str) -> tuple[str, ...]:
    """Return the modalities in the order in which their networks are asked."""
    if name not in ORDERS:
        raise ConfigError(
            f"unknown order of exits {name!r}; expected one of {', '.join(ORDERS)}."
            f"{nearest(str(name), ORDERS)}"
        )
    return ORDERS[name]


def exits(order: str = "coded") -> tuple[tuple[str, int], ...]:
    """Return the 12 exits in order, each as (modality, number in its network, 1 to 4)."""
    return tuple((m, number) for m in order_of(order) for number in range(1, EXITS + 1))


def stack(logits: Mapping[str, Tensor], order: str = "coded") -> Tensor:
    """Return the logits of all exits in one order, (12, N, K).

    Args:
        logits: modality to (4, N, K), the exits of its network.
        order: "coded" or "text".

    Raises:
        RedistillError: a network that is missing, or shapes that do not agree.
    """
    names = order_of(order)
    shapes = {name: tuple(z.shape) for name, z in logits.items()}
    one = next(iter(shapes.values()), ())
    if set(shapes) != set(names) or set(shapes.values()) != {one} or one[:1] != (EXITS,):
        raise RedistillError(
            f"exits need logits of one shape ({EXITS}, N, K) for each of {', '.join(names)}, "
            f"got {shapes or 'none'}; ask every network for all of its exits on the same clips"
        )
    return torch.cat([logits[name] for name in names])


def objective(weights: Tensor, logits: Tensor, labels: Tensor, *, l1: float) -> float:
    """Return what ``fit`` minimises, for weights (J,) and logits (J, N, K)."""
    score = torch.einsum("j,jnk->nk", weights, logits)
    return (F.cross_entropy(score, labels) + l1 * weights.abs().sum()).item()


def fit(
    logits: Tensor,
    labels: Tensor,
    *,
    l1: float = L1,
    steps: int = 500,
    lr: float = 0.1,
    start: Sequence[float] | None = None,
) -> Tensor:
    """Return one weight for each exit, (J,), fitted by the released recipe.

    The recipe is full-batch gradient descent without momentum from ones.  Whether the clips are
    held out or those that the networks were trained on (as released) is the caller's choice.
    Its gradient is bounded: with a step too long for the logits (beyond about 100) it swings
    rather than overflows, which ``objective`` before and after shows.

    Args:
        logits: (J, N, K) of exits on N clips.
        labels: (N,) int64 of the same clips.
        l1: weight of the penalty.
        steps: of gradient descent.
        lr: their size.
        start: initial weights (J,); None: ones.

    Raises:
        RedistillError: logits and labels that do not fit together, or weights not finite.
    """
    ones = logits.new_ones(1, len(logits))
    begun = ones if start is None else ones.new_tensor([list(start)])
    if begun.shape != ones.shape:
        raise RedistillError(
            f"start has {begun.shape[1]} weights for {len(logits)} exits; give one for each"
        )
    return _descend(logits, labels, begun, ones, ones.new_tensor([[l1]]), steps=steps, lr=lr)[0]


def fit_prefixes(
    logits: Tensor,
    labels: Tensor,
    *,
    l1: float = L1,
    l1_from: int = L1_FROM,
    steps: int = 500,
    lr: float = 0.1,
) -> Tensor:
    """Return the weights of every prefix of the exits, lower triangular (J, J).

    Row k-1 is the ``fit`` of the first k exits alone, all rows at once; the first exit alone is
    not weighted.  Arguments as ``fit``.

    Args:
        logits: (J, N, K).
        labels: (N,) int64.
        l1: penalty of prefixes of at least ``l1_from`` exits; shorter ones have none.
        l1_from: number of exits from which the penalty holds.
        steps: of gradient descent.
        lr: their size.
    """
    j = len(logits)
    begun = torch.tril(logits.new_ones(j, j))
    free = begun.clone()
    free[0] = 0  # one exit alone keeps its weight of 1
    penalty = l1 * (torch.arange(1, j + 1, device=logits.device) >= l1_from)
    return _descend(logits, labels, begun, free, penalty[:, None], steps=steps, lr=lr)


def _descend(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor,
    free: Tensor,
    l1: Tensor,
    *,
    steps: int,
    lr: float,
) -> Tensor:
    """Descend from several weight vectors (P, J) at once; only where ``free`` is 1.

    The gradient of the cross-entropy is written out, mean of z_j . (softmax(u) - onehot(y)): two
    matrix products a step for all vectors, and the part of the labels only once.
    """
    _check(logits, labels)
    z, (_, n, k) = logits.flatten(1), logits.shape
    true = logits[:, torch.arange(n, device=labels.device), labels].mean(1)
    for _ in range(steps):
        expected = (weights @ z).view(-1, n, k).softmax(-1).flatten(1) @ z.T / n
        weights = weights - lr * free * (expected - true + l1 * weights.sign())
    if not weights.isfinite().all():
        raise RedistillError(
            f"WISE: weights are not finite after {steps} steps of lr = {lr}, with logits up to "
            f"{logits.abs().max():.3g}; lower lr, or divide the logits of all clips by one number"
        )
    return weights


def _check(logits: Tensor, labels: Tensor) -> None:
    if logits.ndim != 3 or not logits.numel() or labels.shape != logits.shape[1:2]:
        raise RedistillError(
            f"WISE: logits {tuple(logits.shape)} and labels {tuple(labels.shape)}; expected "
            "(J, N, K) and (N,), exits x clips x classes and the labels of the same clips"
        )
    if not logits.isfinite().all():
        raise RedistillError("WISE: logits that are not finite; find the exit that gave them")
    if labels.min() < 0 or labels.max() >= logits.shape[2]:
        raise RedistillError(
            f"WISE: labels from {labels.min()} to {labels.max()}, but logits of "
            f"{logits.shape[2]} classes; labels count from 0"
        )
