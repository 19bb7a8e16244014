"""The loss of an edge: its parts against torch and slow loops, and how it puts them together."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from said import FRAMES, SIDE, B, batch_of, drawn, learner_of, said
from torch.nn import functional as F

from redistill.errors import ConfigError
from redistill.losses.distribution.gauss import gauss
from redistill.methods import edge_loss
from redistill.methods.edge_loss import EdgeLoss, negative_label_loss, soft_label_loss


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


# The whole.


def test_the_whole_is_the_sum_of_its_parts_written_out():
    """Against torch's own divergence, a loop over moments, and the debiased alignment by traces."""
    upper = said(2, seed=6)
    terms = (("kd", 0.7), ("gauss", 0.3))
    loss = EdgeLoss(ce=0.4, terms=terms, rho=0.2, temperature=3.0, negative=0.5)
    batch = batch_of([upper])
    _, learner = learner_of(loss, [upper])
    s, u = learner.taps.logits, upper.logits
    kd = 9 * F.kl_div((s / 3).log_softmax(1), (u / 3).softmax(1), reduction="batchmean")
    a, b = (x.detach().double().numpy() for x in (learner.taps.embedding, upper.embedding))
    spread = b.std(0) + 1e-3
    a, b = a / spread, b / spread
    d = a.shape[1]
    moments = ((a.mean(0) - b.mean(0)) ** 2).sum() / d
    moments += ((np.cov(a.T, bias=True) - np.cov(b.T, bias=True)) ** 2).sum() / d**2
    wanted = (
        0.4 * soft_label_loss(s, batch.labels, batch.weights).item()
        + 0.5 * negative_label_loss(s, batch.negatives).item()
        + 0.7 * kd.item()
        + 0.3 * moments
        + 0.2 * (1 - alignment(a * spread, b * spread))
    )
    assert loss(learner, batch, 0.0).item() == pytest.approx(wanted, rel=1e-4)


def alignment(a, b):
    """Debiased CKA with HSIC as sums over different clips (Song et al. 2012)."""

    def hsic(k, m):
        n, ones = len(k), np.ones(len(k))
        both = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
        return (np.trace(k @ m) + both - 2 / (n - 2) * ones @ k @ m @ ones) / (n * (n - 3))

    grams = []
    for z in (a, b):
        gram = z @ z.T
        np.fill_diagonal(gram, 0)
        grams.append(gram)
    k, m = grams
    return hsic(k, m) / math.sqrt(hsic(k, k) * hsic(m, m))


def test_without_networks_above_only_the_labels_count():
    loss = EdgeLoss(ce=0.3, terms=(("kd", 5.0),), rho=2.0)
    batch = batch_of()
    _, learner = learner_of(loss, [])
    wanted = 0.3 * soft_label_loss(learner.taps.logits, batch.labels, batch.weights)
    assert torch.equal(loss(learner, batch, 0.0), wanted)


def two_uppers(**settings):
    loss = EdgeLoss(ce=0.0, terms=(("kd", 1.0),), **settings)
    uppers = [said(2, seed=6), said(2, seed=7)]
    uppers[1] = replace(uppers[1], embedding=uppers[1].embedding + 1.5)
    edge, learner = learner_of(loss, uppers)
    each = [EdgeLoss(ce=0.0, terms=loss.terms)(
        replace(learner, adapted=(a,), adapters=(d,), scales=learner.scales[:1]),
        batch_of([u]), 0.0,
    ) for a, d, u in zip(learner.adapted, learner.adapters, uppers, strict=True)]  # fmt: skip
    return loss, edge, learner, uppers, torch.stack(each)


def test_alike_networks_above_count_alike():
    """A mean, not a sum, which would let the weight of knowledge grow with the assistants."""
    loss, _, learner, uppers, each = two_uppers()
    torch.testing.assert_close(loss(learner, batch_of(uppers), 0.0), each.mean())


def test_the_farthest_distribution_weighs_most():
    loss, _, learner, uppers, each = two_uppers(weighting="fd")
    far = [gauss(learner.taps.embedding, u.embedding).item() for u in uppers]
    shares = np.exp(far) / np.exp(far).sum()
    assert shares[1] > shares[0]
    wanted = (torch.tensor(shares).float() * each).sum()
    torch.testing.assert_close(loss(learner, batch_of(uppers), 0.0), wanted)


def test_learned_noise_settles_where_it_equals_the_loss():
    loss, edge, learner, uppers, each = two_uppers(weighting="uncertainty")
    scales = learner.scales
    with torch.no_grad():
        scales.copy_(torch.tensor([0.4, -0.3]))
    wanted = (torch.exp(-scales) * each + scales).mean()
    got = loss(learner, batch_of(uppers), 0.0)
    torch.testing.assert_close(got, wanted)
    with torch.no_grad():
        scales.copy_(each.log())
    loss(learner, batch_of(uppers), 0.0).backward()
    assert edge.scales.grad.abs().max() < 1e-5


def test_the_correlation_is_measured_to_the_partner_where_there_is_one():
    upper, other = said(2, seed=6), said(2, seed=7)
    loss = EdgeLoss(ce=0.0, rho=1.0)
    _, learner = learner_of(loss, [upper])
    own = loss(learner, batch_of([upper]), 0.0)
    to_other = loss(learner, batch_of([upper], partner=other.embedding), 0.0)
    assert torch.equal(to_other, loss(learner, batch_of([other]), 0.0))
    assert not torch.equal(own, to_other)


# Every term.


@pytest.mark.parametrize("name", edge_loss.TERMS)
def test_every_term_reaches_the_student_through_the_adapters_it_asks_for(name):
    """Between networks of unlike widths; what is above gets no gradient."""
    loss = EdgeLoss(ce=0.0, terms=((name, 1.0),))
    upper = said(3, seed=6)
    for x in (upper.logits, upper.embedding, *upper.maps):
        x.requires_grad_()
    edge, learner = learner_of(loss, [upper])
    value = loss(learner, batch_of([upper.apply(torch.detach)]), 0.0)
    value.backward()
    assert value.isfinite()
    assert edge.net.net.conv1.weight.grad.abs().sum() > 0
    assert all(p.grad is not None for p in edge.adapters.parameters())


def permuted(loss, uppers, order):
    """Return the loss of a batch in another order; a queue starts empty."""
    torch.manual_seed(0)
    x = drawn(B, FRAMES, 3, SIDE, SIDE, seed=4)[order]
    _, learner = learner_of(loss, uppers, inputs=x)
    batch = batch_of([u.apply(lambda t: t[order]) for u in uppers])
    batch = replace(
        batch,
        labels=batch.labels[order],
        weights=batch.weights[order],
        negatives=batch.negatives[order],
    )
    torch.manual_seed(1)
    return loss(learner, batch, 0.0).item()


@pytest.mark.parametrize("name", edge_loss.TERMS)
def test_the_order_of_the_batch_does_not_count(name):
    loss = EdgeLoss(ce=0.5, terms=((name, 1.0),), rho=0.1, negative=0.2)
    order = torch.randperm(B, generator=torch.Generator().manual_seed(8))
    plain = permuted(loss, [said(3, seed=6)], torch.arange(B))
    assert permuted(loss, [said(3, seed=6)], order) == pytest.approx(plain, rel=2e-4)


def test_a_loss_that_multiplies_neighbours_would_be_caught(monkeypatch):
    """RepDistiller's correlation congruence (spec 11.1), planted."""

    def neighbours(seen):
        delta = (seen.lower.embedding[:, :8] - seen.upper.embedding[:, :8]).abs()
        return (delta[:-1] * delta[1:]).sum(1).mean()

    monkeypatch.setattr(edge_loss, "TERMS", {**edge_loss.TERMS, "planted": neighbours})
    loss = EdgeLoss(ce=0.5, terms=(("planted", 1.0),), rho=0.1, negative=0.2)
    order = torch.randperm(B, generator=torch.Generator().manual_seed(8))
    plain = permuted(loss, [said(3, seed=6)], torch.arange(B))
    assert permuted(loss, [said(3, seed=6)], order) != pytest.approx(plain, rel=1e-2)


def test_unknown_terms_are_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"no loss 'fitnets'; there are kd, .*fitnet"):
        EdgeLoss(terms=(("fitnets", 1.0),))
    with pytest.raises(ConfigError, match=r"weighting = 'even': expected one of pair, pearson"):
        EdgeLoss(weighting="even")
    with pytest.raises(ConfigError, match="correlation = 'matrix'"):
        EdgeLoss(correlation="matrix")
