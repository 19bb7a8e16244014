"""Tables of notebook 1, by hand: pooling over folds, costs, branches, rounds, and the plan."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from redistill import stats
from redistill import substage_tables as tables
from redistill.methods.baselines import Arm
from redistill.methods.label_quality import SoftLabels
from redistill.methods.recipes import ARMS, VARIANTS
from redistill.methods.staged import Round
from redistill.methods.substage import SubstageConfig
from redistill.methods.substage_study import SubstageStudy

CLASSES = 4
CONFIG = SubstageConfig()


def saying(classes):
    """Logits under which clip i is called ``classes[i]``."""
    return nn.functional.one_hot(torch.as_tensor(classes), CLASSES).float()


def study(fold, said, truth, *, rounds=(), trusted=(False,), training=None):
    """A fold whose arms say what is given on test clips, and are right on all but one of val."""
    arms = {
        name: Arm({"test": saying(classes), "val": saying([0, 1, 1])},
                  (training or {}).get(name, 10), 30 if name.endswith("_ens") else 10)
        for name, classes in said.items()
    }  # fmt: skip
    labels = {"test": torch.tensor(truth), "val": torch.tensor([0, 1, 2])}
    truths = torch.zeros(len(trusted), dtype=torch.int64)
    return SubstageStudy(
        fold=fold, arms=arms, labels=labels, rounds=tuple(rounds), truth=truths,
        trusted=torch.tensor(trusted), journals={}, reads=(1, 1), undecoded=(),
    )  # fmt: skip


def test_folds_are_pooled_clip_by_clip():
    """2 of 2 and 1 of 6 are 3 of 8, not the mean of 1 and 1/6."""
    folds = [
        study(0, {"kd": [1, 2]}, [1, 2]),
        study(1, {"kd": [0, 0, 0, 0, 0, 0]}, [0, 1, 1, 1, 1, 1]),
    ]
    table = tables.method_table(folds).set_index("split")
    wanted = stats.wilson(3, 8)
    assert table.loc["test", "n"] == 8
    assert table.loc["test", ["accuracy", "low", "high"]].tolist() == pytest.approx(
        [3 / 8, wanted.low, wanted.high]
    )
    assert table.loc["val", "accuracy"] == pytest.approx(2 / 3)
    assert table.loc["val", "n"] == 6


def test_training_is_told_in_multiples_of_one_kd_student():
    said = {"kd": [0], "staged_ens": [0]}
    folds = [study(f, said, [0], training={"kd": 10 + f, "staged_ens": 50 + f}) for f in (0, 1)]
    test = tables.method_table(folds).query("split == 'test'").set_index("arm")
    assert test["training"].to_dict() == {"kd": 21, "staged_ens": 101}
    assert test["relative"].to_dict() == pytest.approx({"kd": 1.0, "staged_ens": 101 / 21})
    assert test["inference"].to_dict() == {"kd": 10, "staged_ens": 30}


def test_without_kd_there_is_no_multiple():
    table = tables.method_table([study(0, {"refined": [0]}, [0])])
    assert table["relative"].isna().all()
    assert table["training"].tolist() == [10, 10]


def test_what_decides_the_claims_comes_first():
    names = ["teacher", "kd3_ens", "kd", "staged_res", "staged_single"]
    table = tables.method_table([study(0, {name: [0] for name in names}, [0])])
    wanted = ["staged_single", "kd", "kd3_ens", "teacher", "staged_res"]
    assert table["arm"].tolist() == 2 * wanted
    assert table["split"].tolist() == 5 * ["val"] + 5 * ["test"]


def results(arms):
    """A row of test clips for each arm, with accuracies that rise."""
    rows = [(a, "test", i / 100, i / 100 - 0.1, i / 100 + 0.1, 9, 1.0 * i)
            for i, a in enumerate(arms, start=1)]  # fmt: skip
    names = ["arm", "split", "accuracy", "low", "high", "n", "relative"]
    return pd.DataFrame(rows, columns=names)


def test_branches_stand_alone_then_in_pairs_then_together():
    names = ["staged_single", "staged_ens", "staged_res", "staged_res_fea", "kd", "staged_rel"]
    table = tables.branch_table(results(names))
    assert table["branches"].tolist() == ["res", "rel", "res + fea", "all, combined", "deployed"]
    assert table["accuracy"].tolist() == pytest.approx([0.03, 0.06, 0.04, 0.02, 0.01])
    assert set(table["method"]) == {"staged"}


def test_the_cascade_without_assistants_is_told_apart():
    table = tables.branch_table(results(["staged_m0_res", "staged_res", "staged_m0_ens"]))
    found = dict(zip(zip(table["method"], table["branches"], strict=True), table["accuracy"],
                     strict=True))  # fmt: skip
    assert found == pytest.approx(
        {("staged_m0", "res"): 0.01, ("staged", "res"): 0.02, ("staged_m0", "all, combined"): 0.03}
    )


def test_variants_are_no_branches():
    """Their deployed students and ensembles end alike, and so does staged_fd."""
    names = [f"{name}_{end}" for name in VARIANTS if name not in ("staged", "staged_m0")
             for end in ("single", "ens")]  # fmt: skip
    names += [*ARMS, "teacher", "res", "staged_fd"]
    assert not len(tables.branch_table(results(names)))
    assert not any(map(tables.is_part, names))
    assert all(map(tables.is_part, ["staged_fea", "staged_m0_fea_rel", "staged_res_fea"]))


def labels(rows, *, number, selected=None):
    q = torch.tensor(rows)
    chosen = torch.ones(len(q), dtype=torch.bool) if selected is None else torch.tensor(selected)
    return SoftLabels(q, torch.ones(len(q)), chosen, torch.zeros(len(q)), number)


def test_rounds_are_judged_on_the_clips_of_all_folds_that_are_not_trusted():
    """The truth is class 0 everywhere; the trusted clip, which is wrong, is not counted."""
    none, right, wrong = [0.25] * 4, [0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1]
    chosen = [True, True, False]
    last = labels([wrong, right, right], number=1, selected=chosen)
    one = [Round(labels([none, wrong], number=0), 0.0, True),
           Round(labels([right, wrong], number=1), 0.5, True)]  # fmt: skip
    two = [Round(labels([none, none, none], number=0), 0.0, True), Round(last, 0.5, False)]
    folds = [study(0, {"kd": [0]}, [0], rounds=one, trusted=(False, True)),
             study(1, {"kd": [0]}, [0], rounds=two, trusted=(False, False, False))]  # fmt: skip
    table = tables.rounds_table(folds)
    assert table["labels"].tolist() == ["initial", "teacher"]
    assert table["clips"].tolist() == [4, 4]
    assert table["accuracy"].tolist() == pytest.approx([1 / 4, 3 / 4])
    assert table["selected_accuracy"].tolist()[1] == pytest.approx(2 / 3)
    assert table["coverage"].tolist()[1] == pytest.approx(3 / 4)
    final = (3 * np.log(0.7) + np.log(0.1)) / 4
    assert table["log_likelihood"].tolist() == pytest.approx([np.log(0.25), final])
    assert table["kept"].tolist() == [True, False]
    assert table["round"].tolist() == [0, 1]


def test_levels_are_counted_behind_the_teacher_even_where_a_round_was_undone():
    held = labels([[0.7, 0.1, 0.1, 0.1]], number=1)
    rounds = [Round(replace(held, round=n), 0.5, n < 2) for n in (0, 1, 1, 3)]
    table = tables.rounds_table([study(0, {"kd": [0]}, [0], rounds=rounds)])
    assert table["labels"].tolist() == ["initial", "teacher", "level 1", "level 2"]
    assert table["round"].tolist() == [0, 1, 2, 3]


def test_where_all_is_trusted_no_label_is_judged():
    rounds = [Round(labels([[0.7, 0.1, 0.1, 0.1]], number=0), 0.0, True)]
    folds = [study(0, {"kd": [0]}, [0], rounds=rounds, trusted=(True,))]
    table = tables.rounds_table(folds)
    assert len(table) == 0
    assert {"labels", "accuracy", "log_likelihood"} <= set(table.columns)


def test_assistants_are_counted_by_the_arms_that_change_their_number():
    names = ["staged_m2_single", "staged_single", "staged_ens", "staged_m0_single", "kd"]
    table = tables.assistants_table(results(names), CONFIG)
    found = list(zip(table["what"], table["assistants"], table["arm"], strict=True))
    assert found == [
        ("combined", 1, "staged_ens"), ("deployed", 0, "staged_m0_single"),
        ("deployed", 1, "staged_single"), ("deployed", 2, "staged_m2_single"),
    ]  # fmt: skip


def test_the_staged_arm_has_the_assistants_of_the_config_and_comes_once():
    names = ["staged_m3_single", "staged_single"]
    table = tables.assistants_table(results(names), replace(CONFIG, n_assistants=3))
    assert table[["assistants", "arm"]].to_numpy().tolist() == [[3, "staged_single"]]


def rows_of(config):
    return tables.cascade_table(config).set_index("name")


def test_the_cascade_is_three_chains_a_sum_and_a_student():
    found = rows_of(CONFIG)
    chains = {f"{kind} {level}": upper for kind in ("res", "fea", "rel")
              for level, upper in ((1, "teacher"), (2, f"{kind} 1"))}  # fmt: skip
    wanted = {"teacher": "", "combination": "res 2, fea 2, rel 2", "deployed": "combination"}
    assert found["taught_by"].to_dict() == chains | wanted
    assert found.loc[["teacher", "res 1", "rel 2", "deployed"], "width"].tolist() == [12, 7, 4, 4]
    assert found.loc[["res 1", "res 2"], "role"].tolist() == ["assistant", "student"]
    assert found.loc["res 2", "loss"] == "0.5 labels + 0.5 kd + 0.05 gauss + 0.1 pair"
    assert found.loc["deployed", "loss"] == "0.1 labels + 0.9 kd"


@pytest.mark.parametrize(
    ("changes", "name", "column", "wanted"),
    [
        ({"cascade": "dense"}, "fea 2", "taught_by", "fea 1, teacher"),
        ({"corr_reading": "mismatch"}, "res 2", "partner", "fea 1"),
        ({"cascade": "sequential"}, "rel 3", "start", "fea 2"),
        ({"cascade": "sequential"}, "res 1", "role", "student"),
        ({"n_assistants": 2}, "fea 2", "role", "assistant"),
        ({"branch_sharing": "assistants"}, "rel 2", "taught_by", "all 1"),
        ({"deploy_from": "branches"}, "deployed", "taught_by", "res 2, fea 2, rel 2"),
        ({"ce_in_branch": False, "fd_gamma": 0.0}, "rel 1", "loss", "1 sp + 0.1 pair"),
        ({"combine": "learned"}, "combination", "loss", "learned"),
    ],
)
def test_readings_change_the_cascade(changes, name, column, wanted):
    assert rows_of(replace(CONFIG, **changes)).loc[name, column] == wanted


@pytest.mark.parametrize("changes", [{"kinds": ("fea",)}, {"cascade": "sequential"}])
def test_one_student_is_not_combined(changes):
    assert not {"combination", "deployed"} & set(rows_of(replace(CONFIG, **changes)).index)


def test_every_network_named_as_a_teacher_stands_above():
    for changes in VARIANTS.values():
        table = tables.cascade_table(replace(CONFIG, **changes))
        level = dict(zip(table["name"], table["level"], strict=True))
        for row in table.itertuples():
            for upper in filter(None, (*row.taught_by.split(", "), row.start, row.partner)):
                assert level[upper] < level[row.name]


def test_networks_are_those_of_the_cascade():
    config = replace(CONFIG, teacher_network="tsn10", n_assistants=2, frames=2, size=32)
    table = tables.network_table(config, classes=5)
    assert table["role"].tolist() == ["teacher", "assistant 1", "assistant 2", "student"]
    assert table["network"].tolist() == ["tsn10", "shift10", "shift10", "shift10"]
    assert table["width"].tolist() == list(config.widths)
    assert (table["macs"].diff().dropna() < 0).all()
    assert (table["parameters"].diff().dropna() < 0).all()
    more = tables.network_table(config, classes=6)  # one class more: 8 w weights and a bias
    wanted = [8 * width + 1 for width in config.widths]
    assert (more["parameters"] - table["parameters"]).tolist() == wanted
    twice = tables.network_table(replace(config, frames=4), classes=5)["macs"]
    head = 8 * 5 * table["width"]  # the classifier runs once, whatever the frames
    assert (twice - head).tolist() == (2 * (table["macs"] - head)).tolist()


def test_a_sequence_has_no_assistants():
    config = replace(CONFIG, cascade="sequential", frames=2, size=32)
    assert tables.network_table(config, classes=5)["role"].tolist() == ["teacher", "student"]


def test_every_ambiguity_names_parameters_and_the_arms_that_change_them():
    table = tables.ambiguity_table(CONFIG)
    assert table["id"].tolist() == [f"A{number}" for number in range(1, 17)]
    rows = table.set_index("id")
    assert rows.loc["A6", "here"] == "cascade = chain; cascade_init = random; n_assistants = 1"
    assert rows.loc["A9", "arms"] == "staged_shared, staged_partition"
    assert rows.loc["A1", "arms"] == "stagewise"
    assert rows.loc["A10", "arms"] == "a run of its own"
    listed = {arm for text in rows["arms"] for arm in text.split(", ")} - {"a run of its own"}
    assert listed <= set(ARMS)
    assert set(VARIANTS) - listed == {"staged", "takd", "staged_view"}
