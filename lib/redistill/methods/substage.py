"""Notebook 1: what can be set.  Every ambiguity of the paper (A1 to A16) is a parameter.

Source: spec/substage.md 7.3 and 9, spec/corrections.md 6.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Any, ClassVar

from redistill.config import param
from redistill.errors import ConfigError
from redistill.methods.clips_config import ClipsConfig
from redistill.methods.recipes import ARMS, DECIDING, KINDS, QUICK
from redistill.nets.video import NETWORKS


@dataclass(frozen=True, kw_only=True)
class SubstageConfig(ClipsConfig):
    """Settings of staged distillation under scarce labels."""

    MOTION: ClassVar[bool] = False
    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "standard": {
            "set_size": "standard",
            "views": 4,
            "label_frac": 0.2,
            "teacher_width": 16,
            "teacher_steps": 600,
            "steps": 500,
            "arms": DECIDING,
        },
        # spec 7.2: full-size networks on real video, 16 frames of 112 pixels
        "paper": {
            "dataset": "ucf101",
            "frames": 16,
            "size": 112,
            "teacher_network": "r2plus1d_18",
            "network": "r2plus1d_18",
            "teacher_width": 64,
            "student_width": 16,
            "weights": "kinetics",
            "teacher_steps": 20_000,
            "steps": 30_000,
            "arms": DECIDING,
            "weight_decay": 5e-4,
            "workers": 14,
        },
    }

    frames: int = param(4, help="frames of a clip, on a uniform grid", low=2, high=64)
    size: int = param(56, help="side of the networks' input, pixels", low=32, high=512)
    views: int = param(3, help="augmented views of a training clip, held in memory", low=2)

    weak_mode: str = param(
        "few",
        help="what is weak about the labels (A10)",
        choices=("few", "noisy", "sources", "inexact", "full"),
    )
    label_frac: float = param(0.5, help="share of trusted labels, mode few", low=0, high=1)
    noise_rate: float = param(0.4, help="share of wrong labels, mode noisy (A8)", low=0, high=0.9)
    noise_kind: str = param(
        "symmetric", help="which wrong labels, mode noisy", choices=("symmetric", "confusable")
    )

    teacher_network: str = param("shift10", help="of the teacher", choices=NETWORKS)
    network: str = param("shift10", help="of assistants and students", choices=NETWORKS)
    teacher_width: int = param(12, help="channels of its first stage", low=2, high=256)
    student_width: int = param(4, help="channels of its first stage", low=2, high=256)
    weights: str = param("", help="teacher's first weights: kinetics, or a safetensors file")
    teacher_labels: str = param(
        "same", help="the teacher learns from the same labels or from all (A2)",
        choices=("same", "full"),
    )  # fmt: skip

    kinds: tuple[str, ...] = param(tuple(KINDS), help="substages (A1)", choices=tuple(KINDS))
    n_assistants: int = param(1, help="networks between teacher and student", low=0, high=3)
    cascade: str = param(
        "chain", help="who teaches (A6, A12)", choices=("chain", "dense", "sequential")
    )
    cascade_init: str = param(
        "random", help="first weights of a lower network", choices=("random", "inherit")
    )
    branch_data: str = param(
        "views", help="what each branch sees (A9)", choices=("shared", "views", "partition")
    )
    branch_sharing: str = param(
        "separate", help="assistants of the branches (A11)", choices=("separate", "assistants")
    )
    ce_in_branch: bool = param(True, help="labels in feature and relation branches (A13)")
    fea_kind: str = param(
        "norm_mse", help="feature loss", choices=("norm_mse", "fitnet", "at", "nst")
    )
    fea_layers: int = param(2, help="last stages whose maps are compared (A14)", low=1, high=4)
    rel_kind: str = param("sp", help="relation loss", choices=("sp", "rkd", "cka", "pkt", "cc"))
    corr_reading: str = param(
        "pair", help="correlation of substages (A4)", choices=("pair", "pearson", "mismatch")
    )
    rho_cor: float = param(0.1, help="weight of the correlation", low=0)
    fd_kind: str = param(
        "gauss", help="distance of feature distributions (A7)",
        choices=("gauss", "gauss_class", "mmd", "swd", "lgm", "pkt"),
    )  # fmt: skip
    fd_gamma: float = param(0.05, help="weight of that distance", low=0)
    temperature: float = param(4.0, help="of response terms", low=0.1)
    lam: float = param(
        0.5, help="weight of the response, its labels taking the rest", low=0, high=1
    )
    beta_fea: float = param(1.0, help="weight of the feature loss", low=0)
    beta_rel: float = param(1.0, help="weight of the relation loss", low=0)
    kd_target: str = param(
        "tta", help="the response taught: mean over views, or of the view", choices=("tta", "view")
    )

    refinement: bool = param(True, help="optimise pseudo-labels")
    refresh: str = param("level", help="when labels are refined (A16)", choices=("level", "once"))
    unc_kind: str = param(
        "js", help="uncertainty of a label (A15)", choices=("js", "entropy", "std")
    )
    gate: str = param("quantile", help="which labels count", choices=("quantile", "absolute"))
    rho_sel: float = param(0.5, help="share let through at first", low=0, high=1)
    lam_max: float = param(0.6, help="largest step of a noisy label", low=0, high=1)
    w_min: float = param(0.2, help="least weight of a label", low=0, high=1)
    sharpen: float = param(0.5, help="temperature that sharpens pseudo-labels", low=0.05)
    neg_labels: bool = param(False, help="learn from classes ruled out (A5)")
    label_guard: bool = param(
        True, help="undo a round that trusted validation labels speak against"
    )

    combine: str = param(
        "logit_mean", help="how students are combined (A3)",
        choices=("logit_mean", "learned", "feat_concat"),
    )  # fmt: skip
    deploy_from: str = param(
        "ensemble", help="what the deployed student learns from", choices=("ensemble", "branches")
    )
    weighting: str = param(
        "fixed", help="weights of several teachers (A7, A15)",
        choices=("fixed", "fd", "uncertainty"),
    )  # fmt: skip
    redistill_init: str = param(
        "fresh", help="first weights of the deployed student", choices=("fresh", "best_branch")
    )

    arms: tuple[str, ...] = param(QUICK, help="methods that are compared", choices=ARMS)
    also: tuple[str, ...] = param((), help="further methods; they change no other", choices=ARMS)
    sweeps: tuple[str, ...] = param(
        (), help="series over a parameter", choices=("labels", "noise", "gaps", "pairs")
    )
    teacher_steps: int = param(120, help="optimiser steps of the teacher", low=1)
    steps: int = param(60, help="optimiser steps of each assistant and student", low=1)
    trusted_share: float = param(0.25, help="of a batch, at least", low=0, high=0.9)
    batch: int = param(32, help="clips a step", low=4)
    teacher_lr: float = param(4e-3, help="peak learning rate of the teacher", low=0)
    lr: float = param(1e-2, help="peak learning rate of assistants and students", low=0)
    weight_decay: float = param(0.05, help="of kernels and matrices", low=0)
    device: str = param("auto", help="where to train", choices=("auto", "cpu", "cuda"))
    threads: int = param(1, help="CPU threads of torch", low=1, high=256)
    workers: int = param(2, help="processes that decode", low=0, high=256)

    def __post_init__(self) -> None:
        """Refuse what cannot be: no clips, no cascade, a branch named twice."""
        super().__post_init__()
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise ConfigError(
                f"parameter kinds = {self.kinds}: name one or more of {', '.join(KINDS)}, each once"
            )
        if self.corr_reading == "mismatch" and len(self.kinds) < 2:
            raise ConfigError(
                f"parameter corr_reading = 'mismatch' pairs a branch with another, and kinds = "
                f"{self.kinds} is one alone; name two or more, or take corr_reading = 'pair'"
            )
        if not self.label_frac:
            raise ConfigError(
                "parameter label_frac = 0: the teacher would have no label to learn from; give a "
                "share above 0 (one clip of each class is kept at least)"
            )
        if ceil(self.trusted_share * self.batch) >= self.batch:
            raise ConfigError(
                f"parameter trusted_share = {self.trusted_share} of batch = {self.batch} leaves "
                "the other clips no place in a batch; lower it, or raise batch"
            )
        self.widths  # noqa: B018  # refuses an impossible cascade

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of teacher, assistants and student, geometrically spaced (spec 2.1).

        Raises:
            ConfigError: they do not strictly fall.
        """
        found = self._widths(self.n_assistants)
        if _falls(found):
            return found
        fitting = [m for m in range(self.n_assistants) if _falls(self._widths(m))]
        raise ConfigError(
            f"parameter n_assistants = {self.n_assistants}: from teacher_width "
            f"{self.teacher_width} to student_width {self.student_width} the widths would be "
            f"{', '.join(map(str, found))}, which do not strictly fall; "
            + (
                f"take at most {fitting[-1]} assistants, or networks further apart"
                if fitting
                else "the student must be narrower than the teacher"
            )
        )

    def _widths(self, assistants: int) -> tuple[int, ...]:
        levels, ratio = assistants + 1, self.student_width / self.teacher_width
        return tuple(round(self.teacher_width * ratio ** (m / levels)) for m in range(levels + 1))

    def catalog_options(self) -> dict[str, Any]:
        """Return what ``open_catalog`` takes; inexact labels need clips of their own."""
        inexact = self.dataset == "synthetic" and self.weak_mode == "inexact"
        return super().catalog_options() | ({"inexact": True} if inexact else {})

    @property
    def segments(self) -> int:
        """Frames of a clip, as feeds call them."""
        return self.frames

    @property
    def background(self) -> str:
        """Frames are shown as they are."""
        return "keep"

    @property
    def stream(self) -> bool:
        """Views are held in memory, always: what networks say of them is kept beside them."""
        return False


def _falls(widths: tuple[int, ...]) -> bool:
    return all(a > b for a, b in pairwise(widths))
