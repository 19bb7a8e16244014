"""Notebook 0: what can be set."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from redistill.config import param


@dataclass(frozen=True, kw_only=True)
class StartConfig:
    """Settings of the start page."""

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {"quick": {}}

    profile: str = param("quick", help="set of defaults")
    world: str = param(
        "scene_led",
        help="label function of the synthetic clips",
        choices=("scene_led", "crossed", "motion_led"),
    )
    data_seed: int = param(0, help="which synthetic set", low=0, high=4)
