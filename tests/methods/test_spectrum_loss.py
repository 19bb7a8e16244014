"""The loss of a student of spectra: its parts, and who learns from whom."""

from dataclasses import replace

import pytest
import torch
from following import ALONE, FIXED, KERNELS, above, build, clips, follower_of, lesson, step
from said import batch_of
from torch.nn import functional as F

from redistill.losses.spectrum.feature import FeatureSpectrum
from redistill.methods.collaboration import Collaboration
from redistill.methods.edge_loss import EdgeLoss, soft_label_loss
from redistill.methods.spectrum_loss import SpectrumLoss
from redistill.nets.edge import build_edge
from redistill.nets.follower import build_follower


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


# Its parts.


@pytest.mark.parametrize("keep", [1, 2])
def test_the_whole_is_the_sum_of_its_parts_written_out(keep):
    """Against numpy's transform of pooled and mapped features, and the kernels' cosines."""
    follower, batch = follower_of(keep=keep), lesson(keep=keep)
    followed = follower(clips())
    s, t = followed.taps.logits, batch.uppers[0].logits
    parts = []
    for own, given, project in zip(
        followed.taps.maps, batch.uppers[0].maps, followed.project, strict=True
    ):
        spectra = []
        for f in (own.mean((3, 4)).transpose(1, 2) @ project.weight.T, given.mean((3, 4)).mT):
            f = f.detach().double()
            f = f / f.flatten(1).norm(dim=1)[:, None, None]
            spectra.append(torch.fft.fft(f, dim=1, norm="ortho").abs())  # two-sided: no m_k
        parts.append((spectra[0] - spectra[1]).square().sum((1, 2)).mean().item())
    kernels = [stage_shares(a, b) for a, b in zip(followed.kernels, followed.given, strict=True)]
    labels = soft_label_loss(s, batch.labels, batch.weights).item()
    kd = 9 * F.kl_div((s / 3).log_softmax(1), (t / 3).softmax(1), reduction="batchmean").item()
    collab = Collaboration(mode="fixed", lambda_f=0.7, lambda_p=30.0)
    loss = SpectrumLoss(collaboration=collab, kd_weight=0.4, temperature=3.0)
    wanted = labels + 0.7 * sum(parts) / keep + 30 * sum(kernels) / 4 + 0.4 * kd
    assert loss(followed, batch, 0.5).item() == pytest.approx(wanted, rel=1e-4)
    assert min(*parts, *kernels, kd) > 1e-3


def stage_shares(own, given):
    place = torch.arange(3).double()
    cosines = torch.cos(torch.pi * (2 * place + 1) * place[:, None] / 6)
    cosines = cosines * torch.tensor([1 / 3, 2 / 3, 2 / 3]).double().sqrt()[:, None]
    shares = []
    for stage in (own, given):
        rows = []
        for kernel in stage.values():
            energy = (cosines @ kernel.detach().double() @ cosines.T).square().sum((0, 1))
            rows.append(energy / energy.sum())
        shares.append(torch.stack(rows).mean(0))
    p_s, p_t = shares
    return (p_t * (p_t / p_s).log()).sum().item()


def test_shifted_teaches_each_stage_the_next_ones_kernels():
    loss = SpectrumLoss(collaboration=KERNELS)
    followed = follower_of()(clips())
    own, given = followed.kernels, followed.given
    for shifted in (False, True):
        wanted = [stage_shares(own[k], given[(k + shifted) % 4]) for k in range(4)]
        got = replace(loss, shifted=shifted).parameters(own, given).item()
        assert got == pytest.approx(sum(wanted) / 4, rel=1e-4)
        whole = replace(loss, shifted=shifted)(followed, batch_of(), 0.5).item()
        labels = soft_label_loss(followed.taps.logits, batch_of().labels, batch_of().weights)
        assert whole == pytest.approx(labels.item() + sum(wanted) / 4, rel=1e-5)


def test_nothing_is_heard_of_a_teacher_that_no_part_asks():
    """Kernels teach without a word, so a batch may carry none."""
    loss = SpectrumLoss(collaboration=KERNELS)
    follower = follower_of()
    assert loss(follower(clips()), batch_of(), 0.5).isfinite()
    with pytest.raises(IndexError):
        replace(loss, kd_weight=1.0)(follower(clips()), batch_of(), 0.5)


def test_a_copy_of_the_teacher_has_nothing_to_learn():
    """In one state (batch statistics of both): both spectra are the same (behavioural, spec 9)."""
    teacher = above()
    twin = build(3, 7)
    follower = build_follower(twin, teacher, keep=2, project=False, seed=0).train()
    followed = follower(clips())
    batch = batch_of([followed.taps.apply(torch.Tensor.detach)])
    loss = SpectrumLoss(collaboration=Collaboration(mode="fixed", lambda_f=1e3, lambda_p=1e3))
    labels = soft_label_loss(followed.taps.logits, batch.labels, batch.weights)
    torch.testing.assert_close(loss(followed, batch, 0.5), labels, rtol=1e-5, atol=0)


# P20, P21.


def test_p20_constant_weights_make_the_step_of_frozen_noise_levels():
    s = torch.tensor([0.0, -0.7, 1.3])
    learned = follower_of(keep=2)
    with torch.no_grad():
        learned.noise.copy_(s)
    learned.noise.requires_grad_(False)
    weights = (0.5 * torch.exp(-s)).tolist()
    fixed = Collaboration(mode="fixed", lambda_f=weights[1], lambda_p=weights[2])
    batch = lesson(keep=2)
    one = step(learned, SpectrumLoss(), batch)
    other = step(follower_of(keep=2), SpectrumLoss(collaboration=fixed), batch)
    plain = step(follower_of(keep=2), SpectrumLoss(collaboration=FIXED), batch)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not all(torch.equal(one[name], plain[name]) for name in one)


@pytest.mark.parametrize("mode", ["learned", "fixed", "stochastic"])
def test_p21_without_both_losses_it_is_the_plain_student_to_the_bit(mode):
    collab = Collaboration(mode=mode, lambda_f=0.0, lambda_p=0.0)
    ours = step(follower_of(), SpectrumLoss(collaboration=collab), lesson(), steps=3)
    edge = build_edge(build(2, 0), [], keep=0, uses=(), seed=0).train()
    plain = step(edge, EdgeLoss(), batch_of(), steps=3)
    assert ours.keys() == plain.keys()
    assert all(torch.equal(ours[name], plain[name]) for name in ours)
    taught = step(follower_of(), SpectrumLoss(collaboration=FIXED), lesson(), steps=3)
    assert not all(torch.equal(taught[name], plain[name]) for name in plain)


# Who learns together.


def test_a_teacher_that_learns_too_learns_from_the_labels_alone():
    follower = follower_of(together=True)
    loss = SpectrumLoss(collaboration=Collaboration(mode="mutual"), kd_weight=1.0)
    loss(follower(clips()), batch_of(), 0.5).backward()
    twin = above().requires_grad_(True).train()
    batch = batch_of()
    soft_label_loss(twin(clips()), batch.labels, batch.weights).backward()
    for ours, alone in zip(follower.upper.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, alone.grad, rtol=0, atol=0)


def test_the_student_of_a_teacher_that_learns_hears_what_it_says_now():
    """And not what a batch carries of another."""
    follower = follower_of(together=True)
    followed = follower(clips())
    loss = SpectrumLoss(collaboration=Collaboration(mode="mutual"))
    heard = loss.upper(followed, lesson())
    assert torch.equal(heard.maps[0], followed.upper.maps[0])
    assert not heard.maps[0].requires_grad
    labels = [soft_label_loss(t.logits, batch_of().labels, batch_of().weights)
              for t in (followed.taps, followed.upper)]  # fmt: skip
    whole = sum(labels) + loss.features(followed, heard)
    whole = whole + loss.parameters(followed.kernels, followed.given)
    torch.testing.assert_close(loss(followed, batch_of(), 0.5), whole)


def test_steps_take_turns_by_their_number():
    follower, batch = follower_of(), lesson()
    loss = SpectrumLoss(collaboration=Collaboration(mode="alternate"))
    for number in range(4):
        followed = follower(clips())
        only = ALONE if number % 2 == 0 else KERNELS
        wanted = SpectrumLoss(collaboration=only)(followed, batch, 0.5)
        assert torch.equal(loss(followed, batch, 0.5), wanted)


def test_settings_are_told_by_the_repr_that_phases_are_found_by():
    others = [
        SpectrumLoss(reverse=True),
        SpectrumLoss(shifted=True),
        SpectrumLoss(kd_weight=1.0),
        SpectrumLoss(temperature=3.0),
        SpectrumLoss(collaboration=Collaboration(share_f=0.4)),
        SpectrumLoss(feature=FeatureSpectrum(bands="ac")),
    ]
    assert len({repr(loss) for loss in (SpectrumLoss(), *others)}) == 7
