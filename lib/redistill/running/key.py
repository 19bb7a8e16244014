"""The key of a run: the hash of all that determines its result.  Same key: not repeated.

The reference runs of which a notebook's first cell tells are no input: no row depends on them.
"""

import ast
import contextlib
import hashlib
import sys
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from redistill.config import as_json
from redistill.files import sha256_json
from redistill.running.content import hash_content
from redistill.running.environment import software
from redistill.running.notebook import notebook_hash
from redistill.running.parameters_cell import own_cells
from redistill.running.run_record import FILE
from redistill.source import file_of, imported, reachable

_EFFORT = ("workers",)  # changes no number
_NAMED_WEIGHTS = ("", "imagenet", "kinetics")
Memo = MutableMapping[Any, str]


@dataclass(frozen=True)
class RunKey:
    """The key of a run, and the hashes it is made of by name, to tell what changed."""

    value: str
    parts: dict[str, str]

    def to_json(self) -> dict[str, str]:
        """Return the key as a record holds it."""
        return {"value": self.value, **self.parts}


def run_key(nb: Any, config: Any, *, memo: Memo | None = None) -> RunKey:
    """Return the key of the run of ``nb`` with the resolved ``config``.

    Args:
        nb: the notebook; its outputs do not matter.
        config: where its data lie and how many workers read them does not matter.
        memo: what several keys made one after another share, so that it is found out once.
    """
    memo = {} if memo is None else memo
    places = input_files(config)
    chosen = {k: v for k, v in as_json(config).items() if k not in (*places, *_EFFORT)}
    parts = {
        "cells": cells_part(nb),
        "parameters": sha256_json(chosen),
        "source": _once(memo, (type(config), cells_part(nb)), lambda: source_part(nb, config)),
        "data": _data(places, memo),
        "environment": _once(memo, "environment", lambda: sha256_json(software())),
    }
    return RunKey(sha256_json(parts), parts)


def input_files(config: Any) -> dict[str, Path]:
    """Return the files and folders that a config names, by parameter."""
    found = {}
    for name, value in vars(config).items():
        if name == "runs" and value is None:
            from redistill.reference import REFERENCE as value  # late: it loads the statistics
        elif name.endswith("weights") and isinstance(value, str) and value not in _NAMED_WEIGHTS:
            value = Path(value)
        if isinstance(value, Path):
            found[name] = value.expanduser()
    return found


def cells_part(nb: Any) -> str:
    """Return the hash of a notebook's own cells, whether it has been executed or not."""
    return notebook_hash(SimpleNamespace(cells=own_cells(nb)))


def source_part(nb: Any, config: Any) -> str:
    """Return the hash of the library source in reach of the notebook and of its config, as now."""
    module = type(config).__module__
    names = {module, *_imported(nb)}
    found: dict[str, bytes] = {}
    own = getattr(sys.modules[module], "__file__", None)
    if own and file_of(module) is None:  # the config of somebody's own notebook
        found[module] = Path(own).read_bytes()
        names |= imported(found[module].decode())
    found |= {name: file_of(name).read_bytes() for name in reachable(*names)}
    if "redistill.claims" in found:
        found["claims.toml"] = file_of("redistill.claims").with_name("claims.toml").read_bytes()
    return sha256_json({name: hashlib.sha256(text).hexdigest() for name, text in found.items()})


def _data(places: Mapping[str, Path], memo: Memo) -> str:
    """Return the hash of all contents that a config names; what is drawn needs none."""
    found = {}
    for name, path in places.items():
        only = FILE if name == "runs" else ""
        found[name] = _once(memo, (path, only), lambda p=path, o=only: hash_content(p, only=o))
    return sha256_json(found)


def _once(memo: Memo, name: Any, find: Callable[[], str]) -> str:
    if name not in memo:
        memo[name] = find()
    return memo[name]


def _imported(nb: Any) -> set[str]:
    """Return what the cells import; magic commands are translated, other languages left out."""
    found: set[str] = set()
    for cell in nb.cells:
        if cell.cell_type == "code":
            with contextlib.suppress(SyntaxError):
                found |= imported(_translated(cell.source))
    return found


def _translated(source: str) -> str:
    try:
        ast.parse(source)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager

        return TransformerManager().transform_cell(source)
    return source
