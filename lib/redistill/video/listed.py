"""The lists that Kinetics, Something-Something and Jester ship.

Their test labels are not public, so the test lists are not read: the official validation split is
the sealed test side, and validation is cut from train.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from redistill.errors import CatalogError
from redistill.video.official import list_rows

LISTED = ("kinetics", "something_v1", "something_v2", "jester")
# What the lists are called after.
STEMS = {
    "something_v1": "something-something-v1",
    "something_v2": "something-something-v2",
    "jester": "jester-v1",
}
_VALIDATIONS = ("val.csv", "validate.csv", "validation.csv")


@dataclass(frozen=True)
class Listed:
    """What the lists of one data set say.

    Attributes:
        classes: in the order of the list of labels; of Kinetics, which has none, of the alphabet.
        train: class of every training clip by its name, the stem of its file or folder.
        test: the same of the official validation split.
        lists: the files.
    """

    classes: tuple[str, ...]
    train: Mapping[str, str]
    test: Mapping[str, str]
    lists: tuple[Path, ...]


def read_listed(dataset: str, folder: Path) -> Listed:
    """Read the lists of one of ``LISTED``.

    Raises:
        CatalogError: a list is missing, or is not as shipped.
    """
    if dataset == "kinetics":
        return _read_kinetics(folder)
    stem, kind = STEMS[dataset], "json" if dataset == "something_v2" else "csv"
    paths = [folder / f"{stem}-{part}.{kind}" for part in ("labels", "train", "validation")]
    read = (_json_classes, _json_clips) if kind == "json" else (_csv_classes, _csv_clips)
    classes = read[0](paths[0])
    return _checked(Listed(classes, *(read[1](path) for path in paths[1:]), tuple(paths)))


def _read_kinetics(folder: Path) -> Listed:
    tests = [folder / name for name in _VALIDATIONS if (folder / name).is_file()]
    paths = (folder / "train.csv", tests[0] if tests else folder / _VALIDATIONS[0])
    train, test = (_kinetics_clips(path) for path in paths)
    return _checked(Listed(tuple(sorted({*train.values()})), train, test, paths))


def _kinetics_clips(path: Path) -> dict[str, str]:
    try:
        rows = list(csv.DictReader(_text(path).splitlines()))
        pairs = [
            (
                f"{r['youtube_id']}_{int(r['time_start']):06}_{int(r['time_end']):06}",
                r["label"].replace("_", " "),
            )
            for r in rows
        ]
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise CatalogError(
            f"{path}: expected the columns label, youtube_id, time_start and time_end in every row "
            f"({error!r}); get the list again"
        ) from error
    return _unique(path, pairs)


def _csv_classes(path: Path) -> tuple[str, ...]:
    return tuple(row[0] for row in list_rows(path, r".+", "the name of a class"))


def _csv_clips(path: Path) -> dict[str, str]:
    rows = list_rows(path, r"([^;/]+);(.+)", "'<id>;<class>'")
    return _unique(path, [(row[1], row[2]) for row in rows])


def _json_classes(path: Path) -> tuple[str, ...]:
    try:
        numbers = {name: int(number) for name, number in json.loads(_text(path)).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise CatalogError(f"{path}: expected classes with their numbers ({error})") from error
    return tuple(sorted(numbers, key=numbers.__getitem__))


def _json_clips(path: Path) -> dict[str, str]:
    try:
        rows = [(str(row["id"]), row["template"]) for row in json.loads(_text(path))]
        return _unique(
            path, [(name, text.replace("[", "").replace("]", "")) for name, text in rows]
        )
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CatalogError(
            f"{path}: expected a list of clips with 'id' and 'template' ({error!r})"
        ) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise CatalogError(
            f"{path} cannot be read as a list of the data set ({error}); get the lists again"
        ) from error


def _unique(path: Path, pairs: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, label in pairs:
        if found.setdefault(name, label) != label:
            raise CatalogError(f"{path}: clip {name} is in {found[name]!r} and in {label!r}")
    return found


def _checked(listed: Listed) -> Listed:
    classes = set(listed.classes)
    for side, path in zip((listed.train, listed.test), listed.lists[-2:], strict=True):
        for name, label in side.items():
            if label not in classes:
                raise CatalogError(f"{path}: clip {name} is in {label!r}, which is no listed class")
    both = listed.train.keys() & listed.test.keys()
    if both:
        raise CatalogError(f"{min(both)} is in both {listed.lists[-2]} and {listed.lists[-1]}")
    return listed
