"""The runs of a batch: a grid of notebooks and parameters, checked before any of them starts."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from redistill.config import config_hash, parse_parameters, plain, resolve
from redistill.configs import config_name, load_config
from redistill.errors import ConfigError
from redistill.running.notebook import read_metadata, read_notebook
from redistill.running.parameters_cell import cell_values

_COMMA = re.compile(r",(?![^(\[]*[)\]])")  # those outside of brackets
Point = tuple[tuple[str, str], ...]  # names of parameters with the texts of their values


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One run of a batch.

    Attributes:
        notebook: absolute path of the .ipynb file.
        given: parameters that differ from the profile's values, as JSON has them; paths as typed.
        cell_timeout: seconds that one cell may take.
        budget: seconds that the whole run may take.
    """

    notebook: Path
    given: Mapping[str, Any]
    cell_timeout: float | None = None
    budget: float | None = None

    def __post_init__(self) -> None:
        """Refuse a limit that no run could keep."""
        for name in ("cell_timeout", "budget"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0:
                raise ConfigError(f"{name} = {seconds:g}: expected more than 0 seconds")

    @property
    def config(self) -> Any:
        """The config of the notebook with what is given, resolved.

        Raises:
            ConfigError: it has changed since, so that what is given fits no more.
            RunError: the notebook is not there any more.
        """
        return resolve(_config_class(self.notebook), self.given)

    def text(self) -> str:
        """Return the notebook's name and what is given, as the command line takes it."""
        given = (f"{name}={spelled(value)}" for name, value in self.given.items())
        return " ".join([self.notebook.stem, *given])


def grid(
    notebooks: Sequence[Path],
    fixed: Sequence[tuple[str, str]],
    axes: Sequence[tuple[str, Sequence[str]]],
    *,
    cell_timeout: float | None = None,
    budget: float | None = None,
) -> tuple[RunSpec, ...]:
    """Return a run for each notebook and each combination of the axes' values.

    Args:
        notebooks: .ipynb files; each takes all parameters named.
        fixed: names and values of parameters that are the same in all runs.
        axes: names with the values to vary over; a name "data_seed,seed" with values like "0,5"
            varies several together.
        cell_timeout: seconds that one cell may take.
        budget: seconds that a whole run may take.

    Raises:
        RunError: no such notebook, it is none, or it has not one parameters cell.
        ConfigError: no notebook, an empty axis, a notebook without a config of this suite or with
            a parameters cell that does not fit it, an unknown parameter (which notebook), a value
            out of bounds, or the same run twice.
    """
    if not notebooks:
        raise ConfigError("a batch of no notebooks; name one or more .ipynb files")
    points = [tuple(fixed) + point for point in _points(axes)]
    parsed = [(path, _parsed(path, points)) for path in notebooks]  # before anything slow
    limits = {"cell_timeout": cell_timeout, "budget": budget}
    specs = tuple(
        RunSpec(notebook=path.expanduser().absolute(), given=plain(saved | given), **limits)
        for path, each in parsed
        for saved in [_saved(path)]
        for given in each
    )
    check_different(specs)
    return specs


def check_different(specs: Iterable[RunSpec]) -> None:
    """Resolve the config of each run, and raise ConfigError if two of them are the same run."""
    seen: dict[tuple[Path, str], RunSpec] = {}
    for spec in specs:
        try:
            place = (spec.notebook, config_hash(spec.config))
        except ConfigError as error:
            raise ConfigError(f"{spec.text()}: {error}") from error
        if place in seen:
            raise ConfigError(
                f"the same run twice: {seen[place].text()} and {spec.text()}; name each run once"
            )
        seen[place] = spec


def spelled(value: Any) -> str:
    """Return a JSON value of a parameter as the command line takes it."""
    if isinstance(value, list | tuple):
        return ",".join(map(spelled, value)) or "()"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _points(axes: Sequence[tuple[str, Sequence[str]]]) -> list[Point]:
    """Return each combination of the axes' values."""
    columns = []
    for name, texts in axes:
        if not texts:
            raise ConfigError(f"the axis {name!r} has no values; give one or more")
        columns.append([_joined(name, text) for text in texts])
    return [sum(point, ()) for point in product(*columns)]


def _joined(name: str, text: str) -> Point:
    """Return the parameters that one value of an axis sets."""
    names = [each.strip() for each in name.split(",")]
    if len(names) == 1:
        return ((name, text),)
    texts = [each.strip() for each in _COMMA.split(text)]
    if len(texts) != len(names):
        raise ConfigError(
            f"the axis {name!r} has the value {text!r}: expected {len(names)} values with commas "
            "between them (a list among them in brackets)"
        )
    return tuple(zip(names, texts, strict=True))


def _config_class(path: Path) -> type:
    return load_config(config_name(read_metadata(path)))


def _parsed(path: Path, points: Sequence[Point]) -> list[dict[str, Any]]:
    try:
        config = _config_class(path)
        given = [parse_parameters(config, point) for point in points]
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return [{name: value for name, value in one.items() if value is not None} for one in given]


def _saved(path: Path) -> dict[str, Any]:
    """Return what the notebook's own parameters cell sets."""
    return cell_values(read_notebook(path), _config_class(path), path)
