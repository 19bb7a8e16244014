"""Distillation of standardised logits, against what its paper prints, SciPy and plain KD."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_cases import drawn
from scipy.special import rel_entr, softmax
from scipy.stats import zscore

from redistill.losses.response.kd import kd
from redistill.losses.response.standardised import standardised

S, T = drawn(10, 5, seed=1), drawn(10, 5, seed=2)


def slow(s, t, temperature, ddof=1):
    """The definition, clip by clip."""
    each = []
    for own, given_ in zip(s.numpy(), t.numpy(), strict=True):
        q, p = (softmax(zscore(x, ddof=ddof) / temperature) for x in (own, given_))
        each.append(temperature**2 * rel_entr(p, q).sum())
    return np.mean(each)


def test_it_gives_the_numbers_that_its_paper_prints():
    """Figure 2: S1 is nearer to the teacher in size (.1749), S2 has its order (.3457)."""
    teacher = torch.tensor([[-1.162, 1.162, 0.387, -0.387]]).double()
    first = torch.tensor([[-1.320, 0.660, 0.880, -0.220]]).double()
    assert standardised(first, teacher, temperature=1.0).item() == pytest.approx(0.0995, abs=1e-4)
    second = 0.1 * teacher + 0.3
    assert abs(standardised(second, teacher, temperature=1.0)) < 1e-15
    other = slow(first, teacher, 1.0, ddof=0)  # algorithm 1 as it is printed
    assert abs(other - 0.0995) > 0.02


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_it_is_the_divergence_of_scipy_of_z_scores(temperature):
    got = standardised(S, T, temperature=temperature).item()
    assert got == pytest.approx(slow(S, T, temperature), rel=1e-12)


def test_the_base_temperature_is_the_published_one():
    torch.testing.assert_close(standardised(S, T), standardised(S, T, temperature=2.0))


def test_the_other_reading_of_the_deviation_is_this_one_at_another_temperature():
    other = standardised(S, T, temperature=2.0 * (4 / 5) ** 0.5).item() * 5 / 4
    assert other == pytest.approx(slow(S, T, 2.0, ddof=0), rel=1e-12)


def test_two_classes_say_only_which_is_the_larger():
    """Their z-scores are +-1/sqrt(2): unlike orders are all as far apart, however sure they are."""
    gap = 2**0.5 / 2.0
    p = 1 / (1 + np.exp(-gap))
    wanted = 4 * (2 * p - 1) * gap
    for far in (1e-3, 1.0, 50.0):
        sides = torch.tensor([[far, 0.0], [0.0, far]]).double().split(1)
        assert standardised(*sides).item() == pytest.approx(wanted, rel=1e-9)
        assert abs(standardised(sides[0], 3 * sides[0] - 1)) < 1e-15


@given(
    scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100),
    own=st.floats(1e-3, 1e3), side=st.booleans(),
)  # fmt: skip
def test_scale_and_shift_of_either_side_do_not_count(scale, shift, own, side):
    moved = scale * S + shift, own * T - shift
    mixed = (moved[0], T) if side else moved
    torch.testing.assert_close(standardised(*mixed), standardised(S, T), rtol=1e-6, atol=1e-9)
    assert abs(standardised(moved[0], S)) < 1e-9


def test_a_negative_scale_does_count():
    assert standardised(-S, S) > 0.1


def test_of_what_is_standardised_already_it_is_plain_distillation():
    ours, theirs = (torch.from_numpy(zscore(x.numpy(), axis=1, ddof=1)) for x in (S, T))
    for temperature in (1.0, 3.0):
        wanted = kd(ours, theirs, temperature=temperature)
        torch.testing.assert_close(standardised(ours, theirs, temperature=temperature), wanted)
    assert kd(S, T, temperature=2.0) != standardised(S, T)


def test_the_gradient_is_that_of_finite_differences_and_leaves_size_and_level_alone():
    leaf = S.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda s: standardised(s, T), (leaf,))
    standardised(leaf, T).backward()
    assert leaf.grad.sum(1).abs().max() < 1e-15  # the level of a clip's logits
    assert (leaf.grad * S).sum(1).abs().max() < 1e-15  # their size


def test_one_clip_counts_as_much_as_in_a_batch():
    each = [standardised(s, t) for s, t in zip(S.split(1), T.split(1), strict=True)]
    torch.testing.assert_close(torch.stack(each).mean(), standardised(S, T))


@pytest.mark.parametrize("level", [0.0, -3.7, 1e4])
@pytest.mark.parametrize("flat", ["student", "teacher", "both"])
def test_logits_all_alike_are_an_even_guess_with_a_sane_gradient(level, flat):
    even = torch.full((1, 5), level)
    sides = {
        "student": (even, T[:1].float()), "teacher": (S[:1].float(), even), "both": (even, even),
    }[flat]  # fmt: skip
    leaf = sides[0].clone().requires_grad_()
    loss = standardised(leaf, sides[1])
    loss.backward()
    assert leaf.grad.isfinite().all()
    assert leaf.grad.abs().max() < 10
    assert loss.isfinite()
    assert (loss > 1e-3) == (flat != "both")


def test_a_single_class_leaves_nothing_to_say():
    assert standardised(S[:, :1], T[:, :1]) == 0
