"""The config of notebook 4: what it shares with notebook 3, its profiles, what cannot be."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import pytest
import torch

from redistill.config import Parameter, as_in, param, parameters_of, resolve
from redistill.configs import CONFIGS
from redistill.errors import ConfigError
from redistill.methods.arms import choose
from redistill.methods.clips_config import ClipsConfig
from redistill.methods.exits import exit_phase
from redistill.methods.flatness import FlatnessConfig
from redistill.methods.progressive import ProgressiveConfig
from redistill.methods.streams import phase, stream
from redistill.modality import MODALITIES

OURS, THEIRS = parameters_of(FlatnessConfig), parameters_of(ProgressiveConfig)
OWN = {  # settings of the measuring, which notebook 3 does not know
    "same_depth", "rungs", "sample", "hessian_clips", "hessian_batch", "top", "top_everywhere",
    "probes", "density_steps", "density_probes", "grid", "directions", "reach", "reestimate",
}  # fmt: skip
FEWER = {"arms"}  # of longer profiles: notebook 4 does not measure all of them
ELSEWHERE = {"released", "team", "wise_arm"}  # train nothing that notebook 4 looks at


def both(profile, tmp_path):
    given = {"profile": profile}
    if profile == "paper":
        given["data_root"] = tmp_path
    return resolve(FlatnessConfig, given), resolve(ProgressiveConfig, given)


# What is shared.


def test_every_parameter_is_shared_or_of_the_measuring():
    assert OURS.keys() - THEIRS.keys() == OWN
    assert THEIRS.keys() - OURS.keys() == ELSEWHERE


@pytest.mark.parametrize("name", sorted(OURS.keys() & THEIRS.keys() - {"profile"}))
def test_what_is_shared_has_type_default_help_and_bounds_of_notebook_3(name):
    assert OURS[name] == THEIRS[name]


def test_values_out_of_the_shared_bounds_are_refused_as_there():
    for name, value in (("width", 1), ("depth", 12), ("arms", ("pdk",)), ("lr", -1.0)):
        messages = []
        for config in (FlatnessConfig, ProgressiveConfig):
            with pytest.raises(ConfigError, match=f"parameter {name} = ") as error:
                resolve(config, {name: value})
            messages.append(str(error.value))
        assert messages[0] == messages[1]


def test_a_field_as_in_another_config_is_that_field():
    @dataclass(frozen=True, kw_only=True)
    class First:
        PROFILES: ClassVar[dict[str, Any]] = {"quick": {}}
        profile: str = param("quick", help="set of defaults")
        count: int = param(3, help="of things", choices=(2, 3), low=1, high=5)
        other: float = param(0.5, help="of others")

    @dataclass(frozen=True, kw_only=True)
    class Second:
        PROFILES: ClassVar[dict[str, Any]] = {"quick": {}}
        profile: str = param("quick", help="set of defaults")
        count: int = as_in(First, "count")

    assert parameters_of(Second)["count"] == Parameter("count", int, 3, "of things", (2, 3), 1, 5)
    assert Second().count == 3
    assert resolve(Second, {"count": 2}).count == 2
    with pytest.raises(ConfigError, match=r"count = 4: expected one of 2, 3 \(of things\)"):
        resolve(Second, {"count": 4})


# The networks are those of notebook 3.


@pytest.mark.parametrize("profile", FlatnessConfig.PROFILES)
def test_networks_are_those_of_notebook_3_in_all_that_trains(profile, tmp_path):
    ours, theirs = both(profile, tmp_path)
    differ = {
        field.name
        for field in fields(ProgressiveConfig)
        if getattr(ours.networks, field.name) != getattr(theirs, field.name)
    }
    assert differ <= ELSEWHERE | FEWER
    assert set(ours.arms) <= set(theirs.arms)
    if profile == "quick":
        assert not differ & FEWER


@pytest.mark.parametrize("profile", FlatnessConfig.PROFILES)
@pytest.mark.parametrize("modality", MODALITIES)
def test_the_phases_of_notebook_3_are_found(profile, modality, tmp_path):
    """What a phase is found by, but for the clips: its settings and the first weights."""
    ours, theirs = (x for x in both(profile, tmp_path))
    ours = ours.networks
    assert phase(modality, ours, device="cpu") == phase(modality, theirs, device="cpu")
    assert exit_phase("ics", modality, ours, device="cpu") == exit_phase(
        "ics", modality, theirs, device="cpu"
    )
    if profile == "quick":
        one, other = (stream(modality, c, classes=4).state_dict() for c in (ours, theirs))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert choose(ours.arms, seed=ours.seed) == choose(theirs.arms, seed=theirs.seed)


def test_what_is_set_reaches_the_networks():
    """Every shared field, at a value of its own."""
    changes = {
        "dataset": "ucf101", "data_root": "x", "world": "crossed", "set_size": "standard",
        "data_seed": 3, "seed": 7, "folds": (1,), "on_bad": "drop", "segments": 5, "size": 64,
        "views": 3, "stream": True, "depth": 18, "depth_iframe": 34, "width": 8,
        "weights": "imagenet", "recipe": "paper", "steps": 11, "arms": ("pkd", "ce"),
        "ic_steps": 13, "batch": 4, "lr": 0.5, "weight_decay": 0.25, "device": "cpu",
        "threads": 2, "workers": 0, "profile": "standard",
    }  # fmt: skip
    assert changes.keys() == OURS.keys() & THEIRS.keys()
    networks = FlatnessConfig(**changes, sample=77).networks
    assert isinstance(networks, ProgressiveConfig)
    assert {name: getattr(networks, name) for name in changes} == changes
    plain = FlatnessConfig()
    assert all(getattr(plain, name) != value for name, value in changes.items())


# Profiles, and what cannot be.


@pytest.mark.parametrize("profile", FlatnessConfig.PROFILES)
def test_every_profile_is_a_config(profile, tmp_path):
    found, _ = both(profile, tmp_path)
    preset = FlatnessConfig.PROFILES[profile]
    assert {name: getattr(found, name) for name in preset} == dict(preset)
    assert {"ce", "pkd"} <= set(found.arms)  # which are compared
    assert issubclass(FlatnessConfig, ClipsConfig)
    assert CONFIGS["flatness"] == "redistill.methods.flatness:FlatnessConfig"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hessian_clips": 31, "sample": 30}, r"hessian_clips = 31: .*sample of 30 .*raise sample"),
        ({"rungs": (0.5, 0.25)}, r"rungs = \(0.5, 0.25\): name each share once, rising"),
        ({"rungs": (0.25, 0.25, 0.5)}, r"rungs = .*name each share once"),
        ({"arms": ("ce", "kd_iframe")}, r"arms = .*: expected ce and pkd among them"),
        ({"arms": ()}, r"arms = \(\): expected ce and pkd"),
        ({"dataset": "ucf101"}, r"data_root is not given, and dataset = 'ucf101' needs it"),
    ],
)
def test_settings_at_odds_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        FlatnessConfig(**changes)


def test_the_bounds_of_clips_and_rungs_themselves_are_allowed():
    assert FlatnessConfig(hessian_clips=30, sample=30).hessian_clips == 30
    assert FlatnessConfig(rungs=()).rungs == ()
    assert FlatnessConfig(rungs=(0.25, 0.5)).rungs == (0.25, 0.5)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"same_depth": 20}, "one of 10, 18, 34, 50"),
        ({"rungs": (0.5, 1.0)}, "at most 0.99"),
        ({"rungs": (0.0,)}, "at least 0.01"),
        ({"sample": 1}, "at least 2"),
        ({"hessian_clips": 1}, "at least 2"),
        ({"top": 51}, "at most 50"),
        ({"top": 1}, "at least 2"),
        ({"probes": 1}, "at least 2"),
        ({"density_steps": 1}, "at least 2"),
        ({"grid": 2}, "at least 3"),
        ({"directions": 1}, "at least 2"),
        ({"reach": -0.1}, "at least 0"),
        ({"reestimate": "yes"}, "expected"),
    ],
)
def test_values_out_of_bounds_name_the_parameter(given, expected):
    (name,) = given
    with pytest.raises(ConfigError, match=f"parameter {name} = .*{expected}"):
        resolve(FlatnessConfig, given)
