"""The official lists of UCF-101 and HMDB-51, as the data sets ship them (spec/progressive.md 1.1).

UCF-101 names a group of clips of one scene in every file.  In HMDB-51 a name ends in six
attributes (body part, camera motion, people, view, quality, number) and begins with the source
video and the class: that is the group.  No group is on two sides of an official split.  Yet HMDB-51
cut some videos into clips of several classes, and of those 133, 149 and 144 videos are on both
sides of splits 1, 2 and 3 (457, 527 and 529 of 1530 test clips), each class on one side.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from redistill.errors import CatalogError
from redistill.video.folders import SUFFIXES, clip_id
from redistill.video.splits import Clip, Fold

SPLITS = (1, 2, 3)
_UCF = r"(?P<name>(?P<label>[^/]+)/v_.+_(?P<group>g\d+)_c\d+\.\w+)(?:\s+(?P<number>\d+))?"
_HMDB = r"(?P<name>(?P<group>.+)_[a-z]+_[a-z]+_np\d+_[a-z]+_[a-z]+_\d+\.\w+)\s+(?P<side>[012])"
# Where the archives unpack to: the lists, the class folders.
_FOLDERS = {
    "ucf101": ("ucfTrainTestlist", "UCF-101"),
    "hmdb51": ("testTrainMulti_7030_splits", "hmdb51_org"),
}
Dropped = tuple[tuple[str, str], ...]
Look = Callable[[Path, Sequence[Path]], tuple[list[Path], Dropped]]


@dataclass(frozen=True)
class Official:
    """What the lists of one data set say; a clip's name here is ``<class>/<file as listed>``.

    Attributes:
        classes: in the order of ``classInd.txt`` (UCF-101) or of the alphabet (HMDB-51).
        groups: the group of every clip that some split trains or tests on.
        folds: ``split1`` to ``split3``.
    """

    classes: tuple[str, ...]
    groups: dict[str, str]
    folds: tuple[Fold, ...]


def read_lists(dataset: str, folder: Path) -> Official:
    """Read the lists of ``ucf101`` or ``hmdb51``.

    Raises:
        CatalogError: a list is missing, or one of its lines is not of the official form.
    """
    return {"ucf101": _read_ucf101, "hmdb51": _read_hmdb51}[dataset](folder)


def _read_ucf101(folder: Path) -> Official:
    index = list_rows(folder / "classInd.txt", r"(\d+)\s+(\S+)", "'<number> <class>'")
    number_of = {row[2]: row[1] for row in sorted(index, key=lambda row: int(row[1]))}
    groups, folds = {}, []
    for split in SPLITS:
        sides = []
        for side in ("train", "test"):
            path = folder / f"{side}list0{split}.txt"
            rows = list_rows(
                path, _UCF, "'<class>/v_<class>_g<nn>_c<nn>.avi', then '<number>' to train"
            )
            for row in rows:
                number = number_of.get(row["label"])
                if number is None or row["number"] not in (None, number):
                    raise CatalogError(f"{path}: {row[0]!r} is not as classInd.txt numbers classes")
                groups[row["name"]] = f"{row['label']}/{row['group']}"
            sides.append(tuple(row["name"] for row in rows))
        folds.append(Fold(f"split{split}", *sides))
    return Official(tuple(number_of), groups, tuple(folds))


def _read_hmdb51(folder: Path) -> Official:
    ending = "_test_split1.txt"
    classes = tuple(sorted(p.name.removesuffix(ending) for p in folder.glob(f"*{ending}")))
    groups, folds = {}, []
    for split in SPLITS:
        sides: dict[str, list[str]] = {"0": [], "1": [], "2": []}
        for label in classes:
            path = folder / f"{label}_test_split{split}.txt"
            for row in list_rows(path, _HMDB, "'<video>_<class>_<attributes>_<n>.avi <0, 1 or 2>'"):
                name = f"{label}/{row['name']}"
                sides[row["side"]].append(name)
                if row["side"] != "0":
                    groups[name] = f"{label}/{row['group']}"
        folds.append(Fold(f"split{split}", tuple(sides["1"]), tuple(sides["2"])))
    return Official(classes, groups, tuple(folds))


def list_rows(path: Path, pattern: str, expected: str) -> list[re.Match[str]]:
    """Return the match of every line that is not blank; no line is a heading.

    Raises:
        CatalogError: the list is missing, or a line is not of the form.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeError) as error:
        raise CatalogError(
            f"{path} cannot be read as an official list ({error}); get the lists again"
        ) from error
    rows = []
    for number, line in enumerate(map(str.strip, lines), 1):
        row = re.fullmatch(pattern, line)
        if row:
            rows.append(row)
        elif line:
            raise CatalogError(f"{path}, line {number}: {line!r}; expected {expected}")
    return rows


def find_lists(dataset: str, root: Path, lists: Path | str | None = None) -> Path:
    """Return the folder of the lists: ``lists``, or the archive's folder in ``root``, or ``root``.

    Raises:
        CatalogError: none of them holds the lists.
    """
    first = {"ucf101": "classInd.txt", "hmdb51": "*_test_split1.txt"}[dataset]
    places = [Path(lists).expanduser()] if lists else [root / _FOLDERS[dataset][0], root]
    for place in places:
        if any(place.glob(first)):
            return place
    raise CatalogError(
        f"no official lists of {dataset} ({first}) in {' or '.join(map(str, places))}; unpack the "
        "data set's archive of lists there or give its folder as option lists"
    )


def official_clips(
    dataset: str, root: Path, look: Look, *, on_bad: str, lists: Path | str | None = None
) -> tuple[tuple[str, ...], list[Clip], list[Fold], Dropped]:
    """Return classes, clips in order of id, folds, and what was dropped.

    A clip on the lists is the file of that stem in its class folder, whatever its suffix: sets are
    re-encoded.  Under ``on_bad="drop"`` clips that are missing or refused are left out, and so are
    classes that lose all; files on no list are passed over.

    Raises:
        CatalogError: lists that cannot be used, or under ``raise`` a clip that is not there.
    """
    listed = read_lists(dataset, find_lists(dataset, root, lists))
    inner = root / _FOLDERS[dataset][1]
    folder = inner if inner.is_dir() else root
    files = _on_disk(folder, listed)
    missing = [name for name in listed.groups if name not in files]
    if missing and (on_bad == "raise" or not files):
        raise CatalogError(
            f"{len(missing)} of {len(listed.groups)} clips on the lists of {dataset} are not in "
            f"{folder}. The first is {missing[0]} (any of {' '.join(SUFFIXES)}). Unpack the whole "
            "data set there. To go on with the clips that are there: on_bad = 'drop'."
        )
    good, refused = look(root, list(files.values()))
    absent = ((clip_id(root, folder / name), "on the lists, not on disk") for name in missing)
    kept = set(good)
    ids = {name: clip_id(root, file) for name, file in files.items() if file in kept}
    label_of = {name: name.partition("/")[0] for name in ids}
    present = set(label_of.values())
    classes = tuple(label for label in listed.classes if label in present)
    clips = [
        Clip(ids[n], files[n], classes.index(label_of[n]), listed.groups[n])
        for n in sorted(ids, key=lambda name: ids[name])
    ]
    folds = [
        Fold(f.name, *(tuple(ids[n] for n in side if n in ids) for side in (f.train, f.test)))
        for f in listed.folds
    ]
    return classes, clips, folds, (*absent, *refused)


def _on_disk(folder: Path, listed: Official) -> dict[str, Path]:
    """Return the file of each listed clip that is there; of several with one stem, the .avi."""
    places = [folder / label for label in listed.classes if (folder / label).is_dir()]
    found = {
        f"{place.name}/{file.stem}": file
        for place in places
        for file in sorted(place.iterdir(), reverse=True)
        if file.suffix.lower() in SUFFIXES
    }
    stems = {name: name.rpartition(".")[0] for name in listed.groups}
    return {name: found[stem] for name, stem in stems.items() if stem in found}
