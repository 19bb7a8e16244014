"""Adaptive averaging as a product with a fixed matrix: deterministic, twice differentiable."""

from functools import cache

import torch
from torch import Tensor


@cache
def averaging(size: int, wanted: int) -> Tensor:
    """Return (wanted, size): row i averages from floor(i size / wanted) to ceil of the next."""
    matrix = torch.zeros(wanted, size, device="cpu")  # whatever the default is: it is kept
    for i in range(wanted):
        first, last = i * size // wanted, -(-(i + 1) * size // wanted)
        matrix[i, first:last] = 1 / (last - first)
    return matrix
