"""What a check found, what to do about it, and how all of them read."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import Any

OK, WARN, FAIL = "ok", "warn", "fail"
_ORDER = (FAIL, WARN, OK)
_WIDTH, _STATE = 100, 6  # characters: of a line, of the column of states


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: of the check.
        state: OK, WARN (works, but not as it should or could) or FAIL.
        found: one sentence with the measured values.
        todo: what to do about it; "" where there is nothing.
    """

    name: str
    state: str
    found: str
    todo: str = ""

    def line(self) -> str:
        """Return state, sentence and remedy as one line that cannot move a terminal's cursor."""
        text = f"{self.state}: {self.found}" + (f" -> {self.todo}" if self.todo else "")
        return _printable(text)


def worst(findings: Sequence[Finding]) -> str:
    """Return the gravest state there is; OK of none."""
    states = {finding.state for finding in findings}
    return next((state for state in _ORDER if state in states), OK)


def as_text(findings: Sequence[Finding]) -> str:
    """Return an aligned list, failures first, and a line that counts them."""
    column = max((len(finding.name) for finding in findings), default=0) + 2
    ordered = sorted(findings, key=lambda finding: _ORDER.index(finding.state))
    lines = [line for finding in ordered for line in _lines(finding, column)]
    counts = (sum(finding.state == state for finding in findings) for state in (OK, WARN, FAIL))
    told = ", ".join(f"{n} {_mark(s)}" for n, s in zip(counts, (OK, WARN, FAIL), strict=True))
    return "\n".join([*lines, told])


def as_json(findings: Sequence[Finding], *, seconds: float) -> dict[str, Any]:
    """Return the findings in the order they were made, as JSON has them.

    Args:
        findings: of all checks.
        seconds: that they took together.
    """
    entries = [asdict(finding) for finding in findings]
    return {"state": worst(findings), "seconds": round(seconds, 2), "findings": entries}


def _lines(finding: Finding, column: int) -> list[str]:
    head = f"{_mark(finding.state):{_STATE}}{finding.name:{column}}"
    margin = " " * len(head)
    about = {"subsequent_indent": margin, "break_on_hyphens": False, "break_long_words": False}
    lines = wrap(_printable(finding.found), _WIDTH, initial_indent=head, **about)
    if finding.todo:
        lines += wrap(_printable(f"-> {finding.todo}"), _WIDTH, initial_indent=margin, **about)
    return lines


def _mark(state: str) -> str:
    return "FAIL" if state == FAIL else state


def _printable(text: str) -> str:
    """Names of files come from elsewhere: what is no printable sign is replaced."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
