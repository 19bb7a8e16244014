"""What notebook 4 shows beside numbers: each picture is of the solution it names."""

import copy

import numpy as np
import pytest
import torch
from tiny_flatness import ARMS, quicken, silent, small_config, small_study
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from redistill.curvature import Product, eigenpairs
from redistill.landscape import barrier, filter_direction
from redistill.methods import flatness_views as views
from redistill.modality import MODALITIES

CONFIG = small_config(reach=0.05)
LINE = silent()


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path_factory):
    quicken(monkeypatch, tmp_path_factory.getbasetemp() / "flatness")  # found by later tests


@pytest.fixture
def study():
    return small_study()


@pytest.fixture
def nets(study):
    return {one.modality: one for one in study.ends if one.network == "same"}


@pytest.fixture(autouse=True)
def untouched(study):
    """No picture may change a bit of a network, or a switch."""

    def state():
        return [
            (
                [x.numpy().tobytes() for x in one.loss.net.state_dict().values()],
                [(w.requires_grad, w.grad) for w in one.loss.net.parameters()],
                [part.training for part in one.loss.net.modules()],
            )
            for one in study.ends
        ]

    before = state()
    yield
    assert state() == before


def asked(one, shift=0.0):
    """Loss and accuracy of a solution over the clips of the Hessian, in one batch, moved a bit."""
    inputs, labels = (torch.cat(parts) for parts in zip(*one.loss.batches, strict=True))
    net = copy.deepcopy(one.loss.net)
    with torch.no_grad():
        vector_to_parameters(parameters_to_vector(net.parameters()) + shift, net.parameters())
        logits = net(inputs)
    right = (logits.argmax(-1) == labels).double().mean().item()
    return F.cross_entropy(logits, labels).item(), right


def at(found, i, j=0):
    return found.loss[i, j], found.accuracy[i, j]


def test_densities_are_certified_and_of_each_network(study, nets):
    found = views.densities(study, CONFIG, LINE)
    assert set(found) == set(MODALITIES)
    for modality, density in found.items():
        sharp = study.of(nets[modality])
        assert density.certified
        assert density.nodes.shape == (CONFIG.density_probes, CONFIG.density_steps)
        top = sharp.top[0]
        assert density.nodes.max() <= top.value + top.error + 1e-3 * top.value
        means = density.moments[:, 0] * sharp.weights  # each an estimate of the trace
        spread = 6 * sharp.trace.sd
        assert abs(means.mean().item() - sharp.trace.mean) <= spread


def test_surfaces_are_centred_on_their_solution(study, nets):
    found = views.surfaces(study, CONFIG, LINE)
    assert set(found) == set(MODALITIES)
    for modality, each in found.items():
        assert each.a.tolist() == each.b.tolist() == [-0.05, 0, 0.05]
        assert at(each, 1, 1) == pytest.approx(asked(nets[modality]), rel=1e-5)
        assert len(np.unique(each.loss)) == 9
        ways = [filter_direction(nets[modality].loss, seed=seed) for seed in (0, 1)]
        corner = asked(nets[modality], 0.05 * ways[0] - 0.05 * ways[1])
        assert at(each, 2, 0) == pytest.approx(corner, rel=1e-4)


def test_eigenvector_surfaces_are_along_the_two_sharpest_ways(study, nets):
    """In steps of the norm of all filters.

    Their bend is no oracle: the kinks of ReLU, of which a Hessian knows nothing, are in it.
    """
    found = views.eigen_surfaces(study, CONFIG, LINE)
    assert set(found) == set(MODALITIES)
    for modality, each in found.items():
        one, step = nets[modality], each.a[2]
        assert each.a.tolist() == each.b.tolist() == [-step, 0, step]
        assert 0 < step < CONFIG.reach  # looked at more closely than random ways
        assert at(each, 1, 1) == pytest.approx(asked(one), rel=1e-5)
        assert each.cosine == pytest.approx(0, abs=1e-3)
        with Product(one.loss) as product:
            pairs = eigenpairs(product, 2)
        assert pairs.values.tolist() == [x.value for x in study.of(one).top]
        kernels = [w.detach() for w in one.loss.weights.values() if w.dim() > 1]
        long = sum(w.square().sum() for w in kernels).sqrt()
        first, second = (step * long * vector.float() for vector in pairs.vectors.T)
        assert at(each, 2, 1) == pytest.approx(asked(one, first), rel=1e-4)
        assert at(each, 0, 2) == pytest.approx(asked(one, second - first), rel=1e-4)
        assert np.ptp(each.loss) > 1e-5


def test_slices_run_through_the_solution_each_its_own_way(study, nets):
    found = views.slices(study, CONFIG, LINE)
    assert set(found) == set(MODALITIES)
    plane = views.surfaces(study, CONFIG, LINE)
    for modality, each in found.items():
        assert len(each) == CONFIG.directions
        for one in each:
            assert one.a == pytest.approx(np.linspace(-0.05, 0.05, views.POINTS))
            assert at(one, views.POINTS // 2) == pytest.approx(asked(nets[modality]), rel=1e-5)
        ends = [each[0].loss[[0, -1], 0], each[1].loss[[0, -1], 0]]
        assert ends[0] == pytest.approx(plane[modality].loss[[0, 2], 1], rel=1e-6)
        assert ends[1] == pytest.approx(plane[modality].loss[1, [0, 2]], rel=1e-6)


def test_lines_begin_and_end_at_the_two_arms(study):
    found = views.lines(study, CONFIG)
    known = {one.place: one for one in study.ends}
    assert set(found) == {(m, k) for m in MODALITIES for k in (1, 2, 3)}
    for (modality, number), each in found.items():
        ends = [asked(known[modality, "ic", arm, number]) for arm in ARMS]
        for step, wanted in zip((0, 1), ends, strict=True):
            (place,) = np.flatnonzero(np.abs(each.a - step) < 1e-9)  # is on the grid
            assert at(each, place) == pytest.approx(wanted, rel=1e-5)
        assert each.a[0] < 0
        assert each.a[-1] > 1
        assert barrier(each) >= 0
    back = views.lines(study, CONFIG, start="pkd", end="ce")
    for key, each in found.items():
        assert each.loss[::-1] == pytest.approx(back[key].loss, rel=1e-4)


def test_statistics_taken_anew_give_other_surfaces(study):
    """The switch reaches them: the centre is then no longer the solution itself."""
    anew = small_config(reach=0.05, reestimate=True)
    for make in (views.surfaces, views.slices):
        one, other = (make(study, config, LINE)["mv"] for config in (CONFIG, anew))
        one, other = (x[0] if isinstance(x, list) else x for x in (one, other))
        assert one.loss.shape == other.loss.shape
        assert np.abs(one.loss - other.loss).max() > 1e-3
