"""Open a data set by name: synthetic, Weizmann, UT-Interaction, or any folder of class folders."""

import re
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from redistill.errors import CatalogError, nearest
from redistill.files import sha256_file
from redistill.video.folders import Bad, admit, class_folders, clip_id, find_root, read_groups
from redistill.video.parallel import Progress
from redistill.video.splits import (
    Catalog,
    Clip,
    Fold,
    Split,
    check_folds,
    cut_groups,
    manifest_hash,
)
from redistill.video.synthetic import PER_CLASS, SyntheticSpec, ensure, read_rows, stream_path
from redistill.video.synthetic.weak import permuted

__all__ = ["DATASETS", "Catalog", "Clip", "Fold", "Split", "open_catalog"]

DATASETS = ("synthetic", "weizmann", "ut_interaction", "folder")
_PERSON = re.compile(r"(?P<group>[^_]+)_")
_SEQUENCE = re.compile(r"(?P<group>set(?P<set>\d+)_seq\d+)_")


def open_catalog(
    dataset: str,
    root: Path | str | None = None,
    *,
    on_bad: str = "raise",
    workers: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> Catalog:
    """Open a data set.

    Args:
        dataset: one of ``DATASETS``.
        root: its folder, or the folder that holds it; for ``synthetic`` where sets are kept
            (None: the cache).
        on_bad: ``raise`` at a file that cannot be used, or ``drop`` and count it.
        workers: processes that render or inspect; 0 works in this one.
        progress: called with (done, total) files.
        **options: ``synthetic``: the fields of ``SyntheticSpec``, ``size`` (a name of
            ``PER_CLASS``) and ``sham`` (``labels``, ``frames``).  ``ut_interaction``: ``folds``
            (``sequence``, ``set``).  ``folder``: ``flip``, ``test_share``.

    Raises:
        CatalogError: unknown data set or option, or a folder or file that cannot be used.
    """
    opener: Callable[..., Catalog]
    if dataset == "synthetic":
        opener, allowed = _synthetic, {f.name for f in fields(SyntheticSpec)} | {"size", "sham"}
    elif dataset == "weizmann":
        opener, allowed = _weizmann, set()
    elif dataset == "ut_interaction":
        opener, allowed = _ut_interaction, {"folds"}
    elif dataset == "folder":
        opener, allowed = _folder, {"flip", "test_share"}
    else:
        raise CatalogError(
            f"unknown data set {dataset!r}.{nearest(dataset, DATASETS)} "
            f"Choose from {', '.join(DATASETS)}."
        )
    for name in options.keys() - allowed:
        known = f"it takes {', '.join(sorted(allowed))}" if allowed else "it takes none"
        raise CatalogError(
            f"data set {dataset!r} has no option {name!r}.{nearest(name, allowed)} ({known})"
        )
    return opener(root, Bad(on_bad, workers, progress), **options)


def _synthetic(
    root: Path | str | None,
    bad: Bad,
    *,
    size: str | None = None,
    sham: str | None = None,
    **options: Any,
) -> Catalog:
    if sham not in (None, "labels", "frames"):
        raise CatalogError(f"sham = {sham!r}: choose 'labels' or 'frames'")
    if size is not None and size not in PER_CLASS:
        raise CatalogError(f"size = {size!r}: choose from {', '.join(PER_CLASS)}")
    if size is not None:
        options.setdefault("per_class", PER_CLASS[size])
    spec = SyntheticSpec(**options)
    spec = replace(spec, shuffled=spec.shuffled or sham == "frames")
    place = None if root is None else Path(root)
    folder = ensure(spec, root=place, workers=bad.workers, progress=bad.progress)
    rows = read_rows(folder)
    sides = {side: [r for r in rows if r["split"] == side] for side in ("train", "val", "test")}
    labels = {r["clip"]: int(r["label"]) for r in rows}
    for side in ("train", "val") if sham == "labels" else ():
        mixed = permuted(sides[side], seed=spec.data_seed).tolist()
        labels |= {r["clip"]: label for r, label in zip(sides[side], mixed, strict=True)}
    clips = tuple(
        Clip(r["clip"], stream_path(folder, r, spec.codec), labels[r["clip"]], r["group"])
        for r in rows
    )
    folds = (Fold("0", **{side: tuple(r["clip"] for r in part) for side, part in sides.items()}),)
    hashes = {r["clip"]: r["sha256"] for r in rows}
    for clip in clips:
        if not clip.path.is_file() or sha256_file(clip.path) != hashes[clip.id]:
            raise CatalogError(
                f"{clip.path} is missing or not as it was written; remove the folder {folder} and "
                "open the set again: it will be made anew, the same to the bit"
            )
    return _finish("synthetic", spec.classes, clips, folds, lambda c: hashes[c.id], flip=False)


def _weizmann(root: Path | str | None, bad: Bad) -> Catalog:
    folder = find_root(root, "weizmann")
    classes, clips, dropped = _scan(folder, bad, _by_pattern(_PERSON, "<person>_<class>.avi"))
    return _finish("weizmann", classes, clips, _leave_one_out(clips), dropped=dropped)


def _ut_interaction(root: Path | str | None, bad: Bad, *, folds: str = "sequence") -> Catalog:
    if folds not in ("sequence", "set"):
        raise CatalogError(
            f"folds = {folds!r}: choose 'sequence' (leave one out) or 'set' (train on set 1, test "
            "on set 2)"
        )
    folder = find_root(root, "ut_interaction")
    group_of = _by_pattern(_SEQUENCE, "set<n>_seq<nn>_….avi")
    classes, clips, dropped = _scan(folder, bad, group_of)
    chosen = _leave_one_out(clips)
    if folds == "set":
        sides = [tuple(c.id for c in clips if c.group.startswith(s)) for s in ("set1", "set2")]
        chosen = (Fold("set1-set2", *sides),)
    return _finish("ut_interaction", classes, clips, chosen, dropped=dropped)


def _folder(
    root: Path | str | None, bad: Bad, *, flip: bool = True, test_share: float = 0.25
) -> Catalog:
    if not 0 < test_share < 1:
        raise CatalogError(f"test_share = {test_share}: must lie between 0 and 1")
    folder = find_root(root, "folder")
    groups = read_groups(folder)
    given = [side for side in ("train", "val", "test") if (folder / side).is_dir()]
    if not {"train", "test"} <= set(given):
        classes, clips, dropped = _scan(folder, bad, lambda name: groups.get(name, name))
        kept, test = cut_groups(clips, share=test_share, key=("folder", "test"))
        folds = (Fold("0", tuple(c.id for c in kept), tuple(c.id for c in test)),)
    else:
        classes, clips, dropped = _scan(folder, bad, lambda n: groups.get(n, n), sides=given)
        sides = {s: tuple(c.id for c in clips if c.id.startswith(f"{s}/")) for s in given}
        folds = (Fold("0", **sides),)
    return _finish("folder", classes, clips, folds, flip=flip, dropped=dropped)


def _scan(
    folder: Path, bad: Bad, group_of: Callable[[str], str], *, sides: Sequence[str] = ("",)
) -> tuple[tuple[str, ...], tuple[Clip, ...], tuple[tuple[str, str], ...]]:
    """Return classes, clips in order of id, and what was dropped."""
    found = [class_folders(folder / side) for side in sides]
    classes = tuple(sorted(set().union(*found)))
    files = [(file, label) for part in found for label, paths in part.items() for file in paths]
    good, dropped = admit(folder, [file for file, _ in files], bad)
    label_of = dict(files)
    clips = [
        Clip(clip_id(folder, f), f, classes.index(label_of[f]), group_of(clip_id(folder, f)))
        for f in good
    ]
    return classes, tuple(sorted(clips, key=lambda clip: clip.id)), dropped


def _by_pattern(pattern: re.Pattern[str], expected: str) -> Callable[[str], str]:
    def group_of(name: str) -> str:
        found = pattern.match(name.rpartition("/")[2])
        if not found:
            raise CatalogError(f"{name}: its group cannot be told; expected a name {expected}")
        return found["group"]

    return group_of


def _leave_one_out(clips: Sequence[Clip]) -> tuple[Fold, ...]:
    return tuple(
        Fold(
            group,
            tuple(c.id for c in clips if c.group != group),
            tuple(c.id for c in clips if c.group == group),
        )
        for group in sorted({clip.group for clip in clips})
    )


def _finish(
    name: str,
    classes: tuple[str, ...],
    clips: tuple[Clip, ...],
    folds: tuple[Fold, ...],
    file_hash: Callable[[Clip], str] = lambda clip: sha256_file(clip.path),
    *,
    flip: bool = True,
    dropped: tuple[tuple[str, str], ...] = (),
) -> Catalog:
    check_folds(name, classes, clips, folds)
    return Catalog(
        name=name,
        classes=classes,
        clips=clips,
        folds=folds,
        manifest=manifest_hash(classes, clips, folds, file_hash),
        flip=flip,
        dropped=dropped,
    )
