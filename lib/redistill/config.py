"""Typed parameters: one frozen dataclass per notebook, validated before anything starts.

A config class is a frozen dataclass with a field ``profile``, a class variable ``PROFILES``
(profile name to the values it sets), and fields made by ``param``.  Wherever a parameter is given,
None means "the profile's value", and the profile's silence means the field's default.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar, get_type_hints

from redistill import values
from redistill.errors import ConfigError, nearest
from redistill.files import sha256_json

T = TypeVar("T")


def param(
    default: Any = None,
    *,
    help: str,
    choices: Iterable[Any] | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """Return a dataclass field with its help text, its choices, and its bounds (inclusive).

    Choices and bounds of a tuple hold for each of its items.
    """
    choices = tuple(choices) if choices else None
    about = {"help": help, "choices": choices, "low": low, "high": high}
    return field(default=default, metadata=about)


def as_in(config: type, name: str) -> Any:
    """Return a field like that called ``name`` of another config class: default, help, bounds."""
    known = next(one for one in fields(config) if one.name == name)
    return field(default=known.default, metadata=known.metadata)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a config class, as messages, tables and checks need it."""

    name: str
    kind: Any
    default: Any
    help: str
    choices: tuple[Any, ...] | None
    low: float | None
    high: float | None

    def check(self, value: Any, convert: Callable[[Any, Any], Any] = values.check) -> Any:
        """Return ``value`` in the declared type, or raise ConfigError saying what is expected.

        With ``values.parse`` to convert, return the value that a text spells.
        """
        try:
            value = convert(value, self.kind)
        except ValueError:
            raise self._error(value, values.describe(self.kind)) from None
        for item in value if isinstance(value, tuple) else (value,):
            self._check_item(item)
        return value

    def _check_item(self, item: Any) -> None:
        if self.choices is not None and item is not None and item not in self.choices:
            words = [str(choice) for choice in self.choices]
            raise self._error(item, "one of " + ", ".join(words), nearest(str(item), words))
        if isinstance(item, int | float) and not isinstance(item, bool):
            if self.low is not None and item < self.low:
                raise self._error(item, f"at least {self.low}")
            if self.high is not None and item > self.high:
                raise self._error(item, f"at most {self.high}")

    def _error(self, value: Any, expected: str, hint: str = "") -> ConfigError:
        return ConfigError(
            f"parameter {self.name} = {value!r}: expected {expected} ({self.help}).{hint}"
        )


def parameters_of(config: type) -> dict[str, Parameter]:
    """Return the parameters of a config class by name, in the order of its fields."""
    kinds = get_type_hints(config)
    found = {
        f.name: Parameter(f.name, kinds[f.name], f.default, **f.metadata) for f in fields(config)
    }
    found["profile"] = replace(found["profile"], choices=tuple(config.PROFILES))
    return found


def resolve(config: type[T], given: Mapping[str, Any]) -> T:
    """Return a ``config`` with what is given, then the profile's values, then the defaults.

    Raises:
        ConfigError: an unknown name (names the nearest), a wrong type, a value out of its choices
            or bounds, or a parameter without any value.
    """
    known = parameters_of(config)
    profile = known["profile"].check(given.get("profile") or known["profile"].default)
    preset = config.PROFILES[profile]
    for name in (*given, *preset):
        check_name(name, known)
    chosen = {}
    for name, parameter in known.items():
        options = (given.get(name), preset.get(name), parameter.default)
        value = next((option for option in options if option is not None), None)
        chosen[name] = parameter.check(value)
    return config(**chosen)


def configure(config: type[T], namespace: Mapping[str, Any]) -> T:
    """Return the config that a notebook's variables spell: ``configure(Config, globals())``.

    Raises:
        ConfigError: as ``resolve``, and if the parameters cell lacks a parameter.
    """
    names = parameters_of(config)
    lacking = [name for name in names if name not in namespace]
    if lacking:
        raise ConfigError(
            f"the parameters cell lacks {', '.join(lacking)} of {config.__name__}: "
            "replace it by the one that `redistill params NOTEBOOK --cell` prints"
        )
    return resolve(config, {name: namespace[name] for name in names})


def parse_parameters(config: type, texts: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return values for the pairs of name and text that came from a command line.

    Raises:
        ConfigError: an unknown name, a name given twice, or a text that spells no valid value.
    """
    known = parameters_of(config)
    given: dict[str, Any] = {}
    for name, text in texts:
        check_name(name, known)
        if name in given:
            raise ConfigError(f"parameter {name} is given twice; give it once")
        given[name] = known[name].check(text, values.parse)
    return given


def check_name(name: str, known: Mapping[str, Any]) -> None:
    """Raise ConfigError if no parameter is called ``name``."""
    if name not in known:
        hint = nearest(name, known)
        raise ConfigError(f"no parameter {name!r}.{hint} There are: {', '.join(known)}.")


def as_json(config: Any) -> dict[str, Any]:
    """Return a config as JSON: paths as text, tuples as lists."""
    return plain(asdict(config))


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of parameters as JSON has them."""
    return json.loads(json.dumps(values, default=str))


def config_hash(config: Any) -> str:
    """Return the SHA-256 of all values of a config."""
    return sha256_json(as_json(config))
