"""The sharpness of notebook 4's solutions by other means."""

import copy

import numpy as np
import pytest
import torch
from curvlinops import HessianLinearOperator
from scipy.sparse.linalg import LinearOperator, eigsh
from tiny_flatness import quicken, small_study
from torch import nn
from torch.nn import functional as F

from redistill.sharpness import measure

PROBES = 40


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path_factory):
    quicken(monkeypatch, tmp_path_factory.getbasetemp() / "flatness")  # found by later tests


@pytest.fixture
def ends():
    return {one.place: one for one in small_study().ends}


def whole(loss):
    inputs, labels = (torch.cat(parts) for parts in zip(*loss.batches, strict=True))
    return copy.deepcopy(loss.net).requires_grad_(True), inputs, labels


def dense(loss):
    """The Hessian (n, n), all clips in one batch, column by column."""
    net, inputs, labels = whole(loss)
    weights, value = list(net.parameters()), F.cross_entropy(net(inputs), labels)
    gradient = torch.autograd.grad(value, weights, create_graph=True)
    entries = torch.cat([part.flatten() for part in gradient])
    rows = [torch.autograd.grad(one, weights, retain_graph=True) for one in entries]
    return torch.stack([torch.cat([part.flatten() for part in row]) for row in rows]).double()


def by_filter(net):
    """The root mean square of the filter of each weight; 0 for biases and BatchNorm."""
    parts = []
    for weight in net.parameters():
        own = weight.detach().double()
        size = torch.zeros_like(own)
        if own.dim() == 4:
            size += own.square().mean((1, 2, 3), keepdim=True).sqrt()
        elif own.dim() > 1:
            size += own.square().mean(-1, keepdim=True).sqrt()
        parts.append(size.flatten())
    return torch.cat(parts)


def near(interval, value):
    """Whether a value is within five standard errors of an interval's mean."""
    return abs(interval.mean - value) <= 5 * interval.sd / interval.n**0.5


@pytest.mark.parametrize("place", [("mv", "ic", "ce", 1), ("iframe", "ic", "pkd", 2)])
def test_a_classifier_against_its_dense_hessian(ends, place):
    loss = ends[place].loss
    hessian, unit = dense(loss), by_filter(loss.net)
    sharp = measure(loss, top=3, probes=PROBES)
    values = torch.linalg.eigvalsh(hessian).flip(0).tolist()
    assert sharp.weights == len(values)
    assert [x.value for x in sharp.top] == pytest.approx(values[:3], abs=1e-4 * values[0])
    assert near(sharp.trace, sum(values))
    assert 5 * sharp.trace.sd / PROBES**0.5 < values[0]  # narrow enough to miss an eigenvalue
    assert near(sharp.relative, (unit.square() * hessian.diagonal()).sum().item())
    relative = torch.linalg.eigvalsh(unit[:, None] * hessian * unit)[-1].item()
    assert sharp.relative_top.value == pytest.approx(relative, rel=1e-3)
    net, inputs, labels = whole(loss)
    assert sharp.loss == pytest.approx(F.cross_entropy(net(inputs), labels).item(), rel=1e-5)


def test_a_network_against_another_library(ends):
    """Eigenvalues of SciPy over curvlinops' products; traces of two blocks without a probe."""
    loss = ends["mv", "same", "ce", 4].loss
    sharp = measure(loss, top=2, probes=PROBES)
    net, inputs, labels = whole(loss)
    weights, n = list(net.parameters()), loss.size
    other = HessianLinearOperator(net, nn.CrossEntropyLoss(), weights, [(inputs, labels)])

    def times(x):
        return (other @ torch.as_tensor(x.reshape(-1), dtype=torch.float32)).detach().numpy()

    start = np.random.default_rng(0).standard_normal(n)
    operator = LinearOperator((n, n), times, dtype=np.float32)
    values = eigsh(operator, k=2, which="LA", tol=1e-3, ncv=8, v0=start)[0]
    assert [each.value for each in sharp.top] == pytest.approx(values[::-1].tolist(), rel=1e-3)
    assert [name for name, _ in net.named_parameters()][:2] == ["data_bn.weight", "data_bn.bias"]
    first = [times(unit)[place] for place, unit in enumerate(np.eye(4, n, dtype=np.float32))]
    assert near(sharp.stages["data_bn"], sum(first))
    assert near(sharp.stages["fc"], of_the_last_layer(loss))
    assert list(sharp.stages) == [
        "data_bn", "conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc",
    ]  # fmt: skip
    total = sum(each.mean for each in sharp.stages.values())
    assert total == pytest.approx(sharp.trace.mean, rel=1e-4)


def of_the_last_layer(loss):
    """Cross-entropy of a linear map: the mean of sum p (1 - p) times |h|^2 + 1 is its trace."""
    net, inputs, _ = whole(loss)
    with torch.no_grad():
        p = net(inputs).softmax(-1)
        net.net.fc = nn.Identity()
        h = net(inputs)
    return ((p * (1 - p)).sum(-1) * (h.square().sum(-1) + 1)).mean().item()


def test_measuring_changes_no_bit_of_a_network(ends):
    loss = ends["residual", "same", "ce", 4].loss
    before = copy.deepcopy(loss.net.state_dict())
    modes = [(w.requires_grad, w.grad) for w in loss.net.parameters()]
    measure(loss, top=1, probes=2, full=False)
    assert all(torch.equal(x, before[name]) for name, x in loss.net.state_dict().items())
    assert [(w.requires_grad, w.grad) for w in loss.net.parameters()] == modes
    assert not any(part.training for part in loss.net.modules())


def test_without_eigenvalues_the_trace_is_plain(ends):
    loss = ends["mv", "ic", "ce", 2].loss
    plain = measure(loss, top=0, probes=PROBES, full=False)
    deflated = measure(loss, top=1, probes=PROBES, full=False)
    assert plain.top == ()
    assert plain.certified
    assert plain.products == PROBES < deflated.products
    assert plain.trace.low <= deflated.trace.mean <= plain.trace.high
