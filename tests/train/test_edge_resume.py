"""An edge that was broken off goes on to the same bits: adapters, queue, noise, drawn lines."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from taught import EDGES, PHASE, edge_and_feed

from redistill.train import run_phase


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def outcome(name, folder, monkeypatch, *, stop=None):
    """Train an edge; with ``stop``, break off in that step first, then go on."""
    monkeypatch.setenv("REDISTILL_CACHE", str(folder))
    if stop is not None:
        edge, feed, loss = edge_and_feed(name)
        calls = []

        def broken(out, batch, done):
            calls.append(done)
            if len(calls) > stop:
                raise KeyboardInterrupt
            return loss(out, batch, done)

        broken.__module__, broken.__qualname__ = type(loss).__module__, repr(loss)
        with pytest.raises(KeyboardInterrupt):
            run_phase(PHASE, edge, feed, objective=broken)
    edge, feed, loss = edge_and_feed(name)
    return run_phase(PHASE, edge, feed, objective=loss)


def alike(one, other):
    a, b = one.net.state_dict(), other.net.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", EDGES)
def test_an_edge_broken_off_and_started_again_ends_with_the_same_bits(name, tmp_path, monkeypatch):
    """In the middle of an epoch: adapters, queue, learned noise and drawn lines go on alike."""
    whole = outcome(name, tmp_path / "whole", monkeypatch)
    resumed = outcome(name, tmp_path / "broken", monkeypatch, stop=3)
    assert not resumed.found
    assert resumed.key == whole.key
    assert len(list((tmp_path / "broken" / "phases").iterdir())) == 1  # it did go on
    assert alike(resumed, whole)
    assert [x["loss"] for x in resumed.journal] == [x["loss"] for x in whole.journal]
    if "gauss_class" in dict(EDGES[name].terms):
        assert whole.net.adapters[0].queue.filled > 12  # more than one batch is kept


KILLED = """
import sys
sys.path.insert(0, {here!r})
from taught import PHASE, edge_and_feed
from redistill.train import run_phase
edge, feed, loss = edge_and_feed("all")
def tick(line):
    if line["epoch"] == 1:
        print("now", flush=True)
        sys.stdin.read()
run_phase(PHASE, edge, feed, objective=loss, tick=tick)
"""


def test_a_killed_edge_ends_with_the_same_bits(tmp_path, monkeypatch):
    env = os.environ | {"REDISTILL_CACHE": str(tmp_path / "killed"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED.format(here=str(Path(__file__).parent))],
        env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline().strip() == "now"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    resumed = outcome("all", tmp_path / "killed", monkeypatch)
    whole = outcome("all", tmp_path / "whole", monkeypatch)
    assert not resumed.found
    assert resumed.journal[0]["seconds"] != whole.journal[0]["seconds"]  # it is the killed one's
    assert alike(resumed, whole)
