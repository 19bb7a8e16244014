"""Read a folder of class folders."""

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from redistill.errors import CatalogError, VideoError
from redistill.video.parallel import Progress, spread
from redistill.video.source import probe

SUFFIXES = (".avi", ".mp4", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg")


def find_root(root: Path | str | None, name: str) -> Path:
    """Return the data set's folder: ``root`` itself or the folder ``name`` in it.

    Raises:
        CatalogError: no folder given, or it is not there.
    """
    if root is None:
        raise CatalogError(f"data set {name!r} needs its folder; give data_root")
    root = Path(root).expanduser()
    if not root.is_dir():
        raise CatalogError(f"no folder {root}; give the folder of data set {name!r}")
    return root / name if name != "folder" and (root / name).is_dir() else root


def class_files(root: Path) -> dict[Path, str]:
    """Return the class of every video in the class folders under ``root``, in order of name.

    Files of other kinds and hidden ones are passed over.

    Raises:
        CatalogError: no class folders, or one without videos.
    """
    folders = [path for path in _visible(root) if path.is_dir()]
    if not folders:
        raise CatalogError(
            f"{root} has no class folders; expected one folder per class with videos in it"
        )
    found = {f: [p for p in _visible(f) if p.suffix.lower() in SUFFIXES] for f in folders}
    empty = [folder.name for folder, files in found.items() if not files]
    if empty:
        raise CatalogError(
            f"{root}: class {', '.join(empty)} has no videos ({', '.join(SUFFIXES)}). Add some or "
            "remove the folder."
        )
    return {file: folder.name for folder, files in found.items() for file in files}


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def admit(
    root: Path,
    files: Sequence[Path],
    *,
    on_bad: str,
    workers: int,
    progress: Progress | None,
    motion: bool = True,
) -> tuple[list[Path], tuple[tuple[str, str], ...]]:
    """Return the files that can be used, and (id, reason) of the others.

    With ``motion`` they are those on which it can be accumulated, else those with readable packets.

    Raises:
        CatalogError: a file was refused under ``on_bad="raise"`` (the first is named, all are
            counted), or all were.
    """
    looked = spread(partial(_refusal, motion), files, workers=workers, progress=progress, chunk=16)
    reasons = dict(zip(files, looked, strict=True))
    refused = [(file, reason) for file, reason in reasons.items() if reason]
    again = f"To re-encode the whole set: redistill prepare {root} TARGET. " if motion else ""
    if refused and on_bad == "raise":
        file, reason = refused[0]
        raise CatalogError(
            f"{len(refused)} of {len(files)} files under {root} cannot be used. The first is "
            f"{file}: {reason}. {again}To leave such files out: on_bad = 'drop'."
        )
    good = [file for file, reason in reasons.items() if not reason]
    if not good:
        raise CatalogError(
            f"all {len(files)} files under {root} were dropped; the first, {refused[0][0]}: "
            f"{refused[0][1]}. {again}".rstrip()
        )
    return good, tuple((clip_id(root, file), reason) for file, reason in refused)


def _refusal(motion: bool, file: Path) -> str:
    """Return why a file cannot be used, or ""."""
    try:
        reason = probe(file).reason
        return reason or "" if motion else ""
    except VideoError as error:
        return str(error).removeprefix(f"{file}: ").rstrip(".")


def clip_id(root: Path, file: Path) -> str:
    """Return a clip's name: its path below the data set's folder."""
    return file.relative_to(root).as_posix()


def read_groups(root: Path) -> dict[str, str]:
    """Return the group of each clip from ``groups.csv`` (columns file, group), if there.

    Keys are paths without their suffix, which a re-encoded clip does not keep.

    Raises:
        CatalogError: the file is there but lacks a column.
    """
    path = root / "groups.csv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if any(not row.get("file") or not row.get("group") for row in rows):
        raise CatalogError(f"{path}: every row needs a 'file' and a 'group' (first line: headings)")
    return {stem(row["file"]): row["group"] for row in rows}


def stem(name: str) -> str:
    """Return a path without its suffix."""
    return PurePosixPath(name).with_suffix("").as_posix()
