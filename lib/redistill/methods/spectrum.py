"""Notebook 2: what can be set.  Every ambiguity of the paper is a parameter.

Source: spec/spectrum.md 1.2, 5 and 8 (its twenty questions), spec/corrections.md 5.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from redistill.config import param
from redistill.errors import ConfigError
from redistill.losses.spectrum.component import COMPONENTS
from redistill.losses.spectrum.feature import (
    CHANNELS,
    DISTANCES,
    DISTRIBUTION,
    NORMALISE,
    REDUCTIONS,
    FeatureSpectrum,
)
from redistill.losses.spectrum.kernel import DIVERGENCES
from redistill.losses.spectrum.parameter import STATISTICS, ParameterSpectrum
from redistill.losses.spectrum.signal import SPACES
from redistill.losses.spectrum.transform import BANDS, TRANSFORMS
from redistill.methods.clips_config import ClipsConfig
from redistill.methods.collaboration import COLLABORATIONS
from redistill.methods.spectrum_arms import ARMS, DECIDING, PRESETS, QUICK
from redistill.nets.video import BACKGROUNDS, NETWORKS, STAGES
from redistill.phase import OPTIMIZERS
from redistill.video.protocol import read_protocol
from redistill.video.synthetic.spec import WORLDS


@dataclass(frozen=True, kw_only=True)
class SpectrumConfig(ClipsConfig):
    """Settings of distillation in frequencies."""

    MOTION: ClassVar[bool] = False
    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "standard": {
            "set_size": "standard",
            "views": 8,
            "teacher_width": 16,
            "teacher_steps": 800,
            "steps": 500,
            "arms": DECIDING,
        },
        # spec 1.2: the sizes and rates of the public recipes of temporal shift
        "paper": {
            "dataset": "something_v1",
            "size": 224,
            "stream": True,
            "sampling": "segments",
            "test_views": "2x3",
            "background": "keep",
            "teacher_network": "shift50",
            "network": "shift_mobilenet_v2",
            "teacher_width": 64,
            "student_width": 64,
            "weights": "imagenet",
            "student_weights": "imagenet",
            "teacher_steps": 65_000,
            "steps": 65_000,
            "batch": 64,
            "optimizer": "sgd",
            "teacher_lr": 1e-2,
            "lr": 1e-2,
            "weight_decay": 5e-4,
            "clip": 20.0,
            "drops": (0.4, 0.8),
            "head_rate": 5.0,
            "arms": DECIDING,
            "workers": 14,
        },
    }

    world: str = param("motion_led", help="label function of the synthetic clips", choices=WORLDS)
    distractors: int = param(
        0, help="foreign objects in a synthetic clip, each with a motion of its own", low=0, high=2
    )
    look_at: Path | None = param(help="a video whose signal is drawn beside that of a clip")
    frames: int = param(8, help="frames of a clip", low=2, high=64)
    size: int = param(40, help="side of the networks' input, pixels", low=32, high=512)
    views: int = param(4, help="augmented views of a training clip, held in memory", low=2)
    stream: bool = param(False, help="decode as needed, new views for ever, teacher in the loop")
    sampling: str = param(
        "grid", help="frames: one uniform grid, or one of each segment",
        choices=("grid", "segments"),
    )  # fmt: skip
    test_views: str = param("1x1", help="clips x crops of a test clip, 2x3 say")

    background: str = param(
        "subtract", help="the clip's mean frame is kept, or subtracted from each",
        choices=BACKGROUNDS,
    )  # fmt: skip
    teacher_network: str = param("shift10", help="of the teacher", choices=NETWORKS)
    network: str = param("shift10", help="of the students", choices=NETWORKS)
    teacher_width: int = param(12, help="channels of its first stage", low=2, high=256)
    student_width: int = param(4, help="channels of its first stage", low=2, high=256)
    weights: str = param("", help="teacher's first weights: imagenet, or a safetensors file")
    student_weights: str = param("", help="students' first weights (19)")

    stages: str = param("last", help="whose features (1)", choices=("last", "all"))
    space: str = param("gap", help="places: averaged, or each (2)", choices=SPACES)
    channels: str = param("linear", help="how widths are made equal (9)", choices=CHANNELS)
    normalise: str = param("clip", help="by what energy (7)", choices=NORMALISE)
    transform: str = param("dft", help="over time (3)", choices=TRANSFORMS)
    component: str = param(
        "amplitude", help="what is compared (4)", choices=(*COMPONENTS, DISTRIBUTION)
    )
    phase: float = param(0.0, help="from amplitude (0) to complex (1)", low=0, high=1)
    bands: str = param("all", help="which bins count (5)", choices=BANDS)
    multiplicity: bool = param(True, help="bins count as in the two-sided spectrum (6)")
    distance: str = param("squared", help="of components (8)", choices=DISTANCES)
    reduction: str = param("sum_tc", help="over bins and channels", choices=REDUCTIONS)
    teacher_time: str = param(
        "forward", help="its features as they are, or reversed: a control",
        choices=("forward", "reversed"),
    )  # fmt: skip

    statistic: str = param("energy", help="of the kernels' coefficients (12)", choices=STATISTICS)
    divergence: str = param("kl", help="of shares of energy (13)", choices=tuple(DIVERGENCES))
    kernel_transform: str = param("dct", help="of kernels (11)", choices=("dct", "dft"))
    kernel_layers: str = param(
        "normalised", help="layers count alike, or kernels (14)", choices=("normalised", "pooled")
    )
    teacher_stage: str = param(
        "same", help="whose distribution a stage is taught; next: a sham", choices=("same", "next")
    )

    collab: str = param("learned", help="how the losses work together (15)", choices=COLLABORATIONS)
    lambda_f: float = param(1.0, help="weight of the features' spectrum, where fixed", low=0)
    lambda_p: float = param(1.0, help="weight of the kernels' spectrum, where fixed", low=0)
    clamp: float = param(4.0, help="largest logarithm of a noise level, either sign", low=0)
    label_noise: bool = param(False, help="a noise level for the labels too (16)")
    share_f: float = param(0.5, help="of steps with features, stochastic", low=0.05, high=0.95)
    warmup: float = param(0.0, help="share of steps in which spectra fade in (20)", low=0, high=1)
    kd_weight: float = param(0.0, help="of logits' distillation beside (17)", low=0)
    temperature: float = param(4.0, help="of logits' distillation", low=0.1)
    map_layers: int = param(2, help="last stages whose maps fitnet and at compare", low=1, high=4)

    arms: tuple[str, ...] = param(QUICK, help="methods that are compared", choices=ARMS)
    also: tuple[str, ...] = param((), help="further methods; they change no other", choices=ARMS)
    teacher_steps: int = param(120, help="optimiser steps of the teacher", low=1)
    steps: int = param(60, help="optimiser steps of each student", low=1)
    batch: int = param(32, help="clips a step", low=4)
    teacher_lr: float = param(4e-3, help="peak learning rate of the teacher", low=0)
    lr: float = param(1e-2, help="peak learning rate of the students", low=0)
    weight_decay: float = param(0.05, help="of kernels and matrices", low=0)
    optimizer: str = param("adamw", help="of all networks", choices=OPTIMIZERS)
    clip: float = param(0.0, help="largest norm of the whole gradient; 0: any", low=0)
    drops: tuple[float, ...] = param(
        (), help="shares of the steps after which rates fall to a tenth; none: half a cosine",
        low=0, high=1,
    )  # fmt: skip
    head_rate: float = param(1.0, help="learning rate of the classifier, in others'", low=0)
    device: str = param("auto", help="where to train", choices=("auto", "cpu", "cuda"))
    threads: int = param(1, help="CPU threads of torch", low=1, high=256)
    workers: int = param(2, help="processes that decode", low=0, high=256)

    def __post_init__(self) -> None:
        """Refuse what cannot be, before a clip is decoded: an arm named twice, readings at odds."""
        super().__post_init__()
        both = (*self.arms, *self.also)
        if twice := {name for name in both if both.count(name) > 1}:
            raise ConfigError(
                f"parameters arms and also name {', '.join(sorted(twice))} twice; name each once"
            )
        try:
            read_protocol(self.test_views)
        except ConfigError as error:
            raise ConfigError(f"parameter test_views: {error}") from None
        self.feature_loss, self.parameter_loss  # noqa: B018  # refuse what is no reading
        for name in both:
            try:
                self.of_arm(name)
            except ConfigError as error:
                raise ConfigError(f"arm {name} cannot be trained: {error}") from None

    def of_arm(self, name: str) -> "SpectrumConfig":
        """Return the config of one student: what its arm changes, no other arms."""
        return replace(self, **PRESETS.get(name, {}), arms=(), also=())

    def catalog_options(self) -> dict[str, Any]:
        """Return what ``open_catalog`` takes; the synthetic set can be made easier or harder."""
        more = {"distractors": self.distractors} if self.dataset == "synthetic" else {}
        return super().catalog_options() | more

    @property
    def recipe(self) -> dict[str, Any]:
        """Settings of ``Phase`` beside steps, batch, rate and decay."""
        heads = (("net.net.fc.", self.head_rate), ("net.net.classifier.", self.head_rate))
        scales = heads if self.head_rate != 1 else ()
        how = {"optimizer": self.optimizer, "clip": self.clip, "drops": self.drops}
        return how | {"scales": scales}

    @property
    def feature_loss(self) -> FeatureSpectrum:
        """The loss of one stage's features."""
        names = (
            "space", "channels", "normalise", "transform", "component", "phase", "bands",
            "multiplicity", "distance", "reduction",
        )  # fmt: skip
        return FeatureSpectrum(**{name: getattr(self, name) for name in names})

    @property
    def parameter_loss(self) -> ParameterSpectrum:
        """The loss of all stages' kernels."""
        return ParameterSpectrum(
            statistic=self.statistic,
            divergence=self.divergence,
            transform=self.kernel_transform,
            layers=self.kernel_layers,
        )

    @property
    def maps_channels(self) -> bool:
        """Whether the loss reads, and so trains, maps from the student's channels."""
        apart = self.space == "attention" or self.component == DISTRIBUTION
        return self.channels == "linear" and self.lambda_f > 0 and not apart

    @property
    def keep(self) -> int:
        """Number of last stages whose features are compared."""
        return STAGES if self.stages == "all" else 1

    @property
    def segments(self) -> int:
        """Frames of a clip, as feeds call them."""
        return self.frames
