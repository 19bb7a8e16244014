"""How sharp the loss is where a training ended: eigenvalues and traces with their certificates."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from redistill.checkpoint import load_checkpoint, save_checkpoint
from redistill.curvature.eigen import LOOK, Eigenpairs, eigenpairs
from redistill.curvature.kept import rows
from redistill.curvature.loss import Loss
from redistill.curvature.product import Product
from redistill.curvature.scale import filter_scale
from redistill.curvature.trace import trace
from redistill.files import cache_root
from redistill.source import source_hash
from redistill.stats import Interval

RELATIVE = "relative"
STEEPEST = "steepest.safetensors"


@dataclass(frozen=True)
class Eigenvalue:
    """An eigenvalue, how far off it can be, and the residual of its vector."""

    value: float
    error: float
    residual: float


@dataclass(frozen=True, kw_only=True)
class Sharpness:
    """The curvature of a loss at its weights.

    Attributes:
        weights: how many numbers vary, n.
        loss: there, over the clips of the Hessian.
        top: the largest eigenvalues, falling.
        trace: the sum of all, with its interval over probes.
        needed: probes that 5 % of the trace would take; None: more than 10,000.
        relative: trace of D H D, every filter measured by its own norm.
        relative_top: its largest eigenvalue; None: not asked for.
        stages: trace of the block of each stage, where asked for.
        certified: whether every eigenvalue has its certificate (``redistill.curvature.eigen``).
        products: Hessian-vector products all this took.
    """

    weights: int
    loss: float
    top: tuple[Eigenvalue, ...]
    trace: Interval
    needed: int | None
    relative: Interval
    relative_top: Eigenvalue | None
    stages: Mapping[str, Interval]
    certified: bool
    products: int


def measure(
    loss: Loss, *, top: int, probes: int, full: bool = True, relative: bool = True
) -> Sharpness:
    """Measure a loss; what was measured before, of the same weights and clips, is found.

    Args:
        loss: at the weights as they are; not a bit of the network changes.
        top: eigenvalues wanted; 0: none, and a trace that is not deflated.
        probes: random vectors of the trace.
        full: the traces of the stages as well, and a look for eigenvalues that are missing among
            the largest.
        relative: with ``full``, the largest eigenvalue of D H D too.
    """
    options = {"top": top, "probes": probes, "full": full, "relative": full and relative}
    folder = kept(loss)
    (row,) = rows(folder, "sharpness", options, 1, lambda _: _measured(loss, folder, **options))
    return Sharpness(
        weights=row["weights"],
        loss=row["loss"],
        top=tuple(Eigenvalue(*one) for one in row["top"]),
        trace=Interval(**row["trace"]),
        needed=row["needed"],
        relative=Interval(**row["also"][RELATIVE]),
        relative_top=Eigenvalue(*row["relative_top"]) if row["relative_top"] else None,
        stages={k: Interval(**one) for k, one in row["also"].items() if k != RELATIVE},
        certified=row["certified"],
        products=row["products"],
    )


def _measured(
    loss: Loss, folder: Path, *, top: int, probes: int, full: bool, relative: bool
) -> dict[str, Any]:
    scale = filter_scale(loss)
    also = {RELATIVE: scale.square()} | (_stages(loss) if full else {})
    with Product(loss) as product:
        pairs = eigenpairs(product, top, look=LOOK if full else 0) if top else None
        found = trace(product, probes=probes, pairs=pairs, also=also, folder=folder)
    products = found.products  # those found in the folder among them
    if pairs:
        products += pairs.products
    steep = None
    if full:
        save_checkpoint(folder / STEEPEST, {"vectors": pairs.vectors.T[:2].float()}, {})
    if relative:
        with Product(loss, scale=scale) as product:
            steep = eigenpairs(product, 1)
        products += steep.products
    return {
        "weights": loss.size,
        "loss": loss.measure()[0],
        "top": _values(pairs) if pairs else [],
        "trace": asdict(found.interval),
        "needed": found.needed,
        "relative_top": _values(steep)[0] if steep else None,
        "also": {name: asdict(interval) for name, interval in found.also.items()},
        "certified": all(all(each.certified) for each in (pairs, steep) if each),
        "products": products,
    }


def _values(pairs: Eigenpairs) -> list[tuple[float, float, float]]:
    columns = (pairs.values, pairs.bounds, pairs.residuals)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def steepest(loss: Loss) -> Tensor:
    """Return the vectors (2, n) of the largest eigenvalues of a loss measured in full."""
    return load_checkpoint(kept(loss) / STEEPEST)[0]["vectors"]


def kept(loss: Loss) -> Path:
    """Return the folder in the cache where results about this loss at these weights are kept."""
    code = source_hash("redistill.curvature", "redistill.landscape")
    return cache_root() / "curvature" / f"{loss.key()[:24]}-{code[:8]}"


def _stages(loss: Loss) -> dict[str, Tensor]:
    """Return a vector (n,) for each stage, 1 on its weights and 0 elsewhere."""
    names = [_stage(name) for name, weight in loss.weights.items() for _ in range(weight.numel())]
    places = {stage: number for number, stage in enumerate(dict.fromkeys(names))}
    numbers = torch.tensor([places[name] for name in names])
    like = next(iter(loss.weights.values()))
    return {stage: (numbers == number).to(like) for stage, number in places.items()}


def _stage(name: str) -> str:
    """Return the stage of a weight: ``net.layer3.0.conv1.weight`` is of ``layer3``."""
    parts = name.split(".")
    return parts[1] if parts[0] == "net" and len(parts) > 2 else parts[0]
