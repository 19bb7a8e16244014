"""Products with the Hessian: right, and without a trace of themselves."""

import gc
import weakref

import numpy as np
import psutil
import pyhessian
import pytest
import torch
from curved import CLIPS, clips, loss_of, network, whole
from curvlinops import HessianLinearOperator
from torch import nn
from torch.nn import functional as F

from redistill.curvature import Loss, Product
from redistill.curvature import product as module
from redistill.errors import ConfigError, RunError

KINDS = ("smooth", "early", "pictures")
SIZES = ((CLIPS,), (7, 12, 5))


def vectors(loss, count=3):
    drawn = torch.Generator().manual_seed(5)
    return torch.randn(count, loss.size, generator=drawn, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("keep", [None, False, True])
def test_it_is_the_dense_hessian_times_the_vector(kind, sizes, keep):
    loss = loss_of(kind, sizes)
    dense = whole(loss)
    with Product(loss, keep_graph=keep) as product:
        for vector in vectors(loss):
            torch.testing.assert_close(product(vector), dense @ vector, rtol=1e-10, atol=1e-12)
        assert product.count == 3
        assert product.size == len(dense)


@pytest.mark.parametrize("keep", [False, True])
def test_only_some_weights_vary(keep):
    loss = loss_of("pictures", (7, 12, 5), only=("conv2.", "fc."))
    everything = loss_of("pictures", net=loss.net)
    chosen = torch.cat(
        [
            torch.full((w.numel(),), name.startswith(("conv2.", "fc.")))
            for name, w in everything.weights.items()
        ]
    )
    block = whole(everything)[chosen][:, chosen]
    with Product(loss, keep_graph=keep) as product:
        for vector in vectors(loss):
            torch.testing.assert_close(product(vector), block @ vector, rtol=1e-10, atol=1e-12)


def test_a_scale_measures_each_weight_in_its_own_unit():
    loss = loss_of("smooth", (7, 12, 5))
    scale = torch.linspace(0, 2, loss.size, dtype=torch.float64)
    dense = scale[:, None] * whole(loss) * scale
    with Product(loss, scale=scale) as product:
        for vector in vectors(loss):
            torch.testing.assert_close(product(vector), dense @ vector, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_slope_of_the_gradient(kind):
    loss = loss_of(kind)
    (x, y), step = loss.batches[0], 1e-5
    vector = vectors(loss)[0]
    slopes = []
    for sign in (1, -1):
        moved = network(kind)
        at = 0
        with torch.no_grad():
            for weight in moved.parameters():
                piece = vector[at : at + weight.numel()].view_as(weight)
                weight.add_(piece, alpha=sign * step)
                at += weight.numel()
        F.cross_entropy(moved(x), y).backward()
        slopes.append(
            torch.cat(
                [
                    torch.zeros(w.numel()) if w.grad is None else w.grad.flatten()
                    for w in moved.parameters()
                ]
            )
        )
    with Product(loss) as product:
        found = product(vector)
    torch.testing.assert_close(found, (slopes[0] - slopes[1]) / (2 * step), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("kind", ["smooth", "pictures"])
def test_it_agrees_with_curvlinops(kind):
    loss = loss_of(kind, (7, 12, 5))
    net = network(kind)
    other = HessianLinearOperator(net, nn.CrossEntropyLoss(), list(net.parameters()), loss.batches)
    with Product(loss) as product:
        for vector in vectors(loss):
            torch.testing.assert_close(product(vector), other @ vector, rtol=1e-9, atol=1e-11)


def test_weights_that_the_loss_does_not_use_are_not_curved():
    loss = loss_of("early", (7, 12, 5))
    used = torch.cat(
        [
            torch.full((w.numel(),), name.startswith(("stem", "first")))
            for name, w in loss.weights.items()
        ]
    )
    with Product(loss) as product:
        for vector in vectors(loss):
            found = product(vector)
            assert not found[~used].any()
            assert found[used].all()


@pytest.mark.parametrize("only", [("rest.",), ("last.", "rest.")])
@pytest.mark.parametrize("keep", [False, True])
def test_a_loss_without_the_weights_that_vary_is_flat(only, keep):
    loss = loss_of("early", (7, 17), only=only)
    with Product(loss, keep_graph=keep) as product:
        assert torch.equal(product(vectors(loss)[0]), torch.zeros(loss.size).double())


def test_a_loss_linear_in_the_weights_is_flat():
    x, y = clips("smooth")
    loss = Loss(net=nn.Linear(4, 3).double().eval(), batches=[(x, y)], criterion=_linear)
    with Product(loss) as product:
        assert not product(vectors(loss)[0]).any()


def _linear(logits, labels):
    return (logits[:, 0] * labels).mean()


@pytest.mark.parametrize("sizes", SIZES)
def test_single_precision_gives_single_precision(sizes):
    loss = loss_of("pictures", sizes, dtype=torch.float32)
    dense = whole(loss_of("pictures"))
    with Product(loss) as product:
        for vector in vectors(loss):
            found = product(vector)
            assert found.dtype == torch.float32
            torch.testing.assert_close(found.double(), dense @ vector, rtol=1e-3, atol=1e-5)


def test_no_grad_around_it_changes_nothing():
    loss = loss_of("smooth")
    vector = vectors(loss)[0]
    with torch.no_grad(), Product(loss) as product:
        found = product(vector)
    assert not found.requires_grad
    torch.testing.assert_close(found, whole(loss) @ vector)


# What is given back


def prepared():
    """A network in a state of its own: one weight frozen, one with a gradient."""
    net = network("pictures")
    net.bn1.bias.requires_grad_(False)
    net.fc.bias.grad = torch.ones_like(net.fc.bias)
    return net


def state(net):
    return {
        "tensors": {name: t.clone() for name, t in net.state_dict().items()},
        "switches": [(w.requires_grad, w.grad is None) for w in net.parameters()],
        "gradient": (id(net.fc.bias.grad), net.fc.bias.grad.clone()),
        "modes": [m.training for m in net.modules()],
        "random": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].tolist(),
    }


def same(one, other):
    assert one["tensors"].keys() == other["tensors"].keys()
    assert all(torch.equal(t, other["tensors"][name]) for name, t in one["tensors"].items())
    assert one["switches"] == other["switches"]
    assert one["gradient"][0] == other["gradient"][0]
    assert torch.equal(one["gradient"][1], other["gradient"][1])
    assert one["modes"] == other["modes"]
    assert torch.equal(one["random"], other["random"])
    assert one["numpy"] == other["numpy"]


@pytest.mark.parametrize("sizes", SIZES)
def test_everything_is_given_back(sizes):
    net = prepared()
    loss = loss_of("pictures", sizes, net=net)
    before = state(net)
    with Product(loss) as product:
        product(vectors(loss)[0])
        product.eigenvalues(maxIter=3, top_n=2)
        product.trace(maxIter=3)
        with torch.no_grad():
            net.fc.weight.add_(1)
            net.bn1.running_mean.add_(1)
    same(state(net), before)


def test_everything_is_given_back_after_an_error():
    net = prepared()
    before = state(net)
    calls = 0

    def failing(logits, labels):
        nonlocal calls
        calls += 1
        if calls == 4:  # two to compare, then the second batch
            raise ZeroDivisionError
        return F.cross_entropy(logits, labels)

    loss = Loss(net=net, batches=[clips("pictures")] * 2, criterion=failing)
    with pytest.raises(ZeroDivisionError), Product(loss) as product:
        product.trace(maxIter=2)
    same(state(net), before)


def test_everything_is_given_back_by_a_loss_that_is_refused():
    net = prepared()
    net.relu.forward = F.dropout
    before = state(net)
    with pytest.raises(ConfigError, match="two evaluations"), Product(loss_of("pictures", net=net)):
        pass
    same(state(net), before)


@pytest.mark.parametrize("keep", [False, True])
def test_no_graph_is_left(keep):
    loss = loss_of("pictures", (7, 12, 5))
    watched = []
    gradient = Product._gradient

    def watching(self, inputs, labels):
        found = gradient(self, inputs, labels)
        watched.extend(weakref.ref(g) for g in found[1])
        return found

    gc.collect()
    gc.disable()  # what only the collector would free counts as left
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Product, "_gradient", watching)
            product = Product(loss, keep_graph=keep)
            with product:
                product(vectors(loss)[0])
                alive = sum(ref() is not None for ref in watched)
        assert len(watched) == 3 * len(loss.weights)
        assert alive == (len(watched) if keep else 0)
        assert not any(ref() is not None for ref in watched)
        reference = weakref.ref(product)
        del product
        assert reference() is None
    finally:
        gc.enable()


# What is kept


def builds(loss, products, **options):
    """How often the gradient of a batch was built."""
    count = 0
    gradient = Product._gradient

    def counting(self, inputs, labels):
        nonlocal count
        count += 1
        return gradient(self, inputs, labels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Product, "_gradient", counting)
        with Product(loss, **options) as product:
            for _ in range(products):
                product(vectors(loss)[0])
    return count


def test_the_graph_of_one_batch_is_kept(monkeypatch):
    monkeypatch.setattr(module, "free_memory", lambda device: 0)
    assert builds(loss_of("smooth"), 5) == 1


def test_graphs_of_several_batches_are_kept_where_they_fit(monkeypatch):
    loss = loss_of("smooth", (7, 12, 5))
    assert builds(loss, 5) == 1 + 3  # the first, to see how large it is
    monkeypatch.setattr(module, "free_memory", lambda device: 1000)
    assert builds(loss, 5) == 1 + 5 * 3
    assert builds(loss, 5, keep_graph=True) == 3
    assert builds(loss, 5, keep_graph=False) == 5 * 3


def test_what_a_graph_takes_is_told_within_a_factor(monkeypatch):
    width, depth = 32, 6
    layers = [part for _ in range(depth) for part in (nn.Linear(width, width), nn.Tanh())]
    net = nn.Sequential(*layers).double().eval()
    x, y = torch.randn(CLIPS, width).double(), torch.zeros(CLIPS, dtype=torch.long)
    loss = Loss(net=net, batches=[(x[:2], y[:2]), (x[2:], y[2:])])
    once = 8 * CLIPS * width * depth  # bytes of every layer's output
    for free, kept in ((2 * once, False), (40 * once, True)):  # half of which may be taken
        monkeypatch.setattr(module, "free_memory", lambda device, free=free: free)
        assert (builds(loss, 2) == 3) is kept


def test_memory_that_is_free_is_the_systems():
    told = module.free_memory(torch.device("cpu"))
    assert told == pytest.approx(psutil.virtual_memory().available, rel=0.2)


# What is refused


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.BatchNorm1d(5)])
def test_what_moves_is_refused(layer):
    net = nn.Sequential(nn.Linear(4, 5), layer, nn.Linear(5, 3)).double()
    batches = [clips("smooth")]
    with pytest.raises(ConfigError, match="training mode"):
        Loss(net=net, batches=batches)
    loss = Loss(net=net.eval(), batches=batches)
    layer.train()
    with pytest.raises(ConfigError, match="training mode"), Product(loss):
        pass
    layer.eval()
    with Product(loss) as product:
        product(vectors(loss)[0])


class Drawn(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(F.dropout(x, 0.1, training=True))


def test_functional_dropout_is_refused():
    loss = Loss(net=Drawn().double().eval(), batches=[clips("smooth")])
    with pytest.raises(ConfigError, match=r"two evaluations.*drawn"), Product(loss):
        pass


def test_a_criterion_that_is_drawn_is_refused():
    def noisy(logits, labels):
        return F.cross_entropy(logits, labels) * (1 + 0.01 * torch.rand(()))

    loss = Loss(net=network("smooth"), batches=[clips("smooth")], criterion=noisy)
    with pytest.raises(ConfigError, match="two evaluations"), Product(loss):
        pass


def test_wrong_use_is_refused():
    loss = loss_of("smooth")
    with pytest.raises(ConfigError, match=rf"\({loss.size},\)"):
        Product(loss, scale=torch.ones(3))
    product = Product(loss)
    with pytest.raises(RunError, match="with Product"):
        product(torch.zeros(loss.size))
    with product, pytest.raises(ConfigError, match=rf"\(3,\).*\({loss.size},\)"):
        product(torch.zeros(3))
    with pytest.raises(RunError, match="with Product"):
        product(torch.zeros(loss.size))


def test_a_product_that_is_not_finite_is_refused():
    def broken(logits, labels):
        return (logits - logits.detach()).abs().sqrt().sum()

    loss = Loss(net=network("smooth"), batches=[clips("smooth")], criterion=broken)
    with Product(loss) as product, pytest.raises(RunError, match="not finite"):
        product(vectors(loss)[0])


def test_it_can_be_entered_again():
    loss = loss_of("smooth")
    product, vector = Product(loss), vectors(loss)[0]
    with product:
        first = product(vector)
    with product:
        assert torch.equal(product(vector), first)
    assert product.count == 2


# PyHessian's own methods


def pyhessian_own(kind):
    x, y = clips(kind, torch.float32)
    return pyhessian.hessian(
        network(kind, torch.float32), nn.CrossEntropyLoss(), data=(x, y), cuda=False
    )


@pytest.mark.parametrize("sizes", SIZES)
def test_inherited_methods_give_what_pyhessian_gives(sizes):
    loss = loss_of("pictures", sizes, dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        values, vectors_ = pyhessian_own("pictures").eigenvalues(maxIter=15, top_n=2, tol=0)
        traces = pyhessian_own("pictures").trace(maxIter=10, tol=0)
        torch.manual_seed(3)
        with Product(loss) as product:
            own_values, own_vectors = product.eigenvalues(maxIter=15, top_n=2, tol=0)
            own_traces = product.trace(maxIter=10, tol=0)
    assert own_values == pytest.approx(values, rel=1e-3)
    assert own_traces == pytest.approx(traces, rel=1e-3)
    for one, other in zip(vectors_[0], own_vectors[0], strict=True):
        assert one.shape == other.shape
