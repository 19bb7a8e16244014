"""``redistill batch``: its options and what it does."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redistill.errors import ConfigError, RunError

if TYPE_CHECKING:
    from redistill.batch.slurm import SlurmOptions
    from redistill.batch.spec import RunSpec

_PAIR = ("NAME", "VALUE")
_LOCAL = ("slots", "per_gpu", "retries")
_SLURM = ("partition", "gpus", "cpus", "memory", "minutes", "parallel", "slurm", "detach")


def add_batch_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``redistill batch``."""
    add = parser.add_argument
    add("notebooks", type=Path, nargs="*", metavar="NOTEBOOK", help="name them before any -g")
    add("-p", "--parameter", nargs=2, action="append", default=[], metavar=_PAIR,
        help="set a parameter in all runs")  # fmt: skip
    add("-g", "--grid", nargs="+", action="append", default=[], metavar=_PAIR,
        help="vary a parameter, or several together: -g data_seed,seed 0,0 0,5 1,1")  # fmt: skip
    add("--file", type=Path, help="the runs as a TOML file, instead of notebooks, -p and -g")
    add("--reports", type=Path, default=Path("reports"), help="where runs go")
    add("--plan", action="store_true",
        help="only say what is there, what is to do, and what it takes")  # fmt: skip
    add("--executor", choices=("local", "slurm"), default="local", help="where to run (local)")
    add("--slots", type=int, metavar="N", help="runs at once (one a GPU; without GPU, by cores)")
    add("--per-gpu", type=int, metavar="N", help="runs at once on one GPU (1)")
    add("--retries", type=int, metavar="N",
        help="further attempts of a run that was killed (1)")  # fmt: skip
    add("--cell-timeout", type=float, metavar="S", help="seconds a cell may take")
    add("--budget", type=float, metavar="S", help="seconds a run may take")
    add("--quiet", action="store_true", help="no progress")
    _add_slurm_options(parser.add_argument_group("with --executor slurm"))


def _add_slurm_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--partition", metavar="NAME", help="of the cluster")
    add("--gpus", type=int, metavar="N", help="GPUs of a run (0)")
    add("--cpus", type=int, metavar="N", help="cores of a run (1, or its threads)")
    add("--memory", type=float, metavar="GIB", help="memory of a run")
    add("--minutes", type=int, metavar="N", help="time limit; a run over it is requeued (240)")
    add("--parallel", type=int, metavar="N", help="runs at once, at most")
    add("--slurm", nargs=2, action="append", metavar=_PAIR,
        help="a further option of sbatch, as --slurm account vision")  # fmt: skip
    add("--detach", action="store_true", help="submit and return")


def batch(options: argparse.Namespace) -> None:
    """Make the runs that the options ask for and that are not there, or tell what that takes.

    Raises:
        ConfigError, RunError: bad input; nothing has been started or written.
        RunStopped: interrupted, or some run did not complete.
    """
    from redistill.batch.found import find_runs, keys_of

    specs = _specs(options)
    slurm = _slurm(options) if options.executor == "slurm" else None
    if options.plan:
        _plan(options, specs, slurm)
        return
    keys = {key.value for key in keys_of(specs)}
    if len(find_runs(options.reports, keys)) == len(keys):
        from redistill.reporting.report import build_index

        count = f"{len(specs)} of {len(specs)}"
        print(f"runs there already: {count}; {build_index(options.reports)}")
    elif slurm is None:
        _run_local(options, specs)
    else:
        _run_slurm(options, specs, slurm)


def _specs(options: argparse.Namespace) -> "tuple[RunSpec, ...]":
    """Return the runs that the options ask for, all checked."""
    from redistill.batch.batch_file import read_batch_file
    from redistill.batch.spec import grid

    other = _SLURM if options.executor == "local" else _LOCAL
    for name in other:
        if getattr(options, name):
            right = "slurm" if options.executor == "local" else "local"
            raise ConfigError(
                f"--{name.replace('_', '-')} is an option of --executor {right}, "
                f"and this batch has --executor {options.executor}"
            )
    limits = {"cell_timeout": options.cell_timeout, "budget": options.budget}
    if options.file is None:
        axes = [(name, values) for name, *values in options.grid]
        return grid(options.notebooks, options.parameter, axes, **limits)
    if options.notebooks or options.parameter or options.grid:
        raise ConfigError("give the runs either by --file or as notebooks, -p and -g, not both")
    given = {name: value for name, value in limits.items() if value is not None}
    return tuple(replace(spec, **given) for spec in read_batch_file(options.file))


def _slurm(options: argparse.Namespace) -> "SlurmOptions":
    """Return what the options ask of Slurm; what is not given has its own default."""
    from redistill.batch.slurm import SlurmOptions

    names = {"memory": "memory_gib", "slurm": "extra"}
    given: dict[str, Any] = {}
    for name in _SLURM[:-1]:
        value = getattr(options, name)
        if value is not None:
            given[names.get(name, name)] = dict(value) if name == "slurm" else value
    return SlurmOptions(**given)


def _plan(
    options: argparse.Namespace, specs: "Sequence[RunSpec]", slurm: "SlurmOptions | None"
) -> None:
    from redistill.batch.plan import plan_text

    if slurm is None:
        slots = _slots(options, specs)
        count, cuda = len(slots), any(slot.device is not None for slot in slots)
    else:
        count, cuda = slurm.parallel or len(specs), slurm.gpus > 0
    print(plan_text(specs, options.reports, slots=count, cuda=cuda))


def _run_local(options: argparse.Namespace, specs: "Sequence[RunSpec]") -> None:
    from redistill.batch.job import new_batch
    from redistill.batch.local import run_local
    from redistill.batch.watch import BatchWatch

    slots = _slots(options, specs)
    made = new_batch(options.reports, specs, "local")
    watch = BatchWatch(made, slots=len(slots), shown=not options.quiet)
    retries = 1 if options.retries is None else options.retries
    run_local(made, slots, retries=retries, watch=watch)
    print(f"runs there: {len(specs)}; {made.folder}; {made.reports / 'index.html'}")


def _run_slurm(
    options: argparse.Namespace, specs: "Sequence[RunSpec]", slurm: "SlurmOptions"
) -> None:
    from redistill.batch.job import new_batch
    from redistill.batch.slurm import need_slurm, run_slurm
    from redistill.batch.watch import BatchWatch

    need_slurm()
    made = new_batch(options.reports, specs, "slurm")
    slots = min(slurm.parallel or len(specs), len(specs))
    watch = BatchWatch(made, slots=slots, shown=not options.quiet)
    run_slurm(made, slurm, detach=options.detach, watch=watch)
    if not options.detach:
        print(f"runs there: {len(specs)}; {made.folder}; {made.reports / 'index.html'}")


def _slots(options: argparse.Namespace, specs: "Sequence[RunSpec]") -> tuple[Any, ...]:
    from redistill.batch.slots import make_slots

    threads = max(getattr(spec.config, "threads", 1) for spec in specs)
    per_gpu = 1 if options.per_gpu is None else options.per_gpu
    return make_slots(slots=options.slots, per_gpu=per_gpu, threads=threads)


def print_log(run: Path) -> None:
    """Print what the worker that made a run of a batch wrote.

    Raises:
        RunError: no run there, or no batch made it.
    """
    from redistill.batch.job import batches_in, load_batch, log_path
    from redistill.running.status import read_status

    begun, run = read_status(run).started, run.absolute()
    for folder in reversed(batches_in(run.parent)):
        made = load_batch(folder)
        for job in made.jobs:
            path = log_path(made, job)
            own = re.fullmatch(re.escape(job.name) + r"(-\d+)?", run.name)
            if own and made.created <= begun and path.is_file():
                print(path.read_text(encoding="utf-8", errors="replace"), end="")
                return
    raise RunError(f"{run} was made by no batch in {run.parent}, so there is no log of it")
