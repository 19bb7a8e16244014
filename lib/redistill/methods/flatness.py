"""Notebook 4: what can be set."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from redistill.config import as_in, param
from redistill.errors import ConfigError
from redistill.methods.clips_config import ClipsConfig
from redistill.methods.progressive import ProgressiveConfig


@dataclass(frozen=True, kw_only=True)
class FlatnessConfig(ClipsConfig):
    """Settings of the networks of notebook 3, and of how their curvature is measured.

    What it shares with notebook 3 has its defaults, so that notebook 4 finds those networks in
    the cache.
    """

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "standard": {
            "set_size": "standard",
            "views": 4,
            "steps": 900,
            "ic_steps": 240,
            "arms": ("ce", "kd_iframe", "pkd", "pkd_iframe", "summary"),
            "rungs": (1 / 12, 1 / 6, 1 / 3, 2 / 3),
            "sample": 600,
            "hessian_clips": 60,
            "top": 5,
            "top_everywhere": True,
            "probes": 30,
            "density_steps": 40,
            "density_probes": 3,
            "grid": 15,
            "directions": 5,
        },
        "paper": {
            "dataset": "ucf101",
            "size": 224,
            "width": 64,
            "depth": 18,
            "depth_iframe": 50,
            "same_depth": 18,
            "stream": True,
            "weights": "imagenet",
            "recipe": "paper",
            "steps": 152_000,
            "ic_steps": 44_700,
            "weight_decay": 1e-4,
            "workers": 14,
            "arms": ("ce", "kd_iframe", "pkd", "pkd_iframe", "summary"),
            "rungs": (1 / 12, 1 / 6, 1 / 3, 2 / 3),
            "sample": 2020,
            "hessian_clips": 505,
            "hessian_batch": 32,
            "top": 5,
            "top_everywhere": True,
            "probes": 50,
            "density_steps": 80,
            "density_probes": 5,
            "grid": 21,
            "directions": 5,
        },
    }

    segments: int = as_in(ProgressiveConfig, "segments")
    size: int = as_in(ProgressiveConfig, "size")
    views: int = as_in(ProgressiveConfig, "views")
    stream: bool = as_in(ProgressiveConfig, "stream")
    depth: int = as_in(ProgressiveConfig, "depth")
    depth_iframe: int = as_in(ProgressiveConfig, "depth_iframe")
    same_depth: int = param(
        10, help="layers of the networks compared at one depth", choices=(10, 18, 34, 50)
    )
    width: int = as_in(ProgressiveConfig, "width")
    weights: str = as_in(ProgressiveConfig, "weights")
    recipe: str = as_in(ProgressiveConfig, "recipe")
    steps: int = as_in(ProgressiveConfig, "steps")
    arms: tuple[str, ...] = as_in(ProgressiveConfig, "arms")
    ic_steps: int = as_in(ProgressiveConfig, "ic_steps")
    rungs: tuple[float, ...] = param(
        (1 / 12,), help="shares of the steps, to compare at equal loss", low=0.01, high=0.99
    )
    batch: int = as_in(ProgressiveConfig, "batch")
    lr: float = as_in(ProgressiveConfig, "lr")
    weight_decay: float = as_in(ProgressiveConfig, "weight_decay")
    sample: int = param(96, help="training clips on which the training loss is read", low=2)
    hessian_clips: int = param(6, help="of these, clips that the Hessian is of", low=2)
    hessian_batch: int = param(64, help="clips in a batch of the Hessian", low=1)
    top: int = param(2, help="eigenvalues of each network", low=2, high=50)
    top_everywhere: bool = param(
        False, help="the largest eigenvalue of all others, and of D H D, too"
    )
    probes: int = param(6, help="random vectors of a trace", low=2)
    density_steps: int = param(8, help="Lanczos steps of a density", low=2)
    density_probes: int = param(2, help="random vectors of a density", low=2)
    grid: int = param(9, help="points along a side of a surface", low=3)
    directions: int = param(2, help="random directions of the slices", low=2)
    reach: float = param(0.5, help="half side of a surface, in norms of the filters", low=0)
    reestimate: bool = param(False, help="BatchNorm statistics anew at every point of a surface")
    device: str = as_in(ProgressiveConfig, "device")
    threads: int = as_in(ProgressiveConfig, "threads")
    workers: int = as_in(ProgressiveConfig, "workers")

    def __post_init__(self) -> None:
        """Refuse a loss over more clips than are known, arms without ce or pkd, unsorted rungs."""
        super().__post_init__()
        if self.hessian_clips > self.sample:
            raise ConfigError(
                f"parameter hessian_clips = {self.hessian_clips}: they are taken from the sample "
                f"of {self.sample} training clips; lower it or raise sample"
            )
        if not {"ce", "pkd"} <= set(self.arms):
            raise ConfigError(
                f"parameter arms = {self.arms}: expected ce and pkd among them, between whose "
                "classifiers the lines are drawn; add what is missing"
            )
        if list(self.rungs) != sorted(set(self.rungs)):
            raise ConfigError(f"parameter rungs = {self.rungs}: name each share once, rising")

    @property
    def networks(self) -> ProgressiveConfig:
        """The settings of notebook 3 that train the same networks."""
        shared = {one.name for one in fields(self)} & {
            one.name for one in fields(ProgressiveConfig)
        }
        told = {name: getattr(self, name) for name in shared}
        return ProgressiveConfig(**told, wise_arm=self.arms[0])
