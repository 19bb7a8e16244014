"""What notebook 4 shows beside numbers: densities, surfaces, slices, lines between solutions."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from redistill.curvature.density import Density, density
from redistill.curvature.loss import Loss
from redistill.curvature.product import Product
from redistill.landscape import Surface, eigen_direction, filter_direction, line, surface
from redistill.live import Line
from redistill.methods.flatness import FlatnessConfig
from redistill.methods.flatness_study import Flatness
from redistill.methods.solutions import IC, SAME, Solution
from redistill.sharpness import kept, steepest

T = TypeVar("T")
POINTS = 11  # of a slice
SHARPER = 50  # times as near the two sharpest directions are looked along
BETWEEN = 13  # of a line, both solutions among them


def densities(found: Flatness, config: FlatnessConfig, line: Line) -> dict[str, Density]:
    """Return the spectral density of each network of one depth, by modality."""

    def make(one: Solution) -> Density:
        options = {"steps": config.density_steps, "probes": config.density_probes}
        with Product(one.loss) as product:
            return density(product, **options, folder=kept(one.loss))

    return _each(found, make, line, "density")


def surfaces(found: Flatness, config: FlatnessConfig, line: Line) -> dict[str, Surface]:
    """Return the loss around each network of one depth, along two random directions."""
    steps = np.linspace(-config.reach, config.reach, config.grid).tolist()

    def make(one: Solution) -> Surface:
        ways = [filter_direction(one.loss, seed=seed) for seed in (0, 1)]
        return _surface(one.loss, ways, steps, steps, config)

    return _each(found, make, line, "surface")


def eigen_surfaces(found: Flatness, config: FlatnessConfig, line: Line) -> dict[str, Surface]:
    """Return the loss around each network of one depth, along its two sharpest directions.

    A fiftieth as far: a step that changes little in a random direction leaves the valley here.
    """
    steps = (np.linspace(-config.reach, config.reach, config.grid) / SHARPER).tolist()

    def make(one: Solution) -> Surface:
        vectors = steepest(one.loss).to(next(iter(one.loss.weights.values())))
        ways = [eigen_direction(one.loss, vector) for vector in vectors]
        return _surface(one.loss, ways, steps, steps, config)

    return _each(found, make, line, "eigenvector surface")


def slices(found: Flatness, config: FlatnessConfig, line: Line) -> dict[str, list[Surface]]:
    """Return the loss along several random directions, each by itself, by modality."""
    steps = np.linspace(-config.reach, config.reach, POINTS).tolist()

    def make(one: Solution) -> list[Surface]:
        seeds = range(config.directions)
        ways = [filter_direction(one.loss, seed=seed) for seed in seeds]
        return [_surface(one.loss, [way], steps, (0.0,), config) for way in ways]

    return _each(found, make, line, "slices")


def lines(
    found: Flatness, config: FlatnessConfig, *, start: str = "ce", end: str = "pkd"
) -> dict[tuple[str, int], Surface]:
    """Return the loss from the classifiers of one arm to those of another: (modality, exit)."""
    steps = np.linspace(-0.25, 1.25, BETWEEN).tolist()
    by_place = {one.place: one for one in found.ends if one.network == IC}
    drawn = {}
    for (modality, _, arm, exit_), one in by_place.items():
        if arm == start:
            other = by_place[modality, IC, end, exit_].loss.net.state_dict()
            options = {"reestimate": config.reestimate, "folder": kept(one.loss)}
            drawn[modality, exit_] = line(one.loss, other, a=steps, **options)
    return drawn


def _surface(
    loss: Loss, ways: Sequence, a: Sequence[float], b: Sequence[float], config: FlatnessConfig
) -> Surface:
    return surface(loss, ways, a=a, b=b, reestimate=config.reestimate, folder=kept(loss))


def _each(found: Flatness, make: Callable[[Solution], T], line: Line, name: str) -> dict[str, T]:
    made = {}
    for one in found.ends:
        if one.network == SAME:
            line.say(f"{name}: {one.modality}")
            made[one.modality] = make(one)
    return made
