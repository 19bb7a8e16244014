"""Loss shares of the substage board: against the losses of the training itself, and by hand."""

import copy

import pytest
import torch
from told_board import tiny  # which finds it in another folder of tests

from redistill.explore.substage_lessons import DEPLOYED, NOISE, lessons, parts_of
from redistill.explore.substage_shares import draw, measure, shares
from redistill.losses.correlation.pair import pair
from redistill.losses.distribution.gauss import gauss
from redistill.losses.feature.norm_mse import norm_mse
from redistill.losses.relation.sp import sp
from redistill.methods.branches import ALL
from redistill.methods.edge_loss import EdgeLoss
from redistill.methods.staged import train_staged
from redistill.predict import forward


@pytest.fixture(autouse=True)
def quick_shares(monkeypatch, tmp_path_factory):
    tiny.quicken(monkeypatch, tmp_path_factory.getbasetemp() / "phases")


def told(monkeypatch, **changes):
    """Train a tiny cascade; return school, cascade, lessons, samples and what trained each edge."""
    school = tiny.tiny_school(**changes)
    seen = tiny.recorded(monkeypatch)
    found = train_staged(school, tiny.taught(school))
    truth = torch.arange(len(school.train)) % school.classes
    return school, found, lessons(school, found, truth), draw(school, batches=1), seen


def learner_of_last_step(whole, batch):
    with torch.no_grad():
        return forward(copy.deepcopy(whole).train(), batch, device="cpu", amp=False)


VARIANTS = {
    "plain": {},
    "one branch": {"kinds": ("rel",), "refresh": "once"},
    "dense": {"cascade": "dense", "corr_reading": "mismatch", "kd_target": "view",
              "kinds": ("fea", "rel")},
    "shared": {"branch_sharing": "assistants", "corr_reading": "pearson",
               "cascade_init": "inherit", "combine": "learned"},
    "by class, with a queue": {"n_assistants": 0, "fd_kind": "gauss_class", "ce_in_branch": False,
                               "branch_data": "partition", "refinement": False},
    "in sequence": {"cascade": "sequential", "neg_labels": True},
    "of each branch": {"n_assistants": 0, "deploy_from": "branches", "weighting": "fd",
                       "fd_gamma": 0.0, "rho_cor": 0.0},
    "learned weights": {"n_assistants": 0, "deploy_from": "branches", "weighting": "uncertainty"},
}  # fmt: skip


def below_the_mean(views, labels, settings):
    return views.mean(0) < 1 / views.shape[2]


@pytest.mark.parametrize("name", VARIANTS)
def test_the_parts_add_up_to_the_loss_that_training_minimised(name, monkeypatch):
    """The feed and the loss that each edge was trained with, on the clips of the sample."""
    for module in ("methods.staged", "explore.substage_shares"):  # as a sure teacher would do
        monkeypatch.setattr(f"redistill.{module}.negatives", below_the_mean)
    school, found, given, samples, seen = told(monkeypatch, **VARIANTS[name])
    before = [tiny.weights(one.learned.whole) for one in given]
    values = measure(given, found, samples, school.config)
    (sample,) = samples
    assert [one.name for one in given][1:] == list(values)[1:]
    assert len(given) == 1 + len(seen)
    for one, trained in zip(given[1:], seen, strict=True):
        batch = trained.feed._take(sample.chosen, sample.view)
        learner = learner_of_last_step(one.learned.whole, batch)
        wanted = trained.loss(learner, batch, 1.0).item()
        assert sum(values[one.name]) == pytest.approx(wanted, rel=2e-4), one.name
        assert torch.equal(found.rounds[one.round].labels.q, trained.feed.labels)
        assert torch.equal(found.rounds[one.round].labels.w, trained.feed.weights)
    for one, was in zip(given, before, strict=True):  # nothing was trained, no statistic moved
        assert all(torch.equal(was[k], v) for k, v in one.learned.whole.state_dict().items())


def test_each_term_is_its_loss_function_called_by_hand(monkeypatch):
    school, found, given, samples, seen = told(monkeypatch)
    values = measure(given, found, samples, school.config)
    rounds = {one.name: one.round for one in given}
    assert [rounds[x] for x in ("teacher", "fea 1", "rel 2", DEPLOYED)] == [0, 1, 2, 3]
    (sample,) = samples
    by_name = {one.name: (one, made) for one, made in zip(given[1:], seen, strict=True)}
    for kind, first in {"res": hinton_by_hand, "fea": maps_by_hand, "rel": rows_by_hand}.items():
        one, made = by_name[f"{kind} 2"]
        batch = made.feed._take(sample.chosen, sample.view)
        learner = learner_of_last_step(one.learned.whole, batch)
        (upper,), (adapted,) = batch.uppers, learner.adapted
        wanted = {
            "labels": (0.5 if kind == "res" else 1.0) * labels_by_hand(learner, batch),
            {"res": "response", "fea": "feature", "rel": "relation"}[kind]: first(learner, upper),
            "distribution": 0.05 * gauss(adapted.embedding, upper.embedding).item(),
            "correlation": 0.1 * pair(learner.taps.embedding, upper.embedding).item(),
        }
        got = dict(zip((part.slot for part in one.parts), values[one.name], strict=True))
        assert got == pytest.approx(wanted, rel=2e-4)
        whole = sum(wanted.values())
        parts = dict(zip(got, shares(values[one.name]), strict=True))
        assert parts == pytest.approx({k: v / whole for k, v in wanted.items()}, rel=1e-3)
        assert sum(parts.values()) == pytest.approx(1, abs=1e-12)


def labels_by_hand(learner, batch):
    """A slow loop over clips and classes."""
    total = weight = 0.0
    for logits, q, w in zip(
        learner.taps.logits.double(), batch.labels.double(), batch.weights.tolist(), strict=True
    ):
        log_p = logits - logits.exp().sum().log()
        total += w * -sum(a * b for a, b in zip(q.tolist(), log_p.tolist(), strict=True))
        weight += w
    return total / weight


def hinton_by_hand(learner, upper):
    p, q = (upper.logits / 4).softmax(1), (learner.taps.logits / 4).softmax(1)
    return 0.5 * 16 * (p * (p / q).log()).sum().item() / len(p)


def maps_by_hand(learner, upper):
    pairs = zip(learner.adapted[0].maps, upper.maps, strict=True)
    each = [norm_mse(a, b).item() for a, b in pairs]
    assert len(each) == 2
    return sum(each) / 2


def rows_by_hand(learner, upper):
    return sp(learner.taps.embedding, upper.embedding).item()


def test_the_teacher_learns_from_labels_alone_also_when_it_knows_them_all(monkeypatch):
    for changes in ({}, {"teacher_labels": "full", "kinds": ("rel",), "n_assistants": 0}):
        school, found, given, samples, _ = told(monkeypatch, **changes)
        assert [part.slot for part in given[0].parts] == ["labels"]
        (value,) = measure(given, found, samples, school.config)["teacher"]
        few = samples[0].school.train
        learner = forward(
            copy.deepcopy(found.networks[ALL, 0].whole).train(),
            next(few.epoch(0, batch=len(few), seed=0)), device="cpu", amp=False,
        )  # fmt: skip
        order = next(few.epoch(0, batch=len(few), seed=0)).clips
        place = [school.train.clips.index(name) for name in order]
        known = torch.as_tensor(school.weak.trusted)[place]
        if changes:
            known = torch.ones(len(place), dtype=torch.bool)
        truth = (torch.tensor(place) % school.classes)[known]
        own = torch.nn.functional.cross_entropy(learner.taps.logits[known], truth)
        assert value == pytest.approx(own.item(), rel=1e-4)


def test_several_batches_are_a_mean_over_their_clips(monkeypatch):
    school, found, given, _, _ = told(
        monkeypatch, batch=5, trusted_share=0.2, kinds=("fea",), n_assistants=0
    )
    three = draw(school, batches=3)
    assert [len(one.chosen) for one in three] == [5, 5, 5]
    assert [one.view for one in three] == [0, 1, 2]
    each = [measure(given, found, [one], school.config)["fea 1"] for one in three]
    got = measure(given, found, three, school.config)["fea 1"]
    assert got == pytest.approx([sum(parts) / 3 for parts in zip(*each, strict=True)])
    assert len(draw(school, batches=99)) == len(list(school.taught(found.rounds[0].labels).epoch(
        0, batch=5, seed=0)))  # fmt: skip


def test_parts_of_weight_nothing_are_left_out():
    loss = EdgeLoss(ce=0.0, terms=(("kd", 0.5), ("pkt", 0.0), ("pkt", 0.1)), rho=0.0)
    parts = parts_of(loss, ("res", "rel"))
    assert [(part.slot, part.name) for part in parts] == [
        ("response", "kd"), ("distribution", "pkt"),
    ]  # fmt: skip
    assert parts_of(EdgeLoss(weighting="uncertainty"), ())[-1].slot == NOISE


def test_shares_of_nothing_are_nothing_and_a_negative_part_counts_by_its_size():
    assert shares([0.0, 0.0]) == (0.0, 0.0)
    assert shares([3.0, -1.0]) == (0.75, 0.25)
