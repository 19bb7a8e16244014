"""Runs of different folds share training clips: the ledger corrects for it, or does not judge."""

import numpy as np
import pytest
from scipy import stats as distributions

from redistill.claims import Claim, verdict
from redistill.rules import INCONCLUSIVE, REPRODUCED

ABOUT = {
    "id": "X1", "paper": "ground", "claim": "", "metric": "", "test": "", "control": "",
    "direction": "greater", "data": (), "source": "",
}  # fmt: skip
PAIR = {"test": {"arm": "new"}, "control": [{"arm": "old"}]}
GAINS = np.array([0.9, 3.6, 1.4, 2.8, 0.7, 3.1, 2.2, 1.1, 3.4, 2.3]) - 0.6


def records(fold):
    """One run for each gain, of the fold that ``fold`` names."""
    for seed, gain in enumerate(GAINS):
        values = {"new": float(60 + gain) / 100, "old": 0.6}
        rows = [
            {"name": "accuracy", "value": value, "unit": "fraction",
             "keys": {"arm": arm, "fold": fold(seed), "split": "test"}}
            for arm, value in values.items()
        ]  # fmt: skip
        parameters = {"dataset": "weizmann", "seed": seed, "data_seed": 0, "folds": [fold(seed)]}
        yield {"status": "completed", "profile": "standard", "parameters": parameters,
               "rows": rows, "run": f"run-{seed}"}  # fmt: skip


def judged(fold, rule="superiority", margin=1.0, rows=PAIR):
    claim = Claim(**ABOUT, rule=rule, margin=margin, rows=rows)
    (found,) = verdict(claim, records(fold))
    return found


def test_one_fold_for_all_is_the_t_interval():
    found = judged(lambda seed: 0)
    low, high = distributions.t.interval(0.95, 9, GAINS.mean(), distributions.sem(GAINS))
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))
    assert found.overlap == 0
    assert found.state == REPRODUCED


@pytest.mark.parametrize("folds", [3, 9])
def test_several_folds_take_the_corrected_resampled_t_test(folds):
    """Nadeau and Bengio 2003: the variance of the mean is (1/n + n_test/n_train) s^2."""
    found = judged(lambda seed: seed % folds)
    error = GAINS.std(ddof=1) * np.sqrt(1 / 10 + 1 / (folds - 1))
    low, high = distributions.t.interval(0.95, 9, GAINS.mean(), error)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))
    assert found.p == pytest.approx(2 * distributions.t.sf(GAINS.mean() / error, 9))
    assert "share training clips" in found.why
    assert found.differences == pytest.approx(GAINS.tolist())  # as measured, not as judged


def test_the_correction_opens_what_looked_decided():
    found = judged(lambda seed: seed % 3)
    assert found.state == INCONCLUSIVE
    assert found.outlook.runs is None
    assert "all folds with each seed" in found.outlook.text


def test_a_share_of_such_runs_is_not_judged():
    rows = {"gains": [{"test": {"arm": "new"}, "control": {"arm": "old"}}]}
    assert judged(lambda seed: 0, "ratio", 0.8, rows).state == REPRODUCED
    found = judged(lambda seed: seed % 3, "ratio", 0.8, rows)
    assert (found.state, found.p) == (INCONCLUSIVE, None)
    assert "share training clips" in found.why
