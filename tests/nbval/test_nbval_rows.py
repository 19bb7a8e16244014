"""The plugin in a pytest of its own, on tiny notebooks with real kernels."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROW = "application/vnd.redistill.row+json"
FIGURE = "application/vnd.redistill.figure+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
SETUP = (
    "import os, sys\nfrom IPython.display import display\nshow = lambda **d: display(d, raw=True)"
)


def row(value, name="loss", **change):
    base = {"unit": "", "n": 8, "atol": 0.01, "rtol": None, "free": False, "keys": {"seed": 1}}
    return {"name": name, "value": value, **base, **change}


def table(last):
    return {"name": "curve", "columns": ["x"], "rows": [[1], [last]], "atol": 0.1, "rtol": None,
            "free": False, "caption": ""}  # fmt: skip


def out(**data):
    return {"output_type": "display_data", "metadata": {}, "data": data}


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def shows(*outputs):
    """Code that displays ``outputs``."""
    calls = [f"display({o['data']!r}, raw=True)" for o in outputs if "data" in o]
    prints = [f"print({o['text']!r}, end='', file=sys.{o['name']})" for o in outputs if "text" in o]
    return "\n".join(calls + prints)


def shown_row(value, text="loss", **change):
    return out(**{"text/plain": text, ROW: row(value, **change)})


def shown_figure(last, png="AAAA"):
    return out(**{"text/plain": f"Figure {png}", "image/png": png, FIGURE: table(last)})


# name -> (what the cell shows now, what the saved notebook holds, part of the message or None)
CASES = {
    "same": ([shown_row(0.5), stream("a\n")], [shown_row(0.5), stream("a\n")], None),
    "within": ([shown_row(0.505, "0.505")], [shown_row(0.5, "0.500")], None),
    "picture": ([shown_figure(2.05, "BBBB")], [shown_figure(2, "AAAA")], None),
    "free": ([shown_row(9.0, free=True)], [shown_row(0.1, free=True)], None),
    "stderr": ([shown_row(1), stream("late\n", "stderr")], [shown_row(1)], None),
    "widget": (
        [out(**{WIDGET: {"model_id": "b"}, "text/plain": "IntSlider(b)"})],
        [out(**{WIDGET: {"model_id": "a"}, "text/plain": "IntSlider(a)"})],
        None,
    ),
    "number": ([shown_row(0.55)], [shown_row(0.5)], "saved 0.5, now 0.55: off by 0.05"),
    "figure": ([shown_figure(2.5)], [shown_figure(2)], "row 1, x: saved 2, now 2.5"),
    "missing": ([shown_row(1)], [shown_row(1), shown_row(1, name="top1")], "top1 seed=1: missing"),
    "extra": ([shown_row(1), shown_row(1, name="top1")], [shown_row(1)], "not in the saved"),
    "gone": ([stream("a\n")], [shown_row(1), stream("a\n")], "row loss seed=1: missing"),
    "stdout": ([stream("b\n")], [stream("a\n")], "mismatch"),
    "nowidget": ([], [out(**{WIDGET: {"model_id": "a"}, "text/plain": "I"})], "Missing output"),
}


def write(path: Path, *cells: tuple[str, list]) -> None:
    book = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "execution_count": i + 1,
         "source": source, "outputs": outputs}
        for i, (source, outputs) in enumerate(cells)
    ]  # fmt: skip
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(
        json.dumps({"cells": book, "metadata": about, "nbformat": 4, "nbformat_minor": 5})
    )


def check(folder: Path) -> tuple[dict[str, str], str, int]:
    """Run pytest with the plugin over ``folder``: outcome of each "notebook cell", text, code."""
    options = "--nbval --nbval-current-env -p redistill.nbval_rows -p no:cacheprovider -n0"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", str(folder), "-rA",
         "--durations=0", "-vv",
         "--color=no", *options.split(), str(folder)],
        capture_output=True, text=True, timeout=120, check=False, cwd=folder,
    )  # fmt: skip
    found = re.findall(r"^(PASSED|FAILED|ERROR) (\w+)\.ipynb::Cell (\d+)", done.stdout, re.M)
    outcomes = {f"{name} {cell}": outcome for outcome, name, cell in found}
    return outcomes, done.stdout + done.stderr, done.returncode


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """All cases as cells of one notebook, so that one kernel serves them all."""
    folder = tmp_path_factory.mktemp("books")
    cells = [(shows(*now), saved) for now, saved, _ in CASES.values()]
    write(folder / "all.ipynb", (SETUP, []), *cells)
    return check(folder)


@pytest.mark.parametrize("name", CASES)
def test_case(name, outcome):
    outcomes, text, _ = outcome
    message = CASES[name][2]
    cell = list(CASES).index(name) + 1
    assert outcomes[f"all {cell}"] == ("PASSED" if message is None else "FAILED"), text
    if message:
        part = text.split(f"_ all.ipynb::Cell {cell} _", 1)
        assert len(part) == 2, text
        assert message in part[1].split("\n____", 1)[0]


def test_a_difference_makes_the_whole_check_red(outcome):
    assert outcome[2] == 1


def test_a_dead_kernel_fails_its_cell_at_once(tmp_path):
    kill = "import time\ntime.sleep(.5)\nos.kill(os.getpid(), 9)"
    write(tmp_path / "dead.ipynb", (SETUP, []), (kill, []), ("1 + 1", []), ("2", []))
    outcomes, text, code = check(tmp_path)
    seconds = float(re.search(r"([\d.]+)s call +dead.ipynb::Cell 1", text)[1])
    assert 0.5 < seconds < 5  # nbval by itself waits for its timeout of 2000 s
    assert code == 1
    assert outcomes == {"dead 0": "PASSED", "dead 1": "FAILED"}, text
    assert "The kernel died while it executed this cell" in text
    assert text.count("the kernel died in cell 1") >= 1
    assert "2 skipped" in text


def test_an_error_in_a_cell_is_still_nbvals(tmp_path):
    write(tmp_path / "error.ipynb", ("1 / 0", []), ("print('on')", [stream("on\n")]))
    outcomes, text, code = check(tmp_path)
    assert outcomes == {"error 0": "FAILED", "error 1": "PASSED"}
    assert "ZeroDivisionError" in text
    assert code == 1
