"""The panel itself, with every kind of control, moved by mouse and by keyboard."""

CELLS = [
    """
import ipywidgets as w, matplotlib.pyplot as plt, pandas as pd
from redistill.explore.canvas import Canvas
from redistill.explore.panel import Panel
""",
    """
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
axis.set(xlim=(0, 10), ylim=(0, 10))
dot, = axis.plot([0], [0], "o", markersize=12)
def react(x, grade, kind, big, way):
    dot.set_data([x], [grade])
    dot.set_markersize(24 if big else 12)
    return f"x {x}, grade {grade}, {kind}, {'big' if big else 'small'}, {way}"
controls = {
    "x": w.IntSlider(min=0, max=10, description="x"),
    "grade": w.SelectionSlider(
        options=[("low", 2), ("middle", 5), ("high", 8)], description="grade"),
    "kind": w.Dropdown(options=["one", "two", "three"], description="kind"),
    "big": w.Checkbox(description="big"),
    "way": w.ToggleButtons(options=["here", "there"], description="way"),
}
panel = Panel(name="toy", controls=controls, canvas=Canvas(figure, [dot]), react=react,
              caption="A toy.", twin=lambda: (plt.figure(), pd.DataFrame({"x": [1]})))
panel.show()
""",
]


def test_every_kind_of_control_by_mouse_and_keyboard(lab):
    page = lab.run_cells(CELLS)
    panel = page.panel("toy")
    assert panel.said() == "x 0, grade 2, one, small, here"
    first = panel.picture()
    panel.drag("x", 0.7)
    assert panel.said().startswith("x 7,")
    assert page.kernel("panel.values['x']") == 7
    assert panel.picture() != first
    panel.press("x", "ArrowRight", times=2)
    assert panel.said().startswith("x 9,")
    panel.press("grade", "ArrowRight")
    assert "grade 5" in panel.said()
    panel.drag("grade", 1.0)
    assert "grade 8" in panel.said()
    panel.choose("kind", "three")
    assert "three" in panel.said()
    panel.press("kind", "ArrowUp")
    assert "two" in panel.said()
    panel.click("big")
    assert "big" in panel.said()
    panel.press("big", "Space")
    assert "small" in panel.said()
    panel.click("way", "there")
    assert panel.said().endswith("there")
    cells = page.tab.locator(".jp-Cell").count()
    panel.press("kind", "x", changes=False)  # cuts a cell, where JupyterLab's shortcuts reach
    panel.press("kind", "a", changes=False)  # adds one
    assert page.tab.locator(".jp-Cell").count() == cells
    assert len(panel.latencies) >= 8
    assert not page.errors
    assert "Traceback" not in lab.log()
