"""Files written whole or not at all, and paths that stay inside their folder."""

import contextlib
import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from redistill.errors import RedistillError

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write ``data`` to ``path`` whole or not at all, even through a power cut.

    A temporary file in the same folder is written, synced and renamed, then the folder is
    synced.  On any failure (a full disk among them) the old file stays and the temporary goes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = data.encode() if isinstance(data, str) else data
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` durable; file systems that cannot are left alone."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON, atomically; NaN and infinity are refused, not invented."""
    write_atomic(path, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON; a missing or broken file is an error that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RedistillError(f"no file {path}") from error
    except (ValueError, OSError) as error:
        raise RedistillError(f"{path} cannot be read as JSON: {error}") from error


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Return the SHA-256 of a JSON value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def slug(name: str) -> str:
    """Return ``name`` if it is a plain file name; else raise.

    Letters, digits, dot, dash and underscore, starting with a letter or digit: so that an
    identifier that comes from a parameter can never leave its folder.
    """
    if not _SLUG.fullmatch(name):
        raise RedistillError(
            f"{name!r} cannot name a file: use letters, digits, '.', '_' and '-' (at most 128), "
            "starting with a letter or a digit"
        )
    return name


def inside(root: Path, path: Path) -> Path:
    """Return ``path`` resolved, or raise if it leaves ``root`` (by '..', a link, or absolute)."""
    root, full = root.resolve(), (root / path).resolve()
    if not full.is_relative_to(root):
        raise RedistillError(f"{path} leaves {root}; give a path inside it")
    return full


def cache_root() -> Path:
    """Return the folder for synthetic data and finished phases.

    ``REDISTILL_CACHE`` chooses it; else ``.cache/redistill`` in the home folder (or under
    ``XDG_CACHE_HOME``).  It holds nothing that cannot be made again.
    """
    if given := os.environ.get("REDISTILL_CACHE"):
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "redistill"
