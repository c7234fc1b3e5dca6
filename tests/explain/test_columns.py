"""The decisions of a space as columns: levels, their probabilities, and where they are active."""

import numpy as np
import pytest
from tests.explain.helpers import STAGES, TREE

import archwright as aw
from archwright.errors import SpaceError
from archwright.explain._columns import Columns

NUMBERS = aw.Space(
    few=aw.integer(1, 5, name="few"),
    log=aw.integer(1, 8, log=True, name="log"),
    many=aw.integer(0, 100, step=2, name="many"),
    wide=aw.integer(1, 100_000, log=True, name="wide"),
    rate=aw.real(1e-4, 1e-1, log=True, name="rate"),
    some=aw.subset(*"abcdef", k=(1, 4), name="some"),
    two=aw.subset("x", "y", k=(0, 2), name="two"),
)
SPACES = {
    "numbers": NUMBERS,
    "tree": TREE,
    "stages": STAGES,
    "subset": aw.Space(x=aw.subset(*(aw.choice(i, -i, name=f"e{i}") for i in range(1, 7)), k=(2, 3), name="s")),
    **{name: aw.spaces.create(name) for name in ("mobile", "text", "language")},
}


@pytest.mark.parametrize("name", SPACES)
def test_regions_and_probabilities_are_those_of_random_architectures(name):
    space, rng = SPACES[name], np.random.default_rng(0)
    columns, count = Columns(space), 2_000
    codes = columns.codes([space.sample(rng) for _ in range(count)])
    filled = np.where(codes >= 0, codes, columns.draw(count, rng))
    if name != "subset":  # of which options are drawn together, though the columns are independent
        np.testing.assert_array_equal(columns.activity(filled), codes >= 0)
    for index, column in enumerate(columns.columns):
        assert column.weights.sum() == pytest.approx(1)
        active = codes[:, index] >= 0
        assert columns.active(index) == pytest.approx(active.mean(), abs=0.05)
        if active.sum() > 200:
            seen = np.bincount(codes[active, index], minlength=len(column.weights)) / active.sum()
            assert np.abs(seen - column.weights).max() < 4.5 * np.sqrt(0.25 / active.sum()), column.name


def test_a_large_subset_has_a_column_for_each_option():
    columns = Columns(NUMBERS)
    names = [column.name for column in columns.columns]
    assert [name for name in names if name.startswith("some")] == [f"some: {option}" for option in "abcdef"]
    row = columns.codes([{**NUMBERS.sample(np.random.default_rng(0)), "some": ("b", "f")}])[0]
    assert [row[names.index(f"some: {option}")] for option in "abcdef"] == [0, 1, 0, 0, 0, 1]
    assert columns.columns[names.index("two")].labels == ("", "x", "y", "x, y")


def test_regions_of_a_decision_with_two_ways_to_it_are_disjoint():
    columns = Columns(STAGES)
    index = [column.name for column in columns.columns].index("act")
    assert columns.active(index) == pytest.approx(1 - 1 / 3 / 2)
    assert sum(map(columns.probability, columns.regions[index])) == pytest.approx(1 - 1 / 3 / 2)


def test_a_space_without_decisions_is_refused():
    with pytest.raises(SpaceError, match="no decision with two or more values"):
        Columns(aw.Space(x=aw.integer(3, 3)))
