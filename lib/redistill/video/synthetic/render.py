"""Render a clip in integer arithmetic, so that the pixels are the same on every machine."""

import math
from functools import lru_cache

import numpy as np

from redistill.video.keyed import order, words
from redistill.video.synthetic.factors import ORIENTATIONS, PHASES, UNIT, ClipFactors, Mover
from redistill.video.synthetic.spec import FRAMES, GOP, SIZE, TEXTURES, SyntheticSpec

DIAMETER = 31
TEXTURE_FREQUENCIES = (0.08, 0.22)
"""Cycles per pixel.  The fine one has a period of 4.5 pixels: after halving the resolution it is
near the limit, and over a stride of 6 frames it aliases (spec 9.20).  Judge ``crossed`` at full
resolution and print its accuracy per texture."""
STRIPES = 48
GRATING = 24
ONE = 1024
"""The value of cosine 1 in the integer table."""

_COSINE = np.array([round(ONE * math.cos(2 * math.pi * i / PHASES)) for i in range(PHASES)])
# Whole cycles per picture nearest to 0.03, 0.06 and 0.12 cycles a pixel: a torus has no seam.
_AXIS, _DIAGONAL = (3, 7, 13), (2, 5, 10)
_DIRECTIONS = ((1, 0), (1, 1), (0, 1), (1, -1))
# Octaves of the 1/f field: cells per side and weight (of 256 * 73.9, the sd of a byte) for equal
# variance, which is what an amplitude spectrum of 1/f has in each octave of a plane.
_OCTAVES = ((7, 27), (14, 27), (28, 26), (56, 24), (112, 18))


def render(spec: SyntheticSpec, clip: ClipFactors) -> np.ndarray:
    """Return the frames of a clip.

    Args:
        spec: the set the clip belongs to (seed, noise, contrast, shuffling).
        clip: its factors.

    Returns:
        uint8 (48, 112, 112, 3), RGB.
    """
    key = spec.group_key(clip.split, clip.group)
    back = _scene(clip, key)
    clock = motion_clock(clip.active_gops)
    pan = np.arange(FRAMES)[:, None] * (clip.pan_x, clip.pan_y)
    frames = np.empty((FRAMES, SIZE, SIZE, 3), np.int16)
    for frame, (x, y) in zip(frames, pan, strict=True):
        frame[:] = np.roll(back, (y, x), axis=(0, 1))
    # The target comes last: it is never hidden.
    for mover in (*clip.distractors, clip.target):
        contrast = spec.contrast if mover is clip.target else 100
        _paste(frames, path(mover, clock) + pan, *_sprite(mover, contrast))
    noise = _noise_table(spec.noise)[words(frames.size, *key, clip.clip, "noise")]
    frames += noise.reshape(frames.shape)
    pixels = frames.clip(0, 255).astype(np.uint8)
    return pixels[order(FRAMES, *key, clip.clip, "shuffle")] if spec.shuffled else pixels


def motion_clock(active_gops: str) -> np.ndarray:
    """Return for each frame how many frames the motion has run (int64, 48)."""
    runs = np.repeat([int(letter) for letter in active_gops], GOP)
    # Frame 0 shows the start: a step leads *into* a frame, and those of GOP 0 lead to frame 11.
    return np.concatenate(([0], np.cumsum(runs[1:])))


def path(mover: Mover, clock: np.ndarray) -> np.ndarray:
    """Return the centre of a mover without pan: int64 (frames, 2), (x, y), not yet wrapped."""
    way = np.zeros((len(clock), 2), np.int64)
    if mover.motion in ("L", "R", "U", "D"):
        sign = -1 if mover.motion in "LU" else 1
        way[:, int(mover.motion in "UD")] = sign * _whole(mover.speed * clock)
    elif mover.motion != "static":
        wave = np.abs((clock * UNIT + mover.phase) % mover.period - mover.period // 2)
        way[:, int(mover.motion[0] == "V")] = _whole(mover.speed * wave // UNIT)
    return way + np.array((mover.x, mover.y))


def _whole(value: np.ndarray) -> np.ndarray:
    return (value + UNIT // 2) // UNIT


def _scene(clip: ClipFactors, key: tuple) -> np.ndarray:
    """Return the still background, int16 (112, 112, 3)."""
    turn, scale = divmod(clip.scene, 3)
    kx, ky = _DIRECTIONS[turn]
    cycles = (_DIAGONAL if turn % 2 else _AXIS)[scale]
    y, x = np.mgrid[:SIZE, :SIZE]
    phase = (cycles * (kx * x + ky * y)) % SIZE * (PHASES // SIZE) + clip.scene_phase
    grey = GRATING * _COSINE[phase % PHASES] // ONE + _one_over_f(key)
    return (grey[..., None] + np.array(clip.tint)).astype(np.int16)


def _one_over_f(key: tuple) -> np.ndarray:
    """Return value noise of five octaves of equal variance, standard deviation about 12."""
    field = np.zeros((SIZE, SIZE), np.int64)
    for cells, weight in _OCTAVES:
        lattice = (words(cells * cells, *key, "field", cells) >> 8).astype(np.int64) - 128
        step = SIZE // cells
        smooth = _stretch(_stretch(lattice.reshape(cells, cells), step).T, step).T
        field += weight * smooth // (step * step)
    return field // UNIT


def _stretch(lattice: np.ndarray, step: int) -> np.ndarray:
    """Interpolate rows linearly on the torus; values grow by the factor ``step``."""
    share = np.arange(step)[None, :, None]
    after = np.roll(lattice, -1, axis=0)[:, None]
    return (lattice[:, None] * (step - share) + after * share).reshape(-1, lattice.shape[1])


def _sprite(mover: Mover, contrast: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture, int16 (31, 31, 3), and the mask, bool (31, 31), of a mover."""
    y, x = np.mgrid[:DIAMETER, :DIAMETER] - DIAMETER // 2
    frequency = TEXTURE_FREQUENCIES[TEXTURES.index(mover.texture)]
    angle = math.pi * mover.stripe_orientation / ORIENTATIONS
    across, down = (
        round(frequency * part * PHASES * UNIT) for part in (math.cos(angle), math.sin(angle))
    )
    phase = (x * across + y * down) // UNIT + mover.stripe_phase
    grey = STRIPES * contrast * _COSINE[phase % PHASES] // (100 * ONE)
    picture = grey[..., None] + np.array((mover.red, mover.green, mover.blue))
    return picture.astype(np.int16), _mask(mover.shape, x, y)


def _mask(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    square = 4 * (x * x + y * y)
    if shape == "disc":
        return square <= DIAMETER**2
    if shape == "ring":
        return (square <= DIAMETER**2) & (square > (DIAMETER // 2) ** 2)
    if shape == "diamond":
        return np.abs(x) + np.abs(y) <= DIAMETER // 2
    if shape == "cross":
        return (np.abs(x) <= 5) | (np.abs(y) <= 5)
    return np.ones(x.shape, bool)


def _paste(frames: np.ndarray, way: np.ndarray, picture: np.ndarray, mask: np.ndarray) -> None:
    """Draw a sprite into every frame, centred on the way, wrapping at the edges."""
    reach = np.arange(DIAMETER) - DIAMETER // 2
    for frame, (x, y) in zip(frames, way, strict=True):
        place = np.ix_((y + reach) % SIZE, (x + reach) % SIZE)
        frame[place] = np.where(mask[..., None], picture, frame[place])


@lru_cache(maxsize=4)
def _noise_table(deviation: int) -> np.ndarray:
    """Return int16 (65536,): a uniform word becomes a centred binomial of this deviation.

    4 d^2 fair coins have standard deviation d exactly; the table is filled with integers only.
    """
    coins = 4 * deviation**2
    table, filled, total = np.zeros(1 << 16, np.int16), 0, 0
    for heads in range(coins + 1):
        total += math.comb(coins, heads)
        upto = (total << 16) >> coins
        table[filled:upto] = heads - coins // 2
        filled = upto
    return table
