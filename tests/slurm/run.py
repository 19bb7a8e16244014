"""Batches through a real Slurm, with all that Slurm does to jobs: ``make test-slurm``.

Exit code 0 if all held, 1 if not, 2 if no Slurm can be brought up here.
"""

import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from cluster import CORES, Missing, cluster, processes_of, wait_until
from lab import PATIENCE, Lab, read

RATES = {"a": 0.01, "b": 0.02, "c": 0.03}
EPOCHS = 10
SEEDS = ("-g", "data_seed", "1", "2", "3")
ONE = ("-p", "data_seed", "1")


def nine_runs(lab: Lab, executor: str) -> None:
    """Start a batch of three notebooks and three seeds."""
    rates = RATES.items()
    paths = [lab.notebook(name, epochs=EPOCHS, seconds=0.3, rate=rate) for name, rate in rates]
    lab.batch(*paths, *SEEDS, executor=executor)


def nine_with_a_preemption(lab: Lab, local: Lab) -> None:
    """A job with priority takes the room of one of nine; the end is that of the local batch."""
    nine_runs(lab, "slurm")
    lab.wait_for_epoch("a", 3)
    lab.in_line(1, seconds=2)
    lab.wait_for_state("a", "interrupted|waiting.*stopped by")
    lab.tell("one job was preempted")
    seen = set()

    def look() -> bool:
        said = lab.status()
        seen.update(word for word in ("waiting", "running", "completed") if f" {word}" in said)
        return lab.last.poll() is not None

    wait_until(look, PATIENCE, "the batch does not end")
    assert seen == {"waiting", "running", "completed"}, f"status never said more than {seen}"
    lab.output(lab.last, 0)
    lab.tell(f"nine runs through Slurm; `redistill status` said {', '.join(sorted(seen))}")
    runs = [run for name in RATES for run in lab.attempts(name)]
    ended = [run for run in runs if read(run / "status.json")["state"] == "interrupted"]
    assert len(runs) == 10, f"{len(runs)} attempts of nine runs, one of them preempted"
    assert len(ended) == 1, f"{len(ended)} attempts were interrupted"
    goes_on(lab, [ended[0], Path(f"{ended[0]}-2")], EPOCHS)

    local.output(local.last, 0)
    (rows, phases), (expected, trained) = lab.results(), local.results()
    assert len(expected) == len(trained) == 9, f"{len(expected)} records of the local batch"
    assert rows == expected, "rows through Slurm are not those of the local batch"
    assert phases == trained, "tensors or journals are not those of the local batch"
    lab.tell("rows and tensors are those of a local batch with a cache of its own")


def goes_on(lab: Lab, runs: list[Path], epochs: int) -> None:
    """Check that each attempt of a run trained only what those before it had not."""
    trained = [lab.trained(run) for run in runs]
    told = f"epochs by attempt: {trained}"
    every = [epoch for each in trained for epoch in each]
    assert len(runs) > 1, told
    assert trained[-1], told
    assert every == sorted(set(every)), told  # none twice
    assert len(every) > epochs - len(runs), told  # one may be saved before it could be printed
    assert (every[0], every[-1]) == (1, epochs), told
    assert (runs[-1] / "record.json").exists(), f"no record in {runs[-1]}"
    lab.tell(f"epochs trained by each attempt: {', '.join(str(len(each)) for each in trained)}")


def time_limit_begins(lab: Lab) -> Path:
    """Submit a run that is longer than its time limit, and do not wait for it."""
    path = lab.notebook("long", epochs=55, seconds=1)
    said = lab.output(lab.batch(path, *ONE, "--minutes", 1, "--detach"), 0)
    assert "1 jobs submitted" in said, said
    assert "redistill status" in said, said
    return path


def time_limit_ends(lab: Lab, path: Path) -> None:
    """Come back to that run: it was stopped, requeued, and goes on; nothing is submitted twice."""
    said = lab.output(lab.batch(path, *ONE, "--minutes", 1), 0)
    assert "0 jobs submitted, 1 were queued already" in said, said
    runs = lab.attempts("long")
    states = [read(run / "status.json")["state"] for run in runs]
    assert states[0] == "interrupted", states
    assert states[-1] == "completed", states
    assert set(states[1:-1]) <= {"interrupted"}, states
    lab.tell(f"time limit of 1 minute, attempts {states}")
    goes_on(lab, runs, 55)


def killed_and_again(lab: Lab) -> None:
    """SIGKILL to what submitit started: told as killed, not brought back; made when asked again.

    It asks for more than the others; Slurm must have been told.
    """
    path = lab.notebook("killed", epochs=30, seconds=0.4)
    asked = ("--gpus", 1, "--memory", 0.5, "--minutes", 30, "--slurm", "comment", "two words")
    batch = lab.batch(path, *ONE, *asked)
    run = lab.wait_for_epoch("killed", 3)
    job = lab.ids()["1"]
    about = lab.slurm("scontrol", "show", "job", job)
    for part in ("gres:gpu:1", "MinMemoryNode=512M", "TimeLimit=00:30:00", "Comment=two words"):
        assert part in about, f"{part} is not in\n{about}"
    os.killpg(os.getpgid(read(run / "status.json")["pid"]), signal.SIGKILL)
    begun = time.monotonic()
    lab.wait_for_state("killed", "killed")
    lab.tell(f"a job killed by SIGKILL is told as killed after {time.monotonic() - begun:.1f} s")
    said = lab.output(batch, 1)
    assert "1 of 1 runs did not complete" in said, said
    assert "killed: the runner died" in said, said
    assert not (run / "record.json").exists(), "a killed run has a record"
    lab.output(lab.batch(path, *ONE), 0)
    trained = lab.trained(Path(f"{run}-2"))
    assert trained == list(range(trained[0], 31)), trained
    assert trained[0] > 3, trained
    lab.tell(f"submitted again, it trained the epochs from {trained[0]} on, and completed")


def asked_by_sigterm(lab: Lab) -> None:
    """SIGTERM to a job that Slurm has not given up brings it back; cancelling it does not."""
    path = lab.notebook("asked", epochs=30, seconds=0.4)
    batch = lab.batch(path, *ONE)
    first = lab.wait_for_epoch("asked", 3)
    job = lab.ids()["1"]
    lab.slurm("scancel", "--signal=TERM", job)
    wait_until(lambda: len(lab.attempts("asked")) == 2, PATIENCE, "it does not come back")
    lab.tell("a job asked by SIGTERM alone came back")
    lab.wait_for_epoch("asked", 8)
    lab.slurm("scancel", job)
    said = lab.output(batch, 1)
    assert "interrupted: stopped by SIGTERM (Slurm: CANCELLED)" in said, said
    assert len(lab.attempts("asked")) == 2, "a cancelled job came back"
    lab.output(lab.batch(path, *ONE), 0)
    lab.tell("cancelled, it was told as interrupted; asked for again, it completed")
    assert lab.attempts("asked")[0] == first
    goes_on(lab, lab.attempts("asked"), 30)


def cancelled_by_preemption(lab: Lab) -> None:
    """A partition whose jobs are cancelled, not requeued: the job comes back all the same."""
    path = lab.notebook("harsh", epochs=20, seconds=0.8)
    batch = lab.batch(path, *ONE, "--partition", "harsh")
    run = lab.wait_for_epoch("harsh", 3)
    lab.in_line(CORES, seconds=1)
    lab.output(batch, 0)
    lab.tell("a job that was cancelled by a preemption came back")
    goes_on(lab, [run, Path(f"{run}-2")], 20)


def left_alone(lab: Lab) -> None:
    """Ctrl-C leaves the jobs running, and says how to come back."""
    path = lab.notebook("left", epochs=20, seconds=0.4)
    batch = lab.batch(path, *ONE)
    lab.wait_for_epoch("left", 2)
    batch.send_signal(signal.SIGINT)
    said = lab.output(batch, 130)
    assert "the jobs go on" in said, said
    job = lab.ids()["1"]
    assert lab.slurm("squeue", "-h", "-j", job, "-o", "%T") == "RUNNING"
    lab.output(lab.batch(path, *ONE), 0)
    assert len(lab.attempts("left")) == 1, "it was run twice"
    lab.tell("after Ctrl-C the job went on, and the same command watched it to its end")


def refused(lab: Lab) -> None:
    """What Slurm refuses is told in its words."""
    path = lab.notebook("refused", epochs=1, seconds=0)
    said = lab.output(lab.batch(path, *ONE, "--partition", "nowhere"), 2)
    assert "Slurm refuses the batch" in said, said
    assert "invalid partition" in said, said
    lab.tell("a partition that is not there: " + said.strip().splitlines()[-1])


def main() -> int:
    """Bring up a Slurm, play all scenes, take it down, look whether anything is left."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder, cluster() as env:
            lab = Lab(Path(folder) / "a laboratory", env, began)
            local = Lab(Path(folder) / "local", env, began)
            lab.tell("Slurm is up")
            nine_runs(local, "local")  # beside what follows
            refused(lab)
            long = time_limit_begins(lab)
            killed_and_again(lab)
            asked_by_sigterm(lab)
            left_alone(lab)
            time_limit_ends(lab, long)
            cancelled_by_preemption(lab)
            nine_with_a_preemption(Lab(Path(folder) / "nine runs", env, began), local)
    except Missing as missing:
        print(f"no Slurm can be brought up here: {missing}", file=sys.stderr)
        return 2
    except Exception:
        traceback.print_exc()
        return 1
    left = processes_of(env)
    print(f"{time.monotonic() - began:6.1f} s  left afterwards: {left or 'nothing'}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
