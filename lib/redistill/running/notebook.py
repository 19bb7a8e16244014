"""A notebook as a runner takes it: read, checked for what a run needs, hashed by its cells."""

import json
from pathlib import Path
from typing import Any

from redistill.errors import RunError
from redistill.files import sha256_json


def read_metadata(path: Path) -> dict[str, Any]:
    """Return a notebook's metadata, quickly, so that a bad parameter stops a run at once.

    Raises:
        RunError: no such file, or it is no notebook.
    """
    if not path.is_file():
        found = sorted(p.name for p in path.parent.glob("*.ipynb"))
        there = f"; there are {', '.join(found)}" if found else ""
        raise RunError(f"no notebook {path}{there}")
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["metadata"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(f"{path} is not a notebook; give a valid .ipynb file") from error


def read_notebook(path: Path) -> Any:
    """Return the notebook at ``path`` (nbformat 4).

    Raises:
        RunError: no such file, or it is no notebook.
    """
    read_metadata(path)
    import nbformat  # a second to import

    try:
        nb = nbformat.read(path, as_version=4)
        nb.cells, nb.metadata  # noqa: B018  # AttributeError if it is JSON of another kind
    except Exception as error:  # nbformat lets many kinds through
        about = str(error).strip().partition("\n")[0][:200]
        raise RunError(
            f"{path} is not a notebook ({type(error).__name__}: {about}); give a valid .ipynb file"
        ) from error
    return nb


def check_parameters_cell(nb: Any, path: Path) -> None:
    """Raise RunError unless exactly one code cell is tagged "parameters"."""
    tags = [cell.metadata.get("tags", []) for cell in nb.cells if cell.cell_type == "code"]
    found = sum("parameters" in each for each in tags)
    if found != 1:
        raise RunError(
            f'{path} has {found} code cells tagged "parameters", expected one: '
            "tag the cell that sets them (`redistill params NOTEBOOK --cell` prints one)"
        )


def notebook_hash(nb: Any) -> str:
    """Return the SHA-256 over types and sources of all cells; outputs do not matter."""
    return sha256_json([[cell.cell_type, cell.source] for cell in nb.cells])
