"""The arm `standardised` of notebook 1: taught as published, beside arms that stay as they were."""

from types import SimpleNamespace

import pytest
import torch
from said import batch_of, learner_of, said
from tiny_school import CLASSES, quicken, recorded, tiny_config, tiny_feeds, tiny_weak

from redistill.losses.response.standardised import standardised
from redistill.methods.edge_loss import EdgeLoss
from redistill.methods.substage_study import study_fold
from redistill.substage_tables import loss_text

LINE = SimpleNamespace(epoch=lambda name, line: None)


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path_factory):
    quicken(monkeypatch, tmp_path_factory.getbasetemp() / "phases")


def logits(**changes):
    """Test logits by arm; ``lr`` so high that two steps tell losses apart."""
    config = tiny_config(lr=0.05, **changes)
    about = {"classes": CLASSES, "device": "cpu", "line": LINE}
    study = study_fold(config, tiny_feeds(config.views), tiny_weak(config), 0, **about)
    return {name: arm.logits["test"] for name, arm in study.arms.items()}


def test_it_has_the_published_weights_and_no_temperature_of_the_config(monkeypatch):
    seen = recorded(monkeypatch)
    found = logits(arms=("standardised",), temperature=7.0)["standardised"]
    loss = seen[-1].loss
    assert loss == EdgeLoss(ce=0.1, terms=(("standardised", 9.0),), temperature=7.0)
    assert loss_text(loss) == "0.1 labels + 9 standardised"
    assert torch.equal(found, logits(arms=("standardised",))["standardised"])


def test_the_term_is_the_loss_at_its_own_temperature():
    upper = said(2, seed=6)
    loss = EdgeLoss(ce=0.0, terms=(("standardised", 9.0),), temperature=7.0)
    batch = batch_of([upper])
    _, learner = learner_of(loss, [upper])
    wanted = 9 * standardised(learner.taps.logits, upper.logits)
    torch.testing.assert_close(loss(learner, batch, 0.0), wanted)


def test_beside_others_it_differs_and_changes_none():
    alone, both = logits(arms=("kd",)), logits(arms=("kd",), also=("standardised",))
    assert both.keys() == {"teacher", "kd", "standardised"}
    assert all(torch.equal(both[name], alone[name]) for name in alone)
    assert not torch.equal(both["standardised"], both["kd"])
    assert not torch.equal(both["standardised"], logits(arms=("dkd",))["dkd"])
