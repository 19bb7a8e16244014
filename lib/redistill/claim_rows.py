"""The rows of a claim: which form they have, whether they can be read, and what they compare.

The forms are explained at the head of claims.toml.
"""

from collections.abc import Mapping
from itertools import pairwise, product
from typing import Any

from redistill.errors import ConfigError, nearest
from redistill.pairing import ENDPOINT, Contrast

_FORMS = {  # keys of a claim's rows, by the one that tells their form
    "order": {"order", "endpoint"},
    "orders": {"orders", "endpoint"},
    "gains": {"gains", "endpoint"},
    "all": {"all", "endpoint"},
    "any": {"any", "endpoint"},
    "grid": {"grid", "endpoint"},
    "test": {"test", "control", "versus", "endpoint", "against"},
}
_RULES = {"order": ("order",), "orders": ("order",), "gains": ("ratio",), "grid": ("superiority",)}
_CONTRAST = ("test", "control", "against", "endpoint", "margin")


def read_rows(rows: Mapping[str, Any]) -> tuple[Contrast, ...]:
    """Return what the rows compare, in their order; of a grid its cells, row by row."""
    shared = {"endpoint": rows.get("endpoint", ENDPOINT)}
    if orders := _orders(rows):
        pairs = (pair for order in orders for pair in pairwise(order))
        return tuple(Contrast(a, (b,), **shared) for a, b in pairs)
    if "gains" in rows:
        return tuple(Contrast(one["test"], (one["control"],), **shared) for one in rows["gains"])
    if "grid" in rows:
        cells = product(*rows["grid"].values())
        return tuple(
            Contrast(dict(zip(rows["grid"], cell, strict=True)), **shared) for cell in cells
        )
    parts = rows.get("all") or rows.get("any") or _parts(rows)
    return tuple(
        Contrast(**shared | one | {"control": tuple(one.get("control", ()))}) for one in parts
    )


def chains(rows: Mapping[str, Any]) -> tuple[int, ...]:
    """Return how many of the contrasts, one after another, belong to each order of the rows."""
    return tuple(len(order) - 1 for order in _orders(rows))


def check_rows(name: str, entry: Mapping[str, Any]) -> None:
    """Check that the rows of claim ``name`` have one form, and that its rule reads that form.

    Raises:
        ConfigError: names the claim, the key and its value.
    """
    rows, rule = entry["rows"], entry["rule"]
    form = next((form for form in _FORMS if form in rows), None)
    if form is None:
        raise ConfigError(f"claim {name}: its rows name none of {', '.join(_FORMS)}")
    if rule not in _RULES.get(form, ("superiority", "equivalence", "ratio")):
        raise ConfigError(f"claim {name}: rows with {form!r} do not fit the rule {rule!r}")
    for key in rows:
        if key not in _FORMS[form]:
            hint = nearest(key, _FORMS[form])
            raise ConfigError(f"claim {name}: rows with {form!r} have no {key!r}.{hint}")
    if form in ("order", "orders"):
        _check_orders(name, form, rows)
    if form == "grid":
        _check_grid(name, rows["grid"], entry["direction"])
    if form in ("all", "any"):
        _check_several(name, form, rows[form])
    if form == "test":
        _check_versus(name, rows)
        _check_contrast(name, {key: rows[key] for key in rows if key != "versus"})


def _parts(rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one contrast, or one for each control."""
    one = {key: rows[key] for key in _CONTRAST if key in rows}
    if rows.get("versus") == "each":
        return [one | {"control": (control,)} for control in rows["control"]]
    return [one]


def _orders(rows: Mapping[str, Any]) -> list[Any]:
    return rows["orders"] if "orders" in rows else [rows["order"]] if "order" in rows else []


def _check_orders(name: str, form: str, rows: Mapping[str, Any]) -> None:
    orders = _orders(rows)
    if form == "orders" and len(orders) < 2:
        raise ConfigError(f"claim {name}: 'orders' of {len(orders)} is none; use 'order' for one")
    for order in orders:
        if not isinstance(order, list):
            raise ConfigError(f"claim {name}: {form!r} has {order!r}; give a list, [{{…}}, {{…}}]")
        if len(order) < 2:
            raise ConfigError(f"claim {name}: an order of {len(order)} is none; name 2 or more")


def _check_several(name: str, form: str, parts: Any) -> None:
    if len(parts) < 2:
        raise ConfigError(f"claim {name}: {form!r} of {len(parts)} is none; name 2 or more")
    for one in parts:
        _check_contrast(name, one)


def _check_contrast(name: str, one: Mapping[str, Any]) -> None:
    for key in one:
        if key not in _CONTRAST:
            raise ConfigError(f"claim {name}: a contrast has no {key!r}.{nearest(key, _CONTRAST)}")
    if "test" not in one:
        raise ConfigError(
            f"claim {name}: a contrast has no 'test'; name the arm that should differ"
        )
    if not isinstance(one.get("control", []), list):
        raise ConfigError(f"claim {name}: control is {one['control']!r}; give a list, [{{…}}]")
    if one.get("control") and "against" in one:
        raise ConfigError(f"claim {name}: compare with 'control' or 'against' a number, not both")


def _check_versus(name: str, rows: Mapping[str, Any]) -> None:
    versus = rows.get("versus", "best")
    if versus not in ("best", "each") or (versus == "each" and not rows.get("control")):
        raise ConfigError(f"claim {name}: versus is {versus!r}; use 'best' or 'each' of a control")


def _check_grid(name: str, grid: Mapping[str, Any], direction: str) -> None:
    if len(grid) != 2 or any(len(set(levels)) < max(len(levels), 2) for levels in grid.values()):
        raise ConfigError(
            f"claim {name}: grid is {dict(grid)!r}; name two keys, with 2 or more different "
            "values each"
        )
    if direction != "greater":
        raise ConfigError(
            f"claim {name}: direction is {direction!r}; a grid shows its interaction by a share "
            "'greater' than 0"
        )
