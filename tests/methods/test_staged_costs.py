"""Staged distillation: first weights of its networks, their sizes, and what training them costs."""

from itertools import pairwise

import pytest
import torch
from tiny_school import CLASSES, quicken, recorded, same, taught, tiny_school, trained, weights

from redistill.cost import count
from redistill.methods import staged
from redistill.methods.branches import plan_edges, training_macs
from redistill.methods.staged import train_staged
from redistill.nets.video import build_video


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path_factory):
    quicken(monkeypatch, tmp_path_factory.getbasetemp() / "phases")  # found by later tests


@pytest.fixture
def calls(monkeypatch):
    return recorded(monkeypatch)


# First weights.


def test_a_sequence_goes_on_from_its_own_weights(calls):
    _, found = trained(cascade="sequential")
    assert found.single is found.students["rel"] is found.networks["rel", 3]
    assert calls[0].start is None
    for call, place in zip(calls[1:], (("res", 1), ("fea", 2)), strict=True):
        assert same(call.first, weights(found.networks[place].net))


def test_inherited_weights_are_the_leading_channels_of_the_network_above(calls):
    school, found = trained(cascade_init="inherit")
    for call, edge in zip(calls, plan_edges(school.config), strict=False):
        above = weights(found.networks[edge.uppers[0]].net)
        for name, own in call.first.items():
            assert torch.equal(own, above[name][tuple(slice(n) for n in own.shape)])


def test_the_deployed_student_starts_fresh_or_from_the_best_branch(calls, monkeypatch):
    trained()
    assert same(calls[-1].first, weights(
        build_video("shift10", width=2, classes=CLASSES, frames=4, seed=staged.DEPLOYED)
    ))  # fmt: skip
    monkeypatch.setattr(
        staged, "_agreement", lambda school, nets: len(nets) == 1 and nets[0] is best[0]
    )
    best = [None]
    combine = staged._combine
    school = tiny_school(redistill_init="best_branch", label_guard=False)
    teacher = taught(school)

    def choose(school, banks):
        best[0] = networks["fea", 2]
        return combine(school, banks)

    networks, learn = {}, staged._learn

    def keep(school, edge, *args):
        networks[edge.place] = learn(school, edge, *args)
        return networks[edge.place]

    monkeypatch.setattr(staged, "_learn", keep)
    monkeypatch.setattr(staged, "_combine", choose)
    train_staged(school, teacher)
    assert same(calls[-1].first, weights(best[0].net))


# 20, 24: sizes and costs.


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"deploy_from": "branches"}, {"combine": "feat_concat"}, {"n_assistants": 0},
        {"cascade": "sequential"}, {"redistill_init": "best_branch"}, {"kinds": ("fea",)},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_deployed_costs_what_a_plain_student_costs(changes):
    school, found = trained(**changes)
    shape = (1, 4, 3, 32, 32)
    plain = count(build_video("shift10", width=2, classes=CLASSES, frames=4, seed=7), shape)
    assert count(found.single.net, shape) == plain
    for above, below in pairwise(("teacher", *range(1, school.config.n_assistants + 2))):
        kinds = set(found.students) if school.config.cascade == "chain" else ()
        for kind in kinds:
            place = ("all", 0) if above == "teacher" else (kind, above)
            sizes = [count(found.networks[p].net, shape) for p in (place, (kind, below))]
            assert sizes[0].parameters > sizes[1].parameters
            assert sizes[0].macs > sizes[1].macs


@pytest.mark.parametrize(
    "changes",
    [
        *({"n_assistants": m} for m in range(4)),
        {"cascade": "dense", "n_assistants": 2},
        {"cascade": "sequential"},
        {"branch_sharing": "assistants"},
        {"deploy_from": "branches"},
        {"kinds": ("res", "rel")},
        {"kinds": ("res",)},
    ],
    ids=str,
)
def test_the_cost_that_is_told_beforehand_is_that_of_what_was_trained(changes):
    """Two steps are one whole epoch here, so no step is trained on top."""
    school, found = trained(**changes)
    config = school.config
    macs = {
        width: school.macs(build_video("shift10", width=width, classes=3, frames=4, seed=0))
        for width in config.widths
    }
    assert found.macs == training_macs(config, macs)
