"""How much an evaluation can be given."""

from __future__ import annotations

import pytest

from archwright.errors import EvaluationError
from archwright.evaluate import Fidelity


@pytest.mark.parametrize(
    ("fidelity", "values"),
    [
        (Fidelity(1, 16), [1, 2, 4, 8, 16]),
        (Fidelity(1, 10, whole=True), [1, 2, 3, 6, 10]),
        (Fidelity(0.1234567, 12345.67), [0.1234567, 2.2, 39, 694, 12345.67]),
        (Fidelity(1, 200, values=(1, 20, 50, 200)), [1, 1, 20, 50, 200]),
        (Fidelity(5, 5), [5] * 5),
    ],
)
def test_values_on_the_way(fidelity, values):
    assert [fidelity.at(share) for share in (0, 0.25, 0.5, 0.75, 1)] == values
    assert (fidelity.at(-1), fidelity.at(2)) == (fidelity.least, fidelity.full)


def test_rounding_does_not_leave_the_range():
    fidelity = Fidelity(0.99951, 0.99953)
    assert [fidelity.at(share) for share in (0, 0.1, 0.9, 1)] == [0.99951, 0.99953, 0.99953, 0.99953]


def test_whole_values_are_whole_though_the_range_is_of_floats():
    values = [Fidelity(1.0, 27.0, whole=True).at(share) for share in (0, 0.4, 1)]
    assert values == [1, 4, 27]
    assert all(isinstance(value, int) for value in values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"least": 0, "full": 1}, "above 0 to another, not 0"),
        ({"least": 1, "full": float("inf")}, "not inf"),
        ({"least": True, "full": 3}, "not True"),
        ({"least": 2, "full": 1}, "2 to 1 is reversed"),
        ({"least": 0.5, "full": 3, "whole": True}, "0.5 to 3 are not whole numbers"),
        ({"least": 1, "full": 9, "values": (1, 3, 27)}, "values ascend from 1 to 9, not 1, 3, 27"),
        ({"least": 1, "full": 9, "values": (1, 9, 3)}, "values ascend from 1 to 9, not 1, 9, 3"),
        ({"least": 1, "full": 9, "values": (1, float("nan"), 9)}, "not nan"),
    ],
)
def test_what_is_no_range(arguments, message):
    with pytest.raises(EvaluationError, match=message):
        Fidelity(**arguments)


def test_another_range_of_the_same():
    assert Fidelity(1, 9, power=2).between(2.5, 4.5) == Fidelity(2.5, 4.5, power=2)
    assert Fidelity(1, 9).between(2, 4) == Fidelity(2, 4, whole=True)
    assert Fidelity(1, 9, whole=True).between(2.0, 4.0) == Fidelity(2, 4, whole=True)
    assert Fidelity(1, 9, whole=True).between(0.5, 4) == Fidelity(0.5, 4)
    table = Fidelity(1, 100, whole=True, values=(1, 3, 10, 100))
    assert table.between(2, 50) == Fidelity(3, 10, whole=True, values=(3, 10))
