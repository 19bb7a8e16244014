"""A batch as a small TOML file: one or more tables [[runs]], each a grid of its own."""

# For example:
#
#     [[runs]]
#     notebooks = ["notebooks/3_progressive_kd.ipynb"]
#     set = { profile = "standard", world = "scene_led" }
#     grid = { "data_seed,seed" = [[0, 0], [0, 5], [1, 1]] }

import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from redistill.batch.spec import RunSpec, check_different, grid, spelled
from redistill.errors import ConfigError, nearest
from redistill.running.key import input_files

_KEYS: Mapping[str, tuple[type, ...]] = {
    "notebooks": (list,),
    "set": (dict,),
    "grid": (dict,),
    "cell_timeout": (int, float),
    "budget": (int, float),
}


def read_batch_file(path: Path) -> tuple[RunSpec, ...]:
    """Return the runs that a batch file asks for; paths in it are meant from its folder.

    Raises:
        ConfigError: no such file, no TOML, an unknown or ill-typed entry (which table), nothing
            to run, or what ``grid`` refuses.
        RunError: as ``grid``.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path} cannot be read as a batch file (TOML): {reason}") from error
    tables = content.pop("runs", [])
    for name in content:
        raise ConfigError(f"{path}: {name!r} is no entry of a batch file; it has [[runs]] alone")
    if not tables or not isinstance(tables, list):
        raise ConfigError(f"{path} asks for no runs; give a table [[runs]] with notebooks in it")
    specs: list[RunSpec] = []
    for number, table in enumerate(tables, start=1):
        where = f"{path}, table {number} of [[runs]]"
        _check(table, where)
        try:
            specs += _runs(table, path.parent)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
    check_different(specs)
    return tuple(specs)


def _runs(table: Mapping[str, Any], folder: Path) -> list[RunSpec]:
    """Return the runs of one table."""
    fixed = [(name, _text(name, value)) for name, value in table.get("set", {}).items()]
    axes = []
    for name, values in table.get("grid", {}).items():
        if not isinstance(values, list):
            raise ConfigError(f"grid: {name} = {values!r}: expected a list of values to vary over")
        axes.append((name, [_text(name, value) for value in values]))
    limits = {name: table.get(name) for name in ("cell_timeout", "budget")}
    notebooks = [folder / _text("notebooks", name) for name in table.get("notebooks", [])]
    return [_placed(spec, folder) for spec in grid(notebooks, fixed, axes, **limits)]


def _placed(spec: RunSpec, folder: Path) -> RunSpec:
    """Return the run with its relative paths as they are found from here."""
    paths = {name: path for name, path in input_files(spec.config).items() if name in spec.given}
    moved = {n: os.path.relpath(folder / p) for n, p in paths.items() if not p.is_absolute()}
    return replace(spec, given={**spec.given, **moved})


def _text(name: str, value: Any) -> str:
    """Return a value of the file as the command line would have it."""
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, str | int | float | list):
            raise ConfigError(
                f"{name} = {item!r}: expected a text, a number, true or false, or a list of these"
            )
    return spelled(value)


def _check(table: Any, where: str) -> None:
    """Raise ConfigError unless a table has known entries of the right types."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is {table!r}; expected a table")
    for name, value in table.items():
        if name not in _KEYS:
            hint = nearest(name, _KEYS)
            raise ConfigError(f"{where}: no entry {name!r}.{hint} There are: {', '.join(_KEYS)}.")
        if type(value) not in _KEYS[name]:
            kinds = {list: "a list", dict: "a table", int: "a number"}
            raise ConfigError(f"{where}: {name} = {value!r}: expected {kinds[_KEYS[name][0]]}")
