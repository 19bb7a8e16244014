"""`make update-notebooks` tells every number that changed, and which of them no test would pass."""

from changed_outputs import changes
from redistill.record import FIGURE_MIME, ROW_MIME


def row(value, atol=None, **keys):
    about = {"name": "loss", "value": value, "atol": atol, "keys": keys}
    return {"output_type": "display_data", "data": {ROW_MIME: about, "text/plain": f"{value}"}}


def figure(*column, atol=None):
    about = {"name": "curve", "columns": ["x"], "rows": [[x] for x in column], "atol": atol}
    about |= {"rtol": None, "free": False, "caption": ""}
    return {"output_type": "display_data", "data": {FIGURE_MIME: about, "image/png": "AAAA"}}


def printed(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": [text]}


def book(**cells):
    made = [{"cell_type": "code", "source": [k], "outputs": v} for k, v in cells.items()]
    return {"cells": [{"cell_type": "markdown", "source": ["# x"]}, *made]}


def test_equal_outputs_tell_nothing_and_pictures_are_not_looked_at():
    other = figure(1.0, 2.0)
    other["data"]["image/png"] = "BBBB"
    saved = book(a=[row(1.0), figure(1.0, 2.0), printed("x\n"), printed("late", "stderr")])
    assert changes(saved, book(a=[row(1.0), other, printed("x\n")])) == []


def test_a_number_within_its_tolerance_is_told_without_a_mark():
    (line,) = changes(book(a=[row(1.0, atol=0.5, seed=3)]), book(a=[row(1.25, atol=0.5, seed=3)]))
    assert line == "  cell 1: row loss seed=3: value saved 1.0, now 1.25"


def test_a_number_beyond_its_tolerance_is_marked():
    (line,) = changes(book(a=[row(1.0, atol=0.5)]), book(a=[row(1.75, atol=0.5)]))
    assert line == "* cell 1: row loss: value saved 1.0, now 1.75"


def test_each_number_of_a_figure_is_judged_by_itself():
    saved, new = figure(1.0, 2.0, 3.0, atol=0.1), figure(1.05, 2.0, 3.5, atol=0.1)
    assert changes(book(a=[saved]), book(a=[new])) == [
        "  cell 1: figure curve: row 0, x: saved 1.0, now 1.05",
        "* cell 1: figure curve: row 2, x: saved 3.0, now 3.5",
    ]


def test_text_cells_and_rows_that_came_or_went_are_told():
    saved = book(a=[printed("one\ntwo\n")], b=[], c=[row(1.0)])
    told = changes(saved, book(a=[printed("one\nthree\n")], c=[], d=[]))
    assert told[0] == "* cell gone: b"
    assert told[1].startswith("* cell 1: text")
    assert "-two" in told[1]
    assert "+three" in told[1]
    assert told[2:] == ["* cell 2: row loss: missing (saved 1, now 0)", "* cell 3 is new: d"]
