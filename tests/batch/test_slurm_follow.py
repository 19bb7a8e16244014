"""What Slurm's answers and the disk together mean for the jobs of a batch."""

import pytest
from fake_slurm import Silent, end, ids_of, make_batch, stand_in

from redistill.batch import slurm_follow
from redistill.batch.slurm import SlurmOptions, run_slurm
from redistill.running.status import RunStopped


@pytest.fixture
def fake(tmp_path, monkeypatch):
    return stand_in(tmp_path, monkeypatch)


@pytest.fixture
def batch(fake, tmp_path):
    return make_batch(tmp_path, "1", "2", "3")


def follow(batch) -> tuple[str, Silent]:
    """Watch to the end; return what is said at the end, and what the watch was told."""
    watch = Silent()
    with pytest.raises(RunStopped) as error:
        run_slurm(batch, SlurmOptions(), detach=False, watch=watch)
    assert error.value.ending.state == "failed"
    return str(error.value), watch


def test_what_became_of_a_job_is_told_from_its_run_not_from_slurm(fake, batch):
    fake.queue("7_0 FAILED", "7_1 OUT_OF_MEMORY", "7_2 CANCELLED")
    end(batch, 1, "failed", "ValueError: x")
    end(batch, 2, "killed", "out of memory")
    said, watch = follow(batch)
    assert "3 of 3 runs did not complete" in said
    assert "failed: ValueError: x  (" in said
    assert "killed: out of memory (Slurm: OUT_OF_MEMORY)" in said
    assert "failed: it never began (Slurm: CANCELLED); see the logs in" in said
    told = {number: state.state for number, state in watch.told[-1].items()}
    assert told == {1: "failed", 2: "killed", 3: "failed"}


def test_a_job_that_slurm_says_completed_but_has_no_record_does_not_count(fake, batch):
    fake.queue(*(f"7_{n} COMPLETED" for n in range(3)))
    end(batch, 1, "completed")
    said, _ = follow(batch)
    assert "its record does not count" in said
    assert said.count("it never began (Slurm: COMPLETED)") == 2


def test_what_a_node_has_written_may_be_seen_late(fake, tmp_path, monkeypatch):
    """On a network's disk: Slurm says that a job has ended before its end is seen here."""
    monkeypatch.setattr(slurm_follow, "_PATIENCE", 30)
    batch = make_batch(tmp_path, "1")
    fake.queue("7 FAILED")

    class Late(Silent):
        def tick(self, states) -> None:
            super().tick(states)
            if len(self.told) == 3:
                end(batch, 1, "failed", "late")

    watch = Late()
    with pytest.raises(RunStopped, match="failed: late"):
        run_slurm(batch, SlurmOptions(), detach=False, watch=watch)
    assert [told[1].state for told in watch.told] == ["waiting"] * 3 + ["failed"]


def test_silence_of_slurm_is_not_the_end_of_jobs(fake, batch):
    """The queue answers only the tenth time; until then nothing is over."""
    for number in (1, 2, 3):
        end(batch, number, "failed", "x")
    count = fake.folder / "count"
    fake.command("squeue", f"echo >> {count}; [ $(wc -l < {count}) -gt 10 ] || exit 1")
    said, watch = follow(batch)
    assert count.read_text().count("\n") >= 11
    assert "3 of 3 runs" in said
    assert len(watch.told) >= 10


def test_a_requeued_job_waits_and_is_not_over(fake, batch):
    """Requeued after an interruption: waiting, also while it starts; over when Slurm drops it."""
    for number in (1, 2, 3):
        end(batch, number, "interrupted", "stopped by SIGTERM")
    count = fake.folder / "count"
    states = ["PENDING", "RUNNING", "CANCELLED"]
    answers = "\n".join(
        f'[ $n -le {4 * (k + 1)} ] && for i in 0 1 2; do echo "7_$i {state}"; done && exit 0'
        for k, state in enumerate(states)
    )
    fake.command("squeue", f"echo >> {count}; n=$(wc -l < {count})\n{answers}\ncat {count}x")
    said, watch = follow(batch)
    assert "interrupted: stopped by SIGTERM (Slurm: CANCELLED)" in said
    seen = [told[1].state for told in watch.told]
    assert seen[0] == "waiting"
    assert set(seen[:-1]) == {"waiting"}
    assert seen[-1] == "interrupted"


def test_what_slurm_takes_away_without_a_return_is_submitted_again(fake, tmp_path):
    batch = make_batch(tmp_path, "1")
    count = fake.folder / "count"
    fake.command("sbatch", f"echo >> {count}; echo Submitted batch job $(wc -l < {count})")
    fake.queue("1 PREEMPTED", "2 TIMEOUT", "3 NODE_FAIL", "4 FAILED")
    end(batch, 1, "interrupted", "stopped by SIGTERM")
    said, _ = follow(batch)
    assert ids_of(batch) == {"1": "4"}
    assert "1 of 1 runs" in said
    fake.queue(*(f"{n} PREEMPTED" for n in range(100)))
    said, _ = follow(make_batch(tmp_path, "2"))
    assert "never began (Slurm: PREEMPTED)" in said
    assert count.read_text().count("\n") == 4 + 11  # not for ever
