r"""Knowledge review: deep maps of the student, fused into shallow ones, meet the teacher's.

From the last stage up, fusion k mixes the student's maps with the fusion below it by two learned
attention maps; the hierarchical context loss compares maps on a pyramid of grids:

$$D = \sum_k \frac{\sum_g 2^{-g}\, \mathrm{MSE}(p_g(U_k), p_g(F^t_k))}{\sum_g 2^{-g}},$$

$p_0$ the map itself, then grids of sides 4, 2 and 1 where they are smaller than it.  Source: Chen
et al., CVPR 2021.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from redistill.losses.feature.match import match, resample
from redistill.losses.rows import full

_GRIDS = (4, 2, 1)


class ReviewFusion(nn.Module):
    """The student's maps in the teacher's channels, each having seen all deeper ones.

    Args:
        student: channels of each stage, shallow first.
        teacher: channels of each stage.
        middle: channels in which maps are mixed.
    """

    def __init__(self, student: Sequence[int], teacher: Sequence[int], *, middle: int = 16) -> None:
        super().__init__()
        self.into = nn.ModuleList(nn.Conv3d(c, middle, 1, bias=False) for c in student)
        self.gates = nn.ModuleList(nn.Conv3d(2 * middle, 2, 1) for _ in student[1:])
        self.out = nn.ModuleList(nn.Conv3d(middle, c, 1, bias=False) for c in teacher)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return fused maps (B, C, T, H, W), shallow first."""
        mixed = self.into[-1](maps[-1])
        found = [self.out[-1](mixed)]
        for k in range(len(maps) - 2, -1, -1):
            own = self.into[k](maps[k])
            deep = F.interpolate(mixed, own.shape[2:], mode="nearest")
            gate = torch.sigmoid(self.gates[k](torch.cat([own, deep], 1)))
            mixed = own * gate[:, :1] + deep * gate[:, 1:]
            found.insert(0, self.out[k](mixed))
        return found


def reviewkd(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Return the hierarchical context loss, summed over stages.

    Args:
        student: fused maps (B, C, T, H, W) in the teacher's channels.
        teacher: maps of the same stages.
    """
    return torch.stack([_context(a, b) for a, b in zip(student, teacher, strict=True)]).sum()


def _context(student: Tensor, teacher: Tensor) -> Tensor:
    ours, target = match(full(student), full(teacher))
    total, weights = (ours - target).square().mean(), 1.0
    side = max(ours.shape[3:])
    for number, grid in enumerate((g for g in _GRIDS if g < side), start=1):
        size = [ours.shape[2], *(min(grid, n) for n in ours.shape[3:])]
        a, b = resample(ours, size), resample(target, size)
        total = total + 0.5**number * (a - b).square().mean()
        weights += 0.5**number
    return total / weights
