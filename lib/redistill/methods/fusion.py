r"""Late fusion: one score from the scores of several networks.

$$u = \sum_m w_m z_m, \qquad \hat y = \arg\max_c u_c$$

Source: CoViAR weights the logits 2 (I-frame) : 1 (motion) : 1 (residual), spec/progressive.md 2.1.
"""

from collections.abc import Mapping

from torch import Tensor

from redistill.errors import RedistillError

COVIAR = {"iframe": 2.0, "mv": 1.0, "residual": 1.0}


def late_fusion(logits: Mapping[str, Tensor], weights: Mapping[str, float] = COVIAR) -> Tensor:
    """Return the weighted sum of logits, (N, K).

    Args:
        logits: modality to (N, K).
        weights: modality to its weight; the same modalities.

    Raises:
        RedistillError: modalities or shapes that do not agree.
    """
    if logits.keys() != weights.keys():
        raise RedistillError(
            f"fusion has logits of {sorted(logits)} but weights of {sorted(weights)}; "
            "give one weight for each network"
        )
    shapes = {name: tuple(z.shape) for name, z in logits.items()}
    if len(set(shapes.values())) != 1:
        raise RedistillError(f"fusion needs logits of one shape (N, K), got {shapes}")
    return sum(weights[name] * z for name, z in logits.items())
