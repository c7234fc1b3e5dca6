"""Numbers and names as messages have them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright._words import clock, differing, figure, printable


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("accuracy", 0.975, "0.9750"),
        ("accuracy", 1.0, "1.0000"),
        ("loss", 2.25, "2.2500"),
        ("loss", 3.2e-05, "3.2e-05"),
        ("loss", 0.0, "0.0000"),
        ("loss", math.nan, "nan"),
        ("rmse", 1234.56, "1,235"),
        ("epochs", 15.85, "15.85"),
        ("epochs", 1.0, "1"),
        ("epochs", 100.04, "100.0"),
        ("parameters", 28522, "28,522"),
        ("value", -12.0, "-12"),
        ("value", 1e300, "1e+300"),
    ],
)
def test_figures_have_significant_digits_and_separators(name, value, shown):
    assert figure(name, value) == shown


@given(st.floats(1e-300, 1e14))
def test_a_figure_is_near_its_value(value):
    assert float(figure("loss", value).replace(",", "")) == pytest.approx(value, rel=5e-2 if value < 0.01 else 1e-3)


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (3723, "1:02:03")])
def test_durations(seconds, shown):
    assert clock(seconds) == shown


def test_what_all_have_in_common_is_left_out():
    rows = [{"depth": 1, "width": 8, "kind": "a"}, {"depth": 2, "width": 8}]
    assert differing(rows) == [{"depth": 1, "kind": "a"}, {"depth": 2}]
    assert differing(rows[:1]) == rows[:1]
    assert differing([]) == []
    assert differing([{"x": 1}, {"x": 1}]) == [{"x": 1}] * 2


def test_controls_are_escaped():
    assert printable("a\x1b[2J\r\nb\tc\udce9") == "a\\x1b[2J\\r\nb\tc\\udce9"
