"""Tensors as the losses take them: in single precision at least, and rows of length one."""

import torch
from torch import Tensor

from redistill.errors import ConfigError

_TINY = 1e-24  # of a squared length


def full(x: Tensor) -> Tensor:
    """Return ``x`` in float32; float64 stays, half precision would not bear sums of squares."""
    return x if x.dtype == torch.float64 else x.float()


def unit(x: Tensor) -> Tensor:
    """Return ``x`` in full precision, its last axis of length one.

    A row of zeros stays one, with a gradient as if its length were one: a floor under the length
    would make that gradient larger by a factor of one over the floor.
    """
    x = full(x)
    squared = x.square().sum(-1, keepdim=True)
    return x / torch.where(squared > _TINY, squared, torch.ones_like(squared)).sqrt()


def several(x: Tensor, least: int, loss: str) -> Tensor:
    """Return ``x`` in full precision if it has enough rows.

    Raises:
        ConfigError: fewer clips in the batch than the loss is defined for.
    """
    if len(x) < least:
        raise ConfigError(
            f"{loss} compares at least {least} clips and this batch has {len(x)}; raise batch, or "
            "give more training clips"
        )
    return full(x)
