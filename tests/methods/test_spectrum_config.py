"""The config of notebook 2: profiles, what cannot be, and that every switch has an arm."""

from dataclasses import fields, replace

import pytest
from tiny_spectrum import SMALL, small_config

from redistill.config import parameters_of, resolve
from redistill.errors import ConfigError
from redistill.methods.clips_config import ClipsConfig
from redistill.methods.edge_loss import TERMS
from redistill.methods.spectrum import SpectrumConfig
from redistill.methods.spectrum_arms import ARMS, DECIDING, PLAIN, PRESETS, QUICK
from redistill.methods.spectrum_loss import spectrum_loss

FIELDS = {field.name: field for field in fields(SpectrumConfig)}
OWN = FIELDS.keys() - {field.name for field in fields(ClipsConfig)}
CHANGED = {name for changes in PRESETS.values() for name in changes}

# Settings of a whole run, which no reading of the paper depends on.
RUN = {
    "frames", "size", "views", "stream", "sampling", "test_views", "background", "distractors",
    "teacher_network", "network", "teacher_width", "student_width", "weights", "student_weights",
    "clamp", "share_f", "temperature", "map_layers", "arms", "also", "teacher_steps", "steps",
    "batch", "teacher_lr", "lr", "weight_decay", "device", "threads", "workers", "look_at",
    "optimizer", "clip", "drops", "head_rate",
}  # fmt: skip

# Values for runs of their own: an arm cannot have them.
UNUSED = {
    "channels": {"identity"},  # needs networks of one width
    "statistic": {"flat"},  # needs kernels of one shape
}


@pytest.mark.parametrize("profile", SpectrumConfig.PROFILES)
def test_every_profile_is_a_config_and_allows_its_arms(profile, tmp_path):
    given = {"profile": profile}
    if "dataset" in SpectrumConfig.PROFILES[profile]:
        given["data_root"] = tmp_path
    found = resolve(SpectrumConfig, given)
    preset = SpectrumConfig.PROFILES[profile]
    assert {name: getattr(found, name) for name in preset} == dict(preset)
    assert found.segments == found.frames
    for name in found.arms:
        assert found.of_arm(name).arms == ()


# Every switch.


def test_every_parameter_is_a_reading_of_some_arm_or_a_setting_of_the_run():
    assert CHANGED <= OWN
    assert RUN <= OWN
    assert OWN == CHANGED | RUN
    assert not CHANGED & RUN


def test_every_choice_is_the_default_or_an_arms():
    """A value that no arm and no default uses would be a switch for nobody."""
    for name in CHANGED:
        choices = FIELDS[name].metadata["choices"]
        if choices is None:
            continue
        used = {FIELDS[name].default, *(p[name] for p in PRESETS.values() if name in p)}
        assert set(choices) - used == UNUSED.get(name, set()), name


@pytest.mark.parametrize("name", PRESETS)
def test_an_arm_changes_something_into_what_is_allowed(name):
    changes, known = PRESETS[name], parameters_of(SpectrumConfig)
    for field, value in changes.items():
        assert known[field].check(value) == value
    config = small_config()
    assert (config.of_arm(name) != replace(config, arms=())) == (name != "collab")


def test_no_two_arms_are_one():
    """Of the loss that each stands for, in one config."""
    losses = {name: repr(spectrum_loss(small_config().of_arm(name))) for name in PRESETS}
    stages = {"all_stages": "all"}  # is not of the loss but of the maps kept
    told = {(loss, stages.get(name, "last")) for name, loss in losses.items()}
    assert len(told) == len(PRESETS)


def test_names_of_arms_are_unique_and_groups_hold_arms():
    assert len(set(ARMS)) == len(ARMS) == len(PLAIN) + len(PRESETS)
    assert set(QUICK) <= set(DECIDING) <= set(ARMS)
    for name, terms in PLAIN.items():
        assert {term for term, _ in terms} <= set(TERMS)
        assert bool(terms) == (not name.startswith("alone"))


def test_the_loss_is_what_the_config_says():
    """Each setting of the config reaches the loss."""
    plain = repr(spectrum_loss(small_config()))
    others = {
        "space": "per_pixel", "channels": "group_mean", "normalise": "none", "transform": "dct",
        "component": "power", "phase": 0.3, "bands": "ac", "multiplicity": False,
        "distance": "l1", "reduction": "mean", "teacher_time": "reversed", "statistic": "radial",
        "divergence": "js", "kernel_transform": "dft", "kernel_layers": "pooled",
        "teacher_stage": "next", "collab": "fixed", "lambda_f": 0.5, "lambda_p": 0.5,
        "label_noise": True, "share_f": 0.25, "warmup": 0.2, "kd_weight": 0.5, "temperature": 2.0,
    }  # fmt: skip
    told = {repr(spectrum_loss(small_config(arms=(), **{k: v}))) for k, v in others.items()}
    assert len(told | {plain}) == len(others) + 1
    assert CHANGED - set(others) == {"stages"}  # which is of the maps kept


@pytest.mark.parametrize(
    ("changes", "maps"),
    [
        ({}, True),
        ({"lambda_f": 0.0}, False),
        ({"channels": "group_mean"}, False),
        ({"space": "attention"}, False),
        ({"component": "distribution"}, False),
    ],
)
def test_maps_of_channels_are_built_where_a_loss_trains_them(changes, maps):
    assert small_config(arms=(), **changes).maps_channels == maps


def test_stages_are_how_many_are_kept():
    assert small_config().keep == 1
    assert small_config(stages="all").keep == 4


# What cannot be.


def test_views_of_a_test_clip_are_checked_before_a_clip_is_decoded():
    with pytest.raises(ConfigError, match="parameter test_views: protocol = '2x2'"):
        SpectrumConfig(test_views="2x2")


def test_an_arm_named_twice_is_refused():
    for how in ({"arms": ("fsd", "fsd")}, {"arms": ("fsd", "kd"), "also": ("mse", "fsd")}):
        with pytest.raises(ConfigError, match="name fsd twice; name each once"):
            small_config(**how)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"component": "power", "phase": 0.5}, r"phase = 0.5 lies between .*'power'"),
        ({"component": "distribution", "bands": "dc"}, r"bands = 'dc' holds one bin"),
        ({"statistic": "energies"}, r"statistic = 'energies': .*Did you mean 'energy'"),
        ({"channels": "group"}, r"channels = 'group': expected one of linear, identity"),
        ({"phase": 1.5}, r"phase = 1.5: expected from 0"),
    ],
)
def test_readings_at_odds_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        small_config(arms=(), **changes)


@pytest.mark.parametrize(
    ("arm", "changes", "message"),
    [
        ("mse", {"phase": 0.5}, "lies between amplitude and complex"),
        ("phase25", {"component": "power"}, "lies between amplitude and complex"),
        ("distribution", {"bands": "dc"}, "holds one bin"),
    ],
)
@pytest.mark.parametrize("where", ["arms", "also"])
def test_an_arm_that_the_config_contradicts_is_refused_by_name(arm, changes, message, where):
    """Before anything is decoded, and not after its teacher was trained."""
    lists = {"arms": (), "also": ()} | {where: (arm,)}
    with pytest.raises(ConfigError, match=f"arm {arm} cannot be trained: .*{message}"):
        small_config(**lists, **changes)
    small_config(arms=("fsd",) if "phase" in changes else (), **changes)


@pytest.mark.parametrize(
    "given",
    [{"collab": "both"}, {"warmup": 1.5}, {"share_f": 0.0}, {"map_layers": 5}, {"clamp": -1.0}],
)
def test_values_out_of_bounds_name_the_parameter(given):
    (name,) = given
    with pytest.raises(ConfigError, match=f"parameter {name} = "):
        resolve(SpectrumConfig, SMALL | given)
