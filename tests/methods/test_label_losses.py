"""Losses of soft and of negative labels, against torch and slow loops."""

import math

import numpy as np
import pytest
import torch
from said import B, K, batch_of, drawn, one_hot
from torch.nn import functional as F

from redistill.methods.edge_loss import negative_label_loss, soft_label_loss


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_sure_labels_give_the_cross_entropy():
    logits, (labels, q) = drawn(B, K), one_hot()
    ours = soft_label_loss(logits, q, torch.ones(B))
    torch.testing.assert_close(ours, F.cross_entropy(logits, labels))


def test_soft_labels_and_weights_by_a_slow_loop():
    batch, logits = batch_of(), drawn(B, K)
    top = bottom = 0.0
    for i in range(B):
        z = logits[i].double().numpy()
        log_p = z - math.log(np.exp(z).sum())
        w = float(batch.weights[i])
        top += w * -(batch.labels[i].double().numpy() * log_p).sum()
        bottom += w
    assert soft_label_loss(logits, batch.labels, batch.weights).item() == pytest.approx(
        top / bottom, rel=1e-5
    )


@pytest.mark.parametrize("factor", [1e-3, 7.0])
def test_a_common_factor_of_the_weights_changes_nothing(factor):
    batch, logits = batch_of(), drawn(B, K).double()
    q, w = batch.labels.double(), batch.weights.double()
    torch.testing.assert_close(
        soft_label_loss(logits, q, factor * w), soft_label_loss(logits, q, w), rtol=1e-12, atol=0
    )


def test_a_clip_of_weight_zero_has_no_gradient():
    batch, logits = batch_of(), drawn(B, K).requires_grad_()
    weights = batch.weights.clone()
    weights[[2, 7]] = 0
    soft_label_loss(logits, batch.labels, weights).backward()
    silent = (logits.grad == 0).all(1)
    assert silent.nonzero()[:, 0].tolist() == [2, 7]


def test_without_any_weight_the_loss_is_zero_and_not_nan():
    logits = drawn(B, K).requires_grad_()
    loss = soft_label_loss(logits, batch_of().labels, torch.zeros(B))
    loss.backward()
    assert loss == 0
    assert (logits.grad == 0).all()


def test_negative_labels_by_a_slow_loop():
    logits, negatives = drawn(B, K), batch_of().negatives
    assert (negatives.sum(1) == 0).any()  # some clip has none, which must not count
    means = []
    for z, row in zip(logits.double().numpy(), negatives.numpy(), strict=True):
        p = np.exp(z) / np.exp(z).sum()
        if row.any():
            means.append(np.mean([-math.log(1 - p[k]) for k in range(K) if row[k]]))
    assert negative_label_loss(logits, negatives).item() == pytest.approx(np.mean(means), rel=1e-5)


def test_negative_labels_at_their_ends():
    assert negative_label_loss(drawn(B, K), torch.zeros(B, K, dtype=torch.bool)) == 0
    certain = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    loss = negative_label_loss(certain, torch.tensor([[True, False, False]]))
    loss.backward()
    assert loss.isfinite()
    assert certain.grad.isfinite().all()
