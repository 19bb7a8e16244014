"""What the exits said, kept by a run in one file, so that the explorer opens without training.

The file is safetensors, which cannot execute code: float32 logits (12, N, K), exits in order, and
int64 labels of the validation and test clips of each fold; the rest is JSON in its header.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from redistill.errors import RedistillError
from redistill.evidence.layout import FILE_MOST
from redistill.exit_scores import FoldExits
from redistill.files import write_atomic
from redistill.methods.wise import EXITS, exits, order_of
from redistill.record import RUN_DIR
from redistill.reference import REFERENCE

FILE = "exits.safetensors"
_FOREIGN = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError)  # of a header
_META, _KIND, _SPLITS = "redistill", "exits 1", ("val", "test")


def keep_exits(folds: Sequence[FoldExits], *, arm: str) -> None:
    """Write what the explorer needs of one arm into the folder of this run.

    Equal folds give equal bytes.  Outside a run nothing is written, nor where the file would be
    larger than a bundle may hold, which is said.

    Args:
        folds: of all folds.
        arm: whose internal classifiers.

    Raises:
        RedistillError: no such arm in the folds.
    """
    folder = os.environ.get(RUN_DIR)
    if not folder:
        return
    data = packed(folds, arm=arm)
    if len(data) > FILE_MOST:
        print(f"{FILE} is not kept: it would have {len(data)} bytes, at most {FILE_MOST}")
        return
    write_atomic(Path(folder) / FILE, data)


def packed(folds: Sequence[FoldExits], *, arm: str) -> bytes:
    """Return the bytes of the file that ``keep_exits`` writes."""
    tensors: dict[str, Tensor] = {}
    for number, fold in enumerate(folds):
        stacked = fold.stacked(arm)
        for split in _SPLITS:
            if split not in stacked:
                raise RedistillError(
                    f"fold {fold.fold} has no {split} logits of arm {arm!r}; it has "
                    f"{', '.join(fold.logits.get(split, ())) or 'none'}"
                )
            logits, labels = stacked[split], fold.labels[split]
            tensors[f"{number}.{split}.logits"] = logits.detach().cpu().float().contiguous().clone()
            tensors[f"{number}.{split}.labels"] = labels.detach().cpu().long().contiguous().clone()
    about = [
        {"fold": f.fold, "plain": f.plain, "order": f.order, "macs": _whole(f.macs)} for f in folds
    ]
    header = json.dumps({"kind": _KIND, "arm": arm, "folds": about}, sort_keys=True)
    return save(tensors, metadata={_META: header})  # one entry: several have no fixed order


def _whole(macs: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    return {name: [int(each) for each in own] for name, own in macs.items()}


def open_exits(path: Path) -> tuple[FoldExits, ...]:
    """Read the file that ``keep_exits`` wrote: one arm, its splits "val" and "test".

    Raises:
        RedistillError: the file is missing, broken or foreign, or what it holds does not fit.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[_META])
            if about["kind"] != _KIND:
                raise ValueError(f"its kind is {about['kind']!r}, not {_KIND!r}")
            return _folds(about, file.get_tensor)
    except (OSError, SafetensorError, RedistillError, *_FOREIGN) as error:
        raise RedistillError(
            f"{path} does not hold what exits said ({type(error).__name__}: {error}); expected "
            f"the file {FILE} of a run of notebook 3: run it again with `redistill run`"
        ) from error


def _folds(about: Mapping[str, Any], tensor: Callable[[str], Tensor]) -> tuple[FoldExits, ...]:
    found = tuple(
        _fold(number, one, about["arm"], tensor) for number, one in enumerate(about["folds"])
    )
    classes = {z.shape[-1] for f in found for arms in f.logits.values()
               for own in arms.values() for z in own.values()}  # fmt: skip
    if len(classes) != 1:
        raise ValueError(f"{len(found)} folds of {sorted(classes)} classes; expected one number")
    return found


def _fold(
    number: int, about: Mapping[str, Any], arm: str, tensor: Callable[[str], Tensor]
) -> FoldExits:
    logits, labels = {}, {}
    names = order_of(about["order"])
    for split in _SPLITS:
        z, truth = (tensor(f"{number}.{split}.{what}") for what in ("logits", "labels"))
        _check(f"fold {about['fold']}, {split}", z, truth)
        labels[split] = truth
        logits[split] = {str(arm): dict(zip(names, z.split(EXITS), strict=True))}
    macs = {name: tuple(map(int, own)) for name, own in about["macs"].items()}
    found = FoldExits(int(about["fold"]), logits, labels, macs, int(about["plain"]), about["order"])
    if found.costs and found.plain <= 0:
        raise ValueError(f"networks that cost {found.plain} MACs; expected more than 0")
    return found


def _check(what: str, logits: Tensor, labels: Tensor) -> None:
    shape, kinds = tuple(logits.shape), (logits.dtype, labels.dtype)
    if logits.ndim != 3 or shape[0] != len(exits()) or not logits.numel():
        raise ValueError(f"{what}: logits {shape}; expected ({len(exits())}, N, K)")
    if labels.shape != shape[1:2] or kinds != (torch.float32, torch.int64):
        raise ValueError(
            f"{what}: logits {shape} of {kinds[0]} and labels {tuple(labels.shape)} of {kinds[1]}; "
            "expected one int64 label for each clip of float32 logits"
        )
    if not logits.isfinite().all():
        raise ValueError(f"{what}: logits that are not finite")
    if labels.min() < 0 or labels.max() >= shape[2]:
        raise ValueError(f"{what}: labels beyond {shape[2]} classes")


def reference_exits(path: Path = REFERENCE / "explore" / FILE) -> tuple[FoldExits, ...]:
    """Return what the exits of the reference run said; where there is none, say so: ().

    The reference results come with the repository; a package installed without it has none.

    Raises:
        RedistillError: as ``open_exits``.
    """
    if path.is_file():
        return open_exits(path)
    print(
        f"There is no {path}: this suite was installed without its repository, whose folder "
        "reports/reference holds it. Notebook 3 shows the same instrument once it has run."
    )
    return ()
