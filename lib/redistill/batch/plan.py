"""What a batch would take, told before it starts: runs, time, disk, GPU hours, seeds."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from textwrap import wrap

from redistill.batch.found import find_runs, keys_of
from redistill.batch.pace import packed, spoken
from redistill.batch.power import power_lines
from redistill.batch.spec import RunSpec
from redistill.config import as_json
from redistill.errors import RedistillError
from redistill.files import cache_root, read_json
from redistill.pairing import Record
from redistill.reference import REFERENCE, records_in
from redistill.running.key import RunKey
from redistill.running.run_record import PARTS
from redistill.running.status import read_status, runs_in

_WIDTH = 100
_UNKNOWN = "unknown until one has run"
_UNITS = {"TB": 1e12, "GB": 1e9, "MB": 1e6, "kB": 1e3}
_AGAIN = {
    "running": "under way now",
    "failed": "failed earlier: is tried again",
    "completed": "has no valid record: is repeated",
}


@dataclass(frozen=True, kw_only=True)
class _Item:
    """One run of the batch: what is known of it.

    Attributes:
        spec: of the run.
        found: its folder, if it is there.
        why: it is to be made.
        like: records of the same notebook, profile and data set, on the same kind of device if
            there are any.
    """

    spec: RunSpec
    found: Path | None
    why: str
    like: tuple[Record, ...]

    @property
    def seconds(self) -> float | None:
        """How long it takes, as a rule; None if no such run is there."""
        return median(record["seconds"] for record in self.like) if self.like else None

    @property
    def on_gpu(self) -> bool:
        """Whether the runs like it computed on a GPU."""
        return any(_on_gpu(record) for record in self.like)

    def disk(self, what: str) -> float | None:
        """Return bytes of its folder ("run") or of the cache ("cache"); None if unknown."""
        known = [record["disk"][what] for record in self.like if record.get("disk")]
        return median(known) if known else None


def plan_text(
    specs: Sequence[RunSpec], reports: Path, *, slots: int, cuda: bool, reference: Path = REFERENCE
) -> str:
    """Return the plan of a batch; nothing is started and nothing written but hashes of data.

    Args:
        specs: the runs.
        reports: where they would go.
        slots: how many at once.
        cuda: whether they would compute on GPUs.
        reference: further runs to learn from.
    """
    folders = dict.fromkeys(folder.resolve() for folder in (reports, reference))
    records = {folder: tuple(records_in(folder)) for folder in folders}
    everything = [record for each in records.values() for record in each]
    own = records[reports.resolve()]
    keys = keys_of(specs)
    found = find_runs(reports, {key.value for key in keys})
    items = [
        _Item(
            spec=spec,
            found=found.get(key.value),
            why="" if key.value in found else _why(spec, key, reports, own),
            like=_like(spec, everything, cuda),
        )
        for spec, key in zip(specs, keys, strict=True)
    ]
    todo = [item for item in items if item.found is None]
    lines = [
        f"Plan, not run: of {len(items)} runs {len(items) - len(todo)} there, {len(todo)} to do",
        "",
        *_run_lines(items),
        "",
        *_cost_lines(todo, reports, slots, cuda),
        "",
        "Independent runs that a verdict takes (80 % power at 5 %, paired t, before Holm's",
        "correction) and those that are there after this batch; gaps and sd in points unless said:",
        *power_lines(specs, everything),
    ]
    return "\n".join(lines)


def _run_lines(items: Sequence[_Item]) -> list[str]:
    lines = []
    for item in items:
        time = "" if item.seconds is None else f"; {spoken(item.seconds)}"
        told = f"is there: {item.found.name}" if item.found else f"to do, {item.why}{time}"
        text = f"{item.spec.text()}  {told}"
        lines += wrap(text, _WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    return lines


def _cost_lines(todo: Sequence[_Item], reports: Path, slots: int, cuda: bool) -> list[str]:
    """Return time, GPU hours and disk of the runs to do."""
    if not todo:
        return ["Nothing to do."]
    known = [item.seconds for item in todo if item.seconds is not None]
    more = f"; {len(todo) - len(known)} more of a time {_UNKNOWN}" if len(known) < len(todo) else ""
    where = f"on {slots} slot{'s' if slots > 1 else ''}"
    time = f"{spoken(packed(known, slots, []))} {where}, {spoken(sum(known))} of runs"
    lines = [f"Time       {time}{more}" if known else f"Time       {_UNKNOWN}"]
    gpu = [item.seconds for item in todo if item.on_gpu and item.seconds is not None]
    if gpu:
        lines.append(f"GPU hours  {sum(gpu) / 3600:.2f}, as {len(gpu)} runs like these took")
    else:
        lines.append(f"GPU hours  {_UNKNOWN + ' on a GPU' if cuda else 'none: these run on CPUs'}")
    return lines + _disk_lines(todo, reports)


def _disk_lines(todo: Sequence[_Item], reports: Path) -> list[str]:
    """Return what the runs write, the room there is, and a warning if that is too little."""
    lines, wanted, room, places = [], {}, {}, {"run": reports, "cache": cache_root()}
    for what, place in places.items():
        place = next(p for p in (place.absolute(), *place.absolute().parents) if p.exists())
        known = [size for item in todo if (size := item.disk(what)) is not None]
        device = place.stat().st_dev
        wanted[device] = wanted.get(device, 0.0) + sum(known)
        room[device] = shutil.disk_usage(place).free
        told = f"{_size(sum(known))} at most" if what == "cache" else _size(sum(known))
        told = told if known else _UNKNOWN
        if 0 < len(known) < len(todo):
            told += f" for {len(known)} of {len(todo)} runs"
        lines.append(f"Disk       {told} in {places[what]} ({_size(room[device])} free)")
    for device, size in wanted.items():
        if size > room[device]:
            lines += wrap(
                f"NOT ENOUGH ROOM: {_size(size)} to be written, {_size(room[device])} free; "
                "make room, or give another --reports or REDISTILL_CACHE",
                _WIDTH,
            )
    return lines


def _why(spec: RunSpec, key: RunKey, reports: Path, records: Sequence[Record]) -> str:
    """Say why a run is to be made: new, stopped earlier, or an input has changed."""
    parameters = as_json(spec.config)
    newest, told = "", "new"
    for record in records:
        own = record.get("key")
        if record["notebook"] != spec.notebook.name or record["started"] < newest:
            continue
        if own and own["parameters"] == key.parts["parameters"]:
            changed = [part for part in PARTS if own[part] != key.parts[part]]
            newest, told = record["started"], f"repeated: {' and '.join(changed)} changed"
        elif not own and record["parameters"] == parameters:
            newest, told = record["started"], "repeated: its record has no key"
    counted = {record["run"] for record in records}
    for folder in runs_in(reports):
        mine = folder.name.startswith(spec.notebook.stem) and folder.name not in counted
        same = f"-{key.value[:12]}" in folder.name
        with suppress(RedistillError):  # a folder in which nothing tells what it was
            if mine and (same or read_json(folder / "parameters.json") == parameters):
                status = read_status(folder)
                if status.started > newest:
                    how = _AGAIN.get(status.state) or _resumed(status.state, same)
                    newest, told = status.started, f"{how} ({folder.name})"
    return told


def _resumed(state: str, same: bool) -> str:
    """Say what a run goes on from that was stopped; with other inputs, its phases may be others."""
    end = {"disk_full": "out of disk", "timeout": "out of time"}.get(state, state)
    return f"{end} earlier: goes on from its last epoch" + ("" if same else ", if that still fits")


def _like(spec: RunSpec, records: Sequence[Record], cuda: bool) -> tuple[Record, ...]:
    """Return records of the same notebook, profile and data set, on this kind of device if any."""
    dataset = getattr(spec.config, "dataset", None)
    wanted = (spec.notebook.name, spec.config.profile, dataset)
    same = [
        record
        for record in records
        if (record["notebook"], record["profile"], record["parameters"].get("dataset")) == wanted
    ]
    return tuple([record for record in same if _on_gpu(record) == cuda] or same)


def _on_gpu(record: Record) -> bool:
    return (record["device"] or "").startswith("cuda")


def _size(size: float) -> str:
    """Return bytes as a person reads them."""
    unit = next((name for name, one in _UNITS.items() if size >= one), "bytes")
    return f"{size / _UNITS.get(unit, 1):.3g} {unit}"
