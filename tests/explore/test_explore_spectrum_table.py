"""What trained networks say of a few clips: those of the study, found again, told as it tells."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "methods"))

from tiny_school import CLASSES, clips_of, quicken
from tiny_spectrum import small_config, small_school, study_of

from redistill.explore.spectrum import spectrum_lens
from redistill.explore.spectrum_look import readings
from redistill.explore.spectrum_table import _few, hear_clips, in_turn
from redistill.losses.spectrum.signal import group_mean
from redistill.methods.frequencies import over_time
from redistill.methods.spectrum_study import train_teacher
from redistill.stream_feed import StreamFeed

ARMS = ("alone", "mse", "fsd", "pdd", "all_stages", "group_mean", "distribution", "attention")
NAMES = ("up", "down", "left")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A study, its school opened anew, and its networks."""
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch, tmp_path_factory.getbasetemp() / "phases")
        study = study_of(small_config(arms=ARMS))
        return study, small_school(arms=ARMS), study.networks


def test_networks_of_the_study_are_found_and_heard(found):
    _, school, networks = found
    assert set(networks) == {"teacher", *ARMS}
    heard = hear_clips(school, networks, NAMES)
    assert heard.arms == ("mse", "fsd", "all_stages", "group_mean", "untrained")
    assert heard.stages("all_stages") == (4, 3, 2, 1)
    assert heard.stages("fsd") == (4,)
    assert heard.clips == ("val00", "val01", "val02", "val03", "val04", "val05")
    assert heard.classes == ("up", "down", "left") * 2
    teacher = over_time(school, networks["teacher"].net)[..., 0, 0].transpose(1, 2)
    pair = heard.pairs["fsd", 4]
    torch.testing.assert_close(pair.theirs, teacher)
    own = over_time(school, networks["fsd"].net)[..., 0, 0].transpose(1, 2)
    weight = networks["fsd"].whole.project[-1].weight
    torch.testing.assert_close(pair.ours, own @ weight.T)
    grouped = heard.pairs["group_mean", 4]
    torch.testing.assert_close(grouped.theirs, group_mean(teacher, 16))
    assert grouped.ours.shape == grouped.theirs.shape
    for stage in (1, 2, 3, 4):
        both = heard.pairs["all_stages", stage]
        assert both.ours.shape == both.theirs.shape == (6, 4, 3 * 2 ** (stage - 1))


def test_the_mean_over_clips_is_the_study_s_error_by_bin(found):
    """``frequencies`` measured it on all validation clips, by the suite's loss, when trained."""
    study, school, networks = found
    heard = hear_clips(school, networks, NAMES)
    loss = readings(school.config.feature_loss)["amplitude"]
    for arm in ("mse", "fsd", "all_stages"):
        pair = heard.pairs[arm, 4]
        looks = [loss.look(*each) for each in zip(pair.ours, pair.theirs, strict=True)]
        mean = torch.as_tensor(sum(look.parts.sum(1) for look in looks) / len(looks))
        torch.testing.assert_close(mean, study.frequencies[arm].error, rtol=1e-4, atol=1e-6)


def test_a_lens_over_trained_networks(found):
    _, school, networks = found
    heard = hear_clips(school, networks, NAMES, most=4)
    assert heard.classes == ("up", "down", "left", "up")
    panel = spectrum_lens(heard, school.config.feature_loss)
    assert panel.values["student"] == "fsd"
    panel.set(student="untrained", clip=3)
    assert panel.said.startswith("Validation clip val03 (class 'up'), stage 4, channel ")


def test_a_run_in_which_nobody_imitates_features(monkeypatch, tmp_path_factory):
    quicken(monkeypatch, tmp_path_factory.getbasetemp() / "phases")
    school = small_school(arms=("alone", "pdd"), space="attention")
    teacher = {"teacher": train_teacher(school)}
    assert not hear_clips(school, teacher, NAMES).pairs
    plain = small_school(arms=("alone", "pdd"))
    assert hear_clips(plain, teacher, NAMES).arms == ("untrained",)


def test_clips_are_taken_class_by_class_in_turn():
    labels = [0, 0, 0, 1, 1, 2]
    assert in_turn(labels, 4) == [0, 1, 3, 5]
    assert in_turn(labels, 2) == [0, 3]
    assert in_turn(labels, 99) == [0, 1, 2, 3, 4, 5]
    assert in_turn([], 3) == []


@dataclass(frozen=True)
class Loader:
    """Loads clips as flat pictures of their own number."""

    modalities: tuple[str, ...] = ("rgb",)

    def label(self, clip, view):
        return clip.label

    def load(self, clip, views):
        return {"rgb": torch.full((1, 2, 3, 4, 4), int(clip.id[-2:]), dtype=torch.uint8)}


def test_of_a_stream_some_clips_alone_are_decoded():
    feed = StreamFeed(source=clips_of("val", 9), loader=Loader(), manifest="m", workers=2)
    few = _few(feed, [1, 4])
    (batch,) = few.inorder()
    assert batch.clips == few.clips == ("val01", "val04")
    assert batch.inputs[:, 0, 0, 0, 0].tolist() == [1, 4]
    assert batch.labels.tolist() == [1 % CLASSES, 4 % CLASSES]
