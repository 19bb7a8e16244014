"""Do the notebooks themselves notice?  Each planted defect through nbval, and what must not matter.

`make test-notebooks`.  First the notebooks run as they are, on other arithmetic (the instruction
set of an older CPU, two threads in the process): they must stay green.  Then each defect of
test_planted is planted in a copy of the library and the notebooks that import it run, in the
order of their numbers, up to the first red cell.  Trainings that a defect cannot touch are found
in the cache.  Name some defects on the command line to try those alone.
"""

import ast
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jupytext

from planted.test_planted import DEFECTS, plant
from quiet import NOTEBOOKS, ROOT, surroundings
from redistill.source import reachable

OTHER_CPU = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
_MESSAGE = re.compile(r"^(?:row|figure) .*|^.*Error: .*|.*mismatch.*", re.MULTILINE)


def main(names: list[str]) -> int:
    """Return 0 if harmless differences leave the notebooks green and each defect turns one red."""
    wrong = []
    with surroundings() as environment:
        if not names:
            wrong += [f"red on another CPU: {p.stem}" for p in NOTEBOOKS if not harmless(p)]
            for path in NOTEBOOKS:  # fills the cache; must be green, or red means nothing
                code, message = nbval(path, environment)
                print(f"{path.stem}, as it is: {'green' if code == 0 else message}", flush=True)
                wrong += [f"red as it is: {path.stem}"] if code else []
        for name in names or DEFECTS:
            told = noticed(name, environment)
            print(f"{name}: {told or 'NOT NOTICED'}", flush=True)
            wrong += [] if told else [f"green with a defect: {name}"]
    print("\n" + ("\n".join(wrong) or "all as it should be"))
    return len(wrong) > 0


def harmless(path: Path) -> bool:
    """Whether a notebook stays green on other arithmetic, by two threads."""
    with surroundings() as environment, tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / path.name
        text = path.read_text()
        other.write_text(re.sub(r'"threads = None +#', '"threads = 2  #', text))
        found = nbval(other, {**environment, **OTHER_CPU, "OMP_NUM_THREADS": "2"}, first=False)
    print(f"{path.stem}, other CPU: {'green' if found[0] == 0 else found[1]}", flush=True)
    return found[0] == 0


def noticed(name: str, environment: Mapping[str, str]) -> str:
    """Plant a defect, run the notebooks that import it; say where it was noticed, or ""."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        root = Path(folder)
        module = plant(name, root / "lib")
        (root / "reports").symlink_to(ROOT / "reports")  # the verdicts that a first cell shows
        for path in NOTEBOOKS:
            if module in imported(path):
                begun = time.monotonic()
                code, message = nbval(path, {**environment, "PYTHONPATH": str(root / "lib")})
                if code == 1:
                    return f"{path.stem}, {time.monotonic() - begun:.0f} s: {message}"
    return ""


def imported(path: Path) -> set[str]:
    """Return the modules of the library that a notebook imports, directly or not."""
    found = set()
    for cell in jupytext.read(path).cells:
        for node in ast.walk(ast.parse(cell.source if cell.cell_type == "code" else "")):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "redistill":
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = {name: (ROOT / "lib").joinpath(*name.split(".")) for name in found}
    there = [n for n, p in files.items() if p.with_suffix(".py").is_file() or p.is_dir()]
    return reachable(*there)


def nbval(path: Path, environment: Mapping[str, str], *, first: bool = True) -> tuple[int, str]:
    """Compare a notebook with its outputs, up to the first difference or all: (code, messages)."""
    options = ["-p", "no:cacheprovider", "--nbval", "-p", "redistill.nbval_rows"]
    options += ["-x"] if first else []
    command = [sys.executable, "-m", "pytest", *options, str(path)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    found = _MESSAGE.findall(re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)) or [done.stdout[-300:]]
    return done.returncode, "\n  ".join(line[:160] for line in found[: 1 if first else None])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
