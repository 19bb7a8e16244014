"""The rule for a grid, such as methods x teacher-student pairs: rows and columns interact."""

from collections.abc import Sequence
from dataclasses import replace

from redistill import stats, sweeps
from redistill.pairing import Comparison, Pair
from redistill.rules import ALPHA, INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED, Ruling, early, further


def judge_grid(cells: Sequence[Comparison], *, columns: int, margin: float) -> Ruling:
    """Judge that rows and columns interact, by the permutation test of `redistill.sweeps`.

    Reproduced if that says so; not reproduced if the share of the variance that is due to their
    interaction lies surely below the margin, by the jackknife over runs.

    Args:
        cells: the value of each cell in the same runs, row by row; 2 x 2 or more.
        columns: how many cells a row has.
        margin: smallest share of interest.
    """
    values = [[pair.test for pair in cell.pairs] for cell in cells]
    grid = [values[start : start + columns] for start in range(0, len(values), columns)]
    n = len(cells[0].pairs)
    found = replace(cells[0], name="", pairs=_parts(cells, grid) if n > 2 else ())
    if soon := early(cells[0], corrected=False):
        ruling = Ruling(found=found, state=soon[0], why=soon[1])
        return replace(
            ruling, outlook=further(replace(ruling, found=cells[0]), "superiority", margin)
        )
    interval, p = stats.paired_interval(found.differences), sweeps.interaction_p(grid)
    state, why = INCONCLUSIVE, "the runs show no interaction, and do not show that there is none"
    if p < ALPHA:
        state, why = REPRODUCED, "rows and columns interact, by permutation within runs"
    elif interval.high < margin:
        state, why = NOT_REPRODUCED, f"any interaction is smaller than the margin of {margin:g}"
    ruling = Ruling(found=found, interval=interval, state=state, why=why, p=p)
    return replace(ruling, outlook=further(ruling, "superiority", margin))


def _parts(
    cells: Sequence[Comparison], grid: Sequence[Sequence[Sequence[float]]]
) -> tuple[Pair, ...]:
    """One number a run: its part in the share of the interaction."""
    shares = sweeps.interaction_parts(grid).tolist()
    runs = zip(*(cell.pairs for cell in cells), strict=True)
    return tuple(
        replace(run[0], test=share, control=0.0, runs=_names(run))
        for share, run in zip(shares, runs, strict=True)
    )


def _names(run: Sequence[Pair]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for pair in run for name in pair.runs))
