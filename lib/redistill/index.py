"""index.html over all runs: the ledger of claims with its verdicts, then every run as it ended."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from redistill.claims import (
    INCONCLUSIVE,
    NOT_REPRODUCED,
    NOT_RUN,
    NOT_TESTABLE,
    REPRODUCED,
    Claim,
    Verdict,
    ledger,
    load_claims,
)
from redistill.errors import RunError
from redistill.files import write_atomic
from redistill.pages import Run, load_run, moment, render

# verdict -> (sign, tone); the word always stands beside the sign
MARKS = {
    REPRODUCED: ("✓", "good"),
    NOT_REPRODUCED: ("✕", "bad"),
    INCONCLUSIVE: ("≈", "open"),
    NOT_TESTABLE: ("—", "mute"),
    NOT_RUN: ("○", "mute"),
}
PAPERS = {
    "ground": ("The baseline", "Three networks on compressed video and their late fusion", ""),
    "substage": ("Substage distillation", "Staged knowledge distillation", "2307.05201"),
    "spectrum": ("Spectrum distillation", "Temporal and parameter frequencies", "2009.06902"),
    "progressive": ("Progressive distillation", "PKD, WISE and flat minima", "2407.02713"),
}
WIDTH, HEIGHT = 250, 36  # of a strip of seeds, pixels


@dataclass(frozen=True)
class Strip:
    """Where a verdict's dots and interval lie on the paper's common axis, in pixels."""

    dots: tuple[tuple[float, float], ...]
    zero: float
    mean: float | None
    low: float | None
    high: float | None
    margin: tuple[float, ...]  # smallest effect of interest, or both sides of a tolerance


@dataclass(frozen=True)
class Line:
    """One verdict as a row of the table."""

    verdict: Verdict
    mark: tuple[str, str]
    where: str
    value: str
    strip: Strip | None
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Group:
    """One paper's part of the table."""

    id: str
    title: str
    about: str
    arxiv: str
    tally: str
    axis: tuple[float, float]  # ends of the common axis, points
    claims: tuple[tuple[Claim, tuple[Line, ...]], ...]


def build_index(reports_dir: Path) -> Path:
    """Write ``reports_dir``/index.html over all runs in it and in its reference folder."""
    reports_dir = Path(reports_dir)
    if not reports_dir.is_dir():
        raise RunError(f"no folder {reports_dir}; make a run first, or name the folder of runs")
    runs = _runs(reports_dir)
    claims = load_claims()
    records = [{**run.record, "run": run.id} for run in runs if run.record and not run.invalid]
    judged = ledger(claims, records)
    groups = [_group(paper, claims, judged, runs) for paper in PAPERS]
    page = render(
        "index.html.j2",
        headline=_headline(claims, judged),
        note=_note(runs),
        groups=groups,
        runs=[(run, _link(run, reports_dir)) for run in runs],
        links={run.id: _link(run, reports_dir) for run in runs},
        marks=MARKS,
        size=(WIDTH, HEIGHT),
    )
    path = reports_dir / "index.html"
    write_atomic(path, page)
    return path


def overall(verdicts: Sequence[Verdict]) -> str:
    """Sum up a claim over data sets: decided if all decided verdicts agree, else inconclusive."""
    states = {verdict.state for verdict in verdicts}
    decided = states & {REPRODUCED, NOT_REPRODUCED}
    if len(decided) == 1:
        return decided.pop()
    if decided or INCONCLUSIVE in states:
        return INCONCLUSIVE
    return NOT_RUN if NOT_RUN in states else NOT_TESTABLE


def _runs(reports_dir: Path) -> tuple[Run, ...]:
    """Find run folders here and one level down, newest first."""
    names = ("status.json", "record.json")
    found = {path.parent for name in names for path in reports_dir.glob(f"*/{name}")}
    found |= {path.parent for name in names for path in reports_dir.glob(f"*/*/{name}")}
    visible = [path for path in found if not path.name.startswith(".")]
    runs = [load_run(folder) for folder in sorted(visible)]

    def age(run: Run) -> float:
        started = moment(run.status.get("started"))
        return started.timestamp() if started else 0.0

    return tuple(sorted(runs, key=age, reverse=True))


def _link(run: Run, reports_dir: Path) -> str:
    report = run.folder / "report.html"
    return report.relative_to(reports_dir).as_posix() if report.is_file() else ""


def _group(
    paper: str,
    claims: Sequence[Claim],
    judged: Mapping[str, Sequence[Verdict]],
    runs: Sequence[Run],
) -> Group:
    own = [claim for claim in claims if claim.paper == paper]
    verdicts = [verdict for claim in own for verdict in judged[claim.id]]
    axis = _axis(verdicts)
    lines = tuple((claim, _lines(claim, judged[claim.id], axis, runs)) for claim in own)
    counts = _counts([overall(judged[claim.id]) for claim in own])
    title, about, arxiv = PAPERS[paper]
    return Group(paper, title, about, arxiv, counts, axis, lines)


def _lines(
    claim: Claim, verdicts: Sequence[Verdict], axis: tuple[float, float], runs: Sequence[Run]
) -> tuple[Line, ...]:
    by_id = {run.id: run for run in runs}
    settings = [(v.dataset, v.world, v.profile) for v in verdicts]
    counted = {(v.dataset, v.world) for v in verdicts if v.profile not in ("", "quick")}
    lines = []
    for verdict in verdicts:
        if verdict.profile == "quick" and (verdict.dataset, verdict.world) in counted:
            continue  # runs that count make a machinery check on the same data uninteresting
        where = [f"{verdict.dataset} {verdict.world}".strip(), verdict.profile]
        if settings.count((verdict.dataset, verdict.world, verdict.profile)) > 1:
            where.append(f"setting {verdict.setting}" if verdict.setting else "")
        names = dict.fromkeys(name for pair in verdict.pairs for name in pair.runs)
        lines.append(
            Line(
                verdict=verdict,
                mark=MARKS[verdict.state],
                where=", ".join(part for part in where if part),
                value=_value(claim, verdict),
                strip=_strip(claim, verdict, axis) if verdict.pairs else None,
                runs=tuple(by_id[name] for name in names if name in by_id),
            )
        )
    return tuple(lines)


def _value(claim: Claim, verdict: Verdict) -> str:
    """Ours as text: mean difference, interval, number of independent runs."""
    if not verdict.pairs:
        return ""
    n = len(verdict.pairs)
    mean = sum(pair.difference for pair in verdict.pairs) / n
    text = f"{mean:+.1f}"
    if verdict.interval:
        text += f" [{verdict.interval.low:+.1f}, {verdict.interval.high:+.1f}]"
    text = text.replace("-", "−")
    return f"{text}\u00a0{claim.unit} · {n}\u00a0run{'s' if n > 1 else ''}"


def _axis(verdicts: Sequence[Verdict]) -> tuple[float, float]:
    """Return the ends of the common axis: round numbers around zero, dots and intervals."""
    values = [pair.difference for verdict in verdicts for pair in verdict.pairs]
    values += [end for v in verdicts if v.interval for end in (v.interval.low, v.interval.high)]
    low, high = min([*values, -2.0]), max([*values, 2.0])
    step = next(size for size in (1, 2, 5, 10, 20, 50, 1e9) if high - low <= 12 * size)
    return math.floor(low / step) * step, math.ceil(high / step) * step


def _strip(claim: Claim, verdict: Verdict, axis: tuple[float, float]) -> Strip:
    def place(value: float) -> float:
        share = (value - axis[0]) / (axis[1] - axis[0])
        return round(6 + share * (WIDTH - 12), 1)

    sign = -1 if claim.direction == "less" else 1
    ends = (-claim.margin, claim.margin) if claim.rule == "equivalence" else (sign * claim.margin,)
    dots = tuple(  # a fixed zigzag keeps equal seeds apart
        (place(pair.difference), 8 + (i * 5) % 12) for i, pair in enumerate(verdict.pairs)
    )
    found = verdict.interval
    return Strip(
        dots=dots,
        zero=place(0),
        mean=place(found.mean) if found else None,
        low=place(found.low) if found else None,
        high=place(found.high) if found else None,
        margin=tuple(place(end) for end in ends if axis[0] <= end <= axis[1] and end),
    )


def _counts(states: Sequence[str]) -> str:
    parts = [(states.count(state), state) for state in MARKS]
    return ", ".join(f"{count} {state}" for count, state in parts if count)


def _headline(claims: Sequence[Claim], judged: Mapping[str, Sequence[Verdict]]) -> str:
    return f"{len(claims)} claims: {_counts([overall(judged[claim.id]) for claim in claims])}."


def _note(runs: Sequence[Run]) -> str:
    """Say in one sentence what the runs at hand can and cannot decide."""
    counted = [run for run in runs if not run.invalid]
    quick = [run for run in counted if run.profile == "quick"]
    if not runs:
        return "No run yet. The first one is made by `make reproduce`."
    if not counted:
        return "No run at hand has a valid record, so none is counted."
    if len(quick) == len(counted):
        return "All runs so far are quick ones: they check the machinery and give no verdict."
    left = f", {len(quick)} of them quick (machinery checks, never counted)" if quick else ""
    return f"{len(counted)} runs have a valid record{left}; a verdict takes ten independent runs."
