"""A network with adapters: what is built, what learns, what it costs to ask for less."""

import pytest
import torch
from torch.nn import functional as F

from redistill.nets.averaging import averaging
from redistill.nets.edge import ADAPTERS, Adapter, Learner, Widths, build_edge, widths
from redistill.nets.video import Taps, build_video

FRAMES, CLASSES, B = 4, 3, 5
KINDS = ("tsn10", "shift10", "tsn50", "shift_mobilenet_v2", "r3d_18", "r2plus1d_18")
OVER = (Widths((12, 24), 24), Widths((20, 40), 40))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def build(name="shift10", width=2, seed=0):
    return build_video(name, width=width, classes=CLASSES, frames=FRAMES, seed=seed)


def clips(seed=1):
    return torch.randn(B, FRAMES, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def edge_of(uses, *, keep=2, over=OVER, seed=0):
    return build_edge(build(), over, keep=keep, uses=uses, seed=seed)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("width", [2, 3])
@pytest.mark.parametrize("keep", range(5))
def test_widths_are_those_of_what_a_network_says(name, width, keep):
    net = build(name, width).eval()
    with torch.no_grad():
        taps = net.taps(clips(), keep=keep)
    assert widths(net, keep).maps == tuple(x.shape[1] for x in taps.maps)
    assert widths(net, keep).embedding == taps.embedding.shape[1]


def test_in_training_it_says_all_that_an_objective_reads():
    edge = edge_of(("maps", "embedding")).train()
    learner = edge(clips())
    assert isinstance(learner, Learner)
    twin = build().train()
    wanted = twin.taps(clips(), keep=2)
    assert torch.equal(learner.taps.logits, wanted.logits)
    assert all(map(torch.equal, learner.taps.maps, wanted.maps))
    assert len(learner.adapted) == len(learner.adapters) == len(learner.scales) == 2
    for taps, over in zip(learner.adapted, OVER, strict=True):
        assert tuple(x.shape[1] for x in taps.maps) == over.maps
        assert [x.shape[2:] for x in taps.maps] == [x.shape[2:] for x in wanted.maps]
        assert taps.embedding.shape == (B, over.embedding)
        assert taps.logits is learner.taps.logits


def test_in_evaluation_it_is_the_network_alone():
    edge = edge_of(("maps", "embedding")).eval()
    assert torch.equal(edge(clips()), build().eval()(clips()))


@pytest.mark.parametrize(
    ("uses", "convs", "linear", "review", "queue"),
    [
        ((), 0, False, False, False),
        (("maps",), 2, False, False, False),
        (("embedding",), 0, True, False, False),
        (("review",), 0, False, True, False),
        (("queue",), 0, True, False, True),
        (("embedding", "maps"), 2, True, False, False),
    ],
)
def test_there_is_no_adapter_that_no_loss_asks_for(uses, convs, linear, review, queue):
    assert set(uses) <= set(ADAPTERS)
    for adapter in edge_of(uses).adapters:
        assert len(adapter.maps) == convs
        assert isinstance(adapter.embedding, torch.nn.Linear) == linear
        assert (adapter.review is not None) == review
        assert (adapter.queue is not None) == queue
    taps = edge_of(uses).train()(clips())
    if not uses:
        assert all(map(torch.equal, taps.adapted[0].maps, taps.taps.maps))
        assert not list(edge_of(uses).adapters.parameters())


def test_embeddings_of_one_width_need_no_adapter():
    adapter = Adapter(Widths((), 16), Widths((), 16), classes=3, uses=("embedding",))
    assert isinstance(adapter.embedding, torch.nn.Identity)


@pytest.mark.parametrize("name", KINDS)
def test_a_queue_holds_embeddings_above_and_the_classes_of_the_network(name):
    edge = build_edge(build(name), OVER, keep=2, uses=("queue",), seed=0)
    for adapter, over in zip(edge.adapters, OVER, strict=True):
        assert adapter.queue.weights.shape[1] == CLASSES
        assert adapter.queue.student.shape[1] == over.embedding


def test_the_adapted_is_a_linear_map_of_channels():
    """A 1 x 1 x 1 convolution: each place by itself, by the same matrix."""
    edge = edge_of(("maps", "embedding")).train()
    learner = edge(clips())
    conv, linear = edge.adapters[1].maps[0], edge.adapters[1].embedding
    wanted = torch.einsum("oc,bcthw->bothw", conv.weight[:, :, 0, 0, 0], learner.taps.maps[0])
    wanted = wanted + conv.bias.view(-1, 1, 1, 1)
    torch.testing.assert_close(learner.adapted[1].maps[0], wanted, atol=1e-5, rtol=1e-4)
    wanted = learner.taps.embedding @ linear.weight.T + linear.bias
    torch.testing.assert_close(learner.adapted[1].embedding, wanted)


def test_review_gives_maps_of_the_widths_above():
    edge = edge_of(("review",)).train()
    for taps, over in zip(edge(clips()).adapted, OVER, strict=True):
        assert tuple(x.shape[1] for x in taps.maps) == over.maps


def test_adapters_depend_on_the_seed_alone_and_draw_from_nobody():
    state = torch.random.get_rng_state()
    first = edge_of(("maps", "embedding", "queue"))
    assert torch.equal(state, torch.random.get_rng_state())
    torch.rand(9)
    again, other = (edge_of(("maps", "embedding", "queue"), seed=s) for s in (0, 1))
    same = first.adapters.state_dict()
    assert all(torch.equal(x, same[name]) for name, x in again.adapters.state_dict().items())
    assert not torch.equal(other.adapters[0].maps[0].weight, first.adapters[0].maps[0].weight)


def test_a_step_moves_network_adapters_and_noise_but_no_target():
    edge = edge_of(("maps", "embedding")).train()
    upper = build(width=3, seed=5).eval()
    before = {name: x.clone() for name, x in upper.state_dict().items()}
    start = {name: x.clone() for name, x in edge.state_dict().items()}
    with torch.no_grad():
        target = upper.taps(clips(), keep=2)
    learner = edge(clips())
    gap = (learner.adapted[0].maps[1] - target.maps[1]).square().mean()
    gap = gap + (learner.adapted[0].embedding - target.embedding).square().mean()
    gap = gap + sum(x.square().mean() for x in (*learner.adapted[0].maps, learner.scales - 1))
    gap = gap + learner.taps.logits.square().mean()
    gap.backward()
    torch.optim.SGD(edge.parameters(), lr=1.0).step()
    moved = {name for name, x in edge.state_dict().items() if not torch.equal(x, start[name])}
    assert {name.split(".")[0] for name in moved} == {"net", "adapters", "scales"}
    assert {name for name in moved if name.startswith("adapters.0")} == {
        name for name in start if name.startswith("adapters.0")
    }
    assert not any(name.startswith("adapters.1") for name in moved)
    assert all(torch.equal(x, before[name]) for name, x in upper.state_dict().items())


def test_half_precision_becomes_single():
    edge = edge_of(("maps", "embedding")).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        learner = edge(clips())
    assert learner.taps.logits.dtype == torch.bfloat16
    full = learner.float()
    parts = [full.taps, *full.adapted]
    assert {x.dtype for t in parts for x in (t.logits, t.embedding, *t.maps)} == {torch.float32}
    assert full.adapters is learner.adapters
    assert full.scales is learner.scales


def test_what_is_kept_is_part_of_what_tells_edges_apart():
    """Of the layout that a phase's key is made of."""
    told = {repr(edge_of((), keep=keep, over=(Widths((), 24),) * 0)) for keep in range(5)}
    assert len(told) == 5


def test_maps_of_stages_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="zip"):
        Adapter(Widths((8, 16), 16), Widths((24,), 24), classes=3, uses=("maps",))


# Averaging by a matrix.


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 14])
@pytest.mark.parametrize("wanted", [1, 2, 3, 5, 7])
def test_averaging_is_torchs_adaptive_pooling(size, wanted):
    if wanted > size:
        return
    x = torch.randn(2, 3, size, generator=torch.Generator().manual_seed(0)).double()
    ours = x @ averaging(size, wanted).double().T
    torch.testing.assert_close(ours, F.adaptive_avg_pool1d(x, wanted), rtol=1e-6, atol=1e-7)
    assert averaging(size, wanted).sum(1).tolist() == pytest.approx([1] * wanted)


def test_averaging_is_twice_differentiable():
    x = torch.randn(2, 6, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    matrix = averaging(6, 4).double()
    assert torch.autograd.gradgradcheck(lambda t: (t @ matrix.T).square().sum(), (x,))


def test_taps_change_alike():
    taps = Taps(torch.ones(2, 3), torch.ones(2, 4), (torch.ones(2, 4, 1, 1, 1),))
    twice = taps.apply(lambda x: 2 * x)
    assert all((x == 2).all() for x in (twice.logits, twice.embedding, *twice.maps))
