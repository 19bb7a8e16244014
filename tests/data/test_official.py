"""UCF-101 and HMDB-51 by their official lists: parsing, matching files, preparing a whole set."""

import shutil
from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from redistill.errors import CatalogError
from redistill.video import encode_mpeg4, load_clip, prepare
from redistill.video.catalog import open_catalog
from redistill.video.official import read_lists

LISTS = {"ucf101": "ucfTrainTestlist", "hmdb51": "testTrainMulti_7030_splits"}
# Source videos of HMDB-51 with characters that shells, globs and web addresses treat specially.
ODD = ("Scene_[HD]_avi", "Müller_&_Söhne_(x)_;-)", "50%_#1_~*.*_@home", "plain+!")


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "clip.avi"
    encode_mpeg4(path, np.random.default_rng(0).integers(0, 256, (13, 32, 32, 3)).astype(np.uint8))
    return path


def write_ucf(root):
    """Write lists where split k tests group k of Zoo and of Ant; return clip -> (label, group)."""
    lists = root / LISTS["ucf101"]
    lists.mkdir(parents=True)
    (lists / "classInd.txt").write_bytes(b"1 Zoo\r\n2 Ant\r\n")
    known = {
        f"{label}/v_{label.upper()}_g{group:02}_c{clip:02}.avi": (number, group)
        for number, label in enumerate(("Zoo", "Ant"))
        for group in (1, 2, 3, 4)
        for clip in (1, 2)
    }
    for split in (1, 2, 3):
        train = [f"{name} {n + 1}\r\n" for name, (n, group) in known.items() if group != split]
        test = [f"{name}\r\n" for name, (_, group) in known.items() if group == split]
        (lists / f"trainlist0{split}.txt").write_bytes("".join(train).encode())
        (lists / f"testlist0{split}.txt").write_bytes("".join(test).encode())
    return known


def write_hmdb(root):
    """The same for HMDB-51, with one clip a class that no split uses; ``climb`` < ``climb_up``."""
    lists = root / LISTS["hmdb51"]
    lists.mkdir(parents=True)
    known = {}
    for number, label in enumerate(("climb", "climb_up", "wave")):
        names = {
            f"{source}_{label}_f_nm_np{clip}_fr_goo_{clip}.avi": group
            for group, source in enumerate(ODD, 1)
            for clip in (0, 12)
        }
        known |= {f"{label}/{name}": (number, group) for name, group in names.items()}
        for split in (1, 2, 3):
            flags = [f"{name} {1 + (group == split)} \n" for name, group in names.items()]
            unused = f"none_{label}_u_cm_np1_ba_bad_0.avi 0 \n"
            path = lists / f"{label}_test_split{split}.txt"
            path.write_text("".join([unused, *flags]), encoding="utf-8")
    return known


WRITERS = {"ucf101": write_ucf, "hmdb51": write_hmdb}


def fill(folder, names, stream, suffix=".avi"):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(stream, (folder / name).parent / (name.split("/")[1][:-4] + suffix))


@pytest.fixture(params=WRITERS)
def made(request, tmp_path, stream):
    """A whole small set: its name, folder, and what the lists say of every clip."""
    known = WRITERS[request.param](tmp_path)
    fill(tmp_path, known, stream)
    return request.param, tmp_path, known


def test_folds_labels_and_groups_are_those_of_the_lists(made):
    name, root, known = made
    catalog = open_catalog(name, root)
    order = {"ucf101": ("Zoo", "Ant"), "hmdb51": ("climb", "climb_up", "wave")}
    assert catalog.classes == order[name]
    assert catalog.flip
    assert not catalog.dropped
    assert {clip.id: clip.label for clip in catalog.clips} == {i: n for i, (n, _) in known.items()}
    assert all(catalog.classes[clip.label] == clip.id.split("/")[0] for clip in catalog.clips)
    assert [clip.id for clip in catalog.clips] == sorted(known)
    groups = {clip.group: known[clip.id] for clip in catalog.clips}
    assert len(groups) == len(set(groups.values())) == 4 * len(catalog.classes)
    assert [fold.name for fold in catalog.folds] == ["split1", "split2", "split3"]
    for split, fold in enumerate(catalog.folds, 1):
        assert set(fold.test) == {i for i, (_, group) in known.items() if group == split}
        assert set(fold.train) == known.keys() - set(fold.test)
        assert fold.val is None
    parts = catalog.split(1, val_share=0.3)
    kept, cut = ({clip.group for clip in part} for part in (parts.train, parts.val))
    assert min(len(kept), len(cut)) > 0
    assert not kept & cut


def test_every_layout_gives_the_same_folds(made, tmp_path_factory):
    name, root, known = made
    sizes = [(len(fold.train), len(fold.test)) for fold in open_catalog(name, root).folds]
    lists = tmp_path_factory.mktemp("lists")
    for path in (root / LISTS[name]).iterdir():
        shutil.copy(path, lists)
        path.rename(root / path.name)
    assert open_catalog(name, root).manifest == open_catalog(name, root, lists=lists).manifest
    inner = root / name / {"ucf101": "UCF-101", "hmdb51": "hmdb51_org"}[name]
    inner.mkdir(parents=True)
    for label in {i.split("/")[0] for i in known}:
        (root / label).rename(inner / label)
    catalog = open_catalog(name, root, lists=lists)
    assert {clip.id for clip in catalog.clips} == {f"{inner.name}/{i}" for i in known}
    assert [(len(fold.train), len(fold.test)) for fold in catalog.folds] == sizes
    with pytest.raises(CatalogError, match=f"no official lists of {name} .*option lists"):
        open_catalog(name, root / name)


def test_a_clip_is_found_by_its_stem_whatever_its_suffix(made, stream):
    name, root, known = made
    first, *others = known
    fill(root, others, stream, ".mp4")
    for clip in others:
        (root / clip).unlink()
    (root / first).with_suffix(".mkv").write_text("an .avi beside it is taken")
    (root / first).with_name("on_no_list.avi").write_text("passed over")
    catalog = open_catalog(name, root)
    assert {c.id for c in catalog.clips} == {first, *(i[:-4] + ".mp4" for i in others)}
    assert {i for fold in catalog.folds for i in fold.train} == {c.id for c in catalog.clips}


def test_missing_clips_stop_the_run_or_are_left_out_and_listed(made):
    name, root, known = made
    label = next(iter(known)).split("/")[0]
    gone = {i for i, (_, group) in known.items() if i.startswith(f"{label}/")}
    shutil.rmtree(root / label)
    last = sorted(known)[-1] if name == "hmdb51" else "Ant/v_ANT_g01_c02.avi"
    (root / last).write_text("no video")
    with pytest.raises(CatalogError, match=rf"8 of {len(known)} clips .*{label}/.*on_bad = 'drop'"):
        open_catalog(name, root)
    catalog = open_catalog(name, root, on_bad="drop")
    assert {i for i, _ in catalog.dropped} == gone | {last}
    assert {clip.id for clip in catalog.clips} == known.keys() - gone - {last}
    assert catalog.classes == {"ucf101": ("Ant",), "hmdb51": ("climb_up", "wave")}[name]
    assert all(catalog.classes[clip.label] == clip.id.split("/")[0] for clip in catalog.clips)
    assert {i for f in catalog.folds for i in f.train + f.test} == {c.id for c in catalog.clips}
    for path in root.glob("*/*.avi"):
        path.unlink()
    with pytest.raises(CatalogError, match=rf"{len(known)} of {len(known)} clips"):
        open_catalog(name, root, on_bad="drop")


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "said"),
    [
        ("ucf101", "trainlist02.txt", None, None, "trainlist02.txt cannot be read"),
        ("ucf101", "trainlist01.txt", "avi 2", "avi 1", "not as classInd.txt numbers"),
        ("ucf101", "testlist03.txt", "Ant/", "Bee/", "not as classInd.txt numbers"),
        ("ucf101", "testlist03.txt", "v_ANT_g03_c01", "ant", r"line 3: 'Ant/ant.avi'; expected"),
        ("ucf101", "testlist01.txt", "ANT_g01_c02", "ANT_g02_c02", "group Ant/g02 is on two sides"),
        ("hmdb51", "climb_test_split3.txt", None, None, "climb_test_split3.txt cannot be read"),
        ("hmdb51", "wave_test_split1.txt", "goo_12.avi 2", "goo_12.avi 3", "line 3: .*0, 1 or 2"),
        ("hmdb51", "wave_test_split1.txt", "goo_12.avi 2", "goo_12.avi 1", "on two sides"),
        ("hmdb51", "wave_test_split1.txt", "_nm_np12_", "_", "line 3: 'Scene"),
    ],
)
def test_lists_that_are_not_as_shipped_are_refused(tmp_path, stream, name, file, old, new, said):
    fill(tmp_path, WRITERS[name](tmp_path), stream)
    path = tmp_path / LISTS[name] / file
    text = path.read_text(encoding="utf-8")
    path.unlink()
    if old:
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(CatalogError, match=said):
        open_catalog(name, tmp_path)


def test_a_prepared_set_is_usable_as_it_stands(made):
    name, root, _ = made
    target = root.parent / f"{root.name}-ready"
    (root / "notes.txt").write_text("stays behind")
    assert not prepare(root, target, workers=0).refused
    assert {p.name for p in target.rglob("*.txt")} == {
        p.name for p in (root / LISTS[name]).iterdir()
    }
    before, after = open_catalog(name, root), open_catalog(name, target)
    assert after.folds == before.folds
    assert [(c.id, c.label, c.group) for c in after.clips] == [
        (c.id, c.label, c.group) for c in before.clips
    ]
    times = {path: path.stat().st_mtime_ns for path in target.rglob("*.avi")}
    prepare(root, target, workers=0)
    assert times == {path: path.stat().st_mtime_ns for path in target.rglob("*.avi")}


def official(shared_data, name):
    return read_lists(name, shared_data / "splits" / name)


def test_the_real_lists_have_the_counts_of_the_spec(shared_data):
    """spec/progressive.md 1.1; clips in all: 13320 of UCF-101 (every one), 6371 of HMDB-51."""
    sizes = {
        "ucf101": ([(9537, 3783), (9586, 3734), (9624, 3696)], 11213, 101, 13320),
        "hmdb51": ([(3570, 1530)] * 3, 4590, 51, 6371),
    }
    for name, (wanted, tests, classes, clips) in sizes.items():
        listed = official(shared_data, name)
        assert [(len(set(f.train)), len(set(f.test))) for f in listed.folds] == wanted
        assert [(len(f.train), len(f.test)) for f in listed.folds] == wanted
        assert sum(len(f.test) for f in listed.folds) == tests
        assert (len(listed.classes), len(listed.groups)) == (classes, clips)
        for fold in listed.folds:
            assert {i.split("/")[0] for i in fold.train} == set(listed.classes)
            sides = [{listed.groups[i] for i in side} for side in (fold.train, fold.test)]
            assert not sides[0] & sides[1]
            assert not set(fold.train) & set(fold.test)
    ucf, hmdb = (official(shared_data, name) for name in sizes)
    assert Counter(g.split("/")[0] for g in set(ucf.groups.values())) == dict.fromkeys(
        ucf.classes, 25
    )
    assert (ucf.classes[0], ucf.classes[100]) == ("ApplyEyeMakeup", "YoYo")
    # The one data set does not follow the alphabet here, the other does everywhere.
    assert ucf.classes.index("HammerThrow") == ucf.classes.index("Hammering") + 1
    assert all(a < b for a, b in pairwise(hmdb.classes))
    for fold in hmdb.folds:  # 70 and 30 clips of every class
        for side, share in ((fold.train, 70), (fold.test, 30)):
            assert set(Counter(i.split("/")[0] for i in side).values()) == {share}


def test_hmdb_shares_source_videos_between_sides_only_across_classes(shared_data):
    """What the docstring of ``official`` says of the official splits themselves."""
    listed = official(shared_data, "hmdb51")
    video = {}
    for clip, group in listed.groups.items():
        label, source = group.split("/")
        assert source.endswith(f"_{label}")
        video[clip] = source.removesuffix(f"_{label}")
    found = []
    for fold in listed.folds:
        both = {video[i] for i in fold.train} & {video[i] for i in fold.test}
        found.append((len(both), sum(video[i] in both for i in fold.test)))
    assert found == [(133, 457), (149, 527), (144, 529)]


def test_the_released_loader_loses_clips_of_every_list_and_ours_none(shared_data, tmp_path):
    """spec/progressive.md 8.2 item 6: as released, pandas takes a clip for the heading."""
    lost = {"ucf101": 2, "hmdb51": 1}
    totals = {"ucf101": 11207, "hmdb51": 4587}  # what the authors' totals of cost come to
    for name in lost:
        listed, tests = official(shared_data, name), 0
        for fold in listed.folds:
            for side in (fold.train, fold.test):
                path = tmp_path / "list.txt"  # path, class, label, as CoViAR lists them
                path.write_text("".join(f"{i} {i.split('/')[0]} 0\n" for i in side))
                rows = pd.read_csv(path, header=None if name == "hmdb51" else 0).iloc[1:]
                read = [row.split(" ")[0] for row in rows.iloc[:, 0]]
                assert read == list(side[lost[name] :])
                tests += len(read) if side is fold.test else 0
        assert tests == totals[name]


@pytest.mark.parametrize(
    ("name", "copies"),
    [
        (
            "ucf101",
            {
                "v_Basketball_g01_c01.avi": [
                    "Basketball/v_Basketball_g01_c01.avi",
                    "Basketball/v_Basketball_g08_c01.avi",
                ],
                "v_SoccerJuggling_g23_c01.avi": [
                    "SoccerJuggling/v_SoccerJuggling_g15_c01.avi",
                    "SoccerJuggling/v_SoccerJuggling_g23_c01.avi",
                ],
            },
        ),
        (
            "hmdb51",
            {
                "hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi": [
                    "cartwheel/(Rad)Schlag_die_Bank!_cartwheel_f_cm_np1_le_med_0.avi",
                    "cartwheel/turnles!!_cartwheel_f_cm_np1_ri_med_0.avi",
                    "cartwheel/How_to_Do_an_Aerial_-_Aerial_vs__Cartwheel"
                    "_cartwheel_f_cm_np1_le_med_0.avi",
                ],
                "RATRACE_wave_f_nm_np1_fr_goo_37.avi": [
                    "wave/RATRACE_wave_f_nm_np1_fr_goo_37.avi",
                    "wave/We_Wave_-_Premiere_wave_f_cm_np2_fr_med_0.avi",
                ],
            },
        ),
    ],
)
def test_real_clips_from_catalogue_over_prepare_to_pixels(shared_data, tmp_path, name, copies):
    """Originals under official names, with the official lists; every class in every fold."""
    root, target = tmp_path / "set", tmp_path / "ready"
    shutil.copytree(shared_data / "splits" / name, root / LISTS[name])
    for clip, names in copies.items():
        for goal in names:
            (root / goal).parent.mkdir(parents=True, exist_ok=True)
            (root / goal).symlink_to(shared_data / "clips" / clip)
    if name == "hmdb51":  # the originals have B frames
        with pytest.raises(CatalogError, match=r"B frames.*redistill prepare"):
            open_catalog(name, root, on_bad="drop")
    manifest = prepare(root, target, workers=0)
    assert not manifest.refused
    catalog = open_catalog(name, target, on_bad="drop")
    listed = official(shared_data, name)
    names = [goal for goals in copies.values() for goal in goals]
    assert {clip.id for clip in catalog.clips} == set(names)
    assert catalog.classes == tuple(sorted({goal.split("/")[0] for goal in names}))
    assert len(catalog.dropped) == len(listed.groups) - len(catalog.clips)
    for fold, whole in zip(catalog.folds, listed.folds, strict=True):
        for side, all_of_it in ((fold.train, whole.train), (fold.test, whole.test)):
            assert set(side) == {c.id for c in catalog.clips} & set(all_of_it)
    data = load_clip(catalog.clips[-1].path, segments=2)
    assert data["iframe"].shape == (2, 256, 340, 3)
    assert data["mv"].shape == (2, 256, 340, 2)
    assert all(data[modality].any() for modality in data)
