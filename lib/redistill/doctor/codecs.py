"""Write and read tiny clips with each codec: whether they come back right, and with motion."""

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from redistill.doctor.finding import FAIL, OK, WARN, Finding

if TYPE_CHECKING:
    from redistill.doctor.examine import Asked

_SIDE, _FRAMES = 64, 6  # pixels, frames: all in one GOP
_STEP = (2, 1)  # pixels a frame that the whole picture moves, x and y
_INNER = slice(16, 48)  # away from the edges, over which the picture moves
_WRONG = 0.1  # share of inner pixels whose vector may be another: blocks are matched by cost
_NOISE = 12.0  # mean grey levels of 255 that coding may take off; another picture is 40 off


def check_codecs(asked: "Asked") -> Finding:
    """Try MPEG-4 and H.264 with motion vectors, and VP9, which exports none."""
    tried = {"MPEG-4": mpeg4_fault, "H.264": h264_fault, "VP9/webm": vp9_fault}
    faults = {name: _fault(trial) for name, trial in tried.items()}
    bad = [f"{name}: {fault}" for name, fault in faults.items() if fault]
    if faults["MPEG-4"]:  # what the synthetic set and `prepare` write
        return Finding("codecs", FAIL, "; ".join(bad), "pip install --force-reinstall av")
    if bad:
        todo = "pip install --force-reinstall av, or use clips of the codecs that work"
        return Finding("codecs", WARN, "; ".join(bad), todo)
    text = (
        "MPEG-4 and H.264 read, moved and rebuilt to the bit from motion and residual; VP9 read "
        "(no motion vectors in it: redistill prepare re-encodes such clips)"
    )
    return Finding("codecs", OK, text)


def mpeg4_fault() -> str:
    """Return what is wrong with MPEG-4 Part 2, or ""."""
    from redistill.video import encode_mpeg4

    with tempfile.TemporaryDirectory(prefix="redistill-doctor-") as folder:
        path = Path(folder, "clip.avi")
        encode_mpeg4(path, moving())
        return motion_fault(path)


def h264_fault() -> str:
    """Return what is wrong with H.264, or ""."""
    from redistill.video import encode_h264

    with tempfile.TemporaryDirectory(prefix="redistill-doctor-") as folder:
        path = Path(folder, "clip.mp4")
        encode_h264(path, moving())
        return motion_fault(path)


def vp9_fault() -> str:
    """Return what is wrong with VP9 in webm, which Something-Something ships, or ""."""
    from redistill.video.container import decode_all

    with tempfile.TemporaryDirectory(prefix="redistill-doctor-") as folder:
        path = Path(folder, "clip.webm")
        path.write_bytes(_vp9())
        frames = [frame.to_ndarray(format="rgb24") for frame in decode_all(path)[1]]
    return picture_fault(frames)


def motion_fault(path: Path) -> str:
    """Return what is wrong with a clip of ``moving`` frames: pictures, motion or their sum.

    Every inner pixel of frame t came from t steps away, and the pixel that the motion points to,
    plus the residual, is the pixel itself.
    """
    from redistill.video import read_gops

    (gop,) = read_gops(path)
    if fault := picture_fault([gop.frame(pos) for pos in range(len(gop))]):
        return fault
    last = len(gop) - 1
    first, frame = gop.frame(0).astype(int), gop.frame(last)
    motion, residual = gop.motion(last).astype(int), gop.residual(last)
    if not motion.any():
        return "no motion vectors come out of the decoder"
    y, x = np.mgrid[_INNER, _INNER]
    inner = motion[_INNER, _INNER]
    rebuilt = first[y - inner[..., 1], x - inner[..., 0]] + residual[_INNER, _INNER]
    if not np.array_equal(rebuilt, frame[_INNER, _INNER]):
        return "moved pixels plus residual are not the frame"
    wrong = (inner != np.multiply(_STEP, last)).any(-1).mean()
    if wrong > _WRONG:
        return f"{wrong:.0%} of motion vectors are not the motion of the picture"
    return ""


def picture_fault(frames: list[np.ndarray]) -> str:
    """Return how decoded frames differ from ``moving`` ones, or ""."""
    if len(frames) != _FRAMES:
        return f"{len(frames)} of {_FRAMES} frames come back"
    off = max(np.abs(a.astype(int) - b).mean() for a, b in zip(frames, moving(), strict=True))
    return f"pictures come back wrong ({off:.0f} grey levels off)" if off > _NOISE else ""


def moving() -> np.ndarray:
    """Return a textured picture that moves ``_STEP`` a frame: uint8 (frames, side, side, 3)."""
    y, x = np.mgrid[:_SIDE, :_SIDE]
    grey = np.random.default_rng(0).integers(40, 216, (_SIDE // 4, _SIDE // 4)).repeat(4, 0)
    grey = grey.repeat(4, 1) // 2 + (128 + 60 * np.sin(x / 5) * np.cos(y / 7)).astype(int) // 2
    steps = [np.roll(grey, (t * _STEP[1], t * _STEP[0]), (0, 1)) for t in range(_FRAMES)]
    return np.stack([np.stack([s, s, s], -1) for s in steps]).astype(np.uint8)


def _vp9() -> bytes:
    import av

    data = io.BytesIO()
    with av.open(data, "w", format="webm") as target:
        stream = target.add_stream("libvpx-vp9", rate=25, options={"cpu-used": "8", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = _SIDE, _SIDE, "yuv420p"
        for picture in moving():
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        target.mux(stream.encode(None))
    return data.getvalue()


def _fault(trial: "object") -> str:
    """Return the fault that a trial finds, or why it could not be made."""
    try:
        return trial()
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:160]}"
