"""What is asked of Slurm; commands of our own stand in its place."""

import pickle
import sys

import pytest
from fake_slurm import Silent, ids_of, make_batch, stand_in

from redistill.batch.slurm import SlurmOptions, run_slurm, slurm_states
from redistill.errors import ConfigError, RunError
from redistill.files import write_json


@pytest.fixture
def fake(tmp_path, monkeypatch):
    return stand_in(tmp_path, monkeypatch)


@pytest.fixture
def batch(fake, tmp_path):
    return make_batch(tmp_path, "1", "2", "3")


def test_the_array_asks_for_what_the_options_say(fake, batch):
    options = SlurmOptions(
        partition="gpu",
        gpus=1,
        cpus=1,
        memory_gib=1.5,
        minutes=90,
        parallel=2,
        extra={"account": "a b", "exclusive": ""},
    )
    run_slurm(batch, options, detach=True, watch=Silent())
    flags = {line.removeprefix("#SBATCH --") for line in fake.script if line.startswith("#SBATCH")}
    assert flags >= {
        "array=0-2%2",
        "partition=gpu",
        "gpus-per-node=1",
        "cpus-per-task=2",  # the config's threads are more than what was asked for
        "mem=1536M",
        "time=90",
        "account='a b'",
        "exclusive",
        "requeue",
        "signal=USR2@60",
        f"job-name=redistill-{batch.folder.name}",
    }
    call = next(line for line in fake.script if line.startswith("srun"))
    assert "--cpus-per-task=2 " in call  # which srun does not take from sbatch
    assert ids_of(batch) == {"1": "7_0", "2": "7_1", "3": "7_2"}


def test_what_is_not_asked_for_is_left_to_the_cluster(fake, batch):
    run_slurm(batch, SlurmOptions(), detach=True, watch=Silent())
    flags = "\n".join(line for line in fake.script if line.startswith("#SBATCH"))
    assert "--array=0-2%3" in flags
    assert "--time=240" in flags
    for name in ("partition", "gpus", "gres", "mem", "account"):
        assert f"--{name}" not in flags


def test_a_pickle_holds_the_place_of_a_job_and_nothing_else(fake, batch):
    run_slurm(batch, SlurmOptions(), detach=True, watch=Silent())
    held = [pickle.loads(p.read_bytes()) for p in (batch.folder / "slurm").glob("*_submitted.pkl")]
    state = [vars(each.function) for each in held]
    expected = [{"folder": str(batch.folder), "number": number} for number in (1, 2, 3)]
    assert sorted(state, key=lambda each: each["number"]) == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"gpus": -1}, "gpus = -1"),
        ({"cpus": 0}, "cpus = 0"),
        ({"minutes": 0}, "minutes = 0"),
        ({"parallel": 0}, "parallel = 0"),
        ({"memory_gib": 0.0}, "memory = 0.0 GiB"),
        ({"memory_gib": float("nan")}, "memory = nan GiB"),
        ({"extra": {"signal": "USR1@5"}}, "'signal' of sbatch is set by redistill"),
        ({"extra": {"--account": "x"}}, "'--account' = 'x' is no option of sbatch"),
        ({"extra": {"comment": "x\nrm -r y"}}, "no option of sbatch"),
    ],
)
def test_options_that_no_cluster_takes_are_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        SlurmOptions(**given)


def test_without_slurm_or_submitit_it_says_what_to_do(fake, batch, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ConfigError, match=r"pip install redistill\[slurm\]"):
        run_slurm(batch, SlurmOptions(), detach=True, watch=Silent())
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match=r"sbatch.* not found.*--executor local"):
        run_slurm(batch, SlurmOptions(), detach=True, watch=Silent())
    assert slurm_states(batch) == {}


def test_what_sbatch_refuses_is_told_in_its_words(fake, batch):
    fake.command("sbatch", "echo invalid account >&2; exit 1")
    with pytest.raises(RunError, match=r"Slurm refuses the batch: .*invalid account"):
        run_slurm(batch, SlurmOptions(), detach=True, watch=Silent())
    assert ids_of(batch) == {}


def test_states_are_those_of_jobs_that_can_still_do_something(fake, batch):
    assert slurm_states(batch) == {}  # never submitted
    write_json(batch.folder / "slurm.json", {"jobs": {"1": "7_0", "2": "7_1", "3": "8"}})
    fake.queue("7_0 RUNNING", "7_1 FAILED", "8 PENDING", "9 RUNNING")
    assert slurm_states(batch) == {1: "RUNNING", 3: "PENDING"}
    fake.command("squeue", "exit 1")
    assert slurm_states(batch) == {}
    write_json(batch.folder / "slurm.json", ["7_0"])
    with pytest.raises(RunError, match="does not hold ids"):
        slurm_states(batch)


def test_what_another_batch_has_queued_is_not_submitted_again(fake, tmp_path):
    first = make_batch(tmp_path, "1", "2")
    run_slurm(first, SlurmOptions(), detach=True, watch=Silent())
    (fake.folder / "script").unlink()
    fake.queue("7_0 PENDING", "7_1 COMPLETED")
    fake.command("sbatch", f'cp "$1" {fake.folder}/script; echo Submitted batch job 8')
    second = make_batch(tmp_path, "2", "1", "3")
    run_slurm(second, SlurmOptions(), detach=True, watch=Silent())
    assert any("--array=0-1%2" in line for line in fake.script)
    assert ids_of(second) == {"1": "8_0", "2": "7_0", "3": "8_1"}
    third = make_batch(tmp_path, "1")
    (fake.folder / "script").unlink()
    run_slurm(third, SlurmOptions(), detach=True, watch=Silent())
    assert fake.script == []
    assert ids_of(third) == {"1": "7_0"}
