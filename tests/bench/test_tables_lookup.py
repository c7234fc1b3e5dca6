"""What a table answers, on tables whose every number is known."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import archwright as aw
from archwright import bench
from archwright.errors import EvaluationError, TableError
from archwright.evaluate import Candidate, Stopped
from archwright.space import Architecture, Space
from archwright.testing import EvaluatorSuite

NAN = math.nan
SPACE = aw.Space(x=aw.integer(0, 5), y=aw.choice("a", "b"), name="small")
LISTED = [Architecture({"x": x, "y": "a"}) for x in range(5)]


def table(space: Space = SPACE, listed=LISTED, **options) -> bench.Table:
    columns = {
        "validation": {2: np.array([0.1, 0.2, 0.3, 0.4, NAN]), 8: np.array([0.5, 0.9, 0.7, NAN, NAN])},
        "test": np.array([0.6, 0.8, 0.85, 0.1, NAN]),
        "seconds": np.array([8.0, 16.0, NAN, 8.0, 8.0]),
        "metrics": {"parameters": np.array([1.0, NAN, 3.0, 4.0, 5.0])},
    }
    columns |= options
    return bench.Table(space, listed, columns.pop("validation"), **columns)


def ask(of: bench.Table, x: int, y: str = "a", fidelity: int | None = None) -> dict[str, float]:
    return of.evaluate(
        Candidate(
            of.space,
            Architecture({"x": x, "y": y}),
            seed=0,
            fidelity=None if fidelity is None else {"epochs": fidelity},
        )
    )


def test_a_search_sees_the_validation_value_and_what_it_cost() -> None:
    assert ask(table(), 0) == {"accuracy": 0.5, "seconds": 8.0, "parameters": 1.0}


def test_less_training_has_its_own_value_and_its_share_of_the_seconds() -> None:
    assert ask(table(), 0, fidelity=2) == {"accuracy": 0.1, "seconds": 2.0, "parameters": 1.0}
    assert ask(table(), 0, fidelity=8) == ask(table(), 0)


def test_seconds_by_fidelity_are_taken_as_they_are() -> None:
    held = table(seconds={2: np.full(5, 3.0), 8: np.full(5, 7.0)})
    assert [ask(held, 0, fidelity=epochs)["seconds"] for epochs in (2, 8)] == [3.0, 7.0]


def reported(x: int, fidelity: int | None = None, **options) -> list[dict[str, float]]:
    candidate = Candidate(
        SPACE,
        Architecture({"x": x, "y": "a"}),
        seed=0,
        fidelity=None if fidelity is None else {"epochs": fidelity},
        **options,
    )
    with contextlib.suppress(EvaluationError, TableError, Stopped):
        held().evaluate(candidate)
    return candidate.curve


def held() -> bench.Table:
    """A table of curves; of the networks 3 fails after 2 epochs, and of 1 the second epoch is missing."""
    values = {
        1: np.array([0.1, 0.2, 0.3, 0.4, 0.5]),
        2: np.array([0.2, NAN, 0.4, 0.5, 0.6]),
        3: np.array([0.3, 0.4, 0.5, NAN, 0.7]),
    }
    return table(validation=values, seconds=np.array([3.0, 6.0, NAN, 9.0, 12.0]), failed={3: "no"})


def test_the_curve_is_reported_as_far_as_it_goes_with_the_seconds_until_then() -> None:
    points = [{"step": step, "accuracy": step / 10, "seconds": pytest.approx(step)} for step in (1, 2, 3)]
    assert reported(0) == points
    assert reported(0, 3) == points
    assert reported(0, 2) == points[:2]


def test_the_curve_leaves_out_what_is_not_known() -> None:
    assert [point["step"] for point in reported(1)] == [1, 3]
    assert reported(2)[0] == {"step": 1.0, "accuracy": 0.3}  # nobody knows how long
    assert [point["step"] for point in reported(3)] == [1, 2]  # then it failed


def test_it_may_be_told_to_stop_on_the_way_but_not_at_the_end_nor_where_it_was_before() -> None:
    def at(step: int):
        return lambda curve: Stopped("enough") if curve[-1]["step"] == step else None

    with pytest.raises(Stopped, match="enough"):
        held().evaluate(Candidate(SPACE, LISTED[0], seed=0, stop=at(2)))
    assert [point["step"] for point in reported(0, stop=at(2))] == [1, 2]
    assert [point["step"] for point in reported(0, stop=at(3))] == [1, 2, 3]
    stages = [{"epochs": 2.0}, {"epochs": 3.0}]
    assert [point["step"] for point in reported(0, 3, stages=stages, stop=at(2))] == [1, 2, 3]
    assert [point["step"] for point in reported(0, 3, stages=[{"epochs": 1.0}, {"epochs": 3.0}], stop=at(2))] == [1, 2]


def test_one_result_is_no_curve() -> None:
    candidate = Candidate(SPACE, LISTED[0], seed=0)
    table(validation={8: np.ones(5)}).evaluate(candidate)
    assert candidate.curve == []


def test_the_test_value_judges() -> None:
    held = table()
    assert held.test({"x": 1, "y": "a"}) == 0.8
    assert (held.best, held.best_test) == (0.9, 0.85)
    assert (held.metric, held.epochs) == ("accuracy", (2, 8))


def test_the_best_of_a_loss_is_the_least() -> None:
    held = table(objective="min loss")
    assert (held.best, held.best_test) == (0.5, 0.1)
    assert ask(held, 1) == {"loss": 0.9, "seconds": 16.0}


def test_without_seconds_and_test_there_are_none() -> None:
    held = table(test=None, seconds=None, metrics=None)
    assert ask(held, 0) == {"accuracy": 0.5}
    assert held.best_test is table(test=np.full(5, NAN)).best_test is None
    with pytest.raises(TableError, match="no test part"):
        held.test(LISTED[0])


def test_an_empty_cell_is_an_error_and_no_guess() -> None:
    with pytest.raises(TableError, match=r"no accuracy for Architecture\(\w+: x=3"):
        ask(table(), 3)
    with pytest.raises(TableError, match=r"no seconds for Architecture\(\w+: x=2"):
        ask(table(), 2)
    with pytest.raises(TableError, match=r"no test accuracy for Architecture\(\w+: x=4"):
        table().test(LISTED[4])
    assert ask(table(), 3, fidelity=2)["accuracy"] == 0.4


def test_another_metric_that_a_row_lacks_is_left_out() -> None:
    assert ask(table(), 1) == {"accuracy": 0.9, "seconds": 16.0}
    study = aw.Study(SPACE, objective="min parameters")
    trial = study.ask()
    ended = study.tell(trial, {"accuracy": 0.9, "seconds": 16.0})
    assert ended.state == "failed"
    assert "parameters" in ended.error


def test_an_unknown_fidelity_is_refused_with_those_there_are() -> None:
    with pytest.raises(TableError, match="after 2, 8 epochs; those after 4 were asked for"):
        ask(table(), 0, fidelity=4)


def test_a_training_that_failed_fails_again() -> None:
    held = table(failed={3: "its loss became NaN", 0: "not so"})
    with pytest.raises(EvaluationError, match=r"x=3.*failed: its loss became NaN"):
        ask(held, 3)
    assert ask(held, 3, fidelity=2)["accuracy"] == 0.4  # before it failed
    assert ask(held, 0)["accuracy"] == 0.5


def test_a_failed_training_is_a_failed_trial_and_a_missing_number_ends_the_comparison() -> None:
    space = aw.Space(x=aw.integer(0, 4), y=aw.choice("a"), name="closed")
    held = table(space, failed={3: "no", 4: "no"}, seconds=None)
    found = bench.compare(space, held, ["random"], trials=5, seeds=3)
    assert np.allclose(found.results["random"].regret[:, -1], 0)
    with pytest.raises(TableError, match="no accuracy"):
        bench.compare(space, table(space, failed={3: "no"}, seconds=None), ["random"], trials=5, seeds=3)


def test_what_is_not_listed_is_refused() -> None:
    with pytest.raises(TableError, match="is not in the table, which lists 5 networks of 'small'"):
        ask(table(), 0, "b")
    with pytest.raises(TableError, match="is not of the space 'small'"):
        ask(table(), 7)
    with pytest.raises(TableError, match="is not of the space 'small'"):
        table(nearest=True).row({"z": 1})


def test_a_network_that_stands_twice_is_refused() -> None:
    with pytest.raises(TableError, match="1 network of the table has more than one row"):
        table(listed=[*LISTED[:4], LISTED[0]])
    with pytest.raises(TableError, match="2 networks of the table have more than one row"):
        table(key=lambda architecture: architecture["x"] // 2)
    with pytest.raises(TableError, match="no network of the table has its accuracy after 1 epoch"):
        bench.Table(SPACE, LISTED, {1: np.full(5, NAN)})
    with pytest.raises(TableError, match="no rows"):
        bench.Table(SPACE, [], {1: np.array([])})


def test_a_key_makes_several_architectures_one_network() -> None:
    held = table(listed=LISTED[::2] + LISTED[1::2], key=lambda architecture: architecture["x"])
    assert held.row({"x": 4, "y": "b"}) == held.row({"x": 4, "y": "a"}) == 2
    with pytest.raises(TableError, match="is not in the table"):
        held.row({"x": 5, "y": "a"})
    with pytest.raises(TableError, match="is not of the space"):
        held.row({"y": "a"})


@given(st.integers(0, 2**32 - 1))
def test_the_nearest_is_the_nearest(seed: int) -> None:
    space = aw.Space(x=aw.integer(0, 9), y=aw.choice("a", "b", "c"), z=aw.ordinal(1, 2, 3))
    rng = np.random.default_rng(seed)
    listed = list({space.sample(rng) for _ in range(12)})
    held = bench.Table(space, listed, {1: rng.random(len(listed))}, nearest=True)
    for _ in range(5):
        other = space.sample(rng)
        row = held.row(other)
        distances = [np.abs(space.encode(other) - space.encode(one)).sum() for one in listed]
        assert distances[row] == min(distances)
        assert distances.index(min(distances)) == row
        assert other not in listed or listed[row] == other


def test_a_function_may_say_what_is_nearest() -> None:
    held = table(nearest=lambda architecture: 2)
    assert held.row({"x": 5, "y": "b"}) == 2
    assert held.row({"x": 1, "y": "a"}) == 1


def test_a_plain_mapping_is_an_architecture_too() -> None:
    assert table().row({"x": 2, "y": "a"}) == table().row(LISTED[2]) == 2


class TestTableIsAnEvaluator(EvaluatorSuite):
    @pytest.fixture
    def evaluator(self):
        full = {8: np.arange(12.0)}
        space = aw.Space(x=aw.integer(0, 5), y=aw.choice("a", "b"))
        return bench.Table(space, list(space.enumerate()), full)

    @pytest.fixture
    def space(self, evaluator):
        return evaluator.space


class TestTableOfCurvesIsAnEvaluator(TestTableIsAnEvaluator):
    @pytest.fixture
    def evaluator(self):
        space = aw.Space(x=aw.integer(0, 5), y=aw.choice("a", "b"))
        return bench.Table(space, list(space.enumerate()), {epochs: np.arange(12.0) for epochs in (1, 2, 4)})
