"""What a filter is: the numbers of a weight that make one output."""

from torch import Tensor


def filters(weight: Tensor) -> Tensor:
    """Return a weight of two or more dimensions as (filters, numbers of each).

    The filters of a convolution are its output channels; those of a linear map its rows, also
    where several lie side by side (A, K, F).  A view where the memory allows one.

    Source: Li et al. 2018 (filter normalisation), who count a linear map's rows as filters.
    """
    return weight.flatten(1) if weight.dim() in (4, 5) else weight.flatten(0, -2)
