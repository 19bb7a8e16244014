"""A fold of notebook 2 on twelve tiny clips."""

from types import SimpleNamespace
from typing import Any

from tiny_school import CLASSES, FRAMES, SIDE, tiny_feeds

from redistill.feeds import Feeds
from redistill.methods.school import School
from redistill.methods.spectrum import SpectrumConfig
from redistill.methods.spectrum_study import SpectrumStudy, open_school, study_fold

LINE = SimpleNamespace(epoch=lambda name, line: None)
SMALL = {
    "frames": FRAMES, "size": SIDE, "views": 2, "teacher_width": 3, "student_width": 2,
    "teacher_steps": 2, "steps": 2, "batch": 12, "device": "cpu", "workers": 0,
}  # fmt: skip


def small_config(**changes: Any) -> SpectrumConfig:
    return SpectrumConfig(**SMALL | changes)


def small_school(feeds: Feeds | None = None, **changes: Any) -> School:
    config = small_config(**changes)
    return open_school(config, feeds or tiny_feeds(config.views), classes=CLASSES, device="cpu")


def study_of(config: SpectrumConfig, feeds: Feeds | None = None) -> SpectrumStudy:
    feeds = feeds or tiny_feeds(config.views)
    return study_fold(config, feeds, 0, classes=CLASSES, device="cpu", line=LINE)
