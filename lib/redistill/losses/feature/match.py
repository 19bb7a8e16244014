"""Maps of two networks on one grid."""

from torch import Tensor

from redistill.nets.averaging import averaging


def match(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Average both maps to the smaller of their sizes, axis by axis.

    As adaptive average pooling does, but by products with fixed matrices: deterministic on CUDA.

    Args:
        one: (B, C, T, H, W).
        other: (B, D, T', H', W').
    """
    size = [min(a, b) for a, b in zip(one.shape[2:], other.shape[2:], strict=True)]
    return resample(one, size), resample(other, size)


def resample(x: Tensor, size: list[int]) -> Tensor:
    """Average maps (B, C, T, H, W) to a grid of ``size`` (T, H, W), none of it larger."""
    for axis, wanted in enumerate(size, start=2):
        if x.shape[axis] != wanted:
            matrix = averaging(x.shape[axis], wanted).to(x)
            x = (x.transpose(axis, -1) @ matrix.T).transpose(axis, -1)
    return x
