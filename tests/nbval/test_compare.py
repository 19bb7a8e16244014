"""Comparison of rows and tables by themselves, without a kernel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redistill.compare import compare_figures, compare_rows, differs

NUMBERS = st.floats(-1e6, 1e6)


def row(value, **change):
    keys = change.pop("keys", {"modality": "mv"})
    base = {"name": "loss", "unit": "", "n": 8, "atol": None, "rtol": None, "free": False}
    return {**base, "value": value, "keys": keys, **change}


@pytest.mark.parametrize(
    ("saved", "new", "same"),
    [
        (row(1.0), row(1.0), True),
        (row(1.0), row(1.0 + 1e-12), False),  # exact unless a tolerance is given
        (row(1), row(1.0), True),
        (row(1), row(True), False),
        (row(1.0, atol=1e-4), row(1.00009), True),
        (row(1.0, atol=1e-4), row(1.00011), False),
        (row(1.0), row(1.00009, atol=1.0), False),  # the saved tolerance rules
        (row(200.0, rtol=0.01), row(201.9), True),
        (row(200.0, rtol=0.01), row(202.1), False),
        (row(3.3, free=True), row(99.0), True),
        (row(3.3, free=True), row("slow"), False),
        (row("a", free=True), row("b"), True),
        (row("a", atol=1.0), row("b"), False),
        (row(True, atol=1.0), row(False), False),
        (row(1.0), row(1.0, n=9), False),
        (row(1.0), row(1.0, unit="s"), False),
        (row(1.0), row(1.0, keys={"modality": "iframe"}), False),
        (row(1.0), row(1.0, keys={"modality": "mv", "fold": 1}), False),
    ],
)
def test_one_row(saved, new, same):
    assert (compare_rows([saved], [new]) == []) is same


@given(NUMBERS, NUMBERS, st.floats(0, 10), st.floats(0, 0.5))
def test_tolerance_is_the_usual_inequality(saved, new, atol, rtol):
    within = abs(new - saved) <= atol + rtol * abs(saved)
    assert (differs(saved, new, {"atol": atol, "rtol": rtol}) == "") is within


def test_a_message_names_row_saved_new_and_tolerance():
    (message,) = compare_rows([row(0.5, atol=0.01)], [row(0.75)])
    assert message == "row loss modality='mv': value saved 0.5, now 0.75: off by 0.25, allowed 0.01"


def test_order_does_not_matter_but_number_does():
    a, b = row(1.0), row(2.0, keys={"modality": "iframe"})
    assert compare_rows([a, b], [b, a]) == []
    assert "missing (saved 1, now 0)" in compare_rows([a, b], [a])[0]
    assert "not in the saved notebook (saved 1, now 2)" in compare_rows([a], [a, a])[0]


def table(rows, **change):
    base = {"name": "curve", "columns": ["epoch", "loss"], "rows": rows, "atol": 0.1, "rtol": None}
    return {**base, "free": False, "caption": ""} | change


@pytest.mark.parametrize(
    ("new", "part"),
    [
        (table([[1, 0.55], [2, 0.25]]), None),
        (table([[1, 0.5], [2, 0.45]]), "row 1, loss: saved 0.3, now 0.45"),
        (table([[1, 0.5], [2, None]]), "row 1, loss: saved 0.3, now None"),
        (table([[1, 0.5]]), "saved with 2 rows, now 1"),
        (table([[1, 0.5], [2, 0.3]], columns=["epoch", "gain"]), "columns"),
        (table([[1, 0.5], [2, 0.3]], name="other"), "missing"),
        (table([[1, 0.5], [2, 0.3]], caption="said otherwise"), None),
    ],
)
def test_a_figure_is_its_table(new, part):
    messages = compare_figures([table([[1, 0.5], [2, 0.3]])], [new])
    assert messages == [] if part is None else any(part in text for text in messages)
