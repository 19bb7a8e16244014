"""The run diff in a browser: every control by mouse and keyboard, against the records."""

from test_browser_notebooks import pictures

CELLS = [
    """
import json
from redistill.figures import style
from redistill.reference import REFERENCE
style()

def pairs(a, b):
    a, b = (json.loads((REFERENCE / n / "record.json").read_text())["rows"] for n in (a, b))
    return [(x, y) for x in a for y in b if (x["name"], x["keys"]) == (y["name"], y["keys"])]

def equal(a, b):
    return sum(x["value"] == y["value"] for x, y in pairs(a, b))

def widest(a, b, name):
    found = [(x["value"], y["value"]) for x, y in pairs(a, b) if x["name"] == name]
    return "{:.6g} / {:.6g}".format(*max(found, key=lambda p: abs(p[0] - p[1])))
""",
    """
from redistill.explore.run_diff import run_diff
panel = run_diff(REFERENCE, prefer="3_progressive_kd.ipynb")
panel.show()
""",
]
A, B, C = "3-scene_led-d0-s0", "3-scene_led-d0-s5", "3-scene_led-d1-s1"


def test_two_runs_by_mouse_and_keyboard(lab):
    page = lab.run_cells(CELLS)
    panel = page.panel("run_diff")

    def agrees(a, b, name):
        said = panel.said()
        assert f"A {a} against B {b}: " in said
        count, same = page.kernel(f"[len(pairs('{a}', '{b}')), equal('{a}', '{b}')]")
        assert f"Of {count} rows that both have, {same} equal" in said
        assert page.kernel(f"widest('{a}', '{b}', '{name}')") in said

    agrees(A, B, "accuracy")
    first = panel.picture()
    panel.choose("second", C)
    agrees(A, C, "accuracy")
    assert "data_seed 0 / 1" in panel.said()
    assert panel.picture() != first
    panel.press("second", "ArrowUp")  # the run before C is B
    agrees(A, B, "accuracy")
    panel.press("first", "ArrowDown")
    agrees(B, B, "accuracy")
    assert "they never part" in panel.said()
    panel.choose("first", A)
    panel.choose("rows", "first_loss")
    agrees(A, B, "first_loss")
    panel.press("part", "ArrowDown")
    assert "rows 13 to 24 of " in panel.said()
    assert page.kernel("panel.values['part']") == 2
    panel.choose("part", "1 to 12")
    assert "rows 1 to 12 of " in panel.said()
    panel.choose("curve", "first loss, mv")
    assert "In first loss, mv they part at step 0 (" in panel.said()
    panel.press("curve", "ArrowDown")
    assert "In first loss, residual they part at step 0 (" in panel.said()
    panel.press("rows", "ArrowUp")
    assert "Shown: exit_cost" in panel.said()
    panel.choose("first", "2-motion_led-d0-s0")
    assert "differs: notebook text, source, data" in panel.said()
    assert not page.errors
    assert "Traceback" not in lab.log()
    if folder := pictures():
        panel.root.screenshot(path=str(folder / "run_diff.png"))
    print(sorted(round(one) for one in panel.latencies))
