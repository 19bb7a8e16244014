"""Values of parameters: read from text by their annotation, or checked against it.

Annotations that a parameter may have: int, float, bool, str, Path, Literal, tuple of these
(``tuple[int, ...]`` or of fixed length), and unions of them with each other or None.
Both functions raise a bare ValueError: the caller knows the parameter's name and says the rest.
"""

import math
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def parse(text: str, kind: Any) -> Any:
    """Return the value that ``text`` spells for the annotation ``kind``.

    Tuples are written with commas, brackets optional; None is written ``none``.

    Raises:
        ValueError: ``text`` spells no such value.
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _first(lambda choice: _same(text, choice), args)
    if origin in (Union, UnionType):
        if NoneType in args and text.strip().lower() == "none":
            return None
        return _first(lambda member: parse(text, member), _without_none(args))
    if origin is tuple:
        return _tuple(_items(text), args, parse)
    if kind is bool:
        return _truth(text)
    if kind is str:
        return text
    if kind in (int, float):
        return check(kind(text), kind)
    if kind is Path:
        return check(text, kind)
    raise TypeError(f"a parameter cannot have the type {kind}")


def check(value: Any, kind: Any) -> Any:
    """Return ``value`` as ``kind`` wants it: int as float, list as tuple, text as Path.

    Raises:
        ValueError: ``value`` is of another type.
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _first(lambda choice: _equal(value, choice), args)
    if origin in (Union, UnionType):
        if value is None and NoneType in args:
            return None
        return _first(lambda member: check(value, member), _without_none(args))
    if origin is tuple:
        return _tuple(value, args, check)
    if kind is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if kind is Path and isinstance(value, str | Path) and str(value).strip():
        return Path(value).expanduser()
    if kind in (int, bool, str) and type(value) is kind:
        return value
    raise ValueError


def describe(kind: Any) -> str:
    """Return the annotation ``kind`` in words a command line user knows."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in args)
    if origin in (Union, UnionType):
        words = [describe(member) for member in _without_none(args)]
        return " or ".join([*words, "none"] if NoneType in args else words)
    if origin is tuple:
        if args[-1] is Ellipsis:
            return f"{describe(args[0])}, ..."
        return ", ".join(describe(member) for member in args)
    return {str: "text", Path: "path", bool: "true or false"}.get(kind, kind.__name__)


def _first(attempt: Callable[[Any], Any], options: tuple[Any, ...]) -> Any:
    """Return the first option's value that does not raise."""
    for option in options:
        try:
            return attempt(option)
        except ValueError:
            continue
    raise ValueError


def _same(text: str, choice: Any) -> Any:
    if str(choice) != text.strip():
        raise ValueError
    return choice


def _equal(value: Any, choice: Any) -> Any:
    if type(value) is not type(choice) or value != choice:
        raise ValueError
    return choice


def _without_none(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(member for member in args if member is not NoneType)


def _truth(text: str) -> bool:
    if text.strip().lower() not in _TRUTH:
        raise ValueError
    return _TRUTH[text.strip().lower()]


def _items(text: str) -> list[str]:
    """Split "1, 2" or "(1, 2)" or "[1, 2,]" at its commas."""
    text = text.strip()
    if text[:1] + text[-1:] in ("()", "[]"):
        text = text[1:-1]
    items = [item.strip() for item in text.split(",")]
    return items[:-1] if items[-1] == "" else items


def _tuple(value: Any, args: tuple[Any, ...], convert: Callable[[Any, Any], Any]) -> tuple:
    if not isinstance(value, tuple | list):
        raise ValueError
    kinds = (args[0],) * len(value) if args[-1] is Ellipsis else args
    if len(kinds) != len(value):
        raise ValueError
    return tuple(convert(item, kind) for item, kind in zip(value, kinds, strict=True))
