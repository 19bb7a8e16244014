"""The authors' figures of cost, reproduced with their defects, and what each defect is worth.

Their scripts price an exit from a table typed in by hand, per frame and cumulative inside a
network.  In it the labels of motion and residual are swapped, and IC 2 of both is priced with a
7x7 convolution where the trained one is 3x3.  Correct motion exits are then charged twice; another
script leaves early exits that are wrong uncharged; and two units are mixed.

Source: spec/progressive.md 5.6, 7.2, 7.4 and 8.2 (items 1 to 4).
"""

from collections.abc import Callable, Mapping
from copy import deepcopy

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from redistill.cost import macs
from redistill.errors import ConfigError, RedistillError
from redistill.exit_cost import exit_costs
from redistill.methods import wise
from redistill.methods.cascade import cascade_costs, mean_cost
from redistill.modality import CHANNELS, MODALITIES
from redistill.nets.exits import InternalClassifier, ic_plan
from redistill.nets.streams import Stream

Table = Mapping[str, tuple[int, ...]]  # modality to MACs of one segment at its exits, cumulative

CODED: Table = {  # as typed in: one frame of 224 x 224
    "residual": (1_090_000_000, 1_970_000_000, 2_490_000_000, 2_900_000_000),
    "mv": (1_130_000_000, 2_000_000_000, 2_530_000_000, 2_940_000_000),
    "iframe": (1_260_000_000, 3_220_000_000, 6_540_000_000, 7_350_000_000),
}
PLAIN = {"residual": 1_820_000_000, "mv": 1_780_000_000, "iframe": 4_120_000_000}  # without ICs
GIGA, GIBI = 10**9, 2**30
TEST_VIDEOS = {"UCF-101": 11213, "HMDB-51": 4590}  # test lists of all three splits

_POINTS = (  # set; segments of mv, residual, I-frame; top-1 in percent; 1e9 MACs of all test videos
    ("UCF-101", (3, 5, 3), 92.767, 508733.81),
    ("UCF-101", (3, 3, 3), 92.552, 440649.21),
    ("UCF-101", (1, 2, 2), 91.671, 261876.02),
    ("UCF-101", (1, 2, 1), 90.556, 179791.22),
    ("UCF-101", (1, 1, 1), 88.414, 147391.27),
    ("HMDB-51", (5, 5, 3), 68.497, 235102.47),
    ("HMDB-51", (3, 5, 3), 68.105, 208248.3),
    ("HMDB-51", (1, 2, 2), 65.054, 107408.3),
    ("HMDB-51", (1, 1, 1), 60.305, 56340.27),
)
_COMPARED = (  # method; set; top-1 in percent; total as plotted; its unit
    ("TEAM-Net", "UCF-101", 93.355, 646582, GIBI),
    ("CoViAR", "UCF-101", 93.1, 543903, GIBI),
    ("MIMO", "UCF-101", 85.8, 172587, GIGA),
    ("Wu et al.", "UCF-101", 88.5, 471706, GIBI),
    ("TEAM-Net", "HMDB-51", 66.056, 264639, GIBI),
    ("CoViAR", "HMDB-51", 68.0, 222615, GIBI),
    ("MIMO", "HMDB-51", 58.6, 70639, GIGA),
    ("Wu et al.", "HMDB-51", 56.2, 193065, GIBI),
)


def full_size(*, classes: int = 101) -> dict[str, Stream]:
    """Return the three published networks on the device "meta": to be counted, never computed."""
    depths = {"iframe": 50, "mv": 18, "residual": 18}
    with torch.device("meta"):
        return {m: Stream(m, depth=depths[m], width=64, classes=classes) for m in MODALITIES}


def stream_costs(
    net: Stream,
    side: int,
    *,
    ic2_kernel: int = 3,
    counter: Callable[[Callable[[], object]], int] = macs,
) -> tuple[int, ...]:
    """Count one segment of ``net`` at each of its 4 exits, with the ICs of spec 3.1.

    Args:
        net: on any device; a copy without numbers is counted.
        side: of the frames, pixels.
        ic2_kernel: of IC 2: 3 as trained, 7 as priced.
        counter: see ``redistill.exit_cost.exit_costs``.

    Raises:
        ConfigError: frames that leave no room for the kernel.
    """
    if ic2_kernel > 3 and side < 33:
        raise ConfigError(f"frames of {side} pixels are too small for a 7x7 IC 2; use 33 or more")
    one, (channels, inner, _), three = ic_plan(net.net)
    plan, classes = (one, (channels, inner, ic2_kernel), three), net.net.fc.out_features
    with torch.device("meta"):
        ics = [InternalClassifier(c, n, classes, kernel=k) for c, n, k in plan]
    shape = (1, 1, CHANNELS[net.modality], side, side)
    return exit_costs(deepcopy(net).to("meta"), ics, shape, counter=counter)


def as_built_and_wide(nets: Mapping[str, Stream], side: int) -> tuple[Table, Table]:
    """Return the costs of one segment as built, and with IC 2 of motion and residual as 7x7."""
    built = {m: stream_costs(net, side) for m, net in nets.items()}
    wide = {m: stream_costs(nets[m], side, ic2_kernel=7) for m in ("mv", "residual")}
    return built, {**built, **wide}


def swapped(table: Table) -> dict[str, tuple[int, ...]]:
    """Return ``table`` with the figures of motion and residual exchanged."""
    return {**table, "mv": table["residual"], "residual": table["mv"]}


def per_video(
    table: Table, segments: Mapping[str, int], *, order: str = "coded"
) -> tuple[int, ...]:
    """Return the MACs of a video that leaves at each of the 12 exits.

    Args:
        table: of one segment.
        segments: of each modality.
        order: of the networks, "coded" or "text".
    """
    costs = {m: tuple(segments[m] * each for each in table[m]) for m in table}
    return cascade_costs(costs, order)


def accountings(
    exits: Tensor,
    correct: Tensor,
    built: Table,
    wide: Table,
    *,
    segments: Mapping[str, int],
    order: str = "coded",
) -> pd.DataFrame:
    """Price one walk through a cascade as built, and with each defect of the authors' figures.

    Args:
        exits: where each video left, (N,) int64 from 0.
        correct: whether its prediction was right, (N,) bool.
        built: ``as_built_and_wide`` of the networks that walked, or of ``full_size()`` at 224
            pixels: then what this walk would cost in the published networks.
        wide: the other table of that function.
        segments: of each modality.
        order: of the networks, "coded" or "text".

    Returns:
        Columns accounting, wrong, macs (mean of a video), ratio (to as built).  The rows
        "released" use the authors' constants and say something of the published networks alone.

    Raises:
        RedistillError: no videos, or exits and correct of unlike length.
    """
    if exits.shape != correct.shape or not exits.numel():
        raise RedistillError(
            f"a walk has {tuple(exits.shape)} exits and {tuple(correct.shape)} answers; "
            "give one of each for every video"
        )
    twice = 1 + (correct & torch.isin(exits, exits.new_tensor(_doubled(order))))
    paid = correct | (exits == len(wise.exits(order)) - 1)

    def price(table: Table, charged: Tensor | None = None) -> float:
        return mean_cost(exits, per_video(table, segments, order=order), charged=charged)

    rows = (
        ("as built", "nothing", price(built)),
        (
            "labels swapped",
            "motion is priced as residual, residual as motion",
            price(swapped(built)),
        ),
        ("IC 2 as 7x7", "IC 2 of motion and residual is 3x3, priced as 7x7", price(wide)),
        ("charged twice", "right answers at motion's exits 2 to 4 pay twice", price(built, twice)),
        ("wrong exits free", "early exits with a wrong answer pay nothing", price(built, paid)),
        ("unit", "a figure in 2**30 MACs, read as 10**9", price(built) * GIGA / GIBI),
        ("all in their cascade", "swapped, 7x7, charged twice", price(swapped(wide), twice)),
        ("released", "their constants, charged twice", price(CODED, twice)),
        ("released, charged once", "their constants", price(CODED)),
        ("released, labels right", "their constants; IC 2 still as 7x7", price(swapped(CODED))),
    )
    table = pd.DataFrame(rows, columns=["accounting", "wrong", "macs"])
    return table.assign(ratio=table.macs / table.macs[0])


def _doubled(order: str) -> list[int]:
    """Return the exits whose right answers the released code charges twice: motion's 2 to 4."""
    return [j for j, (m, number) in enumerate(wise.exits(order)) if m == "mv" and number > 1]


def published() -> pd.DataFrame:
    """Return the authors' operating points, and what their totals say of early exits.

    Returns:
        Columns set, mv, residual, iframe (segments), top1 (percent), total (10**9 MACs, all test
        videos); per_video and no_exit (10**9 MACs; had nobody left early, by their constants);
        without_ics (10**9 MACs; the three networks alone, whose fusion is that last answer);
        least_early and most_early (bounds on the share of videos that left early; NaN where
        charging twice can hide an exit).
    """
    rows = []
    for name, (mv, residual, iframe), top1, total in _POINTS:
        segments = {"mv": mv, "residual": residual, "iframe": iframe}
        costs = np.array(per_video(CODED, segments)) / GIGA
        paid, full = total / TEST_VIDEOS[name], costs[-1]
        saved = full - np.r_[costs[:-1], 2 * costs[_doubled("coded")]]
        most = min(1.0, (full - paid) / saved.min()) if saved.min() > 0 else np.nan
        least = max(0.0, (full - paid) / saved.max())
        plain = sum(segments[m] * PLAIN[m] for m in PLAIN) / GIGA
        rows.append((name, mv, residual, iframe, top1, total, paid, full, plain, least, most))
    columns = ["set", "mv", "residual", "iframe", "top1", "total"]
    return pd.DataFrame(
        rows, columns=[*columns, "per_video", "no_exit", "without_ics", "least_early", "most_early"]
    )


def compared() -> pd.DataFrame:
    """Return the methods the authors compare with, in one unit.

    Returns:
        Columns method, set, top1 (percent), total (as plotted, all test videos), as_plotted (of a
        video), giga (10**9 MACs of a video).
    """
    columns = ["method", "set", "top1", "total", "unit"]
    table = pd.DataFrame(_COMPARED, columns=columns)
    shown = table.total / table.set.map(TEST_VIDEOS)
    return table.drop(columns="unit").assign(as_plotted=shown, giga=shown * table.unit / GIGA)
