"""Tables of notebook 2: what every method gave, and what frequencies its network has.

Folds are pooled clip by clip, as ``redistill.method_table`` does it; frequencies are means over
folds.  What was chosen, and what else could be, is in ``redistill.spectrum_readings``.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from redistill.class_factors import class_factors, factor_accuracy
from redistill.losses.spectrum.feature import FeatureSpectrum, Project
from redistill.losses.spectrum.transform import dft
from redistill.method_table import method_table as method_table_of
from redistill.methods.frequencies import Frequencies
from redistill.methods.school import TEACHER
from redistill.methods.spectrum_study import SpectrumStudy
from redistill.nets.follower import NOISES

FIRST = ("collab", "fsd", "pdd", "fixed", "mse", "alone", "alone_long")  # what decides F1 to F6
UNTRAINED = "untrained"
INERT = 1e-3  # a distance of kernels below it leaves nothing to teach (spec/spectrum.md 3.3)


def method_table(studies: Sequence[SpectrumStudy]) -> pd.DataFrame:
    """Return ``redistill.method_table``, what decides the claims first, cost in plain students."""
    return method_table_of(studies, first=FIRST, unit="alone")


def factor_table(studies: Sequence[SpectrumStudy], classes: Sequence[str]) -> pd.DataFrame:
    """Return how often each method is right on test clips, by kind of motion and by factor.

    Args:
        studies: a fold each.
        classes: their names; of a real data set the table is empty.

    Returns:
        Columns arm, and those of ``redistill.class_factors.factor_accuracy``.
    """
    factors = class_factors(classes)
    truth = torch.cat([study.labels["test"] for study in studies])
    parts = []
    for arm in studies[0].arms:
        logits = torch.cat([study.arms[arm].logits["test"] for study in studies])
        found = factor_accuracy(logits, truth, factors)
        found.insert(0, "arm", arm)
        parts.append(found)
    return pd.concat(parts, ignore_index=True)


def bins_table(studies: Sequence[SpectrumStudy]) -> pd.DataFrame:
    """Return what frequencies the features have over time, on validation clips.

    Returns:
        Columns arm (the teacher and an untrained student first); bin (cycles per clip); share (of
        the energy); error (part of the bin in the spectrum loss; missing without a map of
        channels).
    """
    lines = []
    for arm, folds in _heard(studies):
        share = torch.stack([each.bins for each in folds]).mean(0)
        errors = [each.error for each in folds if each.error is not None]
        error = torch.stack(errors).mean(0) if errors else torch.full_like(share, float("nan"))
        rows = zip(share.tolist(), error.tolist(), strict=True)
        lines += [(arm, number, *row) for number, row in enumerate(rows)]
    return pd.DataFrame(lines, columns=["arm", "bin", "share", "error"])


def kernels_table(studies: Sequence[SpectrumStudy]) -> pd.DataFrame:
    """Return what frequencies the kernels have over space.

    Returns:
        Columns arm (the teacher and an untrained student first), stage (1 to 4), u, v (vertical
        and horizontal frequency, 0 to k - 1), share (of the stage's energy).
    """
    lines = []
    for arm, folds in _heard(studies):
        for stage, parts in enumerate(zip(*(each.kernels for each in folds), strict=True), 1):
            share = torch.stack(parts).mean(0).numpy()
            lines += [(arm, stage, u, v, x) for (u, v), x in np.ndenumerate(share)]
    return pd.DataFrame(lines, columns=["arm", "stage", "u", "v", "share"])


def distance_table(studies: Sequence[SpectrumStudy]) -> pd.DataFrame:
    """Return how far each student's kernels are from the teacher's.

    Returns:
        Columns arm (an untrained student first), stage (1 to 4), distance (as the config measures
        it), initial (of the untrained student), inert (the initial distance, mean over stages, is
        below 1e-3: there was nothing to teach, so an arm without this loss says nothing of it).
    """
    heard = dict(_heard(studies))
    initial = _distances(heard[UNTRAINED])
    heard.pop(TEACHER)
    inert = bool(initial.mean() < INERT)
    lines = [
        (arm, stage, *pair, inert)
        for arm, folds in heard.items()
        for stage, pair in enumerate(zip(_distances(folds), initial, strict=True), 1)
    ]
    return pd.DataFrame(lines, columns=["arm", "stage", "distance", "initial", "inert"])


def _distances(folds: Sequence[Frequencies]) -> np.ndarray:
    """Return the distance of each stage."""
    return np.array([each.distance for each in folds]).mean(0)


def _heard(studies: Sequence[SpectrumStudy]) -> Iterator[tuple[str, list[Frequencies]]]:
    """Yield each network's name and its frequencies fold by fold, the yardsticks first."""
    known = studies[0].frequencies
    for arm in (TEACHER, UNTRAINED, *(name for name in known if name not in (TEACHER, UNTRAINED))):
        yield arm, [study.frequencies[arm] for study in studies]


def noise_table(studies: Sequence[SpectrumStudy]) -> pd.DataFrame:
    """Return the noise levels that were learned; one that no step moved from 0 was not.

    Returns:
        Columns arm, epoch, term (labels, features, parameters), log_variance (s = log sigma^2, mean
        over folds), weight (that it gives its loss, beside lambda: e^-s / 2, of labels e^-s).
    """
    lines = [
        (arm, line["epoch"], term, line[f"noise_{term}"])
        for study in studies
        for arm, journal in study.journals.items()
        for line in journal
        for term in NOISES
        if f"noise_{term}" in line
    ]
    table = pd.DataFrame(lines, columns=["arm", "epoch", "term", "log_variance"])
    moved = table.groupby(["arm", "term"])["log_variance"].transform(lambda s: s.abs().max() > 0)
    table = table[moved.astype(bool)]
    keys = ["arm", "epoch", "term"]
    table = table.groupby(keys, sort=False)["log_variance"].mean().reset_index()
    half = np.where(table["term"] == NOISES[0], 1.0, 0.5)
    return table.assign(weight=half * np.exp(-table["log_variance"]))


def signal_table(signals: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return signals over time and their amplitude spectra, as the spectrum loss sees them.

    Args:
        signals: name to the values of one channel, (T,).

    Returns:
        Columns what (the name); kind: ``signal``, with x the frame and y the value, or
        ``amplitude``, with x the cycles per clip and y the amplitude, unitary (P1).
    """
    lines = []
    for what, values in signals.items():
        signal = torch.as_tensor(np.asarray(values), dtype=torch.float64)
        spectrum = dft(signal[:, None])[:, 0].abs()
        for kind, ys in (("signal", signal), ("amplitude", spectrum)):
            lines += [(what, kind, x, y) for x, y in enumerate(ys.tolist())]
    return pd.DataFrame(lines, columns=["what", "kind", "x", "y"])


def blindness_table(features: Tensor, *, seed: int = 0) -> pd.DataFrame:
    """Return what the spectrum loss and plain imitation say of features that were changed.

    Args:
        features: of at least two clips, (N, T, C).
        seed: of the order in which frames are shuffled, another for each clip.

    Returns:
        Columns change, amplitude (the spectrum loss), complex (exactly that of the features, P4).
    """
    clips, frames, _ = features.shape
    drawn = torch.Generator().manual_seed(seed)
    order = torch.stack([torch.randperm(frames, generator=drawn) for _ in range(clips)])
    changed = {
        "the same": features,
        "reversed": features.flip(1),
        "rolled in time": features.roll(max(1, frames // 4), 1),
        "negated": -features,
        "frames shuffled": features[torch.arange(clips)[:, None], order],
        "another clip's": features.roll(max(1, clips // 2), 0),
    }
    how = ("amplitude", "complex")
    losses = [FeatureSpectrum(component=each, channels="identity") for each in how]
    maps = {name: each.transpose(1, 2)[..., None, None] for name, each in changed.items()}
    given = maps["the same"]
    lines = [(name, *(float(loss(each, given)) for loss in losses)) for name, each in maps.items()]
    return pd.DataFrame(lines, columns=["change", *how])


def loss_table(student: Tensor, teacher: Tensor, project: Project) -> pd.DataFrame:
    """Return what each bin adds to the loss, for the amplitude and for the complex spectrum.

    Args:
        student: maps (B, C, T, H, W).
        teacher: maps (B, D, T, H, W).
        project: from C channels to D.

    Returns:
        Columns what (amplitude, complex), bin (cycles per clip), loss.
    """
    lines = []
    with torch.no_grad():
        for what in ("amplitude", "complex"):
            bins = FeatureSpectrum(component=what).by_bin(student, teacher, project).tolist()
            lines += [(what, number, value) for number, value in enumerate(bins)]
    return pd.DataFrame(lines, columns=["what", "bin", "loss"])
