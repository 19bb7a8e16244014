import shutil
from collections import Counter

import numpy as np
import pytest

from redistill.errors import CatalogError
from redistill.video import encode_mpeg4, prepare
from redistill.video.catalog import open_catalog
from redistill.video.splits import Clip, cut_groups


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "clip.avi"
    frames = np.random.default_rng(0).integers(0, 256, (13, 32, 32, 3)).astype(np.uint8)
    encode_mpeg4(path, frames)
    return path


@pytest.fixture
def tree(tmp_path, clip_file):
    """A folder of class folders: 3 classes of 6 clips."""
    for label in ("c", "a", "b"):
        (tmp_path / label).mkdir()
        for number in range(6):
            shutil.copy(clip_file, tmp_path / label / f"{number}.avi")
    return tmp_path


def sides(split):
    return [{c.id for c in part} for part in (split.train, split.val, split.test.clips)]


def test_synthetic_has_its_own_three_sides(small):
    split = small.split()
    assert [len(side) for side in sides(split)] == [24, 8, 16]
    assert small.classes == ("L", "R", "U", "D", "Hs", "Hf", "Vs", "Vf")
    assert not small.flip
    groups = [{c.group for c in part} for part in (split.train, split.val, split.test.clips)]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    assert {c.label for c in split.test.clips} == {-1}
    assert Counter(split.test.open("test").tolist()) == Counter(list(range(8)) * 2)


def test_sham_labels_are_permuted_in_training_only(sets, small):
    options = {"world": "motion_led", "per_class": (3, 1, 2)}
    sham = open_catalog("synthetic", sets, sham="labels", **options)
    pairs = list(zip(small.clips, sham.clips, strict=True))
    changed = {a.id[:4] for a, b in pairs if a.label != b.label}
    assert changed == {"trai", "val-"}
    assert Counter(c.label for c in sham.split().train) == Counter(list(range(8)) * 3)
    assert sham.manifest != small.manifest


def test_sham_frames_are_other_streams(sets, small):
    options = {"world": "motion_led", "per_class": (1, 1, 1)}
    sham = open_catalog("synthetic", sets, sham="frames", **options)
    assert sham.clips[0].path.parent.parent != small.clips[0].path.parent.parent


def test_a_folder_is_split_by_group_and_the_same_each_time(tree):
    catalog = open_catalog("folder", tree)
    assert catalog.classes == ("a", "b", "c")
    train, val, test = sides(catalog.split(val_share=0.2))
    assert train | val | test == {f"{c}/{n}.avi" for c in "abc" for n in range(6)}
    assert (len(train), len(val), len(test)) == (9, 3, 6)
    assert open_catalog("folder", tree).manifest == catalog.manifest
    assert any(sides(catalog.split(val_share=0.2, seed=seed))[1] != val for seed in range(1, 6))
    shutil.copy(tree / "a" / "0.avi", tree / "a" / "9.avi")
    assert open_catalog("folder", tree).manifest != catalog.manifest


def test_groups_file_keeps_groups_together(tree):
    rows = [f"{c}/{n}.avi,{n // 2}" for c in "abc" for n in range(6)]
    (tree / "groups.csv").write_text("file,group\n" + "\n".join(rows))
    split = open_catalog("folder", tree).split()
    groups = [{c.group for c in part} for part in (split.train, split.val, split.test.clips)]
    assert sorted(map(len, groups)) == [1, 1, 1]
    (tree / "groups.csv").write_text("name,group\na/0.avi,1\n")
    with pytest.raises(CatalogError, match="'file' and a 'group'"):
        open_catalog("folder", tree)


def test_train_and_test_folders_are_honoured(tree, tmp_path_factory):
    root = tmp_path_factory.mktemp("sided")
    shutil.copytree(tree, root / "train")
    shutil.copytree(tree, root / "test")
    split = open_catalog("folder", root).split()
    assert {c.id.split("/")[0] for c in split.train + split.val} == {"train"}
    assert {c.id.split("/")[0] for c in split.test.clips} == {"test"}
    shutil.rmtree(root / "train" / "b")
    with pytest.raises(CatalogError, match="no training clips of class b"):
        open_catalog("folder", root)


def test_bad_files_are_named_or_dropped_and_counted(tree):
    (tree / "a" / "text.avi").write_text("no video")
    (tree / "a" / "empty.mp4").touch()
    whole = (tree / "b" / "0.avi").read_bytes()
    (tree / "b" / "0.avi").write_bytes(whole[: len(whole) // 2])
    (tree / "b" / "notes.txt").write_text("passed over")
    with pytest.raises(
        CatalogError, match=r"3 of 20 files .*empty\.mp4: the file is empty.*redistill prepare"
    ):
        open_catalog("folder", tree)
    catalog = open_catalog("folder", tree, on_bad="drop", workers=2)
    assert {name for name, _ in catalog.dropped} == {"a/text.avi", "a/empty.mp4", "b/0.avi"}
    assert all(reason for _, reason in catalog.dropped)
    assert len(catalog.clips) == 17


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda t: shutil.rmtree(t), "no folder"),
        (lambda t: [shutil.rmtree(p) for p in t.iterdir()], "no class folders"),
        (lambda t: [p.unlink() for p in (t / "b").iterdir()], "class b has no videos"),
        (lambda t: [p.unlink() for p in (t / "b").glob("[1-5]*")], None),
    ],
)
def test_broken_folders_give_one_clear_error(tree, break_it, said):
    break_it(tree)
    if said is None:  # a class of one clip keeps it for training
        assert "b/0.avi" in sides(open_catalog("folder", tree).split())[0]
        return
    with pytest.raises(CatalogError, match=said):
        open_catalog("folder", tree)


def test_a_class_of_dropped_files_has_no_training_clips(tree):
    for path in (tree / "b").iterdir():
        path.write_text("no video")
    with pytest.raises(CatalogError, match="no training clips of class b"):
        open_catalog("folder", tree, on_bad="drop")


def test_unknown_names_get_the_nearest():
    with pytest.raises(CatalogError, match="'weizmann'"):
        open_catalog("weizman")
    with pytest.raises(CatalogError, match="'data_seed'"):
        open_catalog("synthetic", dataseed=1)
    with pytest.raises(CatalogError, match="data_root"):
        open_catalog("weizmann")
    with pytest.raises(CatalogError, match="on_bad"):
        open_catalog("folder", "/", on_bad="skip")
    with pytest.raises(CatalogError, match="quick, standard"):
        open_catalog("synthetic", size="tiny")


def test_validation_needs_a_group_to_spare(small):
    clips = [Clip(str(i), None, i % 2, "same") for i in range(6)]
    with pytest.raises(CatalogError, match="no group can be spared"):
        cut_groups(clips, share=0.2, key=("x",))
    with pytest.raises(CatalogError, match="numbered from 0"):
        small.split(1)
    with pytest.raises(CatalogError, match="val_share"):
        small.split(0, val_share=1.0)


def test_weizmann_leaves_one_person_out(shared_data):
    catalog = open_catalog("weizmann", shared_data)
    assert (len(catalog.clips), len(catalog.classes), len(catalog.folds)) == (90, 10, 9)
    assert catalog.flip
    tested = []
    for fold in range(9):
        split = catalog.split(fold, seed=fold)
        groups = [{c.group for c in part} for part in (split.train, split.val, split.test.clips)]
        assert [len(g) for g in groups] == [7, 1, 1]
        assert len({c.label for c in split.train}) == 10
        tested += [c.id for c in split.test.clips]
    assert sorted(tested) == sorted(c.id for c in catalog.clips)
    assert open_catalog("weizmann", shared_data / "weizmann").manifest == catalog.manifest


def test_ut_interaction_must_be_prepared_first(shared_data):
    with pytest.raises(CatalogError, match=r"120 of 120 .* B frames .* redistill prepare"):
        open_catalog("ut_interaction", shared_data)
    with pytest.raises(CatalogError, match="all 120 files"):
        open_catalog("ut_interaction", shared_data, on_bad="drop")


def test_ut_interaction_folds(tmp_path, clip_file):
    for label in ("hugging", "kicking"):
        (tmp_path / "ut_interaction" / label).mkdir(parents=True)
        for n in range(1, 21):
            name = f"set{1 + (n > 10)}_seq{n:02d}_{n}_0_3.avi"
            shutil.copy(clip_file, tmp_path / "ut_interaction" / label / name)
    catalog = open_catalog("ut_interaction", tmp_path)
    assert len(catalog.folds) == 20
    assert len(catalog.folds[3].test) == 2
    by_set = open_catalog("ut_interaction", tmp_path, folds="set")
    assert [len(by_set.folds[0].train), len(by_set.folds[0].test)] == [20, 20]
    assert {c.group[:4] for c in by_set.split().train} == {"set1"}
    shutil.copy(clip_file, tmp_path / "ut_interaction" / "kicking" / "other.avi")
    with pytest.raises(CatalogError, match=r"kicking/other.avi: its group cannot be told"):
        open_catalog("ut_interaction", tmp_path)


def test_folds_are_named_once_and_exist(small):
    assert small.fold_numbers() == small.fold_numbers([0]) == (0,)
    with pytest.raises(CatalogError, match="has no fold 1: it has 1, numbered from 0"):
        small.fold_numbers([1])
    with pytest.raises(CatalogError, match="name a fold twice"):
        small.fold_numbers([0, 0])


def test_groups_outlive_re_encoding(tree, tmp_path_factory):
    """A prepared set keeps its groups, though its files have another suffix."""
    rows = []
    for clip in sorted(tree.glob("?/*.avi")):
        clip.rename(clip.with_suffix(".mp4"))
        rows.append(f"{clip.parent.name}/{clip.stem}.mp4,person{int(clip.stem) // 2}")
    (tree / "groups.csv").write_text("file,group\n" + "\n".join(rows))
    ready = tmp_path_factory.mktemp("ready")
    prepare(tree, ready, size=None)
    groups = {clip.id: clip.group for clip in open_catalog("folder", ready).clips}
    assert groups == {f"{c}/{n}.avi": f"person{n // 2}" for c in "abc" for n in range(6)}
