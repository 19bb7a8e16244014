r"""The loss of a student of spectra: labels, features over time, kernels over space, logits.

$$L = \text{collaboration}(L_{CE}, L_{FSD}, L_{PDD})
      + \lambda_{KD}\, \tau^2\, \mathrm{KL}(\operatorname{softmax}(z^t / \tau) \,\|\,
      \operatorname{softmax}(z^s / \tau)).$$

Source: spec/spectrum.md 5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from redistill.losses.response.kd import kd
from redistill.losses.spectrum.feature import FeatureSpectrum
from redistill.losses.spectrum.parameter import ParameterSpectrum
from redistill.methods.collaboration import Collaboration
from redistill.methods.edge_loss import soft_label_loss
from redistill.nets.follower import Followed
from redistill.nets.video import Taps
from redistill.taught_feed import TaughtBatch

if TYPE_CHECKING:
    from redistill.methods.spectrum import SpectrumConfig

Kernels = Sequence[Mapping[str, Tensor]]


@dataclass(frozen=True, kw_only=True)
class SpectrumLoss:
    """An objective for ``run_phase``; its settings are part of a phase's identity.

    Attributes:
        feature: loss of one stage's features.
        parameter: loss of all stages' kernels.
        collaboration: how they are added to that of the labels.
        reverse: the teacher's features run backwards, a control that the amplitudes cannot see.
        shifted: each stage is taught the next one's distribution, the last the first's: a sham.
        kd_weight: of logits' distillation.
        temperature: of logits' distillation.
    """

    feature: FeatureSpectrum = field(default_factory=FeatureSpectrum)
    parameter: ParameterSpectrum = field(default_factory=ParameterSpectrum)
    collaboration: Collaboration = field(default_factory=Collaboration)
    reverse: bool = False
    shifted: bool = False
    kd_weight: float = 0.0
    temperature: float = 4.0

    def __call__(self, followed: Followed, batch: TaughtBatch, done: float) -> Tensor:
        """Return the scalar loss."""
        logits = followed.taps.logits
        labels, weights = batch.labels.to(logits.device), batch.weights.to(logits.device)
        ce = soft_label_loss(logits, labels, weights)
        none = ce.new_zeros(())
        collab = self.collaboration
        heard = collab.lambda_f or self.kd_weight
        upper = self.upper(followed, batch) if heard else None
        fsd = self.features(followed, upper) if collab.lambda_f else none
        pdd = self.parameters(followed.kernels, followed.given) if collab.lambda_p else none
        total = collab(ce, fsd, pdd, followed.noise, step=followed.step, done=done)
        if followed.upper is not None:
            total = total + soft_label_loss(followed.upper.logits, labels, weights)
        if self.kd_weight:
            given = upper.logits.detach()
            total = total + self.kd_weight * kd(logits, given, temperature=self.temperature)
        return total

    def upper(self, followed: Followed, batch: TaughtBatch) -> Taps:
        """Return what the teacher says of the batch, without a gradient."""
        given = followed.upper or batch.uppers[0]
        given = given.to(followed.taps.logits.device).apply(torch.Tensor.detach)
        if not self.reverse:
            return given
        maps = tuple(x.flip(2) for x in given.maps)
        return Taps(given.logits, given.embedding, maps)

    def features(self, followed: Followed, upper: Taps) -> Tensor:
        """Return the loss of the features, mean over the stages kept."""
        project = followed.project or [None] * len(followed.taps.maps)
        given = upper.maps[-len(followed.taps.maps) :]
        rows = zip(followed.taps.maps, given, project, strict=True)
        return torch.stack([self.feature(*row) for row in rows]).mean()

    def parameters(self, own: Kernels, given: Kernels) -> Tensor:
        """Return the loss of the kernels, mean over stages."""
        given = [*given[1:], given[0]] if self.shifted else given
        return self.parameter(own, given)


def spectrum_loss(config: "SpectrumConfig") -> SpectrumLoss:
    """Return the loss that a config stands for."""
    return SpectrumLoss(
        feature=config.feature_loss,
        parameter=config.parameter_loss,
        collaboration=Collaboration(
            mode=config.collab,
            lambda_f=config.lambda_f,
            lambda_p=config.lambda_p,
            labels=config.label_noise,
            share_f=config.share_f,
            warmup=config.warmup,
        ),
        reverse=config.teacher_time == "reversed",
        shifted=config.teacher_stage == "next",
        kd_weight=config.kd_weight,
        temperature=config.temperature,
    )
