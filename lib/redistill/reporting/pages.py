"""What both pages share: the template environment, true states, and numbers made readable."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from redistill.errors import RedistillError
from redistill.files import read_json, write_atomic
from redistill.reporting.markdown import clean
from redistill.reporting.outputs import number
from redistill.running.run_record import FILE, read_record
from redistill.running.status import read_status

# state of a run -> (sign, tone), all others being failures; the sign and the word carry the
# meaning, colour only repeats it
MARKS = {"completed": ("✓", "good"), "running": ("…", "open"), "unknown": ("?", "open")}


@dataclass(frozen=True)
class Run:
    """One run folder as a page shows it."""

    id: str
    folder: Path
    status: Mapping[str, Any]  # its state is "unknown" if nothing tells
    record: Mapping[str, Any]  # empty if there is no valid one
    parameters: Mapping[str, Any]
    invalid: str  # why the record does not count; "" if it does

    @property
    def mark(self) -> tuple[str, str]:
        """Sign and tone of the state."""
        return MARKS.get(self.status["state"], ("✕", "bad"))

    @property
    def profile(self) -> str:
        """Profile of the run; "" if unknown."""
        return str(self.record.get("profile") or self.parameters.get("profile") or "")

    @property
    def data(self) -> str:
        """Data set, and world if it is synthetic."""
        name = str(self.parameters.get("dataset") or "")
        return f"{name} {self.parameters.get('world', '')}" if name == "synthetic" else name

    @property
    def seconds(self) -> float | None:
        """Wall-clock time from start to end; None while it runs or if unknown."""
        start, end = moment(self.status.get("started")), moment(self.status.get("ended"))
        return (end - start).total_seconds() if start and end else None


def load_run(folder: Path) -> Run:
    """Read what a run folder holds; missing or broken files make a poorer page, not an error."""
    record, invalid = {}, ""
    try:
        status = vars(read_status(folder))
    except RedistillError as error:
        status = {"state": "unknown", "cause": str(error)}
    try:
        record = read_record(folder)
    except RedistillError as error:
        invalid = "it has no record"
        if (folder / FILE).is_file():
            invalid = f"its record is not valid: {error}".replace(f"{folder}/", "")
    parameters = record.get("parameters") or optional_json(folder / "parameters.json")
    if not invalid and status["state"] not in ("completed", "unknown"):
        record, invalid = {}, f"the run is {status['state']}"
    return Run(folder.name, folder, status, record, parameters, invalid)


def write_page(path: Path, template: str, **context: Any) -> Path:
    """Fill ``template`` into ``path``; every value is escaped unless it is markup of our own."""
    write_atomic(path, _environment().get_template(template).render(**context))
    return path


def moment(value: str | None) -> datetime | None:
    """Read a time in ISO 8601, in UTC if it names no zone; None for anything else."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def date(value: str | None) -> str:
    """Write a time for a reader, in UTC."""
    found = moment(value)
    return found.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if found else "–"


def duration(seconds: float | None) -> str:
    """Write a duration for a reader: 12.3 s, 4 min 05 s, 2 h 10 min."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f}\u00a0s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}\u00a0min {rest:02d}\u00a0s"
    return f"{minutes // 60}\u00a0h {minutes % 60:02d}\u00a0min"


def flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Flatten nested JSON to (dotted name, text) pairs; sizes and times made readable."""
    pairs: list[tuple[str, str]] = []
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            pairs += flat(item, f"{name}.")
        else:
            pairs.append((name, _fact(name, item)))
    return pairs


def _fact(name: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(number, value)) or "–"
    if type(value) in (int, float) and name.endswith("memory"):
        return f"{value / 2**20:,.0f}\u00a0MiB".replace(",", "\u202f")
    if type(value) in (int, float) and name.endswith("seconds"):
        return duration(value)
    return str(value) if type(value) is int else number(value)


def optional_json(path: Path) -> Mapping[str, Any]:
    """Read a JSON object; an empty one if there is none or it cannot be read."""
    try:
        value = read_json(path)
    except RedistillError:
        return {}
    return value if isinstance(value, Mapping) else {}


@cache
def _environment() -> Environment:
    loader = PackageLoader("redistill.reporting")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=lambda v: v if isinstance(v, Markup) else clean(str(v)),
    )  # fmt: skip
    environment.filters |= {"number": number, "date": date, "duration": duration}
    environment.globals["css"] = Markup(loader.get_source(environment, "style.css")[0])
    return environment
