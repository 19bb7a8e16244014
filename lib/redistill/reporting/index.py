"""index.html over all runs: the ledger of claims with its verdicts, then every run as it ended."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import MaxNLocator

from redistill.claims import Claim, Verdict, ledger, load_claims, overall
from redistill.errors import RunError
from redistill.papers import PAPERS
from redistill.reference import measured
from redistill.reporting.pages import Run, load_run, write_page
from redistill.reporting.run_groups import groups, stopped
from redistill.rules import INCONCLUSIVE, NOT_REPRODUCED, NOT_RUN, NOT_TESTABLE, REPRODUCED, STATES
from redistill.running.status import counted_folders

# verdict -> (sign, tone); the word always stands beside the sign
_SIGNS = (("✓", "good"), ("✕", "bad"), ("≈", "open"), ("—", "mute"), ("○", "mute"))
MARKS = dict(zip(STATES, _SIGNS, strict=True))
# failures first
_ORDER = (NOT_REPRODUCED, INCONCLUSIVE, REPRODUCED, NOT_RUN, NOT_TESTABLE)
WIDTH, HEIGHT = 250, 36  # of a strip of seeds, pixels
NEAR, FAR = 5.0, 15.0  # points: where an axis reaches beyond FAR, it is logarithmic beyond NEAR
Judged = Mapping[str, Sequence[Verdict]]  # by claim
Runs = Mapping[str, Run]  # by name
Axis = tuple[float, float]  # its ends


def build_index(reports_dir: Path) -> Path:
    """Write ``reports_dir``/index.html over all runs in it and in its reference folder."""
    if not reports_dir.is_dir():
        raise RunError(f"no folder {reports_dir}; make a run first, or name the folder of runs")
    runs = _runs(reports_dir)
    claims = load_claims()
    records = [{**run.record, "run": run.id} for run in runs if not run.invalid]
    judged = ledger(claims, records)
    by_id = {run.id: run for run in runs}
    papers = sorted(PAPERS, key="ground".__eq__)  # the baseline last
    reports = {run.folder: run.folder / "report.html" for run in runs}
    return write_page(
        reports_dir / "index.html",
        "index.html.j2",
        headline=f"{len(claims)} claims: {_tally(claims, judged)}.",
        note=_note(runs),
        groups=[_group(paper, claims, judged, by_id) for paper in papers],
        runs=runs,
        stopped=stopped(runs),
        run_groups=groups(runs),
        marks=MARKS,
        links={k: v.relative_to(reports_dir).as_posix() for k, v in reports.items() if v.is_file()},
        size=(WIDTH, HEIGHT),
        near=NEAR,
        bends=bends,
    )


def _runs(reports_dir: Path) -> list[Run]:
    """Find run folders here and one level down, newest first."""
    runs = [load_run(folder) for folder in counted_folders(reports_dir)]
    return sorted(runs, key=lambda run: str(run.status.get("started", "")), reverse=True)


def _group(paper: str, claims: Sequence[Claim], judged: Judged, runs: Runs) -> dict[str, Any]:
    """One paper's part of the table; the strips of its verdicts share an axis for each unit."""
    own = [claim for claim in claims if claim.paper == paper]
    states = {claim.id: overall(judged[claim.id]) for claim in own}
    own.sort(key=lambda claim: _ORDER.index(states[claim.id]))
    shown = [(claim, one) for claim in own for one in judged[claim.id] if one.pairs]
    units = dict.fromkeys(claim.unit for claim, _ in shown)
    axes = {unit: _axis([each for each in shown if each[0].unit == unit]) for unit in units}
    places = {_place(one) for _, one in shown}
    only = places.pop() if len(places) == 1 else ""  # said once, above the table
    parts: tuple[list, list] = ([], [])
    for claim in own:
        verdicts = judged[claim.id]
        lines = _lines(claim, verdicts, axes.get(claim.unit, (0, 0)), runs, only)
        parts[not any(one.pairs for one in verdicts)].append((claim, lines))
    named = PAPERS[paper]
    return {"id": paper, "title": named.title, "about": named.about, "arxiv": named.arxiv,
            "axes": axes, "place": only, "tally": _tally(own, judged), "states": states,
            "claims": parts[0], "waiting": parts[1]}  # fmt: skip


def _place(one: Verdict) -> str:
    where = f"{one.dataset} {one.world}".strip()
    return ", ".join(filter(None, (where, one.profile)))


def _lines(
    claim: Claim, verdicts: Sequence[Verdict], axis: Axis, runs: Runs, only: str
) -> list[dict]:
    """Return the verdicts of a claim as rows of the table, without the place of all (``only``)."""
    settings = [(v.dataset, v.world, v.profile) for v in verdicts]
    counted = {(v.dataset, v.world) for v in verdicts if v.profile not in ("", "quick")}
    lines = []
    for verdict in verdicts:
        if verdict.profile == "quick" and (verdict.dataset, verdict.world) in counted:
            continue  # runs that count make a machinery check on the same data uninteresting
        where = [_place(verdict).removeprefix(only)]
        if settings.count((verdict.dataset, verdict.world, verdict.profile)) > 1:
            where.append(f"setting {verdict.setting}" if verdict.setting else "")
        names = dict.fromkeys(name for pair in verdict.pairs for name in pair.runs)
        line = {"verdict": verdict, "where": ", ".join(part for part in where if part)}
        line["runs"] = [runs[name] for name in names if name in runs]
        line["strip"] = _strip(claim, verdict, axis) if verdict.pairs else None
        lines.append(line)
    return lines


def _value(claim: Claim, verdict: Verdict) -> str:
    """Ours as text: mean and interval."""
    return f"{measured(claim, verdict).replace('-', '−')}\u00a0{claim.unit}"


def _axis(verdicts: Sequence[tuple[Claim, Verdict]]) -> Axis:
    """Return the ends of a common axis: round numbers around zero, margins, dots and intervals."""
    values = [0.0]
    for claim, verdict in verdicts:
        values += [-2.0, 2.0] if claim.unit == "points" else claim.marks
        values += verdict.differences
        values += [verdict.interval.low, verdict.interval.high] if verdict.interval else []
    if not any(values):
        return -1.0, 1.0
    ticks = MaxNLocator(12, steps=[1, 2, 5, 10]).tick_values(min(values), max(values))
    return float(ticks[0]), float(ticks[-1])


def _strip(claim: Claim, verdict: Verdict, axis: Axis) -> dict[str, Any]:
    """Where dots and interval lie on the paper's common axis of this unit, in pixels."""
    bent = bends(claim.unit, axis)

    def place(value: float) -> float:
        low, at, high = (_bend(x) if bent else x for x in (axis[0], value, axis[1]))
        return round(6 + (at - low) / (high - low) * (WIDTH - 12), 1)

    found = verdict.interval
    return {
        # a fixed zigzag keeps equal seeds apart
        "dots": [(place(x), 8 + i * 5 % 12) for i, x in enumerate(verdict.differences)],
        "value": _value(claim, verdict),
        "zero": place(0),
        "interval": [place(x) for x in (found.low, found.mean, found.high)] if found else None,
        "margin": [place(end) for end in claim.marks if axis[0] <= end <= axis[1] and end],
        "axis": axis,
        "bent": bent,
    }


def bends(unit: str, axis: Axis) -> bool:
    """Say whether an axis is linear near zero only: else one large gain hides all small ones."""
    return unit == "points" and max(map(abs, axis)) > FAR


def _bend(value: float) -> float:
    """Return a value as it is near zero; beyond, its logarithm, without a jump or a kink."""
    if abs(value) <= NEAR:
        return value
    return math.copysign(NEAR * (1 + math.log(abs(value) / NEAR)), value)


def _tally(claims: Sequence[Claim], judged: Judged) -> str:
    states = [overall(judged[claim.id]) for claim in claims]
    return ", ".join(f"{states.count(one)} {one}" for one in _ORDER if one in states)


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
