"""The library source in reach of a module, as one hash: change a formula and phases train anew."""

import ast
import hashlib
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parent


@cache
def source_hash(*modules: str) -> str:
    """Return the SHA-256 over the files of ``modules`` and all of this package they import.

    Args:
        modules: dotted names, for example ``"redistill.train"``.
    """
    digest = hashlib.sha256()
    for name in sorted(reachable(*modules)):
        digest.update(name.encode() + b"\0" + file_of(name).read_bytes() + b"\0")
    return digest.hexdigest()


def reachable(*names: str) -> set[str]:
    """Return those of ``names`` that are modules of this package, and all that they import."""
    seen: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        path = file_of(name)
        if path and name not in seen:
            seen.add(name)
            todo += imported(path.read_text(encoding="utf-8"))
    return seen


@cache
def imported(source: str) -> frozenset[str]:
    """Return the modules, and what may be modules, that the import statements of a text name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def file_of(name: str) -> Path | None:
    """Return the file of a module of this package; None if it is none."""
    top, *parts = name.split(".")
    base = _ROOT.joinpath(*parts)
    files = (base / "__init__.py", base.with_suffix(".py"))
    return next((path for path in files if top == _ROOT.name and path.is_file()), None)
