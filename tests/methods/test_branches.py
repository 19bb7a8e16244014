"""Who teaches whom: the number of networks, their order, partners, losses and costs."""

from dataclasses import replace

import pytest
from tiny_school import tiny_config

from redistill.errors import ConfigError
from redistill.methods.branches import (
    ALL,
    branch_loss,
    plan_edges,
    students,
    training_macs,
    width_at,
)

KINDS = ("res", "fea", "rel")
every_m = pytest.mark.parametrize("m", range(4))


def plan_of(**changes):
    return plan_edges(tiny_config(**changes))


def uppers(plan):
    return {edge.place: edge.uppers for edge in plan}


# Layouts.


@every_m
def test_a_chain_has_three_networks_a_level_each_taught_by_its_own_branch(m):
    plan = plan_of(n_assistants=m)
    assert len(plan) == 3 * (m + 1)
    taught = uppers(plan)
    assert len(taught) == len(plan)
    for kind in KINDS:
        assert taught[kind, 1] == ((ALL, 0),)
        for level in range(2, m + 2):
            assert taught[kind, level] == ((kind, level - 1),)


@every_m
def test_dense_networks_learn_from_every_earlier_one_of_their_branch(m):
    plan = plan_of(n_assistants=m, cascade="dense")
    assert len(plan) == 3 * (m + 1)
    for (kind, level), above in uppers(plan).items():
        own = [(kind, k) for k in range(level - 1, 0, -1)]
        assert above == (*own, (ALL, 0))


@every_m
def test_shared_assistants_are_one_a_level(m):
    plan = plan_of(n_assistants=m, branch_sharing="assistants")
    assert [edge.place for edge in plan] == [
        *((ALL, level) for level in range(1, m + 1)),
        *((kind, m + 1) for kind in KINDS),
    ]
    assert all(above == ((ALL, level - 1),) for (_, level), above in uppers(plan).items())
    dense = plan_of(n_assistants=m, branch_sharing="assistants", cascade="dense")
    for (_, level), above in uppers(dense).items():
        assert above == tuple((ALL, k) for k in range(level - 1, -1, -1))


@every_m
def test_a_sequence_is_one_student_on_its_way_through_the_kinds(m):
    plan = plan_of(n_assistants=m, cascade="sequential")
    assert [edge.place for edge in plan] == [("res", 1), ("fea", 2), ("rel", 3)]
    assert [edge.start for edge in plan] == [None, ("res", 1), ("fea", 2)]
    assert {edge.uppers for edge in plan} == {((ALL, 0),)}
    assert {edge.width for edge in plan} == {2}


@pytest.mark.parametrize("cascade", ["chain", "dense", "sequential"])
@pytest.mark.parametrize("sharing", ["separate", "assistants"])
@every_m
def test_every_teacher_is_trained_before_its_pupils_and_is_wider(cascade, sharing, m):
    config = tiny_config(n_assistants=m, cascade=cascade, branch_sharing=sharing)
    known = {(ALL, 0)}
    levels = [edge.level for edge in plan_edges(config)]
    assert levels == sorted(levels)
    for edge in plan_edges(config):
        needed = {*edge.uppers, *filter(None, [edge.partner, edge.start])}
        assert needed <= known
        assert edge.width == width_at(config, edge.place)
        assert all(width_at(config, place) > edge.width for place in edge.uppers)
        known.add(edge.place)
    assert set(students(config).values()) <= known


@pytest.mark.parametrize("kinds", [KINDS, ("rel", "res"), ("fea",)])
def test_a_branch_is_planned_alike_whatever_others_there_are(kinds):
    whole = {edge.place: edge for edge in plan_of(n_assistants=2)}
    part = plan_of(n_assistants=2, kinds=kinds)
    assert len(part) == 3 * len(kinds)
    assert all(whole[edge.place] == edge for edge in part)


# Partners.


@every_m
@pytest.mark.parametrize("cascade", ["chain", "dense"])
def test_the_partner_of_a_mismatch_is_the_first_teacher_of_another_branch(m, cascade):
    plan = plan_of(n_assistants=m, corr_reading="mismatch", cascade=cascade)
    for edge in plan:
        if edge.level == 1:
            assert edge.partner is None  # all branches have the teacher above them
        else:
            assert edge.partner[0] != edge.kind
            assert edge.partner[1] == edge.uppers[0][1] == edge.level - 1
    partners = [edge.partner for edge in plan if edge.level == m + 1 and m]
    assert len(set(partners)) == len(partners)  # each branch is partner of one


def test_other_readings_have_no_partner():
    for changes in (
        {"corr_reading": "pair"},
        {"corr_reading": "pearson"},
        {"corr_reading": "mismatch", "branch_sharing": "assistants"},
        {"corr_reading": "mismatch", "cascade": "sequential"},
    ):
        assert all(edge.partner is None for edge in plan_of(n_assistants=1, **changes))


def test_one_branch_alone_is_never_its_own_mismatch():
    """There is nothing to mismatch it with: refused, or without a partner, but not with itself."""
    try:
        plan = plan_of(kinds=("res",), corr_reading="mismatch")
    except ConfigError as error:
        assert "mismatch" in str(error)  # noqa: PT017
        return
    assert [edge.place for edge in plan if edge.partner and edge.partner[0] == edge.kind] == []


# Losses.


def test_the_losses_of_the_branches():
    config = tiny_config(lam=0.3, beta_fea=2.0, beta_rel=5.0, fd_gamma=0.05, rho_cor=0.1)
    fd = ("gauss", 0.05)
    losses = {kind: branch_loss(config, kind) for kind in (*KINDS, ALL)}
    assert {kind: loss.ce for kind, loss in losses.items()} == {
        "res": 0.7, "fea": 1.0, "rel": 1.0, ALL: 0.7,
    }  # fmt: skip
    assert losses["res"].terms == (("kd", 0.3), fd)
    assert losses["fea"].terms == (("norm_mse", 2.0), fd)
    assert losses["rel"].terms == (("sp", 5.0), fd)
    assert losses[ALL].terms == (("kd", 0.3), ("norm_mse", 2.0), ("sp", 5.0), fd)
    assert {(loss.rho, loss.correlation, loss.temperature) for loss in losses.values()} == {
        (0.1, "pair", 4.0)
    }


def test_what_is_switched_off_is_no_term():
    config = tiny_config(fd_gamma=0.0, rho_cor=0.0, ce_in_branch=False, corr_reading="pearson")
    assert branch_loss(config, "rel").terms == (("sp", 1.0),)
    assert branch_loss(config, "rel").ce == branch_loss(config, "fea").ce == 0
    assert branch_loss(config, "res").ce == 0.5  # its own share, whatever the other branches do
    assert branch_loss(config, "rel").correlation == "pearson"
    assert branch_loss(config, "rel").negative == 0
    assert branch_loss(tiny_config(neg_labels=True), "rel").negative == 1


# Costs.

MACS = {7: 700, 5: 500, 4: 400, 3: 300, 2: 20}
STEP = 2 * 12  # steps times clips a step


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        # each network three times, its teachers once; at the end one student under three
        ({"n_assistants": 0}, 3 * (3 * 20 + 700) + 6 * 20),
        ({"n_assistants": 1}, 3 * (3 * 400 + 700) + 3 * (3 * 20 + 400) + 6 * 20),
        (
            {"n_assistants": 1, "cascade": "dense"},
            3 * (3 * 400 + 700) + 3 * (3 * 20 + 400 + 700) + 6 * 20,
        ),
        (
            {"n_assistants": 1, "branch_sharing": "assistants"},
            3 * 400 + 700 + 3 * (3 * 20 + 400) + 6 * 20,
        ),
        ({"cascade": "sequential"}, 3 * (3 * 20 + 700)),
        # one branch alone is deployed itself: nothing is trained after it
        ({"n_assistants": 0, "kinds": ("res",)}, 3 * 20 + 700),
    ],
    ids=str,
)
def test_training_costs_counted_by_hand(changes, wanted):
    config = tiny_config(**changes)
    assert training_macs(config, MACS) == wanted * STEP
    longer = replace(config, steps=10, batch=6)
    assert training_macs(longer, MACS) == wanted * 60
