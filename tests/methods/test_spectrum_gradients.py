"""Where gradients of the spectrum losses go, and what two controls change of them."""

from dataclasses import replace

import pytest
import torch
from following import ALONE, KERNELS, above, clips, follower_of, lesson
from said import FRAMES, B, batch_of

from redistill.losses.spectrum.feature import FeatureSpectrum
from redistill.methods.spectrum_loss import SpectrumLoss
from redistill.nets.kernels import stage_kernels


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def slopes(loss, *, keep=1, dtype=torch.float64):
    """Return value and gradients of one batch, exactly enough to tell rounding from difference."""
    teacher = above().to(dtype)
    follower = follower_of(teacher, keep=keep).to(dtype)
    with torch.no_grad():
        batch = batch_of([teacher.taps(clips().to(dtype), keep=keep)])
    value = loss(follower(clips().to(dtype)), batch, 0.5)
    value.backward()
    grads = {n: p.grad for n, p in follower.named_parameters() if p.grad is not None}
    return value.item(), grads


# P10d: where gradients go.


def test_p10d_gradients_reach_stem_maps_and_levels_but_no_teacher():
    teacher = above().requires_grad_(True)  # even if nobody had frozen it
    follower = follower_of(teacher, keep=2)
    before = {name: x.clone() for name, x in teacher.state_dict().items()}
    batch = batch_of([teacher.taps(clips(), keep=2)])
    SpectrumLoss(kd_weight=1.0)(follower(clips()), batch, 0.5).backward()
    for name in ("net.net.conv1.weight", "project.0.weight", "project.1.weight"):
        assert follower.get_parameter(name).grad.norm() > 1e-6
    assert follower.noise.grad[0] == 0  # of the labels, which fix the unit
    assert (follower.noise.grad[1:] != 0).all()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(torch.equal(x, before[name]) for name, x in teacher.state_dict().items())


@pytest.mark.parametrize(("collab", "reached"), [(ALONE, {"project", "net"}), (KERNELS, {"net"})])
def test_each_loss_reaches_what_it_compares(collab, reached):
    """Without the labels' share: nothing reaches the head, and kernels nothing but kernels."""
    follower = follower_of()
    followed = follower(clips())
    batch = replace(lesson(), weights=torch.zeros(B))
    SpectrumLoss(collaboration=collab)(followed, batch, 0.5).backward()
    moved = {n for n, p in follower.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name.split(".")[0] for name in moved} == reached
    assert not any(".fc." in name for name in moved)
    if collab is KERNELS:
        own = {id(k) for stage in stage_kernels(follower.net) for k in stage.values()}
        assert {id(follower.get_parameter(name)) for name in moved} == own


def test_p10d_clips_are_compared_one_by_one():
    """The order of a batch does not count; who stands beside whom does."""
    follower, batch = follower_of(keep=2), lesson(keep=2)
    order = torch.randperm(B, generator=torch.Generator().manual_seed(8))
    turned = replace(
        batch,
        labels=batch.labels[order],
        weights=batch.weights[order],
        uppers=tuple(taps.apply(lambda x: x[order]) for taps in batch.uppers),
    )
    loss = SpectrumLoss(collaboration=ALONE)
    plain = loss(follower(clips()), batch, 0.5).item()
    assert loss(follower(clips()[order]), turned, 0.5).item() == pytest.approx(plain, rel=1e-4)
    apart = replace(turned, labels=batch.labels, weights=batch.weights)
    assert loss(follower(clips()), apart, 0.5).item() != pytest.approx(plain, rel=1e-3)


# Controls.


@pytest.mark.parametrize("keep", [1, 2])
def test_amplitudes_cannot_see_a_reversed_teacher_and_features_can(keep):
    for component in ("amplitude", "complex"):
        loss = SpectrumLoss(feature=FeatureSpectrum(component=component), collaboration=ALONE)
        (value, grads), (back, turned) = (
            slopes(each, keep=keep) for each in (loss, replace(loss, reverse=True))
        )
        alike = component == "amplitude"
        assert (back == pytest.approx(value, rel=1e-9)) == alike
        close = [torch.allclose(grads[n], turned[n], rtol=1e-7, atol=1e-12) for n in grads]
        assert all(close) == alike


def test_reversal_is_over_time_and_of_features_alone():
    batch = lesson(keep=2)
    follower = follower_of(keep=2)
    followed = follower(clips())
    given = SpectrumLoss(reverse=True).upper(followed, batch)
    for turned, x in zip(given.maps, batch.uppers[0].maps, strict=True):
        for frame in range(FRAMES):
            assert torch.equal(turned[:, :, frame], x[:, :, FRAMES - 1 - frame])
    assert torch.equal(given.logits, batch.uppers[0].logits)


# Behaviour (statistical, spec 9).


@pytest.mark.parametrize("collab", [ALONE, KERNELS])
def test_either_loss_alone_falls_and_that_of_features_on_other_clips_too(collab):
    teacher, follower = above(), follower_of()
    loss = SpectrumLoss(collaboration=collab)
    optimizer = torch.optim.Adam(follower.parameters(), lr=5e-3)

    def gap():
        if collab is KERNELS:
            return loss.parameters(stage_kernels(follower.net), follower.given()).item()
        own, given = (net.taps(clips(99), keep=1).maps for net in (follower.net, teacher))
        return loss.feature(own[0], given[0], follower.project[0]).item()

    gaps = []
    for number in range(31):
        with torch.no_grad():
            follower.net.eval()
            gaps.append(gap())
            follower.net.train()
            batch = batch_of([teacher.taps(clips(number), keep=1)])
        optimizer.zero_grad()
        loss(follower(clips(number)), replace(batch, weights=torch.zeros(B)), 0.5).backward()
        optimizer.step()
    assert gaps[-1] < 0.5 * gaps[0]
