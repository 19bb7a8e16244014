"""Data sets with faults planted: leaking groups, the same file twice, broken and B-frame clips."""

import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redistill.doctor import data, layout, leakage
from redistill.doctor.examine import Asked
from redistill.doctor.finding import FAIL, OK, WARN
from redistill.doctor.layout import read_layout
from redistill.video import encode_mpeg4
from redistill.video.catalog import open_catalog
from redistill.video.official import read_lists
from redistill.video.splits import Catalog, Clip, Fold
from redistill.video.synthetic import SyntheticSpec, ensure


def clip_at(path, seed, *, bframes=0):
    rng = np.random.default_rng(seed)
    frames = np.roll(rng.integers(0, 255, (1, 32, 32, 3), dtype=np.uint8), 1, 1).repeat(4, 0)
    encode_mpeg4(path, frames + np.arange(4, dtype=np.uint8)[:, None, None, None], bframes=bframes)


@pytest.fixture
def folder(tmp_path):
    """Two classes, two persons a side, a clip each; no fault."""
    lines, seed = ["file,group"], 0
    for side, persons in (("train", ("anna", "ben")), ("test", ("carl", "dora"))):
        for label in ("jump", "run"):
            for person in persons:
                name, seed = f"{side}/{label}/{person}_{label}.avi", seed + 1
                clip_at(tmp_path / name, seed)
                lines.append(f"{name},{person}")
    (tmp_path / "groups.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def both(folder):
    asked = Asked(dataset="folder", data_root=folder)
    return data.check_clips(asked), data.check_leakage(asked)


def test_a_set_without_fault(folder):
    clips, leaks = both(folder)
    assert (clips.state, leaks.state) == (OK, OK)
    assert "8 clips of 2 classes in 1 fold" in clips.found
    assert "of 8 opened 8 can be read with motion" in clips.found
    assert "4 groups in 1 fold" in leaks.found


def test_a_person_on_both_sides_fails(folder):
    text = (folder / "groups.csv").read_text().replace("carl_run.avi,carl", "carl_run.avi,anna")
    (folder / "groups.csv").write_text(text)
    leaks = both(folder)[1]
    assert leaks.state == FAIL
    assert "group anna is in " in leaks.found
    assert " and test of fold 0" in leaks.found


def test_the_same_file_on_both_sides_fails(folder):
    shutil.copy(folder / "train/run/ben_run.avi", folder / "test/run/dora_run.avi")
    leaks = both(folder)[1]
    assert leaks.state == FAIL
    assert "test/run/dora_run.avi (= train/run/ben_run.avi)" in leaks.found


def test_the_same_file_twice_on_one_side_is_no_leak_but_told(folder):
    shutil.copy(folder / "test/run/carl_run.avi", folder / "test/run/dora_run.avi")
    leaks = both(folder)[1]
    assert leaks.state == OK
    assert "1 pair of equal files on one side" in leaks.found


def test_files_of_one_size_and_other_content_are_no_twins(folder):
    one, other = folder / "train/run/ben_run.avi", folder / "test/run/dora_run.avi"
    raw = bytearray(one.read_bytes())
    raw[-1] ^= 1
    other.write_bytes(raw)
    assert one.stat().st_size == other.stat().st_size
    assert both(folder)[1].state == OK


def test_a_broken_clip_warns_and_only_broken_ones_fail(folder):
    path = folder / "test/run/carl_run.avi"
    path.write_bytes(path.read_bytes()[:300])
    clips = both(folder)[0]
    assert clips.state == WARN
    assert "1 broken, the first: test/run/carl_run.avi" in clips.found
    for path in folder.rglob("*.avi"):
        path.write_bytes(b"no video")
    assert both(folder)[0].state == FAIL


def test_b_frames_are_told_with_the_remedy(folder):
    clip_at(folder / "test/run/carl_run.avi", 3, bframes=2)
    clips = both(folder)[0]
    assert clips.state == WARN
    assert "B frames" in clips.found
    assert f"redistill prepare {folder} TARGET" in clips.todo


def test_without_named_groups_nothing_is_claimed_of_persons(folder):
    (folder / "groups.csv").unlink()
    leaks = both(folder)[1]
    assert leaks.state == WARN
    assert "every clip is its own group" in leaks.found


@pytest.mark.parametrize("honoured", [True, False])
def test_a_folder_is_laid_out_as_runs_open_it(folder, honoured):
    if not honoured:
        for path in [*folder.glob("*/*/*.avi")]:
            target = folder / path.parent.name / path.name
            target.parent.mkdir(exist_ok=True)
            path.rename(target)
        for side in ("train", "test"):
            shutil.rmtree(folder / side)
        (folder / "groups.csv").unlink()
    opened, seen = open_catalog("folder", folder), read_layout("folder", folder).catalog
    assert (seen.clips, seen.folds, seen.classes) == (opened.clips, opened.folds, opened.classes)


def test_no_folder_and_an_unknown_set_fail_once(tmp_path):
    clips, leaks = both(tmp_path / "none")
    assert (clips.state, leaks.state) == (FAIL, WARN)
    clips = data.check_clips(Asked(dataset="wiezmann"))
    assert "Did you mean 'weizmann'?" in clips.found


def test_no_group_for_validation_fails(folder):
    for path in folder.glob("train/*/ben*"):
        path.unlink()
    leaks = both(folder)[1]
    assert leaks.state == FAIL
    assert "no group can be spared" in leaks.found


def test_a_synthetic_set_that_is_there_has_the_manifest_of_runs(cache, monkeypatch):
    def small(spec, clip):  # rendering the real pictures takes a second
        seed = [spec.data_seed, *map(ord, clip.clip)]
        return np.random.default_rng(seed).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)

    monkeypatch.setattr("redistill.video.synthetic.write.render", small)
    spec = SyntheticSpec(per_class=(2, 1, 1), world="motion_led")
    ensure(spec, root=cache / "synthetic")
    monkeypatch.setattr(layout, "SyntheticSpec", lambda: spec)
    opened = open_catalog("synthetic", per_class=(2, 1, 1), world="motion_led")
    real = layout.open_catalog
    monkeypatch.setattr(
        layout,
        "open_catalog",
        lambda name, root: real(name, root, per_class=(2, 1, 1), world="motion_led"),
    )
    asked = Asked(brief=True)
    assert f"manifest {opened.manifest[:8]}; of 6 opened 6" in data.check_clips(asked).found
    assert data.check_leakage(asked).state == OK


clips = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(("train", "val", "test", ""))))


@given(clips)
def test_shared_groups_are_those_that_a_slow_search_finds(drawn):
    made = [Clip(str(n), Path(), 0, group) for n, (group, _) in enumerate(drawn)]
    sides = {s: frozenset(str(n) for n, (_, at) in enumerate(drawn) if at == s)
             for s in ("train", "val", "test")}  # fmt: skip
    found = leakage.shared_groups({"f": sides}, made, group=lambda clip: clip.group)
    told = {(one.what, *one.sides) for one in found}
    slow = set()
    for (g, at), (h, other) in combinations(drawn, 2):
        if g == h and at != other and at and other:
            slow.add((f"group {g}", *sorted((at, other), key=("train", "val", "test").index)))
    assert told == slow
    assert len(found) == len(told)


def test_every_fold_of_a_hand_made_catalogue_is_looked_at():
    made = tuple(Clip(f"{p}{n}", Path(p), n, p) for p in "abcd" for n in (0, 1))
    ids = {p: tuple(c.id for c in made if c.group == p) for p in "abcd"}
    good = Fold("good", ids["a"] + ids["b"] + ids["c"], ids["d"])
    bad = Fold("bad", ids["a"] + ids["b"] + ids["c"][:1], ids["d"] + ids["c"][1:])
    catalog = Catalog("hand", ("x", "y"), made, (good, bad), "")
    folds = leakage.sides_of(catalog)
    (found,) = leakage.shared_groups(folds, made, group=lambda clip: clip.group)
    assert (found.fold, found.what, found.sides[1]) == ("bad", "group c", "test")
    pairs = (("a0", "d1"), ("a0", "a1"))
    # Person a trains in both folds, or validates; d1 is tested on in both.
    contents = leakage.shared_contents(folds, pairs)
    assert [one.fold for one in contents] == ["good", "bad"]


def test_the_known_videos_of_hmdb51_are_found_in_its_lists(shared_data):
    """133, 149 and 144 videos are on both sides of splits 1, 2 and 3, in other classes."""
    listed = read_lists("hmdb51", shared_data / "splits" / "hmdb51")
    made = [Clip(name, Path(), 0, group) for name, group in listed.groups.items()]
    folds = {
        f.name: {"train": frozenset(f.train), "val": frozenset(), "test": frozenset(f.test)}
        for f in listed.folds
    }
    assert not leakage.shared_groups(folds, made, group=lambda clip: clip.group)
    found = data._videos_of_hmdb51("hmdb51", folds, made)
    assert [sum(one.fold == f.name for one in found) for f in listed.folds] == [133, 149, 144]
    assert data._videos_of_hmdb51("ucf101", folds, made) == []


def test_hashing_stops_when_its_time_is_over(tmp_path):
    made = []
    for n in range(3):
        path = tmp_path / str(n)
        path.write_bytes(b"same")
        made.append(Clip(str(n), path, 0, ""))
    assert leakage.twins(made, seconds=60).pairs == (("0", "1"), ("0", "2"), ("1", "2"))
    stopped = leakage.twins(made, seconds=-1)
    assert (stopped.pairs, stopped.hashed, stopped.unread) == ((), 0, 3)


def test_real_clips_of_weizmann(shared_data):
    asked = Asked(dataset="weizmann", data_root=shared_data)
    assert data.check_clips(asked).state == OK
    assert "9 groups in 9 folds" in data.check_leakage(asked).found
