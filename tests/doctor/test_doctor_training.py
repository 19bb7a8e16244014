"""Training that is not deterministic is caught; expected times follow from records by hand."""

import json
import os
import statistics

import pytest
import torch

from redistill.doctor import determinism, expectation, limits, training
from redistill.doctor.examine import Asked
from redistill.doctor.expectation import Pace, rough
from redistill.doctor.finding import FAIL, OK, WARN
from redistill.doctor.known import REFERENCE


def test_training_here_is_deterministic_and_leaves_threads_and_randomness_alone():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    found = determinism.check_determinism(Asked())
    assert found.state == OK
    assert "the same bits" in found.found
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_losses_differ_from_step_to_step():
    losses = training.tiny(threads=1, steps=4)
    assert len(set(losses)) == 4


@pytest.fixture
def planted(monkeypatch):
    """Adds something to the losses of the calls with so many threads."""

    def plant(threads, *offs):
        calls = iter(offs)

        def tiny(*, threads: int, steps, device="cpu", wanted=threads):
            off = next(calls) if threads == wanted else 0.0
            return [2.5, 2.0 + off]

        monkeypatch.setattr(training, "tiny", tiny)
        monkeypatch.setattr(limits, "cores", lambda: 4)

    return plant


def test_two_trainings_that_differ_in_the_last_bit_fail(planted):
    planted(1, 0.0, 2.0**-51)
    found = determinism.check_determinism(Asked())
    assert found.state == FAIL
    assert "differ by 2.2e-16" in found.found


@pytest.mark.parametrize(("off", "state"), [(0.0, OK), (2e-6, OK), (0.02, WARN)])
def test_other_threads_may_differ_by_rounding_only(planted, off, state):
    planted(2, off)
    assert determinism.check_determinism(Asked()).state == state


def test_variables_that_matter_are_noted(planted, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    planted(2, 0.0)
    assert "OMP_NUM_THREADS=1 set" in determinism.check_determinism(Asked()).found


@pytest.mark.parametrize(("off", "state"), [(0.0, OK), (1e-5, WARN)])
def test_a_gpu_is_asked_as_runs_ask_it_and_left_as_it_was(monkeypatch, off, state):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    made = []

    def tiny(*, threads, steps, device="cpu"):
        if device == "cuda":
            assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
            assert torch.are_deterministic_algorithms_enabled()
            made.append(device)
        return [1.0, 1.0 + off * len(made)]

    monkeypatch.setattr(training, "tiny", tiny)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    found = determinism.check_determinism(Asked())
    assert found.state == state
    assert ("on the GPU the same bits" in found.found) == (state == OK)
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    assert not torch.are_deterministic_algorithms_enabled()


def asked_with(tmp_path, pace, **about):
    asked = Asked(reports=tmp_path, **about)
    asked.__dict__["pace"] = pace
    return asked


def test_expected_times_are_those_of_the_records_times_the_pace(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "cores", lambda: 3)
    monkeypatch.setattr(limits, "memory", lambda: (1e12, False))
    records = [json.loads(path.read_text()) for path in REFERENCE.glob("*/record.json")]
    seconds = [
        one["seconds"]
        for one in records
        if one["notebook"] == "4_flatness.ipynb" and one["parameters"]["dataset"] == "weizmann"
    ]
    pace = Pace(2 * expectation._THERE)
    asked = asked_with(tmp_path, pace, dataset="weizmann")
    text = expectation.check_notebook("4_flatness", asked).found
    typical = 2 * statistics.median(seconds)
    assert f"about {typical / 60:.0f} min" in text
    assert f"({2 * min(seconds) / 60:.0f} min to {2 * max(seconds) / 60:.0f} min)" in text
    assert f"as {len(seconds)} reference runs took on one thread, times 2" in text
    assert f"10 such runs {4 * typical / 60:.0f} min, 3 at once" in text  # 10 in rows of 3
    assert "quick at most 90 s" in text or "quick at most 2 min" in text


def test_memory_too_limits_how_many_run_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "cores", lambda: 64)
    monkeypatch.setattr(limits, "memory", lambda: (11e9, False))  # two of 5.0 GB
    asked = asked_with(tmp_path, Pace(expectation._THERE))
    assert "2 at once" in expectation.check_notebook("3_progressive_kd", asked).found


def test_own_quick_runs_are_told_as_they_were(tmp_path):
    record = json.loads(next(REFERENCE.glob("3-*/record.json")).read_text())
    for number, seconds in enumerate((80.0, 100.0, 300.0)):
        place = tmp_path / str(number) / "record.json"
        place.parent.mkdir()
        place.write_text(json.dumps(record | {"profile": "quick", "seconds": seconds}))
    asked = asked_with(tmp_path, Pace(1.0))
    found = expectation.check_notebook("3_progressive_kd", asked).found
    assert "quick 2 min, as 3 runs took in the folder of runs" in found


def test_a_slow_machine_warns_and_a_gpu_is_told(tmp_path):
    slow = expectation.check_pace(asked_with(tmp_path, Pace(10 * expectation._THERE)))
    assert (slow.state, "10.0 times as long" in slow.found) == (WARN, True)
    fine = expectation.check_pace(asked_with(tmp_path, Pace(expectation._THERE, gpu=0.002)))
    assert (fine.state, "2 ms on the GPU" in fine.found) == (OK, True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "5 s"), (44, "45 s"), (89, "90 s"), (130, "2 min"), (5300, "88 min"), (9000, "2.5 h")],
)
def test_times_are_no_finer_than_they_can_be_foretold(seconds, text):
    assert rough(seconds) == text


def test_the_step_is_timed_without_the_time_of_others(monkeypatch):
    """On the CPU the processor's time counts, so that a busy machine seems no slower."""
    waits = iter(range(1000))
    monkeypatch.setattr(training.time, "perf_counter", lambda: next(waits) * 100.0)
    monkeypatch.setattr(training, "_losses", lambda **_: sum(n * n for n in range(10_000)))
    assert training.step_seconds(budget=0.0) < 1
