"""Staged distillation's settings: labels, pools, views, partners."""

from dataclasses import replace

import pytest
import torch
from tiny_school import (
    CLASSES,
    CLIPS,
    quicken,
    recorded,
    same,
    taught,
    tiny_school,
    trained,
    weights,
)
from torch.nn import functional as F

from redistill.methods import staged
from redistill.methods.branches import plan_edges
from redistill.methods.staged import first_rounds, next_round


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path_factory):
    quicken(monkeypatch, tmp_path_factory.getbasetemp() / "phases")  # found by later tests


@pytest.fixture
def calls(monkeypatch):
    return recorded(monkeypatch)


# Labels.


@pytest.mark.parametrize(("mode", "m"), [("few", 3), ("noisy", 1), ("full", 0)])
def test_trusted_labels_never_change_and_others_do(mode, m):
    school, found = trained(weak_mode=mode, n_assistants=m, noise_rate=0.5)
    assert len(found.rounds) == 3 + m
    known = torch.as_tensor(school.weak.trusted)
    truth = F.one_hot(torch.arange(CLIPS) % CLASSES, CLASSES).float()
    for number, each in enumerate(found.rounds):
        labels = each.labels
        assert labels.round == (number if each.kept else labels.round)
        assert torch.equal(labels.q[known], truth[known])
        assert (labels.w[known] == 1).all()
        torch.testing.assert_close(labels.q.sum(1), torch.ones(CLIPS))
        assert ((labels.w >= 0) & (labels.w <= 1)).all()
    first, last = found.rounds[0].labels, found.rounds[-1].labels
    assert known.all() or not torch.allclose(first.q[~known], last.q[~known], atol=1e-3)


def test_labels_are_refined_by_all_views_of_the_teacher_and_the_level(monkeypatch):
    seen, refine = [], staged.refine
    monkeypatch.setattr(
        staged, "refine", lambda *a, **k: seen.append((a[2], k["round"])) or refine(*a, **k)
    )
    school, found = trained(label_guard=False)
    assert [number for _, number in seen] == [1, 2, 3]
    assert [views.shape for views, _ in seen] == [(2, 12, 3), (8, 12, 3), (8, 12, 3)]
    for (views, _), level in zip(seen, (0, 1, 2), strict=True):
        places = [("all", 0), *((k, level) for k in ("res", "fea", "rel") if level)]
        wanted = [school.hear(found.networks[place]).logits.softmax(-1) for place in places]
        assert torch.equal(views, torch.cat(wanted))


@pytest.mark.parametrize(
    ("changes", "rounds"), [({"refresh": "once"}, 2), ({"refinement": False}, 2)]
)
def test_without_a_refresh_there_is_one_round(changes, rounds, calls):
    _, found = trained(**changes)
    assert len(found.rounds) == rounds
    assert all(call.feed.labels is found.rounds[1].labels.q for call in calls)


def test_without_refinement_labels_are_the_hard_answers_to_the_first_view():
    school = tiny_school(refinement=False)
    teacher = taught(school)
    made = first_rounds(school, teacher)[1].labels
    hidden = torch.as_tensor(school.weak.initial) < 0
    answers = school.hear(teacher).logits[0].argmax(1)
    assert torch.equal(made.q[hidden], F.one_hot(answers, CLASSES)[hidden].float())
    assert (made.w == 1).all()


def test_the_guard_puts_labels_back_and_keeps_the_agreement_it_had(monkeypatch):
    school = tiny_school()
    teacher = taught(school)
    for now, kept in ((0.9, True), (0.1, False)):
        monkeypatch.setattr(staged, "_agreement", lambda *a: 0.8)
        rounds = first_rounds(school, teacher)
        monkeypatch.setattr(staged, "_agreement", lambda *a, now=now: now)
        found = next_round(school, rounds, (teacher,))
        assert found.kept is kept
        assert (found.labels is rounds[-1].labels) is not kept
        assert found.agreement == (now if kept else 0.8)
        off = staged.varied(school, {"label_guard": False})
        assert next_round(off, rounds, (teacher,)).kept


def test_negative_labels_are_taught_only_where_asked(calls):
    trained()
    assert not any(call.feed.negatives.any() for call in calls)
    assert {call.loss.negative for call in calls} == {0}
    calls.clear()
    school, _ = trained(neg_labels=True)
    assert {call.loss.negative for call in calls[:-1]} == {1}
    assert not any(call.feed.negatives[school.trusted].any() for call in calls)


# What branches see.


def test_students_of_the_pool_get_the_trusted_share_and_those_of_trusted_clips_need_none(calls):
    school, found = trained(trusted_share=0.4)
    trusted = {school.train.clips[i] for i in school.trusted.tolist()}
    for call in calls:
        for batch in call.feed.epoch(0, batch=12, seed=0):
            assert sum(name in trusted for name in batch.clips) >= 0.4 * len(batch.clips)
        assert call.feed.trusted_share == 0.4
    alone = school.taught(found.rounds[0].labels, pool=school.trusted)
    assert [len(batch.clips) for batch in alone.epoch(0, batch=12, seed=0)] == [len(trusted)]


def test_branches_take_turns_at_the_views(calls):
    school, _ = trained(views=3, n_assistants=0)
    for epoch in range(4):
        shown = []
        for call in calls[:3]:
            batch = next(call.feed.epoch(epoch, batch=12, seed=0))
            place = school.train.clips.index(batch.clips[0])
            (view,) = [
                v for v in range(3) if torch.equal(school.train.views[v, place], batch.inputs[0])
            ]
            shown.append(view)
        assert sorted(shown) == [0, 1, 2]
    assert calls[3].feed.turn == 0


def test_shared_clips_are_the_same_views_of_the_same_clips(calls):
    trained(branch_data="shared")
    assert {call.feed.turn for call in calls} == {0}
    assert {tuple(call.feed.pool.tolist()) for call in calls} == {tuple(range(CLIPS))}


def test_a_partition_gives_each_branch_clips_of_its_own(calls):
    school, _ = trained(branch_data="partition", label_frac=0.25)
    pools = [set(call.feed.pool.tolist()) for call in calls]
    assert [len(pool) for pool in pools] == [4] * 6 + [CLIPS]
    assert pools[:3] == pools[3:6]
    assert pools[0] | pools[1] | pools[2] == set(range(CLIPS))
    assert sum(map(len, pools[:3])) == CLIPS
    trusted = {school.train.clips[i] for i in school.trusted.tolist()}
    for call, pool in zip(calls[:3], pools, strict=False):
        own = {school.train.clips[i] for i in pool}
        for batch in call.feed.epoch(0, batch=12, seed=0):
            assert set(batch.clips) <= own | trusted


# Who teaches.


def test_a_mismatch_measures_the_correlation_to_another_branch(calls):
    school, plain = trained(refresh="once")
    calls.clear()
    _, other = trained(refresh="once", corr_reading="mismatch")
    turned = {"res": "fea", "fea": "rel", "rel": "res"}
    for call, edge in zip(
        calls, plan_edges(replace(school.config, corr_reading="mismatch")), strict=False
    ):
        if edge.level == 1:
            assert call.feed.partner is None
            continue
        wanted = school.hear(other.networks[turned[edge.kind], 1]).embedding
        assert torch.equal(call.feed.partner.embedding, wanted)
        assert not torch.equal(call.feed.partner.embedding, call.feed.uppers[0].embedding)
    for place, each in plain.networks.items():
        alike = same(weights(each.net), weights(other.networks[place].net))
        assert alike == (place[1] < 2)


@pytest.mark.parametrize(("target", "views"), [("tta", 1), ("view", 2)])
def test_what_is_taught_is_the_mean_over_views_or_the_view(target, views, calls):
    school, found = trained(kd_target=target)
    for call in calls:
        assert all(len(bank.logits) == views for bank in call.feed.uppers)
    said = school.hear(found.networks["all", 0])
    got = calls[0].feed.uppers[0].logits.softmax(-1)
    wanted = said.logits.softmax(-1)
    torch.testing.assert_close(got, wanted.mean(0, keepdim=True) if views == 1 else wanted)


def test_dense_networks_hear_all_above_and_chains_one(calls):
    trained(cascade="dense")
    assert [len(call.feed.uppers) for call in calls] == [1, 1, 1, 2, 2, 2, 1]
    calls.clear()
    trained()
    assert {len(call.feed.uppers) for call in calls} == {1}
