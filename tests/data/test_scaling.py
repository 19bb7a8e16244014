import math

import numpy as np
import pytest
import torch

from redistill.errors import ConfigError
from redistill.video.scaling import scale, to_bytes


def test_motion_saturates_at_20_pixels_and_128_is_rest():
    pixels = np.arange(-30, 31, dtype=np.int16)
    want = [min(max(math.trunc(v * 127.5 / 20) + 128, 0), 255) for v in pixels.tolist()]
    assert to_bytes(pixels, "mv").tolist() == want
    assert [want[10], want[30], want[50]] == [1, 128, 255]


def test_residuals_are_shifted_and_clipped_and_frames_left_alone():
    values = np.array([-255, -129, -128, 0, 5, 127, 128, 255], np.int16)
    assert to_bytes(values, "residual").tolist() == [0, 0, 0, 128, 133, 255, 255, 255]
    frame = np.array([0, 7, 255], np.uint8)
    assert to_bytes(frame, "iframe").tolist() == [0, 7, 255]


@pytest.mark.parametrize(
    ("modality", "want"),
    [
        (
            "iframe",
            [
                (100 / 255 - m) / s
                for m, s in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)
            ],
        ),
        ("mv", [100 / 255 - 0.5] * 2),
        ("residual", [(100 / 255 - 0.5) / s for s in (0.229, 0.224, 0.225)]),
    ],
)
def test_each_modality_has_its_own_scale(modality, want):
    x = torch.full((2, 3, len(want), 4, 4), 100, dtype=torch.uint8)
    out = scale(x, modality)
    assert out.dtype == torch.float32
    assert out.shape == x.shape
    torch.testing.assert_close(out[0, 0, :, 0, 0], torch.tensor(want))
    torch.testing.assert_close(out[1, 2, :, 3, 3], torch.tensor(want))


def test_rest_is_nearly_zero_and_unknown_names_are_refused():
    assert scale(torch.tensor([[[128]], [[128]]], dtype=torch.uint8), "mv").max() < 0.002
    with pytest.raises(ConfigError, match="'residual'"):
        scale(torch.zeros(1, dtype=torch.uint8), "residuals")
