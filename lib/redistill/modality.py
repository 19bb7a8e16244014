"""What networks look at: the three parts of compressed video, in this order, or whole frames."""

from redistill.errors import ConfigError, nearest

MODALITIES = ("iframe", "mv", "residual")
RGB = "rgb"  # whole frames on a uniform grid
CHANNELS = {"iframe": 3, "mv": 2, "residual": 3}
INPUTS = CHANNELS | {RGB: 3}
PICTURES = ("iframe", RGB)  # those in the colours of a picture


def check_modality(modality: str) -> str:
    """Return ``modality`` if it is one; else raise ConfigError."""
    if modality not in INPUTS:
        raise ConfigError(
            f"unknown modality {modality!r}; expected one of {', '.join(INPUTS)}."
            f"{nearest(str(modality), INPUTS)}"
        )
    return modality
