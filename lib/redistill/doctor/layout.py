"""Clips, groups and folds of a data set, read from names and lists: few or no clips are opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from redistill.errors import CatalogError
from redistill.files import cache_root, sha256_json
from redistill.video.catalog import DATASETS, open_catalog
from redistill.video.folders import class_files, clip_id, find_root, read_groups, stem
from redistill.video.listed import LISTED
from redistill.video.listed_clips import listed_clips
from redistill.video.official import official_clips
from redistill.video.splits import Catalog, Clip, Fold, cut_groups
from redistill.video.synthetic import SyntheticSpec, encoder_version, plan
from redistill.video.synthetic.spec import SPLITS, choose
from redistill.video.synthetic.write import MANIFEST

_MOST = 500  # files that are opened one by one; the small real sets have a fifth of that


@dataclass(frozen=True)
class Layout:
    """A data set as the doctor sees it.

    Attributes:
        catalog: its clips and folds; its manifest is of contents, or of names and sizes.
        content: whether the manifest is the one that runs keep.
        there: whether the clips are on disk (a synthetic set is made by the first run).
    """

    catalog: Catalog
    content: bool = False
    there: bool = True


def read_layout(dataset: str, root: Path | None) -> Layout:
    """Read a data set's layout.

    Raises:
        CatalogError: an unknown set, or a folder, list or name that cannot be used.
    """
    choose("data set", dataset, DATASETS)
    if dataset == "synthetic":
        return _synthetic(root)
    folder = find_root(root, dataset)
    if dataset in ("ucf101", "hmdb51"):
        classes, clips, folds, dropped = official_clips(dataset, folder, _unopened, on_bad="drop")
        return Layout(_catalog(dataset, classes, clips, folds, dropped))
    if dataset in LISTED:
        found = listed_clips(dataset, folder, on_bad="drop")
        return Layout(_catalog(dataset, found.classes, found.clips, [found.fold], found.dropped))
    if dataset == "folder":
        return Layout(_folder(folder))
    files = sum(1 for path in folder.rglob("*") if path.is_file())
    if files > _MOST:
        raise CatalogError(
            f"{folder} holds {files} files, where {dataset} has about a hundred clips; give the "
            "folder of the data set, or --dataset folder"
        )
    return Layout(open_catalog(dataset, root, on_bad="drop", motion=False), content=True)


def _synthetic(root: Path | None) -> Layout:
    """Return the default quick set, from the cache or as it will be made."""
    spec = SyntheticSpec()
    folder = (root or cache_root() / "synthetic") / spec.key(encoder_version())
    if (folder / MANIFEST).is_file():
        return Layout(open_catalog("synthetic", root), content=True)
    rows = list(plan(spec))
    clips = [Clip(row.clip, folder / row.clip, row.label, row.group) for row in rows]
    sides = {side: tuple(row.clip for row in rows if row.split == side) for side in SPLITS}
    catalog = Catalog("synthetic", spec.classes, tuple(clips), (Fold("0", **sides),), "")
    return Layout(catalog, there=False)


def _folder(folder: Path) -> Catalog:
    """Return a folder of class folders as ``open_catalog`` splits it, groups unchecked."""
    groups = read_groups(folder)
    given = [side for side in SPLITS if (folder / side).is_dir()]
    honoured = {"train", "test"} <= set(given)
    places = [folder / side for side in given] if honoured else [folder]
    found = {file: label for place in places for file, label in class_files(place).items()}
    classes = sorted({*found.values()})
    names = {clip_id(folder, file): file for file in found}
    clips = [
        Clip(name, file, classes.index(found[file]), groups.get(stem(name), name))
        for name, file in sorted(names.items())
    ]
    if honoured:
        sides = {s: tuple(c.id for c in clips if c.id.startswith(f"{s}/")) for s in given}
    else:
        parts = cut_groups(clips, share=0.25, key=("folder", "test"))
        sides = {s: tuple(c.id for c in p) for s, p in zip(("train", "test"), parts, strict=True)}
    return _catalog("folder", classes, clips, [Fold("0", **sides)], ())


def _unopened(root: Path, files: Sequence[Path]) -> tuple[list[Path], tuple]:
    return list(files), ()


def _catalog(
    name: str,
    classes: Sequence[str],
    clips: Sequence[Clip],
    folds: Sequence[Fold],
    dropped: Sequence[tuple[str, str]],
) -> Catalog:
    rows = [[clip.id, clip.label, clip.group, clip.path.stat().st_size] for clip in clips]
    manifest = sha256_json([list(classes), rows])
    parts = tuple(classes), tuple(clips), tuple(folds), manifest
    return Catalog(name, *parts, dropped=tuple(dropped), kind="sizes")
