"""The checks of one run in a bundle: what its files say must agree.

Each check returns if all is right, raises `Wrong` if not, and `Unknown` if nothing can be told.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from redistill.errors import RunError
from redistill.evidence import executed
from redistill.evidence.finding import Unknown, Wrong
from redistill.evidence.opened import Opened
from redistill.files import sha256_json
from redistill.running.run_record import check_record


class HeldRun:
    """One run of a bundle: its files, its record once that is known to be one."""

    def __init__(self, opened: Opened, name: str) -> None:
        self.name, self._opened = name, opened
        self.counted = opened.manifest["runs"][name]["counted"]

    @cached_property
    def state(self) -> str:
        """The state in its own status.json; without one, what the manifest says."""
        try:
            return str(self.json("status.json")["state"])
        except (Unknown, TypeError, KeyError):
            return self._opened.manifest["runs"][self.name]["state"]

    def json(self, name: str) -> Any:
        """Return the JSON in one of its files."""
        return self._opened.json(f"runs/{self.name}/{name}")

    def rows(self) -> list[Any]:
        """Return the rows in rows.jsonl."""
        return self._opened.lines(f"runs/{self.name}/rows.jsonl")

    def figures(self) -> Mapping[str, str]:
        """Return the SHA-256 of each picture by the figure's name."""
        head, tail = f"runs/{self.name}/figures/", ".png"
        names = [n for n in self._opened.sizes if n.startswith(head) and n.endswith(tail)]
        return {n[len(head) : -len(tail)]: self._opened.sha256(n) for n in names}

    @cached_property
    def record(self) -> dict[str, Any]:
        """The record; `Unknown` if there is no valid one."""
        try:
            check_is_record(self)
        except Wrong as error:
            raise Unknown("its record is not valid") from error
        return self.json("record.json")

    @cached_property
    def cells(self) -> list[Mapping[str, Any]]:
        """The cells of the executed notebook."""
        return executed.cells(self.json("notebook.ipynb"))


def check_is_record(run: HeldRun) -> None:
    """Pass a run that counts and may, and one that does not count and may not."""
    try:
        check_record(run.json("record.json"), Path(run.name) / "record.json")
        why = "" if run.state in ("completed", "unknown") else f"the run is {run.state}"
    except (RunError, Unknown) as error:
        why = str(error)
    if why and run.counted:
        raise Wrong(why)
    if not why and not run.counted:
        raise Wrong("it has a valid record, but the bundle does not count it")


def _status(run: HeldRun) -> None:
    status = run.json("status.json")
    if not isinstance(status, dict) or status.get("state") != "completed":
        raise Wrong("status.json does not say completed")
    _same("start", status.get("started"), run.record["started"])


def _parameters(run: HeldRun) -> None:
    _same("parameters.json", run.json("parameters.json"), run.record["parameters"])


def _config_hash(run: HeldRun) -> None:
    _same("config_hash", sha256_json(run.record["parameters"]), run.record["config_hash"])


def _rows(run: HeldRun) -> None:
    _same_rows("rows.jsonl", run.rows(), run.record["rows"])


def _data(run: HeldRun) -> None:
    _same("data.json", run.json("data.json"), run.record["data"])


def _environment(run: HeldRun) -> None:
    kept = {key: run.record[key] for key in ("git", "versions", "ffmpeg")}
    _same("environment.json", run.json("environment.json"), run.record["machine"] | kept)


def _cells(run: HeldRun) -> None:
    _same("notebook_hash", executed.source_hash(run.cells), run.record["notebook_hash"])


def _given(run: HeldRun) -> None:
    """Compare the injected parameters with those given; paths were made absolute."""
    injected, given = executed.injected(run.cells), run.record["given"]
    for name in sorted(injected.keys() | given.keys()):
        was, is_ = given.get(name), injected.get(name)
        paths = isinstance(was, str) and isinstance(is_, str) and PurePath(is_).is_absolute()
        if sha256_json([was]) != sha256_json([is_]) and not (paths and _ends_like(is_, was)):
            raise Wrong(f"{name} was set to {is_!r} in the notebook, the record says {was!r}")


def _ends_like(full: str, given: str) -> bool:
    return PurePath(full).name == PurePath(given).name or PurePath(given).name in ("", "..")


def _whole(run: HeldRun) -> None:
    counts = executed.counts(run.cells)
    if counts != list(range(1, len(counts) + 1)):
        raise Wrong("its cells were not executed one after the other from the first to the last")
    _same("number of cells", len(counts), len(run.record["cell_seconds"]))


def _shown(run: HeldRun) -> None:
    _same_rows("the notebook", executed.rows(run.cells), run.record["rows"])


def _pictures(run: HeldRun) -> None:
    shown = {
        name: hashlib.sha256(base64.b64decode(text)).hexdigest()
        for name, text in executed.pictures(run.cells).items()
    }
    kept = run.figures()
    if shown and not kept:
        raise Unknown("the bundle holds no picture of it")
    if off := sorted(n for n in kept.keys() | shown.keys() if kept.get(n) != shown.get(n)):
        raise Wrong(f"{', '.join(off[:5])}: not the picture that the notebook shows")


CHECKS: tuple[tuple[str, Callable[[HeldRun], None]], ...] = (
    ("status is completed", _status),
    ("parameters.json is the record's", _parameters),
    ("hash of the parameters", _config_hash),
    ("rows.jsonl is the record's", _rows),
    ("data.json is the record's", _data),
    ("environment.json is the record's", _environment),
    ("hash of the notebook's cells", _cells),
    ("parameters set in the notebook", _given),
    ("cells executed in order, all", _whole),
    ("rows shown in the notebook", _shown),
    ("pictures shown in the notebook", _pictures),
)


def outcome(check: Callable[[HeldRun], None], run: HeldRun) -> Exception | None:
    """Return what a check raises; files may hold anything, and what trips it up is wrong."""
    try:
        check(run)
    except (Wrong, Unknown) as error:
        return error
    except Exception as error:
        return Wrong(f"not of the expected form ({type(error).__name__}: {error})")
    return None


def _same(what: str, found: Any, recorded: Any) -> None:
    if sha256_json([found]) != sha256_json([recorded]):  # 1, 1.0 and true are three things
        raise Wrong(f"{what} says {_short(found)}, the record {_short(recorded)}")


def _same_rows(what: str, found: list[Any], recorded: list[Any]) -> None:
    for number, pair in enumerate(zip(found, recorded, strict=False), start=1):
        _same(f"row {number} of {what}", *pair)
    if len(found) != len(recorded):
        raise Wrong(f"{what} holds {len(found)} rows, the record {len(recorded)}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]} …"
