"""What a check found: right, wrong, or not to be told, and why."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

OK, WRONG, UNKNOWN, NOTE = "ok", "wrong", "not checkable", "note"
_LONGEST = 1000  # characters of a line


@dataclass(frozen=True)
class Finding:
    """One line of what was checked."""

    state: str  # OK, WRONG, UNKNOWN or NOTE
    what: str
    why: str = ""

    def text(self) -> str:
        """Return the line; what came out of the bundle cannot move the cursor of a terminal."""
        line = f"{self.state:14} {self.what}" + (f": {self.why}" if self.why else "")
        line = line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …"
        return "".join(sign if sign.isprintable() else "\ufffd" for sign in line)


class Wrong(Exception):
    """A check that failed; the message says what differs."""


class Unknown(Exception):
    """A check that could not be made; the message says what is lacking."""


def summed_up(what: str, outcomes: Iterable[tuple[str, Exception | None]]) -> list[Finding]:
    """Return a line for all runs that are right, one for each wrong, one for each reason else.

    Args:
        what: was checked.
        outcomes: run, and what its check raised or None.
    """
    right: list[str] = []
    wrong: list[Finding] = []
    unknown: dict[str, list[str]] = defaultdict(list)
    for run, raised in outcomes:
        if raised is None:
            right.append(run)
        elif isinstance(raised, Wrong):
            wrong.append(Finding(WRONG, what, f"{run}: {raised}"))
        else:
            unknown[str(raised)].append(run)
    lines = [Finding(OK, what, _runs(right))] if right else []
    lines += [Finding(UNKNOWN, what, f"{why} ({_runs(runs)})") for why, runs in unknown.items()]
    return lines + wrong


def _runs(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} runs"
