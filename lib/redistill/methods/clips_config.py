"""What the notebooks that train can be told about their clips."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from redistill.config import param
from redistill.errors import ConfigError
from redistill.video.catalog import DATASETS


@dataclass(frozen=True, kw_only=True)
class ClipsConfig:
    """Settings of the clips; those of a method follow them.

    Attributes:
        MOTION: whether motion is read of the clips, which not every stream allows.
    """

    MOTION: ClassVar[bool] = True

    profile: str = param("quick", help="set of defaults")
    dataset: str = param("synthetic", help="which clips", choices=DATASETS)
    data_root: Path | None = param(help="folder of a real data set")
    world: str = param(
        "scene_led",
        help="label function of the synthetic clips",
        choices=("scene_led", "crossed", "motion_led"),
    )
    set_size: str = param(
        "quick", help="clips per class of the synthetic set", choices=("quick", "standard")
    )
    data_seed: int = param(0, help="which synthetic set", low=0, high=4)
    seed: int = param(0, help="of weights, order and augmentation", low=0, high=2**31 - 1)
    folds: tuple[int, ...] = param((), help="folds to train on; none named: all", low=0)
    on_bad: str = param("raise", help="a file that cannot be used", choices=("raise", "drop"))

    def __post_init__(self) -> None:
        """Refuse a real data set without its folder."""
        if self.dataset != "synthetic" and self.data_root is None:
            raise ConfigError(
                f"parameter data_root is not given, and dataset = {self.dataset!r} needs it: "
                "the folder that holds the clips"
            )

    @property
    def recipe(self) -> dict[str, Any]:
        """Settings of ``Phase`` beside steps, batch, rate and decay."""
        return {}

    def catalog_options(self) -> dict[str, Any]:
        """Return what ``open_catalog`` takes besides the data set's name and folder."""
        shared = {"on_bad": self.on_bad, "workers": self.workers}
        if self.dataset != "synthetic":
            return shared | {"motion": self.MOTION}
        return shared | {"world": self.world, "data_seed": self.data_seed, "size": self.set_size}
