"""Hashes of files and folders by their content; a file that has not changed is not read again."""

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from redistill.errors import RedistillError
from redistill.files import cache_root, read_json, sha256_file, sha256_json, write_json

ABSENT = "absent"
_SETTLED = 2_000_000_000  # ns; a file younger than that may change again without another time
_Known = dict[str, list]  # path -> size, time of change in ns, hash


def hash_content(path: Path, *, only: str = "") -> str:
    """Return the SHA-256 of a file, or over the names and contents of all files below a folder.

    Hashes of single files are kept with their sizes and times in one file of the cache folder, so
    that a large set takes seconds the second time.

    Args:
        path: file or folder; where there is nothing, the answer is ``ABSENT``.
        only: name of the files that count; without one, all.
    """
    if not path.exists():
        return ABSENT
    files = _below(path, only) if path.is_dir() else {"": path}
    known = _read_known()
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing lets other threads run
        found = list(pool.map(lambda file: _hashed(file, known), files.values()))
    new = {str(file.absolute()): entry for file, entry in zip(files.values(), found, strict=True)}
    edge = time.time_ns() - _SETTLED
    new = {name: entry for name, entry in new.items() if entry[1] < edge}
    if any(known.get(name) != entry for name, entry in new.items()):
        with contextlib.suppress(OSError):  # without room for it, the next run reads them again
            write_json(_file(), _read_known() | new)
    return sha256_json({name: entry[2] for name, entry in zip(files, found, strict=True)})


def folder_bytes(folder: Path, *, since: float = 0.0) -> int:
    """Return the bytes of all files below ``folder`` changed after ``since`` (POSIX seconds)."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # another run has just removed it
                about = os.lstat(os.path.join(place, name))
                total += about.st_size if about.st_mtime >= since else 0
    return total


def _below(root: Path, only: str) -> dict[str, Path]:
    """Return the files below ``root`` by relative name; links are followed, each folder once."""
    found: dict[str, Path] = {}
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(root, followlinks=True):
        about = os.stat(place)
        if (about.st_dev, about.st_ino) in seen:
            folders.clear()  # a link that leads back
            continue
        seen.add((about.st_dev, about.st_ino))
        folders.sort()
        for name in names:
            file = Path(place, name)
            if only in ("", name) and file.is_file():
                found[file.relative_to(root).as_posix()] = file
    return found


def _hashed(file: Path, known: _Known) -> list:
    """Return a file's size, time of change and hash; from what is known if the first two fit."""
    about = file.stat()
    entry = known.get(str(file.absolute()), [])
    if entry[:2] == [about.st_size, about.st_mtime_ns]:
        return entry
    return [about.st_size, about.st_mtime_ns, sha256_file(file)]


def _file() -> Path:
    return cache_root() / "contents.json"


def _read_known() -> _Known:
    try:
        known = read_json(_file())
    except RedistillError:  # none yet, or a damaged one
        return {}
    return known if isinstance(known, dict) else {}
