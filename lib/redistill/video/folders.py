"""Read a folder of class folders."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from redistill.errors import CatalogError, VideoError
from redistill.video.parallel import Progress, spread
from redistill.video.source import probe

SUFFIXES = (".avi", ".mp4", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg")


@dataclass(frozen=True)
class Bad:
    """What to do with files that cannot be used: ``raise`` or ``drop``; and how to look."""

    policy: str = "raise"
    workers: int = 0
    progress: Progress | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown policy."""
        if self.policy not in ("raise", "drop"):
            raise CatalogError(f"on_bad = {self.policy!r}: choose 'raise' or 'drop'")


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


def class_folders(root: Path) -> dict[str, list[Path]]:
    """Return the video files of every class folder under ``root``, both in order of name.

    Files of other kinds and hidden ones are passed over.

    Raises:
        CatalogError: no class folders, or one without videos.
    """
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        raise CatalogError(
            f"{root} has no class folders; expected one folder per class with videos in it"
        )
    found = {folder.name: _videos(folder) for folder in folders}
    empty = [name for name, files in found.items() if not files]
    if empty:
        raise CatalogError(
            f"{root}: class {', '.join(empty)} has no videos ({', '.join(SUFFIXES)}). Add some or "
            "remove the folder."
        )
    return found


def _videos(folder: Path) -> list[Path]:
    return sorted(
        p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")
    )


def admit(
    root: Path, files: Sequence[Path], bad: Bad
) -> tuple[list[Path], tuple[tuple[str, str], ...]]:
    """Return the files on which motion can be accumulated, and (id, reason) of the others.

    Raises:
        CatalogError: the policy is ``raise`` and a file was refused; the first is named, all are
            counted.
    """
    looked = spread(_refusal, files, workers=bad.workers, progress=bad.progress, chunk=16)
    reasons = dict(zip(files, looked, strict=True))
    refused = [(file, reason) for file, reason in reasons.items() if reason]
    if refused and bad.policy == "raise":
        file, reason = refused[0]
        raise CatalogError(
            f"{len(refused)} of {len(files)} files under {root} cannot be used. The first is "
            f"{file}: {reason}. To re-encode the whole set: redistill prepare {root} TARGET. To "
            "leave such files out: on_bad = 'drop'."
        )
    good = [file for file, reason in reasons.items() if not reason]
    if not good:
        raise CatalogError(
            f"all {len(files)} files under {root} were dropped; the first, {refused[0][0]}: "
            f"{refused[0][1]}. To re-encode the set: redistill prepare {root} TARGET"
        )
    return good, tuple((clip_id(root, file), reason) for file, reason in refused)


def _refusal(file: Path) -> str:
    """Return why a file cannot be used, or ""."""
    try:
        return probe(file).reason or ""
    except VideoError as error:
        return str(error).removeprefix(f"{file}: ").rstrip(".")


def clip_id(root: Path, file: Path) -> str:
    """Return a clip's name: its path below the data set's folder."""
    return file.relative_to(root).as_posix()


def read_groups(root: Path) -> dict[str, str]:
    """Return the group of each clip id from ``groups.csv`` (columns file, group), if there.

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
    return {row["file"]: row["group"] for row in rows}
