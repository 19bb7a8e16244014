r"""What of two spectra is compared, bin by bin and channel by channel.

| component | distance |
|---|---|
| ``amplitude`` | $(A^s - A^t)^2$ with $A = \sqrt{\mathrm{Re}^2 + \mathrm{Im}^2 + \varepsilon}$ |
| ``power`` | $(|X^s|^2 - |X^t|^2)^2$ |
| ``log_amplitude`` | $(\log(\delta + A^s) - \log(\delta + A^t))^2$, $\delta = 10^{-3}$ |
| ``complex`` | $|X^s - X^t|^2$: with all bins, squared error of the features themselves (P4) |
| ``amp_phase`` | amplitude, plus $\min(A^s, A^t)\,(1 - \cos(\varphi^s - \varphi^t))$ |

Between ``amplitude`` and ``complex`` lies a family, of which the first is $\lambda = 0$ and the
second $\lambda = 1$: $(A^s - A^t)^2 + \lambda \cdot 2 A^s A^t (1 - \cos \Delta\varphi)$.

Source: spec/spectrum.md 2.2; the family: spec/claims.md F2.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

EPSILON = 1e-12  # of a squared amplitude: below its root, phase counts as undefined (P9)
_DELTA = 1e-3
_PHASE = 1.0  # weight of the phase beside the amplitude


def squared(x: Tensor) -> Tensor:
    """Return |x|^2 of a complex or real tensor, with a gradient at zero."""
    return x.real.square() + x.imag.square() if x.is_complex() else x.square()


def amplitude(x: Tensor) -> Tensor:
    """Return |x|, smooth at zero: the bare root turns rounding noise into a gradient of one."""
    return (squared(x) + EPSILON).sqrt()


def _amp_phase(x: Tensor, y: Tensor) -> Tensor:
    a, b = amplitude(x), amplitude(y)
    cosine = ((x * y.conj()).real + EPSILON) / (a * b)  # exactly 1 where both are alike
    return (a - b).square() + _PHASE * torch.minimum(a, b) * (1 - cosine).clamp(min=0)


COMPONENTS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "amplitude": lambda x, y: (amplitude(x) - amplitude(y)).square(),
    "power": lambda x, y: (squared(x) - squared(y)).square(),
    "log_amplitude": lambda x, y: (
        (_DELTA + amplitude(x)).log() - (_DELTA + amplitude(y)).log()
    ).square(),
    "complex": lambda x, y: squared(x - y),
    "amp_phase": _amp_phase,
}
