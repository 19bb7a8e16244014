"""Colour jitter against the standard library's colour arithmetic, pixel by pixel."""

import colorsys

import numpy as np
import pytest
import torch

from redistill.video.colour import HUE, LIGHTNESS, SATURATION, jitter, to_hls, to_rgb

SHADES = torch.tensor(
    [[0, 0, 0], [255, 255, 255], [128, 128, 128], [255, 0, 0], [0, 255, 0], [0, 0, 255],
     [255, 255, 0], [1, 2, 3], [200, 17, 99], [254, 255, 255]], dtype=torch.uint8,
)  # fmt: skip


def test_hls_is_colorsys():
    rgb = torch.cat([SHADES.float() / 255, torch.rand(200, 3)]).T[None, :, :, None]
    ours = torch.stack(to_hls(rgb)).flatten(1).T
    theirs = [colorsys.rgb_to_hls(*pixel) for pixel in rgb[0, :, :, 0].T.tolist()]
    torch.testing.assert_close(ours, torch.tensor(theirs), rtol=1e-4, atol=1e-5)


def test_rgb_is_colorsys():
    hls = torch.rand(200, 3)
    ours = to_rgb(*hls.T[:, None, :, None])[0, :, :, 0].T
    theirs = [colorsys.hls_to_rgb(*pixel) for pixel in hls.tolist()]
    torch.testing.assert_close(ours, torch.tensor(theirs), rtol=1e-5, atol=1e-5)


class Fixed:
    """A generator whose draws are given."""

    def __init__(self, draw):
        self.draw = np.array(draw)

    def uniform(self, low, high, shape):
        assert (low, high) == (-1, 1)
        return np.broadcast_to(self.draw, shape)


@pytest.mark.parametrize("draw", [(0, 0, 0), (1, 0, 0), (-0.5, 0.4, -1), (0.3, -1, 1)])
def test_jitter_shifts_and_clamps_as_written_out(draw):
    frames = SHADES.T[None, :, :, None].contiguous()
    ours = jitter(frames, Fixed(draw))[0, :, :, 0].T
    shift = [d * limit for d, limit in zip(draw, (HUE, LIGHTNESS, SATURATION), strict=True)]
    for pixel, got in zip(SHADES.tolist(), ours.tolist(), strict=True):
        h, light, s = colorsys.rgb_to_hls(*(v / 255 for v in pixel))
        light, s = min(max(light + shift[1], 0), 1), min(max(s + shift[2], 0), 1)
        want = [255 * v for v in colorsys.hls_to_rgb((h + shift[0]) % 1, light, s)]
        assert got == pytest.approx(want, abs=0.51)


def test_each_frame_has_a_draw_of_its_own():
    frames = torch.full((2, 3, 4, 4), 90, dtype=torch.uint8)
    first, second = jitter(frames, np.random.default_rng(0))
    assert not torch.equal(first, second)
