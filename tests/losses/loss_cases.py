"""Every loss as one call, (student, teacher, labels) to a scalar, with inputs to try it on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from redistill.losses.correlation.matrix import matrix
from redistill.losses.correlation.pair import pair
from redistill.losses.correlation.pearson import pearson
from redistill.losses.distribution.gauss import gauss
from redistill.losses.distribution.gauss_class import Queue, gauss_class
from redistill.losses.distribution.lgm import lgm
from redistill.losses.distribution.mmd import mmd
from redistill.losses.distribution.swd import swd
from redistill.losses.feature.attention import attention
from redistill.losses.feature.fitnet import fitnet
from redistill.losses.feature.norm_mse import norm_mse
from redistill.losses.feature.nst import nst
from redistill.losses.feature.reviewkd import reviewkd
from redistill.losses.relation.cc import cc
from redistill.losses.relation.cka import cka
from redistill.losses.relation.pkt import pkt
from redistill.losses.relation.rkd import rkd
from redistill.losses.relation.sp import sp
from redistill.losses.response.dkd import dkd
from redistill.losses.response.kd import kd
from redistill.losses.response.standardised import standardised
from redistill.losses.spectrum.feature import FeatureSpectrum

B, K = 12, 2  # two classes of six clips: the class-wise loss asks for four


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


LABELS = torch.arange(B) % K


def by_class(s, t, labels):
    soft = F.one_hot(labels, K).to(s.dtype)
    return gauss_class(s, t, soft, queue=Queue(s.shape[1], K))


def sliced(s, t, labels):
    return swd(s, t, generator=torch.Generator().manual_seed(3))


def thirds(s, t, labels):
    """Three branches of each level, cut from one embedding."""
    return matrix(s.split(2, 1), t.split(2, 1))


def spectrum(**fields):
    loss = FeatureSpectrum(**fields)
    return lambda s, t, labels: loss(s, t)


@dataclass(frozen=True)
class Case:
    """A loss, the shape of one clip's input, and whether it is 0 where both sides are alike."""

    call: Callable[..., torch.Tensor]
    shape: tuple[int, ...] = (6,)
    zero: bool = True
    smooth: bool = True  # finite differences see no detached part

    def sides(self, dtype=torch.float64):
        return tuple(drawn(B, *self.shape, seed=n, dtype=dtype) for n in (1, 2))


MAPS = (3, 2, 3, 4)
LONG = (3, 5, 2, 3)
CASES = {
    "kd": Case(lambda s, t, y: kd(s, t, temperature=4.0)),
    "dkd": Case(lambda s, t, y: dkd(s, t, y, temperature=3.0)),
    "standardised": Case(lambda s, t, y: standardised(s, t)),
    "norm_mse": Case(lambda s, t, y: norm_mse(s, t), MAPS),
    "fitnet": Case(lambda s, t, y: fitnet(s, t), MAPS),
    "attention": Case(lambda s, t, y: attention(s, t), MAPS),
    "nst": Case(lambda s, t, y: nst(s, t), MAPS),
    "reviewkd": Case(lambda s, t, y: reviewkd([s], [t]), MAPS),
    "sp": Case(lambda s, t, y: sp(s, t)),
    "rkd": Case(lambda s, t, y: rkd(s, t)),
    "cka": Case(lambda s, t, y: 1 - cka(s, t)),
    "cka_biased": Case(lambda s, t, y: 1 - cka(s, t, debiased=False)),
    "pkt": Case(lambda s, t, y: pkt(s, t)),
    "cc": Case(lambda s, t, y: cc(s, t)),
    "pair": Case(lambda s, t, y: pair(s, t)),
    "pearson": Case(lambda s, t, y: pearson(s, t)),
    "matrix": Case(thirds),
    "gauss": Case(lambda s, t, y: gauss(s, t)),
    "gauss_class": Case(by_class),
    "mmd": Case(lambda s, t, y: mmd(s, t), smooth=False),  # its bandwidth is detached
    "swd": Case(sliced),
    "spectrum": Case(spectrum(), LONG),
    "spectrum_ac": Case(spectrum(bands="ac", normalise="channel"), LONG),
    "spectrum_phase": Case(spectrum(phase=0.5), LONG),
    "spectrum_amp_phase": Case(spectrum(component="amp_phase", space="per_pixel"), LONG),
    "spectrum_log": Case(spectrum(component="log_amplitude", reduction="mean"), LONG),
    "spectrum_volume": Case(spectrum(component="power", space="volume"), LONG),
    "spectrum_attention": Case(spectrum(space="attention", distance="l1"), LONG),
    "spectrum_dct": Case(spectrum(component="complex", transform="dct"), LONG),
    "spectrum_shares": Case(spectrum(component="distribution"), LONG),
    "lgm": Case(lambda s, t, y: lgm(s, t, y), zero=False),
}
