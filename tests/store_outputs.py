"""Run the notebooks in the tests' surroundings, show what changed, and store their outputs, clean.

Give names (``3_progressive_kd``) to run those alone.  The text twin leads: its cells are taken,
its outputs are made here.
"""

import json
import os
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

from changed_outputs import changes
from quiet import ROOT, surroundings
from redistill.files import write_atomic

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def main(names: list[str]) -> None:
    """Run every notebook, or those named."""
    for twin in sorted((ROOT / "notebooks" / "text").glob("*.py")):
        if not names or twin.stem in names:
            store(twin)


def store(twin: Path) -> None:
    """Execute the cells of ``twin`` and write the notebook beside it."""
    notebook = jupytext.read(twin)
    target = ROOT / "notebooks" / f"{twin.stem}.ipynb"
    with surroundings() as environment:
        os.environ.update(environment)
        client = NotebookClient(
            notebook, kernel_name="python3", record_timing=False, timeout=900,
            resources={"metadata": {"path": str(target.parent)}},
        )  # fmt: skip
        client.execute()
    clean(notebook)
    new = json.loads(nbformat.writes(notebook))
    told = changes(json.loads(target.read_text()), new) if target.exists() else ["* it is new"]
    lean = json.dumps(new, indent=0, ensure_ascii=False)
    write_atomic(target, lean + "\n")  # nbformat indents, which takes a fifth of the room
    beyond = sum(line.startswith("*") for line in told)
    print(f"\n{target.relative_to(ROOT)}: {target.stat().st_size // 1000} KB, "
          f"{len(told)} differences, {beyond} of them (*) beyond their tolerance")  # fmt: skip
    print("\n".join(told), flush=True)


def clean(notebook: nbformat.NotebookNode) -> None:
    """Keep what a reader and a comparison need: tags, kernel name, config name."""
    kept = {k: v for k, v in notebook.metadata.items() if k == "redistill"}
    notebook.metadata = nbformat.from_dict(kept | {"kernelspec": KERNEL})
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        cell.metadata = {k: v for k, v in cell.metadata.items() if k == "tags"}
        for output in cell.get("outputs", []):
            output.pop("transient", None)


if __name__ == "__main__":
    main(sys.argv[1:])
