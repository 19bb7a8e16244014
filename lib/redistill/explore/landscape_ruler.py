"""The ruler of the landscape pair: one measure of flatness of all networks, with its intervals."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from redistill.explore.landscape_table import MEASURES, Landscapes
from redistill.figures import COLOURS, LOOK, NAMES


def ruler(axis: Axes, data: Landscapes, measure: str) -> None:
    """Draw a row a network on a logarithmic axis.

    What is 0 or less, or an end that is not known, lies at the left edge, hollow if it is the value
    itself; a value that is not known is left out.

    Args:
        axis: empty.
        data: whose networks.
        measure: a key of ``MEASURES``.
    """
    known = [data.flatness[measure, network] for network in data.networks]
    start, stop = _span([x for one in known for x in (one.value, one.low, one.high)])
    for row, (network, one) in enumerate(zip(data.networks, known, strict=True)):
        if np.isnan(one.value):
            continue
        ends = [x if x > start else start for x in (one.low, one.high)]
        axis.plot(ends, [row, row], "|-", color=COLOURS[network], linewidth=1.5)
        hollow = {"markerfacecolor": "white"} if one.value < start else {}
        axis.plot(max(one.value, start), row, **LOOK[network], markersize=6, **hollow)
    axis.set_xscale("log")
    axis.set(xlim=(start, stop), ylim=(len(known) - 0.5, -0.5))
    axis.set_title(MEASURES[measure], fontsize=9)
    axis.set_yticks(range(len(known)), [_row(data, n) for n in data.networks], fontsize=8)
    axis.xaxis.set_major_locator(LogLocator(subs=_subs(stop / start)))
    axis.xaxis.set_major_formatter(lambda x, _: _short(x))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.tick_params(axis="x", labelsize=8)


def _row(data: Landscapes, network: str) -> str:
    loss, _ = data.scores[network]
    return NAMES[network] + ("" if np.isnan(loss) else f"\nloss {loss:.2g}")


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Return limits of a logarithmic axis around what is positive."""
    positive = [x for x in values if x > 0]
    low, high = (min(positive), max(positive)) if positive else (1.0, 1.0)
    margin = max((high / low) ** 0.12, 1.5)
    return low / margin, high * margin


def _subs(ratio: float) -> tuple[float, ...]:
    """Return which multiples of ten's powers have a tick: one in any span, none on another."""
    if ratio < 5:
        return 1, 1.5, 2, 3, 5, 7
    return (1, 2, 5) if ratio < 20 else (1, 3) if ratio < 60 else (1,)


def _short(value: float) -> str:
    return f"{value:g}" if value < 10_000 else EngFormatter(sep="").format_eng(value)
