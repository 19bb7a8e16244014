"""The sentence of the landscape pair: what its picture shows, in words and numbers."""

import math

from redistill.explore.landscape_table import ACCURACY, LOSS, MEASURES, Flatness, Landscapes
from redistill.figures import NAMES

UNKNOWN = "not known"


def said(
    data: Landscapes,
    *,
    left: str,
    right: str,
    plane: str,
    quantity: str,
    camera: int,
    classifier: int,
    step: int,
) -> str:
    """Return the sentence; numbers of four digits, the left network's first.

    Args:
        data: what is shown.
        left: network.
        right: network.
        plane: along which both surfaces are.
        quantity: "loss" or "accuracy".
        camera: degrees.
        classifier: whose line from CE to PKD is walked.
        step: where, an index into ``data.steps``.
    """
    pair = left, right
    name = NAMES[left][0].upper() + NAMES[left][1:]
    return (
        f"{name} (left) against {NAMES[right]} (right) along {plane}, seen from {camera} "
        f"degrees: {_heights(data, pair, plane, quantity)}. {_flatness(data, pair)}. "
        f"{_place(data, pair, classifier, step)}. Surfaces, eigenvalue, trace and line are of the "
        f"same {data.clips} training clips."
    )


def _heights(data: Landscapes, pair: tuple[str, str], plane: str, quantity: str) -> str:
    low, top = data.scales[plane, quantity]
    unit = " %" if quantity == ACCURACY else ""
    each = [data.heights[plane, network, quantity] for network in pair]
    ranges = [f"{number(one.low)} to {number(one.high)}{unit}" for one in each]
    cut = f", what is higher is cut at {top:.4g}" if quantity == LOSS else ""
    scale = f"{quantity} from {low:.4g} to {top:.4g}{unit} on one scale{cut}"
    return f"{scale}; measured {' against '.join(ranges)}"


def _flatness(data: Landscapes, pair: tuple[str, str]) -> str:
    parts = []
    for measure, name in MEASURES.items():
        values = [_interval(data.flatness[measure, network]) for network in pair]
        parts.append(f"{name} {' against '.join(values)}")
    losses, shares = zip(*(data.scores[network] for network in pair), strict=True)
    parts.append(f"where the loss over the training sample is {_against(losses)}")
    parts.append(f"the accuracy on the test clips {_against(shares)} %")
    text = ", ".join(parts)
    return text[0].upper() + text[1:]


def _place(data: Landscapes, pair: tuple[str, str], classifier: int, step: int) -> str:
    losses, shares = zip(*(data.at(n, classifier, step) for n in pair), strict=True)
    return (
        f"Classifiers {classifier} at {data.steps[step]:.4g} on the line from CE (0) to PKD (1): "
        f"loss {_against(losses)}, accuracy {_against(shares)} %"
    )


def _against(numbers: tuple[float, ...]) -> str:
    return " against ".join(map(number, numbers))


def _interval(one: Flatness) -> str:
    if math.isnan(one.value):
        return UNKNOWN
    low = "0 or less" if math.isnan(one.low) else number(one.low)
    return f"{one.value:.4g} [{low}, {number(one.high)}]"


def number(value: float) -> str:
    """Return a number of four digits; ``UNKNOWN`` for NaN."""
    return UNKNOWN if math.isnan(value) else f"{value:.4g}"
