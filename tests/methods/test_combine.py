"""The combination of the branches' students: fits against SciPy, symmetries, Jensen."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax
from torch.nn import functional as F

from redistill.methods.combine import Combination, fit_combination
from redistill.nets.video import Taps

V, N, K, D = 2, 40, 4, 5
LABELS = torch.arange(N) % K
KINDS = ("logit_mean", "learned", "feat_concat")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def student(seed, skill):
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(V, N, K, generator=draw) + skill * F.one_hot(LABELS, K)
    embedding = torch.randn(V, N, D, generator=draw) * torch.logspace(-2, 1, D)
    embedding[..., 0] += 0.01 * skill * LABELS
    return Taps(logits, embedding)


BANKS = [student(0, 1.5), student(1, 2.0), student(2, 1.2)]


def entropy_of(logits, labels=LABELS):
    return F.cross_entropy(logits.flatten(0, -2), labels.repeat(logits[..., 0].numel() // N))


def test_the_mean_is_the_mean():
    combined = fit_combination("logit_mean", BANKS, LABELS)(BANKS)
    assert combined.shape == (V, N, K)
    torch.testing.assert_close(combined, sum(bank.logits for bank in BANKS) / 3)


def test_shares_of_nothing_learned_are_the_mean():
    shares = torch.zeros(3).softmax(0)
    untrained = Combination("learned", shares, torch.zeros(K))
    mean = fit_combination("logit_mean", BANKS, LABELS)
    torch.testing.assert_close(untrained(BANKS), mean(BANKS))
    # Students alike leave nothing to learn.
    alike = fit_combination("learned", [BANKS[1]] * 3, LABELS)
    torch.testing.assert_close(alike.weight, shares)


def test_learned_shares_are_the_best_of_the_simplex():
    """Against Nelder and Mead of SciPy; better than the mean and than each student alone."""
    found = fit_combination("learned", BANKS, LABELS)
    assert found.weight.sum() == pytest.approx(1, abs=1e-6)
    assert (found.weight > 0).all()
    logits = np.stack([bank.logits.double().numpy() for bank in BANKS])

    def loss(eta):
        shares = np.exp([0, *eta]) / np.exp([0, *eta]).sum()
        log_p = log_softmax(np.tensordot(shares, logits, 1), -1)
        return -np.take_along_axis(log_p, LABELS.numpy()[None, :, None], 2).mean()

    best = minimize(loss, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
    assert entropy_of(found(BANKS)).item() == pytest.approx(best.fun, abs=1e-5)
    others = [Combination("learned", row, torch.zeros(K)) for row in torch.eye(3)]
    others.append(fit_combination("logit_mean", BANKS, LABELS))
    assert all(entropy_of(found(BANKS)) <= entropy_of(one(BANKS)) + 1e-6 for one in others)


def test_the_classifier_is_the_minimum_of_its_loss():
    """Against SciPy's own descent on cross-entropy plus decay of standardised weights."""
    found = fit_combination("feat_concat", BANKS, LABELS)
    both = torch.cat([bank.embedding.flatten(0, 1) for bank in BANKS], 1).double().numpy()
    x = both / (both.std(0, ddof=1) + 1e-3)
    labels = np.tile(LABELS.numpy(), V)

    def loss(flat):
        weight, bias = flat[:-K].reshape(K, -1), flat[-K:]
        log_p = log_softmax(x @ weight.T + bias, 1)
        return -log_p[np.arange(len(x)), labels].mean() + 1e-2 * (weight**2).sum()

    best = minimize(loss, np.zeros(K * x.shape[1] + K), method="L-BFGS-B", tol=1e-12)
    scale = both.std(0, ddof=1) + 1e-3
    ours = np.concatenate([(found.weight.double().numpy() * scale).ravel(), found.bias.numpy()])
    assert loss(ours) == pytest.approx(best.fun, rel=1e-4)
    wanted = both @ (best.x[:-K].reshape(K, -1) / scale).T + best.x[-K:]
    got = found(BANKS).flatten(0, 1).double().numpy()
    assert np.abs(got - wanted).max() < 0.05 * np.abs(wanted).max()


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_branches_permutes_the_shares(kind):
    order = [2, 0, 1]
    turned = [BANKS[i] for i in order]
    plain, other = fit_combination(kind, BANKS, LABELS), fit_combination(kind, turned, LABELS)
    torch.testing.assert_close(other(turned), plain(BANKS), atol=5e-3, rtol=1e-3)
    if kind == "learned":
        torch.testing.assert_close(other.weight, plain.weight[order], atol=1e-3, rtol=0)
        assert not torch.allclose(other.weight, plain.weight, atol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_combination_scores_clips_it_was_not_fitted_on_one_by_one(kind):
    """Any leading shape, and each clip for itself."""
    found = fit_combination(kind, BANKS, LABELS)
    one = [bank.apply(lambda x: x[1, 7:8]) for bank in BANKS]
    torch.testing.assert_close(found(one), found(BANKS)[1, 7:8], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_fitting_draws_nothing_and_changes_no_student(kind):
    before = [(bank.logits.clone(), bank.embedding.clone()) for bank in BANKS]
    state = torch.random.get_rng_state()
    first = fit_combination(kind, BANKS, LABELS)
    assert torch.equal(state, torch.random.get_rng_state())
    again = fit_combination(kind, BANKS, LABELS)
    assert torch.equal(first.weight, again.weight)
    assert not first.weight.requires_grad
    for bank, (logits, embedding) in zip(BANKS, before, strict=True):
        assert torch.equal(bank.logits, logits)
        assert torch.equal(bank.embedding, embedding)


def test_features_that_never_vary_do_no_harm():
    dead = [Taps(b.logits, b.embedding.index_fill(2, torch.tensor([1]), 0.0)) for b in BANKS]
    found = fit_combination("feat_concat", dead, LABELS)
    assert found(dead).isfinite().all()


def test_a_sum_is_a_mean_at_a_third_of_the_temperature():
    logits = torch.stack([bank.logits for bank in BANKS])
    torch.testing.assert_close(logits.sum(0).softmax(-1), (3 * logits.mean(0)).softmax(-1))


def test_every_ensemble_beats_the_mean_of_its_members_clip_by_clip():
    """Jensen: of the mean logits as of the mean probabilities, so a gain over it proves nothing."""
    logits = torch.stack([bank.logits[0] for bank in BANKS]).double()

    def each(scores):
        return F.nll_loss(scores, LABELS, reduction="none")

    members = torch.stack([each(one.log_softmax(1)) for one in logits]).mean(0)
    mean = Combination("logit_mean", torch.full((3,), 1 / 3), torch.zeros(K))
    ours = mean([Taps(one.float(), torch.zeros(N, 1)) for one in logits]).double()
    assert (each(ours.log_softmax(1)) <= members + 1e-6).all()
    assert (each(logits.softmax(2).mean(0).log()) <= members + 1e-12).all()
    assert (each(ours.log_softmax(1)) < members - 1e-3).any()
