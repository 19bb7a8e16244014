"""What a notebook's own parameters cell sets: checked, and read as the kernel will have it.

The kernel runs that cell before the one with the parameters given.  So a value saved in it counts
beneath them, and a run that did not know of it would record another setting than it computed with.
"""

import ast
from pathlib import Path
from typing import Any

from redistill.config import parameters_of
from redistill.errors import ConfigError, nearest
from redistill.running.notebook import check_parameters_cell

_INJECTED = "injected-parameters"  # papermill's tag of the cell that it adds


def own_cells(nb: Any) -> list[Any]:
    """Return the cells of ``nb`` without the one in which an earlier run was given its values."""
    return [cell for cell in nb.cells if _INJECTED not in cell.metadata.get("tags", [])]


def cell_values(nb: Any, config: type, path: Path) -> dict[str, Any]:
    """Return the values that the parameters cell of ``nb`` sets beside the config's defaults.

    Raises:
        RunError: there is not one such cell.
        ConfigError: it lacks a parameter of ``config``, sets something else, or computes a value.
    """
    check_parameters_cell(nb, path)
    found = _assigned(nb, path)
    known = parameters_of(config)
    remedy = "replace it by the one that `redistill params NOTEBOOK --cell` prints"
    if lacking := [name for name in known if name not in found]:
        raise ConfigError(
            f"the parameters cell of {path} lacks {', '.join(lacking)} of {config.__name__}: "
            + remedy
        )
    for name in found:
        if name not in known:
            raise ConfigError(
                f"the parameters cell of {path} sets {name!r}, which is no parameter of "
                f"{config.__name__}.{nearest(name, known)} Or {remedy}"
            )
    default = known["profile"].default
    return {k: v for k, v in found.items() if v is not None and (k, v) != ("profile", default)}


def _assigned(nb: Any, path: Path) -> dict[str, Any]:
    """Return the names that the cell assigns plain values to; anything else in it is an error."""
    cells = [cell for cell in nb.cells if "parameters" in cell.metadata.get("tags", [])]
    (source,) = [cell.source for cell in cells if cell.cell_type == "code"]
    found = {}
    try:
        for node in ast.parse(source).body:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            found[target.id] = ast.literal_eval(node.value)
    except (AttributeError, ValueError, SyntaxError) as error:
        line = getattr(locals().get("node", error), "lineno", None) or "?"
        raise ConfigError(
            f"the parameters cell of {path}, line {line}: expected `name = value` with a plain "
            "value, so that it can be checked before the notebook runs"
        ) from error
    return found
