"""Factors of classes against the laws of the worlds; accuracies by factor by slow counting."""

import pytest
import torch
from scipy import stats as scipy_stats
from torch import nn

from redistill import stats
from redistill.class_factors import class_factors, factor_accuracy
from redistill.video.synthetic.spec import MOTIONS, WORLDS, SyntheticSpec

LOOKS = [(s, t) for s in ("disc", "square", "ring") for t in ("coarse", "fine")]


def factors_of(world, **options):
    return class_factors(SyntheticSpec(world=world, **options).classes)


def said(classes, count):
    return nn.functional.one_hot(torch.as_tensor(classes), count).float()


def values(logits, labels, factors):
    return factor_accuracy(logits, labels, factors).set_index("subset")["value"].to_dict()


def test_every_appearance_meets_every_motion_in_the_crossed_world():
    table = factors_of("crossed")
    rows = list(zip(table["shape"], table["texture"], table["motion"], strict=True))
    assert rows == [(*look, motion) for look in LOOKS for motion in ("L", "R", "Hs", "Hf")]
    assert table["kind"].tolist() == 6 * ["direction", "direction", "oscillating", "oscillating"]
    assert table["label"].tolist() == list(range(24))


def test_a_scene_goes_with_one_appearance_and_one_motion():
    """Class c has appearance c div 2 and motion 5c mod 8 (spec/synthetic.md 3)."""
    table = factors_of("scene_led")
    for row in table.itertuples():
        assert (row.shape, row.texture) == LOOKS[row.label // 2]
        assert row.motion == MOTIONS[5 * row.label % 8]
        assert row.kind == ("direction" if row.motion in ("L", "R", "U", "D") else "oscillating")


def test_motions_are_all_there_is_where_motion_is_the_label():
    table = factors_of("motion_led", extra_motions=("static", "Ha"))
    assert table["class"].tolist() == table["motion"].tolist() == [*MOTIONS, "static", "Ha"]
    assert set(table["shape"]) == set(table["texture"]) == {""}
    assert table["kind"].tolist() == 4 * ["direction"] + 4 * ["oscillating"] + ["", "oscillating"]


@pytest.mark.parametrize(
    "classes",
    [(), ("bend", "jack"), ("L", "jump"), ("disc_coarse",), ("disc_coarse_L", "x_fine_L")],
)
def test_other_data_sets_have_no_factors(classes):
    table = class_factors(classes)
    assert table.columns.tolist() == ["class", "label", "shape", "texture", "motion", "kind"]
    assert not len(table)
    found = factor_accuracy(torch.eye(2), torch.tensor([0, 1]), table)
    assert found.columns.tolist() == ["subset", "value", "low", "high", "n", "unit"]
    assert not len(found)


@pytest.mark.parametrize("world", WORLDS)
def test_accuracies_by_counting(world):
    factors = factors_of(world)
    rows = factors.to_dict("records")
    drawn = torch.Generator().manual_seed(0)
    labels = torch.randint(len(rows), (60,), generator=drawn)
    logits = torch.randn(60, len(rows), generator=drawn)
    logits[:40] += 4 * said(labels[:40], len(rows))
    table = factor_accuracy(logits, labels, factors).set_index("subset")
    pairs = [(rows[int(z.argmax())], rows[int(y)]) for z, y in zip(logits, labels, strict=True)]
    for kind in ("oscillating", "direction"):
        hits = [guess["label"] == true["label"] for guess, true in pairs if true["kind"] == kind]
        wanted = stats.wilson(sum(hits), len(hits))
        assert table.loc[kind, ["value", "low", "high", "n"]].tolist() == pytest.approx(
            [wanted.mean, wanted.low, wanted.high, len(hits)]
        )
    for name in ("motion", "shape", "texture"):
        if world == "motion_led" and name != "motion":
            assert name not in table.index
            continue
        hits = [guess[name] == true[name] for guess, true in pairs]
        assert table.loc[name, "value"] == pytest.approx(sum(hits) / 60)
        assert table.loc[name, "n"] == 60
    assert (table.drop("texture_over_motion", errors="ignore")["unit"] == "fraction").all()


def test_where_motion_is_the_label_its_share_is_the_accuracy():
    factors = factors_of("motion_led")
    labels = torch.arange(8)
    table = values(said([0, 1, 2, 4, 4, 5, 5, 6], 8), labels, factors)
    assert table == pytest.approx({"oscillating": 2 / 4, "direction": 3 / 4, "motion": 5 / 8})


def test_a_class_of_the_same_motion_is_right_about_the_motion():
    """A disc taken for a ring in another scene: motion and texture are right, the class is not."""
    found = values(said([8, 8], 12), torch.tensor([0, 8]), factors_of("scene_led"))
    wanted = {"direction": 0.5, "motion": 1.0, "shape": 0.5, "texture": 1.0}
    assert found == pytest.approx(wanted | {"texture_over_motion": 0.0})


def test_texture_over_motion_is_a_paired_difference_in_points():
    factors = factors_of("crossed")
    labels = torch.tensor([0, 0, 0, 0])
    table = factor_accuracy(said([1, 1, 4, 0], 24), labels, factors).set_index("subset")
    row = table.loc["texture_over_motion"]
    low, high = scipy_stats.ttest_1samp([100, 100, -100, 0], 0).confidence_interval()
    assert row[["value", "low", "high"]].tolist() == pytest.approx([25.0, low, high])
    assert (row["n"], row["unit"]) == (4, "points")


def test_its_difference_is_the_gain_on_texture_minus_the_gain_on_motion():
    factors = factors_of("crossed")
    drawn = torch.Generator().manual_seed(1)
    labels = torch.randint(24, (50,), generator=drawn)
    one, other = (values(torch.randn(50, 24, generator=drawn), labels, factors) for _ in range(2))
    gain = {name: 100 * (one[name] - other[name]) for name in ("texture", "motion")}
    apart = one["texture_over_motion"] - other["texture_over_motion"]
    assert apart == pytest.approx(gain["texture"] - gain["motion"])
