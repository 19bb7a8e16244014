"""TSN segments on real GOP lengths, against the rule on whole GOPs of 12."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redistill.errors import ConfigError, VideoError
from redistill.video import segment_positions, shared_positions

LENGTHS = st.lists(st.integers(1, 20), min_size=1, max_size=12)


def released_centre(frames: int, segments: int, predicted: bool) -> list[tuple[int, int]]:
    """The authors' test-time rule with its division by 12, written anew from the spec."""
    count = frames - 1 if predicted else frames
    places = []
    for k in range(segments):
        index = int(np.round((count - 1) / segments * (k + 0.5))) + predicted
        gop, pos = divmod(index, 12)
        if predicted and pos == 0:
            gop, pos = gop - 1, 11
        places.append((gop, pos if predicted else 0))
    return places


@given(frames=st.integers(2, 300), segments=st.integers(1, 25))
def test_equals_the_released_rule_on_gops_of_twelve(frames: int, segments: int) -> None:
    lengths = [12] * (frames // 12) + [frames % 12] * bool(frames % 12)
    for modality in ("iframe", "mv", "residual"):
        ours = segment_positions(lengths, modality, segments=segments)
        assert ours == released_centre(frames, segments, modality != "iframe")


@given(lengths=LENGTHS, segments=st.integers(1, 25), seed=st.none() | st.integers(0, 9))
def test_every_position_exists(lengths: list[int], segments: int, seed: int | None) -> None:
    rng = None if seed is None else np.random.default_rng(seed)
    for modality in ("iframe", "mv", "residual"):
        if modality != "iframe" and max(lengths) < 2:
            with pytest.raises(VideoError, match="no P frame"):
                segment_positions(lengths, modality, segments=segments, rng=rng)
            continue
        places = segment_positions(lengths, modality, segments=segments, rng=rng)
        assert len(places) == segments
        assert places == sorted(places)
        for gop, pos in places:
            assert (pos == 0) == (modality == "iframe")
            assert pos < lengths[gop]


@example(lengths=[1, 9], segments=2)
@given(lengths=LENGTHS.filter(lambda all_: max(all_) > 1), segments=st.integers(1, 9))
def test_shared_positions(lengths: list[int], segments: int) -> None:
    centre = shared_positions(lengths, segments=segments)
    drawn = shared_positions(lengths, segments=segments, rng=np.random.default_rng(0))
    for found in (centre, drawn):
        assert found["mv"] == found["residual"]
        for (gop, zero), (same, pos) in zip(found["iframe"], found["mv"], strict=True):
            assert (zero, same) == (0, gop)
            assert 1 <= pos < lengths[gop]
    assert all(pos == min(5, lengths[gop] - 1) for gop, pos in centre["mv"])


def test_drawn_frames_cover_their_segments() -> None:
    """Each segment's draws stay in it and reach all of it; the tail GOP of 2 is no trap."""
    lengths = (12, 12, 2)
    rng = np.random.default_rng(0)
    drawn = [segment_positions(lengths, "mv", segments=3, rng=rng) for _ in range(2000)]
    seen = [{12 * gop + pos for gop, pos in column} for column in zip(*drawn, strict=True)]
    # Frame 12 is an I-frame, so 11 stands for it; frame 24 likewise gives 23.
    assert seen[0] == set(range(1, 9))
    assert seen[1] == set(range(9, 17)) - {12}
    assert seen[2] == set(range(17, 24))


def test_half_is_rounded_to_even() -> None:
    assert segment_positions((1,) * 6, "iframe", segments=1) == [(2, 0)]
    assert segment_positions((1,) * 8, "iframe", segments=1) == [(4, 0)]


def test_bad_arguments() -> None:
    with pytest.raises(ConfigError, match="expected at least 1"):
        segment_positions((12,), "mv", segments=0)
    with pytest.raises(ConfigError, match=r"unknown modality 'motion'; expected one of iframe"):
        segment_positions((12,), "motion", segments=3)
