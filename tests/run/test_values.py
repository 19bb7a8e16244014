import contextlib
import math
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redistill.values import check, describe, parse

finite = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(categories=("L", "Nd"), include_characters="_-."), min_size=1)


@given(st.integers())
def test_an_int_is_read_back(value):
    assert parse(str(value), int) == value


@given(finite)
def test_a_float_is_read_back(value):
    assert parse(repr(value), float) == value


@given(st.text())
def test_a_text_is_itself(value):
    assert parse(value, str) == value


@given(st.lists(st.integers()), st.sampled_from(["{}", "({})", "[{}]", " {} "]))
def test_a_tuple_is_read_back_with_or_without_brackets(values, frame):
    text = frame.format(",".join(map(str, values)))
    assert parse(text, tuple[int, ...]) == tuple(values)


@given(st.lists(words))
def test_a_tuple_of_words_is_read_back(values):
    assert parse(", ".join(values), tuple[str, ...]) == tuple(values)


@given(st.tuples(st.integers(), finite))
def test_a_tuple_of_fixed_length_is_read_back(values):
    assert parse(f"{values[0]},{values[1]!r}", tuple[int, float]) == values


@given(st.text())
def test_any_text_is_an_int_as_python_says_or_an_error(text):
    try:
        wanted = int(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011
            parse(text, int)
    else:
        assert parse(text, int) == wanted


@given(st.text())
def test_a_float_is_finite_or_an_error(text):
    with contextlib.suppress(ValueError):
        assert math.isfinite(parse(text, float))


@given(st.one_of(st.none(), st.booleans(), st.integers(), finite, st.text(), st.binary()))
def test_what_is_checked_has_its_type(value):
    for kind in (int, bool, str, float):
        try:
            found = check(value, kind)
        except ValueError:
            assert type(value) is not kind
        else:
            assert type(found) is kind
            assert found == value


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("true", bool, True),
        ("No", bool, False),
        ("none", int | None, None),
        ("7", int | None, 7),
        ("late", Literal["late", "early"], "late"),
        ("2", Literal[1, 2], 2),
        ("auto", int | str, "auto"),
        ("3", int | str, 3),
        ("1e-3", float, 0.001),
        ("a/b", Path, Path("a/b")),
        ("", tuple[int, ...], ()),
        ("none", str | None, None),
    ],
)
def test_examples_are_read(text, kind, value):
    found = parse(text, kind)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2.5", int),
        ("", int),
        ("nan", float),
        ("inf", float),
        ("maybe", bool),
        ("sooner", Literal["late", "early"]),
        ("1,x", tuple[int, ...]),
        ("1,,2", tuple[int, ...]),
        ("1", tuple[int, float]),
        ("", Path),
        ("x", int | None),
    ],
)
def test_text_that_spells_no_value_is_an_error(text, kind):
    with pytest.raises(ValueError):  # noqa: PT011
        parse(text, kind)


def test_a_bool_is_no_number_and_a_number_no_bool():
    for value, kind in ((True, int), (True, float), (1, bool), (1.0, int), ("1", int)):
        with pytest.raises(ValueError):  # noqa: PT011
            check(value, kind)


def test_types_are_described_for_people():
    assert describe(int | None) == "int or none"
    assert describe(tuple[int, ...]) == "int, ..."
    assert describe(tuple[int, float]) == "int, float"
    assert describe(Literal["late", "early"]) == "one of late, early"
