"""Notebook 2's profile for the published sets, from lists and folders of frames to logits."""

import numpy as np
import pytest
import torch
from PIL import Image

from redistill.config import resolve
from redistill.feeds import open_feeds
from redistill.live import Line
from redistill.methods.spectrum import SpectrumConfig
from redistill.methods.spectrum_study import study_fold
from redistill.modality import RGB
from redistill.video.catalog import open_catalog

LABELS = ("Swiping Left", "Swiping Right", "No gesture")
SMALL = {
    "size": 32, "frames": 4, "teacher_width": 4, "student_width": 2, "batch": 6,
    "teacher_network": "shift10", "network": "shift10", "weights": "", "student_weights": "",
    "teacher_steps": 2, "steps": 2, "workers": 0, "arms": ("alone", "fitnet", "collab"),
}  # fmt: skip


@pytest.fixture
def jester(tmp_path):
    """Eighteen clips to train on and six to test on, as the data set ships them."""
    root = tmp_path / "jester"
    sides = {"train": range(18), "validation": range(18, 24)}
    for side, numbers in sides.items():
        lines = [f"{number};{LABELS[number % 3]}" for number in numbers]
        root.mkdir(exist_ok=True)
        (root / f"jester-v1-{side}.csv").write_text("\n".join(lines) + "\n")
        for number in numbers:
            folder = root / "20bn-jester-v1" / str(number)
            folder.mkdir(parents=True)
            for frame in range(6):
                picture = np.full((36, 48, 3), 100, np.uint8)
                place = (36 - 6 * frame, 6 * frame, 20)[number % 3]
                picture[10:24, place : place + 10] = 40 + 8 * number
                Image.fromarray(picture).save(folder / f"{frame + 1:05d}.jpg")
    (root / "jester-v1-labels.csv").write_text("\n".join(LABELS) + "\n")
    return root


def test_a_streamed_study_of_a_published_layout(jester, tmp_path, monkeypatch):
    monkeypatch.setenv("REDISTILL_CACHE", str(tmp_path / "cache"))
    given = {"profile": "paper", "dataset": "jester", "data_root": jester, **SMALL}
    config = resolve(SpectrumConfig, given)
    catalog = open_catalog(config.dataset, config.data_root, **config.catalog_options())
    assert catalog.flip == (1, 0, 2)  # a mirrored swipe goes the other way
    feeds = open_feeds(
        catalog.split(0, seed=0), config, flip=catalog.flip, modalities=(RGB,),
        manifest=catalog.manifest, protocol=config.test_views, sampling=config.sampling,
    )  # fmt: skip
    assert feeds.test[RGB].views == 6
    about = {"classes": 3, "device": "cpu", "line": Line()}
    found = study_fold(config, feeds, 0, **about)
    assert set(found.arms) == {"teacher", *config.arms}
    for arm in found.arms.values():
        logits = arm.logits["test"]
        assert logits.shape == (6, 3)
        torch.testing.assert_close(logits.exp().sum(1), torch.ones(6))  # a mean of probabilities
    assert found.labels["test"].tolist() == [0, 1, 2, 0, 1, 2]
    assert found.reads == 1
