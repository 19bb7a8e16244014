"""What the landscape pair shows, laid out to be looked up: no widget, no picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from redistill.errors import ConfigError
from redistill.flatness_figures import ORDER
from redistill.landscape import Surface
from redistill.landscape_figures import common_top
from redistill.methods.solutions import SAME

LOSS, ACCURACY = "loss", "accuracy"
UNIT = {LOSS: 1, ACCURACY: 100}  # accuracy is shown in per cent
MEASURES = {"top": "largest eigenvalue", "trace": "trace"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Heights:
    """One quantity over one plane of one network.

    Attributes:
        a: steps along the first direction, (A,).
        b: steps along the second, (B,).
        values: (B, A); NaN where the loss was no finite number.
        low: the least finite value, NaN if there is none.
        high: the largest one.
    """

    a: np.ndarray
    b: np.ndarray
    values: np.ndarray
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Flatness:
    """A measure of one network with its interval; NaN: not known, of ``low`` also 0 or less."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Landscapes:
    """Surfaces in one scale a plane, lines between classifiers, and how flat the networks are.

    Attributes:
        networks: modalities, in the order of the claim.
        planes: their names.
        quantities: what every plane has of "loss" and "accuracy".
        heights: by plane, network, quantity; accuracy in per cent.
        scales: by plane and quantity, lower and upper end, common to all networks.
        lines: by modality and number of the classifier, all over the same steps.
        flatness: by measure ("top", "trace") and network.
        scores: by network its loss over the sample of training clips and its test accuracy in per
            cent; NaN: not known.
        clips: how many training clips all this is over.
    """

    networks: tuple[str, ...]
    planes: tuple[str, ...]
    quantities: tuple[str, ...]
    heights: Mapping[tuple[str, str, str], Heights] = field(repr=False)
    scales: Mapping[tuple[str, str], tuple[float, float]]
    lines: Mapping[tuple[str, int], Surface] = field(repr=False)
    flatness: Mapping[tuple[str, str], Flatness]
    scores: Mapping[str, tuple[float, float]]
    clips: int

    @property
    def steps(self) -> np.ndarray:
        """The places of the lines, (A,): 0 is one end, 1 the other."""
        return next(iter(self.lines.values())).a

    @property
    def exits(self) -> tuple[int, ...]:
        """Numbers of the classifiers that have a line."""
        return tuple(sorted({number for _, number in self.lines}))

    def at(self, network: str, number: int, place: int) -> tuple[float, float]:
        """Return loss and accuracy in per cent at step ``place`` of a line; NaN: no such number."""
        along = self.lines.get((network, number))
        if along is None:
            return np.nan, np.nan
        loss = float(along.loss[place, 0])
        return (loss if np.isfinite(loss) else np.nan), 100 * float(along.accuracy[place, 0])


def landscapes(
    *,
    planes: Mapping[str, pd.DataFrame],
    lines: Mapping[tuple[str, int], Surface],
    ends: pd.DataFrame,
    clips: int,
) -> Landscapes:
    """Lay out the tables of notebook 4.

    A network that lacks a plane loses that plane for all, since two are to stand side by side.

    Args:
        planes: by name, tables of ``landscape_figures.surface_table``; the first says which
            networks there are; the column accuracy may be missing.
        lines: of ``flatness_views.lines``, by modality and number of the classifier.
        ends: of ``flatness_tables.ends``; its networks of one depth count.
        clips: how many training clips the loss is over.

    Raises:
        ConfigError: no plane, a plane without a finite loss, no line, or lines over other steps.
    """
    if not planes or not lines:
        lacking = "lines between classifiers" if planes else "planes"
        raise ConfigError(f"no {lacking} given; a landscape pair needs at least one of each")
    _check_steps(lines)
    same = ends[ends["network"] == SAME].set_index("modality")
    networks = tuple(sorted(next(iter(planes.values()))["modality"].unique(), key=ORDER.index))
    planes = {k: each for k, each in planes.items() if set(networks) <= set(each["modality"])}
    quantities = tuple(q for q in UNIT if all(q in each for each in planes.values()))
    return Landscapes(
        networks=networks,
        planes=tuple(planes),
        quantities=quantities,
        heights={
            (name, network, quantity): _heights(rows, quantity)
            for name, each in planes.items()
            for network, rows in each.groupby("modality", sort=False)
            for quantity in quantities
        },
        scales={(k, q): _scale(k, each, q) for k, each in planes.items() for q in quantities},
        lines=dict(lines),
        flatness=_flatness(same, networks),
        scores={
            network: (
                _item(same, network, "train_loss"),
                100 * _item(same, network, "test_accuracy"),
            )
            for network in networks
        },
        clips=clips,
    )


def _check_steps(lines: Mapping[tuple[str, int], Surface]) -> None:
    first = next(iter(lines.values())).a
    for (modality, number), each in lines.items():
        if each.a.shape != first.shape or not np.allclose(each.a, first):
            raise ConfigError(
                f"the line of classifier {number} of {modality} has steps {each.a.tolist()}, "
                f"another has {first.tolist()}; measure all over the same steps"
            )


def _heights(rows: pd.DataFrame, quantity: str) -> Heights:
    grid = rows.pivot(index="b", columns="a", values=quantity)
    values = UNIT[quantity] * grid.to_numpy(dtype=float)
    values = np.where(np.isfinite(values), values, np.nan)
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if len(known) else (np.nan, np.nan)
    axes = {"a": grid.columns.to_numpy(dtype=float), "b": grid.index.to_numpy(dtype=float)}
    return Heights(**axes, values=values, low=float(low), high=float(high))


def _scale(plane: str, table: pd.DataFrame, quantity: str) -> tuple[float, float]:
    """Return the common scale: of the loss as in the figures that nobody moves."""
    if quantity == ACCURACY:
        return 0.0, 100.0
    known = table[np.isfinite(table[LOSS])]
    if known.empty:
        raise ConfigError(
            f"plane {plane!r} holds no finite loss; expected one at least; a smaller reach may help"
        )
    low, top = float(known[LOSS].min()), common_top(known)
    return (low, top) if top > low else (low, low + 1.0)  # all is flat: a scale nonetheless


def _flatness(same: pd.DataFrame, networks: Sequence[str]) -> dict[tuple[str, str], Flatness]:
    return {
        (measure, network): Flatness(
            value=_item(same, network, measure),
            low=_item(same, network, f"{measure}_low"),
            high=_item(same, network, f"{measure}_high"),
        )
        for measure in MEASURES
        for network in networks
    }


def _item(table: pd.DataFrame, network: str, column: str) -> float:
    """Return a number of a network; NaN: not known."""
    known = network in table.index and column in table
    return float(table.at[network, column]) if known else np.nan
