"""A batch through Slurm: one job array by submitit, watched from here or left to itself.

What became of a job is told from its run folder; Slurm is only asked whether it is still to come.
"""

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any

from redistill.batch.finish import check_all, write_index
from redistill.batch.job import DONE, Batch, Job, batches_in, job_state, load_batch
from redistill.batch.slurm_follow import Follower, how_to_come_back
from redistill.batch.slurm_job import SlurmJob
from redistill.batch.slurm_queue import is_alive, read_queue
from redistill.batch.watch import BatchWatch
from redistill.errors import ConfigError, RedistillError, RunError
from redistill.files import read_json, write_json
from redistill.running.stop import stop_signals

_FILE = "slurm.json"  # the id of the Slurm job that does each job of the batch
_TIME_LIMITS = 30  # how often a job may reach its time limit and come back
_OWN = (
    *("array", "chdir", "cpus-per-task", "error", "gpus-per-node", "job-name", "mem", "nodes"),
    *("open-mode", "output", "partition", "requeue", "no-requeue", "signal", "time", "wckey"),
)
_NAME = re.compile(r"[a-z][a-z-]*")
_VALUE = re.compile(r"[^\x00-\x1f\x7f]*")


@dataclass(frozen=True, kw_only=True)
class SlurmOptions:
    """What each job of a batch asks of Slurm.

    Attributes:
        partition: where it runs; None leaves that to the cluster.
        gpus: how many it gets.
        cpus: cores, if more than its config has threads.
        memory_gib: None leaves that to the cluster.
        minutes: after these it is stopped and requeued, and goes on where it was; a short limit
            finds room sooner.
        parallel: how many jobs of the batch run at once; None sets no limit.
        extra: further options of sbatch, as {"account": "vision"}; "" for one without a value.
    """

    partition: str | None = None
    gpus: int = 0
    cpus: int = 1
    memory_gib: float | None = None
    minutes: int = 240
    parallel: int | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ConfigError if Slurm could not be asked for this."""
        for name, least in (("gpus", 0), ("cpus", 1), ("minutes", 1), ("parallel", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name} = {value} for Slurm: expected at least {least}")
        if self.memory_gib is not None and not self.memory_gib > 0:
            raise ConfigError(f"memory = {self.memory_gib} GiB for Slurm: expected more than 0")
        for name, value in self.extra.items():
            if name in _OWN:
                raise ConfigError(f"the option {name!r} of sbatch is set by redistill batch itself")
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ConfigError(
                    f"{name!r} = {value!r} is no option of sbatch: expected a name like "
                    "'account', without dashes before it, and a value on one line"
                )


def run_slurm(batch: Batch, options: SlurmOptions, *, detach: bool, watch: BatchWatch) -> None:
    """Submit the jobs of ``batch`` whose runs are not there, and watch them to their end.

    A job whose run is queued already, by another batch, is not submitted but watched.  The jobs
    go on without this process; started again, it finds and watches them.

    Args:
        batch: as ``new_batch`` made it.
        options: what each job asks of Slurm.
        detach: whether to return once they are submitted.
        watch: is told of every change.

    Raises:
        ConfigError: no Slurm or no submitit here, or options that no cluster takes.
        RunError: Slurm refuses the jobs.
        RunStopped: a signal asked to stop watching, or some run did not complete.
    """
    need_slurm()
    left = [job for job in batch.jobs if job_state(batch, job).state not in DONE]
    queued = _queued(batch, left)
    new = [job for job in left if job.number not in queued]
    ids = {number: slurm_id for number, (slurm_id, _, _) in queued.items()}
    elsewhere = {number: (other, job) for number, (_, other, job) in queued.items()}
    try:
        with stop_signals() as stop:  # a Ctrl-C does not come between jobs and their ids
            write_json(batch.folder / _FILE, _written(ids))
            ids |= _submit(batch, new, options)
            _tell(batch, ids, len(new), detach)
            if detach:
                return
            submit = partial(_submit, batch, options=options)
            states = Follower(batch, ids, elsewhere, submit, watch).follow(stop)
    finally:
        watch.close()
        if not detach:
            write_index(batch)
    check_all(batch, states, state="failed")


def slurm_states(batch: Batch) -> Mapping[int, str]:
    """Return what Slurm says of each job that waits or is at work, by number, like PENDING.

    Empty where there is no Slurm, or none that answers.
    """
    ids = _ids(batch)
    queue = (ids and read_queue()) or {}
    states = ((number, queue.get(slurm_id)) for number, slurm_id in ids.items())
    return {number: state for number, state in states if state and is_alive(state)}


def need_slurm() -> None:
    """Raise ConfigError if no batch can go through Slurm from here."""
    absent = [name for name in ("sbatch", "srun", "squeue", "scontrol") if not shutil.which(name)]
    if absent:
        raise ConfigError(
            f"no Slurm here ({', '.join(absent)} not found): call this on a login node of the "
            "cluster, or use --executor local"
        )
    if find_spec("submitit") is None:
        raise ConfigError("--executor slurm needs submitit: pip install redistill[slurm]")


def _queued(batch: Batch, jobs: Sequence[Job]) -> dict[int, tuple[str, Batch, Job]]:
    """Return, by number, what other batches have queued of these runs: id, batch and job."""
    queue, wanted = read_queue() or {}, {job.key: job.number for job in jobs}
    found = {}
    for folder in batches_in(batch.reports):
        if folder == batch.folder or not (folder / _FILE).is_file():
            continue
        try:
            other = load_batch(folder)
            ids = _ids(other)
        except RedistillError:  # of no use here; `redistill status` says so
            continue
        for job in other.jobs:
            slurm_id = ids.get(job.number, "")
            if job.key in wanted and is_alive(queue.get(slurm_id)):
                found[wanted[job.key]] = (slurm_id, other, job)
    return found


def _submit(batch: Batch, jobs: Sequence[Job], options: SlurmOptions) -> dict[int, str]:
    """Submit jobs as one array, note their ids on disk, and return these by number."""
    if not jobs:
        return {}
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError

    executor = SlurmExecutor(batch.folder / "slurm", max_num_timeout=_TIME_LIMITS)
    executor.python += " -P"  # no module of the folder we are in
    executor.update_parameters(**_parameters(batch, jobs, options))
    try:
        with executor.batch():
            made = [executor.submit(SlurmJob(str(batch.folder), job.number)) for job in jobs]
    except FailedJobError as error:
        raise RunError(f"Slurm refuses the batch: {str(error).strip()}") from error
    ids = {job.number: str(each.job_id) for job, each in zip(jobs, made, strict=True)}
    write_json(batch.folder / _FILE, _written(_ids(batch) | ids))
    return ids


def _parameters(batch: Batch, jobs: Sequence[Job], options: SlurmOptions) -> dict[str, Any]:
    """Return what submitit is told."""
    cpus = max([options.cpus, *(getattr(job.spec.config, "threads", 1) for job in jobs)])
    asked = {
        "job_name": f"redistill-{batch.folder.name}",
        "partition": options.partition,
        "time": options.minutes,
        "cpus_per_task": cpus,
        "gpus_per_node": options.gpus or None,
        "array_parallelism": options.parallel or len(jobs),
        # Slurm signals up to a minute early; a worker needs seconds to end.
        "signal_delay_s": min(60, 15 * options.minutes),
        # Since Slurm 22.05 srun does not take this from sbatch.
        "srun_args": [f"--cpus-per-task={cpus}"],
        "additional_parameters": {
            "requeue": True,
            **{name: value or True for name, value in options.extra.items()},
        },
    }
    if options.memory_gib is not None:
        asked["mem"] = f"{round(options.memory_gib * 1024)}M"
    return asked


def _ids(batch: Batch) -> dict[int, str]:
    """Return the ids in slurm.json by number of the job; none if it was never submitted."""
    path = batch.folder / _FILE
    if not path.is_file():
        return {}
    found = read_json(path)
    try:
        return {int(number): str(slurm_id) for number, slurm_id in found["jobs"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{path} does not hold ids of Slurm jobs: {error!r}") from error


def _written(ids: Mapping[int, str]) -> dict[str, Any]:
    return {"jobs": {str(number): slurm_id for number, slurm_id in ids.items()}}


def _tell(batch: Batch, ids: Mapping[int, str], new: int, detach: bool) -> None:
    arrays = sorted({slurm_id.partition("_")[0] for slurm_id in ids.values()}, key=int)
    if not arrays:
        return
    told = f"{new} jobs submitted, {len(ids) - new} were queued already"
    print(f"Slurm {', '.join(arrays)}: {told}; logs in {batch.folder}", file=sys.stderr)
    if detach:
        print(how_to_come_back(batch), file=sys.stderr)
