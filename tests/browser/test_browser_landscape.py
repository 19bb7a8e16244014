"""The landscape pair, moved by mouse and keyboard: over drawn tables, and in notebook 4."""

import io
import re
from statistics import median

import numpy as np
import pytest
from PIL import Image

CELLS = [
    """
import numpy as np, pandas as pd
from redistill.explore.landscape import landscape_pair
from redistill.landscape import Surface
from redistill.landscape_figures import surface_table
def plane(factor, reach):
    a = np.linspace(-reach, reach, 9)
    loss = 0.1 + factor * (a[:, None] ** 2 + 0.3 * a[:, None] ** 3 + 2 * a**2)
    return Surface(a=a, b=a, loss=loss, accuracy=1 / (1 + loss), cosine=0.0)
def walk(start, slope):
    a = np.linspace(-0.25, 1.25, 13)
    loss = (start + slope * a)[:, None]
    return Surface(a=a, b=np.zeros(1), loss=loss, accuracy=1 / (1 + loss), cosine=None)
""",
    """
factors = {"iframe": 1, "mv": 8, "residual": 3}
around = surface_table({m: plane(f, 0.5) for m, f in factors.items()})
sharpest = surface_table({m: plane(2500 * f, 0.01) for m, f in factors.items()})
lines = {(m, n): walk(0.1 * n, 0.05 * f) for m, f in factors.items() for n in (1, 2, 3)}
ends = pd.DataFrame([
    {"modality": m, "network": "same", "trace": 90.0 * f, "trace_low": 80.0 * f,
     "trace_high": 99.0 * f, "top": 30.0 * f, "top_low": 29.0 * f, "top_high": 31.0 * f,
     "train_loss": 0.1 * f, "test_accuracy": 0.9 / f} for m, f in factors.items()])
planes = {"two random directions": around, "its two sharpest directions": sharpest}
panel = landscape_pair(planes=planes, lines=lines, ends=ends, clips=6)
panel.show()
""",
]
NAMES = {"I-frame": "iframe", "residual": "residual", "motion": "mv"}
TABLES = {"two random directions": "around", "its two sharpest directions": "sharpest"}


@pytest.fixture(scope="module", params=["drawn", "4_flatness"])
def page(request, lab):
    return lab.run_cells(CELLS) if request.param == "drawn" else lab.run_notebook(request.param)


def expected(page, left, right, plane, quantity, number, place):
    """Parts of the sentence, each from the kernel's own tables."""
    kernel, factor = page.kernel, 100 if quantity == "accuracy" else 1
    pair = NAMES[left], NAMES[right]
    rows = [f"{TABLES[plane]}.query('modality == \"{m}\"')['{quantity}']" for m in pair]
    unit = " %" if factor == 100 else ""
    ends = "ends.query('network == \"same\"').set_index('modality')"
    parts = []
    spans = [
        kernel(f"[{factor} * float({row}.min()), {factor} * float({row}.max())]") for row in rows
    ]
    parts.append("measured " + " against ".join(f"{a:.4g} to {b:.4g}{unit}" for a, b in spans))
    for measure, name in (("top", "eigenvalue"), ("trace", "trace")):
        columns = [measure, f"{measure}_low", f"{measure}_high"]
        found = [kernel(f"{ends}.loc['{m}', {columns}].astype(float).tolist()") for m in pair]
        parts.append(
            f"{name} " + " against ".join(f"{a:.4g} [{b:.4g}, {c:.4g}]" for a, b, c in found)
        )
    at = [f"lines['{m}', {number}]" for m in pair]
    losses = [kernel(f"float(np.interp({place}, {x}.a, {x}.loss[:, 0]))") for x in at]
    shares = [kernel(f"100 * float(np.interp({place}, {x}.a, {x}.accuracy[:, 0]))") for x in at]
    losses, shares = (" against ".join(f"{x:.4g}" for x in each) for each in (losses, shares))
    parts.append(f"Classifiers {number} at {place:.4g} on the line from CE (0) to PKD (1): loss "
                 f"{losses}, accuracy {shares} %")  # fmt: skip
    return parts


def scale(said):
    return re.search(r"(?:loss|accuracy) from \S+ to \S+( %)? on one scale", said)[0]


def side(panel, left):
    picture = np.asarray(Image.open(io.BytesIO(panel.picture())))
    return picture[30:280, left : left + 270].tobytes()


def test_mouse_and_keyboard_move_every_control(page, tmp_path):
    page.kernel("[exec('import numpy as np', globals())]")
    panel = page.panel("surfaces")
    state = {"left": "I-frame", "right": "motion", "plane": "two random directions"}
    state |= {"quantity": "loss", "number": 3, "place": 0.0}

    def holds(camera=-55, **changes):
        state.update(changes)
        said = panel.said()
        for part in expected(page, **state):
            assert part in said
        assert f"seen from {camera} degrees" in said
        assert "nan" not in said.split()

    holds()
    first, whole = panel.picture(), scale(panel.said())
    panel.choose("right", "residual")
    holds(right="residual")
    assert scale(panel.said()) == whole
    panel.press("right", "ArrowDown")
    holds(right="motion")
    assert panel.picture() == first
    panel.press("left", "ArrowDown")
    holds(left="residual")
    panel.choose("left", "motion")
    holds(left="motion")
    assert side(panel, 2) == side(panel, 282)
    panel.choose("left", "I-frame")
    holds(left="I-frame")
    panel.press("camera", "ArrowRight", times=2)
    holds(camera=5)
    panel.drag("camera", 1.0)
    holds(camera=155)
    panel.choose("plane", "its two sharpest directions")
    holds(camera=155, plane="its two sharpest directions")
    panel.choose("quantity", "accuracy")
    holds(camera=155, quantity="accuracy")
    panel.press("quantity", "ArrowUp")
    holds(camera=155, quantity="loss")
    panel.press("plane", "ArrowUp")
    holds(camera=155, plane="two random directions")
    panel.choose("classifier", "2")
    holds(camera=155, number=2)
    panel.press("classifier", "ArrowUp")
    holds(camera=155, number=1)
    panel.press("place", "ArrowRight", times=3)
    holds(camera=155, place=0.375)
    panel.drag("place", 1.0)
    holds(camera=155, place=1.25)
    page.screenshot(tmp_path / "landscape.png")
    found = panel.latencies
    print(f"latency: median {median(found):.0f}, worst {max(found):.0f} ms of {len(found)}")
    assert not page.errors
    assert "Traceback" not in page.lab.log()
