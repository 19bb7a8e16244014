"""Open a data set by name: synthetic, one of the real ones, or any folder of class folders."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from redistill.errors import CatalogError, nearest
from redistill.files import sha256_file, sha256_json
from redistill.video.folders import admit, class_files, clip_id, find_root, read_groups, stem
from redistill.video.listed import LISTED
from redistill.video.listed_clips import listed_clips
from redistill.video.mirrored import mirrored_labels
from redistill.video.official import Dropped, Look, official_clips
from redistill.video.parallel import Progress
from redistill.video.splits import Catalog, Clip, Fold, Split, check_folds, cut_groups
from redistill.video.synthetic import PER_CLASS, SyntheticSpec, ensure, read_rows, stream_path
from redistill.video.synthetic.spec import SPLITS, choose
from redistill.video.synthetic.weak import permuted

__all__ = ["DATASETS", "Catalog", "Clip", "Fold", "Split", "open_catalog"]

# What returns classes, clips, folds and what was dropped; its options; may a clip be mirrored?
READERS: Mapping[str, tuple[Callable[..., tuple[Any, ...]], set[str], bool]] = {
    "ucf101": (partial(official_clips, "ucf101"), {"lists"}, True),
    "hmdb51": (partial(official_clips, "hmdb51"), {"lists"}, True),
}
DATASETS = ("synthetic", "weizmann", "ut_interaction", *READERS, *LISTED, "folder")


def open_catalog(
    dataset: str,
    root: Path | str | None = None,
    *,
    on_bad: str = "raise",
    workers: int = 0,
    progress: Progress | None = None,
    motion: bool = True,
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
        motion: whether clips on which motion cannot be accumulated are bad; where whole frames
            are all that is looked at, it does not matter.  Of Kinetics, Something-Something and
            Jester no clip is opened here, and the manifest holds sizes, not contents
            (``Catalog.kind``).
        **options: ``synthetic``: the fields of ``SyntheticSpec``, ``size`` (a name of
            ``PER_CLASS``) and ``sham`` (``labels``, ``frames``).  ``ut_interaction``: ``folds``
            (``sequence``, ``set``).  ``ucf101``, ``hmdb51``: ``lists``, the folder of the official
            lists where it is not in ``root``; so have the sets of ``LISTED``.  ``folder``:
            ``flip``, ``test_share``.

    Raises:
        CatalogError: unknown data set or option, or a folder or file that cannot be used.
    """
    openers: dict[str, tuple[Callable[..., Catalog], set[str]]] = {
        "synthetic": (_synthetic, {f.name for f in fields(SyntheticSpec)} | {"size", "sham"}),
        "weizmann": (_weizmann, set()),
        "ut_interaction": (_ut_interaction, {"folds"}),
        "folder": (_folder, {"flip", "test_share"}),
    }
    shared = {"on_bad": on_bad, "workers": workers, "progress": progress}
    openers |= {name: (partial(_read, name, on_bad), own[1]) for name, own in READERS.items()}
    openers |= {name: (partial(_listed, name, shared), {"lists"}) for name in LISTED}
    choose("data set", dataset, DATASETS)
    opener, allowed = openers[dataset]
    for name in options.keys() - allowed:
        known = f"it takes {', '.join(sorted(allowed))}" if allowed else "it takes none"
        raise CatalogError(
            f"data set {dataset!r} has no option {name!r}.{nearest(name, allowed)} ({known})"
        )
    if on_bad not in ("raise", "drop"):
        raise CatalogError(f"on_bad = {on_bad!r}: choose 'raise' or 'drop'")
    if dataset == "synthetic":
        place = None if root is None else Path(root)
        return opener(partial(ensure, root=place, workers=workers, progress=progress), **options)
    look = partial(admit, motion=motion, **shared)
    return opener(find_root(root, dataset), look, **options)


def _synthetic(
    make: Callable[..., Path], *, size: str | None = None, sham: str | None = None, **options: Any
) -> Catalog:
    if sham not in (None, "labels", "frames"):
        raise CatalogError(f"sham = {sham!r}: choose 'labels' or 'frames'")
    if size is not None:
        if size not in PER_CLASS:
            raise CatalogError(f"size = {size!r}: choose from {', '.join(PER_CLASS)}")
        options.setdefault("per_class", PER_CLASS[size])
    spec = SyntheticSpec(**options)
    spec = replace(spec, shuffled=spec.shuffled or sham == "frames")
    folder = make(spec)
    rows = read_rows(folder)
    sides = {side: [r for r in rows if r["split"] == side] for side in SPLITS}
    labels = {r["clip"]: int(r["label"]) for r in rows}
    for side in ("train", "val") if sham == "labels" else ():
        mixed = permuted(sides[side], seed=spec.data_seed).tolist()
        labels |= zip((r["clip"] for r in sides[side]), mixed, strict=True)
    clips, hashes = [], {}
    for row in rows:
        name, path = row["clip"], stream_path(folder, row, spec.codec)
        if not path.is_file() or sha256_file(path) != row["sha256"]:
            raise CatalogError(
                f"{path} is missing or not as it was written; remove the folder {folder} and "
                "open the set again: it will be made anew, the same to the bit"
            )
        clips.append(Clip(name, path, labels[name], row["group"]))
        hashes[name] = row["sha256"]
    fold = Fold("0", **{side: tuple(r["clip"] for r in part) for side, part in sides.items()})
    return _finish("synthetic", spec.classes, clips, [fold], hashes=hashes, flip=False)


def _weizmann(folder: Path, look: Look) -> Catalog:
    group_of = partial(_group, r"([^_]+)_", "<person>_<class>.avi")
    classes, clips, dropped = _scan(folder, look, group_of)
    return _finish("weizmann", classes, clips, _leave_one_out(clips), dropped=dropped)


def _ut_interaction(folder: Path, look: Look, *, folds: str = "sequence") -> Catalog:
    if folds not in ("sequence", "set"):
        raise CatalogError(
            f"folds = {folds!r}: choose 'sequence' (leave one out) or 'set' (train on set 1, test "
            "on set 2)"
        )
    group_of = partial(_group, r"(set\d+_seq\d+)_", "set<n>_seq<nn>_….avi")
    classes, clips, dropped = _scan(folder, look, group_of)
    chosen = _leave_one_out(clips)
    if folds == "set":
        sides = [tuple(c.id for c in clips if c.group.startswith(s)) for s in ("set1", "set2")]
        chosen = [Fold("set1-set2", *sides)]
    return _finish("ut_interaction", classes, clips, chosen, dropped=dropped)


def _read(name: str, on_bad: str, folder: Path, look: Look, **options: Any) -> Catalog:
    reader, _, flip = READERS[name]
    *found, dropped = reader(folder, look, on_bad=on_bad, **options)
    return _finish(name, *found, flip=flip, dropped=dropped)


def _listed(
    name: str, shared: Mapping[str, Any], folder: Path, _: Look, *, lists: Path | str | None = None
) -> Catalog:
    found = listed_clips(name, folder, lists=lists, **shared)
    flip: bool | tuple[int, ...] = name == "kinetics"
    if name == "jester":
        flip = mirrored_labels(found.classes)
    return _finish(
        name,
        found.classes,
        found.clips,
        [found.fold],
        hashes=found.sizes,
        lists={path.name: sha256_file(path) for path in found.lists},
        flip=flip,
        dropped=found.dropped,
        kind="sizes",
    )


def _folder(folder: Path, look: Look, *, flip: bool = True, test_share: float = 0.25) -> Catalog:
    if not 0 < test_share < 1:
        raise CatalogError(f"test_share = {test_share}: must lie between 0 and 1")
    groups = read_groups(folder)
    given = [side for side in SPLITS if (folder / side).is_dir()]
    honoured = {"train", "test"} <= set(given)
    classes, clips, dropped = _scan(
        folder, look, lambda name: groups.get(stem(name), name), sides=given if honoured else [""]
    )
    if honoured:
        sides = {s: tuple(c.id for c in clips if c.id.startswith(f"{s}/")) for s in given}
    else:
        parts = cut_groups(clips, share=test_share, key=("folder", "test"))
        sides = {s: tuple(c.id for c in p) for s, p in zip(("train", "test"), parts, strict=True)}
    return _finish("folder", classes, clips, [Fold("0", **sides)], flip=flip, dropped=dropped)


def _scan(
    folder: Path, look: Look, group_of: Callable[[str], str], *, sides: Sequence[str] = ("",)
) -> tuple[list[str], list[Clip], Dropped]:
    """Return classes, clips in order of id, and what was dropped."""
    found = {f: label for side in sides for f, label in class_files(folder / side).items()}
    classes = sorted(set(found.values()))
    good, dropped = look(folder, list(found))
    names = {clip_id(folder, file): file for file in good}
    clips = [Clip(n, f, classes.index(found[f]), group_of(n)) for n, f in sorted(names.items())]
    return classes, clips, dropped


def _group(pattern: str, expected: str, name: str) -> str:
    """Return what ``pattern`` finds in the name of a file."""
    found = re.match(pattern, name.rpartition("/")[2])
    if not found:
        raise CatalogError(f"{name}: its group cannot be told; expected a name {expected}")
    return found[1]


def _leave_one_out(clips: Sequence[Clip]) -> list[Fold]:
    return [
        Fold(
            group,
            tuple(c.id for c in clips if c.group != group),
            tuple(c.id for c in clips if c.group == group),
        )
        for group in sorted({clip.group for clip in clips})
    ]


def _finish(
    name: str,
    classes: Sequence[str],
    clips: Sequence[Clip],
    folds: Sequence[Fold],
    *,
    hashes: Mapping[str, Any] | None = None,
    lists: Mapping[str, str] | None = None,
    **rest: Any,
) -> Catalog:
    """Check the folds and seal all that the data set feeds into a run with its SHA-256."""
    check_folds(name, classes, clips, folds)
    hashes = hashes or {clip.id: sha256_file(clip.path) for clip in clips}
    rows = [[clip.id, clip.label, clip.group, hashes[clip.id]] for clip in clips]
    parts = [classes, rows, [[f.name, f.train, f.val, f.test] for f in folds]]
    parts += ["sizes", lists] if lists else []
    return Catalog(name, tuple(classes), tuple(clips), tuple(folds), sha256_json(parts), **rest)
