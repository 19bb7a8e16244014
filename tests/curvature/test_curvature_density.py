"""The spectral density: PyHessian's own code, and what shows whether it was right."""

import sys

import psutil
import pyhessian
import pytest
import torch
from curved import CLIPS, falling, loss_of, whole

from redistill.curvature import Product, density
from redistill.errors import ConfigError

# The function hides the module of its name.
module = sys.modules["redistill.curvature.density"]


def found(loss, **options):
    with Product(loss) as product:
        return density(product, **options)


@pytest.mark.parametrize("kind", ["smooth", "early", "pictures"])
@pytest.mark.parametrize("sizes", [(CLIPS,), (7, 12, 5)])
def test_first_moments_are_those_of_the_dense_hessian(kind, sizes):
    loss = loss_of(kind, sizes)
    values = falling(whole(loss))
    result = found(loss, steps=12, probes=25)
    assert result.certified
    torch.testing.assert_close(result.weights.sum(1), torch.ones(25).double(), rtol=1e-6, atol=0)
    for moments in (result.moments, result.direct):
        for power in (1, 2, 3):
            each = moments[:, power - 1]
            error = each.std() / len(each) ** 0.5
            assert abs(each.mean() - (values**power).mean()) < 4 * error


def test_direct_moments_are_of_the_probe_itself():
    loss = loss_of("smooth")
    dense = whole(loss)
    with Product(loss) as product:
        asked = []
        times = Product.dataloader_hv_product

        def watching(self, v):
            asked.append(torch.cat([part.flatten() for part in v]))
            return times(self, v)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Product, "dataloader_hv_product", watching)
            result = density(product, steps=4, probes=1)
    v = asked[0] / asked[0].norm()
    assert (v.abs() * len(v) ** 0.5).tolist() == pytest.approx([1] * len(v))
    wanted = [v @ dense @ v, v @ dense @ dense @ v, v @ dense @ dense @ dense @ v]
    torch.testing.assert_close(result.direct[0], torch.stack(wanted))


@pytest.mark.parametrize("kind", ["smooth", "early"])
def test_all_steps_find_the_whole_spectrum(kind):
    loss = loss_of(kind)
    values = falling(whole(loss))
    result = found(loss, steps=10_000, probes=2)
    assert result.nodes.shape == (2, loss.size)
    assert result.certified
    for nodes, weights in zip(result.nodes, result.weights, strict=True):
        seen = weights > 1e-8
        nearest = (nodes[seen, None] - values).abs().min(1).values
        assert nearest.max() < 1e-5 * values[0]


def test_smoothed_it_is_the_spectrum_smoothed():
    loss = loss_of("smooth")
    values = falling(whole(loss))
    grid, width = torch.linspace(-0.6, 1.2, 400).double(), 0.05
    truth = torch.exp(-(((grid - values[:, None]) / width) ** 2) / 2).mean(0)
    truth = truth / (width * (2 * torch.pi) ** 0.5)
    curves = found(loss, steps=30, probes=30).smoothed(grid, width)
    assert curves.shape == (30, 400)
    areas = torch.trapezoid(curves, grid)
    torch.testing.assert_close(areas, torch.ones(30).double(), rtol=1e-2, atol=0)
    error = curves.std(0) / 30**0.5
    assert ((curves.mean(0) - truth).abs() < 4 * error + 0.02 * truth.max()).all()


@pytest.mark.parametrize("flatter", [1.0, 1e-3, 1e-9, 1e9])
def test_a_flat_loss_is_seen_as_well_as_a_steep_one(flatter):
    def criterion(logits, labels):
        return flatter * torch.nn.functional.cross_entropy(logits, labels)

    loss, other = loss_of("smooth"), loss_of("smooth")
    object.__setattr__(other, "criterion", criterion)
    plain, small = (found(one, steps=12, probes=2) for one in (loss, other))
    assert small.certified
    torch.testing.assert_close(small.nodes / flatter, plain.nodes, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(small.weights, plain.weights, rtol=1e-5, atol=1e-9)


def test_a_loss_without_curvature_has_all_its_weight_at_zero():
    result = found(loss_of("early", only=("rest.",)), steps=5, probes=2)
    assert not result.nodes.any()
    torch.testing.assert_close(result.weights.sum(1), torch.ones(2).double())


def test_single_precision():
    result = found(loss_of("pictures", (7, 17), dtype=torch.float32), steps=20, probes=2)
    truth = found(loss_of("pictures"), steps=20, probes=2)
    assert result.certified
    torch.testing.assert_close(result.moments, truth.moments, rtol=1e-3, atol=1e-5)
    assert result.nodes.dtype == torch.float64


def lost(share):
    """An ``orthnormal`` that from the sixth vector on leaves a share of an early one."""

    def forgetful(w, v_list):
        v = original(w, v_list)
        if len(v_list) >= 6:
            v = [a + share * b for a, b in zip(v, v_list[1], strict=True)]
        return v

    original = sys.modules["pyhessian.hessian"].orthnormal
    return forgetful


@pytest.mark.parametrize(("share", "fine"), [(0.0, True), (1e-2, False), (1.0, False)])
def test_a_loss_of_orthogonality_is_told(monkeypatch, share, fine):
    monkeypatch.setattr(sys.modules["pyhessian.hessian"], "orthnormal", lost(share))
    result = found(loss_of("pictures"), steps=12, probes=1)
    assert result.certified is fine
    assert result.overlaps[0] > share / 2 - 1e-9
    assert bool(result.overlaps[0] < 1e-9) is fine


def test_moments_that_disagree_are_told():
    result = found(loss_of("smooth"), steps=8, probes=2)
    assert result.certified
    for name in ("moments", "direct"):
        for power in (1, 2, 3):
            moved = getattr(result, name).clone()
            scale = (result.weights[1] * result.nodes[1].abs() ** power).sum()
            moved[1, power - 1] += 0.002 * scale
            assert not type(result)(**vars(result) | {name: moved}).certified


def test_the_same_seed_gives_the_same_bits_and_draws_from_nothing_else():
    loss = loss_of("smooth")
    with Product(loss) as product:
        state = torch.get_rng_state()
        first, again, other = (density(product, steps=6, seed=seed) for seed in (0, 0, 1))
        assert torch.equal(torch.get_rng_state(), state)
        assert product.count == first.products * 3 == 3 * 3 * 8
    assert torch.equal(first.nodes, again.nodes)
    assert not torch.equal(first.nodes, other.nodes)
    assert not torch.equal(first.nodes[0], first.nodes[1])


def test_torch_is_put_back():
    own = sys.modules["pyhessian.hessian"]
    assert own.torch is torch
    loss = loss_of("smooth")
    with pytest.raises(ConfigError), Product(loss) as product:
        product.dataloader_hv_product([torch.zeros(3)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own, "group_product", None)
        with pytest.raises(TypeError), Product(loss) as product:
            density(product, steps=3)
    assert own.torch is torch
    assert "dataloader_hv_product" not in vars(product)
    assert not hasattr(torch, "eig") or "eig" in dir(torch)
    assert pyhessian.hessian is Product.__mro__[1]


class Stop(Exception):
    pass


def test_probes_go_on_where_a_run_was_killed(monkeypatch, tmp_path):
    loss = loss_of("smooth", (7, 17))
    whole_run = found(loss, steps=5, probes=4, seed=3)
    calls, left = Product.__call__, 9

    def dying(self, vector):
        nonlocal left
        left -= 1
        if not left:
            raise Stop
        return calls(self, vector)

    with monkeypatch.context() as patch:
        patch.setattr(Product, "__call__", dying)
        with pytest.raises(Stop):
            found(loss, steps=5, probes=4, seed=3, folder=tmp_path)
    with Product(loss) as product:
        result = density(product, steps=5, probes=4, seed=3, folder=tmp_path)
        assert product.count == 3 * 7  # one probe had been kept
        density(product, steps=5, probes=4, seed=3, folder=tmp_path)
        assert product.count == 3 * 7
        density(product, steps=6, probes=1, seed=3, folder=tmp_path)
        assert product.count == 3 * 7 + 8
    for name in ("nodes", "weights", "moments", "direct", "overlaps"):
        assert torch.equal(getattr(result, name), getattr(whole_run, name))
    assert result.products == whole_run.products


def test_vectors_that_do_not_fit_are_refused(monkeypatch):
    loss = loss_of("smooth")
    monkeypatch.setattr(module, "free_memory", lambda device: 10_000)
    with pytest.raises(ConfigError, match=rf"40 steps keep 40 vectors of {loss.size} numbers"):
        found(loss, steps=40)
    assert found(loss, steps=5, probes=1).certified
    assert psutil.virtual_memory().available > 10_000


def test_impossible_wishes_are_refused():
    with pytest.raises(ConfigError, match="0 steps of 1 probes"):
        found(loss_of("smooth"), steps=0, probes=1)
