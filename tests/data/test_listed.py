"""Kinetics, Something-Something and Jester in the layouts in which they are shipped."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from redistill.errors import CatalogError
from redistill.feeds import open_feeds
from redistill.modality import RGB
from redistill.video import encode_mpeg4
from redistill.video.catalog import open_catalog
from redistill.video.mirrored import mirrored_labels

JESTER = (
    "Swiping Left", "Swiping Right", "Swiping Down", "Swiping Up", "Pushing Hand Away",
    "Pulling Hand In", "Sliding Two Fingers Left", "Sliding Two Fingers Right",
    "Sliding Two Fingers Down", "Sliding Two Fingers Up", "Pushing Two Fingers Away",
    "Pulling Two Fingers In", "Rolling Hand Forward", "Rolling Hand Backward",
    "Turning Hand Clockwise", "Turning Hand Counterclockwise", "Zooming In With Full Hand",
    "Zooming Out With Full Hand", "Zooming In With Two Fingers", "Zooming Out With Two Fingers",
    "Thumb Up", "Thumb Down", "Shaking Hand", "Stop Sign", "Drumming Fingers", "No gesture",
    "Doing other things",
)  # fmt: skip
SWAPPED = {(0, 1), (6, 7), (14, 15)}  # 0 with 1 and 6 with 7 are mmaction2's; 14 with 15 is ours


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "clip.avi"
    encode_mpeg4(path, np.random.default_rng(0).integers(0, 256, (9, 32, 40, 3)).astype(np.uint8))
    return path


def pictures(folder: Path, frames: int = 6) -> None:
    folder.mkdir(parents=True)
    for number in range(1, frames + 1):
        x = np.random.default_rng([int(folder.name), number]).integers(0, 256, (32, 40, 3))
        Image.fromarray(x.astype(np.uint8)).save(folder / f"{number:05}.jpg")


def make_20bn(root: Path, stem: str, classes) -> dict[str, tuple[str, str]]:
    """Write lists and frames: id -> (side, class); two training clips a class, one to validate."""
    known, clip = {}, 100
    for label in classes:
        for side in ("train", "train", "validation"):
            clip += 7
            known[str(clip)] = (side, label)
            pictures(root / f"20bn-{stem}" / str(clip))
    (root / f"{stem}-labels.csv").write_text("".join(f"{label}\n" for label in classes))
    for side in ("train", "validation"):
        rows = [f"{clip};{label}\n" for clip, (s, label) in known.items() if s == side]
        (root / f"{stem}-{side}.csv").write_text("".join(rows))
    return known


def make_v2(root: Path, stream: Path) -> dict[str, tuple[str, str]]:
    templates = ("Putting [something] next to [something]", "Holding [something]")
    numbers = {"Holding something": "1", "Putting something next to something": "0"}
    stem, known, clip = "something-something-v2", {}, 9
    folder = root / f"20bn-{stem}"
    folder.mkdir()
    rows = {"train": [], "validation": []}
    for template in templates:
        for side in ("train", "train", "validation"):
            clip += 1
            label = template.replace("[", "").replace("]", "")
            known[str(clip)] = (side, label)
            rows[side].append({"id": str(clip), "label": "holding a pen", "template": template})
            shutil.copy(stream, folder / f"{clip}.webm")
    (root / f"{stem}-labels.json").write_text(json.dumps(numbers))
    for side, lines in rows.items():
        (root / f"{stem}-{side}.json").write_text(json.dumps(lines))
    return known


def make_kinetics(root: Path, stream: Path, layout: str = "{side}/{label}") -> dict:
    known = {}
    for label in ("riding a bike", "abseiling"):
        for side, split in (("train", "train"), ("train", "train"), ("val", "validate")):
            name = f"-a_{len(known):09}"
            known[f"{name}_{len(known):06}_{len(known) + 10:06}"] = (side, label)
            folder = root / layout.format(side=split if "v" in layout else side, label=label)
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(stream, folder / f"{name}_{len(known) - 1:06}_{len(known) + 9:06}.mp4")
    for side in ("train", "val"):
        with (root / f"{side}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
            for name, (s, label) in known.items():
                clip, start, end = name[:-14], int(name[-13:-7]), int(name[-6:])
                if s == side:
                    rows.writerow([label, clip, start, end, side])
    return known


def check(catalog, known, classes):
    assert catalog.classes == tuple(classes)
    stems = {clip.id: Path(clip.id).stem for clip in catalog.clips}
    assert sorted(stems.values()) == sorted(known)
    assert [clip.id for clip in catalog.clips] == sorted(stems)
    for clip in catalog.clips:
        assert catalog.classes[clip.label] == known[stems[clip.id]][1]
        assert clip.group == clip.id
    (fold,) = catalog.folds
    assert fold.val is None
    assert {stems[i] for i in fold.train} == {n for n, (s, _) in known.items() if s == "train"}
    assert {stems[i] for i in fold.test} == {n for n, (s, _) in known.items() if s != "train"}
    split = catalog.split(val_share=0.4)
    assert {c.label for c in split.test.clips} == {-1}
    assert Counter(c.label for c in split.val) == dict.fromkeys(range(len(classes)), 1)
    assert catalog.kind == "sizes"


def test_something_v1(tmp_path):
    classes = ("Turning something upside down", "Pushing something from left to right", "A, b; c")
    known = make_20bn(tmp_path, "something-something-v1", classes)
    catalog = open_catalog("something_v1", tmp_path)
    check(catalog, known, classes)
    assert catalog.flip is False
    assert catalog.clips[0].path.is_dir()


def test_something_v2(tmp_path, stream):
    known = make_v2(tmp_path, stream)
    catalog = open_catalog("something_v2", tmp_path)
    check(catalog, known, ("Putting something next to something", "Holding something"))
    assert catalog.flip is False


@pytest.mark.parametrize("layout", ["{side}/{label}", "{label}", "", "{side}", "v/{side}_256"])
def test_kinetics_in_every_layout(tmp_path, stream, layout):
    known = make_kinetics(tmp_path, stream, layout)
    (tmp_path / "on_no_list.mp4").write_text("passed over")
    check(open_catalog("kinetics", tmp_path), known, ("abseiling", "riding a bike"))
    assert open_catalog("kinetics", tmp_path).flip is True
    (tmp_path / "val.csv").rename(tmp_path / "validate.csv")
    text = (tmp_path / "train.csv").read_text()
    (tmp_path / "train.csv").write_text(text.replace("riding a bike", "riding_a_bike"))
    check(open_catalog("kinetics", tmp_path), known, ("abseiling", "riding a bike"))


def test_jester_turns_labels(tmp_path):
    classes = (JESTER[15], JESTER[0], JESTER[22], JESTER[1], JESTER[14])
    known = make_20bn(tmp_path, "jester-v1", classes)
    catalog = open_catalog("jester", tmp_path)
    check(catalog, known, classes)
    assert catalog.flip == (4, 3, 2, 1, 0)


def test_the_mirror_of_jester_is_the_table_of_the_spec():
    wanted = list(range(27))
    for a, b in SWAPPED:
        wanted[a], wanted[b] = b, a
    assert mirrored_labels(JESTER) == tuple(wanted)
    for seed in range(5):  # any numbering: the class, not the number, has a counterpart
        order = np.random.default_rng(seed).permutation(27)
        swap = mirrored_labels([JESTER[i] for i in order])
        assert [order[i] for i in swap] == [wanted[i] for i in order]
        assert [swap[i] for i in swap] == list(range(27))
    with pytest.raises(CatalogError, match="'Swiping Left' mirrored is 'swiping right'"):
        mirrored_labels(["Swiping Left", "Stop Sign"])


def test_missing_clips_are_counted_or_left_out(tmp_path, stream):
    known = make_kinetics(tmp_path, stream)
    first, second, third, *_ = known
    for name in (first, second):
        next(tmp_path.rglob(f"{name}.mp4")).unlink()
    next(tmp_path.rglob(f"{list(known)[3]}.mp4")).write_bytes(b"")
    said = rf"3 of 6 clips .*first is {first} \(riding a bike\): on the lists, not on disk.*'drop'"
    with pytest.raises(CatalogError, match=said):
        open_catalog("kinetics", tmp_path)
    catalog = open_catalog("kinetics", tmp_path, on_bad="drop")
    assert dict(catalog.dropped) == {
        first: "on the lists, not on disk",
        second: "on the lists, not on disk",
        third: "its class has no training clips",
        list(known)[3]: "it is empty",
    }
    assert catalog.classes == ("abseiling",)
    assert {Path(c.id).stem for c in catalog.clips} == set(list(known)[4:])
    shutil.rmtree(tmp_path / "train")
    shutil.rmtree(tmp_path / "validate", ignore_errors=True)
    shutil.rmtree(tmp_path / "val", ignore_errors=True)
    with pytest.raises(CatalogError, match="6 of 6 clips"):
        open_catalog("kinetics", tmp_path, on_bad="drop")


@pytest.mark.parametrize(
    ("dataset", "name", "old", "new", "said"),
    [
        ("kinetics", "train.csv", "youtube_id", "id", "expected the columns"),
        ("kinetics", "train.csv", ",0,10,", ",zero,10,", "expected the columns"),
        ("kinetics", "val.csv", None, None, "val.csv cannot be read"),
        ("something_v1", "something-something-v1-train.csv", ";A", " A", "line 1: .*<id>;<class>"),
        ("something_v1", "something-something-v1-train.csv", ";A", ";B", "no listed class"),
        ("something_v1", "something-something-v1-validation.csv", "121", "107", "is in both"),
        ("something_v1", "something-something-v1-labels.csv", None, None, "cannot be read"),
        ("something_v2", "something-something-v2-train.json", "template", "t", "'template'"),
        ("something_v2", "something-something-v2-train.json", "[", "{", "'id' and 'template'"),
        ("something_v2", "something-something-v2-labels.json", '"1"', '"one"', "numbers"),
    ],
)
def test_lists_that_are_not_as_shipped_are_refused(tmp_path, stream, dataset, name, old, new, said):
    if dataset == "kinetics":
        make_kinetics(tmp_path, stream)
    elif dataset == "something_v2":
        make_v2(tmp_path, stream)
    else:
        make_20bn(tmp_path, "something-something-v1", ("A",))
    text = (tmp_path / name).read_text()
    (tmp_path / name).unlink()
    if old:
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new))
    with pytest.raises(CatalogError, match=said):
        open_catalog(dataset, tmp_path)


def test_lists_may_lie_elsewhere(tmp_path, tmp_path_factory):
    known = make_20bn(tmp_path, "jester-v1", JESTER[2:4])
    manifest = open_catalog("jester", tmp_path).manifest
    lists = tmp_path_factory.mktemp("lists")
    for path in tmp_path.glob("*.csv"):
        path.rename(lists / path.name)
    with pytest.raises(CatalogError, match="no lists of jester"):
        open_catalog("jester", tmp_path)
    catalog = open_catalog("jester", tmp_path, lists=lists, workers=2)
    check(catalog, known, JESTER[2:4])
    assert catalog.manifest == manifest


def test_the_manifest_holds_sizes_and_lists(tmp_path):
    make_20bn(tmp_path, "jester-v1", JESTER[:2])
    seen = {open_catalog("jester", tmp_path).manifest}
    first = sorted((tmp_path / "20bn-jester-v1").iterdir())[0]
    with (first / "00001.jpg").open("ab") as file:
        file.write(b"\0")
    seen.add(open_catalog("jester", tmp_path).manifest)
    (first / "00002.jpg").unlink()
    seen.add(open_catalog("jester", tmp_path).manifest)
    with (tmp_path / "jester-v1-train.csv").open("a") as file:
        file.write("\n")
    seen.add(open_catalog("jester", tmp_path).manifest)
    assert len(seen) == 4
    (first / "notes.txt").write_text("passed over")
    assert open_catalog("jester", tmp_path).manifest in seen


class Settings:
    segments, size, views, seed, workers, on_bad, stream = 3, 16, 4, 0, 0, "raise", False


def test_mirrored_views_carry_the_other_label(tmp_path):
    """Pixel by pixel: a view is the mirror of the unmirrored one exactly where its label turned."""
    make_20bn(tmp_path, "jester-v1", JESTER[:3])
    catalog = open_catalog("jester", tmp_path)
    split = catalog.split(val_share=0.4)

    def feeds(flip, stream=False):
        settings = type("S", (Settings,), {"stream": stream})
        return open_feeds(split, settings, flip=flip, modalities=(RGB,), manifest="m")

    banked, plain, streamed = feeds(catalog.flip), feeds(False), feeds(catalog.flip, True)
    truth = {clip.id: clip.label for clip in catalog.clips}
    turned = 0
    for view in range(4):
        for ours, straight, theirs in zip(
            banked.train[RGB].inorder(batch=2, view=view),
            plain.train[RGB].inorder(batch=2, view=view),
            streamed.train[RGB].inorder(batch=2, view=view),
            strict=True,
        ):
            assert ours.clips == theirs.clips
            assert (ours.inputs == theirs.inputs).all()
            assert ours.labels.tolist() == theirs.labels.tolist()
            for x, y, clip, label in zip(
                ours.inputs, straight.inputs, ours.clips, ours.labels.tolist(), strict=True
            ):
                mirrored = bool((x == y.flip(-1)).all())
                assert mirrored != bool((x == y).all())
                assert label == ({0: 1, 1: 0, 2: 2}[truth[clip]] if mirrored else truth[clip])
                turned += mirrored
    count = 4 * len(banked.train[RGB])
    assert 0.1 * count < turned < 0.9 * count
    assert plain.train[RGB].mirrored is None
    kept = feeds((0, 1, 2))  # the same pictures, under labels that do not turn
    assert (kept.train[RGB].views == banked.train[RGB].views).all()
    for one in (plain, kept):
        assert banked.train[RGB].manifest != one.train[RGB].manifest
    for side in ("val", "test"):
        assert getattr(banked, side)[RGB].manifest == getattr(plain, side)[RGB].manifest
    assert banked.val_labels.tolist() == [clip.label for clip in split.val]
    assert (banked.test[RGB].labels == -1).all()


def test_originals_with_b_frames_are_admitted_where_motion_does_not_matter(shared_data):
    catalog = open_catalog("ut_interaction", shared_data, motion=False)
    assert len(catalog.clips) == 120
    assert len(catalog.folds) == 20
    split = catalog.split(0)
    few = type(split)("few", split.train[:2], split.val[:1], split.test)
    with pytest.raises(CatalogError, match="B frames"):
        open_catalog("ut_interaction", shared_data)
    settings = type("S", (Settings,), {"views": 1})
    feeds = open_feeds(few, settings, flip=True, modalities=(RGB,))
    assert feeds.train[RGB].views.shape == (1, 2, 3, 3, 16, 16)


def test_without_motion_broken_files_are_still_refused(tmp_path, stream):
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(3):
            shutil.copy(stream, tmp_path / label / f"{number}.avi")
    manifest = open_catalog("folder", tmp_path).manifest
    assert open_catalog("folder", tmp_path, motion=False).manifest == manifest
    (tmp_path / "a" / "0.avi").write_text("no video")
    with pytest.raises(CatalogError, match="1 of 6 files") as error:
        open_catalog("folder", tmp_path, motion=False)
    assert "prepare" not in str(error.value)
