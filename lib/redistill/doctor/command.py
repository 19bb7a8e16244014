"""``redistill doctor``: its options and what it does."""

import argparse
import json
import sys
import time
from pathlib import Path


def add_doctor_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``redistill doctor``."""
    parser.add_argument("--data-root", type=Path, metavar="FOLDER", help="folder of a data set")
    parser.add_argument(
        "--dataset", metavar="NAME", help="its name (default folder; without a folder synthetic)"
    )
    parser.add_argument(
        "--notebook", default="", metavar="N", help="only what this notebook takes: 3, or its file"
    )
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="where runs go")
    parser.add_argument("--json", action="store_true", help="print JSON")


def doctor(options: argparse.Namespace) -> None:
    """Look at machine, installation and data, and print what was found, failures first.

    Raises:
        RedistillError: a notebook that is none of this suite's.
        RunStopped: something fails.
    """
    from redistill.doctor.examine import Asked, examine
    from redistill.doctor.finding import FAIL, as_json, as_text
    from redistill.running.status import Ending, RunStopped

    started = time.perf_counter()
    asked = Asked(
        dataset=options.dataset or ("folder" if options.data_root else "synthetic"),
        data_root=options.data_root,
        notebook=_notebook(options.notebook),
        reports=options.reports,
    )
    findings = list(examine(asked))
    seconds = time.perf_counter() - started
    if options.json:
        print(json.dumps(as_json(findings, seconds=seconds), indent=1, allow_nan=False))
    else:
        print(f"{as_text(findings)}, in {seconds:.1f} s")
    failed = [finding.name for finding in findings if finding.state == FAIL]
    if failed:
        sys.stdout.flush()
        raise RunStopped(Ending("failed", f"not ready: {', '.join(failed)}"))


def _notebook(given: str) -> str:
    """Return the name of the notebook that is meant; "" for all.

    Raises:
        RedistillError: it is none of this suite's.
    """
    from redistill.doctor.expectation import NOTEBOOKS
    from redistill.errors import RedistillError, nearest

    stem = Path(given).name.removesuffix(".ipynb")
    found = next((name for name in NOTEBOOKS if name.startswith(stem)), None) if stem else ""
    if found is None:
        known = ", ".join(NOTEBOOKS)
        raise RedistillError(f"no notebook {given!r}.{nearest(stem, NOTEBOOKS)} There are: {known}")
    return found
