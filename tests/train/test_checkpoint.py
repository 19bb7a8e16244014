"""Checkpoints, the source hash, the schedule and the cost counter."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from redistill import checkpoint, source
from redistill.checkpoint import pack_optimizer, unpack_optimizer
from redistill.cost import count
from redistill.errors import ConfigError, RunError
from redistill.nets.streams import build_stream
from redistill.optim import make_optimizer, schedule, update
from redistill.phase import Phase


def test_random_states_come_back():
    tensors, meta = checkpoint.pack_random(torch.device("cpu"))
    drawn = (torch.rand(3), np.random.normal(size=3), random.random())
    checkpoint.unpack_random(tensors, meta, torch.device("cpu"))
    again = (torch.rand(3), np.random.normal(size=3), random.random())
    assert torch.equal(drawn[0], again[0])
    assert np.array_equal(drawn[1], again[1])
    assert drawn[2] == again[2]


def test_a_pickle_is_refused_unopened(tmp_path):
    """A file that would run code on unpickling must not run it here."""
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return (marker.write_text, ("x",))

    path = tmp_path / "evil.safetensors"
    torch.save(Evil(), path)
    with pytest.raises(RunError, match="is no checkpoint"):
        checkpoint.load_checkpoint(path)
    assert not marker.exists()


def test_meta_and_tensors_round_trip(tmp_path):
    path = tmp_path / "a.safetensors"
    strange = torch.arange(12.0).view(3, 4).t()  # not contiguous
    checkpoint.save_checkpoint(path, {"x": strange}, {"n": 1, "text": "é"})
    tensors, meta = checkpoint.load_checkpoint(path)
    assert torch.equal(tensors["x"], strange)
    assert meta == {"n": 1, "text": "é"}


def test_source_in_reach_follows_imports():
    reached = source.reachable("redistill.train")
    assert {"redistill.train", "redistill.optim", "redistill.video.scaling"} <= reached
    assert "redistill.cli" not in reached


def test_source_hash_sees_a_changed_formula(tmp_path, monkeypatch):
    package = tmp_path / "redistill"
    package.mkdir()
    (package / "__init__.py").write_text('"""x."""\n')
    (package / "a.py").write_text("from redistill.b import f\n")
    (package / "b.py").write_text("def f(): return 1\n")
    monkeypatch.setattr(source, "_ROOT", package)
    before = source.source_hash.__wrapped__("redistill.a")
    (package / "b.py").write_text("def f(): return -1\n")
    assert source.source_hash.__wrapped__("redistill.a") != before


def test_schedule_warms_up_and_ends_near_zero():
    rates = [schedule(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == 1
    assert rates[-1] < 1e-3
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def test_a_stepped_schedule_drops_tenfold():
    rates = [schedule(step, 300, (1 / 2, 2 / 3, 5 / 6)) for step in range(300)]
    assert rates[:150] == [1] * 150
    assert rates[150:200] == pytest.approx([0.1] * 50)
    assert rates[200:250] == pytest.approx([0.01] * 50)
    assert rates[250:] == pytest.approx([0.001] * 50)


PHASE = Phase(name="x", steps=1, batch=2, lr=0.1, weight_decay=0.5, seed=0)


def test_only_matrices_decay():
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Linear(3, 2))
    decay, plain = make_optimizer(PHASE, net).param_groups
    assert [tuple(p.shape) for p in decay["params"]] == [(3, 2, 3, 3), (2, 3)]
    assert len(plain["params"]) == 4
    assert (decay["weight_decay"], plain["weight_decay"]) == (0.5, 0.0)


def test_shares_of_the_learning_rate_and_the_papers_optimiser():
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Linear(3, 2))
    phase = replace(PHASE, optimizer="adam", eps=1e-3, scales=(("2.", 1.0), ("", 0.01)))
    optimizer = make_optimizer(phase, net)
    shares = {tuple(p.shape): g["scale"] for g in optimizer.param_groups for p in g["params"]}
    assert shares == {(2, 3): 1, (2,): 1, (3, 2, 3, 3): 0.01, (3,): 0.01}
    assert type(optimizer) is torch.optim.Adam
    assert {g["eps"] for g in optimizer.param_groups} == {1e-3}


def test_an_optimiser_that_there_is_not_is_named():
    with pytest.raises(ConfigError, match="'lion': one of adamw, adam, sgd"):
        replace(PHASE, optimizer="lion")


def test_momentum_and_a_bounded_gradient_written_out():
    """Two steps of the published recipe by hand: decay joins the gradient after it was bounded."""
    weight = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        weight.weight.copy_(torch.tensor([[1.0, 2.0]]))
    phase = replace(PHASE, optimizer="sgd", lr=0.1, weight_decay=0.5, clip=1.0)
    optimizer = make_optimizer(phase, weight)
    x, moved = torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2)
    wanted = torch.tensor([[1.0, 2.0]])
    for _ in range(2):
        update(optimizer, weight(x).sum(), clip=phase.clip)
        moved = 0.9 * moved + torch.tensor([[0.6, 0.8]]) + 0.5 * wanted
        wanted = wanted - 0.1 * moved
        torch.testing.assert_close(weight.weight.detach(), wanted)
    short = torch.tensor([[0.3, 0.4]])  # a gradient within the bound is left as it is
    update(optimizer, weight(short).sum(), clip=phase.clip)
    torch.testing.assert_close(weight.weight.grad, short)


def test_momentum_comes_back_from_a_checkpoint():
    nets = [nn.Linear(2, 1) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    phase = replace(PHASE, optimizer="sgd")
    first, second = (make_optimizer(phase, net) for net in nets)
    update(first, nets[0](torch.ones(3, 2)).sum(), clip=0.0)
    nets[1].load_state_dict(nets[0].state_dict())
    unpack_optimizer(second, *pack_optimizer(first))
    for net, optimizer in zip(nets, (first, second), strict=True):
        update(optimizer, net(torch.ones(3, 2)).square().sum(), clip=0.0)
    torch.testing.assert_close(nets[0].weight, nets[1].weight, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("modality", "depth", "giga"), [("iframe", 50, 4.12), ("mv", 18, 1.78), ("residual", 18, 1.82)]
)
def test_cost_of_the_full_size_networks(modality, depth, giga):
    """Recounted figures of spec/progressive.md 5.6; theirs also count BatchNorm and pooling."""
    net = build_stream(modality, depth=depth, width=64, classes=101, seed=0)
    channels = 2 if modality == "mv" else 3
    cost = count(net, (1, 1, channels, 224, 224))
    assert cost.macs / 1e9 == pytest.approx(giga, rel=0.015)
    assert cost.macs / 1e9 < giga + 0.005


def test_cost_is_linear_in_segments_and_by_hand():
    net = nn.Conv2d(2, 5, 3, padding=1, bias=False)

    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x.flatten(0, 1))

    assert count(Flat(), (1, 1, 2, 8, 8)).macs == 2 * 5 * 9 * 64
    assert count(Flat(), (1, 4, 2, 8, 8)).macs == 4 * 2 * 5 * 9 * 64
    assert count(Flat(), (1, 1, 2, 8, 8)).parameters == 90
