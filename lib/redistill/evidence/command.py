"""``redistill bundle`` and ``redistill verify``: their options and what they do."""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_NEW = "a temporary folder"


def add_bundle_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``redistill bundle``."""
    parser.add_argument(
        "runs",
        type=Path,
        nargs="*",
        metavar="RUN",
        help="run folders; none: all that the index over --reports counts",
    )
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder of runs")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("evidence.zip"),
        metavar="FILE",
        help="the zip (default evidence.zip)",
    )
    parser.add_argument(
        "--claim",
        action="append",
        default=[],
        metavar="ID",
        help="only the runs behind this claim, and behind those that decide it",
    )
    parser.add_argument(
        "--all", action="store_true", help="runs that did not complete too, never counted"
    )
    parser.add_argument("--force", action="store_true", help="replace the zip if it is there")


def add_verify_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``redistill verify``."""
    parser.add_argument("file", type=Path, help="a zip that `redistill bundle` made")
    parser.add_argument(
        "--rerun", metavar="N", help="repeat so many of its runs (3), or a share of them (5%%)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draw of these runs (default 0)")
    parser.add_argument(
        "--into", type=Path, metavar="FOLDER", help=f"where repeated runs go (default {_NEW})"
    )
    parser.add_argument(
        "--notebooks", type=Path, metavar="FOLDER", help="the suite's notebooks, to repeat runs"
    )


def bundle(options: argparse.Namespace) -> None:
    """Write a bundle and say what is in it.

    Raises:
        RedistillError: nothing to pack, a run that cannot be packed, or a file not written.
    """
    from redistill.evidence.choose import choose
    from redistill.evidence.pack import write_bundle

    runs, left = choose(options.runs, options.reports, everything=options.all, claims=options.claim)
    manifest = write_bundle(options.output, runs, force=options.force)
    for line in left:
        print(line, file=sys.stderr)
    size, counted = options.output.stat().st_size, sum(bool(run.record) for run in runs)
    about = f"{counted} runs" + (f" and {len(runs) - counted} uncounted" * (counted < len(runs)))
    print(f"{options.output}: {about}, {len(manifest['files'])} files, {size / 1e6:.1f} MB")
    print(f"digest {manifest['digest']}")


def verify(options: argparse.Namespace) -> None:
    """Check a bundle, a line for each check.

    Raises:
        RunStopped: something is wrong.
        RunError: it is no bundle.
    """
    from redistill.running.status import Ending, RunStopped

    found: Counter[str] = Counter()
    for finding in _findings(options):
        found[finding.state] += 1
        print(finding.text(), flush=True)
    print(", ".join(f"{found[state]} {state}" for state in ("ok", "wrong", "not checkable")))
    if found["wrong"]:
        raise RunStopped(Ending("failed", f"{options.file} is not what it says it is"))


def _findings(options: argparse.Namespace) -> Iterator:
    from redistill.evidence.check import check_bundle, records_in
    from redistill.evidence.checks import HeldRun
    from redistill.evidence.opened import open_bundle

    sample = None
    if options.rerun is not None:
        from redistill.evidence.rerun import NOTEBOOKS, read_sample, repeat

        sample = read_sample(options.rerun)
    opened = open_bundle(options.file)
    yield from check_bundle(opened)
    if sample is None or not opened.safe:
        return
    records = records_in([HeldRun(opened, name) for name in opened.manifest["runs"]])
    with tempfile.TemporaryDirectory(prefix="redistill-") as folder:
        into, notebooks = options.into or Path(folder), options.notebooks or NOTEBOOKS
        yield from repeat(records, sample, seed=options.seed, into=into, notebooks=notebooks)
