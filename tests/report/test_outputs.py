"""Notebook outputs as blocks: what is taken over, how it is written, what is refused."""

import base64

import pytest
from sample import ROW, code, display, figure, picture, row, shown

from redistill.reporting.outputs import accuracy_interval, blocks, number, plain, png, row_tables


def kinds(*outputs):
    return [(b.kind, b.content) for b in blocks({"cells": [code("1", *outputs)]})][1:]


def test_a_sound_png_is_taken_and_measured():
    src, width, height = png(picture(60, 25))
    assert src.startswith("data:image/png;base64,")
    assert (width, height) == (60, 25)


def spoil(change):
    return base64.b64encode(change(base64.b64decode(picture()))).decode()


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "not base64!",
        base64.b64encode(b"<svg onload='alert(1)'/>").decode(),
        base64.b64encode(b"\x89PNG\r\n\x1a\n").decode(),
        spoil(lambda raw: raw[:-20]),
        spoil(lambda raw: raw[:16] + b"\0\0\0\0" + raw[20:]),
        spoil(lambda raw: raw[:16] + b"\0\xff\xff\xff" + raw[20:]),
        spoil(lambda raw: b"GIF89a" + raw[6:]),
        picture()[:-3] + '"><',
    ],
)
def test_anything_else_called_png_is_refused(encoded):
    assert png(encoded) == ("", 0, 0)


def test_neighbouring_rows_become_one_table_with_what_they_share_in_its_caption():
    entries = [row("accuracy", 0.5, unit="fraction", n=40, split="test", modality=m) for m in "ab"]
    (table,) = row_tables([*entries])
    assert table.shared == (("split", "test"),)
    assert table.columns == ("modality", "value", "95 % interval", "n")
    assert table.cells[0] == ("a", "50.0\u00a0%", "35 to 65\u00a0%", "40")
    found = kinds(*[shown(entry) for entry in (*entries, row("macs", 7))])
    assert [content.name for _, content in found] == ["accuracy", "macs"]


def test_html_svg_javascript_and_unknown_types_are_never_taken_over():
    bad = display(**{"text/html": "<b>x</b>", "image/svg+xml": "<svg/>",
                     "application/javascript": "alert(1)", "text/plain": "safe"})  # fmt: skip
    assert kinds(bad) == [("text", "safe")]
    assert kinds(display(**{"text/html": "<b>x</b>"})) == []


def test_a_widget_leaves_a_note_and_an_error_its_trace():
    widget = display(**{"application/vnd.jupyter.widget-view+json": {}, "text/plain": "Slider()"})
    assert kinds(widget)[0][0] == "note"
    error = {
        "output_type": "error",
        "ename": "E",
        "evalue": "v",
        "traceback": ["\x1b[31mE\x1b[0m: v"],
    }
    assert kinds(error) == [("error", "E: v")]


def test_a_figure_without_its_picture_keeps_its_table():
    entry = figure("f", ["a"], [[0.5], [None], ["x"]], "says", png="bogus")
    ((kind, found),) = kinds(entry)
    assert (kind, found.src, found.cells) == ("figure", "", (("0.5",), ("–",), ("x",)))


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        ("\x1b[1;31mred\x1b[0m plain", "red plain"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("10 %\r50 %\r100 %\ndone\r\n", "100 %\ndone"),
        ("a\x00b\x07c", "abc"),
        ("\n\n x\n", " x"),
    ],
)
def test_terminal_text_is_cleaned(raw, seen):
    assert plain(raw) == seen


def test_long_output_is_cut_in_the_middle_and_says_so():
    lines = plain("\n".join(map(str, range(1000)))).split("\n")
    assert len(lines) == 201
    assert (lines[0], lines[150], lines[-1]) == (
        "0", "… 800 lines left out; the notebook holds them …", "999",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "unit", "seen"),
    [
        (0.7166, "fraction", "71.7\u00a0%"), (41872640, "MAC", "41\u202f872\u202f640\u00a0MAC"),
        (-0.25, "", "−0.25"), (0.0123456, "s", "0.01235\u00a0s"), (123456.7, "", "123\u202f457"),
        (True, "", "yes"), (None, "", "–"), ("text", "", "text"), (3.0, "", "3"),
        (1e-7, "", "1e−07"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_readers(value, unit, seen):
    assert number(value, unit) == seen


def test_only_shares_of_clips_get_an_interval():
    assert accuracy_interval(row("a", 0.8, unit="fraction", n=10)) == "49 to 94\u00a0%"
    for other in (
        row("a", 0.8, n=10),
        row("a", 0.8, unit="fraction"),
        row("a", 1.2, unit="fraction", n=9),
    ):
        assert accuracy_interval(other) == ""


def test_cells_that_did_not_run_and_papermills_own_html_are_known():
    told = {"cell_type": "markdown", "metadata": {"tags": ["papermill-error-cell-tag"]}}
    cells = [code("a"), code("  "), code("b", status="pending"), told | {"source": "x"}]
    found = blocks({"cells": cells})
    assert [(b.kind, b.content, b.cell, b.ran) for b in found] == [
        ("code", "a", 1, True), ("code", "b", 2, False),
    ]  # fmt: skip


def test_multi_line_strings_of_nbformat_are_joined():
    cell = code("x", {"output_type": "stream", "name": "stdout", "text": ["a\n", "b\n"]})
    cell["source"] = ["x = 1\n", "y"]
    found = blocks({"cells": [cell]})
    assert [b.content for b in found] == ["x = 1\ny", "a\nb"]
    assert ROW not in str(found)
