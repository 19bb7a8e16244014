"""A study of notebook 4 is found again, and ends alike when it is killed on the way."""

import json
import shutil
from types import SimpleNamespace

import pytest
from tiny_flatness import CLASSES, quicken, silent, small_config, small_feeds, small_study, study_of

from redistill.curvature.product import Product
from redistill.files import cache_root
from redistill.methods.flatness_study import study_fold
from redistill.sharpness import kept

CONFIG = small_config()
REMADE = ("iframe", "same", "ce", 4), *(("residual", "ic", "ce", k) for k in (1, 2, 3))


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path_factory):
    quicken(monkeypatch, tmp_path_factory.getbasetemp() / "flatness")  # found by later tests


def state(study):
    """All numbers of a study, exactly."""
    ends = [(one.place, one.share, one.train, one.test.numpy().tobytes()) for one in study.ends]
    equal = [(x.low.place, x.low.share, x.high.share, x.level) for x in study.equal]
    return dict(study.sharp), ends, equal, study.labels.tolist()


def study_with(epoch):
    line = SimpleNamespace(epoch=epoch, say=silent().say)
    return study_fold(CONFIG, small_feeds(CONFIG), 0, classes=CLASSES, device="cpu", line=line)


def counted(monkeypatch, most=float("inf")):
    """Count products, and be killed at one more than ``most`` of them."""
    made, times = [], Product.__call__

    def watch(self, vector):
        if len(made) >= most:
            raise KeyboardInterrupt
        made.append(self)
        return times(self, vector)

    monkeypatch.setattr(Product, "__call__", watch)
    return made


def test_a_study_is_found_again(monkeypatch):
    study, made, epochs = small_study(), counted(monkeypatch), []
    again = study_with(lambda *about: epochs.append(about))
    assert made == epochs == []
    assert state(again) == state(study)


def test_a_study_killed_in_training_and_in_a_trace_ends_alike(monkeypatch, tmp_path):
    """Of a finished one's cache, a training and the curvature of four solutions are taken out."""
    study = small_study()
    shutil.copytree(cache_root(), tmp_path / "cache")
    monkeypatch.setenv("REDISTILL_CACHE", str(tmp_path / "cache"))
    for place in REMADE:
        shutil.rmtree(kept(next(one for one in study.ends if one.place == place).loss))
    for folder in (cache_root() / "phases").glob("exits-ics-residual-*"):
        shutil.rmtree(folder)

    def stop(name, line):
        if line["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study_with(stop)
    found = set((cache_root() / "curvature").glob("*/trace-*.json"))
    for number, most in enumerate((34, 42)):
        with monkeypatch.context() as patch:
            counted(patch, most)
            with pytest.raises(KeyboardInterrupt):
                study_of(CONFIG)
        if number == 0:
            (path,) = set((cache_root() / "curvature").glob("*/trace-*.json")) - found
            assert 0 < len(json.loads(path.read_text())["rows"]) < CONFIG.probes
    made = counted(monkeypatch)
    assert state(study_of(CONFIG)) == state(study)
    assert made  # something was left to do
