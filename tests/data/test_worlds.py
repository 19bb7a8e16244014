from collections import Counter, defaultdict
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import chi2, chi2_contingency

from redistill.errors import CatalogError
from redistill.video.synthetic import PER_CLASS, SyntheticSpec, ceilings, draw, plan


def spread_clips(world: str, count: int):
    """Clips of a world, each from a group of its own (groups share colours and camera)."""
    spec = SyntheticSpec(world=world)
    return [draw(spec, "train", c, 10 * n) for c in range(len(spec.classes)) for n in range(count)]


FACTORS = {
    "label": lambda c: c.label,
    "shape": lambda c: c.target.shape,
    "texture": lambda c: c.target.texture,
    "motion": lambda c: c.target.motion,
    "scene": lambda c: c.scene,
    "pan": lambda c: (c.pan_x, c.pan_y),
    "x": lambda c: c.target.x // 28,
    "y": lambda c: c.target.y // 28,
    "stripes": lambda c: c.target.stripe_orientation,
    "red": lambda c: c.target.red // 24,
    "tint": lambda c: c.tint[1] // 24,
    "other motion": lambda c: c.distractors[0].motion,
    "other shape": lambda c: c.distractors[0].shape,
}
TIED = {
    "scene_led": {"label", "shape", "texture", "motion", "scene"},
    "crossed": {"label", "shape", "texture", "motion"},
    "motion_led": {"label", "motion"},
}


@pytest.mark.parametrize("world", list(TIED))
def test_factors_are_independent_unless_the_world_ties_them(world):
    clips = spread_clips(world, 1200 // (24 if world == "crossed" else 8))
    values = {}
    for name, get in FACTORS.items():
        _, values[name] = np.unique([str(get(c)) for c in clips], return_inverse=True)
    tests = {}
    for a, b in combinations(FACTORS, 2):
        if {a, b} <= TIED[world]:
            continue
        table = np.zeros((values[a].max() + 1, values[b].max() + 1))
        np.add.at(table, (values[a], values[b]), 1)
        tests[a, b] = chi2_contingency(table, correction=False)
    worst = min(tests, key=lambda pair: tests[pair].pvalue)
    assert tests[worst].pvalue > 0.01 / len(tests), worst
    total = sum(t.statistic for t in tests.values()), sum(t.dof for t in tests.values())
    assert chi2.sf(*total) > 0.001


@pytest.mark.parametrize(
    ("world", "iframe", "motion"),
    [("scene_led", 0.85, 8 / 12), ("crossed", 1 / 4, 1 / 6), ("motion_led", 1 / 8, 1)],
)
def test_ceilings_of_the_specification(world, iframe, motion):
    found = ceilings(SyntheticSpec(world=world), clips_per_class=800)
    assert found["iframe"] == pytest.approx(iframe, abs=0.02)
    assert found["motion"] == pytest.approx(motion, abs=0.02)


@pytest.mark.parametrize(("rho", "ceiling"), [(0, 0.5), (35, 0.675), (100, 1.0)])
def test_rho_doses_the_scene_and_nothing_else(rho, ceiling):
    spec = SyntheticSpec(rho=rho)
    assert ceilings(spec, clips_per_class=400)["iframe"] == pytest.approx(ceiling, abs=0.03)
    for number in range(20):
        here, usual = (draw(s, "val", 7, number) for s in (spec, SyntheticSpec()))
        assert replace(here, scene=usual.scene) == usual


def test_groups_share_scene_colours_and_camera_and_never_cross_a_split():
    clips = list(plan(SyntheticSpec(world="crossed")))
    groups = defaultdict(list)
    for clip in clips:
        groups[clip.group].append(clip)
    for members in groups.values():
        assert len(members) in (10, 8, 4)
        assert (
            len({(c.split, c.label, c.scene_phase, c.tint, c.pan_x, c.pan_y) for c in members}) == 1
        )
        assert len({(c.target.red, c.target.green, c.target.blue) for c in members}) == 1
        assert len({(c.target.x, c.target.y) for c in members}) > 1
    sizes = Counter((c.split, c.label) for c in clips)
    assert sizes["train", 0] == 24
    assert sizes["val", 23] == 8
    assert sizes["test", 5] == 20
    assert len({c.clip for c in clips}) == len(clips)


def test_a_larger_set_contains_the_smaller_and_seeds_differ():
    quick, large = (set(plan(SyntheticSpec(per_class=n))) for n in ((2, 1, 1), (4, 2, 3)))
    assert quick < large
    other = set(plan(SyntheticSpec(per_class=(2, 1, 1), data_seed=1)))
    assert not quick & other
    assert PER_CLASS == {"quick": (24, 8, 20), "standard": (200, 50, 200)}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"world": "scene_let"}, "'scene_led'"),
        ({"codec": "h265"}, "h264"),
        ({"rho": 101}, "rho"),
        ({"per_class": (3, 0, 1)}, "per_class"),
        ({"extra_motions": ("static",)}, "motion_led"),
        ({"world": "motion_led", "extra_motions": ("statik",)}, "'static'"),
    ],
)
def test_impossible_sets_are_refused(wrong, named):
    with pytest.raises(CatalogError, match=named):
        SyntheticSpec(**wrong)
