"""Tables of notebook 5: claims, their verdicts, the runs behind them, what would change them.

Pure functions of a ledger, which is read once from a folder of runs.  Failures come first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from redistill import stats
from redistill.claims import Claim, Verdict, ledger, load_claims, overall
from redistill.errors import RunError
from redistill.listing import Listing
from redistill.outlook import SETTLED
from redistill.pairing import Record
from redistill.papers import PAPERS
from redistill.reference import REFERENCE, measured, records_in
from redistill.rules import INCONCLUSIVE, NOT_REPRODUCED, NOT_RUN, NOT_TESTABLE, REPRODUCED

ORDER = (NOT_REPRODUCED, INCONCLUSIVE, REPRODUCED, NOT_RUN, NOT_TESTABLE)


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Claims, the verdicts on them, and the records behind these."""

    claims: tuple[Claim, ...]
    judged: Mapping[str, Sequence[Verdict]]
    records: tuple[Record, ...]

    def of(self, paper: str) -> "Ledger":
        """Return the part of one paper; of "all" the whole."""
        kept = tuple(one for one in self.claims if paper in ("all", one.paper))
        return replace(self, claims=kept)

    def verdicts(self) -> Iterator[tuple[Claim, Verdict]]:
        """Yield every claim with every verdict that rests on runs, failures first."""
        found = [(one, v) for one in self.claims for v in self.judged[one.id] if v.pairs]
        yield from sorted(found, key=lambda each: ORDER.index(each[1].state))

    def one(self, name: str) -> tuple[Claim, Verdict]:
        """Return a claim with the verdict that rests on most runs.

        If no run tells of it, it is the first claim that any run tells of.

        Raises:
            RunError: no run tells of any claim.
        """
        told = list(self.verdicts())
        if not told:
            raise RunError("these runs tell of no claim; name a folder of runs of notebooks 1 to 4")
        found = [each for each in told if each[0].id == name] or told[:1]
        return max(found, key=lambda each: (each[1].profile != "quick", len(each[1].pairs)))

    def name(self, claim: Claim, one: Verdict) -> str:
        """Return the claim's id, with the data set where it has verdicts on several."""
        several = sum(bool(v.pairs) for v in self.judged[claim.id]) > 1
        return f"{claim.id} {one.world or one.dataset}" if several else claim.id

    def headline(self) -> str:
        """Return the tally in one sentence."""
        states = [overall(self.judged[claim.id]) for claim in self.claims]
        told = ", ".join(f"{states.count(one)} {one}" for one in ORDER if one in states)
        return f"{len(self.claims)} claims, {len(self.records)} runs: {told}."


def read_ledger(folder: Path | None = None) -> Ledger:
    """Judge all claims by the valid records of the run folders in ``folder``.

    Raises:
        RunError: there is no valid record.
    """
    folder = folder or REFERENCE
    claims, records = load_claims(), tuple(records_in(folder))
    if not records:
        raise RunError(f"no run folder in {folder} has a valid record; name a folder of runs")
    return Ledger(claims=claims, judged=ledger(claims, records), records=records)


def tally(found: Ledger) -> pd.DataFrame:
    """Return how many claims of each paper are in which state, summed up over data sets."""
    counts = {}
    for key, paper in PAPERS.items():
        part = found.of(key)
        states = [overall(part.judged[claim.id]) for claim in part.claims]
        if states:
            counts[paper.short] = {state: states.count(state) for state in ORDER}
    return pd.DataFrame(counts).T.rename_axis("paper").reset_index()


def verdicts(found: Ledger) -> Listing:
    """Return every verdict that rests on runs, failures first, in words and numbers."""
    lines = []
    for claim, one in found.verdicts():
        why = f"{one.name}: {one.why}" if one.name else one.why
        line = {
            "claim": claim.id,
            "verdict": one.state,
            "in words": claim.claim,
            "printed": ", ".join(f"{entry['text']} ({entry['data']})" for entry in claim.printed)
            or "–",
            "ours": f"{measured(claim, one)} {claim.unit}",
            "runs": len(one.pairs),
            "where": place(one),
            "why": "; ".join(part for part in (why, one.outlook.text) if part),
        }
        lines.append(line)
    return Listing(pd.DataFrame(lines))


def place(one: Verdict) -> str:
    """Return data set, world and profile of a verdict."""
    return " ".join(part for part in (one.dataset, one.world, one.profile) if part)


def forest(found: Ledger) -> pd.DataFrame:
    """Return what the figure of all judged claims draws, a line a verdict.

    Returns:
        Columns claim, words, verdict, unit, mean, low, high, margins (one or two, as text), and
        run_1, run_2 ...: the number of each run.
    """
    lines = []
    for claim, one in found.verdicts():
        if one.interval is None:
            continue
        ends = {"mean": one.interval.mean, "low": one.interval.low, "high": one.interval.high}
        marks = " ".join(f"{mark:g}" for mark in claim.marks if mark)
        line = {"claim": found.name(claim, one), "words": claim.claim, "verdict": one.state}
        line |= {"unit": claim.unit}
        runs = {f"run_{i}": round(x, 6) for i, x in enumerate(one.differences, start=1)}
        lines.append(line | ends | {"margins": marks} | runs)
    return pd.DataFrame(lines)


def pairs(one: Verdict) -> pd.DataFrame:
    """Return the independent runs behind a verdict: test, control, and their difference."""
    return pd.DataFrame(
        [
            (p.data_seed, p.seed, p.test, p.control, p.difference, " ".join(p.runs))
            for p in one.pairs
        ],
        columns=["data_seed", "seed", "test", "control", "difference", "runs"],
    )


def rows(found: Ledger, name: str, **keys: Any) -> pd.DataFrame:
    """Return rows of the records as they were written, with the seeds of their run.

    Args:
        found: the ledger whose records are read.
        name: of the rows.
        **keys: what the rows must be about.
    """
    lines = []
    for record in found.records:
        seeds = {key: record["parameters"].get(key) for key in ("data_seed", "seed")}
        for row in record["rows"]:
            if row["name"] == name and keys.items() <= row["keys"].items():
                lines.append(seeds | row["keys"] | {"value": row["value"], "unit": row["unit"]})
    return pd.DataFrame(lines)


def p_values(found: Ledger) -> pd.DataFrame:
    """Return the tests that were corrected together, smallest p first."""
    lines = [(claim.id, one.p, one.p_holm) for claim, one in found.verdicts() if one.p is not None]
    table = pd.DataFrame(lines, columns=["claim", "p", "p_holm"])
    return table.sort_values("p", kind="stable", ignore_index=True)


def further(found: Ledger) -> pd.DataFrame:
    """Return what every inconclusive verdict takes.

    Returns:
        Columns claim, runs, sd (of a run), gap (smallest effect of interest; the one seen where
        there is none), power (of the runs there are, for that gap), more (missing if no number can
        be given), takes.
    """
    lines = []
    for claim, one in found.verdicts():
        if one.outlook == SETTLED:
            continue
        sd, gap, power = float("nan"), float("nan"), float("nan")
        if one.runs_needed and one.interval is not None and claim.rule == "superiority":
            sd, gap = one.interval.sd, claim.margin or abs(one.interval.mean)
            if sd and gap:
                power = stats.power(effect=gap, sd=sd, n=len(one.pairs))
        line = (
            found.name(claim, one),
            len(one.pairs),
            sd,
            gap,
            power,
            one.runs_needed,
            one.outlook.text,
        )
        lines.append(line)
    names = ["claim", "runs", "sd", "gap", "power", "more", "takes"]
    return pd.DataFrame(lines, columns=names).astype({"more": "float"})


def power_curves(table: pd.DataFrame, *, points: int = 24) -> pd.DataFrame:
    """Return power over runs for each line of ``further`` that more runs would settle.

    Returns:
        Columns claim, runs, power: for the gap, at the spread seen.
    """
    lines = []
    for row in table.dropna(subset=["power", "more"]).itertuples():
        most = 1.4 * (row.runs + row.more)
        for share in range(points + 1):
            n = round(2 * (most / 2) ** (share / points))
            lines.append((row.claim, n, stats.power(effect=row.gap, sd=row.sd, n=n)))
    return pd.DataFrame(lines, columns=["claim", "runs", "power"]).drop_duplicates()


def untestable(found: Ledger) -> Listing:
    """Return what nobody can test with what is public."""
    lines = [(one.id, one.untestable) for one in found.claims if one.untestable]
    return Listing(pd.DataFrame(lines, columns=["claim", "not testable here"]))


def not_run(found: Ledger) -> Listing:
    """Return the claims on which no run tells anything, and the notebook that tests them."""
    told = {claim.id for claim, _ in found.verdicts()}
    lines = [(c.id, c.claim, c.test, c.control, ", ".join(c.testable_by)) for c in found.claims
             if c.id not in told]  # fmt: skip
    names = ["claim", "in words", "test", "control", "notebook"]
    return Listing(pd.DataFrame(lines, columns=names))
