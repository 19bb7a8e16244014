"""The command ``redistill``: run, batch, doctor, params, status, report, index, bundle, ...

Exit codes: 0 done; 1 the notebook, or a check of the doctor, failed; 2 bad usage, parameters or
input; 3 killed or out of memory; 4 timeout; 5 disk full; 128 + signal interrupted.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from redistill import __version__
from redistill.batch.command import add_batch_options
from redistill.config import parse_parameters, resolve
from redistill.config_text import help_table, parameters_cell
from redistill.configs import config_name, load_config
from redistill.doctor.command import add_doctor_options
from redistill.errors import RedistillError, RunError
from redistill.evidence.command import add_bundle_options, add_verify_options
from redistill.running.notebook import read_metadata
from redistill.running.status import RunStopped, read_status, runs_in


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks and return the exit code."""
    options = _parser().parse_args(argv)
    try:
        options.command(options)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads our output has had enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except RedistillError as error:
        print(f"redistill: {error}", file=sys.stderr)
        if not isinstance(error, RunStopped):
            return 2
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="redistill", description="Run notebooks; read results.")
    parser.add_argument("--version", action="version", version=f"redistill {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(command: Callable[[argparse.Namespace], None], help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(command.__name__[1:], help=help)
        added.set_defaults(command=command)
        return added

    _add_run_options(add(_run, "execute a notebook into a report"))
    add_batch_options(add(_batch, "a grid of runs: notebooks, data, seeds, parameters"))
    add_doctor_options(add(_doctor, "is all ready here, and what would runs take"))
    params = add(_params, "what parameters a notebook takes")
    params.add_argument("notebook", type=Path)
    params.add_argument("--cell", action="store_true", help="print its parameters cell instead")
    status = add(_status, "the true state of a run, or of all")
    status.add_argument("run", type=Path, nargs="?", help="a run folder")
    status.add_argument("--log", action="store_true", help="print what its worker wrote as well")
    report = add(_report, "write the report of a run again")
    report.add_argument("run", type=Path, help="a run folder")
    index = add(_index, "write the index of all runs again")
    for each in (status, index):
        each.add_argument("--reports", type=Path, default=Path("reports"), help="folder of runs")
    add_bundle_options(add(_bundle, "pack runs and all that proves them into one zip"))
    add_verify_options(add(_verify, "check such a zip, and repeat a sample of its runs"))
    prepare = add(_prepare, "re-encode a folder of clips so that they can be read")
    prepare.add_argument("source", type=Path)
    prepare.add_argument("target", type=Path)
    prepare.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    return parser


def _add_run_options(run: argparse.ArgumentParser) -> None:
    run.add_argument("notebook", type=Path)
    run.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="set a parameter (`redistill params NOTEBOOK` lists them)",
    )
    run.add_argument("--reports", type=Path, default=Path("reports"), help="where runs go")
    run.add_argument("--run-id", help="name of the run's folder")
    run.add_argument("--cell-timeout", type=float, metavar="S", help="seconds a cell may take")
    run.add_argument("--budget", type=float, metavar="S", help="seconds the run may take")
    run.add_argument(
        "--plan", action="store_true", help="only measure and print what the run would take"
    )
    run.add_argument("--quiet", action="store_true", help="no progress")


def _run(options: argparse.Namespace) -> None:
    config = _config(options.notebook)
    parameters = parse_parameters(config, options.parameter)
    if options.plan:
        from redistill.plan import make_plan

        print(make_plan(resolve(config, parameters)).text())
        return
    # A second to import: not before all is checked.
    from redistill.running.runner import run_notebook

    try:
        folder = run_notebook(
            options.notebook,
            parameters=parameters,
            reports=options.reports,
            run_id=options.run_id,
            cell_timeout=options.cell_timeout,
            budget=options.budget,
            progress=not options.quiet,
        )
    except RunStopped as error:
        if error.folder is not None and error.ending.state != "disk_full":
            _report_failure(error.folder)
        raise
    print(_write_reports(folder))


def _batch(options: argparse.Namespace) -> None:
    from redistill.batch.command import batch

    batch(options)


def _doctor(options: argparse.Namespace) -> None:
    from redistill.doctor.command import doctor

    doctor(options)


def _bundle(options: argparse.Namespace) -> None:
    from redistill.evidence.command import bundle

    bundle(options)


def _verify(options: argparse.Namespace) -> None:
    from redistill.evidence.command import verify

    verify(options)


def _write_reports(folder: Path) -> Path:
    """Write the run's report and the index over it; return the report's path."""
    from redistill.reporting.report import build_index, build_report

    path = build_report(folder)
    build_index(folder.parent)
    return path


def _report_failure(folder: Path) -> None:
    """Write what can be written; how the run ended matters more than how its report did."""
    try:
        _write_reports(folder)
    except Exception as error:
        print(f"redistill: no report of {folder}: {error}", file=sys.stderr)


def _config(notebook: Path) -> type:
    return load_config(config_name(read_metadata(notebook)))


def _params(options: argparse.Namespace) -> None:
    text = parameters_cell if options.cell else help_table
    print(text(_config(options.notebook)))


def _status(options: argparse.Namespace) -> None:
    if options.log and options.run is None:
        raise RunError("--log prints the log of one run; name its folder")
    for run in [options.run] if options.run else runs_in(options.reports):
        status = read_status(run)
        cell = f" in cell {status.cell}/{status.cells}" if status.cell else ""
        cause = f": {status.cause}" if status.cause else ""
        print(f"{run.name}  {status.state}{cell}{cause}")
    if options.log:
        from redistill.batch.command import print_log

        print_log(options.run)
    elif options.run is None:
        from redistill.batch.watch import status_lines

        for line in status_lines(options.reports):
            print(line)


def _report(options: argparse.Namespace) -> None:
    from redistill.reporting.report import build_report

    print(build_report(options.run))


def _index(options: argparse.Namespace) -> None:
    from redistill.reporting.report import build_index

    print(build_index(options.reports))


def _prepare(options: argparse.Namespace) -> None:
    from redistill.video import prepare

    progress = _count if sys.stderr.isatty() else None
    print(prepare(options.source, options.target, workers=options.workers, progress=progress))


def _count(done: int, total: int) -> None:
    print(f"\r{done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
