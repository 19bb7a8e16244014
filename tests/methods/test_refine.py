"""Refined labels against slow loops, SciPy and closed forms; the gate; the guard."""

import re

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy
from torch.nn import functional as F

from redistill.errors import ConfigError
from redistill.methods.refine import (
    Refinement,
    guarded,
    initial_labels,
    negatives,
    refine,
    uncertainty,
)
from redistill.video.sealed import SealedLabels
from redistill.video.weak_labels import WeakLabels

N, K, S = 60, 4, 3
OPEN = {"rho_sel": 1.0, "rho_cap": 1.0}  # the gate lets everything through


def pool(n=N, k=K, trusted=0.2, hidden=0.4, seed=0) -> WeakLabels:
    """A pool with trusted, hidden and noisy clips."""
    draw = np.random.default_rng(seed)
    truth, kind = draw.integers(0, k, n), draw.random(n)
    initial = np.where(draw.random(n) < 0.3, (truth + 1) % k, truth)
    known = kind < trusted
    initial = np.where(known, truth, np.where(kind < trusted + hidden, -1, initial))
    return WeakLabels(initial, known, SealedLabels(truth), "sources")


def noisy(initial, k=K) -> WeakLabels:
    initial = np.asarray(initial)
    return WeakLabels(initial, np.zeros(len(initial), bool), SealedLabels(initial), "noisy")


def drawn(n=N, k=K, s=S, seed=0, scale=2.0):
    """Views that agree in part: a common part and one of each view."""
    draw = torch.Generator().manual_seed(seed)
    common = scale * torch.randn(1, n, k, generator=draw)
    return torch.softmax(common + torch.randn(s, n, k, generator=draw), 2)


def doubled(views):
    return views.double() / views.double().sum(2, keepdim=True)


def certain(labels, s=S, k=K):
    return F.one_hot(torch.as_tensor(labels), k).float().expand(s, -1, -1)


WEAK, VIEWS = pool(), drawn()
START = initial_labels(WEAK, K)


def once(views=VIEWS, weak=WEAK, round=1, previous=None, **settings):
    start = initial_labels(weak, views.shape[2]) if previous is None else previous
    return refine(start, weak, views, Refinement(**settings), round=round)


def slow(views, weak, q, *, share, lam_max=0.6, w_min=0.2, t=0.5):
    """Spec 5, items 1 to 4, clip by clip in double precision."""
    views, q = views.double().numpy(), q.double().numpy().copy()
    mean = np.array([sum(view[i] for view in views) / len(views) for i in range(len(q))])
    unsure = [
        sum(entropy(view[i], mean[i]) for view in views) / len(views) / np.log(len(views))
        for i in range(len(q))
    ]
    gate = np.zeros(len(q), bool)
    for label in range(q.shape[1]):
        own = [i for i in range(len(q)) if mean[i].argmax() == label and not weak.trusted[i]]
        own.sort(key=lambda i: (unsure[i] - mean[i].max(), i))
        gate[own[: int(np.floor(share * len(own) + 0.5))]] = True
    w = np.ones(len(q))
    for i, label in enumerate(weak.initial):
        if weak.trusted[i]:
            q[i] = np.eye(q.shape[1])[label]
        elif label < 0:
            q[i] = mean[i] ** (1 / t) / (mean[i] ** (1 / t)).sum()
            w[i] = gate[i] * (1 - unsure[i]) + (1 - gate[i]) * w_min
        else:
            lam = lam_max * gate[i] * (1 - unsure[i])
            q[i] = (1 - lam) * q[i] + lam * mean[i]
            w[i] = max(w_min, 1 - unsure[i])
    return q, w, gate


def test_two_rounds_are_the_definition_clip_by_clip():
    settings = Refinement(rho_sel=0.4, rho_step=0.2, w_min=0.3, T_sharpen=0.7)
    labels, q = START, START.q
    for round, views in ((1, VIEWS), (2, drawn(seed=1))):
        q, w, gate = slow(views, WEAK, q, share=(0.4, 0.6)[round - 1], w_min=0.3, t=0.7)
        labels = refine(labels, WEAK, views, settings, round=round)
        np.testing.assert_allclose(labels.q, q, atol=1e-6)
        np.testing.assert_allclose(labels.w, w, atol=1e-6)
        assert (labels.selected.numpy() == gate | WEAK.trusted).all()
        assert labels.round == round
        q = labels.q


@pytest.mark.parametrize("kind", ["js", "entropy", "std"])
@pytest.mark.parametrize("gate", ["quantile", "absolute"])
def test_labels_stay_on_the_simplex_and_trusted_ones_never_change(kind, gate):
    found, before = START, [t.clone() for t in (START.q, VIEWS)]
    for round in (1, 2, 3):
        found = once(round=round, previous=found, unc_kind=kind, gate=gate, kappa_p=0.2)
        assert found.q.dtype == found.w.dtype == found.uncertainty.dtype == torch.float32
        assert found.q.min() >= 0
        torch.testing.assert_close(found.q.sum(1), torch.ones(N))
        for part in (found.w, found.uncertainty):
            assert part.min() >= 0
            assert part.max() <= 1
        assert torch.equal(found.q[WEAK.trusted], START.q[WEAK.trusted])
        assert (found.w[WEAK.trusted] == 1).all()
        assert found.selected[WEAK.trusted].all()
    assert all(torch.equal(a, b) for a, b in zip(before, (START.q, VIEWS), strict=True))


def test_uncertainty_js_is_that_of_scipy_for_two_views():
    views = doubled(drawn(s=2))  # SciPy divides by the sums, so they must be exact
    wanted = [jensenshannon(views[0, i], views[1, i]) ** 2 / np.log(2) for i in range(N)]
    np.testing.assert_allclose(uncertainty(views, "js"), wanted, atol=1e-12)


def test_js_lies_between_equal_and_disjoint_views():
    three = torch.eye(3).double()[:, None]  # one clip, each view sure of another class
    assert uncertainty(three, "js").item() == pytest.approx(1)  # log 3 over log 3
    equal = VIEWS[:1].double().expand(3, -1, -1)
    assert uncertainty(equal, "js").max() < 1e-12
    assert uncertainty(VIEWS.double(), "js").min() > 1e-4
    assert uncertainty(VIEWS.double(), "js").max() < 1


def test_entropy_and_std_are_those_of_numpy_and_scipy():
    exact = doubled(VIEWS)
    views, mean = exact.numpy(), exact.mean(0).numpy()
    wanted = entropy(mean, axis=1) / np.log(K)
    np.testing.assert_allclose(uncertainty(exact, "entropy"), wanted, atol=1e-12)
    top = [np.std(views[:, i, mean[i].argmax()], ddof=1) for i in range(N)]
    np.testing.assert_allclose(uncertainty(exact, "std"), top, atol=1e-12)
    one = exact[:1]
    assert uncertainty(one, "entropy").shape == (N,)
    for kind in ("js", "std"):
        with pytest.raises(ConfigError, match=r"needs at least 2 views, got 1.*'entropy'"):
            uncertainty(one, kind)


def test_views_that_contradict_each_other_move_no_label_and_weigh_little():
    apart = torch.eye(3)[:, None].expand(-1, 2, -1)
    weak = WeakLabels(np.array([0, -1]), np.zeros(2, bool), SealedLabels([0, 1]), "sources")
    found = once(apart, weak, **OPEN)
    torch.testing.assert_close(found.q, torch.tensor([[1, 0, 0], [1 / 3] * 3]))
    torch.testing.assert_close(found.w, torch.tensor([0.2, 0.0]), atol=1e-6, rtol=0)
    shut = once(apart, weak, rho_sel=0.0, w_min=0.3)
    torch.testing.assert_close(shut.w, torch.tensor([0.3, 0.3]))


def test_a_closed_gate_leaves_noisy_labels_as_they_are():
    weak = noisy(np.arange(N) % K)
    found = once(weak=weak, rho_sel=0.0)
    assert torch.equal(found.q, initial_labels(weak, K).q)
    assert not found.selected.any()


def test_predictions_that_equal_the_labels_are_a_fixed_point():
    labels = np.arange(N) % K
    weak = noisy(labels)
    start = initial_labels(weak, K)
    found = once(certain(labels), weak, **OPEN)
    assert torch.equal(found.q, start.q)
    assert torch.equal(found.w, start.w)


@pytest.mark.parametrize(("lam", "rounds"), [(0.1, 7), (0.3, 2), (0.4, 2), (0.6, 1), (1.0, 1)])
def test_a_wrong_label_turns_after_as_many_rounds_as_the_logarithm_says(lam, rounds):
    weak, views = noisy([0]), certain([1])
    if lam < 1:
        assert rounds == int(np.floor(np.log(0.5) / np.log(1 - lam))) + 1
    labels = initial_labels(weak, K)
    for round in range(1, rounds + 1):
        assert labels.q.argmax() == 0
        labels = once(views, weak, round, labels, lam_max=lam, **OPEN)
        assert labels.q[0, 0].item() == pytest.approx((1 - lam) ** round, abs=1e-6)
    assert labels.q.argmax() == 1


def test_one_round_turns_no_label_while_lambda_is_below_a_half():
    weak = noisy(np.arange(N) % K)
    sure = drawn(scale=20.0)
    assert (once(sure, weak, lam_max=0.499, **OPEN).q.argmax(1) == torch.arange(N) % K).all()
    assert (once(sure, weak, lam_max=0.6, **OPEN).q.argmax(1) != torch.arange(N) % K).any()
    # Nor do rounds whose blending leaves more than a half: (1 - .25)^2 > 1/2.
    labels = initial_labels(weak, K)
    for round in (1, 2):
        labels = once(sure, weak, round, labels, lam_max=0.25, **OPEN)
    assert (labels.q.argmax(1) == torch.arange(N) % K).all()


def test_a_set_that_is_all_trusted_stays_without_noise():
    weak = pool(trusted=1.1)
    found = initial_labels(weak, K)
    for round in (1, 2, 3):
        found = once(drawn(seed=round), weak, round, found, lam_max=1.0, **OPEN)
    assert (found.q.argmax(1).numpy() == weak.truth.open("test")).all()
    assert torch.equal(found.q, initial_labels(weak, K).q)
    assert once(weak=weak, gate="absolute", tau_p=1.0).selected.all()  # no gate, no error


def test_gates_are_nested():
    before = torch.ones(N, dtype=torch.bool)
    for share in (1.0, 0.9, 0.65, 0.5, 0.3, 0.1, 0.0):
        chosen = once(rho_sel=share, rho_cap=1.0).selected
        assert not (chosen & ~before).any()
        before = chosen
    assert (before.numpy() == WEAK.trusted).all()
    counts = []
    for tau in (0.3, 0.5, 0.7, 0.9):
        chosen = once(gate="absolute", tau_p=tau, kappa_p=0.3).selected
        assert not counts or not (chosen & ~before).any()
        before = chosen
        counts.append(int(chosen.sum()))
    assert counts[0] > counts[-1]


def test_the_quantile_gate_takes_the_same_share_of_each_predicted_class():
    views = drawn(n=400, scale=1.0)
    views = (views * torch.tensor([4.0, 1, 1, 0.4])).softmax(2)  # a favoured class
    weak = pool(n=400)
    found = once(views, weak, rho_sel=0.6)
    predicted, rest = views.mean(0).argmax(1), ~torch.tensor(weak.trusted)
    sizes = [(rest & (predicted == label)).sum().item() for label in range(K)]
    assert max(sizes) > 2 * min(sizes)
    for label, size in enumerate(sizes):
        taken = (found.selected & rest & (predicted == label)).sum().item()
        assert taken == int(0.6 * size + 0.5)


def test_equal_scores_go_by_place():
    weak = noisy([0] * 10)
    found = once(VIEWS[:, :1].expand(-1, 10, -1), weak, rho_sel=0.3)
    assert found.selected.tolist() == [True] * 3 + [False] * 7


@pytest.mark.parametrize("gate", ["quantile", "absolute"])
def test_renaming_the_classes_renames_the_labels(gate):
    turned = [2, 0, 3, 1]  # column j of the renamed views is class turned[j]
    names = np.argsort(turned)
    initial = np.where(WEAK.initial < 0, -1, names[WEAK.initial])
    weak = WeakLabels(initial, WEAK.trusted, WEAK.truth, "sources")
    settings = {"gate": gate, "kappa_p": 0.2, "neg_labels": True, "kappa_n": 0.05}
    a, b = once(**settings), once(VIEWS[:, :, turned], weak, **settings)
    torch.testing.assert_close(b.q, a.q[:, turned])
    torch.testing.assert_close(b.w, a.w)
    assert torch.equal(a.selected, b.selected)
    never = [
        negatives(views, labels, Refinement(**settings))
        for views, labels in ((VIEWS, a), (VIEWS[:, :, turned], b))
    ]
    assert torch.equal(never[1], never[0][:, turned])


def test_the_absolute_gate_is_that_of_ups():
    found = once(gate="absolute", tau_p=0.6, kappa_p=0.1)
    for i in np.flatnonzero(~WEAK.trusted):
        views = VIEWS[:, i].double().numpy()
        top = views.mean(0).argmax()
        wanted = views.mean(0)[top] >= 0.6 and np.std(views[:, top], ddof=1) < 0.1
        assert found.selected[i].item() == wanted
    assert 0 < found.selected[~WEAK.trusted].sum() < (~WEAK.trusted).sum()


def test_an_absolute_gate_that_closes_on_all_names_what_would_work():
    with pytest.raises(ConfigError, match=r"none of \d+ clips at tau_p = 0.99 and") as caught:
        once(gate="absolute", tau_p=0.99, kappa_p=0.001)
    message = str(caught.value)
    assert "gate = 'quantile'" in message
    best = VIEWS.double().mean(0).amax(1)[~WEAK.trusted].max().item()
    assert f"best confidence is {best:.3f}" in message
    tau, kappa = re.search(r"would pass at tau_p = (\S+) and kappa_p = ([\d.]+);", message).groups()
    found = once(gate="absolute", tau_p=float(tau), kappa_p=float(kappa))
    assert found.selected[~WEAK.trusted].sum() >= 1


def test_negative_labels_are_classes_surely_not_meant():
    settings = Refinement(neg_labels=True, rho_sel=0.3, kappa_n=0.03, tau_n=0.3)
    labels = refine(START, WEAK, VIEWS, settings, round=1)
    mask = negatives(VIEWS, labels, settings)
    assert (mask.dtype, mask.shape) == (torch.bool, (N, K))
    views = VIEWS.double().numpy()
    for i in range(N):
        mean = views[:, i].mean(0)
        for k in range(K):
            sure = mean[k] < 0.3 and np.std(views[:, i, k], ddof=1) < 0.03
            assert mask[i, k].item() == (sure and not labels.selected[i])
    assert mask.any()
    assert not negatives(VIEWS, labels, Refinement()).any()


def test_the_class_that_the_views_favour_is_never_a_negative_label():
    flat = torch.full((2, 1, 30), 1 / 30)  # every class lies below tau_n
    settings = Refinement(neg_labels=True, rho_sel=0.0)
    weak = noisy([3])
    mask = negatives(
        flat, refine(initial_labels(weak, 30), weak, flat, settings, round=1), settings
    )
    assert mask.sum() == 29
    assert not mask[0, 0]


def test_the_guard_keeps_the_previous_labels_after_a_fall_beyond_one_standard_error():
    new = once()
    # a = .8 of 100 clips: one standard error is .04
    assert guarded(START, new, 0.8, 0.761, 100) == (new, True)
    assert guarded(START, new, 0.8, 0.759, 100) == (START, False)
    assert guarded(START, new, 0.8, 0.759, 25) == (new, True)
    assert guarded(START, new, 1.0, 1.0, 5) == (new, True)
    with pytest.raises(ConfigError, match="on 0 validation clips"):
        guarded(START, new, 0.8, 0.8, 0)
    with pytest.raises(ConfigError, match="shares from 0 to 1"):
        guarded(START, new, 80, 79, 100)


def test_under_the_guard_agreement_never_falls_by_more_than_its_standard_error():
    draw = np.random.default_rng(0)
    kept, labels, refused = 0.8, START, 0
    for round, now in enumerate(draw.uniform(0.6, 0.95, 40), 1):
        new = once(round=round)
        labels, taken = guarded(labels, new, kept, now, 50)
        assert taken == (labels is new)
        if taken:
            assert now >= kept - np.sqrt(kept * (1 - kept) / 50)
            kept = now
        refused += not taken
    assert 0 < refused < 40


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unc_kind": "jsd"}, "unc_kind = 'jsd': choose from js, entropy, std. Did you mean 'js'"),
        ({"gate": "quantil"}, "Did you mean 'quantile'"),
        ({"rho_sel": -0.1}, "rho_sel = -0.1: must lie between 0 and 1"),
        ({"lam_max": 1.1}, "lam_max = 1.1"),
        ({"kappa_n": 2}, "kappa_n = 2"),
        ({"rho_sel": 0.95}, "rho_sel = 0.95 lies above rho_cap = 0.9"),
        ({"T_sharpen": 0}, "T_sharpen = 0: must lie above 0"),
    ],
)
def test_settings_that_cannot_be_are_named(settings, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        Refinement(**settings)


def test_the_share_grows_by_round_to_its_cap():
    shares = [Refinement().share(round) for round in (1, 2, 3, 4, 9)]
    assert shares == pytest.approx([0.5, 0.65, 0.8, 0.9, 0.9])
    with pytest.raises(ConfigError, match="counts its rounds from 1"):
        once(round=0)


@pytest.mark.parametrize(
    ("views", "message"),
    [
        (VIEWS.log(), "give the softmax of the logits"),
        (VIEWS / 0, "give the softmax"),
        (VIEWS[:, :5], r"views of shape \(3, 5, 4\): expected \(views, 60 clips, 4 classes\)"),
        (VIEWS[0], "in the order of the labels"),
        (VIEWS[:0], "expected"),
    ],
)
def test_views_that_are_no_probabilities_are_named(views, message):
    with pytest.raises(ConfigError, match=message):
        once(views, previous=START)
