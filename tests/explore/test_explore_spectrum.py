"""The spectrum lens: every control moves picture and sentence to what slow sums say."""

import math
import re

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from redistill.errors import RedistillError
from redistill.explore.spectrum import spectrum_lens
from redistill.explore.spectrum_picture import LOSS, PALE
from redistill.explore.spectrum_table import Heard, Pair
from redistill.losses.spectrum.feature import FeatureSpectrum
from redistill.record import figure_bundle

CLIPS = ("one", "two", "three")


def heard_of(frames=8, *, clips=3, channels=5, seed=0):
    """Two students at the last stage and one at two stages, in other channels."""
    made = torch.Generator().manual_seed(seed)

    def pair(width):
        return Pair.of(*(torch.rand(clips, frames, width, generator=made) for _ in range(2)))

    pairs = {("mse", 4): pair(channels), ("fsd", 4): pair(channels)}
    pairs |= {("all_stages", 4): pair(channels), ("all_stages", 3): pair(3)}
    return Heard(CLIPS[:clips], ("left", "right", "left")[:clips], pairs)


@pytest.fixture(scope="module")
def heard():
    return heard_of()


@pytest.fixture(scope="module")
def built(heard):
    panel = spectrum_lens(heard, FeatureSpectrum())
    return panel, panel.values


@pytest.fixture
def panel(built):
    """The lens as it begins; one for all tests, for it takes a while to draw the first time."""
    lens, first = built
    lens.set(student=first["student"])
    lens.set(**first)
    return lens


def expected(heard, values, *, plainly=FeatureSpectrum):
    """Parts by bin of the clip, in use, and of its channel in use, by the suite and by sums."""
    pair = heard.pairs[values["student"], values["stage"]]
    ours, theirs = pair.ours[values["clip"]], pair.theirs[values["clip"]]
    loss = plainly(component=values["component"], channels="identity")
    by_bin = loss.by_bin(*(f.T[None, :, :, None, None] for f in (ours, theirs))).numpy()
    used = np.array([values[f"bin{k}"] for k in range(len(by_bin))])
    column = pair.order[values["channel"] - 1]
    x, y = (spectrum_of(f.numpy())[:, column] for f in (ours, theirs))
    apart = abs(x - y) if values["component"] == "complex" else abs(x) - abs(y)
    own = times(len(ours)) * apart**2
    return by_bin, used, np.where(used, own, 0), column


def spectrum_of(signal):
    """Of a clip divided by its length, by the sums written out."""
    frames = len(signal)
    k, t = np.arange(frames // 2 + 1)[:, None], np.arange(frames)
    return np.exp(-2j * np.pi * k * t / frames) @ (signal / np.linalg.norm(signal)) / frames**0.5


def times(frames):
    folded = [min(k, frames - k) for k in range(frames)]
    return np.array([folded.count(k) for k in range(frames // 2 + 1)])


def assert_says(panel, heard):
    """The sentence and the bars are what the suite's loss and slow sums give."""
    values = panel.values
    by_bin, used, own, column = expected(heard, values)
    said, near = panel.said, {"rel": 6e-3, "abs": 1e-9}
    label = heard.classes[values["clip"]]
    assert f"Validation clip {heard.clips[values['clip']]} (class {label!r})" in said
    assert f"student {values['student']}." in said
    width = len(heard.pairs[values["student"], values["stage"]].order)
    assert f"stage {values['stage']}, channel {column + 1} of {width} (number" in said
    total = float(re.search(r"(\w+) loss of this clip ([\d.e-]+\d)", said)[2])
    assert total == pytest.approx(by_bin.sum(), **near)
    assert f"{values['component'].capitalize()} loss" in said
    if used.any() and not used.all():
        left, share = re.search(r"leaves? ([\d.e-]+) \((\d+) %\)", said).groups()
        assert float(left) == pytest.approx(by_bin[used].sum(), **near)
        assert abs(int(share) - 100 * by_bin[used].sum() / by_bin.sum()) <= 0.51
    if used.any():
        mine, most, top = re.search(
            r"adds ([\d.e-]+), most in bin (\d+) \(([\d.e-]+)\)", said
        ).groups()
        assert float(mine) == pytest.approx(own.sum(), rel=6e-2)
        assert int(most) == own.argmax()
        assert float(top) == pytest.approx(own.max(), rel=6e-2)
    bars = panel.canvas.figure.axes[2].patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], by_bin, rtol=1e-4)
    assert [to_hex(bar.get_facecolor()) == LOSS.lower() for bar in bars] == used.tolist()
    assert [bool(bar.get_hatch()) for bar in bars] == (~used).tolist()


def lines(panel):
    """Student and teacher with all bins, then with those in use (after the line at zero)."""
    drawn = [line for line in panel.canvas.figure.axes[0].lines if len(line.get_xdata()) > 2]
    return [np.asarray(line.get_ydata()) for line in drawn]


def test_it_begins_with_the_arm_of_the_spectrum_loss_and_all_bins(panel, heard):
    assert panel.name == "lens"
    assert panel.values == {
        "clip": 0, "student": "fsd", "stage": 4, "channel": 1, "component": "amplitude",
        **{f"bin{k}": True for k in range(5)},
    }  # fmt: skip
    assert ", with all bins." in panel.said
    assert_says(panel, heard)


def test_every_control_moves_picture_and_sentence(panel, heard):
    moves = [
        ("clip", 2), ("student", "mse"), ("channel", 4), ("component", "complex"), ("bin0", False),
        ("bin3", False), ("student", "all_stages"), ("stage", 3), ("channel", 2), ("bin0", True),
    ]  # fmt: skip
    seen = [(panel.said, panel.canvas.widget.value)]
    for name, value in moves:
        panel.controls[name].value = value
        assert panel.values[name] == value
        assert_says(panel, heard)
        seen.append((panel.said, panel.canvas.widget.value))
    assert len({said for said, _ in seen}) == len({picture for _, picture in seen}) == len(seen)
    assert all(box.description for name, box in panel.controls.items() if name.startswith("bin"))


def test_signals_are_divided_as_the_loss_does_it_and_rebuilt_from_the_bins_in_use():
    heard = heard_of(7)
    panel = spectrum_lens(heard, FeatureSpectrum())
    pair = heard.pairs["fsd", 4]
    column = pair.order[0]
    whole = [(f[0] / f[0].norm()).numpy()[:, column] for f in (pair.ours, pair.theirs)]
    for drawn, wanted in zip(lines(panel), [*whole, *whole], strict=True):
        np.testing.assert_allclose(drawn, wanted, atol=1e-6)
    panel.set(bin0=False)
    for drawn, wanted in zip(lines(panel), [*whole, *(w - w.mean() for w in whole)], strict=True):
        np.testing.assert_allclose(drawn, wanted, atol=1e-6)
    panel.set(bin1=False, bin2=False, bin3=False)
    assert not any(drawn.any() for drawn in lines(panel)[2:])
    assert panel.said.endswith("all bins are taken out, which leaves nothing.")
    assert panel.canvas.figure.axes[2].texts[-1].get_text().startswith("left: 0 of ")
    middle = panel.canvas.figure.axes[1].patches
    amplitudes = [abs(spectrum_of((f[0] / f[0].norm()).numpy())[:, column])
                  for f in (pair.ours, pair.theirs)]  # fmt: skip
    np.testing.assert_allclose([bar.get_height() for bar in middle], np.concatenate(amplitudes),
                               rtol=1e-4)  # fmt: skip
    assert {bar.get_alpha() for bar in middle} == {PALE}


def test_the_loss_on_these_bins_alone_is_that_of_their_band():
    heard = heard_of()
    panel = spectrum_lens(heard, FeatureSpectrum(bands="ac"))
    assert [panel.values[f"bin{k}"] for k in range(5)] == [False, True, True, True, True]
    pair = heard.pairs["fsd", 4]
    maps = [f[0].T[None, :, :, None, None] for f in (pair.ours, pair.theirs)]
    restricted = float(FeatureSpectrum(bands="ac", channels="identity")(*maps))
    assert f"divided by what they hold, the loss is {restricted:.3g}." in panel.said
    panel.set(bin2=False, bin3=False, bin4=False)
    assert re.search(r"; bin 1 leaves .* On this bin alone, divided by what it holds", panel.said)
    same = spectrum_lens(heard, FeatureSpectrum(bands="ac", normalise="none"))
    assert "alone" not in same.said  # a sum is that loss already


def test_stages_and_channels_are_those_of_the_student(panel, heard):
    stage, channel = panel.controls["stage"], panel.controls["channel"]
    assert (stage.options, stage.disabled, channel.max) == ((4,), True, 5)
    panel.set(student="all_stages")
    assert (stage.options, stage.disabled, stage.value) == ((4, 3), False, 4)
    panel.set(channel=5)
    panel.set(stage=3)
    assert (channel.max, channel.value) == (3, 3)
    assert "stage 3, channel" in panel.said
    assert "of 3 (number 3" in panel.said
    panel.set(student="mse")
    assert (stage.options, stage.value, channel.max) == ((4,), 4, 5)
    assert_says(panel, heard)


def test_channels_are_sorted_by_how_much_the_teacher_varies():
    still, slow, fast = np.full(8, 5.0), np.sin(np.arange(8)), 3 * np.cos(2 * np.arange(8))
    theirs = torch.tensor(np.stack([still, slow, fast, still], 1)[None])
    assert Pair.of(torch.zeros(1, 8, 4), theirs).order.tolist() == [2, 1, 0, 3]


def test_nothing_jumps(panel, heard):
    axes = panel.canvas.figure.axes
    limits = [(axis.get_xlim(), axis.get_ylim()) for axis in axes]
    for component in ("amplitude", "complex"):
        for student, stage in heard.pairs:
            for clip in range(3):
                panel.set(student=student, stage=stage, clip=clip, component=component)
                for axis, (_, (low, high)) in zip(axes, limits, strict=True):
                    tops = [bar.get_height() for bar in axis.patches]
                    tops += [y for line in axis.lines for y in line.get_ydata()]
                    assert low <= min(tops) <= max(tops) <= high
    assert [(axis.get_xlim(), axis.get_ylim()) for axis in axes] == limits


@pytest.mark.parametrize(("frames", "clips", "channels"), [(2, 1, 1), (3, 2, 2)])
def test_short_clips_single_clips_and_single_channels(frames, clips, channels):
    heard = heard_of(frames, clips=clips, channels=channels)
    panel = spectrum_lens(heard, FeatureSpectrum())
    assert sum(name.startswith("bin") for name in panel.controls) == frames // 2 + 1
    assert_says(panel, heard)
    panel.set(bin0=False, component="complex")
    assert_says(panel, heard)


def test_many_bins_have_no_numbers_and_no_hatches():
    panel = spectrum_lens(heard_of(64, clips=1, channels=2), FeatureSpectrum())
    panel.set(bin5=False)
    right = panel.canvas.figure.axes[2]
    assert len(right.patches) == 33
    assert len(right.texts) == 1
    assert not any(bar.get_hatch() for bar in right.patches)
    assert to_hex(right.patches[5].get_facecolor()) == "#ffffff"


def test_signals_that_do_not_vary_and_networks_that_agree():
    level = torch.full((1, 8, 2), 0.5)
    heard = Heard(("still",), ("none",), {("fsd", 4): Pair.of(level, level)})
    panel = spectrum_lens(heard, FeatureSpectrum())
    assert "loss of this clip 0, with all bins. This channel adds 0." in panel.said
    panel.set(bin0=False)
    assert "nan" not in panel.said
    assert "leave 0. On these bins alone, divided by what they hold, the loss is 0." in panel.said
    nothing = Heard(("still",), ("none",), {("fsd", 4): Pair.of(level, 0 * level)})
    panel = spectrum_lens(nothing, FeatureSpectrum())
    assert math.isclose(float(re.search(r"clip ([\d.]+),", panel.said)[1]), 1, rel_tol=1e-3)


def test_the_readings_of_the_run_come_first():
    panel = spectrum_lens(heard_of(), FeatureSpectrum(component="log_amplitude", normalise="none"))
    assert panel.controls["component"].options == ("log_amplitude", "amplitude", "complex")
    assert "Log amplitude loss of this clip" in panel.said
    cosine = spectrum_lens(heard_of(), FeatureSpectrum(transform="dct"))
    assert sum(name.startswith("bin") for name in cosine.controls) == 8
    assert cosine.canvas.figure.axes[1].get_xlabel() == "bin, half cycles per clip"


def test_the_twin_is_the_beginning_with_its_table(panel, heard):
    by_bin, *_ = expected(heard, panel.values)
    panel.set(student="mse", bin0=False)
    figure, table = panel._twin()
    assert list(table.columns) == ["kind", "x", "student", "teacher"]
    assert table["kind"].value_counts().to_dict() == {"signal": 8, "amplitude": 5, "part": 5}
    parts = table[table["kind"] == "part"]
    np.testing.assert_allclose(parts["student"], by_bin, rtol=1e-4)
    assert parts["teacher"].isna().all()
    assert figure_bundle(figure, table, name="lens")["image/png"]
    assert figure is not panel.canvas.figure


def test_no_student_to_look_at():
    with pytest.raises(RedistillError, match="name one in arms or also"):
        spectrum_lens(Heard((), (), {}), FeatureSpectrum())
