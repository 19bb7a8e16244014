"""What stands on two sides of a split: a person, a scene, a video, the same file twice."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from redistill.files import sha256_file
from redistill.video.splits import Catalog, Clip, Fold

Sides = Mapping[str, frozenset[str]]  # side -> ids of its clips


@dataclass(frozen=True)
class Shared:
    """Something on two sides of a fold.

    Attributes:
        fold: its name.
        what: a group, or the ids of two files of the same content.
        sides: the two.
    """

    fold: str
    what: str
    sides: tuple[str, str]

    def text(self) -> str:
        """Return it in words."""
        return f"{self.what} is in {self.sides[0]} and {self.sides[1]} of fold {self.fold}"


@dataclass(frozen=True)
class Twins:
    """Clips of the same content.

    Attributes:
        pairs: of ids.
        hashed: files read, those whose size another file has.
        unread: further such files for which no time was left.
    """

    pairs: tuple[tuple[str, str], ...]
    hashed: int
    unread: int


def sides_of(catalog: Catalog) -> dict[str, Sides]:
    """Return the sides of every fold, validation cut from train as a run cuts it.

    Raises:
        CatalogError: no group can be spared for validation.
    """
    return {fold.name: _sides(catalog, number, fold) for number, fold in enumerate(catalog.folds)}


def _sides(catalog: Catalog, number: int, fold: Fold) -> Sides:
    split = catalog.split(number)
    train, val = (frozenset(clip.id for clip in part) for part in (split.train, split.val))
    # From the fold itself: a sealed test side keeps its labels.
    return {"train": train, "val": val, "test": frozenset(fold.test)}


def shared_groups(
    folds: Mapping[str, Sides], clips: Iterable[Clip], *, group: Callable[[Clip], str]
) -> list[Shared]:
    """Return every group that has clips on two sides of a fold.

    Args:
        folds: name to sides.
        clips: of the data set.
        group: of a clip: what must not be on two sides.
    """
    groups = {clip.id: group(clip) for clip in clips}
    found = []
    for fold, sides in folds.items():
        held = {side: {groups[clip] for clip in ids} for side, ids in sides.items()}
        for one, other in combinations(held, 2):
            both = sorted(held[one] & held[other])
            found += [Shared(fold, f"group {name}", (one, other)) for name in both]
    return found


def twins(clips: Sequence[Clip], *, seconds: float) -> Twins:
    """Return the clips of the same content: first those of one size, then by their hash.

    Args:
        clips: files; folders of pictures are passed over.
        seconds: after which no further file is read.
    """
    started, by_size = time.monotonic(), defaultdict(list)
    for clip in clips:
        if clip.path.is_file():
            by_size[clip.path.stat().st_size].append(clip)
    alike = [clip for same in by_size.values() if len(same) > 1 for clip in same]
    by_content, hashed = defaultdict(list), 0
    for clip in alike:
        if time.monotonic() - started > seconds:
            break
        by_content[sha256_file(clip.path)].append(clip.id)
        hashed += 1
    pairs = [pair for ids in by_content.values() for pair in combinations(ids, 2)]
    return Twins(tuple(pairs), hashed, len(alike) - hashed)


def shared_contents(folds: Mapping[str, Sides], pairs: Sequence[tuple[str, str]]) -> list[Shared]:
    """Return the pairs of equal files that stand on two sides of a fold."""
    found = []
    for fold, sides in folds.items():
        side = {clip: name for name, ids in sides.items() for clip in ids}
        for one, other in pairs:
            a, b = side.get(one), side.get(other)
            if a and b and a != b:
                found.append(Shared(fold, f"the content of {one} (= {other})", (a, b)))
    return found
