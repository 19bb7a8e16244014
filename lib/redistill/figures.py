"""Figures of the notebooks, each drawn from a table that the reader can see.

Colours are Okabe and Ito's, which the colour-blind tell apart; each modality also has its own
marker, so that no figure depends on colour alone.
"""

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = {"iframe": "#0072B2", "mv": "#D55E00", "residual": "#009E73", "fused": "#444444"}
MARKERS = {"iframe": "o", "mv": "s", "residual": "^", "fused": "D"}
LOOK = {name: {"color": COLOURS[name], "marker": MARKERS[name]} for name in COLOURS}
NAMES = {"iframe": "I-frame", "mv": "motion", "residual": "residual", "fused": "fused"}


def style() -> None:
    """Set the look of every figure: light, small, no box around the plot."""
    bare = {"axes.spines.right": False, "axes.spines.top": False}
    sns.set_theme("paper", "ticks", rc=bare | {"figure.constrained_layout.use": True})


def gop_pictures(
    intra: np.ndarray, frame: np.ndarray, motion: np.ndarray, residual: np.ndarray
) -> Figure:
    """Draw a P-frame taken apart: I-frame, frame, motion, residual, reconstruction, error.

    Args:
        intra: uint8 (H, W, 3), the GOP's I-frame.
        frame: uint8 (H, W, 3), the P-frame.
        motion: int16 (H, W, 2), accumulated since the I-frame, (x, y).
        residual: int16 (H, W, 3).
    """
    rebuilt = compensate(intra, motion) + residual
    error = np.abs(rebuilt - frame.astype(np.int16)).max(2)
    figure, axes = plt.subplots(2, 3, figsize=(4.8, 3.2))
    pictures = {
        "I-frame": intra,
        "P-frame": frame,
        "accumulated motion": pale(frame),
        "residual": visible(residual),
        "I-frame moved + residual": rebuilt.astype(np.uint8),
        f"error of it (largest {error.max()})": error,
    }
    _panels(axes.flat, pictures, fontsize=8)
    arrows(axes[0, 2], motion)
    return figure


def _panels(axes: Iterable[Axes], pictures: Mapping[str, np.ndarray], *, fontsize: int) -> None:
    for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_title(title, fontsize=fontsize)
        axis.axis("off")


def pale(frame: np.ndarray) -> np.ndarray:
    """Return uint8 (H, W, 3): a frame as a background."""
    return frame // 2 + 127


def visible(residual: np.ndarray) -> np.ndarray:
    """Return uint8 (H, W, 3): a residual with zero as grey."""
    return np.clip(residual + 128, 0, 255).astype(np.uint8)


def films(clips: Sequence[np.ndarray], titles: Sequence[str]) -> Figure:
    """Draw clips as strips of frames, one row a clip.

    Args:
        clips: uint8 (T, H, W, 3) each, the frames to show.
        titles: one for each clip.
    """
    rows, columns = len(clips), len(clips[0])
    figure, axes = plt.subplots(rows, columns, figsize=(6, 0.35 + 1.45 * rows), squeeze=False)
    for line, frames, title in zip(axes, clips, titles, strict=True):
        line[0].set_title(title, fontsize=8, loc="left")
        for axis, frame in zip(line, frames, strict=True):
            axis.imshow(frame, interpolation="nearest")
            axis.axis("off")
    return figure


def arrows(axis: Axes, motion: np.ndarray, *, step: int = 8) -> None:
    """Draw one arrow for each ``step`` pixels: from where a pixel came to where it is."""
    ys, xs = (slice(step // 2, n, step) for n in motion.shape[:2])
    field, places = motion[ys, xs], np.stack(np.mgrid[ys, xs][::-1], axis=-1)
    moved = field.any(2)
    ways = field[moved].T
    starts = places[moved].T - ways
    axis.quiver(
        *starts, *ways, angles="xy", scale_units="xy", scale=1, color=COLOURS["mv"], width=0.006
    )


def compensate(intra: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Return int16 (H, W, 3): each pixel taken from where it was in the I-frame."""
    y, x = np.indices(motion.shape[:2])
    return intra[y - motion[..., 1], x - motion[..., 0]].astype(np.int16)


def curves(table: pd.DataFrame) -> Figure:
    """Draw training loss and validation accuracy over epochs.

    Args:
        table: columns modality, epoch, loss, val; means over folds.
    """
    figure, axes = plt.subplots(1, 2, figsize=(6, 2.5))
    labels = {"loss": "training loss", "val": "validation accuracy"}
    for axis, (column, label) in zip(axes, labels.items(), strict=True):
        for modality, rows in table.groupby("modality", sort=False):
            look = LOOK[modality] | {"markersize": 3, "markevery": max(1, len(rows) // 12)}
            axis.plot(rows["epoch"], rows[column], label=NAMES[modality], **look)
        axis.set(xlabel="epoch", ylabel=label)
    axes[0].legend(frameon=False)
    return figure


def accuracies(table: pd.DataFrame, folds: pd.DataFrame, *, chance: float) -> Figure:
    """Draw accuracy by modality with its interval, chance as a line.

    Args:
        table: columns modality, accuracy, low, high; shares of 1.
        folds: one line a fold, a column a modality; several are drawn as small dots.
        chance: accuracy of a guess.
    """
    figure, axis = plt.subplots(figsize=(6, 2.5))
    for row, entry in enumerate(table.itertuples()):
        if len(folds) > 1:
            dots = 100 * folds[entry.modality]
            axis.plot(dots, [row + 0.25] * len(dots), ".", color="0.6", markersize=4)
        ends = [100 * entry.low, 100 * entry.high]
        axis.plot(ends, [row, row], color=COLOURS[entry.modality], linewidth=2)
        axis.plot(100 * entry.accuracy, row, markersize=7, **LOOK[entry.modality])
    axis.axvline(100 * chance, color="0.6", linestyle=":", zorder=0)
    axis.text(100 * chance + 1, -0.5, "chance", color="0.4", fontsize=8)
    axis.set_yticks(range(len(table)), [NAMES[m] for m in table["modality"]])
    axis.set(xlabel="test accuracy, %, with its 95 % interval over clips", xlim=(0, 100))
    axis.set_ylim(len(table) - 0.4, -0.6)
    return figure
