"""The plan: arithmetic by hand, measures against measures of another kind, nothing left behind."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from redistill import plan, stats
from redistill.cli import main
from redistill.errors import CatalogError, ConfigError
from redistill.methods.progressive import ProgressiveConfig
from redistill.plan import make_plan
from redistill.plan_text import Clips, Plan, Runs, Work
from redistill.start import StartConfig
from redistill.video import prepare
from redistill.video.encode import encode_mpeg4

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
TINY = ProgressiveConfig(
    size=32, width=4, depth=10, depth_iframe=10, segments=1, batch=8, steps=70, ic_steps=30
)
CLIPS = Clips(
    count=1024,
    train=100,
    sample=4,
    nbytes=2**20,
    prepare=3.6,
    decode={"iframe": 0.1, "mv": 0.2, "residual": 0.3},
)


def by_hand(**changes):
    config = replace(TINY, stream=True, workers=4, batch=10)
    works = (
        Work("mv network", 3600, 2.0, 10, ("mv",)),
        Work("classifiers on mv", 1800, 1.0, 5, ("iframe", "mv", "residual")),
    )
    runs = (Runs("P3, margin", 1.0, 2.0, "assumed", 34), Runs("P3", 0.01, 4.0, "assumed", None))
    about = {"config": config, "device": "CPU", "works": works, "folds": 3, "clips": CLIPS}
    about |= {"gibibytes": 1.5, "free": 8.0, "runs": runs}
    return Plan(**about | changes)


def test_hours_are_steps_times_the_slower_of_training_and_decoding():
    """Motion: 10 clips x 0.2 s / 4 workers is below 2 s; all three, 10 x 0.6 / 4, are above 1."""
    made = by_hand()
    assert [made.seconds(work) for work in made.works] == pytest.approx([2.0, 1.5])
    assert [made.hours(work) for work in made.works] == pytest.approx([2.0, 0.75])
    assert made.total == pytest.approx(3 * 2.75)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"config": replace(TINY, stream=True, workers=0, batch=10)}, [4.0, 7.0]),  # one by one
        ({"config": replace(TINY, stream=False, workers=4, batch=10)}, [2.0, 1.0]),  # decoded once
        ({"clips": None}, [2.0, 1.0]),
    ],
)
def test_decoding_counts_only_where_it_waits(changes, expected):
    made = by_hand(**changes)
    assert [made.seconds(work) for work in made.works] == pytest.approx(expected)


def test_the_text_holds_the_figures():
    text = by_hand().text()
    for words in (
        "One run of 3 folds: 8.2 hours of this CPU",
        "with batch 5, times 2.",  # the smallest batch that a step was measured with
        "1,024 prepared clips of 1.00 MiB (mean of 4): 1.0 GiB",
        "redistill prepare: 0.3 hours with 4 workers",
        "iframe 10.0, mv 5.0, residual 3.3",
        "streamed, not held",
        "1.50 GiB",
        "more than 10,000",
    ):
        assert words in text
    (row,) = (line for line in text.splitlines() if line.startswith("P3, margin"))
    assert row.split()[-2:] == ["34", f"{34 * 8.25:.0f}"]
    assert "GPU hours" in by_hand(device="H200").text()
    held = 100 * 5 * 1 * 8 * 32**2 / 2**30  # clips x views x segments x channels x pixels
    banked = by_hand(config=replace(TINY, views=5)).text()
    assert f"100 training clips: {held:.1f} GiB (8.0 free)" in banked


def test_every_phase_is_measured_and_nothing_is_kept(cache):
    made = make_plan(TINY)
    assert [work.steps for work in made.works] == [70] * 3 + [30] * 3
    assert [len(work.needs) for work in made.works] == [1] * 3 + [3] * 3
    assert all(0 < work.seconds < 30 and work.batch == 8 for work in made.works)
    assert made.clips is None
    assert (made.folds, replace(made, clips=CLIPS).total > 0) == (1, True)
    assert not cache.exists()


def test_a_small_batch_is_scaled_to_the_profiles(monkeypatch):
    """Memory that grows with the clips comes out as with the whole batch; the text says it."""
    whole = make_plan(TINY)
    monkeypatch.setattr(plan, "_PATIENCE", 0.0)
    scaled = make_plan(TINY)
    assert {work.batch for work in scaled.works} == {2}
    assert scaled.gibibytes == pytest.approx(whole.gibibytes, rel=0.05)
    assert "with batch 2, times 4." in scaled.text()
    assert "times" not in whole.text()


def test_what_is_kept_covers_what_autograd_counts():
    """One convolution keeps its input; weights come four times: they, gradients, two moments."""
    from redistill.methods.streams import phase
    from redistill.phase import cross_entropy

    class One(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(2, 4, 3, bias=False)

        def forward(self, x):
            return self.conv(x.flatten(0, 1)).mean((2, 3))

    feed = plan._noise(TINY, "mv", 8)
    settings = phase("mv", TINY, device="cpu")
    seconds, kept, weights = plan._measure(settings, One(), feed, cross_entropy, fresh=False)
    assert weights == 4 * 2 * 9 * 4
    pixels = 8 * 2 * 32 * 32 * 4  # the float32 input
    assert pixels <= kept < 1.2 * pixels
    assert seconds > 0


def test_a_gpu_that_is_full_gets_half_the_batch(monkeypatch):
    tried = []

    def measure(config, device, batch, classes):
        tried.append(batch)
        if batch > 8:
            raise torch.OutOfMemoryError
        return (), 0.0

    monkeypatch.setattr(plan, "_works_at", measure)
    plan._works(replace(TINY, batch=32), "cuda", classes=10)
    assert tried == [32, 16, 8]


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / "videos" / "Run"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(6):
        frames = [rng.integers(256, size=(48, 64, 3), dtype=np.uint8) for _ in range(14)]
        encode_mpeg4(folder / f"{number}.avi", frames[: 13 + number % 2])
    return tmp_path / "videos"


def test_disk_is_what_prepare_writes_times_the_official_count(videos, tmp_path):
    config = replace(TINY, dataset="ucf101", data_root=videos)
    made = plan._measure_clips(config, plan._OFFICIAL["ucf101"])
    assert (made.count, made.train) == (13320, 9537)
    slow = prepare(videos, tmp_path / "ready", workers=0)
    sizes = {(tmp_path / "ready" / e.target).stat().st_size for e in slow.entries}
    assert min(sizes) <= made.nbytes <= max(sizes)
    assert made.sample == 3
    assert all(0 < seconds < 5 for seconds in (made.prepare, *made.decode.values()))
    assert sorted(p.name for p in (videos / "Run").iterdir()) == [f"{n}.avi" for n in range(6)]
    assert make_plan(config).folds == 3
    assert make_plan(replace(config, folds=(1,))).folds == 1
    other = plan._measure_clips(replace(config, dataset="folder"), None)
    assert (other.count, other.train) == (6, 6)


def test_a_folder_without_clips_is_named(tmp_path):
    config = replace(TINY, dataset="ucf101", data_root=tmp_path)
    with pytest.raises(CatalogError, match="holds no clips"):
        plan._measure_clips(config, None)


def test_seeds_come_from_the_reference_or_from_assumed_spreads(monkeypatch):
    def rows(dataset):
        return {(r.claim, r.sd, r.origin): (r.effect, r.needed) for r in plan._runs(dataset)}

    monkeypatch.setattr(plan, "verdict", lambda claim, records: ())
    assumed = rows("UCF-101")
    assert assumed["P3, margin", 2.0, "assumed"] == (1.0, stats.runs_needed(effect=1.0, sd=2.0))
    assert assumed["P3, printed", 4.0, "assumed"] == (5.87, stats.runs_needed(effect=5.87, sd=4.0))
    assert not [key for key in rows("") if "printed" in key[0]]

    judged = SimpleNamespace(interval=SimpleNamespace(sd=3.0), profile="standard", dataset="made")
    quick = SimpleNamespace(interval=SimpleNamespace(sd=9.0), profile="quick", dataset="made")
    monkeypatch.setattr(plan, "verdict", lambda claim, records: (judged, quick))
    measured = rows("HMDB-51")
    assert {key[1:] for key in measured} == {(3.0, "reference, made")}
    assert measured["P8, printed", 3.0, "reference, made"][0] == 9.30


def test_the_command_prints_the_plan_and_runs_nothing(tmp_path, monkeypatch, capsys, cache):
    shutil.copy(NOTEBOOKS / "3_progressive_kd.ipynb", tmp_path / "n.ipynb")
    monkeypatch.chdir(tmp_path)
    small = ["size", "36", "width", "4", "depth_iframe", "10", "segments", "1", "batch", "4"]
    pairs = [
        x for name, value in zip(small[::2], small[1::2], strict=True) for x in ("-p", name, value)
    ]
    assert main(["run", "n.ipynb", "--plan", *pairs]) == 0
    assert capsys.readouterr().out.startswith("Plan, not run: profile quick, dataset synthetic")
    assert [path.name for path in tmp_path.iterdir()] == ["n.ipynb"]
    assert main(["run", str(NOTEBOOKS / "0_start_here.ipynb"), "--plan"]) == 2
    assert "StartConfig is not its config" in capsys.readouterr().err


def test_a_config_without_networks_has_no_plan():
    with pytest.raises(ConfigError, match="StartConfig is not its config"):
        make_plan(StartConfig())
