from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import ToyConfig

from redistill.config import as_json, config_hash, configure, parse_parameters, resolve
from redistill.config_text import help_table, parameters_cell
from redistill.configs import config_name
from redistill.errors import ConfigError

NAMES = [f.name for f in fields(ToyConfig)]


def test_what_is_given_wins_over_the_profile_and_the_profile_over_the_default():
    assert resolve(ToyConfig, {}).epochs == 2
    assert resolve(ToyConfig, {"profile": "standard"}).epochs == 30
    assert resolve(ToyConfig, {"profile": "standard"}).sizes == (32,)
    assert resolve(ToyConfig, {"profile": "standard", "epochs": 5}).epochs == 5
    assert resolve(ToyConfig, {"epochs": None, "sizes": [4]}).sizes == (4,)


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"temprature": 2}, ["'temprature'", "Did you mean 'temperature'"]),
        ({"temperature": "hot"}, ["temperature = 'hot'", "expected float", "softening"]),
        ({"temperature": 0}, ["temperature = 0", "at least 0.01"]),
        ({"epochs": 1001}, ["epochs = 1001", "at most 1000"]),
        ({"epochs": 2.0}, ["epochs = 2.0", "expected int"]),
        ({"epochs": True}, ["epochs = True", "expected int"]),
        ({"dataset": "weizman"}, ["'weizman'", "synthetic, weizmann", "mean 'weizmann'"]),
        ({"mode": "sooner"}, ["'sooner'", "one of late, early"]),
        ({"sizes": (8, 0)}, ["sizes = 0", "at least 1"]),
        ({"crop": (1, 2.0, 3)}, ["crop", "expected int, float"]),
        ({"profile": "quik"}, ["'quik'", "quick, standard", "mean 'quick'"]),
        ({"profile": 3}, ["profile = 3", "expected text"]),
    ],
)
def test_a_bad_parameter_is_named_with_what_was_expected(given_, words):
    with pytest.raises(ConfigError) as error:
        resolve(ToyConfig, given_)
    for word in words:
        assert word in str(error.value)


@given(st.dictionaries(st.text(), st.integers(), min_size=1))
def test_an_unknown_name_never_passes(given_):
    if set(given_) <= set(NAMES):
        return
    with pytest.raises(ConfigError):
        resolve(ToyConfig, given_)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "epochs": st.integers(1, 1000),
            "temperature": st.floats(0.01, 1e6),
            "sizes": st.lists(st.integers(1, 9), min_size=1).map(tuple),
            "shuffle": st.booleans(),
            "dataset": st.sampled_from(["synthetic", "weizmann"]),
            "seed": st.integers(),
        },
    )
)
def test_text_values_and_the_notebook_give_one_config(given_):
    def spell(value):
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)

    config = resolve(ToyConfig, given_)
    texts = [(name, spell(value)) for name, value in given_.items()]
    assert resolve(ToyConfig, parse_parameters(ToyConfig, texts)) == config
    namespace = {**dict.fromkeys(NAMES), "profile": "quick", "other": 1, **given_}
    assert configure(ToyConfig, namespace) == config
    assert resolve(ToyConfig, {k: v for k, v in as_json(config).items() if v is not None}) == config


def test_a_name_given_twice_is_an_error():
    with pytest.raises(ConfigError, match="epochs is given twice"):
        parse_parameters(ToyConfig, [("epochs", "1"), ("epochs", "2")])


def test_the_parameters_cell_sets_every_parameter_to_the_profiles_value():
    namespace = {}
    exec(parameters_cell(ToyConfig), namespace)
    assert namespace["profile"] == "quick"
    assert configure(ToyConfig, namespace) == resolve(ToyConfig, {})
    assert [n for n in namespace if n != "__builtins__"] == NAMES


def test_a_parameters_cell_that_lacks_one_is_an_error():
    with pytest.raises(ConfigError, match=r"lacks seed of ToyConfig.*params NOTEBOOK --cell"):
        configure(ToyConfig, dict.fromkeys([n for n in NAMES if n != "seed"]))


def test_injected_values_are_checked_again_in_the_notebook():
    with pytest.raises(ConfigError, match="expected int"):
        configure(ToyConfig, {**dict.fromkeys(NAMES), "epochs": "many"})


def test_the_help_table_has_types_values_of_each_profile_and_help():
    lines = {line.split()[0]: line for line in help_table(ToyConfig).splitlines()}
    assert list(lines) == ["parameter", *NAMES]
    assert " ".join(lines["epochs"].split()) == "epochs int 1..1000 2 30 passes over the data"
    assert "8,16" in lines["sizes"]
    assert "synthetic|weizmann" in lines["dataset"]
    assert lines["seed"].endswith("seed; none draws one")


def test_the_hash_is_of_all_values():
    one = config_hash(resolve(ToyConfig, {}))
    assert one == config_hash(resolve(ToyConfig, {"epochs": 2}))
    assert one != config_hash(resolve(ToyConfig, {"epochs": 3}))
    assert one != config_hash(resolve(ToyConfig, {"root": Path("x")}))


def test_a_notebook_without_a_known_config_is_an_error():
    with pytest.raises(ConfigError, match="names no config"):
        config_name({})
    with pytest.raises(ConfigError, match="mean 'progressive'"):
        config_name({"redistill": {"config": "progresive"}})
