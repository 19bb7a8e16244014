"""Tables as notebook 4 makes them, from formulas: no network is trained."""

from typing import Any

import numpy as np
import pandas as pd

from redistill.landscape import Surface
from redistill.landscape_figures import surface_table

MODALITIES = ("iframe", "mv", "residual")
RANDOM, SHARP = "two random directions", "its two sharpest directions"
STEPS = np.linspace(-0.25, 1.25, 7)


def drawn_plane(factor: float, *, reach: float = 0.5, floor: float = 0.1) -> Surface:
    a, b = np.linspace(-reach, reach, 5), np.linspace(-reach, reach, 3)
    loss = floor + factor * (a[:, None] ** 2 * (1 + a[:, None]) + 2 * b**2 - a[:, None] * b)
    return Surface(a=a, b=b, loss=loss, accuracy=1 / (1 + loss), cosine=0.0)


def drawn_planes(modalities=MODALITIES) -> dict[str, pd.DataFrame]:
    factors = {name: 1.0 + 3 * n for n, name in enumerate(modalities)}
    near = {name: drawn_plane(f, floor=0.1 * f) for name, f in factors.items()}
    steep = {name: drawn_plane(4000 * f, reach=0.01, floor=0.1 * f) for name, f in factors.items()}
    return {RANDOM: surface_table(near), SHARP: surface_table(steep)}


def drawn_line(start: float, slope: float, *, steps=STEPS) -> Surface:
    loss = (start + slope * steps)[:, None]
    shares = np.round(1 / (1 + loss), 2)
    return Surface(a=steps, b=np.zeros(1), loss=loss, accuracy=shares, cosine=None)


def drawn_lines(modalities=MODALITIES) -> dict[tuple[str, int], Surface]:
    return {
        (name, number): drawn_line(0.5 + n + 0.1 * number, 0.2 * number - 0.05 * n)
        for n, name in enumerate(modalities)
        for number in (1, 2, 3)
    }


def drawn_ends(modalities=MODALITIES, **changes: Any) -> pd.DataFrame:
    """As of ``flatness_tables.ends``: two lines a modality, of which those of one depth count."""
    lines = []
    for n, name in enumerate(modalities, start=1):
        line = {"modality": name, "network": "same", "arm": "ce", "exit": 4}
        line |= {"trace": 100.0 * n, "trace_low": 81.5 * n, "trace_high": 121.25 * n}
        line |= {"top": 40.0 * n, "top_low": 39.5 * n, "top_high": 40.5 * n}
        line |= {"train_loss": 0.111 * n, "test_accuracy": 0.9 / n} | changes
        lines += [line, line | {"network": "own", "trace": -1.0, "top": -1.0, "train_loss": 9.0}]
    return pd.DataFrame(lines)


def drawn(**changes: Any) -> dict[str, Any]:
    """Arguments of the instrument."""
    given = {"planes": drawn_planes(), "lines": drawn_lines(), "ends": drawn_ends(), "clips": 6}
    return given | changes
