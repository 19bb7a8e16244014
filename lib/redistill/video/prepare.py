"""Re-encode a data set to the recipe on which motion can be accumulated (spec 1.2)."""

import glob
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from redistill.errors import CatalogError, RedistillError, VideoError
from redistill.files import inside, read_json, sha256_file, write_atomic, write_json
from redistill.video.container import decode_all
from redistill.video.encode import encode_mpeg4
from redistill.video.parallel import spread
from redistill.video.source import probe

MANIFEST = "manifest.json"
_WEB = ".mp4 .m4v .mov .mkv .webm .flv .3gp .ogv"
_DISC = ".avi .mpg .mpeg .ts .wmv .h264 .vob .divx"
SUFFIXES = frozenset(f"{_WEB} {_DISC}".split())
_COPIED = ("index.csv", "groups.csv", "classInd.txt", "t*list0?.txt", "*_test_split?.txt")
_SAVE_SECONDS = 1.0
Recipe = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One source file: what became of it, or the reason why nothing did."""

    source: str
    source_sha256: str
    target: str
    target_sha256: str = ""
    frames: int = 0
    gop_lengths: tuple[int, ...] = ()
    reason: str | None = None


@dataclass(frozen=True)
class Manifest:
    """What ``prepare`` left in the target folder, by source path.

    ``recipe`` holds the size, quantiser and gop that clips were re-encoded with.
    """

    recipe: Recipe
    entries: tuple[Entry, ...]
    path: Path

    @property
    def refused(self) -> tuple[Entry, ...]:
        """The files that could not be used, each with its reason."""
        return tuple(entry for entry in self.entries if entry.reason)

    def __str__(self) -> str:
        done = len(self.entries) - len(self.refused)
        lines = [f"{entry.source}: {entry.reason}" for entry in self.refused]
        return "\n".join([*lines, f"{done} clips ready, {len(lines)} refused; see {self.path}"])


def prepare(
    source: Path | str,
    target: Path | str,
    *,
    workers: int = 1,
    size: tuple[int, int] | None = (340, 256),
    quantiser: int = 1,
    gop: int = 12,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Re-encode every clip under ``source`` to MPEG-4 .avi in the same folders under ``target``.

    Every decoded frame is kept once, in order.  Killed at any time and called again, it goes on
    where it was: files whose source and recipe are unchanged are not touched.  ``index.csv``
    and ``groups.csv`` files and the official lists of UCF-101 and HMDB-51 are copied along.

    Args:
        source: folder of clips, in folders of any depth.
        target: folder to fill, outside ``source``.
        workers: processes; 0 works in this one.
        size: (width, height), aspect ratio not kept; None keeps each clip's own.
        quantiser: MPEG-4 quantiser, 1 to 31.
        gop: frames per GOP.
        progress: called with (done, total) after each file.

    Raises:
        CatalogError: ``source`` is no folder or holds no clip, or one folder holds the other.
    """
    source, target = Path(source), Path(target).resolve()
    if not source.is_dir():
        raise CatalogError(f"{source} is no folder; give the folder of a data set.")
    source = source.resolve()
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise CatalogError(f"{source} and {target} hold one another; choose a target outside.")
    recipe = {"size": size, "quantiser": quantiser, "gop": gop}
    names = _targets(_walk(source, SUFFIXES))
    if not names:
        raise CatalogError(f"{source} holds no clips ({' '.join(sorted(SUFFIXES))}).")
    path = target / MANIFEST
    known = _known(path, recipe)
    entries: dict[str, Entry] = {}
    saved = 0.0
    job = partial(_prepare_one, source, target, recipe, known)
    for entry in spread(job, names.items(), workers=workers, progress=progress, chunk=1):
        entries[entry.source] = entry
        if time.monotonic() - saved > _SAVE_SECONDS:
            _save(path, recipe, {**known, **entries})
            saved = time.monotonic()
    for name in _walk(source, {".csv", ".txt"}):
        if any(name.match(pattern) for pattern in _COPIED):
            write_atomic(inside(target, name), (source / name).read_bytes())
    _save(path, recipe, entries)
    return Manifest(recipe, tuple(entries.values()), path)


def _walk(root: Path, suffixes: frozenset[str] | set[str]) -> Iterator[Path]:
    """Yield files below ``root`` with these suffixes, as relative paths; hidden ones are not."""
    seen: set[Path] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = Path(folder).resolve()
        # A link back to a folder above would never end.
        folders[:] = [] if real in seen else sorted(n for n in folders if not n.startswith("."))
        files = [] if real in seen else files
        seen.add(real)
        for path in (Path(folder, name) for name in files if not name.startswith(".")):
            if path.suffix.lower() in suffixes:
                yield path.relative_to(root)


def _targets(sources: Iterable[Path]) -> dict[Path, Path]:
    """Name each source's target; of clips that differ by suffix only, others keep theirs too."""
    names: dict[Path, Path] = {}
    taken: set[Path] = set()
    for path in sorted(sources, key=lambda path: (path.suffix.lower() != ".avi", path)):
        name = path.with_suffix(".avi")
        names[path] = path.with_name(path.name + ".avi") if name in taken else name
        taken.add(names[path])
    return dict(sorted(names.items()))


def _prepare_one(
    source: Path, target: Path, recipe: Recipe, known: dict[str, Entry], pair: tuple[Path, Path]
) -> Entry:
    """Re-encode one clip unless it is done; whatever is wrong with it becomes its reason."""
    name, goal = (_text(path) for path in pair)
    path = source / pair[0]
    digest = ""
    try:
        digest = sha256_file(path)
        old = known.get(name)
        if old and (old.source_sha256, old.target) == (digest, goal) and _stands(target, old):
            return old
        goal_path = inside(target, pair[1])
        for half in goal_path.parent.glob(f".{glob.escape(goal_path.name)}.*.tmp"):
            half.unlink()  # left by a run that was killed
        rate, frames = decode_all(path)
        count = encode_mpeg4(goal_path, frames, fps=rate, **recipe)
        info = probe(goal_path)
        if info.reason or info.frames != count:
            raise VideoError(f"{goal_path}: {info.reason or 'frames were lost'}.")
        return Entry(name, digest, goal, sha256_file(goal_path), count, info.gop_lengths)
    except (RedistillError, OSError, UnicodeError) as error:
        return Entry(name, digest, goal, reason=str(error))


def _text(path: Path) -> str:
    """Return a path as text that JSON can hold, whatever bytes its name has."""
    return path.as_posix().encode("utf-8", "backslashreplace").decode()


def _stands(target: Path, entry: Entry) -> bool:
    """Tell whether an earlier run's result is still there, whole."""
    path = target / entry.target
    return bool(entry.reason) or (path.is_file() and sha256_file(path) == entry.target_sha256)


def _known(path: Path, recipe: Recipe) -> dict[str, Entry]:
    """Read an earlier run's entries; none if it followed another recipe."""
    if not path.exists():
        return {}
    try:
        manifest = read_json(path)
        if manifest["recipe"] != json.loads(json.dumps(recipe)):
            return {}
        entries = [Entry(**one) for one in manifest["files"]]
        return {one.source: replace(one, gop_lengths=tuple(one.gop_lengths)) for one in entries}
    except (KeyError, TypeError) as error:
        raise CatalogError(f"{path} is no manifest of redistill; remove it.") from error


def _save(path: Path, recipe: Recipe, entries: dict[str, Entry]) -> None:
    refused = sum(bool(entry.reason) for entry in entries.values())
    counts = {"ready": len(entries) - refused, "refused": refused}
    files = [asdict(entry) for _, entry in sorted(entries.items())]
    write_json(path, {"recipe": recipe, **counts, "files": files})
