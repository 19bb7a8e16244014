"""The house rules, held by the machine: sizes, annotations, one source of pins, no leftovers."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from redistill.source import reachable

ROOT = Path(__file__).resolve().parents[2]
LIB = sorted((ROOT / "lib" / "redistill").rglob("*.py"))
PINS = dict(
    line.split("==")
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if line and not line.startswith("#")
)


def functions(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text())
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def body_lines(node: ast.FunctionDef) -> int:
    """Lines of a function without its docstring."""
    first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
    return node.end_lineno - first.lineno + 1


@pytest.mark.parametrize("path", LIB, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_keep_their_size(path):
    assert len(path.read_text().splitlines()) <= 250
    long = {f.name: body_lines(f) for f in functions(path) if body_lines(f) > 50}
    assert not long


@pytest.mark.parametrize("path", LIB, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_say_what_they_are(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_every_dependency_is_pinned_within_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    pins = {name.lower().replace("_", "-"): version for name, version in PINS.items()}
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement


def test_pins_carry_no_build_tag_and_no_hash():
    assert all(re.fullmatch(r"[0-9][0-9a-zA-Z.]*", version) for version in PINS.values())


def test_conda_environment_takes_its_pins_from_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, section = environment["dependencies"]
    assert python.startswith("python=3.")
    assert pip == "pip"
    assert section == {"pip": ["-c requirements.lock", "-e .[test]"]}


def module(path: Path) -> str:
    parts = path.relative_to(ROOT / "lib").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize(
    ("part", "forbidden"),
    [
        ("video", ("nets", "train", "methods", "predict", "record", "running", "reporting")),
        ("nets", ("video", "train", "methods", "record", "running", "reporting")),
    ],
)
def test_data_flows_one_way(part, forbidden):
    """Video knows no network and networks know no video, through any chain of imports."""
    inside = [module(p) for p in LIB if p.relative_to(ROOT / "lib" / "redistill").parts[0] == part]
    reached = {name.split(".")[1] for name in reachable(*inside) if "." in name}
    assert not reached & set(forbidden)


def test_the_reader_imports_without_torch():
    """`redistill.video` is a pip-only reader that others can use alone."""
    code = "import sys, redistill.video; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_no_path_of_a_machine_is_committed():
    """Absolute home or work folders have no place in a repository."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    bad = re.compile(rb"/(?:work|root|home/[a-z]+)/")
    texts = [ROOT / f for f in listed if (ROOT / f).suffix not in {".png", ".safetensors"}]
    assert not [path for path in texts if path != Path(__file__) and bad.search(path.read_bytes())]
