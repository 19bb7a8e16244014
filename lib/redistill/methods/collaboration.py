r"""How the losses of labels, features and parameters work together.

The recommended reading is maximum likelihood with a learned noise level for each term.  Written
with $s = \log \sigma^2$,

$$L = e^{-s_y} L_{CE} + \tfrac12 e^{-s_F} L_{FSD} + \tfrac12 e^{-s_P} L_{PDD}
      + \tfrac12 (s_y + s_F + s_P).$$

At the best noise levels this is $\tfrac12 \sum \log L_i$: blind to each loss's unit, and unbounded
below where a loss can vanish, which is why the levels are clamped (in ``nets/follower.py``).
$s_y$ is held at 0 unless ``labels`` is set, so that the labels fix the unit.

| mode | |
|---|---|
| ``learned`` | the above |
| ``map`` | the parameters' distribution is a prior of fixed precision, $\lambda_P$ |
| ``fixed`` | $L_{CE} + \lambda_F L_{FSD} + \lambda_P L_{PDD}$ |
| ``alternate`` | fixed weights, features in even steps and parameters in odd ones |
| ``stochastic`` | each step draws one of the two, its weight divided by its probability |
| ``mutual`` | fixed weights, and the teacher learns from the labels at the same time |

Source: spec/spectrum.md 4; Kendall, Gal, Cipolla, CVPR 2018.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

COLLABORATIONS = ("learned", "map", "fixed", "alternate", "stochastic", "mutual")


@dataclass(frozen=True, kw_only=True)
class Collaboration:
    """The total of three losses.

    Attributes:
        mode: one of ``COLLABORATIONS``.
        lambda_f: weight of the features' loss where it is fixed; 0 leaves the loss out, always.
        lambda_p: weight of the parameters' loss where it is fixed; 0 leaves the loss out, always.
        labels: the labels have a noise level too.
        share_f: probability of the features, ``stochastic``.
        warmup: share of the steps over which both fade in.
    """

    mode: str = "learned"
    lambda_f: float = 1.0
    lambda_p: float = 1.0
    labels: bool = False
    share_f: float = 0.5
    warmup: float = 0.0

    def weights(self, *, step: int, done: float) -> tuple[float, float]:
        """Return the weights of features and parameters in a step, as drawn or due.

        A loss whose noise level is learned has the weight of its fading in alone.

        Args:
            step: number of the step.
            done: share of the steps already made.
        """
        fade = min(1.0, done / self.warmup) if self.warmup else 1.0
        turn_f, turn_p = 1.0, 1.0
        if self.mode == "alternate":
            turn_f, turn_p = float(step % 2 == 0), float(step % 2 == 1)
        elif self.mode == "stochastic":
            drawn = torch.rand(()).item() < self.share_f  # its state is in every checkpoint
            turn_f, turn_p = drawn / self.share_f, (not drawn) / (1 - self.share_f)
        each = zip(self._levels, (self.lambda_f, self.lambda_p), (turn_f, turn_p), strict=True)
        own_f, own_p = (fade * turn * (bool(x) if own else x) for own, x, turn in each)
        return own_f, own_p

    @property
    def _levels(self) -> tuple[bool, bool]:
        """Whether features and parameters have a noise level that is learned."""
        return self.mode in ("learned", "map"), self.mode == "learned"

    def __call__(
        self, ce: Tensor, fsd: Tensor, pdd: Tensor, noise: Tensor, *, step: int, done: float
    ) -> Tensor:
        """Return the total.

        Args:
            ce: loss of the labels, a scalar.
            fsd: loss of the features.
            pdd: loss of the parameters.
            noise: logarithms of the variances, (3,): labels, features, parameters.
            step: number of the step.
            done: share of the steps already made.
        """
        labels = self.labels and self.mode == "learned"
        total = noise_weighted(ce, noise[0], half=False) if labels else ce
        weights = self.weights(step=step, done=done)
        for loss, weight, s, own in zip((fsd, pdd), weights, noise[1:], self._levels, strict=True):
            if weight:  # of the level too, which would else undo the fading in
                total = total + weight * (noise_weighted(loss, s) if own else loss)
        return total


def noise_weighted(loss: Tensor, s: Tensor, *, half: bool = True) -> Tensor:
    r"""Return $\tfrac12 e^{-s} L + \tfrac12 s$, or without the first half $e^{-s} L + \tfrac12 s$.

    The second is the soft-max's, an approximation that is exact at s = 0.
    """
    return (0.5 if half else 1.0) * torch.exp(-s) * loss + 0.5 * s
