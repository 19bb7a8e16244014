"""The hash of tensors: their numbers, types and shapes."""

import hashlib
from collections.abc import Iterable
from typing import Any

from torch import Tensor


def sha256_tensors(tensors: Iterable[Tensor], about: Any = ()) -> str:
    """Return the SHA-256 of tensors, in their order, in hexadecimal.

    Args:
        tensors: on any device.
        about: hashed with them, by its ``repr``.
    """
    parts = hashlib.sha256(repr(about).encode())
    for tensor in tensors:
        parts.update(repr((tensor.dtype, tuple(tensor.shape))).encode())
        parts.update(tensor.detach().cpu().contiguous().numpy())
    return parts.hexdigest()
