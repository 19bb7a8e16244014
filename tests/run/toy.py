"""A small config and notebooks of seconds; also the command line with that config."""

import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from redistill.config import param
from redistill.config_text import parameters_cell


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    """One parameter of each kind."""

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {"epochs": 2, "sizes": (8, 16)},
        "standard": {"epochs": 30},
    }

    profile: str = param("quick", help="a set of defaults")
    epochs: int = param(help="passes over the data", low=1, high=1000)
    temperature: float = param(4.0, help="softening of the logits", low=0.01)
    dataset: str = param("synthetic", help="which clips", choices=("synthetic", "weizmann"))
    mode: Literal["late", "early"] = param("late", help="when modalities meet")
    sizes: tuple[int, ...] = param((32,), help="widths of the layers", low=1)
    crop: tuple[int, float] = param((3, 0.5), help="number and share")
    shuffle: bool = param(True, help="whether to draw anew")
    root: Path | None = param(help="folder of clips")
    seed: int | None = param(help="seed; none draws one")
    threads: int = param(1, help="CPU threads", low=1)


def notebook(path: Path, *cells: str, tagged: bool = True) -> Path:
    """Write a notebook: heading, parameters cell, then ``cells``."""
    first = new_code_cell(parameters_cell(ToyConfig))
    first.metadata["tags"] = ["parameters"] if tagged else []
    nb = new_notebook(cells=[new_markdown_cell("# Toy"), first, *map(new_code_cell, cells)])
    nb.metadata["redistill"] = {"config": "start"}
    nb.metadata["kernelspec"] = {"name": "nobodys", "language": "python", "display_name": "None"}
    nbformat.write(nb, path)
    return path


def main() -> int:
    """Be the command line, with the toy config in the place of "start" and reports of one line."""
    from redistill import cli, configs

    configs.CONFIGS = {"start": "toy:ToyConfig"}
    sys.modules["toy"] = sys.modules[__name__]
    sys.modules["redistill.reporting.report"] = report = types.ModuleType(
        "redistill.reporting.report"
    )
    report.build_report = lambda folder: _page(folder / "report.html")
    report.build_index = lambda folder: _page(folder / "index.html")
    return cli.main()


def _page(path: Path) -> Path:
    path.write_text("a page\n")
    return path


if __name__ == "__main__":
    sys.exit(main())
