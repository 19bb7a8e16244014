from collections import Counter

import numpy as np
import pytest
import torch

from redistill.video.keyed import generator
from redistill.video.scaling import to_bytes
from redistill.video.transforms import SCALES, View, apply_view, centre_view, draw_view, resize


def slow_resize(x: np.ndarray, size: int) -> np.ndarray:
    """Bilinear with half-pixel centres, edges repeated, by definition; x is (H, W)."""
    out = np.empty((size, size))
    height, width = x.shape
    for i in range(size):
        for j in range(size):
            v = max((i + 0.5) * height / size - 0.5, 0)
            u = max((j + 0.5) * width / size - 0.5, 0)
            a, b = int(v), int(u)
            c, d = min(a + 1, height - 1), min(b + 1, width - 1)
            top = x[a, b] * (1 - (u - b)) + x[a, d] * (u - b)
            low = x[c, b] * (1 - (u - b)) + x[c, d] * (u - b)
            out[i, j] = top * (1 - (v - a)) + low * (v - a)
    return out


@pytest.mark.parametrize("shape", [(30, 41), (12, 9), (16, 16)])
def test_resize_is_plain_bilinear(shape):
    x = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    got = resize(torch.from_numpy(x)[None, None], 16)[0, 0].numpy()
    assert np.abs(got - slow_resize(x.astype(float), 16)).max() <= 0.51


def draws(count: int = 3000, **given):
    options = {"size": 224, "scales": SCALES["iframe"], "flip": True} | given
    return [draw_view(generator("t", i), 340, 256, **options) for i in range(count)]


def test_crops_follow_the_specification():
    views = draws()
    sides = [256, 224, 192, 168]
    pairs = Counter((v.width, v.height) for v in views)
    want = {(w, h) for i, w in enumerate(sides) for j, h in enumerate(sides) if abs(i - j) <= 1}
    assert set(pairs) == want
    assert max(pairs.values()) < 1.4 * min(pairs.values())
    assert all(0 <= v.left <= 340 - v.width and 0 <= v.top <= 256 - v.height for v in views)
    assert max(v.left for v in views if v.width == 256) == 84
    assert 0.45 < np.mean([v.mirrored for v in views]) < 0.55
    assert not any(v.mirrored for v in draws(50, flip=False))


def test_a_side_near_the_target_is_the_target():
    assert {v.width for v in draws(200, size=226)} == {256, 226, 192, 168}
    assert {v.width for v in draws(200, size=227)} == {256, 224, 192, 168}


def test_a_window_is_cut_where_it_says_and_mirrored():
    x = torch.arange(10 * 12, dtype=torch.uint8).reshape(1, 1, 10, 12)
    view = View(left=3, top=2, width=8, height=8)
    assert torch.equal(apply_view(x, view, size=8, modality="residual"), x[..., 2:10, 3:11])
    mirrored = View(3, 2, 8, 8, mirrored=True)
    got = apply_view(x, mirrored, size=8, modality="iframe")
    assert torch.equal(got, x[..., 2:10, 3:11].flip(-1))


def test_mirrored_motion_points_the_other_way():
    motion = np.random.default_rng(1).integers(-19, 20, (1, 8, 8, 2)).astype(np.int16)
    turned = motion[:, :, ::-1] * np.array([-1, 1], np.int16)
    x, want = (torch.from_numpy(to_bytes(m, "mv")).permute(0, 3, 1, 2) for m in (motion, turned))
    got = apply_view(x, View(0, 0, 8, 8, mirrored=True), size=8, modality="mv")
    assert torch.equal(got, want)


def test_the_test_view_is_the_centre_of_the_squashed_picture():
    x = torch.from_numpy(
        np.random.default_rng(2).integers(0, 256, (2, 3, 256, 340)).astype(np.uint8)
    )
    got = centre_view(x, size=224)
    assert torch.equal(got, resize(x, 256)[..., 16:240, 16:240])
    assert centre_view(x, size=56).shape == (2, 3, 56, 56)
