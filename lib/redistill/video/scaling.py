"""How the values of the three modalities are scaled (spec 1.4)."""

import numpy as np
import torch

from redistill.modality import PICTURES, check_modality

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def to_bytes(values: np.ndarray, modality: str) -> np.ndarray:
    """Integer stage: what the decoder gives, as bytes.

    Args:
        values: (..., C); uint8 RGB, int16 motion in pixels, or int16 residual.
        modality: of the values.

    Returns:
        uint8 of the same shape; 128 stands for no motion and for no residual.
    """
    if check_modality(modality) in PICTURES:
        return values
    if modality == "mv":
        # trunc(v * 127.5 / 20) in integers, 127.5 / 20 being 51 / 8: saturates at 20 pixels.
        size = np.abs(values.astype(np.int32)) * 51 // 8
        values = np.where(values < 0, -size, size)
    return (values.astype(np.int32) + 128).clip(0, 255).astype(np.uint8)


def scale(x: torch.Tensor, modality: str) -> torch.Tensor:
    """Float stage: bytes to what a network takes; meant for the device, after the transfer.

    Args:
        x: uint8 (..., C, h, w).
        modality: of the values.

    Returns:
        float32 of the same shape: pictures standardised by the ImageNet mean and deviation, motion
        in about [-0.5, 0.5], residual in about [-2.2, 2.2].
    """
    values = x.to(torch.float32) / 255
    if check_modality(modality) == "mv":
        return values - 0.5
    pair = values.new_tensor([_MEAN if modality in PICTURES else (0.5, 0.5, 0.5), _STD])
    mean, deviation = pair[..., None, None]
    return (values - mean) / deviation
