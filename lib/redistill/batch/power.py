"""How many independent runs the claims that a batch tests need, beside how many it gives."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from textwrap import shorten
from typing import Any

from redistill import stats
from redistill.batch.spec import RunSpec
from redistill.claims import Claim, Verdict, load_claims, verdict
from redistill.config import as_json
from redistill.files import sha256_json
from redistill.pairing import NOT_SETTING, Record
from redistill.rules import RUNS_WANTED

_PRINTED = {"ucf101": "UCF-101", "hmdb51": "HMDB-51"}  # data sets as claims name them
_HEAD = ("claim", "gap", "sd of a run", "needed", "given", "")
Seeds = tuple[str, str]  # of data, of training
_WIDTHS = (6, 31, 33, 10, 7, 11)


@dataclass(frozen=True, kw_only=True)
class Place:
    """What may be pooled of a batch: one notebook, data set, world and setting."""

    notebook: str
    dataset: str
    world: str
    profile: str
    setting: str
    name: str  # for the reader

    def made(self, record: Record) -> bool:
        """Whether a record is of a run like those of this place."""
        known = record["parameters"]
        about = (record["notebook"], known.get("dataset") or "", _setting(known))
        return about == (f"{self.notebook}.ipynb", self.dataset, self.setting)

    def holds(self, one: Verdict) -> bool:
        """Whether a verdict is of this place."""
        return self.near(one) and one.setting == self.setting

    def near(self, one: Verdict) -> bool:
        """Whether a verdict is of this place, its setting aside."""
        return (one.dataset, one.world) == (self.dataset, self.world)


def power_lines(specs: Iterable[RunSpec], records: Sequence[Record]) -> list[str]:
    """Return the table: for each place of the batch, a line for each claim tested there.

    The gap is the value printed if it is of this data set and profile "paper", else the claim's
    margin, else the effect seen.  The spread is that of existing runs, of this setting if there
    are any.  Needed are the runs that tell the gap from none with 80 % power; given are those
    (data seed, seed) that the batch and the runs that are there have together; none where runs
    of this setting are there, but without rows of the claim.
    """
    seeds = defaultdict(set)
    for spec in specs:
        seeds[_place(spec)].add(_seeds(as_json(spec.config)))
    lines = []
    claims = [claim for claim in load_claims() if claim.rows]
    for place, given in seeds.items():
        mine = [claim for claim in claims if place.notebook in claim.testable_by]
        if not mine:
            continue
        lines += ["", place.name]
        if place.profile == "quick":
            lines.append("  quick runs check the machinery and give no verdict, however many")
            continue
        lines.append(_row(_HEAD))
        lines += [_line(claim, place, given, records) for claim in mine]
    return lines


def _line(
    claim: Claim, place: Place, seeds: set[tuple[str, str]], records: Sequence[Record]
) -> str:
    judged = [one for one in verdict(claim, records) if one.profile != "quick"]
    there = {(p.data_seed, p.seed) for one in judged if place.holds(one) for p in one.pairs}
    best = max(judged, key=lambda v: (place.holds(v), place.near(v), len(v.pairs)), default=None)
    seen = best if best and len(best.pairs) > 1 else None
    gap, effect = _gap(claim, place, seen)
    silent = not there and any(place.made(record) for record in records)
    count = 0 if silent else len(there | seeds)
    needed = _needed(claim, seen, effect)
    if needed is None:
        text, end = "unknown", "not tested" if silent else ""
    elif math.isinf(needed):
        text, end = f"> {stats.MOST_RUNS:,}", "never enough"
    else:
        text, end = f"{needed:.0f}", "enough" if count >= needed else f"{needed - count:.0f} more"
    return _row((claim.id, gap, _spread(claim, place, seen), text, str(count), end))


def _gap(claim: Claim, place: Place, seen: Verdict | None) -> tuple[str, float | None]:
    """Return the gap to tell from none, in words and as a number; None where nobody knows it."""
    unit = "" if claim.unit == "points" else f" {claim.unit}"
    wanted = _PRINTED.get(place.dataset) if place.profile == "paper" else None
    values = [p["value"] for p in claim.printed if p["data"] == wanted and "value" in p]
    if values:
        return f"{abs(values[0]):g}{unit} printed", abs(values[0])
    margin = claim.margin if seen is None or seen.margin is None else seen.margin
    if _is_share(claim):
        return "a share of runs", None
    if claim.rule == "equivalence":
        return f"within {margin:g}{unit}", margin
    if margin and claim.rule != "ratio":
        return f"{margin:g}{unit} margin", margin
    effect = abs(fmean(seen.differences) - margin) if seen else None
    return ("unknown", None) if not effect else (f"{effect:.2g}{unit} seen", effect)


def _needed(claim: Claim, seen: Verdict | None, effect: float | None) -> float | None:
    """Return the runs needed; infinity above all that can be counted, None if unknown."""
    if seen is None:
        return None
    if _is_share(claim):
        more = 0 if seen.p is not None and not seen.outlook.text else seen.outlook.runs
        return None if more is None else max(len(seen.pairs) + more, RUNS_WANTED)
    if not effect:
        return None
    sd = stdev(seen.differences)
    if claim.rule == "equivalence":
        needed = stats.runs_needed_equivalence(margin=effect, sd=sd)
    else:
        needed = stats.runs_needed(effect=effect, sd=sd)
    return math.inf if needed is None else max(needed, RUNS_WANTED)


def _spread(claim: Claim, place: Place, seen: Verdict | None) -> str:
    """Return the standard deviation of a run's difference, and of what runs it is."""
    if seen is None:
        return "unknown"
    of = f"{len(seen.pairs)} runs"
    if not place.near(seen):
        of += f", {seen.world or seen.dataset}"
    elif not place.holds(seen):
        of += ", other setting"
    return f"- ({of})" if _is_share(claim) else f"{stdev(seen.differences):.3g} ({of})"


def _is_share(claim: Claim) -> bool:
    """Whether what counts is no mean of differences but a share of runs, or of a variance."""
    return "gains" in claim.rows or "grid" in claim.rows


def _place(spec: RunSpec) -> Place:
    known = as_json(spec.config)
    dataset = str(known.get("dataset") or "")
    given = {k: v for k, v in spec.given.items() if k not in NOT_SETTING}
    return Place(
        notebook=spec.notebook.stem,
        dataset=dataset,
        world=str(known.get("world") or "") if dataset == "synthetic" else "",
        profile=spec.config.profile,
        setting=_setting(known),
        name=RunSpec(notebook=spec.notebook, given=given).text(),
    )


def _setting(parameters: Mapping[str, Any]) -> str:
    """Return the digest of what may not differ between runs that are pooled."""
    return sha256_json({k: v for k, v in parameters.items() if k not in NOT_SETTING})[:8]


def _seeds(known: Mapping[str, Any]) -> Seeds:
    """Return data seed and seed as the pairs of a verdict have them."""
    data, own = (known.get(name) for name in ("data_seed", "seed"))
    return tuple("" if each is None else str(each) for each in (data, own))


def _row(cells: Sequence[str]) -> str:
    short = (
        shorten(cell, width - 1, placeholder=" ...")
        for cell, width in zip(cells, _WIDTHS, strict=True)
    )
    return "  " + "".join(map(str.ljust, short, _WIDTHS)).rstrip()
