r"""Distillation of standardised logits: which classes go with which, but not how wide they spread.

$$D = \tau^2 \, \tfrac1B \sum_i \mathrm{KL}\bigl(\operatorname{softmax}(Z(t_i)/\tau) \,\|\,
      \operatorname{softmax}(Z(s_i)/\tau)\bigr), \qquad Z(x) = \frac{x - \bar x}{\sigma(x)},$$

with mean and standard deviation over the K classes of a clip.  A student need not reach the range
of its teacher's logits: $D$ is 0 where $s_i = a\,t_i + b$ with any $a > 0$.

Source: Sun et al., CVPR 2024 (arXiv 2403.01427), algorithms 1 and 2; as published $\tau = 2$, with
weights .1 of the labels and 9 of $D$.  Algorithm 1 prints $\sigma$ with 1/K; the numbers of its
figure 2 and the released code have 1/(K - 1), and so has this.  The other reading is $K/(K - 1)$
times this one at temperature $\tau \sqrt{(K - 1)/K}$.
"""

import torch
from torch import Tensor

from redistill.losses.response.kd import kd
from redistill.losses.rows import full

_TINY = 1e-24  # of a variance


def standardised(student: Tensor, teacher: Tensor, *, temperature: float = 2.0) -> Tensor:
    """Return the divergence of standardised answers, times the temperature squared.

    Args:
        student: logits (B, K).
        teacher: logits (B, K).
        temperature: of both softmaxes, in standard deviations of the logits of a clip.
    """
    return kd(_z(student), _z(teacher), temperature=temperature)


def _z(logits: Tensor) -> Tensor:
    """Return logits (B, K) of mean 0 and variance 1.

    Alike ones become zeros, with a gradient as if their deviation were one: the released code adds
    1e-7 to it, which would make that gradient ten million times larger.
    """
    centred = full(logits) - full(logits).mean(1, keepdim=True)
    variance = centred.square().sum(1, keepdim=True) / max(1, logits.shape[1] - 1)
    return centred / torch.where(variance > _TINY, variance, torch.ones_like(variance)).sqrt()
