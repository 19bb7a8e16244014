"""The spectrum losses where amplitudes vanish and where precision is low (P9, P10c)."""

from itertools import product

import pytest
import torch
from loss_cases import drawn

from redistill.losses.spectrum.component import COMPONENTS, amplitude
from redistill.losses.spectrum.feature import NORMALISE, FeatureSpectrum
from redistill.losses.spectrum.parameter import STATISTICS, ParameterSpectrum
from redistill.losses.spectrum.transform import BANDS, dft

TEACHER = drawn(2, 3, 8, 2, 2, seed=1)
DEAD = torch.zeros_like(TEACHER)
STATIC = drawn(2, 3, 1, 2, 2, seed=2).expand_as(TEACHER)
SILENT = TEACHER * torch.tensor([1.0, 0, 1]).view(1, 3, 1, 1, 1)  # one channel
READINGS = [
    {"component": c, "normalise": n, "bands": b, "distance": d}
    for c, n, b, d in product(
        [*COMPONENTS, "distribution"], NORMALISE, BANDS, ["squared", "l1"]
    )
    if (c, b) != ("distribution", "dc")
]  # fmt: skip


def slope(loss, student, teacher):
    leaf = student.clone().requires_grad_()
    value = loss(leaf, teacher)
    assert value.isfinite()
    value.backward()
    return leaf.grad


@pytest.mark.parametrize("transform", ["dft", "dct"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_p9_at_zero_amplitude_gradients_are_finite_and_of_sane_size(dtype, transform):
    pairs = product((DEAD, STATIC, SILENT), (TEACHER, DEAD, STATIC))
    students, teachers = (torch.cat(side).to(dtype) for side in zip(*pairs, strict=True))
    for fields in READINGS:
        loss = FeatureSpectrum(transform=transform, **fields)
        grad = len(students) * slope(loss, students, teachers)  # of each clip's own loss
        assert grad.abs().max() < 2e3, (fields, grad.abs().flatten(1).amax(1))


def test_p9_the_bare_root_has_no_gradient_at_zero_and_this_one_has():
    x = torch.zeros(3, dtype=torch.complex128, requires_grad=True)
    (x.real.square() + x.imag.square()).sqrt().sum().backward()
    assert x.grad.isnan().all()
    x.grad = None
    amplitude(x).sum().backward()
    assert (x.grad == 0).all()


def test_p9_rounding_noise_has_no_say_in_the_gradient():
    """Features that stand still, but for noise: the bare amplitude follows the noise's angle."""
    teacher = dft(TEACHER[:, :, :, 0, 0].transpose(1, 2))[:, 1:]

    def gradient(size, seed):
        still = dft(STATIC[:, :, :, 0, 0].transpose(1, 2))
        x = (still + size * torch.randn_like(still) if seed else still)[:, 1:].detach()
        return [of(x.clone().requires_grad_(), size_of) for of, size_of in PAIRS]

    def of(x, size_of):
        (size_of(x) - size_of(teacher)).square().sum().backward()
        return x.grad

    PAIRS = ((of, torch.abs), (of, amplitude))
    torch.manual_seed(0)
    (bare, ours), (other, _) = gradient(1e-9, 1), gradient(1e-9, 2)
    assert bare.norm() > 1
    assert (bare - other).norm() > bare.norm() / 2  # a random direction
    assert ours.norm() < 5e-3 * bare.norm()


@pytest.mark.parametrize("frames", [7, 8])
@pytest.mark.parametrize("component", ["amplitude", "complex"])
def test_p9_a_still_clip_in_single_precision_gets_no_gradient_from_noise(component, frames):
    """Its band is empty but for rounding, which must not be made a spectrum of length one."""
    still = (100 * STATIC[:, :, :1]).expand(-1, -1, frames, -1, -1).float()
    moving = drawn(2, 3, frames, 2, 2, seed=4).float()
    loss = FeatureSpectrum(bands="ac", component=component)
    assert loss(still, moving).item() == pytest.approx(1, abs=1e-2)
    assert slope(loss, still, moving).abs().max() < 1


def test_p9_a_still_student_is_on_a_saddle():
    """Finite is not sufficient: the loss is at its largest, and the gradient is zero."""
    assert FeatureSpectrum(bands="ac")(STATIC, TEACHER) > 0.9
    assert slope(FeatureSpectrum(bands="ac"), STATIC, TEACHER).abs().max() < 1e-6


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"transform": "dct"},
        {"channels": "group_mean"},
        {"space": "per_pixel"},
        {"space": "volume", "phase": 0.5},
        {"space": "attention", "bands": "ac"},
        {"component": "distribution"},
    ],
)
def test_p10c_under_autocast_nothing_is_computed_in_half_precision(fields):
    """Neither the transform nor any product before it, the map of channels among them."""
    student, teacher = drawn(2, 3, 8, 3, 3, seed=3), drawn(2, 5, 8, 2, 2, seed=4)
    student, teacher = student.bfloat16(), teacher.bfloat16()
    project = None if fields.get("channels") else torch.nn.Linear(3, 5, bias=False)
    loss = FeatureSpectrum(**fields)
    wanted = loss(student.float(), teacher.float(), project)
    student.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = loss(student, teacher, project)
    assert got.dtype == torch.float32
    assert got.item() == wanted.item()
    got.backward()
    assert 0 < student.grad.abs().max() < 10


@pytest.mark.parametrize("statistic", STATISTICS)
def test_p10c_nor_are_the_kernels(statistic):
    wide = {} if statistic == "flat" else {"more": drawn(6, 5, 3, 3, seed=3).float()}
    own = [{"conv": drawn(4, 3, 3, 3, seed=1).float()}]
    given = [{"conv": drawn(4, 3, 3, 3, seed=2).float(), **wide}]
    loss = ParameterSpectrum(statistic=statistic)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = loss(own, given)
    assert got.dtype == torch.float32
    assert got.item() == loss(own, given).item()
