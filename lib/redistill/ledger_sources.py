"""Where verdicts come from: the machines, the versions and the library source of their runs."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from redistill.files import sha256_json
from redistill.ledger_tables import Ledger, place
from redistill.pairing import Record

_HASH = 8  # characters of a hash that are shown


def sources(found: Ledger) -> pd.DataFrame:
    """Return a line for each notebook, profile and data set: its runs and what made them.

    Returns:
        Columns notebook, profile, data, runs, data_seeds, seeds (how many different ones), hours,
        machine, torch, library (hashes of its source), commit.
    """
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in found.records:
        about = record["parameters"]
        data = " ".join(str(about[key]) for key in ("dataset", "world") if about.get(key))
        name = record["notebook"].rsplit("/", 1)[-1].removesuffix(".ipynb")
        groups.setdefault((name, record["profile"], data), []).append(record)
    return pd.DataFrame(
        [
            dict(zip(("notebook", "profile", "data"), where, strict=True)) | _made(records)
            for where, records in sorted(groups.items())
        ]
    )


def mixed(found: Ledger) -> pd.DataFrame:
    """Return for each verdict how many different sources, versions and machines are behind it.

    Returns:
        Columns claim, where, runs, library, versions, notebooks, machines: counts; a verdict on
        runs of more than one library source compares what may not be the same method.
    """
    known = {record["run"]: record for record in found.records}
    lines = []
    for claim, one in found.verdicts():
        names = dict.fromkeys(name for pair in one.pairs for name in pair.runs)
        records = [known[name] for name in names]
        line = {"claim": claim.id, "where": place(one), "runs": len(one.pairs)}
        line["library"] = _different(record["library_hash"] for record in records)
        line["versions"] = _different(sha256_json(record["versions"]) for record in records)
        line["notebooks"] = _different(record["notebook_hash"] for record in records)
        line["machines"] = _different(_machine(record) for record in records)
        lines.append(line)
    return pd.DataFrame(lines)


def _made(records: Sequence[Record]) -> dict[str, Any]:
    return {
        "runs": len(records),
        "data_seeds": _different(r["parameters"].get("data_seed") for r in records),
        "seeds": _different(r["parameters"].get("seed") for r in records),
        "hours": round(sum(r["seconds"] for r in records) / 3600, 2),
        "machine": _all(_machine(r) for r in records),
        "torch": _all(r["versions"].get("torch") for r in records),
        "library": _all(r["library_hash"][:_HASH] for r in records),
        "commit": _all((r["git"].get("commit") or "not known")[:_HASH + 1] for r in records),
    }  # fmt: skip


def _machine(record: Record) -> str:
    machine = record["machine"]
    return f"{machine.get('cpu')}, {machine.get('cores')} cores, {record['device']}"


def _different(values: Any) -> int:
    return len(set(values))


def _all(values: Any) -> str:
    return ", ".join(sorted({str(value) for value in values}))
