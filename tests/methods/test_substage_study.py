"""Notebook 1 on one tiny fold: every arm, what is sealed, equal costs, names of methods."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from tiny_school import (
    CLASSES,
    CLIPS,
    clips_of,
    quicken,
    tiny_config,
    tiny_feeds,
    tiny_school,
    tiny_weak,
)

from redistill.errors import ConfigError
from redistill.methods import substage_study
from redistill.methods.branches import training_macs
from redistill.methods.recipes import ARMS, SINGLES, VARIANTS
from redistill.methods.school import School
from redistill.methods.substage_study import check_arms, study_fold, weak_labels
from redistill.modality import RGB

LINE = SimpleNamespace(epoch=lambda name, line: None)


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path_factory):
    quicken(monkeypatch, tmp_path_factory.getbasetemp() / "phases")  # found by later tests


def study_of(config, feeds=None, weak=None):
    feeds, weak = feeds or tiny_feeds(config.views), weak or tiny_weak(config)
    return study_fold(config, feeds, weak, 0, classes=CLASSES, device="cpu", line=LINE)


# Every arm.

ALIKE = {  # what may end as the method itself does
    "staged_m1",  # the default
    "staged_noguard",  # unless the guard steps in
    "staged_negative",  # a teacher of two steps rules no class out
}
SINGLE = tuple(name for name in ARMS if name not in VARIANTS)


def test_every_arm_runs_and_every_variant_differs():
    """`staged_gate` may find no clip sure enough: then it must say what would."""
    config = tiny_config(arms=tuple(name for name in ARMS if name != "staged_gate"))
    check_arms(config)
    study = study_of(config)
    for name in config.arms:
        single = f"{name}_single" if name.startswith("staged") else name
        assert single in study.arms
    for name, arm in study.arms.items():
        assert {split: x.shape for split, x in arm.logits.items()} == {
            "val": (6, CLASSES), "test": (6, CLASSES),
        }  # fmt: skip
        assert all(x.isfinite().all() for x in arm.logits.values()), name
        assert arm.training > 0
        assert arm.inference > 0
    assert_sizes(study)
    assert_variants_differ(study)
    with_gate(config)


def assert_sizes(study):
    one = study.arms["kd"].inference
    for name, arm in study.arms.items():
        alone = name in SINGLE or name.endswith("_single") or name == "takd"
        if name.endswith(("3_ens", "equal_ens")) or name in ("staged_ens", "staged_m0_ens"):
            assert arm.inference == 3 * one
        elif alone:
            assert arm.inference == one, name
    assert study.arms["teacher"].inference > one


def assert_variants_differ(study):
    """A variant that ends with the very scores of the method would be a switch without effect."""
    plain = [study.arms[f"staged_{end}"].logits["test"] for end in ("single", "ens")]
    for name in VARIANTS:
        if name in (*ALIKE, "staged", "staged_gate", "takd"):
            continue
        ends = [study.arms.get(f"{name}_{end}") for end in ("single", "ens")]
        got = [arm.logits["test"] for arm in ends if arm]
        assert not all(map(torch.equal, got, plain)), name


def with_gate(config):
    try:
        study_of(replace(config, arms=("staged_gate",)))
    except ConfigError as error:
        assert "the absolute gate selects none of 6 clips" in str(error)  # noqa: PT017
        assert "gate = 'quantile' needs no thresholds" in str(error)  # noqa: PT017


# What is sealed.


def test_the_sealed_labels_are_read_once_each_and_at_the_end(monkeypatch):
    config = tiny_config(arms=("trusted", "kd3_single", "staged"))
    feeds, weak = tiny_feeds(), tiny_weak(config)
    run = School.run

    def watch(self, *args, **how):
        assert weak.truth.reads == feeds.split.test.reads == 0
        return run(self, *args, **how)

    monkeypatch.setattr(School, "run", watch)
    study = study_of(config, feeds, weak)
    assert study.reads == (1, 1)
    assert feeds.split.test.reasons == ["accuracy of the fold"]
    assert weak.truth.reasons == ["quality of the pseudo-labels"]
    assert study.labels["test"].tolist() == [0, 1, 2, 0, 1, 2]
    assert study.truth.tolist() == [i % CLASSES for i in range(CLIPS)]


@pytest.mark.parametrize(
    ("arm", "reason"),
    [
        ("supervised", "the upper bound: all labels (B4)"),
        ("staged_teacher", "a teacher that knows all labels (A2)"),
    ],
)
def test_who_needs_all_labels_reads_them_for_a_reason_that_is_kept(arm, reason):
    config = tiny_config(arms=("trusted", arm))
    feeds, weak = tiny_feeds(), tiny_weak(config)
    study = study_of(config, feeds, weak)
    assert study.reads == (1, 2)
    assert weak.truth.reasons == [reason, "quality of the pseudo-labels"]


def test_students_are_shown_no_label_that_is_hidden(monkeypatch):
    config = tiny_config(arms=("raw", "staged_m0"))
    schools = []
    run = School.run
    monkeypatch.setattr(
        School, "run", lambda self, *a, **k: schools.append(self) or run(self, *a, **k)
    )
    weak = tiny_weak(config)
    study_of(config, weak=weak)
    hidden = torch.as_tensor(weak.initial) < 0
    assert hidden.sum() == 6
    for school in schools:
        assert (school.train.labels[hidden] == -1).all()
        assert torch.equal(school.train.labels, torch.as_tensor(weak.initial))


def test_no_result_depends_on_the_labels_that_the_feeds_carry():
    """The labels of the training pictures are swapped for others: nothing may notice."""
    config = tiny_config(arms=("kd", "staged_m0"))
    plain, feeds = study_of(config), tiny_feeds()
    wrong = replace(feeds.train[RGB], labels=(feeds.train[RGB].labels + 1) % CLASSES)
    other = study_of(config, replace(feeds, train={RGB: wrong}))
    assert plain.arms.keys() == other.arms.keys()
    for name, arm in plain.arms.items():
        assert torch.equal(arm.logits["test"], other.arms[name].logits["test"])


# Costs.


def test_longer_distillation_costs_what_the_staged_method_costs():
    changes = {"batch": 16, "trusted_share": 0.0, "steps": 4}
    config = tiny_config(arms=("kd", "kd_long", "staged"), **changes)
    arms = study_of(config).arms  # one batch is an epoch: any number of steps is whole epochs
    assert arms["kd_long"].training == pytest.approx(arms["staged_single"].training, rel=0.02)
    assert arms["kd_long"].training > 5 * arms["kd"].training


def test_costs_of_ensembles_count_all_that_was_trained():
    arms = study_of(tiny_config(arms=("kd", "kd3_ens", "kd3_single", "staged_m0"))).arms
    assert arms["kd3_ens"].training == 3 * arms["kd"].training
    school = tiny_school(n_assistants=0)
    student, teacher = (arms[name].inference for name in ("kd", "teacher"))
    macs = {2: student, 7: teacher}
    assert arms["staged_m0_single"].training == training_macs(school.config, macs)
    once = 2 * 12 * (3 + 3) * student  # the last student learns from three
    assert arms["kd3_single"].training == arms["kd3_ens"].training + once
    assert arms["staged_m0_ens"].training == arms["staged_m0_single"].training - once


def test_the_cost_of_a_branch_holds_its_assistants():
    arms = study_of(tiny_config(arms=("staged",))).arms
    parts = sum(arms[f"staged_{kind}"].training for kind in ("res", "fea", "rel"))
    assert parts == arms["staged_ens"].training


# Arms by name.


def test_parts_of_the_method_are_means_of_its_students():
    arms = study_of(tiny_config(arms=("staged_m0",))).arms
    parts = {kind: arms[f"staged_m0_{kind}"].logits["test"] for kind in ("res", "fea", "rel")}
    for pair in (("res", "fea"), ("res", "rel"), ("fea", "rel")):
        got = arms[f"staged_m0_{'_'.join(pair)}"].logits["test"]
        torch.testing.assert_close(got, (parts[pair[0]] + parts[pair[1]]) / 2)
    torch.testing.assert_close(arms["staged_m0_ens"].logits["test"], sum(parts.values()) / 3)
    assert set(arms) == {
        "teacher", "staged_m0_single", "staged_m0_ens", "staged_m0_res", "staged_m0_fea",
        "staged_m0_rel", "staged_m0_res_fea", "staged_m0_res_rel", "staged_m0_fea_rel",
    }  # fmt: skip


def test_arms_do_not_know_each_other():
    """Neither their order nor who else is there changes an arm; `also` is as good as `arms`."""
    names = ("kd", "staged_m0", "kd3_single")
    whole = study_of(tiny_config(arms=names)).arms
    turned = study_of(tiny_config(arms=names[2:], also=names[1::-1])).arms
    assert whole.keys() <= turned.keys() | {"kd3_ens"}
    for name in whole.keys() & turned.keys():
        assert torch.equal(whole[name].logits["test"], turned[name].logits["test"])
        assert whole[name].training == turned[name].training


def test_the_rounds_told_are_those_of_the_method():
    assert len(study_of(tiny_config(arms=("trusted",))).rounds) == 2
    assert len(study_of(tiny_config(arms=("staged", "staged_m2"))).rounds) == 4


def test_arms_that_cannot_be_trained_are_refused_before_anything_is_decoded():
    check_arms(tiny_config(arms=tuple(SINGLES)))
    with pytest.raises(ConfigError, match="name kd, staged twice; name each once"):
        check_arms(tiny_config(arms=("kd", "staged"), also=("staged", "kd")))
    with pytest.raises(
        ConfigError, match=r"arm staged_m3 cannot be trained: .*do not strictly fall"
    ):
        check_arms(tiny_config(teacher_width=4, arms=("staged", "staged_m3")))


def test_weak_labels_are_of_the_clips_that_were_decoded():
    config = tiny_config(dataset="folder", data_root=".")
    clips = clips_of("train")
    kept = [clip.id for clip in clips if clip.id != "train04"]
    weak = weak_labels(config, clips, kept, classes=CLASSES)
    assert len(weak.initial) == len(kept) == CLIPS - 1
    truth = weak.truth.open("the test").tolist()
    assert truth == [clip.label for clip in clips if clip.id in kept]
    assert weak.initial[weak.trusted].tolist() == [
        label for label, known in zip(truth, weak.trusted, strict=True) if known
    ]
    assert (weak.initial[~weak.trusted] == -1).all()
    assert substage_study.SPLITS == ("val", "test")


def test_a_team_at_equal_cost_trains_as_much_as_the_staged_method():
    config = tiny_config(steps=12, arms=("kd3_equal_ens", "kd3_equal_single", "staged"))
    arms = study_of(config).arms
    staged, team = arms["staged_single"].training, arms["kd3_equal_single"].training
    assert team == pytest.approx(staged, rel=0.03)
    assert arms["kd3_equal_ens"].training == pytest.approx(arms["staged_ens"].training, rel=0.03)
    assert arms["kd3_equal_single"].inference == arms["staged_single"].inference
