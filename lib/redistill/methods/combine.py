r"""The combination of the students of all branches.

Source: spec/substage.md 2.4 (a guess: the figure shows only that they meet).  ``logit_mean``:
$\bar o = \frac13 \sum_\kappa o^\kappa$; ``learned``: $\sum_\kappa a_\kappa o^\kappa$ with $a =
\operatorname{softmax}(\eta)$; ``feat_concat``: a linear classifier on the embeddings side by side.
The last two are fitted on trusted clips, the branches frozen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from redistill.nets.video import Taps

_ROUNDS = 100  # of L-BFGS
_DECAY = 1e-2  # of the linear classifier, which has more weights than there are trusted clips


@dataclass(frozen=True)
class Combination:
    """How the students' taps become one score.

    Attributes:
        kind: ``logit_mean``, ``learned`` or ``feat_concat``.
        weight: shares (M,) of the students; or the classifier (K, sum of d).
        bias: (K,) of the classifier.
    """

    kind: str
    weight: Tensor
    bias: Tensor

    def __call__(self, taps: Sequence[Taps]) -> Tensor:
        """Return logits (…, K) of the students' taps, in the order they were fitted in."""
        if self.kind == "feat_concat":
            both = torch.cat([each.embedding for each in taps], dim=-1)
            return F.linear(both, self.weight, self.bias)
        logits = torch.stack([each.logits for each in taps])
        return torch.tensordot(self.weight, logits, dims=1)


def fit_combination(kind: str, taps: Sequence[Taps], labels: Tensor) -> Combination:
    """Fit a combination on trusted clips.

    Args:
        kind: ``logit_mean`` (nothing to fit), ``learned`` or ``feat_concat``.
        taps: of each student on the same clips, logits (V, N, K), embeddings (V, N, d).
        labels: (N,) int64, trusted.
    """
    classes, count = taps[0].logits.shape[-1], len(taps)
    none = torch.zeros(classes)
    if kind == "logit_mean":
        return Combination(kind, torch.full((count,), 1 / count), none)
    target = labels.repeat(len(taps[0].logits))
    if kind == "learned":
        eta = nn.Parameter(torch.zeros(count))
        logits = torch.stack([each.logits.flatten(0, 1) for each in taps])
        _minimise(
            [eta], lambda: F.cross_entropy(torch.tensordot(eta.softmax(0), logits, dims=1), target)
        )
        return Combination(kind, eta.detach().softmax(0), none)
    both = torch.cat([each.embedding.flatten(0, 1) for each in taps], dim=1)
    scale = both.std(0) + 1e-3  # else the decay would fall on the weights of small features
    weight, bias = nn.Parameter(torch.zeros(classes, both.shape[1])), nn.Parameter(none.clone())

    def loss() -> Tensor:
        fit = F.cross_entropy(F.linear(both / scale, weight, bias), target)
        return fit + _DECAY * weight.square().sum()

    _minimise([weight, bias], loss)
    return Combination(kind, weight.detach() / scale, bias.detach())


def _minimise(parameters: list[nn.Parameter], loss: Callable[[], Tensor]) -> None:
    """Minimise a convex loss in place."""
    optimizer = torch.optim.LBFGS(parameters, max_iter=_ROUNDS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
