"""Which config class belongs to which notebook.

A notebook names its config in its metadata: ``{"redistill": {"config": "progressive"}}``.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from redistill.errors import ConfigError, nearest

CONFIGS: Mapping[str, str] = {
    "start": "redistill.start:StartConfig",
    "substage": "redistill.methods.substage:SubstageConfig",
    "spectrum": "redistill.methods.spectrum:SpectrumConfig",
    "progressive": "redistill.methods.progressive:ProgressiveConfig",
    "flatness": "redistill.methods.flatness:FlatnessConfig",
    "verdicts": "redistill.verdicts:VerdictsConfig",
}


def config_name(metadata: Mapping[str, Any]) -> str:
    """Return the config's name from a notebook's metadata.

    Raises:
        ConfigError: the notebook names no config of this suite.
    """
    name = metadata.get("redistill", {}).get("config")
    if name is None:
        raise ConfigError(
            "the notebook names no config, so its parameters cannot be checked: give it the "
            f'metadata {{"redistill": {{"config": NAME}}}}, NAME one of {", ".join(CONFIGS)}'
        )
    if name not in CONFIGS:
        hint = nearest(str(name), CONFIGS)
        raise ConfigError(
            f"the notebook names the config {name!r}; there are {', '.join(CONFIGS)}.{hint}"
        )
    return name


def load_config(name: str) -> type:
    """Import the config class called ``name``."""
    module, _, attribute = CONFIGS[name].partition(":")
    return getattr(import_module(module), attribute)
