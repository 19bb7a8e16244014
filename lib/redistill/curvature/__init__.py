"""Curvature of a loss at given weights: eigenvalues, trace and density, each with a certificate."""

from redistill.curvature.density import Density, density
from redistill.curvature.eigen import Eigenpairs, certify, eigenpairs
from redistill.curvature.loss import Loss, borrowed
from redistill.curvature.product import Product
from redistill.curvature.scale import filter_scale
from redistill.curvature.trace import Trace, trace

__all__ = [
    "Density",
    "Eigenpairs",
    "Loss",
    "Product",
    "Trace",
    "borrowed",
    "certify",
    "density",
    "eigenpairs",
    "filter_scale",
    "trace",
]
