"""Ladders, and what makes them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.errors import SchedulerError, UnknownName
from archwright.evaluate import Fidelity
from archwright.schedulers import Ladder, narrowed


def values(ladder, name):
    return [rung[name] for rung in ladder.rungs]


@pytest.mark.parametrize(
    ("range_", "eta", "rungs"),
    [
        ((1, 27), 3, [1, 3, 9, 27]),
        ((1, 81), 3, [1, 3, 9, 27, 81]),
        ((1, 10), 3, [1, 3, 10]),  # log 10 / log 3 = 2.1, and the middle is the root of 10
        ((1, 16), 4, [1, 4, 16]),
        ((1, 2), 3, [1, 2]),
        ((1, 3), 1.1, [1, 2, 3]),  # twelve steps, of which whole numbers leave two
        ((0.1, 1.0), 3, [0.1, 0.316, 1.0]),
        ((0.12345, 0.98765), 10, [0.12345, 0.98765]),  # not rounded at its ends
        ((2, 200), 10, [2, 20, 200]),
        ((1000.5, 4000.5), 2, [1000.5, 2000.0, 4000.5]),
    ],
)
def test_rungs_by_hand(range_, eta, rungs):
    ladder = Ladder.of({"epochs": range_}, eta=eta)
    assert values(ladder, "epochs") == rungs
    assert ladder.costs == pytest.approx([rung / range_[1] for rung in rungs])
    assert ladder.top == len(rungs) - 1


def test_several_things_go_up_together_and_their_costs_multiply():
    ladder = Ladder.of({"epochs": (1, 9), "data": (0.25, 1.0)}, eta=3)  # 36 times as dear: log 36 / log 3 = 3.3
    assert values(ladder, "epochs") == [1, 2, 4, 9]
    assert values(ladder, "data") == [0.25, 0.397, 0.63, 1.0]
    assert ladder.costs == pytest.approx([1 / 36, 2 / 9 * 0.397, 4 / 9 * 0.63, 1])


def test_what_costs_its_square_goes_up_in_smaller_steps():
    ladder = Ladder.of({"resolution": Fidelity(8, 32, whole=True, power=2)}, eta=4)
    assert values(ladder, "resolution") == [8, 16, 32]
    assert ladder.costs == (1 / 16, 1 / 4, 1)


def test_values_of_a_table_are_the_only_ones():
    table = Fidelity(4, 200, whole=True, values=(4, 12, 36, 200))
    assert values(Ladder.of({"epochs": table}, eta=3), "epochs") == [4, 12, 36, 200]
    assert values(Ladder.of({"epochs": table}, eta=1.5), "epochs") == [4, 12, 36, 200]
    assert values(Ladder.of({"epochs": table}, eta=50), "epochs") == [4, 200]
    ladder = Ladder.of(narrowed({"epochs": table}, {"epochs": (10, 100)}), eta=3)
    assert values(ladder, "epochs") == [12, 36]


@given(
    low=st.floats(1e-3, 10),
    factor=st.floats(1.001, 1e4),
    eta=st.floats(1.05, 20),
    power=st.sampled_from([0.5, 1, 2]),
    whole=st.booleans(),
)
def test_a_ladder_ascends_from_the_least_to_all(low, factor, eta, power, whole):
    low, high = (1 + round(low), 2 + round(10 * factor) + round(low)) if whole else (low, low * factor)
    ladder = Ladder.of({"much": Fidelity(low, high, whole=whole, power=power)}, eta=eta)
    much = values(ladder, "much")
    assert (much[0], much[-1], ladder.costs[-1]) == (low, high, 1)
    assert much == sorted(set(much))
    assert list(ladder.costs) == sorted(set(ladder.costs))
    assert all(ladder.level(cost) == level for level, cost in enumerate(ladder.costs))


def test_a_ladder_can_be_written_down_and_told():
    ladder = Ladder.of({"epochs": (1, 9), "data": (0.25, 1.0)}, eta=6)
    assert Ladder.from_json(json.loads(json.dumps(ladder.to_json()))) == ladder
    assert str(ladder) == "epochs 1, 3, 9; data 0.25, 0.5, 1"
    assert str(Ladder()) == "full evaluations"


@pytest.mark.parametrize(
    ("range_", "message"),
    [
        ((5, 5), "fidelity 'epochs': the range 5 to 5 is empty"),
        ((27, 1), "fidelity 'epochs': .* 27 to 1 is reversed"),
        ((0, 27), "fidelity 'epochs': .* above 0 .* not 0"),
        ((-1.5, 27), "fidelity 'epochs': .* not -1.5"),
        ((1, float("inf")), "fidelity 'epochs': .* not inf"),
        ((float("nan"), 3), "fidelity 'epochs': .* not nan"),
        ((True, 27), "fidelity 'epochs': .* not True"),
        (("1", "27"), "fidelity 'epochs': .* not '1'"),
        (27, r"fidelity 'epochs': a range is a pair such as \(1, 27\), not 27"),
        ((1, 9, 27), r"fidelity 'epochs': a range is a pair such as .*, not \(1, 9, 27\)"),
    ],
)
@pytest.mark.parametrize("known", [None, Fidelity(1, 50), Fidelity(1, 50, values=(1, 7, 50))])
def test_ranges_that_are_none(range_, message, known):
    with pytest.raises(SchedulerError, match=message):
        Ladder.of(narrowed({"epochs": known} if known else {}, {"epochs": range_}), eta=3)


@pytest.mark.parametrize("fidelities", [{}, {"epochs": Fidelity(3, 3)}])
def test_nothing_to_be_given_less_of(fidelities):
    with pytest.raises(SchedulerError, match=r"no lower fidelity.* the scheduler 'full', or .* fidelity=\{'epochs'"):
        Ladder.of(fidelities, eta=3)


@pytest.mark.parametrize("eta", [1, 0.5, -3, float("nan"), "3"])
def test_rungs_that_are_not_dearer(eta):
    with pytest.raises(SchedulerError, match=r"eta, the ratio .* must be above 1, not"):
        Ladder.of({"epochs": (1, 27)}, eta=eta)


def test_what_is_asked_for_is_a_part_of_what_is_known():
    epochs, size = Fidelity(0.5, 9), Fidelity(8, 32, whole=True, power=2)
    known = {"epochs": epochs, "resolution": size}
    assert narrowed(known, None) == {"epochs": epochs}
    assert narrowed({}, None) == {}
    assert narrowed(known, {"resolution": (16, 32)}) == {"resolution": Fidelity(16, 32, whole=True, power=2)}
    assert narrowed(known, {"epochs": (1, 27)}) == {"epochs": Fidelity(1, 27, whole=True)}
    assert narrowed(known, {"epochs": (1.5, 27)}) == {"epochs": Fidelity(1.5, 27)}
    assert narrowed({}, {"what": (1, 2)}) == {"what": (1, 2)}
    with pytest.raises(UnknownName, match=r"'epoch'.*Did you mean 'epochs'"):
        narrowed(known, {"epoch": (1, 27)})
    with pytest.raises(SchedulerError, match=r"fidelity 'epochs': between 8 and 30 there are not two of .* 1, 10, 100"):
        narrowed({"epochs": Fidelity(1, 100, values=(1, 10, 100))}, {"epochs": (8, 30)})
