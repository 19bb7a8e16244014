r"""Directions in the space of the weights, in units of the filters' own norms.

$$d_f \leftarrow \frac{\lVert w_f\rVert}{\lVert d_f\rVert}\,d_f \quad\text{for each filter } f$$

Source: Li et al. 2018, Visualizing the Loss Landscape of Neural Nets, section 4.  A ReLU network
computes the same after a filter is doubled and the weights that read it are halved; steps in units
of the filters' norms see no difference, plain steps do.
"""

import torch
from torch import Tensor

from redistill.curvature.filters import filters
from redistill.curvature.loss import Loss, flat, shaped
from redistill.errors import ConfigError


def filter_direction(loss: Loss, *, seed: int) -> Tensor:
    """Return a random direction (n,) whose every filter has the norm of the network's own.

    Gaussian; zero on weights of one dimension (biases, BatchNorm), as in Li et al.'s code.
    """
    weights = [weight.detach() for weight in loss.weights.values()]
    own = flat(weights)
    drawn = torch.randn(len(own), generator=torch.Generator().manual_seed(seed), dtype=own.dtype)
    direction = drawn.to(own.device)
    for weight, part in zip(weights, shaped(direction, weights), strict=True):
        if weight.dim() < 2:
            part.zero_()
        else:
            filters(part).mul_(_norms(weight) / _norms(part))
    return direction


def eigen_direction(loss: Loss, vector: Tensor) -> Tensor:
    """Return a vector (n,), an eigenvector say, as long as a filter-normalised direction.

    Its length becomes the norm of all filters together, so that a step of 1 is as far as along a
    random direction.  One factor for all: scaling filter by filter would turn the eigenvector
    into another vector.

    Raises:
        ConfigError: a vector that does not fit the weights.
    """
    check_direction(loss, vector)
    square = sum(
        weight.detach().square().sum() for weight in loss.weights.values() if weight.dim() > 1
    )
    return vector * (square / vector.square().sum()) ** 0.5


def check_direction(loss: Loss, direction: Tensor) -> None:
    """Refuse a direction that does not fit the weights.

    Raises:
        ConfigError: names both shapes.
    """
    if direction.shape != (loss.size,):
        raise ConfigError(
            f"a direction of shape {tuple(direction.shape)}; {loss.size} numbers vary, so give "
            f"({loss.size},)"
        )


def _norms(weight: Tensor) -> Tensor:
    return torch.linalg.vector_norm(filters(weight), dim=1, keepdim=True)
