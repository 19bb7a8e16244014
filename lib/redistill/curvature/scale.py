r"""The unit of each filter: its own size, so that curvature does not depend on the weights' scale.

$$d_i = \lVert w_f \rVert / \sqrt{n_f} \text{ for each of the } n_f \text{ weights of filter } f,
  \qquad d_i = 0 \text{ on biases and BatchNorm}$$

A network with BatchNorm or ReLU computes the same with filters of other sizes, and its Hessian does
not stay the same; D H D does.  Its trace is exactly the mean of $\delta^\top H \delta$ over the
random filter-normalised directions of a landscape, in which each filter is uniform on the sphere of
radius $\lVert w_f\rVert$: there $E[\delta\delta^\top] = D^2$.  So the number and the picture are of
one thing.

Source: Li et al. 2018, Visualizing the Loss Landscape of Neural Nets, section 4, whose directions
leave biases and BatchNorm out too.
"""

import torch
from torch import Tensor

from redistill.curvature.filters import filters
from redistill.curvature.loss import Loss, flat


def filter_scale(loss: Loss) -> Tensor:
    """Return d (n,): the root mean square of a weight's filter; 0 on weights of one dimension.

    D H D stays what it is when a filter in front of a BatchNorm is scaled together with that
    BatchNorm's running statistics, and when a layer before a ReLU is scaled and the next one back.
    """
    return flat([_sizes(weight.detach()) for weight in loss.weights.values()])


def _sizes(weight: Tensor) -> Tensor:
    if weight.dim() < 2:
        return torch.zeros_like(weight)
    rows = filters(weight)
    size = rows.square().mean(1, keepdim=True).sqrt()
    return size.expand_as(rows).reshape(weight.shape)
