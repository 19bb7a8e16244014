"""The training loop: resume to the same bits, found phases, frozen networks, clear failures."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from redistill.errors import RunError
from redistill.nets.streams import build_stream
from redistill.phase import Phase, cross_entropy
from redistill.predict import accuracy, predict, settle
from redistill.train import channels_last, first_losses, run_phase

PHASE = Phase(name="drawn", steps=40, batch=8, lr=1e-2, weight_decay=1e-2, seed=0)


def network(seed: int = 0):
    return build_stream("mv", depth=10, width=4, classes=3, seed=seed)


def weights(net) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def losses(journal) -> list[tuple[float, ...]]:
    return [(line["epoch"], line["loss"], line["lr"], line.get("val")) for line in journal]


def test_training_learns(cache, feed):
    result = run_phase(PHASE, network(), feed, val=feed)
    assert len(result.journal) == 14  # 3 batches an epoch, 40 steps wanted
    assert result.journal[-1]["val"] > 0.9
    assert not result.found


def test_a_finished_phase_is_found_and_not_repeated(cache, feed):
    first = run_phase(PHASE, network(), feed)
    again = run_phase(PHASE, network(), feed)
    assert again.found
    assert same(weights(first.net), weights(again.net))
    assert again.journal == first.journal


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"lr": 2e-2}, {"batch": 7}, {"steps": 43}, {"weight_decay": 0.0}, {"threads": 2}],
    ids=str,
)
def test_another_setting_is_another_phase(cache, feed, change):
    first = run_phase(PHASE, network(), feed)
    other = run_phase(dataclasses.replace(PHASE, **change), network(), feed)
    assert not other.found
    assert other.key != first.key


def test_other_weights_or_data_are_another_phase(cache, feed):
    run_phase(PHASE, network(), feed)
    assert not run_phase(PHASE, network(seed=1), feed).found
    assert not run_phase(PHASE, network(), dataclasses.replace(feed, manifest="other")).found


KILLED = """
import sys, time
sys.path.insert(0, {here!r})
from test_train import PHASE, network
import redistill.train as train
from conftest import drawn_feed
feed = drawn_feed()
def tick(line):
    print("epoch", line["epoch"], flush=True)
    time.sleep(0.05)
train.run_phase(PHASE, network(), feed, val=feed, tick=tick)
"""


@pytest.mark.parametrize("epochs", [1, 6])
def test_killed_and_started_again_ends_with_the_same_bits(tmp_path, monkeypatch, feed, epochs):
    """SIGKILL in the middle of an epoch; the second start must equal an undisturbed run."""
    here = str(Path(__file__).parent)
    env = os.environ | {"REDISTILL_CACHE": str(tmp_path / "killed"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED.format(here=here)], env=env, stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if line.strip() == f"epoch {epochs}":
            break
    time.sleep(0.06)
    process.send_signal(signal.SIGKILL)
    process.wait()
    monkeypatch.setenv("REDISTILL_CACHE", str(tmp_path / "killed"))
    resumed = run_phase(PHASE, network(), feed, val=feed)
    monkeypatch.setenv("REDISTILL_CACHE", str(tmp_path / "undisturbed"))
    whole = run_phase(PHASE, network(), feed, val=feed)
    assert not resumed.found
    assert same(weights(resumed.net), weights(whole.net))
    assert losses(resumed.journal) == losses(whole.journal)


def test_dropout_depends_on_the_phase_alone(cache, feed, monkeypatch):
    """Whatever drew from the global generators before, the phase ends with the same bits."""

    def dropping():
        net = network()
        net.net.fc = torch.nn.Sequential(torch.nn.Dropout(0.5), net.net.fc)
        return net

    first = run_phase(PHASE, dropping(), feed)
    torch.rand(17)
    monkeypatch.setenv("REDISTILL_CACHE", str(cache.parent / "other"))
    assert same(weights(first.net), weights(run_phase(PHASE, dropping(), feed).net))


def test_resume_shares_no_tensor_with_the_checkpoint(cache, feed):
    """Loading twice gives the same bits twice: nothing aliases the loaded state."""
    run_phase(PHASE, network(), feed)
    a = run_phase(PHASE, network(), feed).net
    a.requires_grad_(True)
    with torch.no_grad():
        for p in a.parameters():
            p.add_(1)
    b = run_phase(PHASE, network(), feed).net
    assert not same(weights(a), weights(b))


def test_a_loss_that_is_not_finite_stops_with_the_clips_named(cache, feed):
    def broken(logits, batch, done):
        loss = cross_entropy(logits, batch)
        return loss * float("nan") if "clip07" in batch.clips else loss

    with pytest.raises(RunError, match=r"phase drawn: the loss is nan in epoch 1.*clip07"):
        run_phase(PHASE, network(), feed, objective=broken)


def test_a_broken_checkpoint_is_named(cache, feed):
    run_phase(PHASE, network(), feed)
    (path,) = cache.rglob("checkpoint.safetensors")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RunError, match=r"checkpoint\.safetensors is no checkpoint.*delete it"):
        run_phase(PHASE, network(), feed)


def test_no_room_keeps_the_last_epoch(cache, feed, monkeypatch):
    """A disk that fills up leaves the last whole checkpoint; a retry ends with the same bits."""
    import redistill.files as files

    real, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) > 9:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run_phase(PHASE, network(), feed)
    monkeypatch.setattr(files.os, "fsync", real)
    resumed = run_phase(PHASE, network(), feed)
    assert not list(cache.rglob("*.tmp"))
    monkeypatch.setenv("REDISTILL_CACHE", str(cache.parent / "other"))
    assert same(weights(resumed.net), weights(run_phase(PHASE, network(), feed).net))


def test_prediction_changes_no_bit_of_a_network(feed):
    """BatchNorm statistics included, in whatever mode the network is."""
    net = network().train()
    before = weights(net)
    predict(net, feed)
    assert net.training
    assert same(before, weights(net))


def test_a_settled_network_stays_settled(feed):
    net = settle(network())
    assert not any(module.training for module in net.modules())
    assert not any(p.requires_grad for p in net.parameters())
    before = weights(net)
    predict(net, feed)
    assert not any(module.training for module in net.modules())
    assert same(before, weights(net))


def test_a_trained_network_comes_back_frozen(cache, feed):
    net = run_phase(PHASE, network(), feed).net
    assert not any(module.training for module in net.modules())
    assert not any(p.requires_grad for p in net.parameters())


def test_prediction_is_independent_of_the_company_a_clip_keeps(feed):
    """Logits of a clip alone equal its logits in a batch: eval mode, no batch statistics."""
    net = network()
    together = predict(net, feed)
    alone = torch.cat([net.eval()(x) for x in _singles(feed)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def _singles(feed):
    from redistill.video.clips import scale

    return [scale(batch.inputs, "mv") for batch in feed.inorder(batch=1)]


def test_first_losses_against_a_hand_written_loop(feed):
    """The first losses by a loop written out: torch's AdamW, the scaling of spec 1.4."""
    net = network()
    ours = first_losses(PHASE, net, feed)
    twin = network().train()
    matrices = [p for p in twin.parameters() if p.ndim > 1]
    others = [p for p in twin.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 1e-2}, {"params": others, "weight_decay": 0}], lr=1e-2
    )
    batch = next(feed.epoch(0, batch=8, seed=0))
    x = batch.inputs.float() / 255 - 0.5  # spec 1.4: the float stage of motion
    expected = []
    for _ in range(3):
        logits = (
            torch.stack([twin.net(twin.data_bn(x[:, s])) for s in range(2)]) if False else twin(x)
        )
        loss = F.cross_entropy(logits, batch.labels)
        expected.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ours == pytest.approx(expected, rel=1e-5)
    assert same(weights(net), weights(network()))


def test_accuracy_counts_hits():
    logits = torch.tensor([[1.0, 0], [0, 1], [3, 2], [0, 5]])
    assert accuracy(logits, torch.tensor([0, 1, 1, 1])) == 0.75


def test_every_clip_once_an_epoch_in_even_batches(feed):
    batches = list(feed.epoch(3, batch=8, seed=1))
    assert sorted(c for b in batches for c in b.clips) == sorted(feed.clips)
    assert [len(b.clips) for b in batches] == [7, 7, 7]
    other = list(feed.epoch(4, batch=8, seed=1))
    assert [b.clips for b in batches] != [b.clips for b in other]


def test_autocast_runs_and_losses_stay_float32(cache, feed):
    result = run_phase(dataclasses.replace(PHASE, amp=True, steps=3), network(), feed)
    assert predict(result.net, feed, amp=True).dtype == torch.float32


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
        ),
    ],
)
def test_kernels_lie_as_their_device_wants_and_keep_their_numbers(device):
    """Kernels over time (r3d) too, which torch refuses to lay out with channels last."""
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv3d(4, 2, 3)).to(device)
    before = [weight.detach().clone() for weight in net.parameters()]
    assert channels_last(net) is net
    last = net[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert last == (device == "cuda")
    assert net[1].weight.is_contiguous()
    for weight, old in zip(net.parameters(), before, strict=True):
        assert torch.equal(weight, old)
