"""What must not tell the class does not (spec synthetic 17 and 21)."""

from dataclasses import replace

import av
import numpy as np
import pytest

from redistill.video import encode_mpeg4, read_gops
from redistill.video.synthetic import MOTIONS, SyntheticSpec, draw, motion_clock, path, render
from redistill.video.synthetic.spec import TEXTURES


def side_data(stream):
    """Yield FFmpeg's own motion records of every frame (None for I-frames)."""
    with av.open(str(stream)) as container:
        video = container.streams.video[0]
        video.codec_context.options = {"flags2": "+export_mvs"}
        for frame in container.decode(video):
            data = frame.side_data.get("MOTION_VECTORS")
            yield None if data is None else data.to_ndarray()


def moved_blocks(stream) -> int:
    records = [v for v in side_data(stream) if v is not None]
    return sum(int(((v["motion_x"] != 0) | (v["motion_y"] != 0)).sum()) for v in records)


def cues(world: str, per_class: int, folder) -> tuple[dict[str, np.ndarray], np.ndarray]:
    spec = SyntheticSpec(world=world)
    clips = [
        draw(spec, "honest", label, 10 * number)
        for number in range(per_class)
        for label in range(len(spec.classes))
    ]
    found = {"mean colour": [], "file size": [], "vectors": [], "one frame": []}
    for clip in clips:
        frames, stream = render(spec, clip), folder / "clip.avi"
        encode_mpeg4(stream, frames)
        found["mean colour"].append(frames[::6].mean((0, 1, 2)))
        found["file size"].append([stream.stat().st_size])
        found["vectors"].append([moved_blocks(stream)])
        found["one frame"].append(frames[23, ::14, ::14].ravel())
    return {k: np.array(v, float) for k, v in found.items()}, np.array([c.label for c in clips])


def accuracy(features: np.ndarray, labels: np.ndarray) -> float:
    """Linear classifier (ridge on one-hot targets), two-fold: clips come in class-balanced rows."""
    x = (features - features.mean(0)) / (features.std(0) + 1e-9)
    x = np.hstack([x, np.ones((len(x), 1))])
    fold, hits = np.arange(len(x)) % 2 == (np.arange(len(x)) // (labels.max() + 1)) % 2, 0
    for test in (fold, ~fold):
        a, b = x[~test], np.eye(labels.max() + 1)[labels[~test]]
        w = np.linalg.solve(a.T @ a + len(a) * 0.1 * np.eye(a.shape[1]), a.T @ b)
        hits += (np.argmax(x[test] @ w, 1) == labels[test]).sum()
    return hits / len(labels)


@pytest.mark.parametrize(("world", "per_class"), [("motion_led", 24), ("crossed", 8)])
def test_simple_cues_stay_at_chance(world, per_class, tmp_path):
    features, labels = cues(world, per_class, tmp_path)
    chance = 1 / (labels.max() + 1)
    error = np.sqrt(chance * (1 - chance) / len(labels))
    for name, values in features.items():
        if world == "motion_led" or name != "one frame":  # a frame of `crossed` shows appearance
            assert accuracy(values, labels) < chance + 2 * error, name
    assert accuracy(np.eye(labels.max() + 1)[labels], labels) == 1


def test_a_known_pan_is_recovered_to_the_pixel(tmp_path):
    spec = SyntheticSpec(world="motion_led")
    clips = [draw(spec, "train", 0, number) for number in range(0, 400, 10)]
    exact = []
    for clip in [c for c in clips if c.pan_x or c.pan_y][:6]:
        encode_mpeg4(tmp_path / "pan.avi", render(spec, clip))
        pan = np.array((clip.pan_x, clip.pan_y))
        for gop in read_gops(tmp_path / "pan.avi"):
            middle = [gop.motion(pos)[24:-24, 24:-24].reshape(-1, 2) for pos in (1, 11)]
            assert np.median(middle[0], axis=0).tolist() == pan.tolist()
            exact.append((np.median(middle[1], axis=0) == 11 * pan).all())
    # Half-pel vectors are cut to whole pixels (spec 1.3), so sums of eleven drift now and then.
    assert np.mean(exact) > 0.8


def test_block_vectors_on_the_target_are_as_long_for_every_motion(tmp_path):
    """Each motion on the same 16 clips at rest, stripes turned evenly (aperture problem)."""
    spec = SyntheticSpec(world="motion_led", distractors=0)
    clips = [draw(spec, "train", 0, number) for number in range(0, 400, 10)]
    still = [c for c in clips if not (c.pan_x or c.pan_y)][:16]
    lengths = []
    for motion in MOTIONS:
        found = []
        for turn, clip in enumerate(still):
            period = 48 * 256 // {"s": 1, "f": 3}.get(motion[-1], 1)
            target = replace(
                clip.target,
                texture=TEXTURES[turn // 8],
                motion=motion,
                period=period,
                phase=clip.target.phase % period,
                stripe_orientation=turn % 8,
            )
            found.append(target_length(spec, replace(clip, target=target), tmp_path))
        lengths.append(np.mean(found))
    assert max(lengths) / min(lengths) < 1.1, list(map(float, lengths))


def target_length(spec, clip, folder) -> float:
    """Mean length of the block vectors whose centre lies within 10 pixels of the target's."""
    encode_mpeg4(folder / "clip.avi", render(spec, clip))
    way = path(clip.target, motion_clock(clip.active_gops))
    found = []
    for centre, v in zip(way, side_data(folder / "clip.avi"), strict=True):
        if v is not None:
            place = np.stack([v["dst_x"], v["dst_y"]], axis=-1)
            inner = (np.abs((place - centre + 56) % 112 - 56) <= 10).all(1)
            length = np.hypot(v["motion_x"], v["motion_y"]) / v["motion_scale"]
            found.extend(length[inner])
    return float(np.mean(found))
