"""Notebook 3: what can be set.  The defaults of each profile are all that a profile is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from redistill.config import param
from redistill.errors import ConfigError
from redistill.methods.arms import ARM_NAMES, PASSES
from redistill.methods.clips_config import ClipsConfig


@dataclass(frozen=True, kw_only=True)
class ProgressiveConfig(ClipsConfig):
    """Settings of the three networks of compressed video (spec/progressive.md 1 and 2)."""

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "standard": {
            "set_size": "standard",
            "views": 4,
            "steps": 900,
            "arms": ARM_NAMES,
            "ic_steps": 240,
            "released": ("long", "drift", "released"),
        },
        # spec 2.1 and 4.3: 510 and 150 epochs of UCF-101, as many for all arms, batches of 32
        "paper": {
            "dataset": "ucf101",
            "size": 224,
            "width": 64,
            "depth": 18,
            "depth_iframe": 50,
            "stream": True,
            "weights": "imagenet",
            "recipe": "paper",
            "steps": 152_000,
            "arms": ARM_NAMES,
            "ic_steps": 44_700,
            "released": ("long", "drift", "released"),
            "weight_decay": 1e-4,
            "workers": 14,
        },
    }

    segments: int = param(3, help="samples of a clip", low=1, high=64)
    size: int = param(56, help="side of the networks' input, pixels", low=33, high=512)
    views: int = param(6, help="augmented views of a training clip, held in memory", low=1)
    stream: bool = param(False, help="decode in every epoch instead of holding the views")
    depth: int = param(
        10, help="layers of the motion and residual networks", choices=(10, 18, 34, 50)
    )
    depth_iframe: int = param(
        18, help="layers of the I-frame network", choices=(10, 18, 34, 50, 101, 152)
    )
    width: int = param(16, help="channels of the first stage", low=2, high=256)
    weights: str = param("", help="initial weights: imagenet, or a safetensors file; none: drawn")
    recipe: str = param(
        "ours", help="optimiser and rates: ours, or the paper's", choices=("ours", "paper")
    )
    steps: int = param(230, help="optimiser steps of each network", low=1)
    arms: tuple[str, ...] = param(
        ("ce", "kd_iframe", "pkd"), help="who teaches the internal classifiers", choices=ARM_NAMES
    )
    ic_steps: int = param(60, help="optimiser steps of the internal classifiers", low=1)
    released: tuple[str, ...] = param(
        (), help="what of the released training to try as well", choices=tuple(PASSES)
    )
    team: bool = param(False, help="train TEAM-Net, the second backbone, as well")
    wise_arm: str = param("pkd", help="arm whose classifiers the ensembles and cascades use")
    batch: int = param(32, help="clips a step", low=2)
    lr: float = param(4e-3, help="peak learning rate", low=0)
    weight_decay: float = param(0.05, help="of kernels and matrices", low=0)
    device: str = param("auto", help="where to train", choices=("auto", "cpu", "cuda"))
    threads: int = param(1, help="CPU threads of torch", low=1, high=256)
    workers: int = param(2, help="processes that decode", low=0, high=256)

    def __post_init__(self) -> None:
        """Refuse a real data set without its folder, and ensembles of an arm that is not there."""
        super().__post_init__()

        if self.wise_arm not in self.arms:
            raise ConfigError(
                f"parameter wise_arm = {self.wise_arm!r}: expected one of the arms that are "
                f"trained, {', '.join(self.arms)}"
            )
