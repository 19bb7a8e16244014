"""Tables of notebook 2, by hand: pooling over folds, frequencies, noise levels, readings."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import nn

from redistill import spectrum_readings as readings
from redistill import spectrum_tables as tables
from redistill import stats
from redistill.methods.baselines import Arm
from redistill.methods.frequencies import Frequencies
from redistill.methods.spectrum import SpectrumConfig
from redistill.methods.spectrum_arms import ARMS, DECIDING, PLAIN, PRESETS
from redistill.methods.spectrum_study import SpectrumStudy

CLASSES = 4
CONFIG = SpectrumConfig()


def saying(classes, count=CLASSES):
    """Logits under which clip i is called ``classes[i]``."""
    return nn.functional.one_hot(torch.as_tensor(classes), count).float()


def heard(bins=(0.75, 0.25), error=None, kernels=(0.25,), distance=(0.5,)):
    """Frequencies whose kernels of stage i have the share ``kernels[i]`` at (0, 1), else at 0."""
    squares = []
    for share in kernels:
        square = torch.zeros(3, 3)
        square[0, 1], square[0, 0] = share, 1 - share
        squares.append(square)
    told = None if error is None else torch.tensor(error)
    return Frequencies(torch.tensor(bins), told, tuple(squares), tuple(distance))


def study(fold, said, truth, *, training=None, frequencies=None, journals=None, count=CLASSES):
    """A fold whose arms say what is given on test clips, and are right on all but one of val."""
    arms = {
        name: Arm({"test": saying(classes, count), "val": saying([0, 1, 1], count)},
                  (training or {}).get(name, 10), 10)
        for name, classes in said.items()
    }  # fmt: skip
    labels = {"test": torch.tensor(truth), "val": torch.tensor([0, 1, 2])}
    return SpectrumStudy(
        fold=fold, arms=arms, labels=labels, frequencies=frequencies or {},
        journals=journals or {}, reads=1, undecoded=(),
    )  # fmt: skip


def listening(*frequencies):
    """A fold each, of which only the frequencies count."""
    return [study(fold, {"alone": [0]}, [0], frequencies=each)
            for fold, each in enumerate(frequencies)]  # fmt: skip


def test_folds_are_pooled_clip_by_clip_and_cost_is_told_in_plain_students():
    """2 of 2 and 1 of 6 are 3 of 8, not the mean of 1 and 1/6."""
    training = {"alone": 7, "fsd": 21, "teacher": 70}
    folds = [
        study(0, {n: [1, 2] for n in training}, [1, 2], training=training),
        study(1, {n: [0] * 6 for n in training}, [0, 1, 1, 1, 1, 1], training=training),
    ]
    table = tables.method_table(folds)
    assert table["arm"].tolist() == 2 * ["fsd", "alone", "teacher"]
    test = table.query("split == 'test'").set_index("arm")
    wanted = stats.wilson(3, 8)
    assert test.loc["fsd", ["accuracy", "low", "high", "n"]].tolist() == pytest.approx(
        [3 / 8, wanted.low, wanted.high, 8]
    )
    assert test["training"].to_dict() == {"alone": 14, "fsd": 42, "teacher": 140}
    assert test["relative"].to_dict() == {"alone": 1, "fsd": 3, "teacher": 10}
    assert table.query("split == 'val'")["accuracy"].tolist() == pytest.approx(3 * [2 / 3])


def test_factors_are_counted_on_the_test_clips_of_all_folds():
    names = ["L", "R", "Hs", "Hf"]
    folds = [
        study(0, {"alone": [0, 2], "fsd": [1, 2]}, [0, 2]),
        study(1, {"alone": [2, 2], "fsd": [3, 1]}, [3, 1]),
    ]
    table = tables.factor_table(folds, names).set_index(["arm", "subset"])
    wanted = {
        ("alone", "oscillating"): 1 / 2, ("alone", "direction"): 1 / 2, ("alone", "motion"): 2 / 4,
        ("fsd", "oscillating"): 2 / 2, ("fsd", "direction"): 1 / 2, ("fsd", "motion"): 3 / 4,
    }  # fmt: skip
    assert table["value"].to_dict() == pytest.approx(wanted)
    assert table.loc[("fsd", "direction"), "n"] == 2


def test_a_real_data_set_has_no_factors():
    table = tables.factor_table([study(0, {"alone": [0]}, [0])], ["bend", "jack", "run", "wave"])
    assert table.columns.tolist() == ["arm", "subset", "value", "low", "high", "n", "unit"]
    assert not len(table)


def test_frequencies_are_means_over_folds_and_the_yardsticks_come_first():
    folds = listening(
        {"fsd": heard((0.5, 0.5), (0.1, 0.3)), "untrained": heard(), "teacher": heard()},
        {"fsd": heard((0.7, 0.3), (0.3, 0.5)), "untrained": heard(), "teacher": heard()},
    )
    table = tables.bins_table(folds)
    assert table["arm"].tolist() == ["teacher", "teacher", "untrained", "untrained", "fsd", "fsd"]
    assert table["bin"].tolist() == 3 * [0, 1]
    fsd = table[table["arm"] == "fsd"]
    assert fsd["share"].tolist() == pytest.approx([0.6, 0.4])
    assert fsd["error"].tolist() == pytest.approx([0.2, 0.4])
    assert table["error"].iloc[:4].isna().all()


def test_kernels_tell_stage_and_place():
    folds = listening(
        {"teacher": heard(kernels=(0.2, 0.4)), "untrained": heard(kernels=(0.0, 0.0))},
        {"teacher": heard(kernels=(0.4, 0.6)), "untrained": heard(kernels=(0.0, 0.0))},
    )
    table = tables.kernels_table(folds).set_index(["arm", "stage", "u", "v"])["share"]
    assert len(table) == 2 * 2 * 9
    assert table["teacher", 1, 0, 1] == pytest.approx(0.3)
    assert table["teacher", 2, 0, 1] == pytest.approx(0.5)
    assert table["teacher", 2, 1, 0] == 0
    assert table["untrained", 2, 0, 0] == 1


@pytest.mark.parametrize(("first", "inert"), [((0.0012, 0.0006), True), ((0.0012, 0.0010), False)])
def test_distances_stand_beside_those_before_training(first, inert):
    """Means over stages of 0.0009 and 0.0011, on both sides of what counts as nothing to teach."""
    about = {"teacher": heard(distance=(0.0, 0.0)), "untrained": heard(distance=first)}
    table = tables.distance_table(
        listening(
            {"alone": heard(distance=(0.1, 0.2)), "pdd": heard(distance=(0.0, 0.1))} | about,
            {"alone": heard(distance=(0.3, 0.4)), "pdd": heard(distance=(0.0, 0.3))} | about,
        )
    )
    assert table["arm"].tolist() == ["untrained", "untrained", "alone", "alone", "pdd", "pdd"]
    assert table["stage"].tolist() == 3 * [1, 2]
    assert table["distance"].tolist() == pytest.approx([*first, 0.2, 0.3, 0.0, 0.2])
    assert table["initial"].tolist() == pytest.approx(3 * [*first])
    assert table["inert"].tolist() == 6 * [inert]


def levels(*rows):
    return [{"epoch": epoch, "loss": 1.0, "noise_labels": y, "noise_features": f,
             "noise_parameters": p} for epoch, (y, f, p) in enumerate(rows, start=1)]  # fmt: skip


def test_noise_levels_are_told_where_they_were_learned():
    """Of ``map`` the parameters' stays at 0, of ``fixed`` all do, and ``alone`` has none."""
    journals = [
        {"alone": [{"epoch": 1, "loss": 1.0}], "fixed": levels((0, 0, 0)),
         "map": levels((0, 0.0, 0), (0, -1.0, 0)), "collab_labels": levels((2.0, x, -4.0))}
        for x in (0.5, 1.5)
    ]  # fmt: skip
    table = tables.noise_table([study(f, {"alone": [0]}, [0], journals=j)
                                for f, j in enumerate(journals)])  # fmt: skip
    found = table.set_index(["arm", "epoch", "term"])
    assert found["log_variance"].to_dict() == {
        ("map", 1, "features"): 0.0, ("map", 2, "features"): -1.0,
        ("collab_labels", 1, "labels"): 2.0, ("collab_labels", 1, "features"): 1.0,
        ("collab_labels", 1, "parameters"): -4.0,
    }  # fmt: skip
    assert found.loc[("map", 1, "features"), "weight"] == 0.5
    assert found.loc[("map", 2, "features"), "weight"] == pytest.approx(math.e / 2)
    assert found.loc[("collab_labels", 1, "labels"), "weight"] == pytest.approx(math.exp(-2))
    assert found.loc[("collab_labels", 1, "parameters"), "weight"] == pytest.approx(27.3, abs=0.01)


def test_without_noise_levels_the_table_is_empty():
    journals = {"alone": [{"epoch": 1, "loss": 1.0}], "fsd": levels((0, 0, 0))}
    table = tables.noise_table([study(0, {"alone": [0]}, [0], journals=journals)])
    assert table.columns.tolist() == ["arm", "epoch", "term", "log_variance", "weight"]
    assert not len(table)


@pytest.mark.parametrize("frames", [7, 8])
def test_spectra_of_signals_by_the_definition(frames):
    values = {
        "a": np.arange(frames) ** 2.0,
        "b": np.cos(2 * np.pi * 3 * np.arange(frames) / frames),
    }
    table = tables.signal_table(values)
    assert table["what"].unique().tolist() == ["a", "b"]
    for name, signal in values.items():
        own = table[table["what"] == name]
        over, spectrum = (own[own["kind"] == kind] for kind in ("signal", "amplitude"))
        assert over["x"].tolist() == list(range(frames))
        np.testing.assert_allclose(over["y"], signal)
        assert spectrum["x"].tolist() == list(range(frames // 2 + 1))
        for k, found in zip(spectrum["x"], spectrum["y"], strict=True):
            turns = np.exp(-2j * np.pi * k * np.arange(frames) / frames)
            assert found == pytest.approx(abs((signal * turns).sum()) / frames**0.5, abs=1e-12)


def blind(features, seed=0):
    return tables.blindness_table(features, seed=seed).set_index("change")


def test_amplitudes_see_neither_reversal_nor_shift_nor_sign():
    features = torch.randn(6, 8, 3, generator=torch.Generator().manual_seed(0))
    table = blind(features)
    assert table["amplitude"].iloc[:4].tolist() == pytest.approx([0.0] * 4, abs=1e-9)
    assert (table["amplitude"].iloc[4:] > 0.01).all()
    assert table.loc["the same", "complex"] == pytest.approx(0, abs=1e-9)
    assert (table["complex"].iloc[1:] > 0.1).all()
    assert (table["complex"] >= table["amplitude"] - 1e-9).all()  # P7


def test_the_complex_loss_is_that_of_the_features_themselves():
    """Of features of length one: squared distance, mean over clips (P4)."""
    features = torch.randn(4, 8, 3, generator=torch.Generator().manual_seed(1))
    unit = features / features.flatten(1).norm(dim=1)[:, None, None]
    table = blind(features)["complex"]
    apart = {
        "reversed": unit.flip(1), "negated": -unit, "rolled in time": unit.roll(2, 1),
        "another clip's": unit[[2, 3, 0, 1]],
    }  # fmt: skip
    for name, other in apart.items():
        wanted = sum(float(((a - b) ** 2).sum()) for a, b in zip(unit, other, strict=True)) / 4
        assert table[name] == pytest.approx(wanted, rel=1e-5)


def test_the_order_of_shuffled_frames_is_drawn_by_the_seed():
    features = torch.randn(3, 8, 2, generator=torch.Generator().manual_seed(2))
    once, again, other = (blind(features, seed)["complex"] for seed in (5, 5, 6))
    assert once.equals(again)
    assert once["frames shuffled"] != other["frames shuffled"]
    assert once.drop("frames shuffled").equals(other.drop("frames shuffled"))


def test_the_parts_of_both_losses_by_the_definition():
    """Spectra of features of length one, a bin between the ends counted twice."""
    drawn = torch.Generator().manual_seed(3)
    ours = torch.randn(5, 2, 8, 3, 3, generator=drawn)
    theirs = torch.randn(5, 4, 8, 2, 2, generator=drawn)
    project = nn.Linear(2, 4, bias=False)
    table = tables.loss_table(ours, theirs, project).set_index(["what", "bin"])["loss"]
    pair = []
    for maps in (project(ours.mean((3, 4)).transpose(1, 2)), theirs.mean((3, 4)).transpose(1, 2)):
        signal = maps.detach().double().numpy()
        length = np.sqrt((signal**2).sum((1, 2), keepdims=True))
        pair.append(np.fft.fft(signal / length, axis=1) / 8**0.5)
    x, y = pair
    for k in range(5):
        times = 1 if k in (0, 4) else 2
        parts = {"amplitude": abs(x[:, k]) - abs(y[:, k]), "complex": abs(x[:, k] - y[:, k])}
        for what, part in parts.items():
            wanted = times * (part**2).sum() / 5
            assert table[what, k] == pytest.approx(wanted, rel=1e-4)
    assert len(table) == 10


def test_networks_as_they_are_in_use():
    config = replace(CONFIG, teacher_network="tsn10", frames=2, size=32)
    table = readings.network_table(config, classes=5)
    assert table["role"].tolist() == ["teacher", "student"]
    assert table["network"].tolist() == ["tsn10", "shift10"]
    assert table["width"].tolist() == [12, 4]
    more = readings.network_table(config, classes=6)  # one class more: 8 w weights and a bias
    assert (more["parameters"] - table["parameters"]).tolist() == [8 * 12 + 1, 8 * 4 + 1]
    teacher, student = table.to_dict("records")
    for name in ("parameters", "macs"):
        assert student[f"{name}_ratio"] == student[name] / teacher[name] < 0.3
        assert teacher[f"{name}_ratio"] == 1


def test_presets_tell_what_they_change_and_which_question_they_decide():
    config = replace(CONFIG, arms=DECIDING, also=("power",), component="power")
    table = readings.presets_table(config).set_index("arm")
    assert table.index.tolist() == list(ARMS)
    assert set(table.index[table["here"]]) == {*DECIDING, "power"}
    assert table.loc["alone", "changes"] == "labels"
    assert table.loc["dkd", "changes"] == "labels + 1 dkd"
    assert table.loc["ac", "changes"] == "collab = fixed; lambda_p = 0.0; bands = ac"
    assert table.loc["power", "changes"] == "collab = fixed; lambda_p = 0.0"  # as it is anyway
    assert table.loc["collab", "changes"] == "as configured"
    wanted = {
        "alone": "", "fsd": "", "pdd": "", "collab": "", "fixed": "15", "ac_mse": "4, 5",
        "fsd_reversed": "control", "mse_reversed": "control", "pdd_sham": "control",
        "pdd_pooled": "14", "collab_kd": "17", "l1": "8", "phase25": "4",
    }  # fmt: skip
    assert table.loc[list(wanted), "question"].to_dict() == wanted


def test_every_reading_decides_a_question():
    table = readings.presets_table(CONFIG).set_index("arm")
    undecided = table.index[table["question"] == ""]
    assert set(undecided) - set(PLAIN) == {"fsd", "pdd", "collab"}


def test_every_question_names_parameters_and_the_arms_that_change_them():
    table = readings.ambiguity_table(CONFIG)
    assert table["id"].tolist() == [str(number) for number in range(1, 21)]
    rows = table.set_index("id")
    assert rows.loc["4", "here"] == "component = amplitude; phase = 0.0"
    assert rows.loc["5", "arms"] == "ac, dc, high, ac_mse"
    assert rows.loc["13", "arms"] == "pdd_js, pdd_reverse, pdd_l2, pdd_hellinger"
    assert rows.loc["15", "arms"] == "fixed, map, alternate, stochastic, mutual"
    assert rows.loc["19", "here"] == "student_weights = ''"
    assert rows.loc["19", "arms"] == "a run of its own"
    assert rows.loc["10", ["here", "arms"]].tolist() == [
        "kernels of 3 x 3 and more, of every stage", "none",
    ]  # fmt: skip
    assert rows.loc["1", "not_built"] == "before ReLU; logits of every frame"
    assert rows.loc["16", "not_built"] == "-"
    named = {name for _, names, _ in readings.AMBIGUITIES for name in names}
    assert named <= {each.name for each in fields(SpectrumConfig)}


def test_an_arm_that_decides_as_the_run_does_is_no_other():
    rows = readings.ambiguity_table(replace(CONFIG, bands="ac")).set_index("id")
    assert rows.loc["5", "here"] == "bands = ac"
    assert rows.loc["5", "arms"] == "dc, high"


def test_both_tables_agree_on_who_decides_what():
    presets = readings.presets_table(CONFIG).set_index("arm")["question"]
    for row in readings.ambiguity_table(CONFIG).itertuples():
        arms = [arm for arm in PRESETS if row.id in presets[arm].split(", ")]
        assert row.arms == (", ".join(arms) or row.arms)
        assert arms or row.arms in ("a run of its own", "none")
