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
        digest.update(name.encode() + b"\0" + _file(name).read_bytes() + b"\0")
    return digest.hexdigest()


def reachable(*modules: str) -> set[str]:
    """Return the modules of this package that ``modules`` import, directly or not."""
    seen: set[str] = set()
    todo = list(modules)
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        todo += [found for found in _imports(name) if found not in seen]
    return seen


def _imports(name: str) -> set[str]:
    """Return the modules of this package named in the import statements of ``name``."""
    found = set()
    for node in ast.walk(ast.parse(_file(name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found |= {n for n in names if n.split(".")[0] == _ROOT.name and _exists(n)}
    return found


def _exists(name: str) -> bool:
    return _file(name).is_file()


def _file(name: str) -> Path:
    base = _ROOT.joinpath(*name.split(".")[1:])
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
