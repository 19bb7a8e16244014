"""The config of notebook 1: which cascades there can be, and arms that fit it."""

from dataclasses import fields, replace
from itertools import pairwise

import pytest
from tiny_school import TINY, tiny_config

from redistill.config import resolve
from redistill.errors import ConfigError
from redistill.methods.edge_loss import TERMS, EdgeLoss
from redistill.methods.recipes import ARMS, DECIDING, KINDS, OTHERS, QUICK, SINGLES, VARIANTS
from redistill.methods.substage import SubstageConfig
from redistill.nets.video import NETWORKS, build_video

NAMES = {field.name for field in fields(SubstageConfig)}


# Widths.


@pytest.mark.parametrize("teacher", [4, 7, 12, 16, 64])
@pytest.mark.parametrize("student", [2, 3, 4, 16])
@pytest.mark.parametrize("m", range(4))
def test_widths_fall_strictly_or_the_cascade_is_refused(teacher, student, m):
    wanted = [round(teacher ** (1 - k / (m + 1)) * student ** (k / (m + 1))) for k in range(m + 2)]
    falls = all(a > b for a, b in pairwise(wanted))
    changes = {"teacher_width": teacher, "student_width": student, "n_assistants": m}
    if falls:
        assert tiny_config(**changes).widths == tuple(wanted)
        return
    with pytest.raises(ConfigError, match=f"n_assistants = {m}: .*do not strictly fall"):
        tiny_config(**changes)


@pytest.mark.parametrize(
    ("teacher", "student", "m", "advice"),
    [
        (4, 4, 0, "the student must be narrower than the teacher"),
        (4, 6, 1, "the student must be narrower than the teacher"),
        (4, 2, 3, "take at most 1 assistants, or networks further apart"),
    ],
)
def test_the_message_says_what_would_work(teacher, student, m, advice):
    with pytest.raises(ConfigError, match=advice):
        tiny_config(teacher_width=teacher, student_width=student, n_assistants=m)


@pytest.mark.parametrize("teacher", range(3, 20))
@pytest.mark.parametrize("student", [2, 3, 5])
def test_as_many_assistants_as_the_message_allows_do_work(teacher, student):
    """The advice must hold: the number it names makes a cascade."""
    for m in range(4):
        try:
            tiny_config(teacher_width=teacher, student_width=student, n_assistants=m)
        except ConfigError as error:
            if "at most" not in str(error):
                assert student >= teacher
                continue
            allowed = int(str(error).split("at most ")[1].split()[0])
            # Up to the three assistants that the parameter takes.
            allowed = min(allowed, 3)
            tiny_config(teacher_width=teacher, student_width=student, n_assistants=allowed)


@pytest.mark.parametrize("name", ["shift10", "tsn10", "r3d_18", "r2plus1d_18"])
def test_parameters_fall_along_the_cascade(name):
    widths = tiny_config(n_assistants=3).widths
    assert widths == (7, 5, 4, 3, 2)
    counts = [
        sum(p.numel() for p in build_video(name, width=w, classes=3, frames=4, seed=0).parameters())
        for w in widths
    ]
    assert counts == sorted(set(counts), reverse=True)


# Refusals.


def test_branches_are_named_once_each():
    for kinds in ((), ("res", "res")):
        with pytest.raises(ConfigError, match="name one or more of res, fea, rel, each once"):
            tiny_config(kinds=kinds)


def test_real_clips_need_a_folder():
    with pytest.raises(ConfigError, match=r"data_root is not given.*'ucf101' needs it"):
        tiny_config(dataset="ucf101")


@pytest.mark.parametrize(("share", "batch"), [(0.9, 4), (0.9, 9), (0.8, 4)])
def test_a_trusted_share_that_leaves_the_pool_no_place_is_refused(share, batch):
    """Else an epoch would divide by no clips."""
    with pytest.raises(ConfigError, match="trusted_share"):
        tiny_config(trusted_share=share, batch=batch)


@pytest.mark.parametrize("profile", SubstageConfig.PROFILES)
def test_every_profile_is_a_config_and_allows_its_arms(profile, tmp_path):
    found, _ = resolved(profile, tmp_path)
    for name in found.arms:
        replace(found, **VARIANTS.get(name, {}))
    assert found.segments == found.frames
    assert found.stream is False


def resolved(profile, folder):
    given = {"profile": profile}
    if "dataset" in SubstageConfig.PROFILES[profile]:
        given["data_root"] = folder
    found = resolve(SubstageConfig, given)
    return (found, None) if isinstance(found, SubstageConfig) else (found.config, found)


# Arms.


def test_names_of_arms_are_unique_and_groups_hold_arms():
    assert len(set(ARMS)) == len(ARMS) == len(SINGLES) + len(OTHERS) + len(VARIANTS)
    assert set(QUICK) <= set(ARMS)
    assert set(DECIDING) <= set(ARMS)


@pytest.mark.parametrize("name", SINGLES)
def test_a_recipe_names_losses_and_parameters_that_there_are(name):
    recipe = SINGLES[name]
    assert recipe.labels in ("trusted", "raw", "refined", "true")
    assert recipe.budget in ("one", "staged")
    for term, weight in recipe.terms:
        assert term in TERMS
        assert weight in NAMES if isinstance(weight, str) else weight > 0
    assert recipe.ce == "1-lam" or recipe.ce > 0
    assert ("kd" in dict(recipe.terms)) == (recipe.ce == "1-lam")


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_changes_something_and_into_what_is_allowed(name):
    config, changes = tiny_config(), VARIANTS[name]
    assert set(changes) <= NAMES
    varied = replace(config, **changes)
    checked = resolve(SubstageConfig, {**TINY, **changes})
    assert (getattr(checked, "config", checked)) == varied
    assert name in ("staged", "staged_m1") or varied != config


def test_every_kind_of_loss_that_can_be_chosen_is_a_term():
    for name in ("fea_kind", "rel_kind", "fd_kind"):
        (field,) = [field for field in fields(SubstageConfig) if field.name == name]
        for choice in field.metadata["choices"]:
            EdgeLoss(terms=((choice, 1.0),))


def test_no_parameter_is_without_an_arm():
    """A value that no arm and no default uses would be a switch for nobody."""
    defaults = {field.name: field.default for field in fields(SubstageConfig)}
    for name in ("fea_kind", "rel_kind", "corr_reading", "fd_kind", "cascade", "cascade_init",
                 "branch_data", "branch_sharing", "combine", "deploy_from", "weighting",
                 "redistill_init", "kd_target", "refresh", "unc_kind", "gate"):  # fmt: skip
        (field,) = [field for field in fields(SubstageConfig) if field.name == name]
        used = {defaults[name], *(v[name] for v in VARIANTS.values() if name in v)}
        assert used == set(field.metadata["choices"])
    assert tuple(KINDS) == defaults["kinds"]


def test_networks_of_the_config_are_those_there_are():
    for name in ("network", "teacher_network"):
        (field,) = [field for field in fields(SubstageConfig) if field.name == name]
        assert field.metadata["choices"] == NETWORKS


def test_inexact_labels_ask_for_clips_of_their_own():
    usual, inexact = tiny_config(), tiny_config(weak_mode="inexact")
    assert "inexact" not in usual.catalog_options()
    assert inexact.catalog_options() == usual.catalog_options() | {"inexact": True}
    real = replace(inexact, dataset="weizmann", data_root="clips")
    assert "inexact" not in real.catalog_options()


def test_no_label_at_all_is_refused_before_anything_is_decoded():
    with pytest.raises(ConfigError, match=r"label_frac = 0: .* give a share above 0"):
        tiny_config(label_frac=0.0)
