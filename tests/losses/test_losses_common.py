"""What holds for every loss: gradients, order of the batch, precision, degenerate inputs."""

from pathlib import Path

import loss_cases
import pytest
import torch
from loss_cases import CASES, LABELS, B, drawn

import redistill.losses

EVERY = pytest.mark.parametrize("name", CASES)


def alone(s, t, name):
    return CASES[name].call(s, t, LABELS)


def slope(name, student, teacher):
    leaf = student.clone().requires_grad_()
    alone(leaf, teacher, name).backward()
    return leaf.grad


def test_no_loss_is_left_out():
    """Each file is one loss; those of spectra are made up of parts and have tests of their own."""
    root = Path(redistill.losses.__file__).parent
    files = {file.stem for file in root.glob("[!s]*/*.py")} - {"__init__", "match"}
    called = (getattr(each, "__module__", "") for each in vars(loss_cases).values())
    left_out = files - {name.rpartition(".")[2] for name in called}
    assert not left_out, f"add a case to tests/losses/loss_cases.py for {', '.join(left_out)}"


@EVERY
def test_the_result_is_a_finite_scalar(name):
    loss = alone(*CASES[name].sides(), name)
    assert loss.shape == ()
    assert loss.isfinite()
    assert loss > 1e-3  # of two unlike sides


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case.smooth])
def test_the_gradient_is_that_of_finite_differences(name):
    student, teacher = CASES[name].sides()
    leaf = student.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: alone(s, teacher, name), (leaf,), fast_mode=True)


@EVERY
def test_the_order_of_the_batch_does_not_count(name):
    student, teacher = CASES[name].sides()
    order = torch.randperm(B, generator=torch.Generator().manual_seed(5))
    got = CASES[name].call(student[order], teacher[order], LABELS[order])
    torch.testing.assert_close(got, alone(student, teacher, name), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case.zero])
def test_alike_sides_have_no_distance(name):
    student, _ = CASES[name].sides()
    assert abs(alone(student, student, name)) < 1e-10
    assert slope(name, student, student).abs().max() < 1e-6


@EVERY
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_in_single_precision_out(name, dtype):
    student, teacher = (x.to(dtype) for x in CASES[name].sides())
    loss = alone(student, teacher, name)
    assert loss.dtype == torch.float32
    wanted = alone(student.double(), teacher.double(), name)
    assert wanted.dtype == torch.float64
    torch.testing.assert_close(loss.double(), wanted, rtol=1e-4, atol=1e-5)


@EVERY
def test_a_dead_network_keeps_gradients_of_sane_size(name):
    """All-zero features and coinciding clips: no NaN, and no step that throws weights away."""
    _, teacher = CASES[name].sides()
    dead = torch.zeros_like(teacher)
    twins = teacher.clone()
    twins[1] = twins[0]
    twins[2] = 0
    for student in (dead, twins):
        for target in (teacher, student):
            assert alone(student, target, name).isfinite()
            assert slope(name, student, target).abs().max() < 1e3


@EVERY
def test_the_teacher_is_not_detached(name):
    """Detaching is the caller's business: a loss that did it would hide a live teacher."""
    student, teacher = CASES[name].sides()
    leaf = teacher.clone().requires_grad_()
    alone(student, leaf, name).backward()
    assert leaf.grad.abs().max() > 0


SCALES = ("cka", "cka_biased", "pair", "sp", "cc", "pkt", "rkd", "matrix")


@pytest.mark.parametrize("factor", [1e-4, 1e3])
@pytest.mark.parametrize("name", SCALES)
def test_the_size_of_embeddings_does_not_count(name, factor):
    student, teacher = (x.float() for x in CASES[name].sides())
    got = alone(factor * student, teacher, name)
    torch.testing.assert_close(got, alone(student, teacher, name), rtol=1e-4, atol=1e-6)


def turn(d, seed=9):
    return torch.linalg.qr(drawn(d, d, seed=seed)).Q


@pytest.mark.parametrize("name", ["sp", "rkd", "cka", "cka_biased", "pair", "pkt", "cc"])
def test_relations_do_not_see_a_rotation_of_one_side(name):
    student, teacher = CASES[name].sides()
    got = alone(student @ turn(6), teacher, name)
    torch.testing.assert_close(got, alone(student, teacher, name), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["sp", "rkd", "cka", "pkt", "cc"])
def test_relations_need_no_equal_dimensions_but_the_same_clips(name):
    student, teacher = CASES[name].sides()
    assert alone(student[:, :4], teacher, name).isfinite()
    mixed = alone(student.roll(1, 0), student, name)
    assert mixed > 1e-3  # one side permuted alone: no longer alike


@pytest.mark.parametrize("name", ["gauss", "mmd", "swd"])
def test_distributions_do_not_see_the_order_of_one_side(name):
    student, teacher = CASES[name].sides()
    assert abs(alone(student.roll(1, 0), student, name)) < 1e-12
    got = alone(student.roll(5, 0), teacher, name)
    torch.testing.assert_close(got, alone(student, teacher, name), rtol=1e-12, atol=1e-14)
