"""What classes of the synthetic worlds are made of, and how often a network gets each part right.

Source: spec/synthetic.md 2 and 3; what it is for: spec/claims.md F3, F4, F5.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from redistill import stats
from redistill.video.synthetic.spec import CYCLES, EXTRA_MOTIONS, MOTIONS, SHAPES, TEXTURES

FACTORS = ("motion", "shape", "texture")
KINDS = ("oscillating", "direction")
DIFFERENCE = "texture_over_motion"


def class_factors(classes: Sequence[str]) -> pd.DataFrame:
    """Return the factors of the classes of a synthetic world, read from their names.

    Args:
        classes: names in the order of their labels, as ``SyntheticSpec.classes``.

    Returns:
        Columns class, label, shape, texture, motion, kind (``oscillating``, ``direction``, or ""
        of a target at rest); "" where the label says nothing of a factor.  Empty where a class is
        of another data set.
    """
    lines = []
    for label, name in enumerate(classes):
        *look, motion = name.split("_")[:3]
        shape, texture = look if len(look) == 2 else ("", "")
        if motion not in (*MOTIONS, *EXTRA_MOTIONS) or (
            look and (shape not in SHAPES or texture not in TEXTURES)
        ):
            lines.clear()
            break
        lines.append((name, label, shape, texture, motion, _kind(motion)))
    names = ["class", "label", "shape", "texture", "motion", "kind"]
    return pd.DataFrame(lines, columns=names)


def _kind(motion: str) -> str:
    if motion in CYCLES:
        return "oscillating"
    return "direction" if motion in MOTIONS else ""


def factor_accuracy(logits: Tensor, labels: Tensor, factors: pd.DataFrame) -> pd.DataFrame:
    """Return how often a network is right, by kind of motion and by factor.

    Args:
        logits: (N, K).
        labels: (N,) int64.
        factors: of ``class_factors``; of none, the table is empty.

    Returns:
        Columns subset, value, low, high, n, unit.  ``oscillating`` and ``direction``: the accuracy
        on clips of these motions.  ``motion``, ``shape`` and ``texture``, where classes differ in
        it: the share of clips whose predicted class has the right one, whatever else of it is
        wrong.  These are fractions with Wilson's interval over clips.  ``texture_over_motion``:
        the share of texture minus that of motion, in points with Student's interval over clips;
        the difference of two arms in it is the gain on texture minus the gain on motion (F5).
    """
    truth, said = labels.numpy(), logits.argmax(1).numpy()
    lines = []
    for kind in KINDS:
        among = (factors["kind"] == kind).to_numpy()[truth] if len(factors) else np.array(False)
        if among.any():
            lines.append((kind, *_share((said == truth)[among])))
    hits = {}
    for name in FACTORS:
        column = factors[name].to_numpy()
        if len(set(column)) > 1:
            hits[name] = column[said] == column[truth]
            lines.append((name, *_share(hits[name])))
    if {"motion", "texture"} <= hits.keys():
        found = stats.paired_interval(100.0 * hits["texture"] - 100.0 * hits["motion"])
        lines.append((DIFFERENCE, found.mean, found.low, found.high, found.n, "points"))
    return pd.DataFrame(lines, columns=["subset", "value", "low", "high", "n", "unit"])


def _share(hits: np.ndarray) -> tuple[float, float, float, int, str]:
    found = stats.wilson(int(hits.sum()), len(hits))
    return found.mean, found.low, found.high, found.n, "fraction"
