"""Tables of notebook 4: how sharp each solution is, at the end and at equal training loss."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from redistill.concordance import stratified_tau
from redistill.errors import ConfigError
from redistill.methods.equal_loss import Between
from redistill.methods.flatness_study import COMPARED, Flatness
from redistill.methods.solutions import IC, SAME, Solution, score
from redistill.sharpness import Eigenvalue, Sharpness

MEASURES = {  # column -> what it is
    "trace": "trace",
    "top": "largest eigenvalue",
    "relative": "trace, filters by their norms",
}
_PLACE = ("modality", "network", "arm", "exit")


def ends(fold: Flatness) -> pd.DataFrame:
    """Return one line a solution of a whole training.

    Returns:
        Columns modality, network, arm, exit; weights (n); train_loss, train_accuracy, test_loss,
        test_accuracy, gap (test minus training loss); trace, top, relative, each with _low and
        _high (95 % over probes; of an eigenvalue the bound of its error); per_weight (trace / n);
        relative_top (largest eigenvalue of D H D, where measured); certified;
        needed (probes that 5 % of the trace would take); products.
    """
    return pd.DataFrame([_line(fold, one) for one in fold.ends])


def _line(fold: Flatness, one: Solution) -> dict[str, Any]:
    curvature = _curvature(fold.of(one))
    weights = curvature.pop("weights")
    place = dict(zip(_PLACE, one.place, strict=True))
    return {**place, "weights": weights, **_scores(fold, one), **curvature}


def _curvature(sharp: Sharpness) -> dict[str, Any]:
    top = sharp.top[0] if sharp.top else Eigenvalue(math.nan, math.nan, math.nan)
    return {
        "weights": sharp.weights,
        "trace": sharp.trace.mean,
        "trace_low": sharp.trace.low,
        "trace_high": sharp.trace.high,
        "top": top.value,
        "top_low": top.value - top.error,
        "top_high": top.value + top.error,
        "relative": sharp.relative.mean,
        "relative_low": sharp.relative.low,
        "relative_high": sharp.relative.high,
        "per_weight": sharp.trace.mean / sharp.weights,
        "relative_top": sharp.relative_top.value if sharp.relative_top else math.nan,
        "certified": sharp.certified,
        "needed": sharp.needed,
        "products": sharp.products,
    }


def _scores(fold: Flatness, one: Solution) -> dict[str, float]:
    loss, accuracy = score(one.test, fold.labels)
    return {
        "train_loss": one.train[0],
        "train_accuracy": one.train[1],
        "test_loss": loss,
        "test_accuracy": accuracy,
        "gap": loss - one.train[0],
    }


def equal(fold: Flatness) -> pd.DataFrame:
    """Return one line a solution at the training loss of the worst of its group.

    Returns:
        Columns modality, network, arm, exit; low, high (shares of the steps it lies between);
        train_loss; test_loss, test_accuracy, gap; log_trace, log_top, log_relative (log10,
        interpolated; missing where a measure is not positive).
    """
    lines = []
    for place in fold.equal:
        lines.append(
            {
                **dict(zip(_PLACE, place.high.place, strict=True)),
                "low": place.low.share,
                "high": place.high.share,
                **{name: place.read(_reader(fold, name)) for name in _scores(fold, place.high)},
                **{f"log_{name}": _log(fold, place, name) for name in MEASURES},
            }
        )
    return pd.DataFrame(lines)


def _reader(fold: Flatness, name: str) -> Callable[[Solution], float]:
    return lambda one: _scores(fold, one)[name]


def _log(fold: Flatness, place: Between, name: str) -> float:
    return place.read(lambda one: log10(_curvature(fold.of(one))[name]))


def log10(value: float) -> float:
    """Return the decimal logarithm; NaN of what is not positive."""
    return math.log10(value) if value > 0 else math.nan


def long(fold: Flatness, *, network: str = SAME) -> pd.DataFrame:
    """Return log10 of every measure at the end and at equal loss: one line each.

    Returns:
        Columns modality, network, arm, exit, at ("end", "equal"), measure, value, train_loss.
    """
    parts = []
    for at, table in (("end", ends(fold)), ("equal", equal(fold))):
        for measure in MEASURES:
            value = table[measure].map(log10) if at == "end" else table[f"log_{measure}"]
            part = table[[*_PLACE, "train_loss"]].assign(at=at, measure=measure, value=value)
            parts.append(part[part["network"] == network])
    return pd.concat(parts, ignore_index=True)


def classifiers(fold: Flatness) -> pd.DataFrame:
    """Return the mean over the classifiers by arm: columns at, arm, measure, value, count.

    Only classifiers of which all arms have a value are averaged, so that arms are compared on
    the same ones; ``count`` tells how many these are.  At equal loss these are the arms of the
    claim alone, since others may not get there.
    """
    table = long(fold, network=IC).dropna(subset="value")
    compared = table["arm"].isin(COMPARED)
    wanted = {"end": table["arm"].nunique(), "equal": table["arm"][compared].nunique()}
    table = table[compared | (table["at"] == "end")]
    spots = table.groupby(["at", "measure", "modality", "exit"])["arm"].transform("nunique")
    whole = table[spots == table["at"].map(wanted)]
    values = whole.groupby(["at", "arm", "measure"], sort=False)["value"]
    return values.agg(value="mean", count="count").reset_index()


def eigenvalues(fold: Flatness, *, network: str = SAME) -> pd.DataFrame:
    """Return the largest eigenvalues of the networks: modality, rank, value, error, residual."""
    lines = [
        (one.modality, rank, each.value, each.error, each.residual)
        for one in fold.ends
        if one.network == network
        for rank, each in enumerate(fold.of(one).top, start=1)
    ]
    return pd.DataFrame(lines, columns=["modality", "rank", "value", "error", "residual"])


def stages(fold: Flatness, *, network: str = SAME) -> pd.DataFrame:
    """Return the trace of each stage of the networks: modality, stage, trace, low, high."""
    lines = [
        (one.modality, stage, interval.mean, interval.low, interval.high)
        for one in fold.ends
        if one.network == network
        for stage, interval in fold.of(one).stages.items()
    ]
    return pd.DataFrame(lines, columns=["modality", "stage", "trace", "low", "high"])


def gap_tau(table: pd.DataFrame) -> float | None:
    """Return Kendall's tau of flatness with the gap, among solutions of one training loss.

    Args:
        table: of ``equal``; networks of one depth are a stratum, the arms of a classifier another.

    Returns:
        None if no two can be compared.
    """
    known = table.dropna(subset="log_trace")
    strata = [
        "networks" if row.network == SAME else f"{row.modality} {row.exit}"
        for row in known.itertuples()
    ]
    try:
        return stratified_tau(list(-known["log_trace"]), list(known["gap"]), strata)
    except ConfigError:
        return None


def order_gain(fold: Flatness) -> float | None:
    """Return what the order of teachers that follows flatness gains over its reverse, in points.

    The arms are ``pkd_iframe`` (motion, residual, I-frame) and ``summary`` (the reverse), their
    accuracy the mean over the classifiers; the flatter of I-frame and motion network, of one depth
    and at the end, comes last.

    Returns:
        None if an arm was not trained, or a trace is not positive.
    """
    table = ends(fold)
    arms = table[table["network"] == IC].groupby("arm")["test_accuracy"].mean()
    traces = table[table["network"] == SAME].set_index("modality")["trace"]
    if not {"pkd_iframe", "summary"} <= set(arms.index) or traces[["iframe", "mv"]].min() <= 0:
        return None
    gain = 100 * float(arms["pkd_iframe"] - arms["summary"])
    return gain if traces["iframe"] < traces["mv"] else -gain


def rounded(table: pd.DataFrame, digits: int = 4) -> pd.DataFrame:
    """Return a table with numbers of few digits, as figures need; infinite ones are missing."""

    def cut(value: object) -> object:
        if not isinstance(value, float | np.floating):
            return value
        return float(f"{value:.{digits}g}") if math.isfinite(value) else math.nan

    return table.map(cut)
