"""The notebooks' own rules: in step with their twins and configs, short cells, prose, clean."""

import ast
import json
from itertools import pairwise
from pathlib import Path
from statistics import median

import jupytext
import pytest

from redistill.config_text import parameters_cell
from redistill.configs import config_name, load_config
from redistill.rows import full
from redistill.stats import wilson

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
KEPT = {"kernelspec", "redistill"}


@pytest.fixture(params=NOTEBOOKS, ids=lambda p: p.stem)
def path(request) -> Path:
    return request.param


@pytest.fixture
def notebook(path) -> dict:
    return json.loads(path.read_text())


def source(cell: dict) -> str:
    return "".join(cell["source"])


def code(notebook: dict, *, parameters: bool = False) -> list[dict]:
    cells = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    return [c for c in cells if parameters or "parameters" not in c["metadata"].get("tags", [])]


def test_every_notebook_has_its_twin_and_every_twin_its_notebook():
    twins = {p.stem for p in (ROOT / "notebooks" / "text").glob("*.py")}
    assert {p.stem for p in NOTEBOOKS} == twins


def test_cells_are_the_twins(path, notebook):
    twin = jupytext.read(path.parent / "text" / f"{path.stem}.py")
    ours = [(c["cell_type"], source(c), c["metadata"].get("tags", [])) for c in notebook["cells"]]
    theirs = [(c.cell_type, c.source, c.metadata.get("tags", [])) for c in twin.cells]
    assert ours == theirs


def test_the_parameters_cell_is_the_dataclass(notebook):
    (cell,) = [c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", [])]
    assert source(cell) == parameters_cell(load_config(config_name(notebook["metadata"])))


def test_cells_are_short_and_have_prose_before_them(notebook):
    sizes = [len(source(c).splitlines()) for c in code(notebook)]
    assert max(sizes) <= 15
    assert median(sizes) <= 7
    kinds = [c["cell_type"] for c in notebook["cells"]]
    led = [a == "markdown" for a, b in pairwise(kinds) if b == "code"]
    assert sum(led) / len(led) >= 0.5


def test_no_functions_no_magic_and_no_trailing_semicolon(notebook):
    for cell in code(notebook, parameters=True):
        tree = ast.parse(source(cell))
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        assert not any(line.rstrip().endswith(";") for line in source(cell).splitlines())


def test_saved_clean_and_in_order(path, notebook):
    assert path.stat().st_size <= 200_000
    assert set(notebook["metadata"]) <= KEPT
    cells = code(notebook, parameters=True)
    assert [c["execution_count"] for c in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert set(cell["metadata"]) <= {"tags"}
        kinds = {output["output_type"] for output in cell["outputs"]}
        assert not kinds & {"error"}
        assert not [o for o in cell["outputs"] if o.get("name") == "stderr"]


def test_first_screen_is_claim_and_verdict_and_the_end_invites(notebook):
    first, second = notebook["cells"][:2]
    assert source(first).startswith("# ")
    assert "headline(" in source(second)
    assert "three things to try" in source(notebook["cells"][-1]).lower()


def test_three_networks_are_well_above_chance():
    """Each network's interval lies wholly above one and a half times the accuracy of a guess."""
    notebook = json.loads((ROOT / "notebooks" / "3_progressive_kd.ipynb").read_text())
    mime = "application/vnd.redistill.row+json"
    outputs = [o["data"] for c in code(notebook) for o in c["outputs"] if "data" in o]
    rows = [full(data[mime]) for data in outputs if mime in data]
    classes = next(r["value"] for r in rows if r["keys"].get("of") == "classes")
    tested = [r for r in rows if r["name"] == "accuracy" and r["keys"]["split"] == "test"]
    found = [r for r in tested if "exit" not in r["keys"]]
    assert [r["keys"]["modality"] for r in found] == ["iframe", "mv", "residual", "fused"]
    for row in found:
        interval = wilson(round(row["value"] * row["n"]), row["n"])
        assert interval.low > 1.5 / classes, row
