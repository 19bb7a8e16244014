"""Whole frames of what no motion is read from: any video decoded from its start, or pictures."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from redistill.errors import VideoError
from redistill.video.sampling import Position
from redistill.video.source import Source

PICTURES = (".jpg", ".jpeg", ".png")
Choose = Callable[[tuple[int, ...]], Sequence[Position]]
"""Maps the lengths of GOPs, here one of all frames, to (GOP, position) pairs."""


def load_frames(source: Source, choose: Choose) -> np.ndarray:
    """Return the frames of a clip of any codec, uint8 (S, H, W, 3) RGB, by sequential decoding.

    What the decoder gives is the count of frames; packets merely guess it, for some hold two
    pictures or a hidden one.  So a clip is decoded to its end, 1/(2S) more than to the last wanted
    frame of a grid, and once more where the guess was wrong.

    Raises:
        VideoError: broken data, no frames, sizes that differ, or a frame that is not there.
    """
    guess = source.info.frames
    frames, count = _pass(source, choose((guess,)))
    if count and count != guess:
        frames, count = _pass(source, choose((count,)))
    if not count or frames is None:
        raise VideoError(f"{source.path}: it holds no frames. Remove it or get it again.")
    return frames


def _pass(source: Source, chosen: Sequence[Position]) -> tuple[np.ndarray | None, int]:
    """Return the frames chosen, None where there are none, and how many the clip has."""
    wanted = np.array([place for _, place in chosen])
    result, count = None, 0
    for count, frame in enumerate(source.shown(), 1):
        if result is None:
            result = np.empty((len(wanted), frame.height, frame.width, 3), np.uint8)
        if (frame.height, frame.width) != result.shape[1:3]:
            raise VideoError(
                f"{source.path}: frame {count - 1} is {frame.width}x{frame.height} in a clip of "
                f"{result.shape[2]}x{result.shape[1]}. Get it again or remove it."
            )
        places = np.flatnonzero(wanted == count - 1)
        if len(places):
            result[places] = source.rgb(frame)
    return result, count


def frame_files(folder: Path) -> list[Path]:
    """Return the pictures of a folder in the order of the numbers in their names.

    Hidden files and those of other kinds are passed over.
    """
    return sorted((path for path in folder.iterdir() if is_picture(path.name)), key=_natural)


def is_picture(name: str) -> bool:
    """Tell whether a file is one of a clip's pictures, by its name."""
    return not name.startswith(".") and name.lower().endswith(PICTURES)


def _natural(path: Path) -> tuple[list[str | int], str]:
    parts: list[str | int] = re.split(r"(\d+)", path.name)
    parts[1::2] = map(int, parts[1::2])  # the places of text and numbers alternate in every name
    return parts, path.name


def load_pictures(folder: Path, choose: Choose) -> np.ndarray:
    """Return pictures of a folder as the frames of a clip, uint8 (S, H, W, 3) RGB.

    Raises:
        VideoError: no pictures, one that is broken, or sizes that differ.
    """
    files = frame_files(folder)
    if not files:
        raise VideoError(
            f"{folder}: it is a folder without pictures ({', '.join(PICTURES)}). Get it again or "
            "remove it."
        )
    places = [place for _, place in choose((len(files),))]
    read = {place: _picture(files[place]) for place in sorted(set(places))}
    first = files[places[0]], read[places[0]].shape
    for place, picture in read.items():
        if picture.shape != first[1]:
            sizes = [f"{width}x{height}" for height, width, _ in (picture.shape, first[1])]
            raise VideoError(
                f"{files[place]}: it is {sizes[0]} and {first[0].name} is {sizes[1]}. Frames of a "
                "clip have one size: get the clip again or remove it."
            )
    return np.stack([read[place] for place in places])


def _picture(path: Path) -> np.ndarray:
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise VideoError(
            f"{path}: it cannot be read as a picture ({error}). Get it again or remove its clip."
        ) from error
