"""All checks in order, each on its own: one that breaks is a finding, and the others go on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from redistill.doctor import codecs, data, determinism, expectation, gpu, machine, software
from redistill.doctor.finding import FAIL, WARN, Finding

if TYPE_CHECKING:
    from redistill.doctor.layout import Layout

Check = Callable[["Asked"], Finding]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the doctor is asked about.

    Attributes:
        dataset: one of ``redistill.video.catalog.DATASETS``.
        data_root: its folder; None for the synthetic set in the cache.
        notebook: "" for all, or the first signs of a notebook's name ("3").
        reports: where runs go.
        brief: for the start page: nothing is trained, no torchvision is loaded.
    """

    dataset: str = "synthetic"
    data_root: Path | None = None
    notebook: str = ""
    reports: Path = Path("reports")
    brief: bool = False

    @cached_property
    def layout(self) -> "Layout":
        """The data set, read once for all checks.

        Raises:
            CatalogError: it cannot be used.
        """
        from redistill.doctor.layout import read_layout

        return read_layout(self.dataset, self.data_root)

    @cached_property
    def pace(self) -> expectation.Pace:
        """How fast this machine trains, measured once for all checks."""
        return expectation.measure()


# Name and check, in the order in which one would look.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("python", software.check_python),
    ("packages", software.check_packages),
    ("jupyter", software.check_jupyter),
    ("torch", software.check_torch),
    ("gpu", gpu.check_gpu),
    ("processor", machine.check_processor),
    ("memory", machine.check_memory),
    ("disk", machine.check_disk),
    ("codecs", codecs.check_codecs),
    ("clips", data.check_clips),
    ("split leakage", data.check_leakage),
)
TRAINED: tuple[tuple[str, Check], ...] = (
    ("determinism", determinism.check_determinism),
    ("pace", expectation.check_pace),
)
_EXPECTED = {f"expect {name[0]}": name for name in expectation.NOTEBOOKS}
_ON_TORCH = {"gpu", *(name for name, _ in TRAINED), *_EXPECTED}


def examine(
    asked: Asked | None = None, *, checks: Sequence[tuple[str, Check]] | None = None
) -> Iterator[Finding]:
    """Yield the finding of each check as it is made.

    Args:
        asked: None for the synthetic set and all notebooks.
        checks: names and checks; None for all, without those that train where ``brief`` is asked.
    """
    asked, loads = asked or Asked(), True
    if checks is None:
        checks = CHECKS if asked.brief else (*CHECKS, *TRAINED, *_expected(asked.notebook))
    for name, check in checks:
        if not loads and name in _ON_TORCH:
            yield Finding(name, WARN, "not looked at: torch does not load", "see torch")
            continue
        finding = _made(name, check, asked)
        loads = loads and (name, finding.state) != ("torch", FAIL)
        yield finding


def _expected(notebook: str) -> list[tuple[str, Check]]:
    return [
        (check, partial(expectation.check_notebook, name))
        for check, name in _EXPECTED.items()
        if name.startswith(notebook)
    ]


def _made(name: str, check: Check, asked: Asked) -> Finding:
    """Return what a check finds; its failure is a finding that names itself."""
    try:
        return check(asked)
    except Exception as error:
        text = f"the check itself stopped: {type(error).__name__}: {str(error)[:300] or 'no text'}"
        return Finding(name, FAIL, text, "mend what it names; if that is nothing, report it")
