"""The spectrum losses on small networks: order of frames, wiring, short clips (P6, P10d)."""

import pytest
import torch
from loss_cases import drawn
from torch import nn

from redistill.losses.spectrum.feature import FeatureSpectrum
from redistill.losses.spectrum.parameter import ParameterSpectrum
from redistill.nets.kernels import stage_kernels
from redistill.nets.video import build_video

FRAMES = 8
CLIPS = drawn(2, FRAMES, 3, 32, 32)


def network(name, width=4, seed=0):
    """Return a network of float64 in evaluation, its BatchNorms those of a batch."""
    net = build_video(name, width=width, classes=3, frames=FRAMES, seed=seed).double().train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        net(CLIPS)
    return net.eval()


def test_p6_only_a_network_that_mixes_frames_tells_a_clip_from_its_reverse():
    loss, features = FeatureSpectrum(), FeatureSpectrum(component="complex")
    for name, blind in (("tsn10", True), ("shift10", False)):
        net = network(name)
        with torch.no_grad():
            forth, back = (net.taps(x, keep=1).maps[0] for x in (CLIPS, CLIPS.flip(1)))
        assert (loss(back, forth) < 1e-12) == blind
        assert blind or loss(back, forth) > 1e-5
        assert features(back, forth) > 1e-5  # what is not blind sees both


def step():
    """Return teacher, student and map of channels after a step of both losses."""
    teacher, student = network("shift10", width=8), network("shift10", seed=1).train()
    project = nn.Linear(student.stage_widths[-1], teacher.stage_widths[-1], bias=False).double()
    with torch.no_grad():
        given = teacher.taps(CLIPS, keep=1).maps[0]
    own = student.taps(CLIPS, keep=1).maps[0]
    kernels = ParameterSpectrum()(stage_kernels(student), stage_kernels(teacher))
    parts = FeatureSpectrum()(own, given, project), kernels
    modules = [*student.parameters(), *project.parameters()]
    optimizer = torch.optim.SGD(modules, lr=0.1)
    torch.stack(parts).sum().backward()
    optimizer.step()
    return teacher, student, project, parts


def test_p10d_a_step_moves_the_student_and_its_map_and_never_the_teacher():
    teacher, student, project, parts = step()
    assert all(part > 0 for part in parts)
    assert all(p.grad is None for p in teacher.parameters())
    for name, wanted in network("shift10", width=8).state_dict().items():
        torch.testing.assert_close(teacher.state_dict()[name], wanted, rtol=0, atol=0)
    assert project.weight.grad.norm() > 0
    assert student.net.conv1.weight.grad.norm() > 0
    spatial = [w for stage in stage_kernels(student) for w in stage.values()]
    assert all(w.grad.norm() > 0 for w in spatial)


def test_a_copy_of_the_teacher_is_at_no_distance():
    net, twin = network("shift10"), network("shift10")
    with torch.no_grad():
        own, given = (one.taps(CLIPS, keep=1).maps[0] for one in (net, twin))
    assert FeatureSpectrum()(own, given) == 0
    assert abs(ParameterSpectrum()(stage_kernels(net), stage_kernels(twin))) < 1e-12


@pytest.mark.parametrize("component", ["amplitude", "complex", "distribution"])
def test_p10d_the_loss_is_the_mean_over_clips_in_any_order(component):
    loss = FeatureSpectrum(component=component)
    s, t = drawn(5, 4, FRAMES, 2, 2, seed=1), drawn(5, 4, FRAMES, 2, 2, seed=2)
    each = torch.stack([loss(s[n : n + 1], t[n : n + 1]) for n in range(5)])
    assert each.std() > 1e-3
    torch.testing.assert_close(loss(s, t), each.mean(), rtol=1e-6, atol=0)
    order = torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(loss(s[order], t[order]), each.mean(), rtol=1e-6, atol=0)
    assert abs(loss(s[order], t) - each.mean()) > 1e-3


def test_p10d_one_frame_has_but_a_constant():
    s, t = drawn(3, 4, 1, 2, 2, seed=1), drawn(3, 4, 1, 2, 2, seed=2)
    assert FeatureSpectrum().by_bin(s, t).shape == (1,)
    torch.testing.assert_close(FeatureSpectrum()(s, t), FeatureSpectrum(bands="dc")(s, t))
    x, y = (f.mean((2, 3, 4)) for f in (s, t))
    x, y = (nn.functional.normalize(f).abs() for f in (x, y))
    wanted = (x - y).square().sum(1).mean()
    torch.testing.assert_close(FeatureSpectrum()(s, t), wanted, rtol=1e-6, atol=1e-12)
