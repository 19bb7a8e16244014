"""The three parts of compressed video that networks look at, in the order used everywhere."""

from redistill.errors import ConfigError, nearest

MODALITIES = ("iframe", "mv", "residual")
CHANNELS = {"iframe": 3, "mv": 2, "residual": 3}


def check_modality(modality: str) -> str:
    """Return ``modality`` if it is one; else raise ConfigError."""
    if modality not in MODALITIES:
        raise ConfigError(
            f"unknown modality {modality!r}; expected one of {', '.join(MODALITIES)}."
            f"{nearest(str(modality), MODALITIES)}"
        )
    return modality
