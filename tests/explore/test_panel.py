"""The panel and its canvas: what is drawn, what is said, what is left where nobody watches."""

import io
import json

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from redistill.errors import RedistillError
from redistill.explore import panel as panel_file
from redistill.explore.canvas import Canvas
from redistill.explore.panel import Panel
from redistill.record import FIGURE_MIME
from redistill.reporting.report import build_report
from redistill.running.runner import run_notebook

VIEW = "application/vnd.jupyter.widget-view+json"


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def drawing():
    figure, axes = plt.subplots(1, 2, figsize=(4, 2), layout="constrained")
    axes[0].plot([0, 1], [0, 1])
    (dot,) = axes[0].plot([0.2], [0.2], "o")
    image = axes[1].imshow(np.arange(16).reshape(4, 4) / 15, vmin=0, vmax=1)
    words = figure.text(0.5, 0.02, "before")
    return figure, dot, image, words


def change(dot, image, words):
    dot.set_data([0.8], [0.5])
    image.set_data(np.eye(4))
    words.set_text("after")


def test_a_move_draws_what_a_whole_drawing_would():
    figure, *moving = drawing()
    canvas = Canvas(figure, moving)
    first = canvas.widget.value
    change(*moving)
    canvas.draw()
    moved = pixels(canvas.widget.value)
    assert (moved != pixels(first)).any()
    whole, *others = drawing()
    change(*others)
    whole.draw_without_rendering()
    whole.set_layout_engine("none")
    buffer = io.BytesIO()
    with plt.rc_context({"text.hinting": "none"}):
        whole.savefig(buffer, dpi=100)
    apart = np.abs(moved - pixels(buffer.getvalue())).max(2) > 2
    assert apart.mean() < 0.015  # the frame of a picture, over which a moving one is drawn


def test_what_was_moved_leaves_no_trace():
    figure, *moving = drawing()
    canvas = Canvas(figure, moving)
    first = pixels(canvas.widget.value)
    change(*moving)
    canvas.draw()
    moving[0].set_data([0.2], [0.2])
    moving[1].set_data(np.arange(16).reshape(4, 4) / 15)
    moving[2].set_text("before")
    canvas.draw()
    assert (pixels(canvas.widget.value) == first).all()


def test_limits_are_seen_after_a_refresh():
    figure, *moving = drawing()
    canvas = Canvas(figure, moving)
    first = pixels(canvas.widget.value)
    figure.axes[0].set_xlim(0, 5)
    canvas.draw()
    still = pixels(canvas.widget.value)
    canvas.refresh()
    canvas.draw()
    assert np.abs(pixels(canvas.widget.value) - first).sum() > np.abs(still - first).sum()


def toy(said=lambda x, kind: f"x is {x}, kind <{kind}>", name="toy"):
    figure, *moving = drawing()
    calls = []

    def react(x, kind):
        calls.append((x, kind))
        moving[0].set_data([x / 10], [x / 10])
        return said(x, kind)

    panel = Panel(
        name=name,
        controls={
            "x": widgets.IntSlider(min=0, max=10, description="x"),
            "kind": widgets.Dropdown(options=["a", "b"], description="kind"),
        },
        canvas=Canvas(figure, moving),
        react=react,
        twin=lambda: (drawing()[0], pd.DataFrame({"x": [1, 2]})),
        caption="A toy.",
        rtol=0.5,
    )
    return panel, calls


def test_picture_and_sentence_follow_every_control():
    panel, calls = toy()
    before = panel.canvas.widget.value
    panel.controls["x"].value = 7
    assert panel.said == "x is 7, kind <a>"
    assert panel.canvas.widget.value != before
    panel.controls["kind"].value = "b"
    assert panel.values == {"x": 7, "kind": "b"}
    assert calls == [(0, "a"), (7, "a"), (7, "b")]


def test_several_controls_move_at_once():
    panel, calls = toy()
    panel.set(x=3, kind="b")
    assert calls == [(0, "a"), (3, "b")]


def test_a_control_that_is_not_there_is_named():
    panel, _ = toy()
    with pytest.raises(RedistillError, match="panel toy has no control 'y'; it has x, kind"):
        panel.set(y=1)


def test_the_sentence_is_text_and_never_markup():
    panel, _ = toy()
    markup = panel.widget.children[2].value
    assert "&lt;a&gt;" in markup
    assert 'role="status"' in markup


def test_a_reaction_that_moves_controls_does_not_react_to_itself():
    panel, _ = toy()
    panel._react = lambda x, kind: setattr(panel.controls["x"], "value", 5) or "moved"
    panel.controls["kind"].value = "b"
    assert panel.said == "moved"
    assert panel.values["x"] == 5


def shown(monkeypatch, watched):
    kept = []
    monkeypatch.setattr(panel_file, "is_watched", lambda: watched)
    monkeypatch.setattr(panel_file, "display", lambda data, raw: kept.append(data))
    panel, _ = toy()
    panel.show()
    return panel, kept


def test_where_somebody_watches_the_twin_stands_behind_the_panel(monkeypatch):
    panel, (bundle,) = shown(monkeypatch, True)
    assert bundle[VIEW]["model_id"] == panel.widget.model_id
    assert bundle["image/png"]
    assert bundle[FIGURE_MIME]["rows"] == [[1], [2]]
    assert bundle[FIGURE_MIME]["rtol"] == 0.5


def test_where_nobody_watches_the_twin_alone_is_shown(monkeypatch, capsys):
    _, kept = shown(monkeypatch, False)
    assert kept == []
    assert capsys.readouterr().out == "figure toy: A toy.\n"


def test_a_run_and_its_report_hold_the_twin_and_no_script(tmp_path):
    source = (
        "import matplotlib.pyplot as plt, pandas as pd, ipywidgets as w\n"
        "from redistill.explore.canvas import Canvas\nfrom redistill.explore.panel import Panel\n"
        "figure, axis = plt.subplots(); dot, = axis.plot([1], [2], 'o')\n"
        "Panel(name='toy', controls={'x': w.IntSlider()}, canvas=Canvas(figure, [dot]),\n"
        "      react=lambda x: f'x {x}', caption='Told without a kernel.',\n"
        "      twin=lambda: (plt.figure(), pd.DataFrame({'x': [1.25]}))).show()"
    )
    cells = [("markdown", "# A toy"), ("code", 'profile = "quick"\nworld = None\ndata_seed = None'),
             ("code", source)]  # fmt: skip
    book = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "cells": [],
        "metadata": {
            "redistill": {"config": "start"},
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        },
    }
    for number, (kind, text) in enumerate(cells):
        more = {"outputs": [], "execution_count": None} if kind == "code" else {}
        tags = {"tags": ["parameters"]} if text.startswith("profile") else {}
        book["cells"].append(
            {"cell_type": kind, "id": f"c{number}", "source": text, "metadata": tags} | more
        )
    path = tmp_path / "toy.ipynb"
    path.write_text(json.dumps(book))
    folder = run_notebook(path, parameters={}, reports=tmp_path / "reports", progress=False)
    assert (folder / "figures" / "toy.csv").read_text() == "x\n1.25\n"
    page = build_report(folder).read_text()
    assert "Told without a kernel." in page
    assert "data:image/png;base64," in page
    assert "<script" not in page
    assert VIEW not in (folder / "notebook.ipynb").read_text()
