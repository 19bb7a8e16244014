"""The loss and the accuracy around a solution, and between two."""

from redistill.landscape.directions import eigen_direction, filter_direction
from redistill.landscape.grid import Surface
from redistill.landscape.places import line, surface
from redistill.landscape.readings import barrier, curvature_along

__all__ = [
    "Surface",
    "barrier",
    "curvature_along",
    "eigen_direction",
    "filter_direction",
    "line",
    "surface",
]
