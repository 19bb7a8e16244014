"""Every notebook in JupyterLab: runs, complains of nothing, and each instrument follows the hand.

That what is shown are the right values is tested instrument by instrument in the files beside this.
"""

import os
import statistics
from pathlib import Path

import nbformat
import pytest
from driver import ROOT

STEMS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
INSTRUMENTS = {
    "0_start_here": ["exits", "journal"],
    "1_substage_kd": ["board"],
    "2_spectrum_kd": ["lens"],
    "3_progressive_kd": ["tradeoff", "clip"],
    "4_flatness": ["surfaces"],
    "5_verdicts": ["run_diff"],
}
LATENCIES: dict[str, list[float]] = {}


def pictures() -> Path | None:
    """Return the folder for screenshots, if somebody wants to look at them."""
    asked = os.environ.get("REDISTILL_SCREENSHOTS")
    if asked:
        Path(asked).mkdir(parents=True, exist_ok=True)
    return Path(asked) if asked else None


@pytest.mark.parametrize("stem", STEMS)
def test_a_notebook_runs_and_its_instruments_follow(lab, stem):
    page = lab.run_notebook(stem)
    assert sorted(page.panels()) == sorted(INSTRUMENTS[stem])
    for name in INSTRUMENTS[stem]:
        panel = page.panel(name)
        moved, told = [], 0
        for control in panel.controls():
            moved.append(moves(panel, control))
            LATENCIES[f"{name} {control}"], told = panel.latencies[told:], len(panel.latencies)
        assert any(moved), f"no control of {name} could be moved"
        if folder := pictures():
            panel.root.screenshot(path=str(folder / f"{stem}-{name}.png"))
    if folder := pictures():
        page.screenshot(folder / f"{stem}.png")
    assert not page.errors
    assert "Traceback" not in lab.log()


def moves(panel, name):
    """Move one control by mouse and by keyboard; return whether it could be moved at all."""
    control = panel.control(name)
    if control.locator(".noUi-handle").count():
        panel.drag(name, 0.0, changes=False)
        panel.drag(name, 1.0)
        panel.press(name, "ArrowLeft")
        panel.drag(name, 0.5, changes=False)
        return True
    if control.locator("select").count():
        if control.locator("select option").count() < 2:
            return False
        panel.press(name, "End", changes=False)
        panel.press(name, "ArrowUp")
        panel.press(name, "ArrowDown")
        return True
    if control.locator("input[type=checkbox]").count():
        panel.click(name)
        panel.press(name, "Space")
        return True
    buttons = control.locator("button:enabled")
    if not buttons.count():
        return False
    labels = [buttons.nth(n).inner_text() for n in range(buttons.count())]
    if len(labels) == 1:  # a toggle
        panel.click(name)
        panel.press(name, "Space")
        return True
    panel.click(name, labels[-1], changes=False)
    panel.click(name, labels[0])
    panel.press(name, "Tab", changes=False)
    panel.page.tab.keyboard.press("Space")
    return True


def test_the_static_twin_stands_in_for_each_instrument_in_stored_notebooks():
    for stem in STEMS:
        book = nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", 4)
        told = [out.get("data", {}).get("text/plain", "") for cell in book.cells
                for out in cell.get("outputs", [])]  # fmt: skip
        for name in INSTRUMENTS[stem]:
            assert any(str(text).startswith(f"figure {name}") for text in told), (stem, name)


def test_latencies_are_told():
    """Told, not asserted: a busy machine is no defect."""
    if not LATENCIES:
        pytest.skip("no instrument was moved")
    for name, found in LATENCIES.items():
        if not found:
            continue
        print(f"\n{name}: {len(found)} moves, median {statistics.median(found):.0f} ms, "
              f"worst {max(found):.0f} ms", end="")  # fmt: skip
    every = [one for found in LATENCIES.values() for one in found]
    print(f"\nall: {len(every)} moves, median {statistics.median(every):.0f} ms, "
          f"worst {max(every):.0f} ms")  # fmt: skip
