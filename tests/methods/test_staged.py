"""Staged distillation on tiny clips: what stays frozen, what it equals, what each variant moves."""

from contextlib import contextmanager

import pytest
import torch
from tiny_school import CLASSES, quicken, same, taught, tiny_school, trained, weights
from torch.nn import functional as F

from redistill import taught_feed
from redistill.methods import staged
from redistill.methods.edge_loss import EdgeLoss
from redistill.methods.recipes import VARIANTS
from redistill.methods.staged import train_staged
from redistill.nets.video import build_video
from redistill.optim import schedule
from redistill.video.scaling import scale

PLAIN = {
    "kinds": ("res",), "n_assistants": 0, "fd_gamma": 0.0, "rho_cor": 0.0, "branch_data": "shared",
}  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path_factory):
    quicken(monkeypatch, tmp_path_factory.getbasetemp() / "phases")  # found by later tests


@pytest.fixture
def watched(monkeypatch, cache):
    """Fingerprints of every network as it was when it had been trained; none is found trained."""
    seen = []
    run = staged.School.run

    def watch(self, *args, **how):
        done = run(self, *args, **how)
        seen.append((done.net, weights(done.net)))
        return done

    monkeypatch.setattr(staged.School, "run", watch)
    return seen


# 16: what is frozen.


@pytest.mark.parametrize(
    "changes", [{}, {"cascade": "dense"}, {"cascade_init": "inherit"}], ids=str
)
def test_no_frozen_network_changes_a_bit(watched, changes):
    """Teacher and assistants, BatchNorm's statistics and counters included, to the very end."""
    _, found = trained(**changes)
    assert len(watched) == 1 + 6 + 1  # teacher, two levels of three, the deployed student
    for net, then in watched:
        assert any("num_batches_tracked" in name for name in then)
        assert same(weights(net), then)
        assert not any(module.training for module in net.modules())
        assert not any(p.requires_grad for p in net.parameters())
    nets = [each.net for each in (*found.networks.values(), found.single)]
    assert len({id(net) for net in nets}) == len(watched)


def test_a_teacher_heard_in_training_mode_would_be_caught(watched, monkeypatch):
    """The same check on a planted fault: no_grad alone leaves BatchNorm's statistics moving."""

    @contextmanager
    def careless(net):
        with torch.no_grad():
            yield net.train()

    monkeypatch.setattr(taught_feed, "evaluating", careless)
    trained()
    changed = [
        {name for name, value in net.state_dict().items() if not torch.equal(value, then[name])}
        for net, then in watched
    ]
    assert all(changed[:-1])  # the last is deployed and teaches nobody
    assert {name.rsplit(".", 1)[1] for name in changed[0]} == {
        "running_mean", "running_var", "num_batches_tracked",
    }  # fmt: skip


def test_training_an_edge_moves_the_lower_network_and_its_adapters_alone(monkeypatch):
    school = tiny_school()
    teacher = taught(school)
    edges, run = [], staged.School.run

    def watch(self, name, module, *args, **how):
        edges.append((module, weights(module)))
        return run(self, name, module, *args, **how)

    monkeypatch.setattr(staged.School, "run", watch)
    before = weights(teacher.net)
    train_staged(school, teacher)
    assert same(before, weights(teacher.net))
    assert len(edges) == 7
    for edge, start in edges:
        now = weights(edge)
        moved = {name for name in now if not torch.equal(now[name], start[name])}
        assert moved >= {name for name, p in edge.net.named_parameters(prefix="net") if p.ndim > 1}
        assert moved >= {n for n, _ in edge.adapters.named_parameters(prefix="adapters")}


def test_the_teacher_answers_alike_twice():
    school = tiny_school()
    teacher = taught(school)
    first = school.hear(teacher, keep=2)
    school.said.clear()
    again = school.hear(teacher, keep=2)
    assert torch.equal(first.logits, again.logits)
    assert all(map(torch.equal, first.maps, again.maps))


# 17, 18: what it reduces to.


def test_one_branch_without_assistants_is_plain_distillation():
    """The same phase, by its key, so the same network as arm kd, to the bit."""
    school, found = trained(**PLAIN)
    teacher = found.networks["all", 0]
    loss = EdgeLoss(ce=0.5, terms=(("kd", 0.5),), temperature=4.0)
    uppers = [school.target(school.hear(teacher))]
    feed = school.taught(found.rounds[1].labels, uppers=uppers)
    kd = school.student(feed, loss, seed=1, above=school.macs(teacher.net))
    assert found.single is found.students["res"]
    assert kd.key == found.single.key
    assert same(weights(kd.net), weights(found.single.net))


def by_hand(school, width, seed, feed, loss_of, steps):
    """Train as torch's own tools would: AdamW, matrices decayed, a warmed-up cosine."""
    config = school.config
    net = build_video(
        config.network, width=width, classes=CLASSES, frames=config.frames, seed=seed
    ).train()
    groups = [
        {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in net.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.lr)
    step = 0
    for epoch in range(-(-steps // feed.steps(config.batch))):
        for batch in feed.epoch(epoch, batch=config.batch, seed=seed):
            for group in optimizer.param_groups:
                group["lr"] = config.lr * schedule(step, steps)
            optimizer.zero_grad()
            loss_of(net(scale(batch.inputs, "rgb")), batch).backward()
            optimizer.step()
            step += 1
    return net.eval().requires_grad_(False)


def hinton(logits, batch):
    """Half the labels, half the divergence at temperature 4, by torch's functions."""
    labels = F.cross_entropy(logits, batch.labels, reduction="none")
    labels = (labels * batch.weights).sum() / batch.weights.sum()
    ours, target = (logits / 4).log_softmax(1), (batch.uppers[0].logits / 4).softmax(1)
    return 0.5 * labels + 0.5 * 16 * F.kl_div(ours, target, reduction="batchmean")


def close(one, other):
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], atol=2e-4, rtol=2e-3)


def test_with_an_assistant_it_is_teacher_assistant_distillation_written_out():
    school, found = trained(**PLAIN | {"n_assistants": 1, "refresh": "once"})
    assert {"kinds", "fd_gamma", "rho_cor", "refresh"} == set(VARIANTS["takd"])
    labels, teacher = found.rounds[1].labels, found.networks["all", 0]
    feed = school.taught(labels, uppers=[school.target(school.hear(teacher))])
    assistant = by_hand(school, 4, 1, feed, hinton, 2)
    close(found.networks["res", 1].net, assistant)
    said = school.target(taught_feed.say(assistant, school.train, device="cpu"))
    student = by_hand(school, 2, 2, school.taught(labels, uppers=[said]), hinton, 2)
    close(found.single.net, student)
    start = build_video("shift10", width=2, classes=CLASSES, frames=4, seed=2)
    assert not torch.allclose(start.net.conv1.weight, student.net.conv1.weight, atol=2e-3)


def test_without_weight_on_the_response_only_the_labels_train():
    school, found = trained(**PLAIN | {"lam": 0.0})
    feed = school.taught(found.rounds[1].labels)
    alone = school.student(feed, EdgeLoss(), seed=1)
    assert alone.key != found.single.key
    assert same(weights(alone.net), weights(found.single.net))


# 19: branches do not know each other.


@pytest.mark.parametrize("kinds", [("rel", "res", "fea"), ("fea", "rel", "res")])
def test_the_order_of_the_branches_changes_no_branch(kinds):
    _, plain = trained()
    _, other = trained(kinds=kinds)
    assert tuple(other.students) == kinds
    assert plain.networks.keys() == other.networks.keys()
    for place, each in plain.networks.items():
        assert same(weights(each.net), weights(other.networks[place].net))


def test_a_branch_is_the_same_without_the_others():
    """Where labels are refined once; else the others take part in refining them."""
    _, whole = trained(refresh="once")
    _, alone = trained(refresh="once", kinds=("rel",))
    assert alone.single is alone.students["rel"]
    assert same(weights(whole.students["rel"].net), weights(alone.single.net))
