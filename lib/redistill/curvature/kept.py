"""Rows of numbers, kept in a folder as they are made."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from redistill.files import read_json, sha256_json, write_json
from redistill.hashes import sha256_tensors


def rows(
    folder: Path | None,
    kind: str,
    options: Mapping[str, Any],
    wanted: int,
    make: Callable[[int], Mapping[str, Any]],
) -> list[Mapping[str, Any]]:
    """Return ``wanted`` rows, row i made by ``make(i)`` unless it is in the folder.

    Every row is written as soon as it is made, so that a run killed anywhere goes on from there.

    Args:
        folder: of one loss; none: nothing is kept.
        kind: what the rows are, the beginning of the file's name.
        options: all that changes a row, besides the loss.
        wanted: more than are kept are made, of more than these the first are returned.
        make: from the number of a row to the row, JSON.
    """
    path = folder and folder / f"{kind}-{sha256_json(options)[:16]}.json"
    made = read_json(path)["rows"] if path and path.exists() else []
    for number in range(len(made), wanted):
        made.append(make(number))
        if path:
            write_json(path, {"options": dict(options), "rows": made})
    return made[:wanted]


def digest(tensor: Tensor | None) -> str | None:
    """Return a hash of a tensor's numbers; none of none."""
    return None if tensor is None else sha256_tensors([tensor])
