"""The kernels of a network that have a spatial frequency, stage by stage.

Source: spec/spectrum.md 1.3 (stages), 3.1 and P12 (which kernels), 3.3 (kernels over time too).
"""

from torch import Tensor, nn

from redistill.nets.video import VideoNet

_SMALLEST = 3  # a kernel of one number is its own transform: it says nothing of frequency


def stage_kernels(net: VideoNet) -> tuple[dict[str, Tensor], ...]:
    """Return the live spatial kernels of the four stages; the stem has no part in it.

    Taken are convolutions whose kernel is square over space with a side of at least 3.  Gradients
    reach the network through what is returned.  A kernel over time and space comes as a view made
    by this call, so a loss calls it anew at every step.

    Args:
        net: a network over clips.

    Returns:
        For each stage, by the path of the convolution in it: ``(O, I, k, k)``, the parameter
        itself; of a convolution over time too ``(O, I * t, k, k)``, its taps in time being
        further input channels.
    """
    return tuple(
        {path: _kernels(conv) for path, conv in stage.named_modules() if _is_spatial(conv)}
        for stage in net.stages
    )


def _is_spatial(module: nn.Module) -> bool:
    if not isinstance(module, nn.Conv2d | nn.Conv3d):
        return False
    height, width = module.kernel_size[-2:]
    return height == width >= _SMALLEST


def _kernels(conv: nn.Conv2d | nn.Conv3d) -> Tensor:
    return conv.weight.flatten(1, 2) if isinstance(conv, nn.Conv3d) else conv.weight
