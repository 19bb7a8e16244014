"""The clips of Kinetics, Something-Something and Jester: what the lists name and the disk has.

Opening a quarter of a million videos would take hours.  So none is: a file that is there and not
empty is admitted, and a broken one is found when it is loaded.  No groups are known: each clip is
its own, so clips cut from one video, where a set has such, may be on two sides of the validation.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from redistill.errors import CatalogError
from redistill.video.folders import SUFFIXES, clip_id
from redistill.video.listed import STEMS, read_listed
from redistill.video.official import Dropped
from redistill.video.parallel import Progress, spread
from redistill.video.splits import Clip, Fold
from redistill.video.whole import is_picture


@dataclass(frozen=True)
class Found:
    """The clips of a listed data set that are there.

    Attributes:
        classes: those with training clips.
        clips: in order of id, each its own group.
        fold: train, and as test the official validation split.
        sizes: (pictures, or 0 of a video; bytes) of each clip by id.
        lists: the files read.
        dropped: (name, reason) of the clips left out.
    """

    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    fold: Fold
    sizes: Mapping[str, tuple[int, int]]
    lists: tuple[Path, ...]
    dropped: Dropped


def listed_clips(
    dataset: str,
    root: Path,
    *,
    on_bad: str,
    lists: Path | str | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> Found:
    """Return the clips that are on the lists and on disk, none of them opened.

    Kinetics's files are found by their name ``<youtube_id>_<start>_<end>`` in any folder under
    ``root``, the others in the archive's folder or in ``root``; a video may have any suffix.
    Under ``on_bad="drop"`` what is missing or empty is left out, and so are classes that lose all
    their training clips.

    Raises:
        CatalogError: lists that cannot be used, or under ``raise`` a clip that is not there.
    """
    listed = read_listed(dataset, _find_lists(dataset, root, lists))
    label_of = {**listed.train, **listed.test}
    there = _on_disk(dataset, root, label_of)
    measured = spread(_measure, there.values(), workers=workers, progress=progress, chunk=256)
    sizes = dict(zip(there, measured, strict=True))
    bad = {name: "on the lists, not on disk" for name in label_of if name not in there}
    bad |= {name: "it is empty" for name, (_, size) in sizes.items() if not size}
    if bad and (on_bad == "raise" or len(bad) == len(label_of)):
        name, reason = next(iter(bad.items()))
        raise CatalogError(
            f"{len(bad)} of {len(label_of)} clips on the lists of {dataset} cannot be used under "
            f"{root}. The first is {name} ({label_of[name]}): {reason}. Get the rest of the data "
            "set. To go on with the clips that are there: on_bad = 'drop'."
        )
    taught = {label for name, label in listed.train.items() if name not in bad}
    untaught = [n for n in listed.test if n not in bad and label_of[n] not in taught]
    bad |= dict.fromkeys(untaught, "its class has no training clips")
    classes = tuple(label for label in listed.classes if label in taught)
    number = {label: place for place, label in enumerate(classes)}
    ids = {name: clip_id(root, path) for name, path in there.items() if name not in bad}
    clips = [Clip(i, there[name], number[label_of[name]], i) for name, i in ids.items()]
    sides = [sorted(ids[n] for n in side if n in ids) for side in (listed.train, listed.test)]
    return Found(
        classes=classes,
        clips=tuple(sorted(clips, key=lambda clip: clip.id)),
        fold=Fold("0", *map(tuple, sides)),
        sizes={i: sizes[name] for name, i in ids.items()},
        lists=listed.lists,
        dropped=tuple(bad.items()),
    )


def _find_lists(dataset: str, root: Path, lists: Path | str | None) -> Path:
    first = "train.csv" if dataset == "kinetics" else f"{STEMS[dataset]}-train.*"
    inner = ("annotations", "lists", "labels")
    places = [Path(lists).expanduser()] if lists else [root, *(root / name for name in inner)]
    for place in places:
        if any(place.glob(first)):
            return place
    raise CatalogError(
        f"no lists of {dataset} ({first}) in {' or '.join(map(str, places))}; put those that the "
        "data set ships there or give their folder as option lists"
    )


def _on_disk(dataset: str, root: Path, wanted: Mapping[str, str]) -> dict[str, Path]:
    """Return the file or folder of each clip that is there, in the order of the lists."""
    if dataset == "kinetics":
        entries = _walk(root)
    else:
        inner = root / f"20bn-{STEMS[dataset]}"
        entries = _entries(inner if inner.is_dir() else root)
    found: dict[str, Path] = {}
    for name, path in entries:
        if name in wanted:
            found.setdefault(name, path)
    return {name: found[name] for name in wanted if name in found}


def _entries(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the clips of a folder, videos by their stem and folders of pictures by their name."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir():
                yield entry.name, Path(entry.path)
            elif entry.name.lower().endswith(SUFFIXES):
                yield Path(entry.name).stem, Path(entry.path)


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the videos in all folders below one, in order of folder and name."""
    for place, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(name).stem, Path(place, name)


def _measure(path: Path) -> tuple[int, int]:
    """Return (pictures, bytes of them) of a folder, or (0, bytes) of a file."""
    if not path.is_dir():
        return 0, path.stat().st_size
    with os.scandir(path) as entries:
        sizes = [entry.stat().st_size for entry in entries if is_picture(entry.name)]
    return len(sizes), sum(sizes)
