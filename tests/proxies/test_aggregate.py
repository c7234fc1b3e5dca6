"""Ranks by several proxies, made one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright import proxies
from archwright.errors import EvaluationError

NAMES = ("a", "b", "c")
numbers = st.floats(-100, 100) | st.integers(-2, 2).map(float) | st.just(-math.inf)
tables = st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=8)


def rows(table: list[tuple[float, ...]]) -> list[dict[str, float]]:
    return [dict(zip(NAMES, row, strict=True)) for row in table]


def test_by_hand() -> None:
    found = proxies.aggregate(rows([(1.0, 30.0, 5.0), (2.0, 20.0, 5.0), (3.0, 10.0, -math.inf)]))
    wanted = [math.log(1 / 3) + 0 + math.log(2.5 / 3), 2 * math.log(2 / 3) + math.log(2.5 / 3), 2 * math.log(1 / 3)]
    assert found == pytest.approx(wanted)
    assert proxies.aggregate(rows([(1.0, 2.0, 3.0)])) == pytest.approx([0.0])


def test_a_poor_rank_is_not_made_good_by_another() -> None:
    balanced, lopsided = (3.0, 3.0, 3.0), (4.0, 4.0, 1.0)
    found = proxies.aggregate(rows([(1.0, 1.0, 4.0), (2.0, 2.0, 2.0), balanced, lopsided]))
    assert found[2] > found[3]  # both have ranks that add up to nine


@given(tables)
def test_scores_are_at_most_zero_and_what_is_best_throughout_is_best(table: list[tuple[float, ...]]) -> None:
    best = (101.0, 101.0, 101.0)
    found = proxies.aggregate(rows([*table, best]))
    assert (found <= 0).all()
    assert found[-1] == 0
    assert (found[:-1] < 0).all()


@given(tables, st.randoms(use_true_random=False))
def test_only_ranks_count_and_the_order_of_rows_does_not(table: list[tuple[float, ...]], random) -> None:
    found = proxies.aggregate(rows(table))
    stretched = [tuple(8 * value for value in row) for row in table]  # exact: no two become one
    assert proxies.aggregate(rows(stretched)) == pytest.approx(found)
    order = random.sample(range(len(table)), len(table))
    assert proxies.aggregate(rows([table[place] for place in order])) == pytest.approx(found[order])


def test_it_goes_by_the_proxies_that_are_named() -> None:
    table = rows([(1.0, 5.0, 0.0), (2.0, 4.0, 0.0)])
    np.testing.assert_allclose(proxies.aggregate(table, ["b"]), [0.0, math.log(1 / 2)])


@pytest.mark.parametrize(
    ("table", "names", "message"),
    [
        ([], None, "nothing to rank"),
        ([{}], None, "nothing to rank"),
        ([{"a": 1.0}], [], "nothing to rank"),
        ([{"a": 1.0}, {"b": 1.0}], None, "row 1 has no score by a; give -inf"),
        ([{"a": math.nan}], None, "row 0 has no score by a"),
    ],
)
def test_what_cannot_be_ranked_is_told(table, names, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        proxies.aggregate(table, names)
