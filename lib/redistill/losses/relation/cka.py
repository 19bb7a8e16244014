r"""Centred kernel alignment of two sets of embeddings, 1 where they are alike up to a rotation.

$$\mathrm{CKA}(A, B) = \frac{h(K, L)}{\sqrt{h(K, K)\, h(L, L)}}, \quad K = AA^\top,\ L = BB^\top,$$

with h the unbiased estimate of HSIC (Song et al. 2012), K and L without their diagonals:

$$h(K, L) = \frac{1}{B(B-3)} \Bigl[ \operatorname{tr}(KL)
  + \frac{1^\top K 1 \; 1^\top L 1}{(B-1)(B-2)} - \frac{2}{B-2}\, 1^\top K L 1 \Bigr].$$

The biased form grows with the dimension at the batch sizes used here (spec/corrections.md 6).
Source: Kornblith et al., ICML 2019.
"""

from torch import Tensor

from redistill.losses.rows import several

_TINY = 1e-12


def cka(one: Tensor, other: Tensor, *, debiased: bool = True) -> Tensor:
    """Return the alignment: at most 1; debiased, it may lie a little below 0.

    Args:
        one: embeddings (B, d), B at least 4.
        other: embeddings (B, e).
        debiased: by the unbiased estimate of HSIC; else in [0, 1].

    Raises:
        ConfigError: fewer than 4 clips (2 if not debiased).
    """
    a, b = (_standard(several(z, 4 if debiased else 2, "CKA")) for z in (one, other))
    if not debiased:
        cross = (a.T @ b).square().sum()
        own = ((a.T @ a).square().sum() * (b.T @ b).square().sum()).clamp_min(_TINY)
        return cross / own.sqrt()
    k, m = (_without_diagonal(z @ z.T) for z in (a, b))
    own = (_hsic(k, k) * _hsic(m, m)).clamp_min(_TINY)
    return _hsic(k, m) / own.sqrt()


def _standard(z: Tensor) -> Tensor:
    """Centre and scale, which changes no alignment but keeps products of eight factors in range."""
    z = z - z.mean(0)
    return z / z.square().mean().clamp_min(_TINY).sqrt()


def _without_diagonal(gram: Tensor) -> Tensor:
    return gram - gram.diag().diag()


def _hsic(k: Tensor, m: Tensor) -> Tensor:
    n = len(k)
    both = k.sum() * m.sum() / ((n - 1) * (n - 2))
    cross = 2 * (k.sum(0) * m.sum(0)).sum() / (n - 2)
    return ((k * m).sum() + both - cross) / (n * (n - 3))
