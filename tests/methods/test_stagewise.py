"""Distillation by depth: one stage learns, all others keep every bit, BatchNorm's included."""

import pytest
import torch
from tiny_school import CLASSES, quicken, same, taught, tiny_school, weights
from torch.nn import functional as F

from redistill.cost import count
from redistill.methods import stagewise
from redistill.methods.school import School
from redistill.methods.staged import first_rounds
from redistill.methods.stagewise import StageLoss, StageOnly, train_stagewise
from redistill.nets.video import build_video
from redistill.taught_feed import TaughtBatch

STAGES = range(1, 6)
KINDS = ("shift10", "tsn10", "r3d_18", "r2plus1d_18")
STEM = ("net.stem.", "net.conv1.", "net.bn1.")


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    quicken(monkeypatch, tmp_path / "cache")


def own_names(net, stage):
    """Names of what belongs to a stage, from the layout that the names tell."""
    prefix = {1: (*STEM, "net.layer1."), 5: ("net.fc.",)}.get(stage, f"net.layer{stage}.")
    return {name for name in net.state_dict() if name.startswith(prefix)}


def build(name="shift10", seed=0):
    return build_video(name, width=2, classes=CLASSES, frames=4, seed=seed)


def clips(batch=4):
    return torch.randn(batch, 4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_step_moves_its_stage_and_nothing_else(name, stage):
    net = build(name)
    learner = StageOnly(net, stage, upper=7).train()
    before = weights(net)
    descent = torch.optim.SGD([p for p in learner.parameters() if p.requires_grad], lr=1.0)
    out = learner(clips())
    assert out.shape == ((4, CLASSES) if stage == 5 else (4, 7, *out.shape[2:]))
    out.square().mean().backward()
    descent.step()
    moved = {n for n, value in net.state_dict().items() if not torch.equal(value, before[n])}
    assert moved == own_names(net, stage)


def test_all_stages_together_are_the_whole_network():
    for name in KINDS:
        net = build(name)
        parts = [own_names(net, stage) for stage in STAGES]
        assert set.union(*parts) == set(net.state_dict())
        assert sum(map(len, parts)) == len(net.state_dict())


def test_training_mode_of_the_whole_network_would_move_frozen_statistics():
    """What the public code does (spec 11.1), planted: the check above would see it."""
    net = build()
    learner = StageOnly(net, 3, upper=7).train()
    net.train()
    before = weights(net)
    learner(clips())
    moved = {n for n, value in net.state_dict().items() if not torch.equal(value, before[n])}
    assert moved - own_names(net, 3)


def test_in_evaluation_it_is_the_network_whatever_the_stage():
    net = build().eval()
    wanted = net(clips())
    for stage in STAGES:
        assert torch.equal(StageOnly(net, stage, upper=7).eval()(clips()), wanted)


def test_the_loss_is_the_square_of_the_difference_or_that_of_the_labels():
    out, target = torch.randn(4, 7, 4, 2, 2), torch.randn(4, 7, 4, 2, 2)
    q, w = torch.rand(4, CLASSES).softmax(1), torch.rand(4)

    class Upper:
        maps = (target,)

    batch = TaughtBatch(
        inputs=torch.zeros(4), modality="rgb", labels=q, weights=w,
        negatives=torch.zeros(4, CLASSES, dtype=torch.bool), uppers=(Upper,), partner=None,
        clips=("a", "b", "c", "d"),
    )  # fmt: skip
    torch.testing.assert_close(StageLoss(2)(out, batch, 0.0), F.mse_loss(out, target))
    logits = torch.randn(4, CLASSES)
    each = F.cross_entropy(logits, q, reduction="none")
    torch.testing.assert_close(StageLoss(5)(logits, batch, 0.0), (w * each).sum() / w.sum())


def test_the_stages_are_trained_one_after_another_and_the_teacher_stays(monkeypatch):
    school = tiny_school(steps=10)
    teacher = taught(school)
    rounds = first_rounds(school, teacher)
    before = weights(teacher.net)
    seen, run = [], School.run

    def watch(self, name, module, feed, objective, **how):
        before = weights(module.net)
        done = run(self, name, module, feed, objective, **how)
        now = module.net.state_dict()
        moved = {n for n in now if not torch.equal(now[n], before[n])}
        seen.append((module.stage, objective.stage, how["steps"], moved, feed.uppers))
        return done

    monkeypatch.setattr(stagewise.School, "run", watch)
    found = train_stagewise(school, teacher, rounds[1].labels)
    assert [(stage, of, steps) for stage, of, steps, *_ in seen] == [(k, k, 2) for k in STAGES]
    whole = school.hear(teacher, keep=4)
    for stage, _, _, moved, uppers in seen:
        assert moved <= own_names(found.net, stage)
        assert len(moved) > 0.8 * len(own_names(found.net, stage))  # some channels are dead
        if stage < 5:
            assert torch.equal(uppers[0].maps[0], whole.maps[stage - 1])
    assert same(before, weights(teacher.net))
    assert len(found.journal) == 5  # one epoch each
    assert not any(module.training for module in found.net.modules())
    assert not any(p.requires_grad for p in found.net.parameters())
    plain = count(build(), (1, 4, 3, 32, 32))
    assert count(found.net, (1, 4, 3, 32, 32)) == plain
    above = school.macs(teacher.net)
    assert found.macs == 24 * (5 * 3 * plain.macs + 5 * above)


def test_it_starts_where_a_student_of_the_first_seed_starts():
    school = tiny_school(steps=5, lr=0.0)
    teacher = taught(school)
    found = train_stagewise(school, teacher, first_rounds(school, teacher)[1].labels)
    for name, p in build(seed=1).named_parameters():
        assert torch.equal(p, dict(found.net.named_parameters())[name])
