"""Who teaches, when, and the loss: closed forms, and the gradient of forward KL."""

import pytest
import torch
from torch.nn import functional as F

from redistill.config import resolve
from redistill.errors import ConfigError
from redistill.feature_feed import FeatureBatch
from redistill.methods.arms import ARMS, Arm, choose
from redistill.methods.distil import Distil, soft_cross_entropy
from redistill.methods.progressive import ProgressiveConfig

K = 5


def batch(n: int = 6) -> FeatureBatch:
    rng = torch.Generator().manual_seed(0)
    teachers = {m: 2 * torch.randn(n, K, generator=rng) for m in ("iframe", "mv", "residual")}
    teachers["own"] = 2 * torch.randn(n, K, generator=rng)
    return FeatureBatch((), teachers, torch.arange(n) % K, tuple(map(str, range(n))))


def logits(arms: int, n: int = 6) -> torch.Tensor:
    return torch.randn(arms, 3, n, K, generator=torch.Generator().manual_seed(1))


def who(arm: str) -> list[str | None]:
    """Return the teacher in the first epoch of each thirtieth of the training."""
    return [ARMS[arm].teacher(i / 30) for i in range(30)]


def test_the_released_chain_is_motion_residual_own_exit():
    """50, 50 and 200 of 300 epochs (spec/progressive.md 4.2)."""
    assert who("pkd") == ["mv"] * 5 + ["residual"] * 5 + ["own"] * 20


def test_the_chain_of_the_abstract_ends_at_the_iframe_network():
    assert who("pkd_iframe") == ["mv"] * 5 + ["residual"] * 5 + ["iframe"] * 20


def test_the_reversed_chains():
    assert who("anticurriculum") == ["own"] * 5 + ["residual"] * 5 + ["mv"] * 20
    assert who("summary") == ["iframe"] * 5 + ["residual"] * 5 + ["mv"] * 20
    assert who("ce") == [None] * 30


def test_shares_of_every_arm_fill_the_training():
    for arm in (*ARMS.values(), *choose(("kd_random",), seed=4)):
        assert sum(share for _, share in arm.teachers) == pytest.approx(1 if arm.teachers else 0)


def test_soft_targets_have_the_gradient_of_forward_kl():
    z, t = logits(1)[0, 0].requires_grad_(), batch().teachers["mv"]
    (ours,) = torch.autograd.grad(soft_cross_entropy(z, t), z)
    divergence = F.kl_div(z.log_softmax(-1), t.softmax(-1), reduction="batchmean")
    (theirs,) = torch.autograd.grad(divergence, z)
    assert torch.allclose(ours, theirs, atol=1e-6)
    reverse = F.kl_div(t.log_softmax(-1), z.softmax(-1), reduction="batchmean")
    assert not torch.allclose(ours, torch.autograd.grad(reverse, z)[0], atol=1e-2)


@pytest.mark.parametrize(("temperature", "squared"), [(1.0, False), (4.0, False), (4.0, True)])
def test_the_loss_by_hand(temperature, squared):
    z, t = logits(1)[0, 0], batch().teachers["mv"]
    expected = 0.0
    for student, teacher in zip(z.double(), t.double(), strict=True):
        p = (teacher / temperature).exp() / (teacher / temperature).exp().sum()
        q = (student / temperature).exp() / (student / temperature).exp().sum()
        expected -= float((p * q.log()).sum()) / len(z)
    expected *= temperature**2 if squared else 1
    ours = soft_cross_entropy(z, t, temperature=temperature, squared=squared)
    assert ours.item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_finite_where_the_naive_logarithm_is_not():
    z = torch.tensor([[200.0, 0.0]], requires_grad=True)
    loss = soft_cross_entropy(z, torch.tensor([[0.0, 200.0]]))
    assert torch.isfinite(loss)
    assert torch.isinf(-torch.softmax(z, -1)[0, 1].log())


def test_each_arm_asks_its_own_teacher():
    seen = batch()
    arms = choose(("ce", "kd_mv", "kd_mean", "kd_shuffled", "pkd", "kd_iframe_t4"), seed=0)
    z = logits(len(arms))
    mean = torch.stack([seen.teachers[m].softmax(-1) for m in ("iframe", "mv", "residual")])
    targets = {
        "kd_mv": seen.teachers["mv"].softmax(-1),
        "kd_mean": mean.mean(0),
        "kd_shuffled": seen.teachers["iframe"].softmax(-1)[[5, 0, 1, 2, 3, 4]],
        "pkd": seen.teachers["residual"].softmax(-1),  # a fifth of the way
    }
    expected = F.cross_entropy(z[0].flatten(0, 1), seen.labels.repeat(3)) * 3
    for number, arm in enumerate(arms):
        if arm.name in targets:
            expected = expected - 3 * (targets[arm.name] * z[number].log_softmax(-1)).sum(-1).mean()
    soft = (seen.teachers["iframe"] / 4).softmax(-1)
    expected = expected - 3 * 16 * (soft * (z[-1] / 4).log_softmax(-1)).sum(-1).mean()
    assert Distil(arms)(z, seen, 0.2).item() == pytest.approx(expected.item(), rel=1e-5)


def test_no_arm_reaches_the_gradient_of_another():
    arms = choose(("ce", "pkd", "kd_iframe"), seed=0)
    z = logits(3).requires_grad_()
    (together,) = torch.autograd.grad(Distil(arms)(z, batch(), 0.0), z)
    for number, arm in enumerate(arms):
        part = z[number : number + 1]
        (alone,) = torch.autograd.grad(Distil((arm,))(part, batch(), 0.0), part)
        assert torch.equal(alone[0], together[number])


def test_a_random_order_is_drawn_by_the_seed():
    (one,), (again,), (other,) = (choose(("kd_random",), seed=s) for s in (3, 3, 4))
    assert one == again != other
    assert {name for name, _ in one.teachers} == {"iframe", "mv", "residual"}


def test_a_misspelt_arm_names_the_nearest():
    with pytest.raises(ConfigError, match=r"'kd_ifram'.*kd_iframe"):
        resolve(ProgressiveConfig, {"arms": ("kd_ifram",)})
    with pytest.raises(ConfigError, match=r"wise_arm = 'pkd'.*ce"):
        resolve(ProgressiveConfig, {"arms": ("ce",)})
    with pytest.raises(ConfigError, match="named twice"):
        choose(("ce", "ce"), seed=0)
    assert Arm(name="x").teacher(0.5) is None
