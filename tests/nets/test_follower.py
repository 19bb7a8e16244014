"""A student with maps of channels, noise levels and its teacher's kernels."""

import pytest
import torch

from redistill.nets.follower import NOISES, Followed, build_follower
from redistill.nets.kernels import stage_kernels
from redistill.nets.video import build_video
from redistill.optim import make_optimizer
from redistill.phase import Phase
from redistill.predict import settle

FRAMES, CLASSES, B = 4, 3, 5
KINDS = ("shift10", "tsn10", "shift_mobilenet_v2", "r2plus1d_18")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def build(name="shift10", width=2, seed=0):
    return build_video(name, width=width, classes=CLASSES, frames=FRAMES, seed=seed)


def above(seed=5, name="shift10"):
    return settle(build(name, width=3, seed=seed))


def clips(seed=1):
    return torch.randn(B, FRAMES, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def follower_of(teacher=None, *, keep=2, seed=0, **how):
    return build_follower(build(), teacher or above(), keep=keep, seed=seed, **how).train()


def flat(kernels):
    return [k for stage in kernels for k in stage.values()]


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_in_training_it_says_all_that_an_objective_reads(keep):
    teacher = above()
    follower = follower_of(teacher, keep=keep)
    followed = follower(clips())
    assert isinstance(followed, Followed)
    wanted = build().train().taps(clips(), keep=keep)
    assert torch.equal(followed.taps.logits, wanted.logits)
    assert all(map(torch.equal, followed.taps.maps, wanted.maps))
    assert len(followed.taps.maps) == len(followed.project) == keep
    pairs = zip(follower.net.stage_widths[-keep:], teacher.stage_widths[-keep:], strict=True)
    assert [(p.in_features, p.out_features) for p in followed.project] == list(pairs)
    assert all(p.bias is None for p in followed.project)  # spec 2.1: the constant bin is no bias
    live = flat(stage_kernels(follower.net))
    assert all(a is b for a, b in zip(flat(followed.kernels), live, strict=True))
    assert followed.noise is follower.noise
    assert followed.upper is None


@pytest.mark.parametrize("name", KINDS)
def test_the_kernels_given_are_the_teachers_by_stage_and_name(name):
    teacher = above(name=name)
    follower = build_follower(build(name), teacher, keep=1, seed=0)
    for given, own in zip(follower.given(), stage_kernels(teacher), strict=True):
        assert given.keys() == own.keys()
        assert all(torch.equal(given[path], own[path]) for path in own)
    for kept, own in zip(flat(follower.given()), flat(stage_kernels(teacher)), strict=True):
        assert not kept.requires_grad
        assert kept.untyped_storage().data_ptr() != own.untyped_storage().data_ptr()


def test_in_evaluation_it_is_the_student_alone_and_makes_no_step():
    follower = follower_of(together=True).eval()
    assert torch.equal(follower(clips()), build().eval()(clips()))
    assert follower.step == 0


def test_steps_are_counted_from_zero_and_kept_with_the_weights():
    follower = follower_of()
    assert [follower(clips()).step for _ in range(3)] == [0, 1, 2]
    other = follower_of()
    other.load_state_dict(follower.state_dict())
    assert other(clips()).step == 3


def test_maps_of_channels_depend_on_the_seed_alone_and_draw_from_nobody():
    state = torch.random.get_rng_state()
    first = follower_of()
    assert torch.equal(state, torch.random.get_rng_state())
    torch.rand(9)
    again, other = follower_of(), follower_of(seed=1)
    for a, b, c in zip(first.project, again.project, other.project, strict=True):
        assert torch.equal(a.weight, b.weight)
        assert not torch.equal(a.weight, c.weight)
    assert len(follower_of(project=False).project) == 0


# Noise levels.


def test_noise_starts_at_one_and_does_not_decay():
    """P20: a level that decayed would be drawn to a variance of one."""
    phase = Phase(name="x", steps=1, batch=4, lr=0.1, weight_decay=0.5, seed=0)
    follower = follower_of()
    assert follower.noise.tolist() == [0.0] * len(NOISES)
    optimizer = make_optimizer(phase, follower)
    (group,) = [g for g in optimizer.param_groups if any(p is follower.noise for p in g["params"])]
    assert group["weight_decay"] == 0
    assert group["scale"] == 1
    maps = [p.weight for p in follower.project]
    decay = [g for g in optimizer.param_groups if g["weight_decay"]]
    assert all(any(p is own for g in decay for p in g["params"]) for own in maps)


@pytest.mark.parametrize("clamp", [4.0, 0.5])
def test_noise_is_held_inside_and_can_come_back(clamp):
    follower = follower_of(clamp=clamp)
    optimizer = torch.optim.SGD([follower.noise], lr=1.0)
    push = torch.tensor([-1.0, 1.0, 0.0])
    for _ in range(12):
        noise = follower(clips()).noise
        assert noise.abs().max() <= clamp
        optimizer.zero_grad()
        (noise * push).sum().backward()
        optimizer.step()
        assert max(map(abs, follower.tell().values())) <= clamp  # the journal too
    assert list(follower.tell().values()) == [clamp, -clamp, 0.0]
    noise = follower(clips()).noise
    optimizer.zero_grad()
    (-0.25 * noise * push).sum().backward()  # a clamp inside the graph would give no gradient
    optimizer.step()
    expected = [clamp - 0.25, 0.25 - clamp, 0]
    assert follower(clips()).noise.tolist() == pytest.approx(expected)


def test_the_journal_is_told_each_level_by_name():
    follower = follower_of()
    with torch.no_grad():
        follower.noise.copy_(torch.tensor([0.5, -1.0, 2.0]))
    told = {"noise_labels": 0.5, "noise_features": -1.0, "noise_parameters": 2.0}
    assert follower.tell() == told


# What is taught.


def move(follower, steps=3):
    optimizer = torch.optim.SGD(follower.parameters(), lr=0.1)
    for step in range(steps):
        followed = follower(clips(step))
        loss = followed.taps.logits.square().mean() + (followed.noise - 1).square().sum()
        for project, x in zip(followed.project, followed.taps.maps, strict=True):
            loss = loss + project(x.transpose(1, -1)).square().mean()
        if followed.upper is not None:
            loss = loss + followed.upper.logits.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("together", [False, True])
def test_p16_not_a_bit_of_the_teacher_changes(together):
    teacher = above()
    before = {name: x.clone() for name, x in teacher.state_dict().items()}
    follower = follower_of(teacher, together=together)
    kernels = [k.clone() for k in flat(follower.given())]
    start = [p.detach().clone() for p in follower.parameters()]
    move(follower)
    assert all(torch.equal(x, before[name]) for name, x in teacher.state_dict().items())
    assert not teacher.training
    assert not any(p.requires_grad or p.grad is not None for p in teacher.parameters())
    same = [torch.equal(a, b) for a, b in zip(flat(follower.given()), kernels, strict=True)]
    assert all(same) != together
    moved = zip(follower.parameters(), start, strict=True)
    assert not any(torch.equal(a, b) for a, b in moved)


def test_a_teacher_that_learns_is_a_copy_whose_kernels_are_no_way_for_gradients():
    teacher = above()
    follower = follower_of(teacher, together=True)
    followed = follower(clips())
    assert follower.upper is not teacher
    assert all(p.requires_grad for p in follower.upper.parameters())
    live = flat(stage_kernels(follower.upper))
    for given, own in zip(flat(followed.given), live, strict=True):
        assert torch.equal(given, own)
        assert not given.requires_grad
    copy = above().train()
    wanted = copy.taps(clips(), keep=2)
    assert torch.equal(followed.upper.logits, wanted.logits)
    assert all(map(torch.equal, followed.upper.maps, wanted.maps))


def test_half_precision_becomes_single():
    follower = follower_of(together=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        followed = follower(clips())
    assert followed.taps.logits.dtype == torch.bfloat16
    full = followed.float()
    parts = [x for t in (full.taps, full.upper) for x in (t.logits, t.embedding, *t.maps)]
    assert {x.dtype for x in parts} == {torch.float32}
    assert (full.step, full.noise, full.project) == (0, follower.noise, follower.project)
    assert full.kernels is followed.kernels
    assert full.given is followed.given


def test_what_sets_one_apart_is_part_of_its_layout():
    """Of what a phase's key is made of; kernels and maps are among the weights."""
    ways = ({}, {"keep": 1}, {"clamp": 3.0}, {"project": False}, {"together": True})
    assert len({repr(follower_of(**how)) for how in ways}) == len(ways)
