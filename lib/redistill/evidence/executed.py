"""What an executed notebook shows, taken from its JSON without running or trusting any of it."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from redistill.config import plain
from redistill.evidence.finding import Wrong
from redistill.files import sha256_json
from redistill.record import FIGURE_MIME, ROW_MIME
from redistill.rows import full

_INJECTED = "injected-parameters"  # papermill's tag
_LONGEST = 100_000  # characters of a cell that sets parameters

Cells = Sequence[Mapping[str, Any]]


def cells(notebook: Any) -> list[Mapping[str, Any]]:
    """Return the cells of a notebook (nbformat 4) with their sources joined."""
    try:
        return [cell | {"source": _joined(cell["source"])} for cell in notebook["cells"]]
    except (TypeError, KeyError) as error:
        raise Wrong("notebook.ipynb is no notebook") from error


def source_hash(cells: Cells) -> str:
    """Return the hash of the cells as the notebook had them before parameters were injected.

    The same as redistill.running.notebook.notebook_hash of the notebook that was run.
    """
    return sha256_json([[c["cell_type"], c["source"]] for c in cells if not _is_injected(c)])


def injected(cells: Cells) -> dict[str, Any]:
    """Return the values that the injected cells set, as JSON; literals only, nothing is run."""
    found: dict[str, Any] = {}
    for cell in filter(_is_injected, cells):
        if len(cell["source"]) > _LONGEST:
            raise Wrong("the cell that sets parameters is too long")
        try:
            for node in ast.parse(cell["source"]).body:
                (target,) = node.targets
                found[target.id] = ast.literal_eval(node.value)
        except (ValueError, SyntaxError, AttributeError, RecursionError, MemoryError) as error:
            raise Wrong("the cell that sets parameters does more than that") from error
    return plain(found)


def counts(cells: Cells) -> list[Any]:
    """Return the execution counts of the code cells that a kernel runs."""
    code = [c for c in cells if c["cell_type"] == "code" and c["source"].strip()]
    return [cell.get("execution_count") for cell in code]


def rows(cells: Cells) -> list[dict[str, Any]]:
    """Return the typed rows shown, in order."""
    return [full(data[ROW_MIME]) for data in _shown(cells) if ROW_MIME in data]


def pictures(cells: Cells) -> dict[str, str]:
    """Return the pictures of the figures shown, in base64, by the figure's name."""
    return {
        data[FIGURE_MIME]["name"]: _joined(data["image/png"])
        for data in _shown(cells)
        if FIGURE_MIME in data
    }


def _shown(cells: Cells) -> Iterator[Mapping[str, Any]]:
    for cell in cells:
        for output in cell.get("outputs", ()):
            yield output.get("data", {})


def _is_injected(cell: Mapping[str, Any]) -> bool:
    return _INJECTED in cell.get("metadata", {}).get("tags", ())


def _joined(text: str | list[str]) -> str:
    return "".join(text)
