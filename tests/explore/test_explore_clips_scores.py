"""What the clip inspector says of clips: against loops over weights, and against the ensemble."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from clip_folds import CLASSES, NAMES, clips_of, fold_of, slow_exit, slow_scores, slow_share
from hypothesis import given, settings
from hypothesis import strategies as st

from redistill.errors import RedistillError
from redistill.explore.clip_scores import ClipScores, clip_scores, exit_lines, kinds, short, telling
from redistill.explore.clip_sums import round_up, span, stack
from redistill.explore.clip_view import ROWS, likeliest
from redistill.methods.wise import fit_prefixes
from redistill.video.splits import Clip

FOLDS = [fold_of(0, 14, seed=3), fold_of(4, 9, seed=5)]
PATHS = ["a.avi", "b.avi", "c.avi"]
CLIPS = [clips_of(fold, PATHS) for fold in FOLDS]
FOUND = clip_scores(FOLDS, CLIPS, arm="pkd", classes=CLASSES)


def fitted(fold):
    logits = torch.cat(list(fold.logits["val"]["pkd"].values()))
    return fit_prefixes(logits, fold.labels["val"]).tolist()


def test_every_number_is_that_of_two_loops_over_the_weights():
    place = 0
    for fold in FOLDS:
        weights = fitted(fold)
        wise = fold.ensembles("pkd", names=["wise"])["wise"]
        threshold = fold.threshold(wise)
        for n, label in enumerate(fold.labels["test"].tolist()):
            found, scores = FOUND[place], slow_scores(fold, weights, n)
            place += 1
            assert (found.number, found.clip.id, found.label) == (
                place,
                f"f{fold.fold}/clip{n}",
                label,
            )
            assert found.names == tuple(NAMES)
            assert found.scores.tolist() == [pytest.approx(row, abs=1e-5) for row in scores]
            assert found.scores.float().equal(wise.scores["test"][:, n])
            assert found.says == [row.index(max(row)) for row in scores]
            assert found.shares.tolist() == [
                pytest.approx(slow_share(row), abs=1e-5) for row in scores
            ]
            assert found.left == slow_exit(scores, threshold)
            assert found.threshold == threshold
    assert place == len(FOUND) == 23


def test_parts_add_up_to_the_scores_of_the_ensemble():
    for found in FOUND:
        for after in range(1, 13):
            for label in range(3):
                parts = found.parts(after, label)
                assert len(parts) == after
                u = found.scores[after - 1, label].item()
                assert sum(parts) == pytest.approx(u, abs=1e-6 * max(1, abs(u)))


def test_kinds_are_what_their_names_say():
    groups = kinds(FOUND)
    assert groups["all clips"] == tuple(range(23))
    slow = {name: [] for name in list(groups)}
    for n, clip in enumerate(FOUND):
        said = clip.says[clip.left]
        alone = int(clip.logits[clip.left].argmax())
        wrong = said != clip.label
        for name, holds in {
            "all clips": True,
            "wrong where they leave": wrong,
            "wrong and early": wrong and clip.left < 11,
            "wrong and early, right at the end": wrong
            and clip.left < 11
            and clip.says[11] == clip.label,
            "right by weighting alone": not wrong and alone != clip.label,
        }.items():
            if holds:
                slow.setdefault(name, []).append(n)
    assert groups == {name: tuple(places) for name, places in slow.items()}
    assert len(groups) >= 4  # or this test sees too little
    assert FOUND[telling(FOUND)].regretted


def scores_of(says, left, label, alone=None):
    """A clip whose exits say these classes."""
    u = torch.nn.functional.one_hot(torch.tensor(says), 3).double()
    z = torch.nn.functional.one_hot(torch.tensor(alone or says), 3).double()
    eye = torch.eye(12).double()
    clip = Clip("a", "a.avi", -1, "g")
    args = 1, clip, label, z, eye, u, 0.5, left, says, alone or says, tuple(NAMES)
    return ClipScores(*args)


def test_the_clip_to_begin_with():
    plain = scores_of([1] * 12, 3, 1)
    late = scores_of([0] * 3 + [1] * 9, 5, 1)
    regretted = scores_of([0] * 3 + [1] * 9, 1, 1)
    saved = scores_of([1] * 12, 3, 1, alone=[0] * 12)
    hasty = scores_of([0] * 12, 3, 1)
    assert telling([plain, saved, late, regretted]) == 3
    assert telling([hasty, plain, saved, late]) == 3
    assert telling([plain, saved]) == 1
    assert telling([hasty]) == 0
    assert set(kinds([plain])) == {"all clips"}  # no wrong exits, no such list
    last = scores_of([0] * 12, 11, 1)
    assert set(kinds([last])) == {"all clips", "wrong where they leave"}  # it did not leave early


def test_the_rival_is_the_true_class_or_the_second_best():
    clip = FOUND[0]
    for after in range(1, 13):
        row = clip.scores[after - 1].tolist()
        ranked = sorted(range(3), key=lambda c: -row[c])
        expected = ranked[1] if ranked[0] == clip.label else clip.label
        assert clip.rival(after) == expected


class Bar:
    """What of a rectangle is used."""

    def set_visible(self, seen):
        self.seen = seen

    def set_x(self, x):
        self.x = x

    def set_width(self, width):
        self.width = width


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_stacked_parts_do_not_overlap_and_reach_their_sums(parts):
    bars = [Bar() for _ in range(12)]
    stack(bars, parts)
    assert [bar.seen for bar in bars] == [n < len(parts) for n in range(12)]
    right = sorted((b.x, b.x + b.width) for b in bars if b.seen and b.width > 0)
    left = sorted((b.x + b.width, b.x) for b in bars if b.seen and b.width < 0)
    for side, sign in ((right, 1), (left, -1)):
        total = sum(part for part in parts if sign * part > 0)
        for (_, end), (start, _) in pairwise(side):
            assert start == pytest.approx(end, abs=1e-9)
        if side:
            assert (side[0][0], side[-1][1]) == pytest.approx(sorted((0.0, total)), abs=1e-9)


@given(st.floats(1e-6, 1e6))
def test_an_axis_holds_its_value_and_not_twice_as_much(value):
    assert value <= round_up(value) <= 1.7 * value


def test_the_axis_of_a_clip_holds_all_of_its_stacks():
    for clip in FOUND:
        low, high = span(clip)
        for after in range(1, 13):
            for label in (clip.says[after - 1], clip.rival(after)):
                parts = clip.parts(after, label)
                assert low <= sum(p for p in parts if p < 0)
                assert sum(p for p in parts if p > 0) <= high
    assert span(replace(FOUND[0], weights=0 * FOUND[0].weights)) == (-1.0, 1.0)


def test_of_many_classes_the_true_one_and_all_that_are_said_are_shown():
    gen = torch.Generator().manual_seed(0)
    u = torch.randn(12, 40, generator=gen, dtype=torch.float64)
    clip = replace(FOUND[0], label=39, scores=u, says=u.argmax(-1).tolist())
    shown = likeliest(clip)
    assert len(shown) == ROWS
    assert shown == sorted(shown)
    assert 39 in shown
    assert len({39, *clip.says} - set(shown)) == max(0, len({39, *clip.says}) - ROWS)
    assert likeliest(FOUND[0]) == [0, 1, 2]


def test_long_names_keep_their_beginning_and_their_end():
    assert short("walking") == "walking"
    assert short("square_coarse_Hf_scene05") == "square_coa…Hf_scene05"
    assert len(short("x" * 90)) == 21


def test_the_table_of_the_twin_has_a_line_an_exit():
    clip = FOUND[0]
    table = exit_lines(clip, CLASSES)
    assert table["after"].tolist() == list(range(1, 13))
    assert table["exit"].tolist() == NAMES
    assert table["says"].tolist() == [CLASSES[label] for label in clip.says]
    total = clip.scores[11, clip.label].item()
    assert table["part"].sum() == pytest.approx(total, abs=12 * 1e-4)


@pytest.mark.parametrize(
    ("folds", "clips", "arm", "classes", "message"),
    [
        ([], [], "pkd", CLASSES, "0 folds and test clips of 0.*give at least one"),
        (FOLDS, CLIPS[:1], "pkd", CLASSES, "2 folds and test clips of 1"),
        (FOLDS, CLIPS, "pkdd", CLASSES, "fold 0 has no arm 'pkdd'; it has pkd"),
        (FOLDS, [CLIPS[0], CLIPS[1][1:]], "pkd", CLASSES, "fold 4 .* 9 test clips and 8 .*failed"),
        (FOLDS, CLIPS, "pkd", CLASSES[:2], "scores of 3 classes and 2 class names.*catalogue"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(folds, clips, arm, classes, message):
    with pytest.raises(RedistillError, match=message):
        clip_scores(folds, clips, arm=arm, classes=classes)


def test_clips_whose_labels_are_known_must_stand_in_the_order_of_the_tensors():
    labels = FOLDS[0].labels["test"].tolist()
    known = [replace(clip, label=label) for clip, label in zip(CLIPS[0], labels, strict=True)]
    assert len(clip_scores(FOLDS[:1], [known], arm="pkd", classes=CLASSES)) == 14
    with pytest.raises(RedistillError, match=r"clip f0/clip13 has label.*the order"):
        clip_scores(FOLDS[:1], [known[::-1]], arm="pkd", classes=CLASSES)
