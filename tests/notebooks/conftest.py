"""A small set of clips that notebooks are run on."""

from pathlib import Path

import numpy as np
import pytest

from redistill.video import encode_mpeg4


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> Path:
    """Two classes of eight clips: a bright square moving right or down over noise."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for name, (dy, dx) in {"down": (2, 0), "right": (0, 2)}.items():
        for number in range(8):
            back = rng.integers(0, 120, (48, 64, 3), dtype=np.uint8)
            frames = []
            for t in range(24):
                frame = back.copy()
                y, x = 4 + number + dy * t % 24, 4 + number + dx * t % 40
                frame[y : y + 12, x : x + 12] = 220
                frames.append(frame)
            encode_mpeg4(folder / name / f"{number}.avi", frames)
    return folder
