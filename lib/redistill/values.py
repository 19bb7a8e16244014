"""Values of parameters: read from text by their annotation, or checked against it.

Annotations that a parameter may have: int, float, bool, str, Path, Literal, tuple of these
(``tuple[int, ...]`` or of fixed length), and unions of them with each other or None.
Both functions raise a bare ValueError: the caller knows the parameter's name and says the rest.
"""

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_WORDS = {str: "text", Path: "path", bool: "true or false", NoneType: "none"}


def parse(text: str, kind: Any) -> Any:
    """Return the value that ``text`` spells for the annotation ``kind``.

    Tuples are written with commas, brackets optional; None is written ``none``.

    Raises:
        ValueError: ``text`` spells no such value.
    """
    origin, args = get_origin(kind), get_args(kind)
    word = text.strip()
    if origin in (Union, UnionType):
        return None if NoneType in args and word.lower() == "none" else _first(text, args, parse)
    if origin is tuple:
        return _tuple(_items(word), args, parse)
    value: Any = text
    if origin is Literal:
        value = {str(choice): choice for choice in args}.get(word)
    elif kind is bool:
        value = _TRUTH.get(word.lower())
    elif kind in (int, float):
        value = kind(text)
    return check(value, kind)


def check(value: Any, kind: Any) -> Any:
    """Return ``value`` as ``kind`` wants it: int as float, list as tuple, text as Path.

    Raises:
        ValueError: ``value`` is of another type.
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _first(value, args, check)
    if origin is tuple:
        return _tuple(value, args, check)
    if origin is Literal and any(type(value) is type(c) and value == c for c in args):
        return value
    if kind is float and type(value) in (int, float) and math.isfinite(value):
        if float(value) == value:  # not so for an integer beyond a float's digits
            return float(value)
        raise ValueError
    if kind is Path and isinstance(value, str | Path) and str(value).strip():
        return Path(value).expanduser()
    if kind in (int, bool, str, NoneType) and type(value) is kind:
        return value
    raise ValueError


def describe(kind: Any) -> str:
    """Return the annotation ``kind`` in words a command line user knows."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in args)
    if origin in (Union, UnionType):
        return " or ".join(map(describe, args))
    if origin is tuple:
        return ", ".join("..." if item is Ellipsis else describe(item) for item in args)
    return _WORDS.get(kind, kind.__name__)


def _first(value: Any, kinds: tuple[Any, ...], convert: Callable[[Any, Any], Any]) -> Any:
    """Return ``value`` as the first of ``kinds`` that takes it."""
    for kind in kinds:
        with contextlib.suppress(ValueError):
            return convert(value, kind)
    raise ValueError


def _items(text: str) -> list[str]:
    """Split "1, 2" or "(1, 2)" or "[1, 2,]" at its commas."""
    if text[:1] + text[-1:] in ("()", "[]"):
        text = text[1:-1]
    items = [item.strip() for item in text.split(",")]
    return items[:-1] if items[-1] == "" else items


def _tuple(value: Any, args: tuple[Any, ...], convert: Callable[[Any, Any], Any]) -> tuple:
    if not isinstance(value, tuple | list):
        raise ValueError
    kinds = (args[0],) * len(value) if args[-1] is Ellipsis else args
    return tuple(convert(item, kind) for item, kind in zip(value, kinds, strict=True))
