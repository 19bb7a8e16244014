"""What frequencies a network has: of its features over time, of its kernels over space.

Source: spec/spectrum.md 7, the diagnostics.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from redistill.losses.spectrum.component import squared
from redistill.losses.spectrum.feature import FeatureSpectrum
from redistill.losses.spectrum.kernel import energy_shares
from redistill.losses.spectrum.transform import dft, multiplicity
from redistill.methods.school import School
from redistill.modality import RGB
from redistill.nets.follower import Follower
from redistill.nets.kernels import stage_kernels
from redistill.nets.video import VideoNet
from redistill.predict import evaluating


@dataclass(frozen=True)
class Frequencies:
    """What frequencies a network has, and how far a student's are from its teacher's.

    Attributes:
        bins: share of the energy of its features at each temporal frequency, (K,).
        error: part of each bin in the spectrum loss, (K,); None without a map of channels.
        kernels: share of the energy of each stage's kernels at each frequency, (k, k) each.
        distance: of each stage's kernels to the teacher's, as the config measures it.
    """

    bins: Tensor
    error: Tensor | None
    kernels: tuple[Tensor, ...]
    distance: tuple[float, ...]


def frequencies(
    school: School, net: VideoNet, teacher: VideoNet, heard: Tensor, follower: nn.Module | None
) -> Frequencies:
    """Return the frequencies of a network, on validation clips.

    Args:
        school: of the fold.
        net: any of its networks.
        teacher: its teacher.
        heard: ``over_time`` of the teacher.
        follower: what a student was trained in; the error by bin needs its map of channels.
    """
    ours, error = over_time(school, net), None
    if isinstance(follower, Follower) and len(follower.project):
        project = copy.deepcopy(follower.project[-1]).cpu()
        error = FeatureSpectrum().by_bin(ours, heard, project).detach()
    own, given = stage_kernels(net), stage_kernels(teacher)
    with torch.no_grad():
        kernels = tuple(energy_shares(list(stage.values())).cpu() for stage in own)
        distance = tuple(float(x) for x in school.config.parameter_loss.by_stage(own, given))
    return Frequencies(energy_by_bin(ours), error, kernels, distance)


def over_time(school: School, net: VideoNet) -> Tensor:
    """Return the last maps of the validation clips averaged over space, (N, C, T, 1, 1)."""
    parts = []
    with evaluating(net):
        for batch in school.feeds.val[RGB].inorder():
            maps = net.taps(batch.ready(school.device), keep=1).maps[0]
            parts.append(maps.float().mean((3, 4), keepdim=True).cpu())
    return torch.cat(parts)


def energy_by_bin(maps: Tensor) -> Tensor:
    """Return the share of the energy of (B, C, T, H, W) at each temporal frequency, (K,)."""
    spectrum = squared(dft(maps.mean((3, 4)).transpose(1, 2))).sum((0, 2))
    energy = spectrum * multiplicity(maps.shape[2]).to(spectrum)
    return energy / energy.sum()
