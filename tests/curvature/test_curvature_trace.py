"""The trace: inside its interval as often as it says, with what is known for free."""

import json

import numpy as np
import pytest
import torch
from curved import Matrix, loss_of, symmetric, whole
from scipy import stats

from redistill.curvature import Product, certify, eigenpairs, filter_scale, trace
from redistill.errors import ConfigError

REPEATS, ENOUGH = 100, 90


@pytest.fixture(scope="module")
def pictures():
    """A network, its Hessian, three weightings of the diagonal and rough eigenpairs."""
    loss = loss_of("pictures")
    dense = whole(loss)
    names = [name for name, w in loss.weights.items() for _ in range(w.numel())]
    also = {
        "conv2": torch.tensor([name.startswith("conv2") for name in names]).double(),
        "relative": filter_scale(loss) ** 2,
        "all": torch.ones(len(names)),
    }
    return dense, also, eigenpairs(Matrix(dense), 3, tol=0.1)


def inside(interval, truth):
    return interval.low <= truth <= interval.high


@pytest.mark.parametrize("deflated", [False, True])
def test_the_truth_is_inside_the_interval_as_often_as_stated(pictures, deflated):
    dense, also, pairs = pictures
    hits = dict.fromkeys(("trace", *also), 0)
    for seed in range(REPEATS):
        pairs_given = pairs if deflated else None
        found = trace(Matrix(dense), probes=12, pairs=pairs_given, also=also, seed=seed)
        hits["trace"] += inside(found.interval, dense.trace())
        for name, weights in also.items():
            hits[name] += inside(found.also[name], weights.double() @ dense.diagonal())
    assert min(hits.values()) >= ENOUGH
    assert min(hits.values()) < REPEATS  # an interval that never misses states too little


def test_the_truth_is_inside_with_products_of_the_network():
    loss = loss_of("smooth", (7, 17))
    truth, hits = whole(loss).trace(), 0
    with Product(loss) as product:
        for seed in range(REPEATS):
            hits += inside(trace(product, probes=8, seed=seed).interval, truth)
        assert product.count == 8 * REPEATS
    assert hits >= ENOUGH


@pytest.mark.parametrize("rough", [False, True])
def test_it_is_unbiased_whatever_it_is_deflated_by(pictures, rough):
    dense, also, pairs = pictures
    if rough:  # far from eigenvectors, and not quite orthogonal
        drawn = torch.randn(len(dense), 3, generator=torch.Generator().manual_seed(1)).double()
        vectors = torch.linalg.qr(drawn).Q
        vectors[:, 1] += 0.009 * vectors[:, 0]
        pairs = certify(Matrix(dense), torch.tensor([1.0, 0.5, 0.2]), vectors, tol=1e-3)
    found = trace(Matrix(dense), probes=6000, pairs=pairs, also=also)
    assert abs(found.interval.mean - dense.trace()) < 4 * found.stderr
    for name, weights in also.items():
        error = found.also[name].sd / 6000**0.5
        assert abs(found.also[name].mean - weights.double() @ dense.diagonal()) < 4 * error


def test_weights_of_one_are_the_trace_itself(pictures):
    dense, also, pairs = pictures
    found = trace(Matrix(dense), probes=5, pairs=pairs, also=also)
    assert found.also["all"].mean == pytest.approx(found.interval.mean, rel=1e-12)
    assert found.also["all"].sd == pytest.approx(found.interval.sd, rel=1e-9)


def test_deflation_by_what_stands_out_narrows_the_interval():
    matrix, vectors = symmetric([50.0, 40, 30, *torch.linspace(1, -1, 97).tolist()])
    pairs = certify(Matrix(matrix), torch.tensor([50.0, 40, 30]), vectors[:, :3], tol=1e-3)
    plain, deflated = (trace(Matrix(matrix), probes=20, pairs=p) for p in (None, pairs))
    assert deflated.deflated == pytest.approx(120)
    assert plain.deflated == 0
    assert deflated.stderr < plain.stderr / 5


def test_the_whole_spectrum_leaves_nothing_to_chance():
    matrix, _ = symmetric([3.0, 2, -1, 0.5])
    found = trace(Matrix(matrix), probes=3, pairs=eigenpairs(Matrix(matrix), 4))
    assert found.interval.mean == pytest.approx(4.5)
    assert found.stderr < 1e-12


def test_the_interval_is_students_over_the_probes(pictures):
    dense, _, _ = pictures
    found = trace(Matrix(dense), probes=9, seed=4)
    values = []
    for number in range(9):
        seed = int(np.random.SeedSequence([4, number]).generate_state(1)[0])
        drawn = torch.Generator().manual_seed(seed)
        z = torch.randint(0, 2, (len(dense),), generator=drawn).double() * 2 - 1
        values.append(float(z @ dense @ z))
    low, high = stats.t.interval(0.95, 8, np.mean(values), stats.sem(values))
    assert found.interval.mean == pytest.approx(np.mean(values))
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))
    assert found.stderr == pytest.approx(stats.sem(values))
    assert (found.probes, found.products) == (9, 9)


def test_probes_needed_are_the_fewest_that_are_precise_enough(pictures):
    dense, _, _ = pictures
    found = trace(Matrix(dense), probes=12, precision=0.1)

    def half(probes):
        return stats.t.ppf(0.975, probes - 1) * found.interval.sd / probes**0.5

    wanted = 0.1 * abs(found.interval.mean)
    assert half(found.needed) <= wanted < half(found.needed - 1)
    assert trace(Matrix(dense), probes=12, precision=1e-6).needed is None
    assert trace(Matrix(torch.eye(30).double()), probes=3).needed == 2


def test_probes_are_as_many_as_needed_for_the_precision_reached(pictures):
    dense, _, _ = pictures
    first = trace(Matrix(dense), probes=100, precision=0.1)
    then = trace(Matrix(dense), probes=first.needed, precision=0.1, seed=1)
    half = (then.interval.high - then.interval.low) / 2
    assert half == pytest.approx(0.1 * abs(then.interval.mean), rel=0.4)


def test_probes_go_on_where_a_run_was_killed(pictures, tmp_path):
    dense, also, pairs = pictures
    options = {"probes": 10, "pairs": pairs, "also": also, "seed": 2}
    whole_run = trace(Matrix(dense), **options)
    for stop in (4, 3, 2):
        with pytest.raises(KeyboardInterrupt):
            trace(Matrix(dense, stop=stop), **options, folder=tmp_path)
    last = Matrix(dense)
    assert trace(last, **options, folder=tmp_path) == whole_run
    assert last.count == 1
    assert trace(Matrix(dense, stop=0), **options, folder=tmp_path) == whole_run
    fewer = trace(Matrix(dense, stop=0), **options | {"probes": 6}, folder=tmp_path)
    assert fewer == trace(Matrix(dense), **options | {"probes": 6})


def test_what_is_kept_serves_its_own_options_alone(pictures, tmp_path):
    dense, also, pairs = pictures
    options = {"probes": 3, "pairs": pairs, "also": also, "seed": 2}
    trace(Matrix(dense), **options, folder=tmp_path)
    other_weights = also | {"conv2": also["conv2"] * 2}
    for change in ({"seed": 3}, {"pairs": None}, {"also": {}}, {"also": other_weights}):
        fresh = Matrix(dense)
        found = trace(fresh, **options | change, folder=tmp_path)
        assert fresh.count == 3, change
        assert found == trace(Matrix(dense), **options | change)
    scaled = Matrix(dense)
    scaled.scale = torch.ones(len(dense))
    trace(scaled, **options, folder=tmp_path)
    assert scaled.count == 3
    files = list(tmp_path.iterdir())
    assert len(files) == 6
    assert all(len(json.loads(f.read_text())["rows"]) == 3 for f in files)


def test_nothing_else_is_drawn_from(pictures):
    dense, _, _ = pictures
    state = torch.get_rng_state()
    trace(Matrix(dense), probes=3)
    assert torch.equal(torch.get_rng_state(), state)


def test_impossible_wishes_are_refused(pictures):
    dense, _, _ = pictures
    with pytest.raises(ConfigError, match="1 probes"):
        trace(Matrix(dense), probes=1)
    with pytest.raises(ConfigError, match=r"'stage'.*\(3,\).*"):
        trace(Matrix(dense), also={"stage": torch.ones(3)})
