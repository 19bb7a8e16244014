"""Clips, groups and folds: what a data set is once its folder has been read."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from redistill.errors import CatalogError
from redistill.video.keyed import below
from redistill.video.sealed import SealedClips


@dataclass(frozen=True)
class Clip:
    """One video file, or one folder of pictures.

    Attributes:
        id: unique name inside its catalogue.
        path: the file or folder.
        label: class number; -1 where it is sealed.
        group: person, sequence, scene: what must not be on two sides of a split.
    """

    id: str
    path: Path
    label: int
    group: str


@dataclass(frozen=True)
class Fold:
    """Clip ids of one train/test split; ``val`` is None where it is to be cut from train."""

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    val: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Split:
    """The clips of one fold, validation cut, test labels sealed."""

    name: str
    train: tuple[Clip, ...]
    val: tuple[Clip, ...]
    test: SealedClips


@dataclass(frozen=True)
class Catalog:
    """A data set.

    Attributes:
        name: of the data set.
        classes: class names; a label is a place in this tuple.
        clips: all clips, in order of id.
        folds: the protocol's train/test splits.
        manifest: SHA-256 over classes, ids, labels, groups, folds and what ``kind`` says.
        flip: whether a clip may be mirrored; where that turns labels into others, the label that
            each becomes.
        dropped: (id, reason) of files left out under ``on_bad="drop"``.
        kind: of the manifest: ``content`` of the files, or their ``sizes`` and that of the lists.
    """

    name: str
    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    folds: tuple[Fold, ...]
    manifest: str
    flip: bool | tuple[int, ...] = True
    dropped: tuple[tuple[str, str], ...] = ()
    kind: str = "content"

    def fold_numbers(self, wanted: Sequence[int] = ()) -> tuple[int, ...]:
        """Return the numbers of the folds wanted; none named means all.

        Raises:
            CatalogError: a fold that does not exist, or is named twice.
        """
        for fold in wanted:
            if not 0 <= fold < len(self.folds):
                raise CatalogError(
                    f"{self.name} has no fold {fold}: it has {len(self.folds)}, numbered from 0"
                )
        if len(set(wanted)) < len(wanted):
            raise CatalogError(f"folds {list(wanted)} name a fold twice; name each once")
        return tuple(wanted) or tuple(range(len(self.folds)))

    def split(self, fold: int = 0, *, val_share: float = 0.15, seed: int = 0) -> Split:
        """Return the clips of a fold.

        Args:
            fold: number of the fold.
            val_share: share of the training clips wanted for validation, cut by group.  A fold
                that brings its own validation clips (as the synthetic set does) keeps them.
            seed: chooses the groups.

        Raises:
            CatalogError: no such fold, or no group can be spared for validation.
        """
        (fold,) = self.fold_numbers([fold])
        if not 0 < val_share < 1:
            raise CatalogError(f"val_share = {val_share}: must lie between 0 and 1")
        chosen = self.folds[fold]
        by_id = {clip.id: clip for clip in self.clips}
        train = tuple(by_id[name] for name in chosen.train)
        if chosen.val is None:
            train, val = cut_groups(train, share=val_share, key=(self.name, fold, seed))
        else:
            val = tuple(by_id[name] for name in chosen.val)
        return Split(chosen.name, train, val, SealedClips([by_id[name] for name in chosen.test]))


def cut_groups(
    clips: Sequence[Clip], *, share: float, key: tuple[str | int, ...]
) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """Return (the clips kept, the clips cut off).

    Whole groups are taken, in an order given by ``key``, while they bring a class nearer to its
    share (at least one clip) and leave every class a training clip.
    """
    left, taken = Counter(clip.label for clip in clips), set()
    wanted = Counter({label: max(1, round(share * n)) for label, n in left.items()})
    groups: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for clip in clips:
        groups[clip.group][clip.label] += 1
    for group, labels in sorted(groups.items(), key=lambda item: below(1 << 60, *key, item[0])):
        useful = any(wanted[label] > 0 for label in labels)
        if useful and all(left[label] > labels[label] for label in labels):
            left -= labels
            wanted.subtract(labels)
            taken.add(group)
    if not taken:
        raise CatalogError(
            f"{key[0]}: no group can be spared: each holds the last training clips of some class "
            f"({len(clips)} clips in {len(groups)} groups). Add clips or groups."
        )
    kept = tuple(clip for clip in clips if clip.group not in taken)
    return kept, tuple(clip for clip in clips if clip.group in taken)


def check_folds(
    name: str, classes: Sequence[str], clips: Sequence[Clip], folds: Sequence[Fold]
) -> None:
    """Refuse folds that train on too little or test on what they train on.

    Raises:
        CatalogError: a class without training clips, no test clips, or a group on two sides.
    """
    by_id = {clip.id: clip for clip in clips}
    for fold in folds:
        trained = {by_id[clip].label for clip in fold.train}
        bare = [label for number, label in enumerate(classes) if number not in trained]
        sides = [{by_id[c].group for c in part} for part in (fold.train, fold.val or (), fold.test)]
        both = (sides[0] & sides[2]) | (sides[1] & sides[2]) | (sides[0] & sides[1])
        if bare:
            fault = (
                f"no training clips of class {', '.join(bare)}. Add clips of other groups, or "
                "leave the class out."
            )
        elif not fold.test:
            fault = "no test clips"
        elif both:
            fault = f"group {min(both)} is on two sides of the split; move its clips to one side"
        else:
            continue
        raise CatalogError(f"{name}, fold {fold.name}: {fault}")
