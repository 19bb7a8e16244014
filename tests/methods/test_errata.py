"""Each erratum by hand from exits made up: who is subtracted from whom, and who is left out."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from exit_logits import drawn

from redistill.exit_scores import FoldExits
from redistill.methods import errata
from redistill.methods.cascade import choose_threshold, walk
from redistill.methods.errata import Erratum
from redistill.methods.wise import fit_prefixes
from redistill.scores import FoldScores

ORDER = ("residual", "mv", "iframe")
MACS = {"residual": (10, 20, 30, 40), "mv": (11, 22, 33, 44), "iframe": (50, 100, 150, 200)}
PLAIN = 230
# Of 20 clips, how many the ICs of each arm get right, and how many the last exit does.
RIGHT = {
    "ce": (4, 11), "pkd": (7, 11), "pkd_iframe": (9, 11), "pkd_bias": (6, 11),
    "anticurriculum": (5, 11), "ce_long": (8, 11), "pkd_long": (10, 11), "ce_drift": (3, 8),
    "pkd_drift": (2, 8), "ce_released": (1, 11), "pkd_released": (12, 11),
    "anticurriculum_released": (0, 11),
}  # fmt: skip


def answers(ics, last):
    """Return logits (4, 20, 2): each IC right on the first ``ics`` clips, the last on ``last``."""
    right = torch.arange(20) < torch.tensor([ics, ics, ics, last])[:, None]
    return torch.stack([right, ~right], dim=-1).float()


def made_up(arms):
    said = {arm: dict.fromkeys(ORDER, answers(*RIGHT[arm])) for arm in arms}
    labels = torch.zeros(20, dtype=torch.int64)
    nothing = {arm: dict.fromkeys(ORDER, 1 - answers(20, 20)) for arm in arms}  # val: all wrong
    logits = {"val": nothing, "test": said}
    return FoldExits(0, logits, {"val": labels, "test": labels}, MACS, PLAIN)


def found(arms):
    return {
        (e.defect, e.measure): (e.as_released, e.corrected, e.as_printed)
        for e in errata.training_errata([made_up(arms)])
    }


def test_every_training_erratum_by_hand():
    """A clip of 20 is 5 points."""
    wanted = {
        ("chain ends at the own last exit", "PKD minus CE"): (15, 15, 25),
        ("twice the steps for PKD", "PKD minus CE"): (30, 15, None),
        ("CE given as many steps", "PKD minus CE"): (10, 15, None),
        ("output biases fixed in PKD", "mean of ICs"): (30, 35, None),
        ("BatchNorm drifts, PKD", "mean of ICs"): (10, 35, None),
        ("BatchNorm drifts, CE", "mean of ICs"): (15, 20, None),
        ("whole recipe", "PKD minus CE"): (55, 15, None),
        ("whole recipe: steps fall as teachers change", "PKD minus reversed"): (60, 10, None),
        ("BatchNorm drifts", "mean of last exits"): (40, 55, None),
    }
    got = found(RIGHT)
    assert got.keys() == wanted.keys()
    for name, values in wanted.items():
        assert got[name][:2] == pytest.approx(values[:2]), name
        assert got[name][2] == (None if values[2] is None else pytest.approx(values[2])), name


@pytest.mark.parametrize(
    ("arms", "defects"),
    [
        (("ce",), set()),
        (("ce", "pkd"), set()),
        (("ce", "pkd", "pkd_bias"), {"output biases fixed in PKD"}),
        (("ce", "pkd", "pkd_long"), {"twice the steps for PKD"}),
        (("ce", "ce_drift"), {"BatchNorm drifts, CE"}),
        (("ce", "ce_drift", "pkd_drift"), {"BatchNorm drifts, CE"}),
        (("ce", "pkd", "ce_released", "pkd_released"), {"whole recipe"}),
    ],
)
def test_rows_appear_only_if_all_their_arms_were_trained(arms, defects):
    assert {defect for defect, _ in found(arms)} == defects


def test_the_effect_is_released_minus_corrected_or_minus_what_is_printed():
    rows = [Erratum("d", "s", "m", 3.0, 5.0), Erratum("e", "s", "m", 3.0, 3.0, 1.0)]
    table = errata.table(rows)
    assert table["effect"].tolist() == [-2, 2]
    assert table["as_printed"].isna().tolist() == [True, False]
    assert table.columns.tolist()[3:6] == ["as_released", "as_printed", "corrected"]


def exits_fold(number, *, train=True):
    said, labels = {}, {}
    for place, split in enumerate(("train", "val", "test") if train else ("val", "test")):
        logits, labels[split] = drawn(60, 5, seed=20 + 3 * number + place)
        said[split] = {"pkd": dict(zip(ORDER, logits.split(4), strict=True))}
    return FoldExits(number, said, labels, MACS, PLAIN)


def score(fold, matrix, order=ORDER, *, point, choose_on="val"):
    """Return the percentage right under weights (12, 12), by the primitives alone."""
    u = {
        s: torch.einsum("ej,jnk->enk", matrix, torch.cat([fold.logits[s]["pkd"][m] for m in order]))
        for s in ("val", "test")
    }
    costs, before = [], 0
    for m in order:
        costs += [before + each for each in MACS[m]]
        before += MACS[m][-1]
    threshold = 1.0
    if point == "equal":
        known = u[choose_on], fold.labels[choose_on]
        threshold = choose_threshold(*known, costs, budget=PLAIN).threshold
    left = walk(u["test"], threshold)
    return 100 * (left.predicted == fold.labels["test"]).double().mean().item()


def test_every_erratum_of_inference_by_hand():
    fold = exits_fold(0)
    z = {s: torch.cat([fold.logits[s]["pkd"][m] for m in ORDER]) for s in fold.logits}
    wise, trained = (fit_prefixes(z[s], fold.labels[s]) for s in ("val", "train"))
    swap = torch.cat([z["val"][4:8], z["val"][:4], z["val"][8:]])
    text = fit_prefixes(swap, fold.labels["val"])
    ones, eye, counts = torch.ones(12, 12).tril(), torch.eye(12), torch.arange(1, 13)[:, None]
    got = {e.defect: e for e in errata.inference_errata([fold], arm="pkd")}
    last = score(fold, wise, point="last")
    equal = score(fold, wise, point="equal")
    printed = score(fold, text, ("mv", "residual", "iframe"), point="equal")
    first = got["residual network first"]
    assert (first.as_released, first.corrected) == (pytest.approx(equal), pytest.approx(equal))
    assert first.as_printed == pytest.approx(printed)
    wanted = {
        "weights fitted on training clips": (score(fold, trained, point="last"), last),
        "scores divided": (
            score(fold, ones / counts, point="equal"),
            score(fold, ones, point="equal"),
        ),
        "thresholds chosen on test": (score(fold, wise, point="equal", choose_on="test"), equal),
    }
    for name, values in wanted.items():
        assert (got[name].as_released, got[name].corrected) == pytest.approx(values), name
    ends = got["WISE's last exit leaves ICs out"]
    base = got["baseline ends on the I-frame network"]
    assert ends.corrected == pytest.approx(last)
    assert base.as_released == pytest.approx(ends.as_released - score(fold, eye, point="last"))
    fused = eye.clone()
    fused[-1, [3, 7, 11]] = torch.tensor([1.0, 1.0, 2.0])
    assert base.corrected == pytest.approx(ends.as_released - score(fold, fused, point="last"))


def test_weights_of_training_clips_are_left_out_where_there_are_none():
    for folds in (
        [exits_fold(0, train=False)],
        [exits_fold(0), exits_fold(1, train=False)],
        [replace(exits_fold(0), logits=exits_fold(0).logits | {"train": {}})],
    ):
        names = [e.defect for e in errata.inference_errata(folds, arm="pkd")]
        assert "weights fitted on training clips" not in names
        assert len(names) == 5


def study(number, clips, shaken, epochs):
    logits = {m: torch.nn.functional.one_hot(torch.zeros(clips).long(), 2) for m in ORDER}
    labels = torch.zeros(clips, dtype=torch.int64)
    labels[: clips // 4] = 1  # the networks always say 0: a quarter is wrong
    known = {"val": labels, "test": labels}
    scores = FoldScores(number, {"val": logits, "test": logits}, known)
    exits = FoldExits(number, {}, known, MACS, PLAIN)
    return SimpleNamespace(scores=scores, exits=exits, epochs=epochs, shaken=shaken)


def test_choices_are_means_over_test_clips_not_folds():
    first = study(0, 8, 0.5, {"test": 0.6, "val": 0.5, "last": 0.4})
    second = study(1, 24, 0.25, {"test": 0.2, "val": 0.1, "last": 0.4})
    shaken, epoch = errata.choice_errata([first, second])
    assert (shaken.as_released, shaken.corrected) == pytest.approx((31.25, 75))
    assert (epoch.as_released, epoch.corrected) == pytest.approx((30, 20))
    assert all(np.isscalar(v) for v in (shaken.as_released, shaken.corrected))
    second.epochs = {}
    (only,) = errata.choice_errata([first, second])
    assert only.defect == "colours shaken at test"
