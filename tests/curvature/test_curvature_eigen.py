"""Eigenpairs: the dense Hessian's, and certificates that say when they are not."""

import pytest
import torch
from curved import CLIPS, Matrix, falling, loss_of, symmetric, whole
from torch import nn

from redistill.curvature import Loss, Product, certify, eigenpairs, filter_scale
from redistill.curvature.eigen import look_beyond
from redistill.errors import ConfigError, RunError

SPREAD = torch.cat(
    [torch.tensor([9.0, 7, 5, 4, 3.5]), torch.linspace(1, -1, 90), torch.tensor([-4.5, -6, -8])]
).double()


def extreme(values, k, which):
    reach = {"largest": values, "smallest": -values, "magnitude": values.abs()}[which]
    return values[reach.argsort(descending=True)[:k]].sort(descending=True).values


@pytest.mark.parametrize("kind", ["smooth", "early", "pictures"])
@pytest.mark.parametrize("sizes", [(CLIPS,), (7, 12, 5)])
def test_the_largest_are_the_dense_hessians(kind, sizes):
    loss = loss_of(kind, sizes)
    truth = falling(whole(loss))[:4]
    with Product(loss) as product:
        pairs = eigenpairs(product, 4, tol=1e-6)
        assert pairs.products == product.count
    torch.testing.assert_close(pairs.values, truth, rtol=1e-6, atol=1e-9)
    assert pairs.certified == (True,) * 4
    assert pairs.beyond is None
    assert pairs.orthogonality < 1e-8


@pytest.mark.parametrize("which", ["largest", "smallest", "magnitude"])
def test_either_end_of_the_spectrum(which):
    loss = loss_of("smooth")
    truth = extreme(falling(whole(loss)), 3, which)
    with Product(loss) as product:
        pairs = eigenpairs(product, 3, tol=1e-6, which=which)
    torch.testing.assert_close(pairs.values, truth, rtol=1e-6, atol=1e-9)
    assert pairs.certified == (True,) * 3


def test_in_units_of_the_filters():
    loss = loss_of("pictures")
    scale = filter_scale(loss)
    truth = falling(scale[:, None] * whole(loss) * scale)[:3]
    with Product(loss, scale=scale) as product:
        pairs = eigenpairs(product, 3, tol=1e-6)
    torch.testing.assert_close(pairs.values, truth, rtol=1e-6, atol=1e-9)


def test_single_precision_has_honest_bounds():
    truth = falling(whole(loss_of("pictures")))[:5]
    with Product(loss_of("pictures", (7, 17), dtype=torch.float32)) as product:
        pairs = eigenpairs(product, 5, tol=1e-3)
    assert all(pairs.certified)
    assert ((pairs.values - truth).abs() <= pairs.bounds).all()
    assert pairs.bounds.max() < 2e-3 * truth[0]


def test_what_is_told_of_each_pair_is_so():
    loss = loss_of("smooth")
    dense = whole(loss)
    with Product(loss) as product:
        pairs = eigenpairs(product, 5, tol=1e-2)
    torch.testing.assert_close(pairs.images, dense @ pairs.vectors)
    away = dense @ pairs.vectors - pairs.vectors * pairs.values
    torch.testing.assert_close(pairs.residuals, away.norm(dim=0))
    torch.testing.assert_close(pairs.vectors.norm(dim=0), torch.ones(5).double())
    cosines = (pairs.vectors.T @ pairs.vectors - torch.eye(5)).abs().max().item()
    assert pairs.orthogonality == pytest.approx(cosines, abs=1e-14)
    assert pairs.values.tolist() == sorted(pairs.values.tolist(), reverse=True)


@pytest.mark.parametrize("noise", [1e-1, 1e-2, 1e-4])
@pytest.mark.parametrize("which", ["largest", "smallest", "magnitude"])
def test_a_value_is_as_near_to_an_eigenvalue_as_its_bound(which, noise):
    matrix, vectors = symmetric(SPREAD)
    chosen = extreme(SPREAD, 4, which)
    columns = [int((value == SPREAD).nonzero()) for value in chosen]
    for seed in range(10):
        drawn = torch.Generator().manual_seed(seed)
        rough = vectors[:, columns] + noise / 10 * torch.randn(
            len(SPREAD), 4, generator=drawn, dtype=torch.float64
        )
        rough = torch.linalg.qr(rough).Q
        values = (rough * (matrix @ rough)).sum(0)
        pairs = certify(Matrix(matrix), values, rough, tol=1e-3, which=which)
        order = values.argsort(descending=True)
        torch.testing.assert_close(pairs.values, values[order])
        true = chosen[order]
        assert ((pairs.values - true).abs() <= pairs.bounds).all()
        assert (pairs.bounds <= pairs.residuals * (1 + 1e-9) + 1e-12).all()
        if noise == 1e-4:  # and much nearer than the residual, where a gap is known
            assert (pairs.bounds < 0.01 * pairs.residuals).sum() == 3


@pytest.mark.parametrize("angle", [0.1, 0.03])
def test_a_bound_by_the_gap_is_no_smaller_than_it_has_to_be(angle):
    """Two eigenvectors turned into each other: r^2 / gap is then the error itself."""
    matrix, vectors = symmetric(SPREAD)
    c, s = torch.tensor([angle]).cos().item(), torch.tensor([angle]).sin().item()
    turned = torch.stack(
        [
            c * vectors[:, 0] + s * vectors[:, 1],
            c * vectors[:, 1] - s * vectors[:, 0],
            vectors[:, 2],
        ],
        1,
    )
    values = (turned * (matrix @ turned)).sum(0)
    pairs = certify(Matrix(matrix), values, turned, tol=1e-3)
    errors = (pairs.values - SPREAD[:3]).abs()
    assert (errors <= pairs.bounds + 1e-12).all()
    assert (pairs.bounds[:2] < 2 * errors[:2]).all()


def test_a_value_that_is_not_its_vectors_own_has_a_bound_that_knows():
    matrix, vectors = symmetric(SPREAD)
    pairs = certify(Matrix(matrix), SPREAD[:3] + 0.1, vectors[:, :3], tol=1e-3)
    assert ((pairs.values - SPREAD[:3]).abs() <= pairs.bounds + 1e-12).all()
    assert pairs.certified == (False,) * 3


def test_ghosts_are_refused():
    matrix, vectors = symmetric([0.1294, 0.1231, 0.1199, *torch.linspace(0.1, 0, 30).tolist()])
    ghosts = vectors[:, [0, 0, 0]]
    values = torch.tensor([0.1294] * 3)
    residual = (matrix @ ghosts - ghosts * values).norm(dim=0)
    assert (residual < 1e-6).all()  # all three look converged
    with pytest.raises(RunError, match=r"0 and 1 \(values 0\.1294 and 0\.1294\).*overlap by 1"):
        certify(Matrix(matrix), values, ghosts, tol=1e-3)


def test_a_ghost_beside_a_good_pair_is_named():
    matrix, vectors = symmetric([3.0, 2, 1, *[0.0] * 10])
    tilted = 0.999 * vectors[:, 1] + 0.04 * vectors[:, 5]
    given = torch.stack([vectors[:, 0], vectors[:, 1], tilted], 1)
    with pytest.raises(RunError, match=r"vectors 1 and 2 \(values 2 and 1\.99\).*0\.999"):
        certify(Matrix(matrix), torch.tensor([3.0, 2.0, 1.99]), given, tol=1e-3)


def test_an_equal_pair_of_eigenvalues_is_no_ghost():
    matrix, _ = symmetric([5.0, 5, 3, *torch.linspace(1, 0, 60).tolist()])
    pairs = eigenpairs(Matrix(matrix), 3, tol=1e-8)
    assert pairs.values.tolist() == pytest.approx([5, 5, 3], abs=1e-9)
    assert pairs.certified == (True,) * 3


@pytest.mark.parametrize("which", ["largest", "smallest", "magnitude"])
def test_a_missing_copy_is_found(which):
    sign = -1 if which == "smallest" else 1
    values = sign * torch.tensor([5.0, 5, 3, 2, *torch.linspace(1, 0, 200).tolist()]).double()
    matrix, vectors = symmetric(values)
    for seed in range(20):
        product = Matrix(matrix)
        given = certify(product, values[[0, 2, 3]], vectors[:, [0, 2, 3]], tol=1e-3, which=which)
        assert given.certified == (True,) * 3  # all of them good pairs
        pairs = look_beyond(product, given, tol=1e-3, seed=seed, which=which, steps=8)
        assert pairs.certified == (False,) * 3
        assert abs(pairs.beyond) > 4.5
        assert abs(pairs.beyond) < 5 + 1e-9
        assert pairs.products == product.count == 3 + 8


@pytest.mark.parametrize("which", ["largest", "smallest", "magnitude"])
def test_nothing_is_found_where_nothing_is_missing(which):
    matrix, _ = symmetric(SPREAD)
    for seed in range(20):
        pairs = eigenpairs(Matrix(matrix), 4, which=which, seed=seed)
        assert pairs.beyond is None
        assert pairs.certified == (True,) * 4


def test_the_look_can_be_left_out():
    matrix, _ = symmetric(SPREAD)
    looked, not_looked = (eigenpairs(Matrix(matrix), 4, look=look) for look in (8, 0))
    assert looked.products == not_looked.products + 8
    assert torch.equal(looked.values, not_looked.values)


@pytest.mark.parametrize("which", ["largest", "smallest"])
def test_values_far_below_the_largest_are_found_in_single_precision(which):
    sign = -1 if which == "smallest" else 1
    values = sign * torch.tensor([1e4, 3.0, 1e-2, *[0.0] * 80])
    matrix = Matrix(symmetric(values)[0].float())
    pairs = eigenpairs(matrix, 5, which=which)
    assert all(pairs.certified)
    assert ((pairs.values - extreme(values, 5, which)).abs() <= pairs.bounds).all()
    assert matrix.count < 60


def test_no_convergence_is_told():
    matrix, _ = symmetric([10.0, 8, *torch.linspace(1, 0, 400).tolist()])  # two, then no gap
    product = Matrix(matrix)
    pairs = eigenpairs(product, 5, tol=1e-8, most=70)
    assert product.count <= 70
    assert pairs.products == product.count
    assert pairs.wanted == 5
    assert pairs.values.tolist() == pytest.approx([10, 8])
    assert pairs.certified == (False, False)


def test_a_loose_tolerance_of_the_solver_is_not_the_certificates():
    matrix, vectors = symmetric(SPREAD)
    rough = vectors[:, :3] + 0.05 * vectors[:, 10:13]
    pairs = certify(Matrix(matrix), SPREAD[:3], rough, tol=1e-3)
    assert pairs.certified == (False,) * 3


@pytest.mark.parametrize("n", [1, 2, 5, 12, 21, 22])
@pytest.mark.parametrize("k", [1, 5, 30])
@pytest.mark.parametrize("which", ["largest", "smallest", "magnitude"])
def test_tiny_problems(n, k, which):
    values = torch.linspace(2, -1.7, n).double()
    matrix, _ = symmetric(values)
    pairs = eigenpairs(Matrix(matrix), k, tol=1e-8, which=which)
    torch.testing.assert_close(pairs.values, extreme(values, min(k, n), which))
    assert all(pairs.certified)


@pytest.mark.parametrize("n", [5, 60])
def test_a_flat_loss(n):
    pairs = eigenpairs(Matrix(torch.zeros(n, n).double()), 3)
    assert pairs.values.tolist() == [0, 0, 0]
    assert pairs.bounds.tolist() == [0, 0, 0]


def test_the_same_seed_gives_the_same_bits_and_draws_from_nothing_else():
    loss = loss_of("smooth", (7, 17))
    state = torch.get_rng_state()
    found = []
    for seed in (0, 0, 1):
        with Product(loss) as product:
            found.append(eigenpairs(product, 3, seed=seed))
    assert torch.equal(found[0].vectors, found[1].vectors)
    assert torch.equal(found[0].values, found[1].values)
    assert not torch.equal(found[0].vectors, found[2].vectors)
    assert torch.equal(torch.get_rng_state(), state)


def test_impossible_wishes_are_refused():
    matrix = Matrix(symmetric(SPREAD)[0])
    with pytest.raises(ConfigError, match="0 eigenpairs"):
        eigenpairs(matrix, 0)
    with pytest.raises(ConfigError, match=r"37 products to solve for 5 eigenpairs; give 38"):
        eigenpairs(matrix, 5, most=50)
    assert eigenpairs(matrix, 5, most=51).products <= 51


class Twins(nn.Module):
    """Two linear maps that see the same clips and do not meet: every eigenvalue is double."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(4, 9), nn.Linear(4, 9)
        self.other.load_state_dict(self.one.state_dict())

    def forward(self, x):
        return torch.stack([self.one(x), self.other(x)])


def both(logits, labels):
    return sum(nn.functional.cross_entropy(z, labels) for z in logits)


@pytest.mark.parametrize(("tol", "found"), [(1e-3, False), (1e-10, True)])
def test_a_network_of_twins_has_both_copies_or_no_certificate(tol, found):
    torch.manual_seed(0)
    loss = Loss(net=Twins().double().eval(), batches=loss_of("smooth").batches, criterion=both)
    with Product(loss) as product:
        pairs = eigenpairs(product, 4, tol=tol)
    truth = falling(
        whole(Loss(net=loss.net.one, batches=loss.batches, criterion=nn.CrossEntropyLoss()))
    )
    if found:
        assert pairs.values.tolist() == pytest.approx(truth[[0, 0, 1, 1]].tolist(), rel=1e-9)
        assert pairs.certified == (True,) * 4
        assert pairs.orthogonality < 1e-6
    else:
        assert pairs.values.tolist() == pytest.approx(truth[:4].tolist(), rel=1e-5)
        assert pairs.certified == (False,) * 4
        assert pairs.beyond == pytest.approx(truth[0].item(), rel=1e-2)
