"""A data set that nobody knows yet, added as the README says: a reader, and a line in READERS."""

import csv
import shutil

import numpy as np
import pytest

from redistill.errors import CatalogError
from redistill.feeds import open_feeds
from redistill.methods.substage import SubstageConfig
from redistill.modality import RGB
from redistill.video import catalog, encode_mpeg4
from redistill.video.catalog import open_catalog
from redistill.video.splits import Clip, Fold

PEOPLE, CLASSES = ("ann", "bob", "cy", "di"), ("jump", "run")


def gym_clips(folder, look, *, on_bad, camera="front"):
    """All clips in one folder; `list.csv` has file, action, person, camera and fold of each."""
    rows = [row for row in csv.DictReader((folder / "list.csv").open()) if row["camera"] == camera]
    good, refused = look(folder, [folder / row["file"] for row in rows])
    rows = [row for row in rows if folder / row["file"] in good]
    classes = sorted({row["action"] for row in rows})
    clips = [
        Clip(row["file"], folder / row["file"], classes.index(row["action"]), row["person"])
        for row in sorted(rows, key=lambda row: row["file"])
    ]
    folds = [
        Fold(number, *(tuple(r["file"] for r in rows if (r["fold"] == number) == test)
                       for test in (False, True)))
        for number in sorted({row["fold"] for row in rows})
    ]  # fmt: skip
    return classes, clips, folds, refused


@pytest.fixture
def gym(tmp_path, monkeypatch):
    """Two cameras, two actions, four people: two of them are tested on in each fold."""
    root = tmp_path / "gym"
    root.mkdir()
    frames = np.random.default_rng(0).integers(0, 256, (13, 40, 40, 3)).astype(np.uint8)
    encode_mpeg4(root / "one.avi", frames)
    lines = ["file,action,person,camera,fold"]
    for camera in ("front", "side"):
        for place, person in enumerate(PEOPLE):
            for action in CLASSES:
                name = f"{person}-{action}-{camera}.avi"
                shutil.copy(root / "one.avi", root / name)
                lines.append(f"{name},{action},{person},{camera},{place % 2}")
    (root / "list.csv").write_text("\n".join(lines) + "\n")
    (root / "one.avi").unlink()
    ours = {"gym": (gym_clips, {"camera"}, False)}
    monkeypatch.setattr(catalog, "READERS", catalog.READERS | ours)
    monkeypatch.setattr(catalog, "DATASETS", (*catalog.DATASETS, "gym"))
    return root


def test_its_protocol_is_that_of_the_list(gym):
    found = open_catalog("gym", gym)
    assert (found.name, found.classes, found.flip) == ("gym", CLASSES, False)
    assert len(found.clips) == 8
    assert [fold.name for fold in found.folds] == ["0", "1"]
    split = found.split(1)
    people = [{clip.group for clip in part} for part in (split.train, split.val, split.test.clips)]
    assert people[2] == {"bob", "di"}
    assert sorted(map(len, people[:2])) == [1, 1]  # validation is cut by person
    assert {clip.label for clip in split.test.clips} == {-1}
    assert sorted(split.test.open("test").tolist()) == [0, 0, 1, 1]


def test_its_manifest_seals_clips_labels_groups_and_folds(gym):
    before = open_catalog("gym", gym).manifest
    assert open_catalog("gym", gym).manifest == before
    assert open_catalog("gym", gym, camera="side").manifest != before
    text = (gym / "list.csv").read_text()
    changes = ("ann-run-front.avi,run", "ann-run-front.avi,jump"), (",ann,", ",eve,")
    for change in (*changes, (",bob,front,1", ",bob,front,0")):
        (gym / "list.csv").write_text(text.replace(*change))
        assert open_catalog("gym", gym).manifest != before, change
    (gym / "list.csv").write_text(text.replace(",bob,front,1", ",bob,front,0", 1))
    with pytest.raises(CatalogError, match="group bob is on two sides of the split"):
        open_catalog("gym", gym)


def test_the_house_does_the_rest(gym):
    """Files that cannot be used, options, and clips that the networks can take."""
    (gym / "ann-run-front.avi").write_bytes(b"")
    with pytest.raises(CatalogError, match=r"1 of 8 files .*ann-run-front\.avi: the file is empty"):
        open_catalog("gym", gym)
    found = open_catalog("gym", gym, on_bad="drop")
    assert [name for name, _ in found.dropped] == ["ann-run-front.avi"]
    with pytest.raises(CatalogError, match=r"no option 'cam'\. Did you mean 'camera'"):
        open_catalog("gym", gym, cam="side")
    with pytest.raises(CatalogError, match="needs its folder"):
        open_catalog("gym")
    config = SubstageConfig(frames=4, size=32, views=2, workers=0)
    feeds = open_feeds(found.split(1), config, modalities=(RGB,), flip=True)
    assert feeds.train[RGB].views.shape[2:] == (4, 3, 32, 32)
    assert len(feeds.test[RGB]) == 4
